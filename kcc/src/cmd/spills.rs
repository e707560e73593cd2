//! Registers that the assembler keeps in memory: said, with the place and with what would avoid it.
//!
//! Whether code spills is known only once it is assembled, so what would avoid it is found by trying: more warps share the
//! same tiles.

use super::report::Failure;
use kcc_compiler::Target;
use kcc_compiler::llvm::Output;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{CompileRequest, Diagnostic, Severity};
use kcc_dsl::ir::{Block, Kernel, Loc, TileType};
use kcc_nvidia::ptxas::{Ptxas, Usage};

/// Numbers of warps that are tried.
const WARPS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// What there is to say of an assembled kernel; nothing where all registers fit.
pub(super) fn warning(
    request: &CompileRequest,
    target: &dyn Target,
    ptxas: &Ptxas,
    usage: Usage,
) -> Option<Failure> {
    let bytes = usage.spill_stores.max(usage.spill_loads);
    if bytes == 0 {
        return None;
    }
    let kernel = &request.kernel;
    let (loc, tile) = largest(kernel);
    let message = format!(
        "`{}` keeps {bytes} bytes of each thread's registers in memory: {} registers do not do for its tiles, of which {tile} \
         is the largest",
        kernel.name, usage.registers
    );
    let free = WARPS.iter().find(|w| spills(request, target, ptxas, **w) == Some(0));
    let help = match free {
        Some(warps) => format!("--option warps={warps} keeps them all in registers"),
        None => "no number of warps avoids it: give that tile half of its rows or columns".to_owned(),
    };
    let severity = Severity::Warning;
    Some(Failure::from(vec![Diagnostic { severity, loc, message, help: Some(help) }]))
}

/// Bytes that are spilled with so many warps; `None` if it does not compile.
fn spills(request: &CompileRequest, target: &dyn Target, ptxas: &Ptxas, warps: u32) -> Option<u32> {
    let mut request = request.clone();
    request.options.insert("warps".into(), warps.to_string());
    let options = Options { output: Some(Output::Assembly), ..Options::default() };
    let artifact = Session::new().compile(&request, target, &options).ok()?;
    let arch = &artifact.gpu.as_ref()?.arch;
    let usage = ptxas.assemble(&String::from_utf8_lossy(&artifact.bytes), arch).ok()?.usage;
    Some(usage.spill_stores.max(usage.spill_loads))
}

/// The kernel's largest tile, in bytes, and where it is made.
fn largest(kernel: &Kernel) -> (Option<Loc>, TileType) {
    fn search(kernel: &Kernel, block: &Block, best: &mut (Option<Loc>, TileType)) {
        let bytes = |t: &TileType| t.len() * t.elem.bytes();
        for op in &block.ops {
            for t in op.results.iter().filter_map(|r| kernel.ty(*r).tile()) {
                if bytes(t) > bytes(&best.1) {
                    *best = (kernel.locs.get(op.loc.0 as usize).cloned(), t.clone());
                }
            }
            op.regions.iter().for_each(|r| search(kernel, r, best));
        }
    }
    let mut best = (kernel.locs.first().cloned(), TileType::new(kcc_dsl::ir::Elem::Bool, &[]));
    search(kernel, &kernel.body, &mut best);
    best
}
