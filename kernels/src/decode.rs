//! Decode attention: one query per head against a cache of keys, the step that makes one token.
//!
//! The `G` query heads that share a key head form the rows of one small matrix, so that each key and value is
//! read from memory once:
//!
//! ```text
//! q [G, D] · k [BN, D]ᵀ → s [G, BN] → online softmax → · v [BN, D]
//! ```

use crate::attention::{attend, positive};
use crate::error::{Error, Result};
use crate::launch::{dims, expect, smallest};
use crate::softmax::reciprocal_or_zero;
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// `q`, `o`: `[batch, kv heads, queries per kv head, head]`; `k`, `v`: `[batch, kv heads, keys, head]`; `lengths[b]`
/// keys of sequence `b` are real. `scale` is `log2(e) / √head`. Grid: (kv heads, batch).
#[kernel(instances(
    <f32, 1, 32, 128>, <f16, 1, 32, 128>, <bf16, 1, 32, 128>, <f32, 4, 32, 128>, <f16, 4, 32, 128>, <bf16, 4, 32, 128>,
    <f32, 8, 32, 128>, <f16, 8, 32, 128>, <bf16, 8, 32, 128>,
))]
pub fn decode_tile<T: Float + DotElem, const G: usize, const BN: usize, const D: usize>(
    q: &View<T, 4>,
    k: &View<T, 4>,
    v: &View<T, 4>,
    lengths: &View<i32, 1>,
    o: &mut View<T, 4>,
    scale: Scalar<f32>,
) {
    let (h, b) = (program_id(0), program_id(1));
    let (k, v) = (k.at((b, h)), v.at((b, h)));
    let length = lengths.get(b).min(k.dim(0));
    let whole = length / BN * BN;
    let qt = q.at((b, h)).load::<G, D>((0, 0));
    let limit = Vector::splat(length);
    let mut state = (Vector::full(f32::NEG_INFINITY), Vector::zeros(), Matrix::zeros());
    for kv in (0..whole).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, G, BN, D, false>(qt, k, v, kv, limit, scale, state);
    }
    for kv in (whole..length).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, G, BN, D, true>(qt, k, v, kv, limit, scale, state);
    }
    let (_, sum, acc) = state;
    o.at_mut((b, h)).store((0, 0), (acc * reciprocal_or_zero(sum).col()).to());
}

/// Decode attention with scores scaled by `scale` (positive, usually `1 / √head`). `q`, `o`: `[batch, heads, head]`; `k`,
/// `v`: `[batch, kv heads, keys, head]`, `kv heads` dividing `heads` into groups of at most 16; `lengths [batch]`: the real
/// keys of each sequence. Heads of up to 256 elements. A sequence without keys gives zeros.
///
/// # Errors
/// Dims that do not go together, too long a head or too large a group, a scale that is not positive, or the launch failed.
pub fn decode<T: Float + DotElem>(
    device: &Device,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    lengths: &TensorView<'_, i32>,
    o: &mut TensorViewMut<'_, T>,
    scale: f32,
) -> Result {
    let [batch, heads, head] = dims::<3>("decode", "q", &q.dims())?;
    let [_, kv_heads, keys, _] = dims::<4>("decode", "k", &k.dims())?;
    expect("decode", "k", &k.dims(), &[batch, kv_heads, keys, head])?;
    expect("decode", "v", &v.dims(), &k.dims())?;
    expect("decode", "lengths", &lengths.dims(), &[batch])?;
    expect("decode", "o", &o.dims(), &q.dims())?;
    if batch * heads * head == 0 {
        return Ok(());
    }
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) || heads / kv_heads > 16 || head > 256 {
        let reason = format!(
            "{heads} heads of {head} over {kv_heads} key heads: key heads must divide heads into groups of at most \
             16, of at most 256 elements"
        );
        return Err(Error::Unsupported { kernel: "decode", reason });
    }
    positive("decode", scale)?;
    let group = heads / kv_heads;
    let grouped = [batch, kv_heads, group, head];
    let (q, mut o) = (q.clone().reshape(&grouped)?, o.reborrow().reshape(&grouped)?);
    smallest!(group, [1, 2, 4, 8, 16], |G| by_head::<T, G>(device, &q, (k, v), lengths, &mut o, scale), else Ok(()))
}

fn by_head<T: Float + DotElem, const G: usize>(
    device: &Device,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    lengths: &TensorView<'_, i32>,
    o: &mut TensorViewMut<'_, T>,
    scale: f32,
) -> Result {
    let (batch, kv_heads, head) = (q.dim(0), q.dim(1), q.dim(3));
    let grid = [kv_heads, batch, 1];
    let args = (q, k, v, lengths, o, scale * std::f32::consts::LOG2_E);
    smallest!(head, [32, 64, 96, 128, 256],
        |D| decode_tile::kernel::<T, G, 32, D>().launch(device, grid, args)?,
        else {});
    Ok(())
}
