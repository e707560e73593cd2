//! Which driver takes which PTX.

use kcc_dsl::exchange::GpuMeta;

/// PTX versions with the first CUDA version whose driver reads them. (PTX ISA, "Release Notes", table of versions.)
const PTX: &[((u8, u8), i32)] = &[
    ((7, 0), 11_000),
    ((7, 5), 11_050),
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
fn cuda_for(ptx: (u8, u8)) -> i32 {
    let row = PTX.iter().find(|(p, _)| *p >= ptx).or(PTX.last());
    row.map_or(0, |(_, cuda)| *cuda)
}

/// `12.8`
pub(crate) fn cuda_name(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// Whether a driver reads PTX text, else what to do.
pub(crate) fn check_ptx(ptx: (u8, u8), driver: i32) -> Result<(), String> {
    let needed = cuda_for(ptx);
    if driver >= needed {
        return Ok(());
    }
    Err(format!(
        "the code is PTX {}.{}, which needs a driver for CUDA {}; the installed one is for CUDA {}: update the driver, \
         or load machine code (`kcc pack build --cubin` makes a pack of it)",
        ptx.0,
        ptx.1,
        cuda_name(needed),
        cuda_name(driver)
    ))
}

/// The lowest driver that loads PTX, as `minimum-driver` of a pack says it; `None` where the code is no PTX.
pub fn minimum_driver(meta: &GpuMeta) -> Option<String> {
    (meta.ptx > (0, 0)).then(|| cuda_name(cuda_for(meta.ptx)))
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
    fn a_pack_names_the_driver_that_its_text_needs() {
        let of = |ptx| minimum_driver(&GpuMeta { ptx, ..GpuMeta::default() });
        assert_eq!((of((8, 6)).as_deref(), of((0, 0))), (Some("12.7"), None));
        assert_eq!(of((7, 5)).as_deref(), Some("11.5"));
    }
}
