//! A mixture-of-experts layer as the launches that `kcc_kernels::moe` makes, on tensors of the device.

use super::{Bench, Config, Suite, label};
use crate::timing::{Effort, Rotation, seconds};
use kcc_dsl::prelude::*;
use kcc_kernels::matmul::matmul_tile;
use kcc_kernels::moe::{combine::combine_tile, gate::gate_tile, grouped, permute::permute_tile};
use kcc_runtime::{Device, Launch as _, LaunchOptions, Result};

const TOKENS: usize = 4096;
const HIDDEN: usize = 2048;
const INNER: usize = 4096;
const EXPERTS: usize = 8;
const CHOICES: usize = 2;

fn time<const BM: usize, const BN: usize>(device: &Device, effort: Effort) -> Result<Option<f64>> {
    type T = bf16;
    let none = LaunchOptions::default();
    let slots = TOKENS * CHOICES;
    let new = |dims: &[usize]| Rotation::<T>::new(device, dims, effort);
    let (x, router) = (new(&[TOKENS, HIDDEN])?, new(&[HIDDEN, EXPERTS])?);
    let (gates, ups) = (new(&[EXPERTS, HIDDEN, INNER])?, new(&[EXPERTS, HIDDEN, INNER])?);
    let downs = new(&[EXPERTS, INNER, HIDDEN])?;
    let (bias, residual) = (device.zeros::<T>(&[1])?, device.zeros::<T>(&[1, 1])?);
    let mut scores = device.zeros::<T>(&[TOKENS, EXPERTS])?;
    let mut ids = device.zeros::<i32>(&[TOKENS, CHOICES])?;
    let mut weights = device.zeros::<f32>(&[TOKENS, CHOICES])?;
    let mut starts = device.zeros::<i32>(&[EXPERTS + 1])?;
    let mut order = device.zeros::<i32>(&[slots])?;
    let mut inner = device.zeros::<T>(&[slots, INNER])?;
    let mut parts = device.zeros::<T>(&[slots, HIDDEN])?;
    let mut y = device.zeros::<T>(&[TOKENS, HIDDEN])?;
    let route = matmul_tile::kernel::<T, 64, 64, 64, 0, false, false>().prepare(
        device,
        (x.at(0), router.at(0), &bias, &residual, &mut scores),
        &none,
    )?;
    let pick = gate_tile::kernel::<T, EXPERTS, CHOICES>().prepare(
        device,
        (&scores, &mut ids, &mut weights),
        &none,
    )?;
    let flat = |t: &kcc_runtime::DeviceTensor<i32>| {
        // SAFETY: the tensor lives as long as the launches that take the view, and they write it nowhere.
        unsafe { device.view::<i32>(t.address(), &[slots], &[1]) }
    };
    let permute =
        permute_tile::kernel::<256>().prepare(device, (&flat(&ids)?, &mut starts, &mut order), &none)?;
    let first = grouped::grouped_swiglu_tile::kernel::<T, BM, BN, 64>().prepare(
        device,
        (x.at(0), gates.at(0), ups.at(0), &starts, &order, &mut inner, CHOICES as i32),
        &none,
    )?;
    let last = grouped::grouped_down_tile::kernel::<T, BM, BN, 64>().prepare(
        device,
        (&inner, downs.at(0), &starts, &order, &mut parts),
        &none,
    )?;
    let by_token = |t: &kcc_runtime::DeviceTensor<T>| {
        let strides = [(CHOICES * HIDDEN) as i64, HIDDEN as i64, 1];
        // SAFETY: as above.
        unsafe { device.view::<T>(t.address(), &[TOKENS, CHOICES, HIDDEN], &strides) }
    };
    let combine =
        combine_tile::kernel::<T, 1024>().prepare(device, (&by_token(&parts)?, &weights, &mut y), &none)?;
    seconds(device, effort, |i| {
        let blocks = [TOKENS.div_ceil(64), 1, 1];
        route.launch(blocks, (x.at(i), router.at(i), &bias, &residual, &mut scores))?;
        pick.launch(TOKENS, (&scores, &mut ids, &mut weights))?;
        permute.launch(EXPERTS, (&flat(&ids)?, &mut starts, &mut order))?;
        let args = (x.at(i), gates.at(i), ups.at(i), &starts, &order, &mut inner, CHOICES as i32);
        first.launch([INNER.div_ceil(BN), EXPERTS, 1], args)?;
        last.launch([HIDDEN.div_ceil(BN), EXPERTS, 1], (&inner, downs.at(i), &starts, &order, &mut parts))?;
        combine.launch([HIDDEN.div_ceil(1024), TOKENS, 1], (&by_token(&parts)?, &weights, &mut y))
    })
}

fn config<const BM: usize, const BN: usize>() -> Config {
    Config { label: label(&[BM, BN, 64], ""), run: Box::new(time::<BM, BN>) }
}

pub(super) fn add(suite: &mut Suite) {
    let flops = 6.0 * (TOKENS * CHOICES) as f64 * (HIDDEN * INNER) as f64;
    let bytes = 2.0 * (3 * EXPERTS * HIDDEN * INNER + 2 * TOKENS * HIDDEN) as f64;
    suite.benches.push(Bench {
        name: format!("moe bf16 {TOKENS}x{HIDDEN} {EXPERTS} experts of {INNER}, top {CHOICES}"),
        flops,
        bytes,
        configs: vec![config::<64, 128>(), config::<64, 64>(), config::<16, 64>()],
    });
}
