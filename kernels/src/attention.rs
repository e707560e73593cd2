//! Attention over a batch or over packed sequences: `softmax(q · kᵀ · scale + mask) · v`, one pass over the keys.
//!
//! A program holds `BM` queries of one head and walks over the keys in blocks of `BN`, keeping the running maximum
//! and sum of each row (Dao et al., arXiv:2205.14135). Blocks that every query sees whole come first, without a
//! mask; only the blocks on the diagonal and the last one are masked:
//!
//! ```text
//! keys →   0        BN       2BN      3BN
//! queries ┌────────┬────────┬───╲────┐
//!    ↓    │  full  │  full  │mask ╲  │
//!         └────────┴────────┴──────╲─┘
//! ```
//!
//! Heads of `k` and `v` may be fewer than heads of `q` (grouped queries). A query that sees no key gives zeros.

use crate::error::{Error, Result};
use crate::launch::{dims, expect, smallest};
use crate::softmax::{finite_max, reciprocal_or_zero};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// Running maximum, sum and weighted values of `BM` queries.
pub(crate) type State<const BM: usize, const D: usize> =
    (Vector<f32, BM>, Vector<f32, BM>, Matrix<f32, BM, D>);

/// One block of keys, for decode as well: keys at or beyond a query's `limit` (counted like `seen`, the position of the
/// block within its sequence) are hidden if `MASK`.
#[function]
pub(crate) fn attend<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const D: usize,
    const MASK: bool,
>(
    q: Matrix<T, BM, D>,
    k: Matrix<T, BN, D>,
    v: Matrix<T, BN, D>,
    seen: Scalar<i32>,
    limit: Vector<i32, BM>,
    scale: Scalar<f32>,
    (max, sum, acc): State<BM, D>,
) -> State<BM, D> {
    let mut s = dot(q, k.t());
    if MASK {
        let keys = seen + arange::<BN>();
        s = fill_where(keys.row() >= limit.col(), s, f32::NEG_INFINITY);
    }
    // The largest score is the largest product's: the scale is positive. Its multiplication goes into the subtraction's.
    let new_max = max.max(s.max_rows() * scale);
    let base = if MASK { finite_max(new_max) } else { new_max };
    let p = s.fma(Matrix::splat(scale), (-base).col().broadcast()).exp2();
    let alpha = (max - base).exp2();
    (new_max, sum * alpha + p.sum_rows(), dot_acc(p.to::<T>(), v, acc * alpha.col()))
}

/// Where the keys end that each of `BM` queries sees, that all of them see in whole blocks, and that any of them sees; of `length` keys, of which
/// the first query sees `first` if `CAUSAL`.
#[function]
pub(crate) fn visible<const BM: usize, const BN: usize, const CAUSAL: bool>(
    length: Scalar<i32>,
    first: Scalar<i32>,
) -> (Vector<i32, BM>, Scalar<i32>, Scalar<i32>) {
    let mut limit = Vector::splat(length);
    let (mut whole, mut end) = (length, length);
    if CAUSAL {
        limit = limit.min(first + arange::<BM>());
        whole = whole.min(first);
        end = end.min(first + (BM - 1));
    }
    (limit, whole.max(Scalar::zeros()) / BN * BN, end)
}

/// Attention of a batch. `q`, `o`: `[batch, heads, queries, head]`; `k`, `v`: `[batch, kv heads, keys, head]`;
/// `lengths[b]`: how many keys of sequence `b` are real. With `CAUSAL`, query `i` sees keys up to
/// `i + keys - queries`. `scale`, positive, is `log2(e) / √head`. Grid: (query blocks, heads, batch).
#[kernel(instances(
    <f32, 64, 64, 64, false>, <f32, 64, 64, 64, true>, <f32, 32, 64, 128, false>, <f32, 32, 64, 128, true>,
    <bf16, 64, 128, 64, false>, <bf16, 64, 64, 64, true>, <bf16, 64, 128, 128, false>, <bf16, 64, 64, 128, true>,
    <f16, 64, 128, 64, false>, <f16, 64, 64, 64, true>, <f16, 64, 128, 128, false>, <f16, 64, 64, 128, true>,
    <f32, 32, 32, 128, false>, <f32, 32, 32, 128, true>, <f16, 64, 64, 128, false>, <bf16, 64, 64, 128, false>,
))]
pub fn attention_tile<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const D: usize,
    const CAUSAL: bool,
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
    let qt = q.at((b, h)).load::<BM, D>((row, 0));
    let mut state = (Vector::full(f32::NEG_INFINITY), Vector::zeros(), Matrix::zeros());
    for kv in (0..whole).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, BM, BN, D, false>(qt, k, v, kv, limit, scale, state);
    }
    for kv in (whole..end).step_by(BN) {
        let (k, v) = (k.load::<BN, D>((kv, 0)), v.load::<BN, D>((kv, 0)));
        state = attend::<T, BM, BN, D, true>(qt, k, v, kv, limit, scale, state);
    }
    let (_, sum, acc) = state;
    o.at_mut((b, h)).store((row, 0), (acc * reciprocal_or_zero(sum).col()).to());
}

