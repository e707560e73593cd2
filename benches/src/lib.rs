//! The kernels that are timed, by the names of `README.md`, each ready to run on a device.
//!
//! `main.rs` times one and appends a record, for the comparison with peers; `benches/kernels.rs` hands all of them to
//! criterion.

mod attention;
mod compile;
mod dense;
mod model;
mod pack;
mod rows;

use anyhow::{Result, bail};
use kcc_dsl::prelude::*;
use kcc_kernels::cases::input::Random;
use kcc_runtime::{Device, Tensor};

/// Every case by name.
pub const NAMES: [&str; 20] = [
    "matmul.1024",
    "matmul.2048",
    "attention.d64.full",
    "attention.d64.causal",
    "attention.d128.full",
    "attention.d128.causal",
    "decode.8192",
    "softmax.4096",
    "rmsnorm.4096",
    "silu_mul.4096",
    "moe.256",
    "minilm.64",
    "compile.matmul",
    "compile.attention",
    "compile.amd.matmul",
    "compile.amd.attention",
    "pack.open",
    "pack.launch",
    "compile.cpu",
    "compile.cpu.cached",
];

/// The element types that a case exists in.
pub fn dtypes(name: &str) -> &'static [&'static str] {
    match name {
        // Code for GPUs is compiled where its products run on matrix units.
        "compile.matmul" | "compile.attention" | "compile.amd.matmul" | "compile.amd.attention" => &["bf16"],
        "pack.open" | "pack.launch" => &["f32"],
        _ => &["f32", "bf16"],
    }
}

/// Something that can be run again and again.
pub struct Bench {
    /// Runs it once and waits for its end.
    pub run: Box<dyn FnMut() -> Result<()>>,
    /// How much one run does: flop, bytes, sentences, compilations, packs or launches, as the README says.
    pub work: u64,
}

impl Bench {
    fn new(work: u64, run: impl FnMut() -> Result<()> + 'static) -> Result<Bench> {
        Ok(Bench { run: Box::new(run), work })
    }
}

/// The case `name` in `dtype` (`f32` or `bf16`), with its inputs made; `None` if there is no such case.
///
/// # Errors
/// Another dtype, no memory, or (for the model) no weights.
pub fn bench(name: &str, dtype: &str, device: &Device) -> Result<Option<Bench>> {
    match dtype {
        "f32" => of_type::<f32>(name, device),
        "bf16" => of_type::<bf16>(name, device),
        _ => bail!("dtype {dtype}: f32 and bf16 are possible"),
    }
}

fn of_type<T: kcc_minilm::Element>(name: &str, device: &Device) -> Result<Option<Bench>> {
    let device = device.clone();
    if !dtypes(name).contains(&T::ELEM.name()) {
        return Ok(None);
    }
    Ok(Some(match name {
        "matmul.1024" => dense::matmul::<T>(device, 1024)?,
        "matmul.2048" => dense::matmul::<T>(device, 2048)?,
        "attention.d64.full" => attention::full::<T>(device, 64, false)?,
        "attention.d64.causal" => attention::full::<T>(device, 64, true)?,
        "attention.d128.full" => attention::full::<T>(device, 128, false)?,
        "attention.d128.causal" => attention::full::<T>(device, 128, true)?,
        "decode.8192" => attention::decode::<T>(device)?,
        "softmax.4096" => rows::softmax::<T>(device)?,
        "rmsnorm.4096" => rows::rms_norm::<T>(device)?,
        "silu_mul.4096" => rows::silu_mul::<T>(device)?,
        "moe.256" => dense::moe::<T>(device)?,
        "minilm.64" => model::minilm::<T>(device)?,
        "compile.matmul" => compile::matmul::<T>(compile::NVIDIA)?,
        "compile.attention" => compile::attention::<T>(compile::NVIDIA)?,
        "compile.amd.matmul" => compile::matmul::<T>(compile::AMD)?,
        "compile.amd.attention" => compile::attention::<T>(compile::AMD)?,
        "compile.cpu" => compile::on_cpu::<T>(false)?,
        "compile.cpu.cached" => compile::on_cpu::<T>(true)?,
        "pack.open" => pack::open(&device)?,
        "pack.launch" => pack::launch(&device)?,
        _ => return Ok(None),
    }))
}

/// Numbers from a normal distribution of this deviation (the sum of twelve even ones, by the central limit theorem).
fn normal<T: Float>(seed: u64, dims: &[usize], deviation: f32) -> Result<Tensor<T>> {
    let mut random = Random::new(seed);
    let mut one = || (0..12).map(|_| random.uniform(0.5)).sum::<f32>() * deviation;
    Ok(Tensor::from_fn(dims, |_| T::from_f32(one()))?)
}
