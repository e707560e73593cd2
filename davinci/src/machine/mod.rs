//! The simulator: cores whose scalar units issue to pipes that run side by side, in an order that a seed decides.
//!
//! Hazards do not depend on that order: what is not ordered by events, barriers, flags or the scalar unit is a fault however it
//! happened to come out (`race.rs`).

mod code;
mod context;
mod copies;
mod core;
mod cost;
mod cube;
mod memory;
mod race;
mod schedule;
mod sort;
mod sync;
mod trace;
mod traffic;
mod value;
mod vector;

use crate::chip::Chip;
use crate::error::Error;
use crate::ir::Program;
use kcc_dsl::ir::ParamKind;
pub use trace::{Report, Span as TraceSpan};

/// A launch argument.
#[derive(Debug)]
pub enum Arg<'a> {
    /// A view that is read.
    View {
        /// The memory.
        bytes: &'a [u8],
        /// Where the first element lies.
        origin: usize,
        /// Extents.
        dims: Vec<i64>,
        /// Strides in elements.
        strides: Vec<i64>,
    },
    /// A view that is written.
    ViewMut {
        /// The memory.
        bytes: &'a mut [u8],
        /// Where the first element lies.
        origin: usize,
        /// Extents.
        dims: Vec<i64>,
        /// Strides in elements.
        strides: Vec<i64>,
    },
    /// A scalar: integers extended, floats by the bits of an `f32`.
    Scalar(i64),
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides the order in which pipes and cores take turns.
    pub seed: u64,
    /// Steps of all scalar units together, at most.
    pub steps: u64,
    /// Keeps what each pipe did when.
    pub trace: bool,
    /// Only counts cycles: instructions move no data and are checked for no hazards, so that launches of full size take
    /// seconds. Memory is read by the scalar unit alone, and what lies behind the end of an argument's bytes reads as 0.
    pub timing: bool,
    /// Units in the last place by which exponentials and logarithms of `f32` are off, at most; which way is up to the seed. The vendor
    /// publishes no bound: 0 takes them for correctly rounded, and programs must not depend on that.
    pub inexact: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 0, steps: 1 << 32, trace: false, timing: false, inexact: 0 }
    }
}

/// A launch.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Programs of the kernel along each axis.
    pub grid: [u32; 3],
    /// Blocks: groups of cores, or vector cores of a kernel without products.
    pub blocks: u32,
    /// Arguments in order of the parameters.
    pub args: Vec<Arg<'a>>,
    /// How to run.
    pub options: Options,
}

/// Runs a program. Its outputs are written to the arguments, unless there is an error.
///
/// # Errors
/// A program that [`crate::verify`] refuses, arguments that do not fit the parameters, or the first fault.
pub fn run(program: &Program, launch: Launch<'_>) -> Result<Report, Error> {
    crate::verify(program)?;
    let chip =
        Chip::find(&program.chip).ok_or_else(|| Error::Arguments(format!("no chip {}", program.chip)))?;
    check(program, chip, &launch)?;
    let Launch { grid, blocks, mut args, options } = launch;
    let mut machine = schedule::Machine::new(program, chip, grid, blocks, &args, options);
    let report = machine.run().map_err(Error::Fault)?;
    for (memory, arg) in machine.globals.params.iter().zip(&mut args) {
        if let (Some(memory), Arg::ViewMut { bytes, .. }) = (memory, arg) {
            bytes.copy_from_slice(&memory.data);
        }
    }
    Ok(report)
}

fn check(program: &Program, chip: &Chip, launch: &Launch<'_>) -> Result<(), Error> {
    let fail = |what: String| Err(Error::Arguments(what));
    if program.params.len() != launch.args.len() {
        return fail(format!("{} arguments for {} parameters", launch.args.len(), program.params.len()));
    }
    for (i, (p, a)) in program.params.iter().zip(&launch.args).enumerate() {
        let (kind, len) = match a {
            Arg::Scalar(_) => (None, 0),
            Arg::View { dims, strides, .. } => (Some(false), dims.len().min(strides.len())),
            Arg::ViewMut { dims, strides, .. } => (Some(true), dims.len().min(strides.len())),
        };
        let fits = match p.kind {
            ParamKind::Scalar(_) => kind.is_none(),
            ParamKind::View { rank, mutable, .. } => kind == Some(mutable) && rank == len,
        };
        if !fits {
            return fail(format!("argument {i} does not fit its parameter"));
        }
    }
    let most = if program.cube.is_some() { chip.groups } else { chip.groups * chip.vectors };
    if launch.blocks == 0 || launch.blocks > most {
        return fail(format!("{} blocks; {} runs 1 to {most} of them at once", launch.blocks, chip.name));
    }
    Ok(())
}
