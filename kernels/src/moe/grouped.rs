//! Matrix products in which each group of rows has its own right-hand side: the two layers of an expert.
//!
//! A program makes `BN` columns of all rows of one expert, `BM` rows at a time, so that a weight is read from memory
//! once however many tokens chose the expert. Rows are found through `order` (see [`super::permute`]); a row number
//! of -1 is outside every view: it reads zeros and is not written.

use crate::activation::silu;
use kcc_dsl::prelude::*;

/// `h[r] = silu(x[t] · gate[e]) · (x[t] · up[e])` for each sorted row `r` of expert `e`, `t = order[r] / choices`.
///
/// `x [tokens, hidden]`, `gate`, `up [experts, hidden, inner]`, `h [slots, inner]`. Grid: (column blocks of `h`,
/// experts).
#[kernel(
    instances(<f32, 8, 64, 64>, <f16, 8, 64, 64>, <bf16, 8, 64, 64>),
    candidates(<f32, 96, 64, 64>, <bf16, 96, 256, 64>, <f32, 16, 64, 64>, <f16, 64, 64, 64>, <bf16, 64, 64, 64>, <f16, 64, 128, 64>, <bf16, 64, 128, 64>),
)]
pub fn grouped_swiglu_tile<T: Float + DotElem, const BM: usize, const BN: usize, const BK: usize>(
    x: &View<T, 2>,
    gate: &View<T, 3>,
    up: &View<T, 3>,
    starts: &View<i32, 1>,
    order: &View<i32, 1>,
    h: &mut View<T, 2>,
    choices: Scalar<i32>,
) {
    let (n, expert) = (program_id(0) * BN, program_id(1));
    let (begin, end) = (starts.get(expert), starts.get(expert + 1));
    let (gate, up) = (gate.at(expert), up.at(expert));
    for row in (begin..end).step_by(BM) {
        let rows = row + arange::<BM>();
        let inside = rows < end;
        let tokens = select(inside, order.load::<BM>(row) / choices, Tile::full(-1));
        let mut g = Matrix::<f32, BM, BN>::zeros();
        for k in (0..x.dim(1)).step_by(BK) {
            g = dot_acc(x.load_rows::<BM, BK>(tokens, k), gate.load::<BK, BN>((k, n)), g);
        }
        let mut u = Matrix::<f32, BM, BN>::zeros();
        for k in (0..x.dim(1)).step_by(BK) {
            u = dot_acc(x.load_rows::<BM, BK>(tokens, k), up.load::<BK, BN>((k, n)), u);
        }
        h.store_rows(select(inside, rows, Tile::full(-1)), n, (silu(g) * u).to());
    }
}

/// `y[order[r]] = h[r] · down[e]` for each sorted row `r` of expert `e`.
///
/// `h [slots, inner]`, `down [experts, inner, hidden]`, `y [slots, hidden]`. Grid: (column blocks of `y`, experts).
#[kernel(
    instances(<f32, 8, 64, 64>, <f16, 8, 64, 64>, <bf16, 8, 64, 64>),
    candidates(<f32, 96, 64, 64>, <bf16, 96, 256, 64>, <f32, 16, 64, 64>, <f16, 64, 64, 64>, <bf16, 64, 64, 64>, <f16, 64, 128, 64>, <bf16, 64, 128, 64>),
)]
pub fn grouped_down_tile<T: Float + DotElem, const BM: usize, const BN: usize, const BK: usize>(
    h: &View<T, 2>,
    down: &View<T, 3>,
    starts: &View<i32, 1>,
    order: &View<i32, 1>,
    y: &mut View<T, 2>,
) {
    let (n, expert) = (program_id(0) * BN, program_id(1));
    let (begin, end) = (starts.get(expert), starts.get(expert + 1));
    let down = down.at(expert);
    for row in (begin..end).step_by(BM) {
        let inside = row + arange::<BM>() < end;
        let mut acc = Matrix::<f32, BM, BN>::zeros();
        for k in (0..h.dim(1)).step_by(BK) {
            acc = dot_acc(h.load::<BM, BK>((row, k)), down.load::<BK, BN>((k, n)), acc);
        }
        y.store_rows(select(inside, order.load::<BM>(row), Tile::full(-1)), n, acc.to());
    }
}
