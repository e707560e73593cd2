//! Matrix products: plain, and the experts of a mixture.

use crate::{Bench, normal};
use anyhow::Result;
use kcc_dsl::prelude::*;
use kcc_kernels::activation::IDENTITY;
use kcc_kernels::matmul::{self, Epilogue};
use kcc_kernels::moe::{self, Experts, Workspace};
use kcc_runtime::{Device, Tensor};

pub fn matmul<T: Float + DotElem>(device: Device, n: usize) -> Result<Bench> {
    let a = normal::<T>(1, &[n, n], 1.0)?;
    // A weight: the peers' are packed ahead of time too.
    let b = normal::<T>(2, &[n, n], 1.0 / (n as f32).sqrt())?.freeze();
    let mut c = Tensor::<T>::zeros(&[n, n])?;
    Bench::new(2 * (n as u64).pow(3), move || {
        let none = Epilogue { bias: None, residual: None };
        Ok(matmul::matmul::<T, IDENTITY>(&device, &a.view(), &b.view(), none, &mut c.view_mut())?)
    })
}

pub fn moe<T: Float + DotElem>(device: Device) -> Result<Bench> {
    let (tokens, hidden, experts, choices, inner) = (256, 1024, 8, 2, 2048);
    let x = normal::<T>(1, &[tokens, hidden], 1.0)?;
    let from_hidden = 1.0 / (hidden as f32).sqrt();
    let router = normal::<T>(2, &[hidden, experts], from_hidden)?.freeze();
    let gate = normal::<T>(3, &[experts, hidden, inner], from_hidden)?.freeze();
    let up = normal::<T>(4, &[experts, hidden, inner], from_hidden)?.freeze();
    let down = normal::<T>(5, &[experts, inner, hidden], 1.0 / (inner as f32).sqrt())?.freeze();
    let mut work = Workspace::new(tokens, hidden, experts, choices, inner)?;
    let mut y = Tensor::<T>::zeros(&[tokens, hidden])?;
    Bench::new((6 * tokens * choices * hidden * inner) as u64, move || {
        let (router, gate, up, down) = (router.view(), gate.view(), up.view(), down.view());
        let weights = Experts { router: &router, gate: &gate, up: &up, down: &down };
        Ok(moe::moe(&device, &x.view(), weights, choices, &mut work, &mut y.view_mut())?)
    })
}
