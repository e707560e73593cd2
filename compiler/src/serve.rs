//! The compiler as a child process: requests in, results out, until the parent closes the pipe.

use crate::session::{Options, Session};
use crate::target::Target;
use kcc_dsl::exchange::frame::{self, Hello, PROTOCOL};
use kcc_dsl::exchange::{CompileRequest, CompileResult, Diagnostic, Severity};
use std::io::{self, Read, Write};

/// Version of the compiler: crate version and a hash of its sources. Part of every cache key.
pub fn compiler_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "+", env!("KCC_BUILD_HASH"))
}

/// Resolves a target's name.
pub type Targets<'t> = dyn Fn(&str) -> Option<Box<dyn Target>> + 't;

/// Answers requests until the other side closes the pipe.
///
/// # Errors
/// Those of the pipe, and a frame that holds no request. A kernel that does not compile is an answer, not an error.
pub fn serve(mut reader: impl Read, mut writer: impl Write, targets: &Targets) -> io::Result<()> {
    let hello = Hello { protocol: PROTOCOL, compiler: compiler_version().to_owned() };
    frame::write(&mut writer, &hello)?;
    let session = Session::new();
    while let Some(request) = frame::read::<CompileRequest>(&mut reader)? {
        let result: CompileResult = match targets(&request.target) {
            Some(target) => session.compile(&request, &*target, &Options::default()),
            None => Err(vec![unknown_target(&request.target)]),
        };
        frame::write(&mut writer, &result)?;
    }
    Ok(())
}

/// The message for a target that does not exist.
pub fn unknown_target(name: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        loc: None,
        message: format!("unknown target `{name}`"),
        help: Some("`kcc targets` lists the targets of this machine and build".into()),
    }
}
