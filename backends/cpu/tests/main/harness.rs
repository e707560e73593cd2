//! Compiles a kernel, loads it as a shared object and runs it on the buffers of eager mode.

use kcc_compiler::llvm::{Output, emit};
use kcc_compiler::{Target, Timings};
use kcc_cpu::Cpu;
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::{ArgSpec, SCRATCH_HEADER};
use kcc_dsl::ir::{Kernel, ParamKind};
use std::collections::BTreeMap;
use std::process::Command;

type Entry = unsafe extern "C" fn(*const i64, *const i64, i64, i64, *mut u8) -> i64;

/// The rows that tests compare with eager mode: this machine's, the one below it where that has instructions of its own, and AVX2.
pub fn targets() -> Vec<&'static str> {
    let tiles = kcc_cpu::chips::native().is_some_and(|c| c.isa.amx);
    let below = tiles.then_some("cpu:x86-64-v4+avx512bf16");
    ["cpu:native", "cpu:x86-64-v3"].into_iter().chain(below).collect()
}

/// A kernel ready to run.
pub struct Loaded {
    library: libloading::Library,
    symbol: String,
    scratch: usize,
    panels: usize,
    /// Assertion messages.
    pub asserts: Vec<String>,
}

/// What the arguments' strides allow the code to rely on.
pub fn specs(kernel: &Kernel, args: &[EagerArg]) -> Vec<ArgSpec> {
    kernel
        .params
        .iter()
        .zip(args)
        .map(|(p, a)| match (p.kind, a) {
            (ParamKind::View { .. }, EagerArg::View { strides, .. }) => ArgSpec {
                unit_axis: strides.iter().rposition(|s| *s == 1).map(|a| a as u8),
                ..ArgSpec::default()
            },
            _ => ArgSpec::default(),
        })
        .collect()
}

/// Compiles for a target.
pub fn compile(kernel: &Kernel, specs: &[ArgSpec], target: &str) -> Result<Loaded, String> {
    let cpu = Cpu::open(target).ok_or("no such target")?;
    let lowered = cpu.lower(kernel, specs, &BTreeMap::new()).map_err(|e| e.to_string())?;
    if let Ok(dir) = std::env::var("KCC_TEST_DUMP") {
        std::fs::write(format!("{dir}/{}.mlir", lowered.symbol), &lowered.text).map_err(|e| e.to_string())?;
    }
    let mut clock = Timings::default();
    let object = emit(
        &lowered.text,
        cpu.mlir_passes(),
        &cpu.machine(&lowered.text),
        cpu.llvm_passes(&lowered.text),
        Output::Object,
        &mut clock,
    )
    .map_err(|e| e.to_string())?;
    if std::env::var("KCC_TEST_DUMP").is_ok() {
        eprintln!("{}: {clock:?}", lowered.symbol);
    }
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (o, so) = (dir.path().join("k.o"), dir.path().join("k.so"));
    std::fs::write(&o, object).map_err(|e| e.to_string())?;
    if let Ok(d) = std::env::var("KCC_TEST_DUMP") {
        let _ = std::fs::copy(&o, format!("{d}/{}.o", lowered.symbol));
    }
    let ok = Command::new("cc").args(["-shared", "-nostdlib", "-o"]).arg(&so).arg(&o).status();
    if !ok.is_ok_and(|s| s.success()) {
        return Err("the linker failed".into());
    }
    // SAFETY: the library was made from our own object, which has no initialisers.
    let library = unsafe { libloading::Library::new(&so) }.map_err(|e| e.to_string())?;
    Ok(Loaded {
        library,
        symbol: lowered.symbol,
        scratch: lowered.cpu.scratch_bytes as usize,
        panels: lowered.cpu.panels.len(),
        asserts: lowered.cpu.asserts.into_iter().map(|a| a.0).collect(),
    })
}

impl Loaded {
    /// Runs all programs of a grid; gives the failed assertion, if one did.
    pub fn run(&self, grid: [u32; 3], buffers: &mut [EagerBuffer], args: &[EagerArg]) -> i64 {
        let bases: Vec<*mut u8> = buffers.iter_mut().map(|b| b.bytes_mut().as_mut_ptr()).collect();
        let elems: Vec<usize> = buffers.iter().map(|b| b.elem().bytes()).collect();
        let mut block = Vec::new();
        for a in args {
            match a {
                EagerArg::View { buffer, offset, dims, strides, .. } => {
                    block.push(bases[*buffer] as i64 + offset * elems[*buffer] as i64);
                    block.extend(dims);
                    block.extend(strides);
                }
                EagerArg::Scalar(bits) => block.push(*bits as i64),
            }
        }
        // Nothing is kept of memory that may change.
        block.extend(vec![0; 3 * self.panels]);
        let grid64: Vec<i64> = grid.iter().map(|g| i64::from(*g)).collect();
        // Poisoned, so that reading what was never written shows.
        let mut scratch = vec![0xA5u8; self.scratch + 64];
        let pad = scratch.as_ptr().align_offset(64);
        let scratch = &mut scratch[pad..];
        scratch[..SCRATCH_HEADER as usize].fill(0);
        let n: i64 = grid64.iter().product();
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        // SAFETY: asks Linux to let this process use AMX's tiles; where there are none it is refused.
        unsafe {
            libc::syscall(libc::SYS_arch_prctl, 0x1023_u64, 18_u64);
        }
        // SAFETY: the symbol has this type by the backend's contract; the blocks outlive the call.
        unsafe {
            let f = self.library.get::<Entry>(self.symbol.as_bytes()).expect("the symbol is exported");
            f(block.as_ptr(), grid64.as_ptr(), 0, n, scratch.as_mut_ptr())
        }
    }
}
