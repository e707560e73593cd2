//! Every check between arguments and a kernel's parameters.
//!
//! ```text
//! check_types ─ count, kind, element type, rank      check_specs ─ strides, alignments      what the code was compiled for
//! check_memory ─ dims, whose memory, no sharing      check_grid (grid.rs)                    what a launch itself must keep
//! ```
//! Whoever chose code by [`has_type`] and [`has_layout`] need not check those again.

use super::{Arg, Label, Place, Raw};
use crate::error::{ArgumentProblem, Error, Result, ViewError};
use crate::tensor::may_overlap;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Param, ParamKind};

/// Whether kind, element type and rank are the parameter's.
pub(crate) fn has_type(param: &Param, arg: &Arg<'_>) -> bool {
    match (param.kind, &arg.raw) {
        (ParamKind::View { elem, rank, mutable }, Raw::View(v)) => {
            elem == v.elem && rank == v.layout.rank() && (!mutable || v.mutable)
        }
        (ParamKind::Scalar(elem), Raw::Scalar { elem: given, .. }) => elem == *given,
        _ => false,
    }
}

/// Whether the axis of stride 1 is where the code relies on it.
pub(crate) fn has_unit_axis(spec: &ArgSpec, arg: &Arg<'_>) -> bool {
    match &arg.raw {
        Raw::View(v) => spec.unit_axis.is_none_or(|a| v.layout.strides.get(usize::from(a)) == Some(&1)),
        Raw::Scalar { .. } => true,
    }
}

/// Whether strides and the facts beyond them, which only code for GPUs relies on, hold. (Code for any strides runs on all.)
pub(crate) fn has_layout(spec: &ArgSpec, arg: &Arg<'_>) -> bool {
    let plain = ArgSpec { unit_axis: spec.unit_axis, ..ArgSpec::default() };
    // More than one axis may have stride 1; the facts are then those of the axis that the code relies on.
    let further = || spec.allows(&ArgSpec { unit_axis: spec.unit_axis, ..arg.gpu_spec() });
    has_unit_axis(spec, arg) && (*spec == plain || matches!(arg.raw, Raw::Scalar { .. }) || further())
}

/// [`check_types`] and [`check_memory`].
pub(crate) fn check(kernel: &Label<'_>, params: &[Param], args: &[Arg<'_>], home: Place) -> Result<bool> {
    check_types(kernel, params, args)?;
    check_memory(kernel, params, args, home)
}

/// Whether arguments have the parameters' types: count, kind, element type, rank.
pub(crate) fn check_types(kernel: &Label<'_>, params: &[Param], args: &[Arg<'_>]) -> Result<()> {
    if params.len() != args.len() {
        return Err(Error::ArgumentCount {
            kernel: kernel.to_string(),
            expected: params.len(),
            given: args.len(),
        });
    }
    let mut all = params.iter().zip(args);
    let Some((param, arg)) = all.find(|(param, arg)| !has_type(param, arg)) else { return Ok(()) };
    let problem = match (param.kind, &arg.raw) {
        (ParamKind::Scalar(expected), Raw::Scalar { elem: given, .. }) => {
            ArgumentProblem::Elem { expected, given: *given }
        }
        (ParamKind::View { elem, .. }, Raw::View(v)) if elem != v.elem => {
            ArgumentProblem::Elem { expected: elem, given: v.elem }
        }
        (ParamKind::View { rank, .. }, Raw::View(v)) if rank != v.layout.rank() => {
            ArgumentProblem::Rank { expected: rank, given: v.layout.rank(), dims: v.layout.dims.to_vec() }
        }
        (ParamKind::View { .. }, Raw::View(_)) => {
            ArgumentProblem::Kind { expected: "mutable view", given: "view" }
        }
        (ParamKind::View { .. }, Raw::Scalar { .. }) => {
            ArgumentProblem::Kind { expected: "view", given: "scalar" }
        }
        (ParamKind::Scalar(_), Raw::View(_)) => ArgumentProblem::Kind { expected: "scalar", given: "view" },
    };
    Err(Error::argument(kernel.to_string(), &param.name, problem))
}

