//! Runs a kernel on the simulator of the NPU.

use kcc_ascend::compile;
use kcc_davinci::ir::Program;
use kcc_davinci::{Arg, Chip, Launch, Options, run};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Elem, Kernel, ParamKind};

/// A scalar's bits as the program takes them.
pub fn scalar(bits: u64, kind: ParamKind) -> i64 {
    let ParamKind::Scalar(elem) = kind else { return bits as i64 };
    match elem {
        Elem::I8 => i64::from(bits as i8),
        Elem::I16 => i64::from(bits as i16),
        Elem::I32 => i64::from(bits as i32),
        Elem::F16 => i64::from(half::f16::from_bits(bits as u16).to_f32().to_bits()),
        Elem::BF16 => i64::from(half::bf16::from_bits(bits as u16).to_f32().to_bits()),
        _ => bits as i64,
    }
}

/// Compiles and runs; buffers are changed in place.
pub fn launch(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    blocks: u32,
    seed: u64,
) -> Result<(), String> {
    let program = program(kernel, args)?;
    if std::env::var_os("KCC_TEST_SHOW").is_some() {
        eprintln!("{}", program.to_text());
    }
    execute(&program, kernel, grid, buffers, args, blocks, seed)
}

/// Runs a program with exponentials and logarithms that are a unit off, one way or the other.
pub fn execute_inexact(
    program: &Program,
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    (blocks, seed): (u32, u64),
) -> Result<(), String> {
    let options = Options { seed, inexact: 1, ..Options::default() };
    execute_with(program, kernel, grid, buffers, args, (blocks, options))
}

/// The program of a kernel, for what is known of these arguments.
pub fn program(kernel: &Kernel, args: &[EagerArg]) -> Result<Program, String> {
    program_for(kernel, args, "ascend910b")
}

/// The same for a chip of that name.
pub fn program_for(kernel: &Kernel, args: &[EagerArg], chip: &str) -> Result<Program, String> {
    let chip = Chip::find(chip).ok_or("no chip")?;
    let specs: Vec<ArgSpec> = args
        .iter()
        .map(|a| match a {
            EagerArg::View { strides, .. } => ArgSpec {
                unit_axis: strides.iter().rposition(|s| *s == 1).map(|a| a as u8),
                ..ArgSpec::default()
            },
            EagerArg::Scalar(_) => ArgSpec::default(),
        })
        .collect();
    compile(kernel, &specs, chip).map_err(|e| format!("compile: {e}"))
}

/// Runs a program; buffers are changed in place.
pub fn execute(
    program: &Program,
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    blocks: u32,
    seed: u64,
) -> Result<(), String> {
    let options = Options { seed, ..Options::default() };
    execute_with(program, kernel, grid, buffers, args, (blocks, options))
}

fn execute_with(
    program: &Program,
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    (blocks, options): (u32, Options),
) -> Result<(), String> {
    let mut copies: Vec<Vec<u8>> = args
        .iter()
        .map(|a| match a {
            EagerArg::View { buffer, .. } => buffers[*buffer].bytes().to_vec(),
            EagerArg::Scalar(_) => Vec::new(),
        })
        .collect();
    let mut list = Vec::new();
    for ((a, bytes), p) in args.iter().zip(copies.iter_mut()).zip(&kernel.params) {
        list.push(match a {
            EagerArg::Scalar(bits) => Arg::Scalar(scalar(*bits, p.kind)),
            EagerArg::View { buffer, offset, dims, strides, mutable } => {
                let origin = *offset as usize * buffers[*buffer].elem().bytes();
                let (dims, strides) = (dims.clone(), strides.clone());
                if *mutable {
                    Arg::ViewMut { bytes, origin, dims, strides }
                } else {
                    Arg::View { bytes, origin, dims, strides }
                }
            }
        });
    }
    run(program, Launch { grid, blocks, args: list, options }).map_err(|e| format!("run: {e}"))?;
    for (a, bytes) in args.iter().zip(copies) {
        if let EagerArg::View { buffer, mutable: true, .. } = a {
            buffers[*buffer].bytes_mut().copy_from_slice(&bytes);
        }
    }
    Ok(())
}
