//! The Ascend backend: kernels to the pipes of DaVinci cores.
//!
//! ```text
//! tile IR ─ lower/ ─▶ davinci program ─ double_buffer ─ assign_addresses ─ order ─▶ verified program
//! ```
//! Products run on the cube core, everything else on vector cores; a kernel without products is for vector cores alone. The
//! program runs on the simulator of [`kcc_davinci`]; nobody has compared with a device.

mod lower;
mod passes;

use kcc_compiler::{Error, bug};
use kcc_davinci::Chip;
use kcc_davinci::ir::Program;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::Kernel;

/// Lowers a kernel for a chip: a program with addresses and in order, that keeps the chip's rules.
///
/// # Errors
/// What the chip or this backend cannot do, with its place and what to write instead.
pub fn compile(kernel: &Kernel, args: &[ArgSpec], chip: &Chip) -> Result<Program, Error> {
    let mut args = args.to_vec();
    args.resize(kernel.params.len(), ArgSpec::default());
    let (mut program, answers) = lower::lower(kernel, &args, chip.name)?;
    let mut slots = passes::double_buffer::choose(&program);
    loop {
        passes::double_buffer::apply(&mut program, &slots);
        let mut all = slots.clone();
        match passes::assign_addresses::run(&mut program, &mut all, chip) {
            Ok(()) => {
                slots = all;
                break;
            }
            Err((space, _)) if passes::double_buffer::give_up(&program, &mut slots, space) => {}
            Err((_, e)) => return Err(e),
        }
    }
    passes::order::run(&mut program, &slots, &answers, chip)?;
    kcc_davinci::verify(&program).map_err(|e| bug(format!("the Ascend lowering: {e}")))?;
    Ok(program)
}
