//! GPUs and NPUs, real and simulated: one driver, and kernels compiled for its chip.

use super::Launching;
use super::loaded::{Code, Loaded};
use super::store::{Loader, Store};
use crate::drivers::gpu::Driver;
use crate::error::{Error, Result};
use crate::launch::Place;
use kcc_dsl::exchange::Artifact;
use std::sync::Arc;

pub(super) struct Gpu {
    driver: Arc<dyn Driver>,
    pub(super) store: Store,
}

impl Gpu {
    pub(super) fn new(driver: Arc<dyn Driver>, store: Store) -> Gpu {
        Gpu { driver, store }
    }

    pub(super) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    pub(super) fn describe(&self) -> String {
        self.driver.describe()
    }

    /// How good code for a target is here, best 0; `None` if it does not run.
    pub(super) fn rank(&self, target: &str) -> Option<usize> {
        let own = std::iter::once(self.driver.target());
        own.chain(self.driver.other_targets().iter().copied()).position(|t| t == target)
    }

    pub(super) fn place(&self) -> Place {
        self.driver.place()
    }

    /// Runs checked arguments.
    pub(super) fn run(&self, loaded: &Loaded, launch: &Launching<'_>) -> Result<()> {
        let Code::Gpu(module) = &loaded.code else {
            return Err(Error::other_device(&loaded.name));
        };
        module.run(&loaded.label(), launch)
    }
}

impl Loader for Gpu {
    fn target(&self) -> Result<&str> {
        Ok(self.driver.target())
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Code> {
        Ok(Code::Gpu(self.driver.load(kernel, artifact)?))
    }
}
