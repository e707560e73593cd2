//! The Ascend backend: kernels to the pipes of DaVinci cores.
//!
//! ```text
//! tile IR ─ lower/ ─▶ davinci program ─ group_vectors ─ double_buffer ─ assign_addresses ─ order ─▶ verified program
//! ```
//! Products run on the cube core, everything else on vector cores; a kernel without products is for vector cores alone. The
//! program runs on the simulator of [`kcc_davinci`]; nobody has compared with a device.

pub mod chips;
pub mod emit;
mod lower;
mod passes;
pub mod pipeline;
mod target;

use kcc_compiler::{Error, Timings, bug};
use kcc_davinci::Chip;
use kcc_davinci::ir::Program;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::Kernel;
pub use target::Ascend;

/// Lowers a kernel for a chip: a program with addresses and in order, that keeps the chip's rules.
///
/// # Errors
/// What the chip or this backend cannot do, with its place and what to write instead.
pub fn compile(kernel: &Kernel, args: &[ArgSpec], chip: &Chip) -> Result<Program, Error> {
    let program = pipeline::compile_by(kernel, args, chip, &mut Timings::default(), &mut |_, _| Ok(None))?;
    kcc_davinci::verify(&program).map_err(|e| bug(format!("the Ascend lowering: {e}")))?;
    Ok(program)
}
