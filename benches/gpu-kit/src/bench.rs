//! What is timed: kernels on tensors that lie on the device, between two events.

use kcc_dsl::prelude::*;
use kcc_kernels::{
    attention::attention_tile, matmul::matmul_tile, rms_norm::rms_norm_tile, softmax::softmax_tile,
};
use kcc_runtime::{Device, DeviceTensor, Launch, LaunchOptions, Result, Tensor};
use std::time::Duration;

/// Bytes of inputs that one after another are used: more than any L2 holds.
const ROTATED: usize = 192 << 20;

/// One measurement.
pub struct Bench {
    /// `matmul bf16 8192x8192x8192`; the peers use the same names.
    pub name: String,
    /// Floating-point operations of one launch, 0 where bandwidth counts.
    pub flops: f64,
    /// Bytes that must move.
    pub bytes: f64,
    run: Box<dyn Fn(&Device, usize) -> Result<Vec<Duration>>>,
}

impl Bench {
    /// Times `repeat` launches; 0 only compiles.
    ///
    /// # Errors
    /// Those of the device and of the compiler.
    pub fn run(&self, device: &Device, repeat: usize) -> Result<Vec<Duration>> {
        (self.run)(device, repeat)
    }
}

/// Pseudo-random numbers in -1..1, the same everywhere.
fn noise<T: Float>(device: &Device, dims: &[usize], fill: bool) -> Result<DeviceTensor<T>> {
    if !fill {
        return device.zeros(dims);
    }
    let mut state = 0x9e37_79b9_u32;
    device.upload(&Tensor::from_fn(dims, |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        T::from_f32(state as f32 / 2_147_483_648.0 - 1.0)
    })?)
}

/// As many copies of an input as rotate through `ROTATED` bytes.
fn copies<T: Float>(device: &Device, dims: &[usize], fill: bool) -> Result<Vec<DeviceTensor<T>>> {
    let bytes = dims.iter().product::<usize>() * size_of::<T>();
    let count = if fill { (ROTATED / bytes.max(1)).clamp(1, 32) } else { 1 };
    (0..count).map(|_| noise(device, dims, fill)).collect()
}