/// Attention within packed sequences: sequence `b` is rows `starts[b]..starts[b + 1]`. `q`, `o`:
/// `[heads, rows, head]`; `k`, `v`: `[kv heads, rows, head]`. Grid: (query blocks of the longest sequence, heads,
/// sequences). Otherwise as [`attention_tile()`].
#[kernel(instances(<f32, 32, 32, 32, false>, <bf16, 32, 32, 32, false>, <f16, 32, 32, 32, false>))]
pub fn attention_packed_tile<
    T: Float + DotElem,
    const BM: usize,
    const BN: usize,
    const D: usize,
    const CAUSAL: bool,
>(
    q: &View<T, 3>,
    k: &View<T, 3>,
    v: &View<T, 3>,
    starts: &View<i32, 1>,
    o: &mut View<T, 3>,
    scale: Scalar<f32>,
) {
    let (row, h, b) = (program_id(0) * BM, program_id(1), program_id(2));
    let kv_head = h / (q.dim(0) / k.dim(0));
    let (k, v) = (k.at(kv_head), v.at(kv_head));
    let begin = starts.get(b);
    let length = starts.get(b + 1) - begin;
    if row < length {
        let mut limit = Vector::splat(length);
        let (mut whole, mut end) = (length, length);
        if CAUSAL {
            limit = limit.min(row + 1 + arange::<BM>());
            whole = whole.min(row + 1);
            end = end.min(row + BM);
        }
        let whole = whole / BN * BN;
        let qt = q.at(h).load::<BM, D>((begin + row, 0));
        let mut state = (Vector::full(f32::NEG_INFINITY), Vector::zeros(), Matrix::zeros());
        for kv in (0..whole).step_by(BN) {
            let (k, v) = (k.load::<BN, D>((begin + kv, 0)), v.load::<BN, D>((begin + kv, 0)));
            state = attend::<T, BM, BN, D, false>(qt, k, v, kv, limit, scale, state);
        }
        for kv in (whole..end).step_by(BN) {
            let (k, v) = (k.load::<BN, D>((begin + kv, 0)), v.load::<BN, D>((begin + kv, 0)));
            state = attend::<T, BM, BN, D, true>(qt, k, v, kv, limit, scale, state);
        }
        let (_, sum, acc) = state;
        let out = (acc * reciprocal_or_zero(sum).col()).to();
        // Rows beyond the sequence belong to the next one: row -1 is outside the view and is not written.
        let rows = row + arange::<BM>();
        let rows = select(rows < length, rows + begin, Tile::full(-1));
        o.at_mut(h).store_rows(rows, 0, out);
    }
}

/// How scores are formed.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    /// Multiplies `q · k`; positive, usually `1 / √head`.
    pub scale: f32,
    /// Whether query `i` sees only keys up to `i + keys - queries`.
    pub causal: bool,
}

