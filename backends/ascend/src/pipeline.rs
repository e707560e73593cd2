//! The stages from a kernel to the program of the chip's cores, each of which can be shown, and replaced by an edited one.

use crate::passes::order::Hints;
use crate::{lower, passes};
use kcc_compiler::{Error, Timings};
use kcc_davinci::Chip;
use kcc_davinci::ir::Program;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::Kernel;

/// Names of the stages, with the extension of their files.
pub const STAGES: [(&str, &str); 5] = [
    ("lower", "davinci"),
    ("group_vectors", "davinci"),
    ("double_buffer", "davinci"),
    ("assign_addresses", "davinci"),
    ("order", "davinci"),
];

/// Receives the number of a stage and its result; returns what takes its place.
pub type Watch<'w> = dyn FnMut(usize, &Program) -> Result<Option<Program>, Error> + 'w;

/// Lowers a kernel for a chip: a program with addresses and in order.
///
/// # Errors
/// What the chip or this backend cannot do, with its place and what to write instead; those of `watch`.
pub fn compile_by(
    kernel: &Kernel,
    args: &[ArgSpec],
    chip: &Chip,
    clock: &mut Timings,
    watch: &mut Watch,
) -> Result<Program, Error> {
    let mut args = args.to_vec();
    args.resize(kernel.params.len(), ArgSpec::default());
    let (mut program, hints) = clock.time("lower", || lowered(kernel, &args, chip))?;
    if let Some(new) = watch(0, &program)? {
        program = new;
    }
    clock.time("group_vectors", || group(&mut program, chip));
    if let Some(new) = watch(1, &program)? {
        program = new;
    }
    let mut slots = passes::double_buffer::choose(&program);
    passes::double_buffer::apply(&mut program, &slots);
    if let Some(new) = watch(2, &program)? {
        program = new;
        slots = passes::double_buffer::given(&program);
    }
    clock.time("assign_addresses", || place(&mut program, &mut slots, chip))?;
    if let Some(new) = watch(3, &program)? {
        program = new;
        slots = passes::double_buffer::given(&program);
    }
    clock.time("order", || passes::order::run(&mut program, &slots, &hints, chip))?;
    if let Some(new) = watch(4, &program)? {
        program = new;
    }
    Ok(program)
}

/// Into how many parts rows may go.
const PARTS: [usize; 5] = [1, 2, 4, 8, 16];

/// The program of a kernel; where tiles take too much room, with rows in parts.
pub(crate) fn lowered(kernel: &Kernel, args: &[ArgSpec], chip: &Chip) -> Result<(Program, Hints), Error> {
    let woven = lower::weave::run(kernel);
    let kernel = woven.as_ref().unwrap_or(kernel);
    let narrow = lower::narrow_products::run(kernel);
    let kernel = narrow.as_ref().unwrap_or(kernel);
    let wide = lower::wide_sums::run(kernel);
    let kernel = wide.as_ref().unwrap_or(kernel);
    let mut whole = None;
    for parts in PARTS {
        let parted = if parts > 1 { lower::row_parts::run(kernel, parts) } else { Some(kernel.clone()) };
        let Some(kernel) = parted else { break };
        for plan in lower::Plan::ALL {
            let program = lower::lower(&kernel, args, chip, plan)?;
            if fits(&program.0, chip) {
                return Ok(program);
            }
            // Without a skewed loop there is nothing to plan.
            let skewed = !program.1.heads.is_empty();
            whole.get_or_insert(program);
            if !skewed {
                break;
            }
        }
    }
    match whole {
        Some(program) => Ok(program),
        None => lower::lower(kernel, args, chip, lower::Plan::ALL[3]),
    }
}

/// Whether there is room for a program's buffers.
fn fits(program: &Program, chip: &Chip) -> bool {
    let mut trial = program.clone();
    let mut slots = passes::double_buffer::choose(&trial);
    place(&mut trial, &mut slots, chip).is_ok()
}

/// Groups vector instructions, if there is room: side by side they need more than one after another.
fn group(program: &mut Program, chip: &Chip) {
    let mut grouped = program.clone();
    passes::group_vectors::run(&mut grouped);
    if fits(&grouped, chip) {
        *program = grouped;
    }
}

/// Gives buffers addresses; where they do not fit, second slots are given up.
fn place(program: &mut Program, slots: &mut passes::order::Slots, chip: &Chip) -> Result<(), Error> {
    loop {
        passes::double_buffer::apply(program, slots);
        let mut all = slots.clone();
        match passes::assign_addresses::run(program, &mut all, chip) {
            Ok(()) => {
                *slots = all;
                return Ok(());
            }
            Err((space, _)) if passes::double_buffer::give_up(program, slots, space) => {}
            Err((_, e)) => return Err(e),
        }
    }
}
