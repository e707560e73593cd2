//! Compiles a kernel for the simulator and runs it on the buffers of eager mode.

use kcc_compiler::session::{Options, Session};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::{Elem, Kernel, ParamKind};
use kcc_nvidia::Nvidia;
use kcc_simt::{Arg, Chip, Launch, Memory, Program, Stats};
use std::collections::BTreeMap;

/// Compiles for a simulated chip.
pub fn compile(
    kernel: &Kernel,
    args: &[ArgSpec],
    target: &str,
    knobs: &BTreeMap<String, String>,
) -> Result<Artifact, String> {
    let gpu = Nvidia::open(target).ok_or("no such target")?;
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.into(),
        args: args.to_vec(),
        options: knobs.clone(),
    };
    let result = Session::new().compile(&request, &gpu, &Options::default());
    result.map_err(|all| {
        let lines: Vec<String> = all
            .iter()
            .map(|d| match &d.loc {
                Some(l) => format!("{l}: {}", d.message),
                None => d.message.clone(),
            })
            .collect();
        lines.join("; ")
    })
}

/// Compiles and runs all programs of a grid with what the arguments allow to rely on.
pub fn run(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    target: &str,
    seed: u64,
) -> Result<Stats, String> {
    let elems: Vec<Elem> = buffers.iter().map(EagerBuffer::elem).collect();
    let mut memory = Memory::new();
    let homes: Vec<u64> = buffers.iter_mut().map(|b| memory.borrow(b.bytes_mut())).collect();
    let address =
        |buffer: usize, offset: i64| homes[buffer].wrapping_add_signed(offset * elems[buffer].bytes() as i64);
    let specs: Vec<ArgSpec> = args
        .iter()
        .map(|a| match a {
            EagerArg::View { buffer, offset, dims, strides, .. } => {
                let at = address(*buffer, *offset);
                // Tensor maps are the runtime's to make.
                ArgSpec { tma: false, ..ArgSpec::for_gpu(at, elems[*buffer], dims, strides) }
            }
            EagerArg::Scalar(_) => ArgSpec::default(),
        })
        .collect();
    let artifact = compile(kernel, &specs, target, &BTreeMap::new())?;
    let text = String::from_utf8(artifact.bytes).map_err(|e| e.to_string())?;
    if let Ok(dir) = std::env::var("KCC_TEST_DUMP") {
        std::fs::write(format!("{dir}/{}.mlir", artifact.symbol), &text).map_err(|e| e.to_string())?;
    }
    let meta = artifact.gpu.ok_or("no launch facts")?;
    let program = Program::load(&text).map_err(|e| e.to_string())?;
    let mut list = Vec::new();
    for (a, p) in args.iter().zip(&kernel.params) {
        match (a, p.kind) {
            (EagerArg::View { buffer, offset, dims, strides, .. }, _) => {
                list.push(Arg::Bits(address(*buffer, *offset)));
                list.extend(dims.iter().chain(strides).map(|d| Arg::Bits(*d as u64)));
            }
            (EagerArg::Scalar(bits), ParamKind::Scalar(elem)) => list.push(Arg::Bits(widened(*bits, elem))),
            (EagerArg::Scalar(bits), _) => list.push(Arg::Bits(*bits)),
        }
    }
    list.extend(grid.iter().map(|g| Arg::Bits(u64::from(*g))));
    list.push(Arg::Bits(0));
    let chip = target.split_once(':').and_then(|(_, c)| Chip::find(c)).ok_or("no such chip")?;
    let launch = Launch {
        kernel: &artifact.symbol,
        grid,
        block: [meta.threads, 1, 1],
        dynamic_shared: meta.shared_bytes,
        args: &list,
        memory: &mut memory,
        chip,
        options: kcc_simt::Options::seeded(seed),
    };
    program.run(launch).map_err(|f| f.to_string())
}

/// A scalar's bits as the kernel takes them.
fn widened(bits: u64, elem: Elem) -> u64 {
    match elem {
        Elem::I8 => u64::from(bits as u8 as i8 as i32 as u32),
        Elem::I16 => u64::from(bits as u16 as i16 as i32 as u32),
        Elem::Bool | Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => bits & 0xff,
        Elem::F16 | Elem::BF16 => bits & 0xffff,
        Elem::I64 => bits,
        Elem::I32 | Elem::U32 | Elem::F32 => bits & 0xffff_ffff,
    }
}
