//! The compiler linked into this program: no child process, and no protection from its death.

use super::{Compiler, DiskCache};
use kcc_compiler::serve::{compiler_version, unknown_target};
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{CompileRequest, CompileResult};
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
        Ok(compiler_version().into())
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        let Some(target) = kcc_backends::open(&request.target) else {
            return Ok(Err(vec![unknown_target(&request.target)]));
        };
        Ok(self.session.compile(request, &*target, &Options::default()))
    }
}
