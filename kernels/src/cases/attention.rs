//! Cases of attention: batched, packed, decode.

use super::compare::{F32, close};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::attention::{Scores, Sizes, attention, attention_packed, reference};
use crate::attention_half::attention_half;
use crate::decode::decode;
use kcc_dsl::prelude::*;
use kcc_runtime::{TensorView, TensorViewMut};

pub(super) fn cases<T: Value + DotElem>(all: &mut Vec<Case>) {
    let size =
        |batch, heads, kv_heads, queries, keys, head| Sizes { batch, heads, kv_heads, queries, keys, head };
    for causal in [false, true] {
        all.push(batch_case::<T>(size(1, 1, 1, 1, 1, 32), vec![1], causal));
        all.push(batch_case::<T>(size(2, 2, 1, 67, 67, 32), vec![67, 13], causal));
        all.push(batch_case::<T>(size(1, 4, 2, 5, 130, 64), vec![130], causal));
        all.push(batch_case::<T>(size(1, 1, 1, 70, 33, 40), vec![33], causal));
        all.push(half_case::<T, false>(size(2, 2, 1, 67, 67, 64), vec![67, 13], causal));
        all.push(half_case::<T, true>(size(1, 2, 1, 5, 130, 40), vec![129], causal));
        all.push(packed_case::<T>(vec![1, 40, 0, 33], (2, 1, 32), causal));
        all.push(packed_case::<T>(vec![64, 32], (1, 1, 24), causal));
    }
    all.push(batch_case::<T>(size(1, 1, 1, 9, 70, 256), vec![70], false));
    all.push(batch_case::<T>(size(3, 1, 1, 3, 5, 96), vec![0, 5, 2], false));
    all.push(batch_case::<T>(size(0, 1, 1, 3, 5, 32), vec![], false));
    all.push(batch_case::<T>(size(1, 2, 1, 3, 0, 32), vec![0], false));
    all.push(decode_case::<T>(size(1, 1, 1, 1, 1, 32), vec![1]));
    all.push(decode_case::<T>(size(2, 8, 2, 1, 200, 64), vec![200, 129]));
    all.push(decode_case::<T>(size(3, 6, 2, 1, 131, 128), vec![0, 128, 131]));
    all.push(decode_case::<T>(size(2, 2, 1, 1, 130, 32), vec![127, 31]));
}

/// Scores are sums of `head` products of numbers below 1, scaled: `head + 2` units of at most `√head`, exponents and
/// their denominators twice that, `keys` units in each sum, and the weights are rounded to the element type before
/// they meet the values, which are below 1.
fn bound<T: Value>(z: Sizes) -> f64 {
    let (head, keys) = (z.head as f64, z.keys as f64);
    let scores = (head + 4.0) * head.sqrt();
    F32 * (2.0 * scores + 2.0 * keys + 40.0) + if T::ELEM.bytes() < 4 { 2.0 * T::UNIT } else { 0.0 }
}

fn batch_case<T: Value + DotElem>(z: Sizes, lengths: Vec<usize>, causal: bool) -> Case {
    Case::new(format!("attention {} {z:?} lengths {lengths:?} causal {causal}", T::ELEM), move |device| {
        batch::<T>(z, &lengths, causal, bound::<T>(z), &|q, kv, lengths, o, scores| {
            attention(device, q, kv, lengths, o, scores)
        })
    })
}

/// Units of `f16` that a weight is off by, of itself: its score and the row's largest, which are at most `√head` after scaling, the scale, and
/// the exponential; as much for the denominator, and half a unit for a block's weighted values.
fn half_case<T: Value + DotElem, const HALF_SUMS: bool>(z: Sizes, lengths: Vec<usize>, causal: bool) -> Case {
    let name = format!("attention_half {} {z:?} lengths {lengths:?} causal {causal} {HALF_SUMS}", T::ELEM);
    Case::new(name, move |device| {
        let weight = (5.0 * (z.head as f64).sqrt() + 2.0) * 2f64.powi(-11);
        let bound = bound::<T>(z) + 2.0 * weight + 2f64.powi(-11);
        batch::<T>(z, &lengths, causal, bound, &|q, kv, lengths, o, scores| {
            attention_half::<T, HALF_SUMS>(device, q, kv, lengths, o, scores)
        })
    })
}

type Launched<'l, T> = dyn Fn(
        &TensorView<'_, T>,
        (&TensorView<'_, T>, &TensorView<'_, T>),
        &TensorView<'_, i32>,
        &mut TensorViewMut<'_, T>,
        Scores,
    ) -> crate::error::Result
    + 'l;

