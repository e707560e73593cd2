//! Which driver takes which PTX, and which chip runs which target.

/// PTX versions with the first CUDA version whose driver reads them. (PTX ISA, "Release Notes", table of versions.)
const PTX: &[((u8, u8), i32)] = &[
    ((7, 0), 11_000),
    ((7, 8), 11_080),
    ((8, 0), 12_000),
    ((8, 1), 12_010),
    ((8, 2), 12_020),
    ((8, 3), 12_030),
    ((8, 4), 12_040),
    ((8, 5), 12_050),
    ((8, 6), 12_070),
    ((8, 7), 12_080),
    ((8, 8), 12_090),
    ((9, 0), 13_000),
    ((9, 1), 13_010),
];

/// The first CUDA version whose driver reads PTX of this version; that of the newest known one for newer ones.
pub(super) fn cuda_for(ptx: (u8, u8)) -> i32 {
    let row = PTX.iter().find(|(p, _)| *p >= ptx).or(PTX.last());
    row.map_or(0, |(_, cuda)| *cuda)
}

/// `12.8`
pub(super) fn cuda_name(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// Whether a driver reads PTX text, else what to do.
pub(super) fn check_ptx(ptx: (u8, u8), driver: i32) -> Result<(), String> {
    let needed = cuda_for(ptx);
    if driver >= needed {
        return Ok(());
    }
    Err(format!(
        "the code is PTX {}.{}, which needs a driver for CUDA {}; the installed one is for CUDA {}: update the driver, \
         or let kcc ship machine code (a `ptxas`, named in KCC_PTXAS, makes it)",
        ptx.0,
        ptx.1,
        cuda_name(needed),
        cuda_name(driver)
    ))
}

/// The target for a chip of this compute capability. Targets ending in `a` run on their own chip only; newer chips
/// run the newest portable one.
pub(super) fn target(major: i32, minor: i32) -> Result<&'static str, String> {
    match (major, minor) {
        (8, 0..=8) => Ok("nvidia:sm_80"),
        (9, 0) => Ok("nvidia:sm_90a"),
        (10, 0) => Ok("nvidia:sm_100a"),
        (8, 9) | (9.., _) => Ok("nvidia:sm_89"),
        _ => Err(format!(
            "its compute capability is {major}.{minor}; kcc needs 8.0 or newer (A100, RTX 30 series): use another device"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_older_than_the_text_is_an_error_that_names_both() {
        let e = check_ptx((8, 6), 12_020).unwrap_err();
        assert!(e.contains("PTX 8.6") && e.contains("CUDA 12.7") && e.contains("CUDA 12.2"), "{e}");
        assert!(check_ptx((8, 6), 12_080).is_ok());
        assert!(check_ptx((8, 6), 13_000).is_ok());
    }

    #[test]
    fn chips_run_their_own_target_or_the_newest_portable_one() {
        assert_eq!(target(8, 0), Ok("nvidia:sm_80"));
        assert_eq!(target(8, 6), Ok("nvidia:sm_80"));
        assert_eq!(target(8, 9), Ok("nvidia:sm_89"));
        assert_eq!(target(9, 0), Ok("nvidia:sm_90a"));
        assert_eq!(target(12, 0), Ok("nvidia:sm_89"));
        assert!(target(7, 5).unwrap_err().contains("7.5"));
    }
}