/// Launches a few times to warm up, then times each launch by itself.
fn times(
    device: &Device,
    repeat: usize,
    mut launch: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<Duration>> {
    for i in 0..5 {
        launch(i)?;
    }
    device.synchronize(None)?;
    (0..repeat).map(|i| device.time(None, || launch(i))).collect()
}

fn gemm<T: Float + DotElem, const BM: usize, const BN: usize>(name: &str, [m, n, k]: [usize; 3]) -> Bench {
    let run = move |device: &Device, repeat: usize| {
        let fill = repeat > 0;
        let (a, b) = (copies::<T>(device, &[m, k], fill)?, copies::<T>(device, &[k, n], fill)?);
        let mut c = device.zeros::<T>(&[m, n])?;
        let (bias, residual) = (device.zeros::<T>(&[1])?, device.zeros::<T>(&[1, 1])?);
        let kernel = matmul_tile::kernel::<T, BM, BN, 64, 0, false, false>();
        let options = LaunchOptions::default();
        let ready = kernel.prepare(device, (&a[0], &b[0], &bias, &residual, &mut c), &options)?;
        if !fill {
            return Ok(vec![]);
        }
        let grid = [m.div_ceil(BM), n.div_ceil(BN), 1];
        times(device, repeat, |i| {
            ready.launch(grid, (&a[i % a.len()], &b[i % b.len()], &bias, &residual, &mut c))
        })
    };
    let bytes = (m * k + k * n + m * n) as f64 * size_of::<T>() as f64;
    Bench {
        name: format!("matmul {name} {m}x{n}x{k}"),
        flops: 2.0 * (m as f64) * (n as f64) * (k as f64),
        bytes,
        run: Box::new(run),
    }
}

fn attend<T: Float + DotElem, const D: usize, const CAUSAL: bool>(name: &str, length: usize) -> Bench {
    // As in the peers' published figures: 16k tokens in all, and a model width of 2048.
    let (batch, heads) = ((16_384 / length).max(1), 2048 / D);
    let dims = [batch, heads, length, D];
    let run = move |device: &Device, repeat: usize| {
        let fill = repeat > 0;
        let (q, k) = (copies::<T>(device, &dims, fill)?, copies::<T>(device, &dims, fill)?);
        let v = copies::<T>(device, &dims, fill)?;
        let mut o = device.zeros::<T>(&dims)?;
        let lengths = device.upload(&Tensor::full(&[batch], length as i32)?)?;
        let kernel = attention_tile::kernel::<T, 128, 64, D, CAUSAL>();
        let scale = std::f32::consts::LOG2_E / (D as f32).sqrt();
        let options = LaunchOptions::default();
        let ready = kernel.prepare(device, (&q[0], &k[0], &v[0], &lengths, &mut o, scale), &options)?;
        if !fill {
            return Ok(vec![]);
        }
        let grid = [length.div_ceil(128), heads, batch];
        times(device, repeat, |i| {
            ready.launch(grid, (&q[i % q.len()], &k[i % k.len()], &v[i % v.len()], &lengths, &mut o, scale))
        })
    };
    let pairs = (batch * heads) as f64 * (length as f64).powi(2) * if CAUSAL { 0.5 } else { 1.0 };
    let elements = 4.0 * dims.iter().product::<usize>() as f64;
    let causal = if CAUSAL { "causal" } else { "full" };
    Bench {
        name: format!("attention {name} d{D} {length} {causal}"),
        flops: 4.0 * pairs * D as f64,
        bytes: elements * size_of::<T>() as f64,
        run: Box::new(run),
    }
}

fn rows<const N: usize>(list: &mut Vec<Bench>) {
    let dims = [4096, N];
    let bytes = 2.0 * (4096 * N * 2) as f64;
    let softmax = move |device: &Device, repeat: usize| {
        let fill = repeat > 0;
        let x = copies::<bf16>(device, &dims, fill)?;
        let mut y = device.zeros::<bf16>(&dims)?;
        let options = LaunchOptions::default();
        let ready = softmax_tile::kernel::<bf16, N>().prepare(device, (&x[0], &mut y), &options)?;
        if !fill {
            return Ok(vec![]);
        }
        times(device, repeat, |i| ready.launch(4096, (&x[i % x.len()], &mut y)))
    };
    let norm = move |device: &Device, repeat: usize| {
        let fill = repeat > 0;
        let x = copies::<bf16>(device, &dims, fill)?;
        let weight = noise::<bf16>(device, &[N], fill)?;
        let mut y = device.zeros::<bf16>(&dims)?;
        let options = LaunchOptions::default();
        let kernel = rms_norm_tile::kernel::<bf16, N>();
        let ready = kernel.prepare(device, (&x[0], &weight, &mut y, 1e-5), &options)?;
        if !fill {
            return Ok(vec![]);
        }
        times(device, repeat, |i| ready.launch(4096, (&x[i % x.len()], &weight, &mut y, 1e-5)))
    };
    list.push(Bench { name: format!("softmax bf16 4096x{N}"), flops: 0.0, bytes, run: Box::new(softmax) });
    list.push(Bench { name: format!("rms_norm bf16 4096x{N}"), flops: 0.0, bytes, run: Box::new(norm) });
}

/// Every measurement.
pub fn benches() -> Vec<Bench> {
    let mut list = Vec::new();
    for n in [1024, 2048, 4096, 8192] {
        list.push(gemm::<bf16, 128, 128>("bf16", [n, n, n]));
        list.push(gemm::<f16, 128, 128>("f16", [n, n, n]));
    }
    list.push(gemm::<bf16, 64, 128>("bf16", [64, 8192, 8192]));
    list.push(gemm::<bf16, 64, 64>("bf16", [16, 8192, 8192]));
    for length in [2048, 4096, 8192, 16_384] {
        list.push(attend::<bf16, 64, false>("bf16", length));
        list.push(attend::<bf16, 64, true>("bf16", length));
        list.push(attend::<bf16, 128, false>("bf16", length));
        list.push(attend::<bf16, 128, true>("bf16", length));
        list.push(attend::<f16, 128, false>("f16", length));
    }
    rows::<1024>(&mut list);
    rows::<2048>(&mut list);
    rows::<4096>(&mut list);
    rows::<8192>(&mut list);
    list
}
