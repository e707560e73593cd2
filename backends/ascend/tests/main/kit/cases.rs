//! The cases of the folder: shipped kernels in small instances, on awkward shapes.

use crate::args::Args;
use kcc_backend_tests::kernels;
use kcc_dsl::KernelFn;
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{Elem, Kernel};
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// A launch and how close its results are to be.
pub struct Case {
    pub name: String,
    pub kernel: Kernel,
    pub grid: [u32; 3],
    pub blocks: u32,
    pub args: Args,
    pub relative: f64,
    pub absolute: f64,
}

/// Exponentials, quotients and roots of the vector unit are within a few units of f32.
const F32: f64 = 1e-5;

/// Sums of 150 products of numbers below 1, in any order.
const SUM: f64 = 3e-4;

fn case(name: &str, def: &KernelFn, grid: [u32; 3], args: Args, relative: f64, absolute: f64) -> Case {
    let kernel = def.trace().unwrap_or_else(|e| panic!("{name}: {e:?}"));
    Case { name: name.into(), kernel, grid, blocks: 2, args, relative, absolute }
}

fn rows(out: &mut Vec<Case>) {
    let wide = |m: i64, n: i64| [(n as u32).div_ceil(64), m as u32, 1];
    for (m, n) in [(1i64, 1i64), (5, 70), (3, 192)] {
        let d = [m, n];
        let a = Args::default().floats(Elem::F32, &d, 4.0).floats(Elem::F32, &d, 4.0).out(Elem::F32, &d);
        let def = k::elementwise::add_tile::kernel::<f32, 64>();
        out.push(case(&format!("add-f32-{m}x{n}"), def.erased(), wide(m, n), a, F32, 0.0));
    }
    softmax::<f32>(out, &[(1, 1), (9, 100), (3, 128)]);
    softmax::<f16>(out, &[(3, 17)]);
    softmax::<bf16>(out, &[(3, 131), (2, 200)]);
    for (m, n) in [(1i64, 1i64), (3, 17), (2, 131)] {
        let d = [m, n];
        let e = Elem::F32;
        let a = Args::default().floats(e, &d, 2.0).floats(e, &d, 2.0).floats(e, &[n], 2.0);
        let a = a.floats(e, &[n], 1.0).out(e, &d).float(1e-5);
        let def = k::layer_norm::layer_norm_tile::kernel::<f32, 256, true>();
        out.push(case(&format!("layer-norm-f32-{m}x{n}"), def.erased(), [m as u32, 1, 1], a, F32, 1e-4));
    }
    let a = Args::default().floats(Elem::BF16, &[3, 131], 2.0).floats(Elem::BF16, &[131], 2.0);
    let a = a.out(Elem::BF16, &[3, 131]).float(1e-5);
    let def = k::rms_norm::rms_norm_blocks::kernel::<bf16, 64>();
    out.push(case("rms-norm-bf16-3x131", def.erased(), [3, 1, 1], a, F32, F32));
}

fn softmax<T: Float>(out: &mut Vec<Case>, shapes: &[(i64, i64)]) {
    let e = T::ELEM;
    for (m, n) in shapes {
        let a = Args::default().floats(e, &[*m, *n], 4.0).out(e, &[*m, *n]);
        let def = k::softmax::softmax_tile::kernel::<T, 256>();
        let name = format!("softmax-{}-{m}x{n}", e.name());
        out.push(case(&name, def.erased(), [*m as u32, 1, 1], a, F32, 0.0));
    }
}

