//! The shipped kernels, in small instances, on awkward shapes: the simulated NPU against eager mode.

pub use super::args::Args;
use super::harness::{execute, execute_inexact, program};
use kcc_dsl::KernelFn;
use kcc_dsl::eager::{Options, interpret};
use kcc_dsl::fuzz::{Tolerance, compare};
use kcc_dsl::ir::Elem;
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// Runs a kernel in eager mode and here, with some seeds.
pub fn check(def: &KernelFn, grid: [u32; 3], a: Args, relative: f64, absolute: f64) -> Result<(), String> {
    let kernel = def.trace().map_err(|e| format!("{e:?}"))?;
    let name = format!("{} {grid:?}", kernel.symbol());
    let mut want = a.buffers.clone();
    let mut options = Options { strict: false, ..Options::default() };
    interpret(&kernel, grid, &mut want, &a.args, &mut options).map_err(|e| format!("{name}: {e}"))?;
    let p = program(&kernel, &a.args).map_err(|e| format!("{name}: {e}"))?;
    for seed in 0..2 {
        let mut got = a.buffers.clone();
        let run = if seed == 0 {
            execute(&p, &kernel, grid, &mut got, &a.args, 2, seed)
        } else {
            // More blocks than programs, as many as the smallest chip has groups.
            execute_inexact(&p, &kernel, grid, &mut got, &a.args, (20, seed))
        };
        run.map_err(|e| format!("{name}: {e}"))?;
        for (i, (w, g)) in want.iter().zip(&got).enumerate() {
            // Narrow results may be rounded the other way: one step.
            let step = match w.elem() {
                Elem::F16 => 1.0 / 1024.0,
                Elem::BF16 => 1.0 / 128.0,
                _ => 0.0,
            };
            let t = Tolerance { absolute, relative: relative + step };
            compare(w, g, t).map_err(|e| format!("{name}: buffer {i}: {e}"))?;
        }
    }
    Ok(())
}

/// Every failure of a family at once.
pub fn all(results: Vec<Result<(), String>>) {
    let n = results.len();
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} of {n}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Exponentials, quotients and roots of the vector unit are within a few units of f32; results are sums of such.
const F32: f64 = 1e-5;

fn rows<T: Float>() -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    for (m, n) in [(1i64, 1i64), (3, 17), (2, 131), (1, 128)] {
        let grid = [m as u32, 1, 1];
        let one = |range| Args::default().floats(e, &[m, n], range);
        let tiles = [(n as u32).div_ceil(64), m as u32, 1];
        let two = one(4.0).floats(e, &[m, n], 4.0).out(e, &[m, n]);
        r.push(check(k::elementwise::add_tile::kernel::<T, 64>().erased(), tiles, two.clone(), F32, 0.0));
        r.push(check(k::elementwise::mul_tile::kernel::<T, 64>().erased(), tiles, two.clone(), F32, 0.0));
        r.push(check(k::elementwise::silu_mul_tile::kernel::<T, 64>().erased(), tiles, two, F32, F32));
        let act = one(5.0).out(e, &[m, n]);
        r.push(check(
            k::elementwise::activation_tile::kernel::<T, 64, 1>().erased(),
            tiles,
            act.clone(),
            F32,
            F32,
        ));
        r.push(check(
            k::elementwise::activation_tile::kernel::<T, 64, 2>().erased(),
            tiles,
            act.clone(),
            F32,
            F32,
        ));
        r.push(check(
            k::elementwise::activation_tile::kernel::<T, 64, 3>().erased(),
            tiles,
            act.clone(),
            F32,
            F32,
        ));
        r.push(check(
            k::elementwise::activation_tile::kernel::<T, 64, 4>().erased(),
            tiles,
            act.clone(),
            F32,
            F32,
        ));
        r.push(check(k::softmax::softmax_tile::kernel::<T, 256>().erased(), grid, act.clone(), F32, 0.0));
        r.push(check(k::softmax::softmax_online::kernel::<T, 64>().erased(), grid, act, F32, 0.0));
        let w = one(2.0).floats(e, &[n], 2.0).out(e, &[m, n]).float(1e-5);
        r.push(check(k::rms_norm::rms_norm_tile::kernel::<T, 256>().erased(), grid, w.clone(), F32, F32));
        r.push(check(k::rms_norm::rms_norm_blocks::kernel::<T, 64>().erased(), grid, w, F32, F32));
        let w =
            one(2.0).floats(e, &[m, n], 2.0).floats(e, &[n], 2.0).out(e, &[m, n]).out(e, &[m, n]).float(1e-5);
        r.push(check(
            k::rms_norm::rms_norm_residual_tile::kernel::<T, 256>().erased(),
            grid,
            w.clone(),
            F32,
            F32,
        ));
        r.push(check(k::rms_norm::rms_norm_residual_blocks::kernel::<T, 64>().erased(), grid, w, F32, F32));
        // A row of one element has no deviation: its error is divided by the root of epsilon.
        let w = one(2.0)
            .floats(e, &[m, n], 2.0)
            .floats(e, &[n], 2.0)
            .floats(e, &[n], 1.0)
            .out(e, &[m, n])
            .float(1e-5);
        r.push(check(
            k::layer_norm::layer_norm_tile::kernel::<T, 256, true>().erased(),
            grid,
            w.clone(),
            F32,
            1e-4,
        ));
        r.push(check(k::layer_norm::layer_norm_blocks::kernel::<T, 64, true>().erased(), grid, w, F32, 1e-4));
    }
    r
}

