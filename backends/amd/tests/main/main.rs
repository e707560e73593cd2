//! Tests of the AMD backend.

mod crowded;
mod disassembly;
mod edges;
mod emulator;
mod linked;
mod metadata;
mod mutate;
mod objects;
mod order;
mod passes;
mod phases;
mod random;
mod scaled;
mod shipped;

use kcc_amd::Amd;

/// A target of the backend.
fn open(name: &str) -> Amd {
    Amd::open(name).expect("a known chip")
}
