//! The compiler linked into this program: no child process, and no protection from its death.

use super::{Compiler, DiskCache};
use kcc_compiler::session::{Options, Session, compiler_version};
use kcc_cpu::Cpu;
use kcc_dsl::exchange::{CompileRequest, CompileResult, Diagnostic, Severity};
use std::sync::{Arc, OnceLock};

/// The linked compiler.
pub struct InProcess {
    session: Session,
}

impl InProcess {
    /// The process' compiler.
    pub fn shared() -> Arc<InProcess> {
        static ONE: OnceLock<Arc<InProcess>> = OnceLock::new();
        ONE.get_or_init(|| Arc::new(InProcess { session: Session::new() })).clone()
    }
}

impl Compiler for InProcess {
    fn version(&self, _: Option<&DiskCache>) -> Result<String, String> {
        Ok(compiler_version())
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let Some(target) = Cpu::open(&request.target) else {
            return Ok(Err(vec![Diagnostic {
                severity: Severity::Error,
                loc: None,
                message: format!("there is no target `{}`", request.target),
                help: None,
            }]));
        };
        Ok(self.session.compile(request, &target, &Options::default()))
    }
}