/// Whether a launch may touch the memory of arguments of the right types: dims, memory that the device at `home` reaches
/// (the host's always is), and no sharing with what is written.
///
/// Returns whether there is anything to do: `false` if every view that the kernel writes is empty (and it writes one).
pub(crate) fn check_memory(
    kernel: &Label<'_>,
    params: &[Param],
    args: &[Arg<'_>],
    home: Place,
) -> Result<bool> {
    let (mut writes, mut some_element) = (false, false);
    for (param, arg) in params.iter().zip(args) {
        let Raw::View(v) = &arg.raw else { continue };
        let bad = |problem| Error::argument(kernel.to_string(), &param.name, problem);
        if v.layout.dims.iter().any(|&d| d > i64::from(i32::MAX)) {
            return Err(bad(ArgumentProblem::View(ViewError::Dims {
                dims: v.layout.dims.to_vec(),
                reason: "an axis of a launch argument has at most 2147483647 elements",
            })));
        }
        if v.place != Place::Host && v.place != home {
            return Err(bad(ArgumentProblem::Place));
        }
        if matches!(param.kind, ParamKind::View { mutable: true, .. }) {
            writes = true;
            some_element |= !v.layout.is_empty();
        }
    }
    check_alias(kernel, params, args)?;
    Ok(some_element || !writes)
}

/// Whether arguments are laid out as code relies on.
pub(crate) fn check_specs(
    kernel: &Label<'_>,
    params: &[Param],
    specs: &[ArgSpec],
    args: &[Arg<'_>],
) -> Result<()> {
    for ((param, spec), arg) in params.iter().zip(specs).zip(args) {
        let Raw::View(v) = &arg.raw else { continue };
        if has_layout(spec, arg) {
            continue;
        }
        let problem = match spec.unit_axis {
            Some(axis) if !has_unit_axis(spec, arg) => ArgumentProblem::Layout {
                expected: format!("axis {axis}"),
                given: v.unit_axis().map_or("no axis".to_owned(), |a| format!("axis {a}")),
            },
            _ => {
                let given = ArgSpec { unit_axis: spec.unit_axis, ..v.gpu_spec() };
                ArgumentProblem::Facts { expected: facts(spec), given: facts(&given) }
            }
        };
        return Err(Error::argument(kernel.to_string(), &param.name, problem));
    }
    Ok(())
}

/// Alignments and sizes, in words.
fn facts(spec: &ArgSpec) -> String {
    let mut s = format!(
        "address to {}, strides to {}, rows to {} bytes",
        1 << spec.align,
        1 << spec.stride_align,
        1 << spec.dim_align
    );
    s.push_str(if spec.fits_i32 { ", under 2 GiB" } else { ", any size" });
    s.push_str(if spec.tma { ", fit for a tensor map" } else { "" });
    s
}

fn check_alias(kernel: &Label<'_>, params: &[Param], args: &[Arg<'_>]) -> Result<()> {
    for (i, (param, arg)) in params.iter().zip(args).enumerate() {
        let (ParamKind::View { mutable: true, .. }, Raw::View(written)) = (param.kind, &arg.raw) else {
            continue;
        };
        for (j, (other_param, other)) in params.iter().zip(args).enumerate() {
            let Raw::View(other) = &other.raw else { continue };
            let distance = other.ptr as i128 - written.ptr as i128;
            let (a, b) = (written.elem.bytes(), other.elem.bytes());
            if i != j && may_overlap(&written.layout, a, &other.layout, b, distance) {
                let problem = ArgumentProblem::Alias { other: other_param.name.clone() };
                return Err(Error::argument(kernel.to_string(), &param.name, problem));
            }
        }
    }
    Ok(())
}
