//! The pack's kernels as candle's operators, held against candle's own in f32.
//!
//! Bounds: the pack's kernels are within their stated tolerance of exact results, `absolute + relative · |exact|`, 1e-5 and 1e-5 in f32; so
//! are candle's sums of fewer than 200 products of numbers up to 1. For 16 bits both get the same rounded inputs, and ours rounds once more.

use candle_core::{D, DType, Device, Result, Tensor};
use kcc_candle::{Experts, Kernels};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const NEEDED: [&str; 8] = [
    "attention",
    "attention_causal",
    "rms_norm",
    "moe_gate",
    "moe_permute",
    "moe_swiglu",
    "moe_down",
    "moe_combine",
];

/// The pack, built once.
fn pack() -> &'static Path {
    static PACK: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PACK.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("candle.kpack");
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels");
        let mut kcc = Command::new(kcc_runtime::jit::find_kcc().unwrap());
        kcc.args(["pack", "build"]).arg(kernels).args(["-t", "cpu:x86-64-v3", "-o"]).arg(&path);
        NEEDED.iter().for_each(|name| {
            kcc.args(["-k", name]);
        });
        let out = kcc.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        (dir, path)
    });
    path
}

fn kernels() -> Kernels {
    Kernels::open(pack(), &Device::Cpu).unwrap()
}

/// Numbers in -1..1, the same each time.
fn numbers(seed: u64, dims: &[usize], dtype: DType) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut one = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| one()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn close(got: &Tensor, want: &Tensor, relative: f32, absolute: f32) {
    assert_eq!(got.dims(), want.dims());
    let list = |t: &Tensor| t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (i, (got, want)) in list(got).into_iter().zip(list(want)).enumerate() {
        let bound = absolute + relative * want.abs();
        assert!((got - want).abs() <= bound, "element {i}: {got}, candle has {want} ± {bound}");
    }
}

/// Twice the tolerance of f32, or that of the type.
fn tolerance(dtype: DType) -> f32 {
    match dtype {
        DType::F16 => 1.1e-3,
        DType::BF16 => 9e-3,
        _ => 2e-5,
    }
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let e = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// Attention of candle's own operators in f32.
fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, causal: bool) -> Result<Tensor> {
    let (_, heads, queries, _) = q.dims4()?;
    let (batch, kv_heads, keys, head) = k.dims4()?;
    let repeat = |t: &Tensor| {
        let t = t.unsqueeze(2)?.expand((batch, kv_heads, heads / kv_heads, keys, head))?;
        t.reshape((batch, heads, keys, head))?.to_dtype(DType::F32)
    };
    let (q, k, v) = (q.to_dtype(DType::F32)?.contiguous()?, repeat(k)?, repeat(v)?);
    let mut scores = (q.matmul(&k.t()?)? * scale)?;
    if causal {
        let hidden = |i: usize, j: usize| if j + queries > i + keys { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..queries).flat_map(|i| (0..keys).map(move |j| hidden(i, j))).collect();
        scores = scores.broadcast_add(&Tensor::from_vec(mask, (queries, keys), &Device::Cpu)?)?;
    }
    softmax(&scores)?.matmul(&v)
}

#[test]
fn attention_is_that_of_candles_operators() {
    let kernels = kernels();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        for (batch, heads, kv_heads, queries, keys, head) in
            [(1, 1, 1, 1, 1, 8), (2, 4, 2, 67, 131, 64), (1, 6, 2, 33, 33, 80), (1, 2, 2, 5, 70, 128)]
        {
            let q = numbers(1, &[batch, heads, queries, head], dtype);
            let [k, v] = [2, 3].map(|seed| numbers(seed, &[batch, kv_heads, keys, head], dtype));
            for causal in [false, true] {
                let scale = 1.0 / (head as f64).sqrt();
                let got = kernels.attention(&q, &k, &v, scale as f32, causal).unwrap();
                assert_eq!(got.dtype(), dtype);
                let want = attention(&q, &k, &v, scale, causal).unwrap();
                close(&got, &want, tolerance(dtype), tolerance(dtype));
            }
        }
    }
}

#[test]
fn a_transposed_tensor_needs_no_copy() {
    let kernels = kernels();
    // As projections give them: [batch, sequence, heads, head].
    let [q, k, v] = [1, 2, 3].map(|seed| numbers(seed, &[2, 40, 3, 64], DType::F32).transpose(1, 2).unwrap());
    let got = kernels.attention(&q, &k, &v, 0.125, true).unwrap();
    close(&got, &attention(&q, &k, &v, 0.125, true).unwrap(), 2e-5, 2e-5);
    let slice = |t: &Tensor| t.narrow(2, 7, 20).unwrap();
    let got = kernels.attention(&slice(&q), &slice(&k), &slice(&v), 0.125, false).unwrap();
    close(&got, &attention(&slice(&q), &slice(&k), &slice(&v), 0.125, false).unwrap(), 2e-5, 2e-5);
}

