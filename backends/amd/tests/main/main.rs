//! Tests of the AMD backend.

mod disassembly;
mod mutate;
mod objects;
mod random;

use kcc_amd::Amd;

/// A target of the backend.
fn open(name: &str) -> Amd {
    Amd::open(name).expect("a known chip")
}
