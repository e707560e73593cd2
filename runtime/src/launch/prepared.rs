//! A kernel that was compiled for one layout of arguments: a launch checks, fills one array, and calls.

use super::{Arg, Arguments, How, IntoGrid, Label, LaunchOptions, check, check_grid, check_specs};
use crate::device::{Device, Runnable};
use crate::error::Result;
use kcc_dsl::KernelFn;
use kcc_dsl::exchange::ArgSpec;
use smallvec::SmallVec;
use std::marker::PhantomData;

/// A kernel ready to run on arguments whose contiguous axes (and, on a GPU, alignments) are those it was prepared with;
/// dims may differ.
pub struct Prepared<A> {
    device: Device,
    runnable: Runnable,
    specs: SmallVec<[ArgSpec; 8]>,
    how: How,
    args: PhantomData<fn() -> A>,
}

impl<A> Prepared<A> {
    pub(crate) fn new(
        device: &Device,
        kernel: &KernelFn,
        args: &[Arg<'_>],
        options: &LaunchOptions,
    ) -> Result<Self> {
        let label = Label { name: kernel.name, generics: &kernel.generics };
        check(&label, &kernel.params, args, device.place())?;
        let runnable = device.runnable(kernel, args, &options.compile)?;
        Ok(Prepared {
            device: device.clone(),
            runnable,
            specs: super::specs(args, device.facts()),
            how: How { threads: options.threads, stream: options.stream, workspace: None },
            args: PhantomData,
        })
    }

    /// Runs the kernel and waits for its end (on a GPU, only where a view lies in host memory, or the kernel asserts or
    /// prints).
    ///
    /// # Errors
    /// Arguments that do not fit or are laid out otherwise, a grid without programs, a failed assertion.
    pub fn launch<X: Arguments<A>>(&self, grid: impl IntoGrid, mut args: X) -> Result<()> {
        let args = args.lower();
        let label = self.runnable.label();
        let grid = grid.into_grid();
        check_grid(&label, grid)?;
        if !check(&label, self.runnable.params(), &args, self.device.place())? {
            return Ok(());
        }
        check_specs(&label, self.runnable.params(), &self.specs, &args)?;
        self.device.run(&self.runnable, grid, &args, self.how)
    }
}
