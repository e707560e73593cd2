//! Kernels around matrix products that no shipped kernel looks like, on simulated NVIDIA GPUs, a simulated NPU and the CPU against
//! eager mode.
//!
//! Operands are small whole numbers, and every sum is below 2²⁴: results are equal, whatever order sums take.

mod chains;
mod control;
mod memory;
mod operands;
mod sorts;
mod special;
mod windows;

use kcc::prelude::*;
use kcc::{Builder, Device, LaunchOptions, Tensor};

/// `mma.sync`; the same with 8-bit floats; `wgmma` and TMA.
const CHIPS: [&str; 3] = ["sim:sm_80", "sim:sm_89", "sim:sm_90a"];

/// What takes no options of GPUs: run once each, beside the chips above.
const PLAIN_DEVICES: [&str; 2] = ["sim:ascend910b", "cpu"];

/// Whole numbers from -`most` to `most` that look random.
fn whole<T: Num>(dims: &[usize], seed: usize, most: usize) -> Tensor<T> {
    let hash = |i: usize| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_mul(2 * seed + 3) >> 40;
    Tensor::from_fn(dims, |i| T::from_f32((hash(i) % (2 * most + 1)) as f32 - most as f32)).unwrap()
}

fn with(options: &[(&str, &str)]) -> LaunchOptions {
    let compile = options.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    LaunchOptions { compile, ..LaunchOptions::default() }
}

/// Results as `f32`, one list per output.
fn results<T: Num>(tensors: &[&Tensor<T>]) -> Vec<Vec<f32>> {
    tensors.iter().map(|t| t.as_slice().iter().map(|v| v.to_f32()).collect()).collect()
}

/// Runs in eager mode, which takes no options, on the CPU and an NPU, and on each chip with each set of options.
fn agree(chips: &[&str], sets: &[&[(&str, &str)]], run: impl Fn(&Device, &LaunchOptions) -> Vec<Vec<f32>>) {
    agree_on(&PLAIN_DEVICES, PLAIN, &run);
    agree_on(chips, sets, &run);
}

/// The same on these devices alone.
fn agree_on(
    devices: &[&str],
    sets: &[&[(&str, &str)]],
    run: impl Fn(&Device, &LaunchOptions) -> Vec<Vec<f32>>,
) {
    agree_as(devices, sets, |got, wanted| got == wanted, run);
}

/// The same, where results may be `same` without being equal.
fn agree_as(
    chips: &[&str],
    sets: &[&[(&str, &str)]],
    same: impl Fn(f32, f32) -> bool,
    run: impl Fn(&Device, &LaunchOptions) -> Vec<Vec<f32>>,
) {
    let wanted = run(&Device::eager(), &LaunchOptions::default());
    assert!(wanted.iter().flatten().any(|v| *v != 0.0), "a kernel that does nothing proves nothing");
    for chip in chips {
        let device = Builder::open(chip).unwrap().no_disk_cache().build();
        for set in sets {
            let got = run(&device, &with(set));
            for (i, (g, w)) in got.iter().zip(&wanted).enumerate() {
                let differs = g.iter().zip(w).position(|(g, w)| !same(*g, *w));
                if let Some(at) = differs {
                    panic!("{chip} {set:?}: output {i} has {} at {at}, eager mode {}", g[at], w[at]);
                }
                assert_eq!(g.len(), w.len());
            }
        }
    }
}

/// The compiler's own choice.
const PLAIN: &[&[(&str, &str)]] = &[&[]];
