//! Which chip runs which target.

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
    fn chips_run_their_own_target_or_the_newest_portable_one() {
        assert_eq!(target(8, 0), Ok("nvidia:sm_80"));
        assert_eq!(target(8, 6), Ok("nvidia:sm_80"));
        assert_eq!(target(8, 9), Ok("nvidia:sm_89"));
        assert_eq!(target(9, 0), Ok("nvidia:sm_90a"));
        assert_eq!(target(12, 0), Ok("nvidia:sm_89"));
        assert!(target(7, 5).unwrap_err().contains("7.5"));
    }
}
