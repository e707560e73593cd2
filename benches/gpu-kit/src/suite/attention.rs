//! Attention, forward.

use super::{Bench, Check, Config, Outcome, Shared, Suite, label, options, tensor, text, untouched};
use crate::timing::{Effort, Rotation, seconds};
use kcc_dsl::prelude::*;
use kcc_kernels::attention::{Sizes, attention_tile, reference};
use kcc_kernels::cases::compare::{F32, close};
use kcc_kernels::cases::input::{Random, Value, exact};
use kcc_runtime::{Device, Launch as _, Result, Tensor};
use std::rc::Rc;

/// Tokens in all, and elements of a token: as in the peers' published figures.
const TOKENS: usize = 16_384;
const WIDTH: usize = 2048;

/// Batch, heads, length and head of a problem with sequences of `length`.
fn dims(length: usize, head: usize) -> [usize; 4] {
    [(TOKENS / length).max(1), WIDTH / head, length, head]
}

fn time<T: Float + DotElem, const BM: usize, const BN: usize, const D: usize, const CAUSAL: bool>(
    device: &Device,
    length: usize,
    effort: Effort,
    with: &str,
) -> Result<Option<f64>> {
    let dims = dims(length, D);
    let new = || Rotation::<T>::new(device, &dims, effort);
    let (q, k, v) = (new()?, new()?, new()?);
    let mut o = device.zeros::<T>(&dims)?;
    let lengths = device.upload(&Tensor::full(&[dims[0]], length as i32)?)?;
    let scale = std::f32::consts::LOG2_E / (D as f32).sqrt();
    let kernel = attention_tile::kernel::<T, BM, BN, D, CAUSAL>();
    let ready =
        kernel.prepare(device, (q.at(0), k.at(0), v.at(0), &lengths, &mut o, scale), &options(with))?;
    let grid = [length.div_ceil(BM), dims[1], dims[0]];
    seconds(device, effort, |i| ready.launch(grid, (q.at(i), k.at(i), v.at(i), &lengths, &mut o, scale)))
}

/// A batch of two, the second shorter; more queries than a tile and more keys than two.
fn check<T: Value + DotElem, const BM: usize, const BN: usize, const D: usize, const CAUSAL: bool>(
    device: &Device,
    with: &str,
) -> Outcome {
    let length = BM.max(2 * BN) + 37;
    let z = Sizes { batch: 2, heads: 2, kv_heads: 1, queries: length, keys: length, head: D };
    let lengths = [length, 19];
    let mut random = Random::new(32);
    let (q_dims, k_dims) = ([2, 2, length, D], [2, 1, length, D]);
    let mut values = |dims: &[usize]| random.values::<T>(dims.iter().product(), 1.0);
    let (q, k, v) = (values(&q_dims), values(&k_dims), values(&k_dims));
    let (tq, tk, tv) = (tensor(&q, &q_dims)?, tensor(&k, &k_dims)?, tensor(&v, &k_dims)?);
    let tl = tensor(&lengths.map(|n| n as i32), &[2])?;
    let mut o = untouched::<T>(&q_dims)?;
    let scale = 1.0 / (D as f32).sqrt();
    attention_tile::kernel::<T, BM, BN, D, CAUSAL>()
        .launch_with(
            device,
            [length.div_ceil(BM), 2, 2],
            (&tq, &tk, &tv, &tl, &mut o, scale * std::f32::consts::LOG2_E),
            &options(with),
        )
        .map_err(text)?;
    let want = reference(z, (&exact(&q), &exact(&k), &exact(&v)), &lengths, CAUSAL, scale.into());
    // As in the cases of `kcc-kernels`: scores are sums of D products below 1, scaled; exponents and denominators twice
    // that; one unit per key in each sum; weights are rounded to the element type before they meet the values.
    let scores = (D as f64 + 4.0) * (D as f64).sqrt();
    let bound = F32 * (2.0 * scores + 2.0 * length as f64 + 40.0) + 2.0 * T::UNIT;
    close(o.as_slice(), &want, |_| bound)
}

/// A tile shape, ready for sequences of any length.
struct Tile {
    label: String,
    run: Shared<usize>,
}

fn tile<T: Value + DotElem, const BM: usize, const BN: usize, const D: usize, const CAUSAL: bool>(
    suite: &mut Suite,
    with: &'static str,
) -> Tile {
    let label = label(&[BM, BN], with);
    let name = format!("attention {} d{D} {} {label}", T::ELEM, mask(CAUSAL));
    suite.checks.push(Check::new(name, move |device| check::<T, BM, BN, D, CAUSAL>(device, with)));
    let run: Shared<usize> =
        Rc::new(move |device, length, effort| time::<T, BM, BN, D, CAUSAL>(device, length, effort, with));
    Tile { label, run }
}

fn mask(causal: bool) -> &'static str {
    if causal { "causal" } else { "full" }
}

fn problems<T: Value, const D: usize, const CAUSAL: bool>(suite: &mut Suite, tiles: &[Tile]) {
    for length in [2048, 4096, 8192, 16_384] {
        let dims = dims(length, D);
        let pairs = (dims[0] * dims[1]) as f64 * (length as f64).powi(2) * if CAUSAL { 0.5 } else { 1.0 };
        let configs = tiles.iter().map(|t| {
            let run = t.run.clone();
            Config {
                label: t.label.clone(),
                run: Box::new(move |device, effort| run(device, length, effort)),
            }
        });
        suite.benches.push(Bench {
            name: format!("attention {} d{D} {length} {}", T::ELEM, mask(CAUSAL)),
            flops: 4.0 * pairs * D as f64,
            bytes: (4 * dims.iter().product::<usize>() * size_of::<T>()) as f64,
            configs: configs.collect(),
        });
    }
}

fn masked<T: Value + DotElem, const CAUSAL: bool>(suite: &mut Suite) {
    let tiles = [
        tile::<T, 128, 128, 64, CAUSAL>(suite, "warps=8"),
        tile::<T, 128, 64, 64, CAUSAL>(suite, "warps=8"),
        tile::<T, 64, 64, 64, CAUSAL>(suite, "warps=4"),
    ];
    problems::<T, 64, CAUSAL>(suite, &tiles);
    let tiles = [
        tile::<T, 128, 128, 128, CAUSAL>(suite, "warps=8"),
        tile::<T, 128, 64, 128, CAUSAL>(suite, "warps=8"),
        tile::<T, 64, 64, 128, CAUSAL>(suite, "warps=4"),
    ];
    problems::<T, 128, CAUSAL>(suite, &tiles);
    let tiles = [
        tile::<T, 128, 64, 256, CAUSAL>(suite, "warps=8"),
        tile::<T, 128, 32, 256, CAUSAL>(suite, "warps=8"),
        tile::<T, 64, 32, 256, CAUSAL>(suite, "warps=4"),
    ];
    problems::<T, 256, CAUSAL>(suite, &tiles);
}

fn of_type<T: Value + DotElem>(suite: &mut Suite) {
    masked::<T, false>(suite);
    masked::<T, true>(suite);
}

pub(super) fn add(suite: &mut Suite) {
    of_type::<bf16>(suite);
    of_type::<f16>(suite);
}
