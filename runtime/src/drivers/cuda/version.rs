//! Which chip runs which target.

/// Portable targets, the newest first, and the compute capability that each needs: code for it runs on all newer chips,
/// machine code within the major version, text everywhere.
const PORTABLE: [(&str, (i32, i32)); 3] =
    [("nvidia:sm_89", (8, 9)), ("nvidia:sm_86", (8, 6)), ("nvidia:sm_80", (8, 0))];

/// Targets whose code runs on their own chip only: names with an `a`.
const OWN: [(&str, (i32, i32)); 2] = [("nvidia:sm_90a", (9, 0)), ("nvidia:sm_100a", (10, 0))];

/// The targets whose code a chip of this compute capability runs, the best first: what to compile for.
pub(super) fn targets(major: i32, minor: i32) -> Result<Vec<&'static str>, String> {
    let own = OWN.iter().filter(|(_, chip)| *chip == (major, minor));
    let portable = PORTABLE.iter().filter(|(_, since)| *since <= (major, minor));
    let targets: Vec<&str> = own.chain(portable).map(|(target, _)| *target).collect();
    if targets.is_empty() {
        return Err(format!(
            "its compute capability is {major}.{minor}; kcc needs 8.0 or newer (A100, RTX 30 series): use another device"
        ));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_run_their_own_target_or_the_newest_portable_one() {
        let best = |major, minor| targets(major, minor).unwrap()[0];
        assert_eq!(best(8, 0), "nvidia:sm_80");
        assert_eq!(best(8, 6), "nvidia:sm_86");
        assert_eq!(best(8, 7), "nvidia:sm_86");
        assert_eq!(best(8, 9), "nvidia:sm_89");
        assert_eq!(best(9, 0), "nvidia:sm_90a");
        assert_eq!(best(10, 0), "nvidia:sm_100a");
        assert_eq!(best(12, 0), "nvidia:sm_89");
        assert_eq!(targets(9, 0).unwrap(), ["nvidia:sm_90a", "nvidia:sm_89", "nvidia:sm_86", "nvidia:sm_80"]);
        assert_eq!(targets(8, 6).unwrap(), ["nvidia:sm_86", "nvidia:sm_80"]);
        assert!(targets(7, 5).unwrap_err().contains("7.5"));
    }
}
