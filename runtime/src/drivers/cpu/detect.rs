//! Which CPU target this machine is, and whether it can run code for another.
//!
//! Names are those of the CPU backend's chip rows; the most capable row comes first.

use crate::error::{Error, Result};
use kcc_dsl::ir::Elem;

/// A target and the features that it needs.
struct Row {
    target: &'static str,
    /// Chosen for `cpu:native` (aliases are not).
    native: bool,
    /// Whether code for it multiplies bf16 on a matrix unit.
    matrix_unit: bool,
    runs: fn() -> bool,
}

#[cfg(target_arch = "x86_64")]
mod have {
    //! Feature sets of the x86-64 psABI levels, and additions.
    use std::arch::is_x86_feature_detected as has;

    pub(super) fn v3() -> bool {
        has!("avx2")
            && has!("fma")
            && has!("f16c")
            && has!("bmi1")
            && has!("bmi2")
            && has!("lzcnt")
            && has!("movbe")
    }
    pub(super) fn v4() -> bool {
        v3() && has!("avx512f")
            && has!("avx512bw")
            && has!("avx512dq")
            && has!("avx512vl")
            && has!("avx512cd")
    }
    pub(super) fn v4_bf16() -> bool {
        v4() && has!("avx512bf16")
    }
    pub(super) fn amx_bf16() -> bool {
        v4_bf16() && kcc_dsl::exchange::host::amx_bf16() && super::may_use_tiles()
    }
    pub(super) fn zen4() -> bool {
        v4_bf16()
            && has!("avx512vnni")
            && has!("avx512vbmi")
            && has!("avx512ifma")
            && has!("vaes")
            && has!("gfni")
    }
    pub(super) fn sapphire_rapids() -> bool {
        v4_bf16() && has!("avx512vnni") && has!("avx512fp16")
    }
}
#[cfg(not(target_arch = "x86_64"))]
mod have {
    //! No other architecture has rows yet.
    pub(super) fn v3() -> bool {
        false
    }
    pub(super) use v3 as v4;
    pub(super) use v3 as v4_bf16;
    pub(super) use v3 as amx_bf16;
    pub(super) use v3 as zen4;
    pub(super) use v3 as sapphire_rapids;
}

const ROWS: &[Row] = &[
    Row { target: "cpu:znver4", native: false, matrix_unit: false, runs: have::zen4 },
    Row { target: "cpu:sapphirerapids", native: false, matrix_unit: false, runs: have::sapphire_rapids },
    Row { target: "cpu:x86-64-v4+amxbf16", native: true, matrix_unit: true, runs: have::amx_bf16 },
    Row { target: "cpu:x86-64-v4+avx512bf16", native: true, matrix_unit: false, runs: have::v4_bf16 },
    Row { target: "cpu:x86-64-v4", native: true, matrix_unit: false, runs: have::v4 },
    Row { target: "cpu:x86-64-v3", native: true, matrix_unit: false, runs: have::v3 },
];

/// Whether the system lets this process use AMX's tiles: Linux wants to be asked once (Documentation/arch/x86/xstate.rst).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn may_use_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    static ANSWER: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        // SAFETY: the call takes two numbers and changes nothing but what the process may use.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
    });
    *ANSWER
}
#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn may_use_tiles() -> bool {
    false
}

/// The name that stands for [`native`].
pub const NATIVE: &str = "cpu:native";

/// The most capable target that this machine runs.
pub fn native() -> Option<&'static str> {
    ROWS.iter().find(|r| r.native && (r.runs)()).map(|r| r.target)
}

/// Every CPU target, and whether this machine runs it.
pub fn targets() -> impl Iterator<Item = (&'static str, bool)> {
    ROWS.iter().map(|r| (r.target, (r.runs)()))
}

/// Whether products of this type run on a matrix unit in code for a target.
pub fn has_matrix_unit(target: &str, elem: Elem) -> bool {
    elem == Elem::BF16 && ROWS.iter().any(|r| r.target == target && r.matrix_unit)
}

/// How specific a target is: the lower, the more of a chip's instructions its code uses. Targets without a row are last.
pub fn rank(target: &str) -> usize {
    ROWS.iter().position(|r| r.target == target).unwrap_or(ROWS.len())
}

/// The name of a target with `cpu` and `cpu:native` resolved, if code for it runs here.
///
/// # Errors
/// An unknown name, or a target with instructions that this machine lacks.
pub fn resolve(target: &str) -> Result<&'static str> {
    let fail = |reason: String| Error::Target { target: target.into(), reason };
    if target == NATIVE || target == "cpu" {
        return native().ok_or_else(|| {
            fail(
                "this machine has no AVX2; kcc's CPU code needs x86-64-v3 or newer, `eager` runs anywhere"
                    .into(),
            )
        });
    }
    let row = ROWS.iter().find(|r| r.target == target).ok_or_else(|| {
        let known: Vec<&str> = ROWS.iter().map(|r| r.target).collect();
        fail(format!("there is no such CPU target; there are {NATIVE}, {}", known.join(", ")))
    })?;
    if !(row.runs)() {
        return Err(fail(format!(
            "this machine lacks some of its instructions; it runs {}",
            native().unwrap_or("none of kcc's CPU targets")
        )));
    }
    Ok(row.target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_resolves_to_a_target_that_runs_here() {
        if let Some(t) = native() {
            assert_eq!(resolve(NATIVE).unwrap(), t);
            assert_eq!(resolve(t).unwrap(), t);
        }
    }

    #[test]
    fn an_unknown_target_is_named_with_the_known_ones() {
        let e = resolve("cpu:pentium").unwrap_err().to_string();
        assert!(e.contains("cpu:pentium") && e.contains("cpu:x86-64-v3"), "{e}");
    }
}