/// Attention of a batch. `q`, `o`: `[batch, heads, queries, head]`; `k`, `v`: `[batch, kv heads, keys, head]`, `kv heads`
/// dividing `heads`; `lengths [batch]`: the real keys of each sequence, at most `keys`. Heads of up to 256 elements.
/// A query that sees no key gives zeros.
///
/// # Errors
/// Dims that do not go together, too long a head, a scale that is not positive, or the launch failed.
pub fn attention<T: Float + DotElem>(
    device: &Device,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    lengths: &TensorView<'_, i32>,
    o: &mut TensorViewMut<'_, T>,
    scores: Scores,
) -> Result {
    let Some([batch, heads, queries, head]) = sizes("attention", q, (k, v), lengths, o, scores.scale)? else {
        return Ok(());
    };
    let grid = |rows: usize| [queries.div_ceil(rows), heads, batch];
    let args = (q, k, v, lengths, o, scores.scale * std::f32::consts::LOG2_E);
    if scores.causal {
        smallest!(head, [32, 64, 96, 128, 256],
            |D| if blocks_fit::<T>(device, 64, 64, D) {
                attention_tile::kernel::<T, 64, 64, D, true>().launch(device, grid(64), args)?
            } else if blocks_fit::<T>(device, 32, 32, D) {
                attention_tile::kernel::<T, 32, 32, D, true>().launch(device, grid(32), args)?
            } else {
                attention_tile::kernel::<T, 16, 16, D, true>().launch(device, grid(16), args)?
            },
            else {});
    } else {
        smallest!(head, [32, 64, 96, 128, 256],
            |D| if blocks_fit::<T>(device, 64, 128, D) {
                attention_tile::kernel::<T, 64, 128, D, false>().launch(device, grid(64), args)?
            } else if blocks_fit::<T>(device, 64, 64, D) {
                attention_tile::kernel::<T, 64, 64, D, false>().launch(device, grid(64), args)?
            } else if blocks_fit::<T>(device, 32, 32, D) {
                attention_tile::kernel::<T, 32, 32, D, false>().launch(device, grid(32), args)?
            } else {
                attention_tile::kernel::<T, 16, 16, D, false>().launch(device, grid(16), args)?
            },
            else {});
    }
    Ok(())
}

/// `[batch, heads, queries, head]` of arguments that go together; nothing where there is nothing to compute.
pub(crate) fn sizes<T: Float + DotElem>(
    name: &'static str,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    lengths: &TensorView<'_, i32>,
    o: &TensorViewMut<'_, T>,
    scale: f32,
) -> Result<Option<[usize; 4]>> {
    let [batch, heads, queries, head] = dims::<4>(name, "q", &q.dims())?;
    let [_, kv_heads, keys, _] = dims::<4>(name, "k", &k.dims())?;
    expect(name, "k", &k.dims(), &[batch, kv_heads, keys, head])?;
    expect(name, "v", &v.dims(), &k.dims())?;
    expect(name, "lengths", &lengths.dims(), &[batch])?;
    expect(name, "o", &o.dims(), &q.dims())?;
    if batch * heads * queries * head == 0 {
        return Ok(None);
    }
    supported(name, heads, kv_heads, head)?;
    positive(name, scale)?;
    Ok(Some([batch, heads, queries, head]))
}

/// Whether blocks of `rows` queries and `keys` keys fit the shared memory of a GPU's block. Queries, keys, values and, for
/// `f32`, the probabilities stand there; a CPU has no such limit.
pub(crate) fn blocks_fit<T: Float + DotElem>(device: &Device, rows: usize, keys: usize, head: usize) -> bool {
    let size = size_of::<T>();
    let probabilities = if size == 4 { rows * keys } else { 0 };
    // Tiles are padded to powers of two.
    let bytes = (((rows + 2 * keys) * head.next_power_of_two() + probabilities) * size) as u64;
    device.shared_bytes().is_none_or(|most| bytes <= most)
}

