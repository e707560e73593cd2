//! Machine code as text, by the disassembler of the LLVM that this is built with.

use kcc_dsl::exchange::Artifact;
use std::path::Path;
use std::process::Command;

/// One instruction, with the place in a source file that the object's line table gives it.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub mnemonic: String,
    pub operands: String,
    /// File and line.
    pub place: Option<(String, u32)>,
}

/// A program of LLVM: its path in the LLVM that the environment names, or its name.
pub fn tool(name: &str) -> std::path::PathBuf {
    let named = std::env::var_os("LLVM_SYS_221_PREFIX")
        .or_else(|| option_env!("LLVM_SYS_221_PREFIX").map(Into::into));
    let usual = Path::new("/usr/lib/llvm-22").as_os_str().to_owned();
    let path = Path::new(&named.unwrap_or(usual)).join("bin").join(name);
    if path.is_file() { path } else { name.into() }
}

/// The instructions of a code object's kernel, in order.
pub fn disassemble(artifact: &Artifact) -> Vec<Instruction> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &artifact.bytes).expect("the file is writable");
    let symbols = format!("--disassemble-symbols={}", artifact.symbol);
    let run = Command::new(tool("llvm-objdump"))
        .args(["--line-numbers", "--no-show-raw-insn", "--no-leading-addr", &symbols])
        .arg(file.path())
        .output()
        .expect("llvm-objdump runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("text");
    let mut place = None;
    let mut all = Vec::new();
    let body =
        text.lines().skip_while(|l| !l.ends_with(">:") && !l.ends_with(&format!("{}:", artifact.symbol)));
    for line in body.skip(1) {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix("; ") {
            let split = comment.rsplit_once(':');
            place = split.and_then(|(f, l)| Some((f.to_owned(), l.parse().ok()?))).or(place);
            continue;
        }
        let code = trimmed.split("//").next().unwrap_or_default().trim();
        let (mnemonic, operands) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        if mnemonic.is_empty() || mnemonic.ends_with(':') {
            continue;
        }
        all.push(Instruction { mnemonic: mnemonic.into(), operands: operands.into(), place: place.clone() });
    }
    assert!(!all.is_empty(), "no instructions in\n{text}");
    all
}

/// How many instructions begin so.
pub fn count(all: &[Instruction], prefix: &str) -> usize {
    all.iter().filter(|i| i.mnemonic.starts_with(prefix)).count()
}
