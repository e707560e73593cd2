//! Tests of the NVIDIA backend.

mod assemble;
mod dots;
mod far;
mod lines;
mod mma;
mod mutate;
mod passes;
mod random;
mod reports;
mod simulate;
mod stages;
mod unfit;
mod wide;
mod wide_kernels;
mod wide_sim;

use kcc_nvidia::Nvidia;

/// A target of the backend.
fn open(name: &str) -> Nvidia {
    Nvidia::open(name).expect("a known chip")
}