/// Attention within packed sequences: sequence `b` is rows `starts[b]..starts[b + 1]` of `q`, `o`: `[heads, rows, head]`
/// and of `k`, `v`: `[kv heads, rows, head]`. `longest` is the length of the longest sequence. Heads of up to 256
/// elements.
///
/// # Errors
/// Dims that do not go together, too long a head, a scale that is not positive, or the launch failed.
pub fn attention_packed<T: Float + DotElem>(
    device: &Device,
    q: &TensorView<'_, T>,
    (k, v): (&TensorView<'_, T>, &TensorView<'_, T>),
    (starts, longest): (&TensorView<'_, i32>, usize),
    o: &mut TensorViewMut<'_, T>,
    scores: Scores,
) -> Result {
    let name = "attention_packed";
    let [heads, rows, head] = dims::<3>(name, "q", &q.dims())?;
    let [kv_heads, _, _] = dims::<3>(name, "k", &k.dims())?;
    let [entries] = dims::<1>(name, "starts", &starts.dims())?;
    expect(name, "k", &k.dims(), &[kv_heads, rows, head])?;
    expect(name, "v", &v.dims(), &k.dims())?;
    expect(name, "o", &o.dims(), &q.dims())?;
    let longest = longest.min(rows);
    if heads * rows * head * longest == 0 || entries < 2 {
        return Ok(());
    }
    supported(name, heads, kv_heads, head)?;
    positive(name, scores.scale)?;
    let grid = [longest.div_ceil(32), heads, entries - 1];
    let args = (q, k, v, starts, o, scores.scale * std::f32::consts::LOG2_E);
    if scores.causal {
        smallest!(head, [32, 64, 96, 128, 256],
            |D| attention_packed_tile::kernel::<T, 32, 32, D, true>().launch(device, grid, args)?,
            else {});
    } else {
        smallest!(head, [32, 64, 96, 128, 256],
            |D| attention_packed_tile::kernel::<T, 32, 32, D, false>().launch(device, grid, args)?,
            else {});
    }
    Ok(())
}

fn supported(kernel: &'static str, heads: usize, kv_heads: usize, head: usize) -> Result {
    if kv_heads > 0 && heads.is_multiple_of(kv_heads) && head <= 256 {
        return Ok(());
    }
    let reason = format!(
        "{heads} heads of {head} over {kv_heads} key heads: key heads must divide heads, of at most 256 elements"
    );
    Err(Error::Unsupported { kernel, reason })
}

/// The kernels take a row's maximum before they scale it.
pub(crate) fn positive(kernel: &'static str, scale: f32) -> Result {
    if scale > 0.0 && scale.is_finite() {
        return Ok(());
    }
    let reason =
        format!("a scale of {scale}: scores are multiplied by a positive, finite number, such as 1 / √head");
    Err(Error::Unsupported { kernel, reason })
}

/// Sizes of a batch for [`reference()`].
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Sequences.
    pub batch: usize,
    /// Heads of `q`.
    pub heads: usize,
    /// Heads of `k` and `v`; divides `heads`.
    pub kv_heads: usize,
    /// Queries per sequence.
    pub queries: usize,
    /// Keys per sequence.
    pub keys: usize,
    /// Length of a head.
    pub head: usize,
}

/// Attention of row-major `q [batch, heads, queries, head]` over `k`, `v [batch, kv_heads, keys, head]`; `scale`
/// multiplies the scores (no factor `log2(e)`).
pub fn reference(
    z: Sizes,
    (q, k, v): (&[f64], &[f64], &[f64]),
    lengths: &[usize],
    causal: bool,
    scale: f64,
) -> Vec<f64> {
    let mut o = vec![0.0; z.batch * z.heads * z.queries * z.head];
    for (i, o) in o.chunks_mut(z.head.max(1)).enumerate() {
        let (row, h, b) = (i % z.queries, i / z.queries % z.heads, i / z.queries / z.heads);
        let visible = if causal { (row + 1 + z.keys).saturating_sub(z.queries) } else { z.keys };
        let visible = visible.min(lengths[b]);
        let first = (b * z.kv_heads + h / (z.heads / z.kv_heads)) * z.keys * z.head;
        let q = &q[i * z.head..(i + 1) * z.head];
        let key = |j: usize| first + j * z.head..first + (j + 1) * z.head;
        let s: Vec<f64> =
            (0..visible).map(|j| scale * q.iter().zip(&k[key(j)]).map(|(a, b)| a * b).sum::<f64>()).collect();
        let max = s.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let p: Vec<f64> = s.iter().map(|s| (s - max).exp()).collect();
        let sum: f64 = p.iter().sum();
        for (j, p) in p.iter().enumerate() {
            for (o, v) in o.iter_mut().zip(&v[key(j)]) {
                *o += p / sum * v;
            }
        }
    }
    o
}
