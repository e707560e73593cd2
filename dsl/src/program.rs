//! Which program of the grid this is, and promises to the compiler.

use crate::ir::OpKind;
use crate::shape::D0;
use crate::stage::fail::fail;
use crate::stage::{emit, emit1, tile_type};
use crate::tile::Scalar;

#[track_caller]
fn axis(axis: usize) -> u8 {
    if axis > 2 {
        fail(format!("a grid has no axis {axis}"), "a grid has the axes 0, 1 and 2");
    }
    axis as u8
}

/// This program's index along grid axis 0, 1 or 2.
#[track_caller]
pub fn program_id(grid_axis: usize) -> Scalar<i32> {
    Scalar::from_id(emit1(OpKind::ProgramId(axis(grid_axis)), &[], tile_type::<i32, D0>()))
}

/// Number of programs along grid axis 0, 1 or 2.
#[track_caller]
pub fn num_programs(grid_axis: usize) -> Scalar<i32> {
    Scalar::from_id(emit1(OpKind::NumPrograms(axis(grid_axis)), &[], tile_type::<i32, D0>()))
}

/// Promises that `condition` holds; code may rely on it. Eager mode checks it.
#[track_caller]
pub fn assume(condition: Scalar<bool>) {
    emit(OpKind::Assume, &[condition.id()], &[]);
}
