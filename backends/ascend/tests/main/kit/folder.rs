//! Writes the folder.

use super::cases::Case;
use crate::harness::{execute, program, scalar};
use kcc_ascend::emit::{Lines, Use, emit, slots, symbol};
use kcc_davinci::ir::Program;
use kcc_dsl::eager::{EagerArg, Options, interpret};
use kcc_dsl::ir::{Elem, ParamKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root: where the author's files are named from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn put(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|e| format!("cannot copy {}: {e}", from.display()))
}

/// The source of a program, with the author's lines.
pub fn source(p: &Program) -> Result<String, String> {
    emit(p, Lines::from_files(root())).map_err(|e| e.to_string())
}

/// Makes the folder anew with these cases.
pub fn write(dir: &Path, cases: &[Case]) -> Result<(), String> {
    write_with(dir, cases, &|_, text| text)
}

/// The same with sources that are changed before they are written.
pub fn write_with(
    dir: &Path,
    cases: &[Case],
    change: &dyn Fn(&Case, String) -> String,
) -> Result<(), String> {
    if dir.exists() {
        let ours = dir.join("kernels.inc").is_file();
        if !ours && fs::read_dir(dir).is_ok_and(|mut d| d.next().is_some()) {
            return Err(format!(
                "{} holds something else: name a new folder, or empty this one",
                dir.display()
            ));
        }
        fs::remove_dir_all(dir).map_err(|e| format!("cannot remove {}: {e}", dir.display()))?;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder(&dir.join("kernels"))?;
    folder(&dir.join("stand-in/acl"))?;
    for f in ["main.cpp", "run.sh", "README.md"] {
        copy(&here.join("kit").join(f), &dir.join(f))?;
    }
    for f in fs::read_dir(here.join("standin")).map_err(|e| e.to_string())?.flatten() {
        if f.path().is_file() {
            copy(&f.path(), &dir.join("stand-in").join(f.file_name()))?;
        }
    }
    copy(&here.join("standin/acl/acl.h"), &dir.join("stand-in/acl/acl.h"))?;
    let mut kernels: BTreeMap<String, Program> = BTreeMap::new();
    for c in cases {
        let p = program(&c.kernel, &c.args.args).map_err(|e| format!("{}: {e}", c.name))?;
        let symbol = symbol(&p);
        match kernels.get(&symbol) {
            Some(other) if *other != p => return Err(format!("{}: two sources named {symbol}", c.name)),
            Some(_) => {}
            None => {
                put(&dir.join(format!("kernels/{symbol}.asc")), change(c, source(&p)?))?;
                kernels.insert(symbol, p.clone());
            }
        }
        case(&dir.join("cases").join(&c.name), c, &p).map_err(|e| format!("{}: {e}", c.name))?;
    }
    let list: String = kernels.keys().map(|k| format!("KERNEL({k})\n")).collect();
    put(&dir.join("kernels.inc"), list)
}

/// One case: its memory, its arguments, what it should give.
fn case(dir: &Path, c: &Case, p: &Program) -> Result<(), String> {
    folder(dir)?;
    let mut want = c.args.buffers.clone();
    let mut options = Options { strict: false, ..Options::default() };
    interpret(&c.kernel, c.grid, &mut want, &c.args.args, &mut options).map_err(|e| e.to_string())?;
    let mut simulated = c.args.buffers.clone();
    execute(p, &c.kernel, c.grid, &mut simulated, &c.args.args, c.blocks, 1)?;
    let mut text = format!("kernel {}\nblocks {}\n", symbol(p), c.blocks);
    let mut results = String::new();
    // Memory of each view, numbered in their order.
    let mut number = Vec::new();
    let mut views = 0;
    for (a, param) in c.args.args.iter().zip(&p.params) {
        number.push(views);
        let EagerArg::View { buffer, mutable, .. } = a else { continue };
        let name = format!("{}.bin", param.name);
        put(&dir.join(&name), c.args.buffers[*buffer].bytes())?;
        let _ = writeln!(text, "memory {name} {}", if *mutable { "written" } else { "read" });
        if *mutable {
            let (relative, absolute) = c.tolerance(want[*buffer].elem());
            for (word, how, from) in
                [("expect", "expected", &want[*buffer]), ("simulated", "simulated", &simulated[*buffer])]
            {
                let file = format!("{}.{how}.bin", param.name);
                put(&dir.join(&file), from.bytes())?;
                let _ = writeln!(
                    results,
                    "{word} {views} {file} {} {relative:e} {absolute:e}",
                    from.elem().name()
                );
            }
        }
        views += 1;
    }
    if p.workspace > 0 {
        let _ = writeln!(text, "workspace {}", p.workspace * u64::from(c.blocks));
    }
    for s in slots(p) {
        let _ = match word(&s.holds, c, p) {
            Word::Number(n) => writeln!(text, "word {n}"),
            Word::View(param, offset) => writeln!(text, "address {} {offset}", number[param]),
            Word::Workspace => writeln!(text, "address {views} 0"),
        };
    }
    put(&dir.join("case.txt"), text + &results)
}

enum Word {
    Number(i64),
    View(usize, u64),
    Workspace,
}

fn word(holds: &Use, c: &Case, p: &Program) -> Word {
    let view = |param: &u32| match &c.args.args[*param as usize] {
        EagerArg::View { dims, strides, offset, buffer, .. } => {
            (dims.clone(), strides.clone(), *offset as u64 * c.args.buffers[*buffer].elem().bytes() as u64)
        }
        EagerArg::Scalar(_) => (Vec::new(), Vec::new(), 0),
    };
    match holds {
        Use::Address { param } => Word::View(*param as usize, view(param).2),
        Use::Dim { param, axis } => Word::Number(view(param).0[usize::from(*axis)]),
        Use::Stride { param, axis } => Word::Number(view(param).1[usize::from(*axis)]),
        Use::Grid { axis } => Word::Number(i64::from(c.grid[usize::from(*axis)])),
        Use::Workspace => Word::Workspace,
        Use::Scalar { param } => {
            let bits = match &c.args.args[*param as usize] {
                EagerArg::Scalar(b) => *b,
                EagerArg::View { .. } => 0,
            };
            let ParamKind::Scalar(elem) = p.params[*param as usize].kind else { return Word::Number(0) };
            Word::Number(scalar(bits, ParamKind::Scalar(elem)))
        }
    }
}

impl Case {
    /// Relative and absolute tolerance of a result of that type: narrow results may be rounded the other way, one step.
    pub fn tolerance(&self, elem: Elem) -> (f64, f64) {
        let step = match elem {
            Elem::F16 => 1.0 / 1024.0,
            Elem::BF16 => 1.0 / 128.0,
            _ => 0.0,
        };
        (self.relative + step, self.absolute)
    }
}
