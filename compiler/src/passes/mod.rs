//! Passes on kt modules: one file each, all of one shape.

pub mod canonicalize;
pub mod cse;
pub mod dce;
pub mod gpu;
pub mod hoist;
mod read_only;

use crate::error::Error;
use melior::Context;
use melior::ir::Module;

/// What a stage's module holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Tiles without layout: the kt dialect with upstream arith, math and scf.
    Kt,
}

/// A pass.
#[derive(Clone, Copy)]
pub struct Pass {
    /// Name in dumps, timings and `kcc opt`.
    pub name: &'static str,
    /// The modules that it takes and leaves.
    pub on: Level,
    /// Changes the module in place.
    pub run: fn(&Context, &mut Module) -> Result<(), Error>,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The passes of the pipeline, each once.
pub fn all() -> Vec<Pass> {
    let mut all: Vec<Pass> = Vec::new();
    for pass in crate::pipeline::STAGES.iter().flat_map(|s| s.passes) {
        if all.iter().all(|p| p.name != pass.name) {
            all.push(*pass);
        }
    }
    all
}

/// The pass of that name.
pub fn by_name(name: &str) -> Option<Pass> {
    all().into_iter().find(|p| p.name == name)
}
