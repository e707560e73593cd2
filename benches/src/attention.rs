//! Attention over a whole sequence, and for one token against a cache.

use crate::{Bench, normal};
use anyhow::Result;
use kcc_dsl::prelude::*;
use kcc_kernels::attention::{Scores, attention};
use kcc_kernels::decode;
use kcc_runtime::{Device, Tensor};

pub fn full<T: Float + DotElem>(device: Device, head: usize, causal: bool) -> Result<Bench> {
    let (heads, n) = (8, 2048);
    let dims = [1, heads, n, head];
    let (q, k, v) = (normal::<T>(1, &dims, 1.0)?, normal::<T>(2, &dims, 1.0)?, normal::<T>(3, &dims, 1.0)?);
    let lengths = Tensor::from_slice(&[n as i32], &[1])?;
    let mut o = Tensor::<T>::zeros(&dims)?;
    let scores = Scores { scale: 1.0 / (head as f32).sqrt(), causal };
    let pairs = if causal { n * (n + 1) / 2 } else { n * n };
    Bench::new((4 * heads * pairs * head) as u64, move || {
        let keys = (&k.view(), &v.view());
        Ok(attention(&device, &q.view(), keys, &lengths.view(), &mut o.view_mut(), scores)?)
    })
}

pub fn decode<T: Float + DotElem>(device: Device) -> Result<Bench> {
    let (heads, kv_heads, keys, head) = (32, 8, 8192, 128);
    let q = normal::<T>(1, &[1, heads, head], 1.0)?;
    let dims = [1, kv_heads, keys, head];
    let (k, v) = (normal::<T>(2, &dims, 1.0)?, normal::<T>(3, &dims, 1.0)?);
    let lengths = Tensor::from_slice(&[keys as i32], &[1])?;
    let mut o = Tensor::<T>::zeros(&[1, heads, head])?;
    let scale = 1.0 / (head as f32).sqrt();
    Bench::new((2 * kv_heads * keys * head * T::ELEM.bytes()) as u64, move || {
        let keys = (&k.view(), &v.view());
        Ok(decode::decode(&device, &q.view(), keys, &lengths.view(), &mut o.view_mut(), scale)?)
    })
}