fn lookups(out: &mut Vec<Case>) {
    let e = Elem::F16;
    for (n, entries, width) in [(1i64, 1i64, 1i64), (5, 7, 70)] {
        let ids: Vec<i32> =
            (0..n as i32).map(|i| if i == 3 { -1 } else { (i * 5) % entries as i32 }).collect();
        let grid = [(width as u32).div_ceil(64), (n as u32).div_ceil(4), 1];
        let a = Args::default().ints(&ids, &[n]).floats(e, &[entries, width], 1.0).out(e, &[n, width]);
        let def = k::embedding::embedding_tile::kernel::<f16, 4, 64>();
        out.push(case(&format!("gather-rows-f16-{n}x{width}"), def.erased(), grid, a, 0.0, 0.0));
    }
    let starts = [0, 3, 3, 20, 21];
    let a = Args::default().floats(Elem::F32, &[21, 37], 2.0).ints(&starts, &[5]).out(Elem::F32, &[4, 37]);
    let def = k::pooling::mean_pool_packed_tile::kernel::<f32, 8, 64>();
    out.push(case("mean-pool-f32", def.erased(), [4, 1, 1], a, F32, F32));
    let a = Args::default().floats(Elem::F32, &[3, 6], 4.0).out(Elem::I32, &[3, 2]).out(Elem::F32, &[3, 2]);
    let def = k::moe::gate::gate_tile::kernel::<f32, 8, 2>();
    out.push(case("gate-f32", def.erased(), [3, 1, 1], a, F32, 0.0));
    let ids: Vec<i32> = (0..70).map(|i| (i * 7) % 4).collect();
    let a = Args::default().ints(&ids, &[70]).out(Elem::I32, &[6]).out(Elem::I32, &[70]);
    let def = k::moe::permute::permute_tile::kernel::<32>();
    out.push(case("permute-i32", def.erased(), [5, 1, 1], a, 0.0, 0.0));
}

fn matmul<T: Float + DotElem>(out: &mut Vec<Case>, shapes: &[(i64, i64, i64)]) {
    let e = T::ELEM;
    for (m, n, q) in shapes {
        let grid = [(*m as u32).div_ceil(32), (*n as u32).div_ceil(32), 1];
        let a = Args::default().floats(e, &[*m, *q], 1.0).floats(e, &[*q, *n], 1.0).floats(e, &[*n], 1.0);
        let a = a.floats(e, &[*m, *n], 1.0).out(e, &[*m, *n]);
        let def = k::matmul::matmul_tile::kernel::<T, 32, 32, 32, 0, false, false>();
        out.push(case(&format!("matmul-{}-{m}x{n}x{q}", e.name()), def.erased(), grid, a, F32, SUM));
    }
}

