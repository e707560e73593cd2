//! Attention whose scores are of half precision: half the traffic between an NPU's kinds of core, which is what limits attention there.
//!
//! ```text
//! attention_tile        scores f32            exp2(s · scale - max) in f32
//! attention_half_tile   scores rounded to f16 exp((s - max) · scale) in f16, sums in f32
//! ```
//! It is for those who can bear what it costs: a score `s = q · k`, before it is scaled, is rounded by up to `|s| · 2⁻¹²`, its distance from the row's
//! largest twice by as much, `scale` once, and a block's weighted values, if `HALF_SUMS`, once more. So a weight is off by about `|s - max| · scale · 2⁻¹⁰`
//! of itself and `|s| · scale · 2⁻¹¹`: a thousandth for scaled scores of one. Scores are cut to ±65504, and with `HALF_SUMS` so are a block's
//! weighted values, to which values up to `65504 / BN` cannot come. Fold part of the scale into `q` if scores may be that large.

use crate::attention::{Scores, State, blocks_fit, sizes, visible};
use crate::error::Result;
use crate::launch::smallest;
use crate::softmax::{finite_max, reciprocal_or_zero};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// In `f16`, cut to its finite numbers: not-a-number stays.
#[function]
fn halved<const M: usize, const N: usize>(x: Matrix<f32, M, N>) -> Matrix<f16, M, N> {
    x.max_nan(Matrix::splat((-65504.0).to_scalar())).min_nan(Matrix::splat(65504.0.to_scalar())).to()
}

/// One block of keys (see [`crate::attention`]); the maximum is of scores that are not scaled.
#[function]
fn attend<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const D: usize,
    const MASK: bool,
    const HALF_SUMS: bool,
>(
    q: Matrix<T, BM, D>,
    k: Matrix<T, BN, D>,
    v: Matrix<T, BN, D>,
    seen: Scalar<i32>,
    limit: Vector<i32, BM>,
    scale: Scalar<f16>,
    (max, sum, acc): State<BM, D>,
) -> State<BM, D> {
    let mut s = halved(dot(q, k.t()));
    if MASK {
        let keys = seen + arange::<BN>();
        s = fill_where(keys.row() >= limit.col(), s, f16::NEG_INFINITY);
    }
    let new_max = max.max(s.max_rows().to::<f32>());
    let base = if MASK { finite_max(new_max) } else { new_max };
    let p = ((s - base.to::<f16>().col()) * scale).exp();
    let alpha = ((max - base) * scale.to::<f32>()).exp();
    let sum = sum * alpha + p.to::<f32>().sum_rows();
    let acc = if HALF_SUMS {
        acc.fma(alpha.col().broadcast(), halved(dot(p.to::<T>(), v)).to())
    } else {
        dot_acc(p.to::<T>(), v, acc * alpha.col())
    };
    (new_max, sum, acc)
}

/// [`crate::attention::attention_tile()`] with scores of `f16`, and with the weighted values of each block rounded to `f16` if `HALF_SUMS`.
/// `scale`, positive, is `1 / √head`: no factor `log2(e)`. Grid: (query blocks, heads, batch).
#[kernel(instances(<f16, 64, 64, 64, true, false>, <f16, 64, 64, 128, false, false>))]
pub fn attention_half_tile<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const D: usize,
    const CAUSAL: bool,
    const HALF_SUMS: bool,
>(
    q: &View<T, 4>,
    k: &View<T, 4>,
    v: &View<T, 4>,
    lengths: &View<i32, 1>,
    o: &mut View<T, 4>,
    scale: Scalar<f32>,
) {
    let (row, h, b) = (program_id(0) * BM, program_id(1), program_id(2));
    let kv_head = h / (q.dim(1) / k.dim(1));
    let (k, v) = (k.at((b, kv_head)), v.at((b, kv_head)));
    let length = lengths.get(b).min(k.dim(0));
    let (limit, whole, end) = visible::<BM, BN, CAUSAL>(length, row + k.dim(0) - q.dim(2) + 1);
    let scale = scale.to::<f16>();
    let qt = q.at((b, h)).load::<BM, D>((row, 0));
    let mut state = (Vector::full(f32::NEG_INFINITY), Vector::zeros(), Matrix::zeros());
    for kv in (0..whole).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, BM, BN, D, false, HALF_SUMS>(qt, k, v, kv, limit, scale, state);
    }
    for kv in (whole..end).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, BM, BN, D, true, HALF_SUMS>(qt, k, v, kv, limit, scale, state);
    }
    let (_, sum, acc) = state;
    o.at_mut((b, h)).store((row, 0), (acc * reciprocal_or_zero(sum).col()).to());
}

/// [`crate::attention::attention()`] with scores of `f16`, and with the weighted values of each block rounded to `f16` if `HALF_SUMS`: what
/// that costs is said at the top of this module. The same arguments, the same [`crate::attention::reference()`].
///
/// # Errors
/// As for [`crate::attention::attention()`].
pub fn attention_half<T: Float + DotElem, const HALF_SUMS: bool>(
    device: &Device,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    lengths: &TensorView<'_, i32>,
    o: &mut TensorViewMut<'_, T>,
    scores: Scores,
) -> Result {
    let found = sizes("attention_half", q, (k, v), lengths, o, scores.scale)?;
    let Some([batch, heads, queries, head]) = found else { return Ok(()) };
    let grid = |rows: usize| [queries.div_ceil(rows), heads, batch];
    let args = (q, k, v, lengths, o, scores.scale);
    macro_rules! launch {
        ($rows:literal, $D:expr) => {
            if scores.causal {
                attention_half_tile::kernel::<T, $rows, $rows, $D, true, HALF_SUMS>().launch(
                    device,
                    grid($rows),
                    args,
                )?
            } else {
                attention_half_tile::kernel::<T, $rows, $rows, $D, false, HALF_SUMS>().launch(
                    device,
                    grid($rows),
                    args,
                )?
            }
        };
    }
    smallest!(head, [64, 128, 256],
        |D| if blocks_fit::<T>(device, 64, 64, D) {
            launch!(64, D)
        } else {
            launch!(16, D)
        },
        else {});
    Ok(())
}
