//! Machine code of one kernel, and what there is to say of its registers: the place, the numbers, and what would do.
//!
//! ```text
//! PTX ─ ptxas ─┬─ code ───────────────── registers kept in memory: a warning
//!              └─ too few registers ──── an error
//!                      both with options that were tried and are better
//! code object ─ says itself how many registers it keeps in memory: a warning
//! ```
//! How many registers code takes is known only once it is assembled, so what would do is found by trying.

use super::report::Failure;
use kcc_compiler::Target;
use kcc_compiler::llvm::Output;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{CompileRequest, Diagnostic, Severity};
use kcc_dsl::ir::{Block, Kernel, Loc, TileType};
use kcc_nvidia::ptxas::{Cubin, Ptxas, TooFew, Usage};

/// Numbers of warps that are tried.
const WARPS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// Steps in which the hardware hands out registers.
const STEP: u32 = 8;

/// Machine code of a request whose PTX is at hand, and a warning if there is one.
///
/// # Errors
/// What the assembler says: of registers in the author's words, of the rest in its own.
pub(super) fn assemble(
    request: &CompileRequest,
    target: &dyn Target,
    ptxas: &Ptxas,
    (ptx, arch): (&str, &str),
) -> Result<(Cubin, Option<Failure>), Failure> {
    let trial = Trial { request, target, ptxas };
    match ptxas.assemble(ptx, arch) {
        Ok(cubin) => {
            let warning = trial.spilled(cubin.usage);
            Ok((cubin, warning))
        }
        Err(failure) => match failure.too_few(ptx) {
            Some(short) => Err(trial.short(short, arch)),
            None => {
                let name = &request.kernel.name;
                Err(Failure::input(format!("`{name}` for {}: {failure}", target.name())))
            }
        },
    }
}

/// A warning where linked code says that it keeps registers in memory.
pub(super) fn linked(request: &CompileRequest, target: &dyn Target, code: &[u8]) -> Option<Failure> {
    let kept = target.spilled(code);
    if kept == 0 {
        return None;
    }
    let (loc, tile) = largest(&request.kernel);
    let asked = request.options.get("registers").map(|n| format!(" with option registers={n}"));
    let message = format!(
        "`{}` keeps {kept} of each thread's registers in memory{}; its largest tile is {tile}",
        request.kernel.name,
        asked.unwrap_or_default()
    );
    let fits = |warps: &&u32| {
        let mut request = request.clone();
        request.options.insert("warps".to_owned(), warps.to_string());
        let made = Session::new().compile(&request, target, &Options::default());
        made.is_ok_and(|artifact| target.spilled(&artifact.bytes) == 0)
    };
    let warps = WARPS.iter().find(fits).map(|w| format!("warps={w}"));
    Some(said(Severity::Warning, loc, message, without(warps)))
}

/// What to do about registers in memory, with an option that avoids them or none.
fn without(option: Option<String>) -> String {
    match option {
        Some(option) => format!("--option {option} keeps them all in registers"),
        None => "no number of warps avoids it: give that tile half of its rows or columns".to_owned(),
    }
}

/// What other options are tried on.
struct Trial<'t> {
    request: &'t CompileRequest,
    target: &'t dyn Target,
    ptxas: &'t Ptxas,
}

impl Trial<'_> {
    fn spilled(&self, usage: Usage) -> Option<Failure> {
        let bytes = usage.spill_stores.max(usage.spill_loads);
        if bytes == 0 {
            return None;
        }
        let (loc, tile) = largest(&self.request.kernel);
        let message = format!(
            "`{}` keeps {bytes} bytes of each thread's registers in memory: {} registers do not do for its tiles, of which \
             {tile} is the largest",
            self.request.kernel.name, usage.registers
        );
        Some(said(Severity::Warning, loc, message, without(self.without_spills())))
    }

    fn short(&self, short: TooFew, arch: &str) -> Failure {
        let (at, tile) = largest(&self.request.kernel);
        let asked = self.request.options.get("registers");
        // Where it does not say how many would do, as many as it takes if it may have all.
        let freely = || asked.and_then(|_| self.usage("registers", 0)).map(|u| u.registers);
        let enough = short.needs.or_else(freely);
        let needs = enough.map_or("more".to_owned(), |n| n.to_string());
        let has = match (asked, short.has) {
            (Some(asked), _) => format!("option registers={asked} gives it no more"),
            (None, Some(has)) => format!("a thread of {arch} has {has} with so many warps"),
            (None, None) => format!("which a thread of {arch} does not have with so many warps"),
        };
        let message = format!(
            "`{}` needs {needs} registers of a thread at once, {has}; its largest tile is {tile}",
            self.request.kernel.name
        );
        let enough = enough.filter(|_| asked.is_some()).map(|n| n.next_multiple_of(STEP));
        let fits = enough.filter(|n| self.usage("registers", *n).is_some());
        let help = match fits.map(|n| format!("registers={n}")).or_else(|| self.without_spills()) {
            Some(option) => format!("--option {option} fits"),
            None => "no number of warps helps: give that tile half of its rows or columns".to_owned(),
        };
        said(Severity::Error, short.loc.or(at), message, help)
    }

    /// An option with which all registers stay registers.
    fn without_spills(&self) -> Option<String> {
        let fits = |u: Usage| u.spill_stores.max(u.spill_loads) == 0;
        let warps = WARPS.iter().find(|w| self.usage("warps", **w).is_some_and(fits));
        warps.map(|w| format!("warps={w}"))
    }

    /// Resources of the same kernel with another option; `None` if there is no such code.
    fn usage(&self, option: &str, number: u32) -> Option<Usage> {
        let mut request = self.request.clone();
        request.options.insert(option.to_owned(), number.to_string());
        let options = Options { output: Some(Output::Assembly), ..Options::default() };
        let artifact = Session::new().compile(&request, self.target, &options).ok()?;
        let arch = &artifact.gpu.as_ref()?.arch;
        Some(self.ptxas.assemble(&String::from_utf8_lossy(&artifact.bytes), arch).ok()?.usage)
    }
}

fn said(severity: Severity, loc: Option<Loc>, message: String, help: String) -> Failure {
    Failure::from(vec![Diagnostic { severity, loc, message, help: Some(help) }])
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
