//! Kernels that bandwidth limits: softmax and norms by rows. The cases of `kcc-kernels` prove them.

use super::{Bench, Config, Suite};
use crate::timing::{Effort, Rotation, seconds};
use kcc_dsl::prelude::*;
use kcc_kernels::layer_norm::{layer_norm_blocks, layer_norm_tile};
use kcc_kernels::rms_norm::{rms_norm_blocks, rms_norm_tile};
use kcc_kernels::softmax::{softmax_online, softmax_tile};
use kcc_runtime::{Device, Launch as _, LaunchOptions, Result};

const ROWS: usize = 4096;

fn softmax<const N: usize>(device: &Device, effort: Effort) -> Result<Option<f64>> {
    let x = Rotation::<bf16>::new(device, &[ROWS, N], effort)?;
    let mut y = device.zeros::<bf16>(&[ROWS, N])?;
    let none = LaunchOptions::default();
    // A row of 16384 does not fit the registers of one block.
    if N <= 8192 {
        let ready = softmax_tile::kernel::<bf16, N>().prepare(device, (x.at(0), &mut y), &none)?;
        return seconds(device, effort, |i| ready.launch(ROWS, (x.at(i), &mut y)));
    }
    let ready = softmax_online::kernel::<bf16, 4096>().prepare(device, (x.at(0), &mut y), &none)?;
    seconds(device, effort, |i| ready.launch(ROWS, (x.at(i), &mut y)))
}

fn rms_norm<const N: usize>(device: &Device, effort: Effort) -> Result<Option<f64>> {
    let x = Rotation::<bf16>::new(device, &[ROWS, N], effort)?;
    let w = Rotation::<bf16>::new(device, &[N], effort)?;
    let mut y = device.zeros::<bf16>(&[ROWS, N])?;
    let (none, eps) = (LaunchOptions::default(), 1e-5);
    if N <= 8192 {
        let kernel = rms_norm_tile::kernel::<bf16, N>();
        let ready = kernel.prepare(device, (x.at(0), w.at(0), &mut y, eps), &none)?;
        return seconds(device, effort, |i| ready.launch(ROWS, (x.at(i), w.at(0), &mut y, eps)));
    }
    let kernel = rms_norm_blocks::kernel::<bf16, 4096>();
    let ready = kernel.prepare(device, (x.at(0), w.at(0), &mut y, eps), &none)?;
    seconds(device, effort, |i| ready.launch(ROWS, (x.at(i), w.at(0), &mut y, eps)))
}

fn layer_norm<const N: usize>(device: &Device, effort: Effort) -> Result<Option<f64>> {
    let x = Rotation::<bf16>::new(device, &[ROWS, N], effort)?;
    let w = Rotation::<bf16>::new(device, &[N], effort)?;
    let unused = device.zeros::<bf16>(&[1, 1])?;
    let mut y = device.zeros::<bf16>(&[ROWS, N])?;
    let (none, eps) = (LaunchOptions::default(), 1e-5);
    if N <= 8192 {
        let kernel = layer_norm_tile::kernel::<bf16, N, false>();
        let ready = kernel.prepare(device, (x.at(0), &unused, w.at(0), w.at(0), &mut y, eps), &none)?;
        return seconds(device, effort, |i| {
            ready.launch(ROWS, (x.at(i), &unused, w.at(0), w.at(0), &mut y, eps))
        });
    }
    let kernel = layer_norm_blocks::kernel::<bf16, 4096, false>();
    let ready = kernel.prepare(device, (x.at(0), &unused, w.at(0), w.at(0), &mut y, eps), &none)?;
    seconds(device, effort, |i| ready.launch(ROWS, (x.at(i), &unused, w.at(0), w.at(0), &mut y, eps)))
}

fn width<const N: usize>(suite: &mut Suite) {
    type Run = fn(&Device, Effort) -> Result<Option<f64>>;
    let kernels: [(&str, Run); 3] =
        [("softmax", softmax::<N>), ("rms_norm", rms_norm::<N>), ("layer_norm", layer_norm::<N>)];
    for (kernel, run) in kernels {
        suite.benches.push(Bench {
            name: format!("{kernel} bf16 {ROWS}x{N}"),
            flops: 0.0,
            bytes: 2.0 * (ROWS * N * 2) as f64,
            configs: vec![Config { label: "default".into(), run: Box::new(run) }],
        });
    }
}

pub(super) fn add(suite: &mut Suite) {
    width::<1024>(suite);
    width::<2048>(suite);
    width::<4096>(suite);
    width::<8192>(suite);
    width::<16384>(suite);
}
