//! How the layouts of an operation's operands follow from its result's.

use crate::error::{Error, bug};
use crate::layout::{Coord, Dim, Linear};
use kcc_dsl::ir::OpKind;

/// A layout seen through a map of coordinates onto another tile, without redundant registers.
///
/// # Errors
/// A tile that no layout can hold.
pub fn project(
    layout: &Linear,
    shape: &[usize],
    mut image: impl FnMut(Coord) -> Coord,
) -> Result<Linear, Error> {
    let extents: Vec<u32> = shape.iter().map(|e| (*e as u32).next_power_of_two()).collect();
    let bases: Vec<(Dim, Vec<Coord>)> = [Dim::Register, Dim::Lane, Dim::Warp, Dim::Block]
        .into_iter()
        .map(|dim| (dim, layout.basis(dim).iter().map(|v| image(*v)).collect()))
        .collect();
    let all = bases.iter().map(|(d, b)| (*d, b.as_slice()));
    let mapped = Linear::new(&extents, all).map_err(|e| bug(format!("a layout of {shape:?}: {e}")))?;
    Ok(mapped.dense().layout)
}

/// The layout of one axis of a tile, replicated over the others.
///
/// # Errors
/// As [`project`].
pub fn axis_of(layout: &Linear, axis: usize, extent: usize) -> Result<Linear, Error> {
    project(layout, &[extent], |c| [c[axis], 0, 0])
}

/// The layout that operand `index` (of that shape) must have so that an operation of that kind, with a result in `layout`,
/// moves nothing between threads; `None` if no such rule exists.
///
/// # Errors
/// As [`project`].
pub fn operand_layout(
    kind: &OpKind,
    index: usize,
    layout: &Linear,
    result: &[usize],
    operand: &[usize],
) -> Result<Option<Linear>, Error> {
    Ok(match kind {
        OpKind::Broadcast { axes } => Some(project(layout, operand, |c| {
            let mut o = [0; 3];
            for (i, a) in axes.iter().enumerate() {
                let stretched = operand[i] == 1;
                o[i] = if stretched { 0 } else { c[usize::from(*a)] };
            }
            o
        })?),
        OpKind::Transpose { perm } => Some(project(layout, operand, |c| {
            let mut o = [0; 3];
            for (i, p) in perm.iter().enumerate() {
                o[usize::from(*p)] = c[i];
            }
            o
        })?),
        OpKind::Reshape if powers_of_two(result) && powers_of_two(operand) => {
            let extents: Vec<u32> = operand.iter().map(|e| *e as u32).collect();
            let reshaped = layout.reshape(&extents).map_err(|e| bug(format!("a reshape: {e}")))?;
            Some(reshaped)
        }
        // Extents of 1 come and go without moving anything.
        OpKind::Reshape if without_ones(result) == without_ones(operand) => {
            let from: Vec<usize> = (0..result.len()).filter(|a| result[*a] != 1).collect();
            let to: Vec<usize> = (0..operand.len()).filter(|a| operand[*a] != 1).collect();
            Some(project(layout, operand, |c| {
                let mut o = [0; 3];
                for (f, t) in from.iter().zip(&to) {
                    o[*t] = c[*f];
                }
                o
            })?)
        }
        OpKind::LoadRows { .. } if index == 1 => Some(axis_of(layout, 0, operand[0])?),
        _ => None,
    })
}

fn powers_of_two(shape: &[usize]) -> bool {
    shape.iter().all(|e| e.is_power_of_two())
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|e| *e != 1).collect()
}