fn batch<T: Value + DotElem>(
    z: Sizes,
    lengths: &[usize],
    causal: bool,
    bound: f64,
    launch: &Launched<'_, T>,
) -> Result<(), String> {
    let mut random = Random::new(11);
    let (qn, kn) = (z.batch * z.heads * z.queries * z.head, z.batch * z.kv_heads * z.keys * z.head);
    let (q, k, v): (Vec<T>, Vec<T>, Vec<T>) =
        (random.values(qn, 1.0), random.values(kn, 1.0), random.values(kn, 1.0));
    let q_dims = [z.batch, z.heads, z.queries, z.head];
    let k_dims = [z.batch, z.kv_heads, z.keys, z.head];
    let (tq, tk, tv) = (tensor(&q, &q_dims)?, tensor(&k, &k_dims)?, tensor(&v, &k_dims)?);
    let counts: Vec<i32> = lengths.iter().map(|&n| n as i32).collect();
    let tl = tensor(&counts, &[counts.len()])?;
    let mut o = untouched::<T>(&q_dims)?;
    let scale = 1.0 / (z.head as f32).sqrt();
    let scores = Scores { scale, causal };
    launch(&tq.view(), (&tk.view(), &tv.view()), &tl.view(), &mut o.view_mut(), scores).map_err(text)?;
    let want = reference(z, (&exact(&q), &exact(&k), &exact(&v)), lengths, causal, scale.into());
    close(o.as_slice(), &want, |_| bound)
}

fn packed_case<T: Value + DotElem>(
    lengths: Vec<usize>,
    (heads, kv_heads, head): (usize, usize, usize),
    causal: bool,
) -> Case {
    Case::new(
        format!("attention_packed {} {lengths:?}x{heads}x{head} causal {causal}", T::ELEM),
        move |device| {
            let rows: usize = lengths.iter().sum();
            let mut starts = vec![0i32];
            lengths.iter().for_each(|&n| starts.push(starts[starts.len() - 1] + n as i32));
            let mut random = Random::new(12);
            let (q, k, v): (Vec<T>, Vec<T>, Vec<T>) = (
                random.values(heads * rows * head, 1.0),
                random.values(kv_heads * rows * head, 1.0),
                random.values(kv_heads * rows * head, 1.0),
            );
            let tq = tensor(&q, &[heads, rows, head])?;
            let (tk, tv) = (tensor(&k, &[kv_heads, rows, head])?, tensor(&v, &[kv_heads, rows, head])?);
            let ts = tensor(&starts, &[starts.len()])?;
            let mut o = untouched::<T>(&[heads, rows, head])?;
            let scale = 1.0 / (head as f32).sqrt();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let (vk, vv) = (tk.view(), tv.view());
            let scores = Scores { scale, causal };
            attention_packed(
                device,
                &tq.view(),
                (&vk, &vv),
                (&ts.view(), longest),
                &mut o.view_mut(),
                scores,
            )
            .map_err(text)?;
            let (q, k, v, got) = (exact(&q), exact(&k), exact(&v), o.as_slice());
            for (b, &n) in lengths.iter().enumerate() {
                let first = starts[b] as usize;
                let part = |x: &[f64], heads: usize| -> Vec<f64> {
                    (0..heads)
                        .flat_map(|h| x[(h * rows + first) * head..(h * rows + first + n) * head].to_vec())
                        .collect()
                };
                let z = Sizes { batch: 1, heads, kv_heads, queries: n, keys: n, head };
                let (q, k, v) = (part(&q, heads), part(&k, kv_heads), part(&v, kv_heads));
                let want = reference(z, (&q, &k, &v), &[n], causal, scale.into());
                let got: Vec<T> = (0..heads)
                    .flat_map(|h| got[(h * rows + first) * head..(h * rows + first + n) * head].to_vec())
                    .collect();
                close(&got, &want, |_| bound::<T>(z)).map_err(|e| format!("sequence {b}: {e}"))?;
            }
            Ok(())
        },
    )
}

fn decode_case<T: Value + DotElem>(z: Sizes, lengths: Vec<usize>) -> Case {
    Case::new(format!("decode {} {z:?} lengths {lengths:?}", T::ELEM), move |device| {
        let mut random = Random::new(13);
        let kn = z.batch * z.kv_heads * z.keys * z.head;
        let q: Vec<T> = random.values(z.batch * z.heads * z.head, 1.0);
        let (k, v): (Vec<T>, Vec<T>) = (random.values(kn, 1.0), random.values(kn, 1.0));
        let k_dims = [z.batch, z.kv_heads, z.keys, z.head];
        let (tk, tv) = (tensor(&k, &k_dims)?, tensor(&v, &k_dims)?);
        let tq = tensor(&q, &[z.batch, z.heads, z.head])?;
        let counts: Vec<i32> = lengths.iter().map(|&n| n as i32).collect();
        let tl = tensor(&counts, &[counts.len()])?;
        let mut o = untouched::<T>(&[z.batch, z.heads, z.head])?;
        let scale = 1.0 / (z.head as f32).sqrt();
        decode(device, &tq.view(), (&tk.view(), &tv.view()), &tl.view(), &mut o.view_mut(), scale)
            .map_err(text)?;
        let want = reference(z, (&exact(&q), &exact(&k), &exact(&v)), &lengths, false, scale.into());
        close(o.as_slice(), &want, |_| bound::<T>(z))
    })
}