#[test]
fn rows_of_any_width() {
    all(rows::<f32>());
    all(rows::<f16>());
    all(rows::<bf16>());
}

fn lookups<T: Float>() -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    for (n, entries, width) in [(1i64, 1i64, 1i64), (5, 7, 70)] {
        let ids: Vec<i32> =
            (0..n as i32).map(|i| if i == 3 { -1 } else { (i * 5) % entries as i32 }).collect();
        let grid = [(width as u32).div_ceil(64), (n as u32).div_ceil(4), 1];
        let a = Args::default().ints(&ids, &[n]).floats(e, &[entries, width], 1.0).out(e, &[n, width]);
        r.push(check(k::embedding::embedding_tile::kernel::<T, 4, 64>().erased(), grid, a, 0.0, 0.0));
        let a = Args::default().ints(&ids, &[n]).ints(&ids, &[n]).ints(&ids, &[n]);
        let t = [entries, width];
        let a = a.floats(e, &t, 1.0).floats(e, &t, 1.0).floats(e, &t, 1.0).out(e, &[n, width]);
        r.push(check(k::embedding::embedding_sum_tile::kernel::<T, 4, 64>().erased(), grid, a, F32, F32));
    }
    for (starts, width) in [(vec![0, 1], 1i64), (vec![0, 3, 3, 20, 21], 37)] {
        let (n, rows) = (starts.len() as i64 - 1, i64::from(starts[starts.len() - 1]));
        let a = Args::default().floats(e, &[rows, width], 2.0).ints(&starts, &[n + 1]).out(e, &[n, width]);
        r.push(check(
            k::pooling::mean_pool_packed_tile::kernel::<T, 8, 64>().erased(),
            [n as u32, 1, 1],
            a,
            F32,
            F32,
        ));
        let (batch, tokens) = (2i64, 11i64);
        let mask: Vec<i32> = (0..22).map(|i| i32::from(i % 11 < i / 2)).collect();
        let a = Args::default().floats(e, &[batch, tokens, width], 2.0).ints(&mask, &[batch, tokens]);
        let a = a.out(e, &[batch, width]);
        r.push(check(k::pooling::mean_pool_tile::kernel::<T, 8, 64>().erased(), [2, 1, 1], a, F32, F32));
    }
    let (tokens, experts) = (3i64, 6i64);
    let a = Args::default().floats(e, &[tokens, experts], 4.0);
    let a = a.out(Elem::I32, &[tokens, 2]).out(Elem::F32, &[tokens, 2]);
    r.push(check(k::moe::gate::gate_tile::kernel::<T, 8, 2>().erased(), [3, 1, 1], a, F32, 0.0));
    let a = Args::default().floats(e, &[3, 2, 70], 1.0).floats(Elem::F32, &[3, 2], 1.0).out(e, &[3, 70]);
    r.push(check(k::moe::combine::combine_tile::kernel::<T, 64>().erased(), [2, 3, 1], a, F32, F32));
    r
}

