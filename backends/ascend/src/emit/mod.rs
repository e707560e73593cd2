//! One self-contained AscendC source for each kernel: the Basic API with explicit local addresses and explicit events.
//!
//! ```text
//! helpers that the kernel uses      parameter structs by the names of their fields, conversions of the scalar unit
//! __global__ __mix__(1, 2) void kcc_matmul(GM_ADDR a, int64_t a_dim0, …, GM_ADDR workspace)
//! {
//!     AscendC::InitSocState();
//!     if ASCEND_IS_AIC { tensors at their addresses; for (int64_t program = …) { … } }
//!     if ASCEND_IS_AIV { … }
//! }
//! extern "C" void kcc_matmul_launch(uint32_t blocks, void* stream, …)
//! ```
//! Each statement stands for one of the davinci program, in its order; the author's lines stand above what they became. Calls are
//! those of the vendor's public reference of the Basic API (hiascend.com, Ascend C API, CANN 8.0 to 9.0).

mod copies;
mod cube;
mod interface;
mod lines;
mod names;
mod prelude;
mod registers;
mod scalars;
mod statements;
mod sync;
mod vector;

pub use interface::{Slot, Use, slots, symbol};
pub use lines::Lines;

use kcc_compiler::Error;
use kcc_davinci::ir::{CoreKind, Program};
use names::Names;
use prelude::Helper;
use registers::Registers;
use std::collections::{BTreeSet, HashMap};

/// What is written so far, and what the rest needs to know.
struct Writer<'p> {
    program: &'p Program,
    names: Names,
    lines: Lines,
    needs: BTreeSet<Helper>,
    out: String,
    depth: usize,
    /// Whose part is written, and what is known of its registers.
    kind: CoreKind,
    registers: Registers,
    /// Registers that are written as expressions where they are used.
    inlined: HashMap<u32, scalars::Text>,
    /// The place of the last comment.
    last: Option<(String, u32)>,
    /// Fresh names of copied loop bounds.
    bounds: u32,
}

/// The source of a program whose addresses are assigned.
///
/// # Errors
/// An instruction that has no form in the interface, and programs without addresses.
pub fn emit(program: &Program, lines: Lines) -> Result<String, Error> {
    let mut w = Writer {
        names: Names::new(program),
        program,
        lines,
        needs: BTreeSet::new(),
        out: String::new(),
        depth: 0,
        kind: CoreKind::Vector,
        registers: Registers::default(),
        inlined: HashMap::new(),
        last: None,
        bounds: 0,
    };
    w.kernel()?;
    let body = std::mem::take(&mut w.out);
    let launchers = interface::launchers(&w.names, program);
    let head = interface::head(program);
    let helpers = prelude::text(&interface::parts(program), &w.needs);
    Ok(format!("{head}{helpers}{body}{launchers}"))
}

impl Writer<'_> {
    fn need(&mut self, h: Helper) {
        self.needs.insert(h);
    }

    fn line(&mut self, text: impl AsRef<str>) {
        for l in text.as_ref().lines() {
            if !l.is_empty() {
                self.out.push_str(&"    ".repeat(self.depth));
                self.out.push_str(l);
            }
            self.out.push('\n');
        }
    }

    fn kernel(&mut self) -> Result<(), Error> {
        let program = self.program;
        let signature = interface::parameters(&self.names, program);
        let kind = match (&program.cube, &program.vector) {
            (Some(_), Some(_)) => "__mix__(1, 2)",
            (Some(_), None) => "__cube__",
            _ => "__vector__",
        };
        let symbol = interface::symbol(program);
        let head = format!("__global__ {kind} void {symbol}({signature})");
        self.line(format!("\n{}\n{{", interface::wrapped(&head, 120)));
        self.depth = 1;
        self.line(format!("using namespace {};", interface::parts(program)));
        self.line("AscendC::InitSocState();");
        for slot in slots(program).into_iter().filter(|s| s.float) {
            self.need(Helper::FloatOf);
            let name = slot.name.strip_suffix("_bits").unwrap_or(&slot.name);
            self.line(format!("const float {name} = FloatOf(uint32_t({}));", slot.name));
        }
        let mixed = program.cube.is_some() && program.vector.is_some();
        for (kind, guard) in [(CoreKind::Cube, "ASCEND_IS_AIC"), (CoreKind::Vector, "ASCEND_IS_AIV")] {
            let Some(body) = program.body(kind) else { continue };
            if mixed {
                self.line(format!("if {guard} {{"));
                self.depth += 1;
            }
            self.part(kind, body)?;
            if mixed {
                self.depth -= 1;
                self.line("}");
            }
        }
        self.depth = 0;
        self.line("}");
        Ok(())
    }
}