fn products(out: &mut Vec<Case>) {
    matmul::<f16>(out, &[(1, 1, 1), (70, 75, 150), (3, 4, 0)]);
    matmul::<bf16>(out, &[(33, 40, 70)]);
    matmul::<f32>(out, &[(7, 33, 5)]);
    let mut kernel = kernels::matmul(Elem::I8, 32, 48, 64);
    kernel.name = "matmul_i8".into();
    for (m, n, q) in [(1i64, 48i64, 64i64), (33, 50, 65)] {
        let numbers = |n: i64, s: i64| -> Vec<f32> { (0..n).map(|i| ((i * s) % 255 - 127) as f32).collect() };
        let mut a = Args::default().floats(Elem::I8, &[m, q], 1.0).floats(Elem::I8, &[q, n], 1.0);
        a = a.out(Elem::I32, &[m, n]);
        a.buffers[0] = EagerBuffer::from_f32(Elem::I8, &numbers(m * q, 37));
        a.buffers[1] = EagerBuffer::from_f32(Elem::I8, &numbers(q * n, 91));
        let grid = [(m as u32).div_ceil(32), (n as u32).div_ceil(48), 1];
        let name = format!("matmul-i8-{m}x{n}x{q}");
        let kernel = kernel.clone();
        out.push(Case { name, kernel, grid, blocks: 2, args: a, relative: 0.0, absolute: 0.0 });
    }
    for (queries, keys, lengths) in [(19i64, 45i64, vec![45, 13]), (5, 70, vec![70, 0])] {
        let (b, h, d, e) = (lengths.len() as i64, 2i64, 32i64, Elem::F16);
        let grid = [(queries as u32).div_ceil(16), h as u32, b as u32];
        let a = Args::default().floats(e, &[b, h, queries, d], 1.0).floats(e, &[b, 1, keys, d], 1.0);
        let a = a.floats(e, &[b, 1, keys, d], 1.0).ints(&lengths, &[b]);
        let a = a.out(e, &[b, h, queries, d]).float(0.25);
        let def = k::attention::attention_tile::kernel::<f16, 16, 32, 32, true>();
        out.push(case(&format!("attention-f16-{queries}x{keys}"), def.erased(), grid, a, F32, SUM));
    }
    let e = Elem::F16;
    let a = Args::default().floats(e, &[1, 1, 37, 24], 1.0).floats(e, &[1, 1, 150, 24], 1.0);
    let a = a.floats(e, &[1, 1, 150, 24], 1.0).ints(&[150], &[1]).out(e, &[1, 1, 37, 24]).float(0.25);
    let def = k::attention_half::attention_half_tile::kernel::<f16, 32, 128, 32, false, true>();
    out.push(case("attention-half-f16-37x150", def.erased(), [2, 1, 1], a, F32, 2e-3));
    let (tokens, hidden, inner, experts, e) = (5i64, 20i64, 40i64, 3i64, Elem::BF16);
    let order: Vec<i32> = vec![1, 4, 2, 0, 3, 5, 9, 8, 7, 6];
    let starts = [0, 2, 2, 10];
    let a = Args::default().floats(e, &[tokens, hidden], 1.0).floats(e, &[experts, hidden, inner], 1.0);
    let a = a.floats(e, &[experts, hidden, inner], 1.0).ints(&starts, &[experts + 1]).ints(&order, &[10]);
    let a = a.out(e, &[10, inner]).int(2);
    let def = k::moe::grouped::grouped_swiglu_tile::kernel::<bf16, 8, 32, 16>();
    out.push(case("grouped-swiglu-bf16", def.erased(), [2, 3, 1], a, F32, SUM));
}

/// A product as often as its results want: the cube core is told, turn by turn.
#[kernel]
fn powers(x: &View<f16, 2>, y: &mut View<f32, 2>, enough: Scalar<f32>) {
    let a = x.load::<24, 24>((0, 0));
    let mut r = a.to::<f32>();
    let mut turns = 0.to_scalar();
    while r.abs().sum() < enough && turns < 6 {
        r = dot(a, r.to::<f16>());
        if r.reduce_max() > 9.0 {
            r = dot_acc(a, a, r * 0.125);
        }
        turns += 1;
    }
    y.store((program_id(0) * 24, 0), r + turns.to::<f32>());
}

/// Rows of 256 KB, which are computed in parts, and a product of them.
#[kernel]
fn distances(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let at = program_id(0) * 256;
    let t = x.load::<256, 256>((at, 0));
    let near = (t - t.max_rows().col()).exp2();
    let rows = at + arange::<256>();
    y.store((at, 0), dot(near.to::<f16>(), x.load::<256, 16>((0, 0)).to::<f16>()) + rows.to::<f32>().col());
}

fn unusual(out: &mut Vec<Case>) {
    for (n, enough) in [(24i64, 150.0), (17, 0.0), (24, 1e9)] {
        let a = Args::default().floats(Elem::F16, &[n, n], 0.5).out(Elem::F32, &[48, 24]).float(enough);
        let name = format!("powers-f16-{n}-{enough}");
        out.push(case(&name, powers::kernel().erased(), [2, 1, 1], a, 1e-2, 1e-2));
    }
    let a = Args::default().floats(Elem::F32, &[300, 250], 1.0).out(Elem::F32, &[300, 16]);
    out.push(case("distances-f32-300", distances::kernel().erased(), [2, 1, 1], a, 1e-2, 1e-2));
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut out = Vec::new();
    rows(&mut out);
    lookups(&mut out);
    products(&mut out);
    unusual(&mut out);
    out
}