#[test]
fn lookups_and_choices() {
    all(lookups::<f32>());
    all(lookups::<f16>());
    all(lookups::<bf16>());
    let ids: Vec<i32> = (0..70).map(|i| (i * 7) % 4).collect();
    let a = Args::default().ints(&ids, &[70]).out(Elem::I32, &[6]).out(Elem::I32, &[70]);
    all(vec![check(k::moe::permute::permute_tile::kernel::<32>().erased(), [5, 1, 1], a, 0.0, 0.0)]);
}

fn matrices<T: Float + DotElem>() -> Vec<Result<(), String>> {
    let e = T::ELEM;
    let mut r = Vec::new();
    // Sums of 70 products of numbers below 1 in any order.
    let sum = 1e-4;
    for (m, n, q) in [(1i64, 1i64, 1i64), (7, 33, 5), (33, 40, 70), (3, 4, 0)] {
        let grid = [(m as u32).div_ceil(16), (n as u32).div_ceil(32), 1];
        let a = Args::default().floats(e, &[m, q], 1.0).floats(e, &[q, n], 1.0).floats(e, &[n], 1.0);
        let a = a.floats(e, &[m, n], 1.0).out(e, &[m, n]);
        r.push(check(
            k::matmul::matmul_tile::kernel::<T, 16, 32, 32, 0, false, false>().erased(),
            grid,
            a.clone(),
            F32,
            sum,
        ));
        r.push(check(
            k::matmul::matmul_tile::kernel::<T, 16, 32, 32, 2, true, true>().erased(),
            grid,
            a,
            F32,
            sum,
        ));
    }
    for (queries, keys, d, lengths) in
        [(1i64, 1i64, 32i64, vec![1, 1]), (19, 45, 32, vec![45, 13]), (5, 70, 24, vec![70, 0])]
    {
        let (b, h, kvh) = (lengths.len() as i64, 2i64, 1i64);
        let grid = [(queries as u32).div_ceil(16), h as u32, b as u32];
        let a = Args::default().floats(e, &[b, h, queries, d], 1.0).floats(e, &[b, kvh, keys, d], 1.0);
        let a =
            a.floats(e, &[b, kvh, keys, d], 1.0).ints(&lengths, &[b]).out(e, &[b, h, queries, d]).float(0.25);
        r.push(check(
            k::attention::attention_tile::kernel::<T, 16, 32, 32, false>().erased(),
            grid,
            a.clone(),
            F32,
            sum,
        ));
        r.push(check(
            k::attention::attention_tile::kernel::<T, 16, 32, 32, true>().erased(),
            grid,
            a,
            F32,
            sum,
        ));
        let a = Args::default().floats(e, &[b, kvh, h, d], 1.0).floats(e, &[b, kvh, keys, d], 1.0);
        let a = a.floats(e, &[b, kvh, keys, d], 1.0).ints(&lengths, &[b]).out(e, &[b, kvh, h, d]).float(0.25);
        r.push(check(
            k::decode::decode_tile::kernel::<T, 2, 32, 32>().erased(),
            [1, b as u32, 1],
            a,
            F32,
            sum,
        ));
    }
    let starts = [0, 1, 1, 20];
    let a = Args::default().floats(e, &[2, 20, 24], 1.0).floats(e, &[1, 20, 24], 1.0).floats(
        e,
        &[1, 20, 24],
        1.0,
    );
    let a = a.ints(&starts, &[4]).out(e, &[2, 20, 24]).float(0.25);
    r.push(check(
        k::attention::attention_packed_tile::kernel::<T, 16, 16, 32, false>().erased(),
        [2, 2, 3],
        a.clone(),
        F32,
        sum,
    ));
    r.push(check(
        k::attention::attention_packed_tile::kernel::<T, 16, 16, 32, true>().erased(),
        [2, 2, 3],
        a,
        F32,
        sum,
    ));
    let (tokens, hidden, inner, experts, choices) = (5i64, 20i64, 40i64, 3i64, 2i64);
    let slots = tokens * choices;
    let order: Vec<i32> = vec![1, 4, 2, 0, 3, 5, 9, 8, 7, 6];
    let starts = [0, 2, 2, 10];
    let a = Args::default().floats(e, &[tokens, hidden], 1.0).floats(e, &[experts, hidden, inner], 1.0);
    let a = a.floats(e, &[experts, hidden, inner], 1.0).ints(&starts, &[experts + 1]).ints(&order, &[slots]);
    let a = a.out(e, &[slots, inner]).int(choices as i32);
    r.push(check(
        k::moe::grouped::grouped_swiglu_tile::kernel::<T, 8, 32, 16>().erased(),
        [2, 3, 1],
        a,
        F32,
        sum,
    ));
    let a = Args::default().floats(e, &[slots, inner], 1.0).floats(e, &[experts, inner, hidden], 1.0);
    let a = a.ints(&starts, &[experts + 1]).ints(&order, &[slots]).out(e, &[slots, hidden]);
    r.push(check(
        k::moe::grouped::grouped_down_tile::kernel::<T, 8, 32, 16>().erased(),
        [1, 3, 1],
        a,
        F32,
        sum,
    ));
    r
}

