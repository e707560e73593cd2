//! Inline assembly with many results: numbers its operands and writes the `llvm.inline_asm` operation.
//!
//! Operands are numbered results first, then inputs. Registers that the text declares live in the braces that every block
//! gets.

use kcc_compiler::emit::{Emit, Ty, V};

/// One block of inline assembly whose results all have one type.
pub struct Asm {
    text: String,
    constraints: Vec<String>,
    inputs: Vec<V>,
    ty: Ty,
    results: usize,
}

impl Asm {
    /// A block with `results` results of a type under one constraint (`=f`, `=r`).
    pub fn new(constraint: &str, ty: Ty, results: usize) -> Asm {
        let constraints = vec![constraint.to_owned(); results];
        Asm { text: String::new(), constraints, inputs: Vec::new(), ty, results }
    }

    /// The name of a result in the text.
    pub fn result(&self, index: usize) -> String {
        format!("${index}")
    }

    /// An input in the register of a result.
    pub fn tied(&mut self, result: usize, v: V) {
        self.constraints.push(result.to_string());
        self.inputs.push(v);
    }

    /// An input; gives its name in the text.
    pub fn operand(&mut self, constraint: &str, v: V) -> String {
        self.constraints.push(constraint.to_owned());
        self.inputs.push(v);
        format!("${}", self.constraints.len() - 1)
    }

    /// Adds a line of assembly.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.text += text.as_ref();
        self.text += "\\0A";
    }

    /// Writes the operation where the writer stands; gives its results.
    pub fn emit(self, e: &mut Emit) -> Vec<V> {
        let names: Vec<String> = self.inputs.iter().map(V::to_string).collect();
        let types: Vec<String> = self.inputs.iter().map(|v| v.ty.to_string()).collect();
        let operation = format!(
            "llvm.inline_asm has_side_effects asm_dialect = att \"{{\\0A{}}}\", \"{}\" {} : ({})",
            self.text,
            self.constraints.join(","),
            names.join(", "),
            types.join(", ")
        );
        match self.results {
            0 => {
                e.line(format!("{operation} -> ()"));
                Vec::new()
            }
            1 => vec![e.here(self.ty, format!("{operation} -> {}", self.ty))],
            n => {
                let list = vec![self.ty.to_string(); n].join(", ");
                // The struct itself has no type among the writer's; only what is taken from it is used.
                let all = e.here(self.ty, format!("{operation} -> !llvm.struct<({list})>"));
                let take = |i| format!("llvm.extractvalue {all}[{i}] : !llvm.struct<({list})>");
                (0..n).map(|i| e.here(self.ty, take(i))).collect()
            }
        }
    }
}
