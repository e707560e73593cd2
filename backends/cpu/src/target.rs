//! The CPU as a target of the compiler.

use crate::chips::{Chip, find};
use crate::lower::{Unsupported, lower};
use kcc_compiler::llvm::Machine;
use kcc_compiler::{Error, Lowered, Target, at, bug, nowhere};
use kcc_dsl::exchange::{ArgSpec, CpuMeta};
use kcc_dsl::ir::{Elem, Kernel, OpKind};
use std::collections::BTreeMap;

/// From the lowering's dialects to `llvm`. Vector operations go first, as they become loops and shuffles.
const MLIR_PASSES: &str = "convert-vector-to-llvm{enable-x86vector=true \
vector-transpose-lowering=shuffle16x16},convert-scf-to-cf,convert-arith-to-llvm,convert-ub-to-llvm,\
convert-math-to-llvm,convert-index-to-llvm,convert-cf-to-llvm,convert-func-to-llvm,reconcile-unrealized-casts";

/// Measured: more passes cost compile time and give the same speed.
const LLVM_PASSES: &str =
    "function(early-cse,loop-mssa(licm),instcombine<no-verify-fixpoint>,early-cse,simplifycfg)";

/// Bytes of a lowered module beyond which code is not moved out of loops, since the code generator's time grows with the square of what
/// then stands before them.
const LONG_MODULE: usize = 1 << 20;
const LONG_PASSES: &str = "function(early-cse,instcombine<no-verify-fixpoint>,early-cse,simplifycfg)";

/// For the option `lines`: debuggers and profilers show the author's source.
const LINE_PASSES: &str = ",ensure-debug-info-scope-on-llvm-func{emission-kind=LineTablesOnly}";

/// Whether the code shall say which line of the author's source it came from.
///
/// # Errors
/// Another value than `yes` and `no`.
fn lines(options: &BTreeMap<String, String>) -> Result<bool, Error> {
    match options.get("lines").map(String::as_str) {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(other) => Err(nowhere().invalid(format!("option lines={other}")).help("give `yes` or `no`")),
    }
}

/// The CPU backend for one chip.
pub struct Cpu {
    chip: &'static Chip,
    name: String,
}

impl Cpu {
    /// The target of that full name: `cpu:native`, `cpu:x86-64-v3`, …; `None` if there is no such row, or if
    /// `native` is a processor below x86-64-v3.
    pub fn open(name: &str) -> Option<Cpu> {
        let chip = find(if name == "cpu" { "native" } else { name.strip_prefix("cpu:")? })?;
        Some(Cpu { chip, name: format!("cpu:{}", chip.name) })
    }

    /// The chip's row.
    pub fn chip(&self) -> &'static Chip {
        self.chip
    }
}

impl Target for Cpu {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, kernel: &Kernel) -> Result<(), Error> {
        let mut bad = None;
        kernel.walk(&mut |op| {
            if bad.is_none()
                && let OpKind::Dot { .. } = op.kind
                && let Some(t) = op.operands.first().and_then(|v| kernel.ty(*v).tile())
                && matches!(t.elem, Elem::Bool | Elem::I16 | Elem::I32 | Elem::I64 | Elem::U32)
            {
                bad = Some(
                    at(kernel.loc(op.loc))
                        .unsupported(format!("`dot` of {} operands on {}", t.elem, self.name))
                        .help("cast the operands to f32, f16, bf16 or i8"),
                );
            }
        });
        bad.map_or(Ok(()), Err)
    }

    fn lower(
        &self,
        kernel: &Kernel,
        args: &[ArgSpec],
        options: &BTreeMap<String, String>,
    ) -> Result<Lowered, Error> {
        if args.len() != kernel.params.len() {
            return Err(bug(format!("{} argument facts for {} parameters", args.len(), kernel.params.len())));
        }
        let out = lower(kernel, args, self.chip.isa, lines(options)?).map_err(
            |Unsupported { loc, message, help }| at(kernel.loc(loc)).unsupported(message).help(help),
        )?;
        Ok(Lowered {
            text: out.text,
            symbol: out.symbol,
            cpu: CpuMeta {
                scratch_bytes: out.scratch_bytes,
                contiguous: out.contiguous,
                sharing: out.sharing,
                asserts: out.asserts.into_iter().map(|(m, l)| (m, kernel.loc(l).clone())).collect(),
                prints: out.prints,
                panels: out.panels,
            },
            gpu: None,
            npu: None,
        })
    }

    fn mlir_passes(&self) -> &str {
        MLIR_PASSES
    }

    fn option_passes(&self, options: &BTreeMap<String, String>) -> &str {
        if lines(options).unwrap_or(false) { LINE_PASSES } else { "" }
    }

    fn llvm_passes(&self, module: &str) -> &str {
        if module.len() < LONG_MODULE { LLVM_PASSES } else { LONG_PASSES }
    }

    fn machine(&self, _: &str) -> Machine {
        Machine {
            triple: "x86_64-unknown-linux-gnu".into(),
            cpu: self.chip.cpu.into(),
            features: self.chip.features.into(),
        }
    }
}