/// Scores of half precision: what is rounded on its way out of the accumulators, and `f16` arithmetic in whole rows. Eager mode rounds as often.
#[test]
fn attention_of_half_scores() {
    let e = Elem::F16;
    let mut r = Vec::new();
    for (queries, keys, lengths) in [(1i64, 1i64, [1, 0]), (37, 150, [150, 129]), (20, 300, [300, 7])] {
        let a = Args::default().floats(e, &[2, 1, queries, 24], 1.0).floats(e, &[2, 1, keys, 24], 1.0);
        let a =
            a.floats(e, &[2, 1, keys, 24], 1.0).ints(&lengths, &[2]).out(e, &[2, 1, queries, 24]).float(0.25);
        let grid = |rows: u32| [(queries as u32).div_ceil(rows), 1, 2];
        let narrow = k::attention_half::attention_half_tile::kernel::<f16, 32, 128, 32, false, true>();
        r.push(check(narrow.erased(), grid(32), a.clone(), F32, 2e-3));
        let wide = k::attention_half::attention_half_tile::kernel::<f16, 16, 64, 32, true, false>();
        r.push(check(wide.erased(), grid(16), a, F32, 2e-3));
    }
    // The blocks that keep the cube busy longest: three of keys, of which the last is not whole, and a tail of queries.
    let (queries, keys) = (130i64, 600i64);
    let a = Args::default().floats(e, &[1, 1, queries, 128], 1.0).floats(e, &[1, 1, keys, 128], 1.0);
    let a =
        a.floats(e, &[1, 1, keys, 128], 1.0).ints(&[600], &[1]).out(e, &[1, 1, queries, 128]).float(0.088);
    let large = k::attention_half::attention_half_tile::kernel::<f16, 128, 256, 128, false, true>();
    r.push(check(large.erased(), [2, 1, 1], a, F32, 2e-3));
    all(r);
}

/// Loops of one turn beside loops of none, in either order, for each program: what is told of turns must not be taken for granted.
#[test]
fn loops_of_one_turn_and_of_none() {
    let mut r = Vec::new();
    let e = Elem::F32;
    for (queries, keys, lengths) in [(67i64, 67i64, [67, 13]), (67, 150, [150, 64]), (130, 67, [0, 67])] {
        let a = Args::default().floats(e, &[2, 2, queries, 64], 1.0).floats(e, &[2, 1, keys, 64], 1.0);
        let a = a
            .floats(e, &[2, 1, keys, 64], 1.0)
            .ints(&lengths, &[2])
            .out(e, &[2, 2, queries, 64])
            .float(0.125);
        let grid = [(queries as u32).div_ceil(64), 2, 2];
        let halves = k::attention_half::attention_half_tile::kernel::<f32, 64, 64, 64, false, false>();
        r.push(check(halves.erased(), grid, a.clone(), F32, 2e-3));
        let causal = k::attention_half::attention_half_tile::kernel::<f32, 64, 64, 64, true, false>();
        r.push(check(causal.erased(), grid, a, F32, 2e-3));
    }
    all(r);
}

#[test]
fn products_of_every_kernel() {
    all(matrices::<f32>());
    all(matrices::<f16>());
    all(matrices::<bf16>());
}
