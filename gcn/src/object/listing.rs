//! Machine code as text, by LLVM's disassembler: an independent reading of the bytes.

use crate::error::Error;
use crate::text::Line;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where LLVM 22 usually lies.
const USUAL: &str = "/usr/lib/llvm-22";

/// A program of LLVM: its path in the LLVM that the environment names, in the usual one, or its name.
fn tool(name: &str) -> PathBuf {
    let named = std::env::var_os("LLVM_SYS_221_PREFIX").unwrap_or_else(|| USUAL.into());
    let path = Path::new(&named).join("bin").join(name);
    if path.is_file() { path } else { name.into() }
}

/// The instructions of a symbol, in the order of their addresses.
pub(super) fn disassemble(bytes: &[u8], symbol: &str, start: u64) -> Result<Vec<Line>, Error> {
    let fail = |what: String| Error::Disassembler(what);
    let file = tempfile::NamedTempFile::new().map_err(|e| fail(format!("no temporary file: {e}")))?;
    std::fs::write(file.path(), bytes).map_err(|e| fail(format!("no temporary file: {e}")))?;
    let program = tool("llvm-objdump");
    let run = Command::new(&program)
        .arg(format!("--disassemble-symbols={symbol}"))
        .arg(file.path())
        .output()
        .map_err(|e| fail(format!("{} does not run: {e}", program.display())))?;
    if !run.status.success() {
        return Err(fail(String::from_utf8_lossy(&run.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&run.stdout);
    let lines = text.lines().filter(|l| !l.starts_with("\ts_code_end"));
    let all: Vec<Line> = lines.filter_map(|l| Line::read(l, start)).collect();
    if all.is_empty() { Err(fail(format!("no instructions in `{symbol}`"))) } else { Ok(all) }
}
