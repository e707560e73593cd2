//! Decode of multi-head latent attention (DeepSeek-V2, arXiv:2405.04434) over a paged cache.
//!
//! The key projection is absorbed into the query, so that all heads share one latent row per token: its `C` latent elements
//! are key and value at once, the `R` rotary ones are key only.
//!
//! ```text
//! q [H, C | R] · cache [BN, C | R]ᵀ → scores [H, BN] → online softmax → · cache [BN, C] → o [H, C]
//!
//! token t of sequence b is row  table[b, t / page] · page + t % page  of the cache
//! ```
//!
//! What to see: rows found by computed numbers (`gather`, then `load_rows`); a row number of -1 lies outside every view and reads
//! zeros, so that the tail needs no second path; two products summed into one accumulator (`dot_acc`).

use kcc::prelude::*;

/// `q [batch, heads, C + R]`, `cache [rows, C + R]`, `table [batch, pages]`, `lengths [batch]`, `o [batch, heads, C]`.
/// `scale` multiplies the scores; a sequence without tokens gives zeros. Grid: (head blocks, batch).
#[kernel(instances(<bf16, 16, 32, 512, 64>, <f16, 16, 32, 512, 64>))]
pub fn mla_decode<T: Float, const H: usize, const BN: usize, const C: usize, const R: usize>(
    q: &View<T, 3>,
    cache: &View<T, 2>,
    table: &View<i32, 2>,
    lengths: &View<i32, 1>,
    o: &mut View<T, 3>,
    page: Scalar<i32>,
    scale: Scalar<f32>,
) {
    let (head, b) = (program_id(0) * H, program_id(1));
    let (q, table, length) = (q.at(b), table.at(b), lengths.get(b));
    let (latent, rotary) = (q.load::<H, C>((head, 0)), q.load::<H, R>((head, C)));
    let mut max = Vector::full(f32::NEG_INFINITY);
    let mut sum = Vector::<f32, H>::zeros();
    let mut acc = Matrix::<f32, H, C>::zeros();
    for first in (0..length).step_by(BN) {
        let token = first + arange::<BN>();
        let seen = token < length;
        let pages = table.gather(token / page, seen, Tile::zeros());
        let rows = select(seen, pages * page + token % page, Tile::full(-1));
        let (keys, turns) = (cache.load_rows::<BN, C>(rows, 0), cache.load_rows::<BN, R>(rows, C));
        let s = dot_acc(rotary, turns.t(), dot(latent, keys.t())) * (scale * std::f32::consts::LOG2_E);
        let s = fill_where((!seen).row(), s, f32::NEG_INFINITY);
        let new_max = max.max(s.max_rows());
        let p = (s - new_max.col()).exp2();
        let alpha = (max - new_max).exp2();
        sum = sum * alpha + p.sum_rows();
        acc = dot_acc(p.to::<T>(), keys, acc * alpha.col());
        max = new_max;
    }
    let inverse = select(sum == 0.0, Tile::zeros(), 1.0 / sum);
    o.at_mut(b).store((head, 0), (acc * inverse.col()).to());
}

/// One sequence: `q [heads, c + r]`, its rows of the cache, one after another. Gives `[heads, c]`.
pub fn reference(q: &[f64], rows: &[&[f64]], c: usize, scale: f64) -> Vec<f64> {
    let width = rows.first().map_or(c, |r| r.len());
    let mut out = Vec::new();
    for q in q.chunks(width) {
        let score = |r: &[f64]| r.iter().zip(q).map(|(a, b)| a * b).sum::<f64>() * scale;
        let scores: Vec<f64> = rows.iter().map(|r| score(r)).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
        let value =
            |i: usize| rows.iter().zip(&scores).map(|(r, s)| (s - max).exp() / sum * r[i]).sum::<f64>();
        out.extend((0..c).map(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices, numbers, wide};
    use kcc::{Launch, Tensor};

    #[test]
    fn paged_latent_decode_is_its_reference() {
        // Three heads more than a block, a page that is no power of two, lengths from one to more than a block of keys.
        const C: usize = 128;
        const R: usize = 32;
        let (heads, page, pages, slots) = (19, 6, 7, 20);
        let lengths = [1i32, 41, 16];
        let batch = lengths.len();
        let scale = 0.1f32;
        let q = numbers::<bf16>(&[batch, heads, C + R], 1);
        let cache = numbers::<bf16>(&[slots * page, C + R], 2);
        let table = Tensor::from_fn(&[batch, pages], |i| ((i * 7 + 3) % slots) as i32).unwrap();
        let counts = Tensor::from_slice(&lengths, &[batch]).unwrap();
        let (wide_q, wide_cache) = (wide(&q), wide(&cache));
        let mut wanted = Vec::new();
        for (b, q) in wide_q.chunks(heads * (C + R)).enumerate() {
            let row = |t: usize| table.as_slice()[b * pages + t / page] as usize * page + t % page;
            let rows: Vec<&[f64]> =
                (0..lengths[b] as usize).map(|t| &wide_cache[row(t) * (C + R)..][..C + R]).collect();
            wanted.extend(reference(q, &rows, C, scale.into()));
        }
        for device in devices() {
            let mut o = Tensor::<bf16>::zeros(&[batch, heads, C]).unwrap();
            let args = (&q, &cache, &table, &counts, &mut o, page as i32, scale);
            mla_decode::kernel::<bf16, 16, 16, C, R>().launch(&device, (2, batch), args).unwrap();
            // Probabilities and results are rounded to 8 bits: twice 2⁻⁸, and what the sum adds.
            close(&device, &o, &wanted, 0.02);
        }
    }
}
