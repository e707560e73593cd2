//! A device that compiles for a GPU and runs nothing: to fill caches, to time compilations, to see that all compiles.

use super::gpu::{self, Driver, Module};
use crate::device::Launching;
use crate::error::Result;
use crate::launch::{Label, Place};
use kcc_dsl::exchange::Artifact;

/// Compiles for a target.
pub(crate) struct Dry {
    /// Full name of the target.
    pub(crate) target: String,
}

struct Nothing;

impl Driver for Dry {
    fn describe(&self) -> String {
        format!("dry ({}, nothing runs)", self.target)
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn place(&self) -> Place {
        Place::Host
    }

    /// As the simulator's table has it: what is compiled is then what a real device of that kind would ask for.
    fn shared_bytes(&self) -> Option<u64> {
        #[cfg(feature = "sim")]
        return kcc_simt::Chip::find(self.target.split_once(':')?.1).map(|c| c.shared);
        #[cfg(not(feature = "sim"))]
        None
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        if artifact.npu.is_none() {
            gpu::meta(kernel, artifact)?;
        }
        Ok(Box::new(Nothing))
    }
}

impl Module for Nothing {
    fn run(&self, _: &Label<'_>, _: &Launching<'_>) -> Result<()> {
        Ok(())
    }
}
