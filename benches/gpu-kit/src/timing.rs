//! Time of one launch: many launches between two events, over inputs that do not fit the second-level cache.
//!
//! ```text
//! warm-up ─ one timed launch ─▶ how many make a batch ─ recorded as a graph ─▶ (event · batch · event) × repeats ─▶ median
//! ```
//! A graph keeps the host's launch cost out of the figure, for kernels that are shorter than it; the peers are timed the
//! same way.

use kcc_dsl::prelude::*;
use kcc_runtime::{Device, DeviceTensor, Result, Tensor};
use std::time::Duration;

/// Bytes that the copies of one input fill together: more than any second-level cache holds.
const ROTATED: usize = 192 << 20;

/// How long a batch should take; events count in steps of about a microsecond.
const BATCH: Duration = Duration::from_millis(4);

/// What is asked of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Timed batches, of which the median counts; 0 only compiles.
    pub repeats: usize,
}

impl Effort {
    /// Compile, and run nothing.
    pub const COMPILE: Effort = Effort { repeats: 0 };

    /// Whether kernels only get compiled.
    pub fn compiles_only(self) -> bool {
        self.repeats == 0
    }
}

/// Pseudo-random numbers in -1..1, the same everywhere.
pub fn noise<T: Float>(dims: &[usize]) -> Result<Tensor<T>> {
    let mut state = 0x9e37_79b9_u32;
    Tensor::from_fn(dims, |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        T::from_f32(state as f32 / 2_147_483_648.0 - 1.0)
    })
}

/// Copies of one input on the device, which launches use in turns.
pub struct Rotation<T>(Vec<DeviceTensor<T>>);

impl<T: Float> Rotation<T> {
    /// As many copies as fill [`ROTATED`], of noise; for compiling, one of zeros.
    ///
    /// # Errors
    /// No memory.
    pub fn new(device: &Device, dims: &[usize], effort: Effort) -> Result<Rotation<T>> {
        if effort.compiles_only() {
            return Ok(Rotation(vec![device.zeros(dims)?]));
        }
        let values = noise(dims)?;
        let bytes = values.len() * size_of::<T>();
        let count = (ROTATED / bytes.max(1)).clamp(1, 32);
        Ok(Rotation((0..count).map(|_| device.upload(&values)).collect::<Result<_>>()?))
    }

    /// The copy for launch number `i`.
    pub fn at(&self, i: usize) -> &DeviceTensor<T> {
        &self.0[i % self.0.len()]
    }
}

/// Seconds of one launch; `None` if kernels only get compiled. `launch(i)` is launch number `i`.
///
/// # Errors
/// Those of the launches.
pub fn seconds(
    device: &Device,
    effort: Effort,
    mut launch: impl FnMut(usize) -> Result<()>,
) -> Result<Option<f64>> {
    if effort.compiles_only() {
        return Ok(None);
    }
    for i in 0..3 {
        launch(i)?;
    }
    device.synchronize(None)?;
    let one = device.time(None, || launch(3))?;
    let batch = (BATCH.as_secs_f64() / one.as_secs_f64().max(1e-6)).ceil().clamp(1.0, 1000.0) as usize;
    let all = |launch: &mut dyn FnMut(usize) -> Result<()>| (0..batch).try_for_each(launch);
    // Only CUDA records, and only launches that report nothing.
    let graph = device.record(None, || all(&mut launch)).ok();
    let mut times = Vec::new();
    for _ in 0..effort.repeats + 1 {
        let time = match &graph {
            // SAFETY: the tensors are borrowed by `launch`; one stream runs its launches one after another.
            Some(graph) => device.time(None, || unsafe { graph.launch(None) })?,
            None => device.time(None, || all(&mut launch))?,
        };
        times.push(time.as_secs_f64() / batch as f64);
    }
    // The first one is for warming up.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied())
}
