//! MLIR text → PTX → machine code, and what the assembler says on the way.

use kcc_compiler::llvm::{Machine, Output, Way, emit_by};
use kcc_compiler::timings::Timings;
use std::path::PathBuf;
use std::process::Command;

/// PTX of a module in `llvm`, `nvvm`, `arith` and `scf`.
pub fn ptx(module: &str) -> String {
    ptx_for(module, "sm_90a")
}

/// The same for a chip.
pub fn ptx_for(module: &str, arch: &str) -> String {
    let machine =
        Machine { triple: "nvptx64-nvidia-cuda".into(), cpu: arch.into(), features: "+ptx86".into() };
    let passes = "convert-scf-to-cf,convert-nvvm-to-llvm,convert-arith-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts";
    let way = Way {
        mlir_passes: passes,
        machine: &machine,
        llvm_passes: "default<O1>",
        prepare: &kcc_nvidia::dialect::prepare,
    };
    let bytes = emit_by(module, &way, Output::Assembly, &mut Timings::default());
    String::from_utf8(bytes.unwrap_or_else(|e| panic!("{e:?}\n{module}"))).expect("PTX is text")
}

/// The assembler: `KCC_PTXAS`, or the one on the path.
pub fn ptxas() -> Option<PathBuf> {
    let given = std::env::var_os("KCC_PTXAS").map(PathBuf::from);
    given.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("ptxas")).find(|file| file.is_file())
    })
}

/// Assembles PTX; fails on errors, on serialised products (`C75xx`) and on spills. `None` where there is no assembler.
pub fn assemble(ptx: &str) -> Option<String> {
    assemble_for(ptx, "sm_90a")
}

/// The same for a chip.
pub fn assemble_for(ptx: &str, arch: &str) -> Option<String> {
    let ptxas = ptxas()?;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (text, cubin) = (dir.path().join("a.ptx"), dir.path().join("a.cubin"));
    std::fs::write(&text, ptx).expect("the folder is writable");
    let out =
        Command::new(ptxas).arg(format!("-arch={arch}")).args(["-v", "-o"]).arg(cubin).arg(text).output();
    let out = out.expect("ptxas runs");
    let log = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{log}\n{ptx}");
    assert!(!log.contains("C75"), "{log}\n{ptx}");
    assert!(!log.contains("spill") || log.contains("0 bytes spill stores, 0 bytes spill loads"), "{log}");
    Some(log)
}
