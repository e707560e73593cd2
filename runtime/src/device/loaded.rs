//! Kernels that are ready to run.

use super::{Device, Runnable};
use crate::drivers::{cpu, gpu};
use crate::error::Result;
use crate::launch::{
    Arg, How, IntoGrid, Label, Stream, check, check_grid, check_memory, check_specs, check_types,
};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Loc, Param};
use smallvec::SmallVec;

/// Code in the memory of a device.
pub(crate) enum Code {
    Cpu(cpu::Code),
    Gpu(Box<dyn gpu::Module>),
}

/// Compiled code with what a launch checks.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) generics: String,
    pub(crate) params: Vec<Param>,
    /// Facts that the code relies on.
    pub(crate) specs: SmallVec<[ArgSpec; 8]>,
    /// Where the author wrote the kernel.
    pub(crate) source: Option<Loc>,
    pub(crate) code: Code,
}

impl Loaded {
    pub(crate) fn label(&self) -> Label<'_> {
        Label { name: &self.name, generics: &self.generics }
    }
}

/// A kernel that was compiled from recorded IR, or loaded from a file; arguments are checked at each launch.
pub struct CompiledKernel {
    device: Device,
    runnable: Runnable,
}

impl CompiledKernel {
    pub(super) fn new(device: Device, runnable: Runnable) -> CompiledKernel {
        CompiledKernel { device, runnable }
    }

    /// Name with generic arguments.
    pub fn name(&self) -> String {
        self.runnable.label().to_string()
    }

    /// Parameters in order.
    pub fn params(&self) -> &[Param] {
        self.runnable.params()
    }

    /// Runs the kernel on at most `threads` threads (`None`: all of the device's) and waits for its end.
    ///
    /// # Errors
    /// Arguments that do not fit or are laid out otherwise than the code relies on, a grid without programs, a failed
    /// assertion.
    pub fn launch(&self, grid: impl IntoGrid, args: &[Arg<'_>], threads: Option<usize>) -> Result<()> {
        self.run(grid.into_grid(), args, How { threads, ..How::default() })
    }

    /// As [`CompiledKernel::launch`], into a stream of a GPU (`None`: the device's own).
    ///
    /// # Errors
    /// As [`CompiledKernel::launch`].
    pub fn launch_on(&self, grid: impl IntoGrid, args: &[Arg<'_>], stream: Option<Stream>) -> Result<()> {
        self.run(grid.into_grid(), args, How { stream, ..How::default() })
    }

    /// As [`CompiledKernel::launch`], of arguments whose types and layouts are known to be those that the code takes. Where there
    /// is nothing to compute, a grid may be empty.
    pub(crate) fn launch_fitting(&self, grid: [i64; 3], args: &[Arg<'_>], how: How) -> Result<()> {
        let label = self.runnable.label();
        if !check_memory(&label, self.params(), args, self.device.place())? {
            return Ok(());
        }
        check_grid(&label, grid)?;
        self.device.run(&self.runnable, grid, args, how)
    }

    fn run(&self, grid: [i64; 3], args: &[Arg<'_>], how: How) -> Result<()> {
        let label = self.runnable.label();
        check_grid(&label, grid)?;
        if !check(&label, self.params(), args, self.device.place())? {
            return Ok(());
        }
        self.check_specs(args)?;
        self.device.run(&self.runnable, grid, args, how)
    }

    /// Whether arguments of the right types are laid out as the code relies on.
    pub(crate) fn check_specs(&self, args: &[Arg<'_>]) -> Result<()> {
        match &self.runnable {
            Runnable::Code(l) => check_specs(&l.label(), &l.params, &l.specs, args),
            _ => Ok(()),
        }
    }

    /// Whether arguments have the right types.
    pub(crate) fn check_types(&self, args: &[Arg<'_>]) -> Result<()> {
        check_types(&self.runnable.label(), self.params(), args)
    }
}
