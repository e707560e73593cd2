//! What is bound by memory: one pass over large matrices.

use crate::{Bench, normal};
use anyhow::Result;
use kcc_dsl::prelude::*;
use kcc_kernels::{elementwise, rms_norm as rms, softmax as soft};
use kcc_runtime::{Device, Tensor};

const N: usize = 4096;

fn bytes<T: Elem>(matrices: usize) -> u64 {
    (matrices * N * N * T::ELEM.bytes()) as u64
}

pub fn softmax<T: Float>(device: Device) -> Result<Bench> {
    let (x, mut y) = (normal::<T>(1, &[N, N], 1.0)?, Tensor::<T>::zeros(&[N, N])?);
    Bench::new(bytes::<T>(2), move || Ok(soft::softmax(&device, &x.view(), &mut y.view_mut())?))
}

pub fn rms_norm<T: Float>(device: Device) -> Result<Bench> {
    let (x, weight) = (normal::<T>(1, &[N, N], 1.0)?, normal::<T>(2, &[N], 1.0)?);
    let mut y = Tensor::<T>::zeros(&[N, N])?;
    Bench::new(bytes::<T>(2), move || {
        Ok(rms::rms_norm(&device, &x.view(), &weight.view(), &mut y.view_mut(), 1e-6)?)
    })
}

pub fn silu_mul<T: Float>(device: Device) -> Result<Bench> {
    let (gate, up) = (normal::<T>(1, &[N, N], 1.0)?, normal::<T>(2, &[N, N], 1.0)?);
    let mut y = Tensor::<T>::zeros(&[N, N])?;
    Bench::new(bytes::<T>(3), move || {
        Ok(elementwise::silu_mul(&device, &gate.view(), &up.view(), &mut y.view_mut())?)
    })
}