#[test]
fn rms_norm_is_that_of_candles_operators() {
    let kernels = kernels();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        for dims in [&[1, 1][..], &[3, 1000], &[2, 5, 4096], &[2, 5000], &[0, 7]] {
            let (x, width) = (numbers(4, dims, dtype), dims[dims.len() - 1]);
            let weight = numbers(5, &[width], dtype);
            let got = kernels.rms_norm(&x, &weight, 1e-5).unwrap();
            if x.elem_count() == 0 {
                assert_eq!(got.dims(), dims);
                continue;
            }
            let (x, weight) = (x.to_dtype(DType::F32).unwrap(), weight.to_dtype(DType::F32).unwrap());
            let mean = (x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + 1e-5).unwrap();
            let want = x.broadcast_div(&mean.sqrt().unwrap()).unwrap().broadcast_mul(&weight).unwrap();
            close(&got, &want, tolerance(dtype), 2e-5);
        }
    }
    // Rows apart from each other are read where they lie.
    let x = numbers(6, &[6, 64], DType::F32).narrow(1, 8, 32).unwrap();
    let got = kernels.rms_norm(&x, &numbers(7, &[32], DType::F32), 1e-5).unwrap();
    let dense = kernels.rms_norm(&x.contiguous().unwrap(), &numbers(7, &[32], DType::F32), 1e-5).unwrap();
    close(&got, &dense, 0.0, 0.0);
}

/// A layer of experts of candle's own operators in f32, each expert on all tokens.
fn moe(x: &Tensor, scores: &Tensor, experts: &Experts, choices: usize) -> Result<Tensor> {
    let (tokens, count) = scores.dims2()?;
    let scores: Vec<Vec<f32>> = scores.to_dtype(DType::F32)?.to_vec2()?;
    let mut weights = vec![0f32; tokens * count];
    for (t, row) in scores.iter().enumerate() {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        let sum: f32 = order[..choices].iter().map(|e| (row[*e] - row[order[0]]).exp()).sum();
        order[..choices].iter().for_each(|e| weights[t * count + e] = (row[*e] - row[order[0]]).exp() / sum);
    }
    let weights = Tensor::from_vec(weights, (tokens, count), &Device::Cpu)?;
    let x = x.to_dtype(DType::F32)?;
    let mut y = x.zeros_like()?;
    for e in 0..count {
        let of = |t: &Tensor| t.get(e)?.to_dtype(DType::F32);
        let gate = x.matmul(&of(&experts.gate)?)?;
        let h = (gate.silu()? * x.matmul(&of(&experts.up)?)?)?;
        let part = h.matmul(&of(&experts.down)?)?;
        y = (y + part.broadcast_mul(&weights.narrow(1, e, 1)?)?)?;
    }
    Ok(y)
}

#[test]
fn experts_are_those_of_candles_operators() {
    let kernels = kernels();
    for (tokens, count, choices) in [(21, 7, 2), (5, 8, 2), (13, 50, 8), (1, 2, 2)] {
        let (hidden, inner) = (66, 130);
        let small = |seed, dims: &[usize]| (numbers(seed, dims, DType::F32) * 0.1).unwrap();
        let x = numbers(8, &[tokens, hidden], DType::F32);
        let experts = Experts {
            gate: small(9, &[count, hidden, inner]),
            up: small(10, &[count, hidden, inner]),
            down: small(11, &[count, inner, hidden]),
        };
        let scores = x.matmul(&small(12, &[hidden, count])).unwrap();
        let got = kernels.moe(&x, &scores, &experts, choices).unwrap();
        // Sums of 130 products of magnitude 0.1 at most, of values of magnitude 1.
        close(&got, &moe(&x, &scores, &experts, choices).unwrap(), 5e-5, 5e-5);
    }
}

#[test]
fn what_no_kernel_takes_is_an_error_of_candle() {
    let kernels = kernels();
    let q = numbers(1, &[1, 2, 4, 16], DType::F32);
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    let e = message(kernels.attention(&q, &q, &q, -1.0, false));
    assert!(e.contains("`scale > 0`"), "{e}");
    let e = message(kernels.attention(&q, &q.to_dtype(DType::F64).unwrap(), &q, 1.0, false));
    assert!(e.contains("F64"), "{e}");
    let e = message(kernels.attention(&q.t().unwrap(), &q, &q, 1.0, false));
    assert!(e.contains("stride 1 along axis 3 of `q`"), "{e}");
    let e = message(kernels.rms_norm(&q, &numbers(2, &[8], DType::F32), 1e-5));
    assert!(e.contains("`weight.dim(0) == x.dim(1)` does not hold"), "{e}");
    let e = Kernels::open("/nowhere.kpack", &Device::Cpu).err().unwrap().to_string();
    assert!(e.contains("/nowhere.kpack"), "{e}");
}
