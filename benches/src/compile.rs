//! Compilation, in a compiler that has started: for a GPU from an empty cache to PTX or a code object; for this processor from the trace to
//! a kernel that can be launched, from an empty cache or from the one on disk.

use crate::Bench;
use anyhow::Result;
use kcc_dsl::prelude::*;
use kcc_kernels::attention::attention_tile;
use kcc_kernels::matmul::matmul_tile;
use kcc_runtime::jit::{ChildCompiler, find_kcc};
use kcc_runtime::{Builder, Device, Launch as _, LaunchOptions, Tensor};
use std::sync::Arc;

/// What is compiled for; nothing runs.
pub(crate) const NVIDIA: &str = "nvidia:sm_90a";
pub(crate) const AMD: &str = "amd:gfx942";

/// A GPU that has compiled nothing yet.
fn fresh(target: &str) -> Device {
    Builder::dry(target).no_disk_cache().build()
}

fn options() -> LaunchOptions {
    LaunchOptions { compile: [("warps".into(), "8".into())].into(), ..LaunchOptions::default() }
}

/// A product of 128 by 128 by 64 tiles.
pub(crate) fn matmul<T: Float + DotElem>(target: &'static str) -> Result<Bench> {
    let [a, b, bias, residual, mut c] = [[256, 256], [256, 256], [1, 256], [1, 1], [256, 256]]
        .map(|dims| Tensor::<T>::zeros(&dims).map_err(anyhow::Error::from))
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .try_into()
        .map_err(|_| anyhow::anyhow!("five tensors"))?;
    Bench::new(1, move || {
        let bias = bias.view().reshape(&[256])?;
        let kernel = matmul_tile::kernel::<T, 128, 128, 64, 0, false, false>();
        kernel.prepare(&fresh(target), (&a, &b, &bias, &residual, &mut c), &options())?;
        Ok(())
    })
}

/// Attention of 128 queries and 64 keys at a time, heads of 128.
pub(crate) fn attention<T: Float + DotElem>(target: &'static str) -> Result<Bench> {
    let dims = [1, 1, 256, 128];
    let (q, k, v) = (Tensor::<T>::zeros(&dims)?, Tensor::<T>::zeros(&dims)?, Tensor::<T>::zeros(&dims)?);
    let (lengths, mut o) = (Tensor::<i32>::zeros(&[1])?, Tensor::<T>::zeros(&dims)?);
    Bench::new(1, move || {
        let kernel = attention_tile::kernel::<T, 128, 64, 128, false>();
        kernel.prepare(&fresh(target), (&q, &k, &v, &lengths, &mut o, 1.0), &options())?;
        Ok(())
    })
}

/// Attention for this processor, 64 queries and 128 keys at a time, heads of 64. With `cached` the kernel is on disk.
pub(crate) fn on_cpu<T: Float + DotElem>(cached: bool) -> Result<Bench> {
    let dims = [1, 1, 256, 64];
    let (q, k, v) = (Tensor::<T>::zeros(&dims)?, Tensor::<T>::zeros(&dims)?, Tensor::<T>::zeros(&dims)?);
    let (lengths, mut o) = (Tensor::<i32>::zeros(&[1])?, Tensor::<T>::zeros(&dims)?);
    let compiler = Arc::new(ChildCompiler::new(&find_kcc().map_err(anyhow::Error::msg)?));
    let folder = cached.then(tempfile::tempdir).transpose()?;
    Bench::new(1, move || {
        let device = Builder::cpu().compiler(compiler.clone());
        let device = match &folder {
            Some(folder) => device.cache_dir(folder.path()),
            None => device.no_disk_cache(),
        };
        let kernel = attention_tile::kernel::<T, 64, 128, 64, false>();
        kernel.prepare(&device.build(), (&q, &k, &v, &lengths, &mut o, 1.0), &LaunchOptions::default())?;
        Ok(())
    })
}
