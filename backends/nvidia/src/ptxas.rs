//! NVIDIA's assembler: found where it is, run on our PTX, and what it says read.
//!
//! ```text
//! KCC_PTXAS ─ PATH ─ CUDA_HOME, CUDA_PATH ─ the Python package nvidia-cuda-nvcc ─▶ ptxas -lineinfo -v ─▶ cubin, figures
//! ```
//! Machine code needs no newer driver than its chip does, and loads without compilation; kcc works without `ptxas`, the
//! driver then compiles the PTX.

use kcc_dsl::ir::Loc;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An assembler on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ptxas {
    path: PathBuf,
}

/// Machine code of one kernel, with what the assembler says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cubin {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// What the resources are.
    pub usage: Usage,
    /// What the assembler said, whole.
    pub log: String,
}

/// Resources of the kernel, in the words of `ptxas -v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of registers written to local memory, per thread.
    pub spill_stores: u32,
    /// Bytes of registers read back from local memory, per thread.
    pub spill_loads: u32,
    /// Bytes of local memory of a thread.
    pub stack: u32,
    /// Bytes of static shared memory of a block.
    pub shared: u32,
    /// Named barriers.
    pub barriers: u32,
}

/// Why there is no machine code.
#[derive(Debug)]
pub enum Failure {
    /// It cannot be run.
    Run(PathBuf, io::Error),
    /// It refuses the text; its messages.
    Refused(String),
    /// It takes the text, but says that it gave up an optimisation on which speed rests (messages C75xx: serialised
    /// `wgmma`, ignored `setmaxnreg`); those messages. A defect of the compiler.
    Degraded(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Run(path, e) => write!(f, "{} cannot be run: {e}", path.display()),
            Failure::Refused(log) => write!(f, "ptxas refuses the code: {}", log.trim()),
            Failure::Degraded(log) => write!(f, "ptxas gives up an optimisation: {}", log.trim()),
        }
    }
}

impl std::error::Error for Failure {}

/// Too few registers for the code, in the words of messages C7600 and C7602 and of those on serialised `wgmma`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TooFew {
    /// How many a thread may have, where it says so.
    pub has: Option<u32>,
    /// How many would do, where it says so.
    pub needs: Option<u32>,
    /// The author's line, by the directives of the text.
    pub loc: Option<Loc>,
}

impl Failure {
    /// Whether the matter is registers. `ptx` is what was assembled.
    pub fn too_few(&self, ptx: &str) -> Option<TooFew> {
        let (Failure::Refused(log) | Failure::Degraded(log)) = self else { return None };
        let after = |words: &str| {
            let rest = &log[log.find(words)? + words.len()..];
            let digits = rest.trim_start_matches(['(', '\'', ' ']);
            digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
        };
        let short = ["Insufficient registers", "insufficient register", "Register allocation failed"];
        short.iter().any(|words| log.contains(words)).then(|| TooFew {
            has: after("Insufficient registers").or_else(|| after("register count of")),
            needs: after("register target of"),
            loc: after("instruction at line").and_then(|line| place(ptx, line as usize)),
        })
    }
}

/// The author's line of a line of PTX: that of the last `.loc` before it, in the file of that number.
fn place(ptx: &str, line: usize) -> Option<Loc> {
    let last = ptx.lines().take(line).filter_map(|l| l.trim_start().strip_prefix(".loc")).last()?;
    let mut numbers = last.split_whitespace().map_while(|n| n.trim_end_matches(',').parse::<u32>().ok());
    let (file, line, column) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let name = ptx.lines().filter_map(|l| l.trim_start().strip_prefix(".file")).find_map(|l| {
        let (number, name) = l.trim().split_once(char::is_whitespace)?;
        (number.parse() == Ok(file)).then(|| name.split('"').nth(1)).flatten()
    })?;
    Some(Loc { file: name.into(), line, column })
}

/// Where the Python packages put programs, below `site-packages`.
const PACKAGED: &[&str] = &["nvidia/cu13/bin", "nvidia/cu12/bin", "nvidia/cuda_nvcc/bin"];

/// Folders of the Python packages' programs in a virtual environment.
fn packaged(environment: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(environment.join("lib")) else { return Vec::new() };
    let sites = entries.flatten().map(|e| e.path().join("site-packages"));
    sites.flat_map(|site| PACKAGED.iter().map(move |p| site.join(p))).collect()
}

/// Folders where a program of the CUDA toolkit may lie, in the order of preference. `var` reads the environment.
fn folders(var: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = var("PATH").map(|p| std::env::split_paths(&p).collect()).unwrap_or_default();
    list.extend(["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(var).map(|p| PathBuf::from(p).join("bin")));
    list.extend(var("VIRTUAL_ENV").iter().flat_map(|p| packaged(Path::new(p))));
    list
}

/// A program of the CUDA toolkit: the one that the variable names, else the first in [`folders`].
fn find(variable: &str, program: &str, var: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
    if let Some(path) = var(variable).filter(|p| !p.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{variable} names {}, which is no file", path.display()))
        };
    }
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    folders(var).into_iter().map(|d| d.join(&name)).find(|p| p.is_file()).ok_or_else(|| {
        format!(
            "no `{program}` was found: not in {variable}, on PATH, under CUDA_HOME or CUDA_PATH, or in the virtual \
             environment; the Python package nvidia-cuda-nvcc has it"
        )
    })
}

impl Ptxas {
    /// The assembler of this machine.
    ///
    /// # Errors
    /// Where it was looked for, and where to get it.
    pub fn find() -> Result<Ptxas, String> {
        find("KCC_PTXAS", "ptxas", &|name| std::env::var_os(name)).map(|path| Ptxas { path })
    }

    /// The assembler at a path.
    pub fn at(path: impl Into<PathBuf>) -> Ptxas {
        Ptxas { path: path.into() }
    }

    /// The program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line that names its version; part of a cache key.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn version(&self) -> Result<String, Failure> {
        let run = Command::new(&self.path).arg("--version").stdin(Stdio::null()).output();
        let out = run.map_err(|e| Failure::Run(self.path.clone(), e))?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// Assembles PTX for an architecture (`sm_90a`), with places in the source.
    ///
    /// # Errors
    /// It cannot be run, refuses the text, or gives up an optimisation that our code counts on.
    pub fn assemble(&self, ptx: &str, arch: &str) -> Result<Cubin, Failure> {
        let fail = |e: io::Error| Failure::Run(self.path.clone(), e);
        let folder = Scratch::new().map_err(fail)?;
        let (from, to) = (folder.0.join("kernel.ptx"), folder.0.join("kernel.cubin"));
        std::fs::write(&from, ptx).map_err(fail)?;
        let run = Command::new(&self.path)
            .args(["-v", "-lineinfo", "-arch"])
            .arg(arch)
            .arg("-o")
            .args([&to, &from])
            .stdin(Stdio::null())
            .output();
        let out = run.map_err(fail)?;
        let log = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        if !out.status.success() {
            return Err(Failure::Refused(log));
        }
        if let Some(lines) = degraded(&log) {
            return Err(Failure::Degraded(lines));
        }
        let bytes = std::fs::read(&to).map_err(fail)?;
        Ok(Cubin { bytes, usage: usage(&log), log })
    }
}

/// A folder of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Scratch> {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("kcc-ptxas-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {} // of a process long gone
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The messages that say that an optimisation was given up.
fn degraded(log: &str) -> Option<String> {
    let marked = |l: &&str| {
        l.match_indices("C75")
            .any(|(at, _)| l[at + 3..].bytes().take(2).filter(u8::is_ascii_digit).count() == 2)
    };
    let lines: Vec<&str> = log.lines().filter(marked).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The figures of `ptxas -v`:
///
/// ```text
/// ptxas info    : Function properties for k
///     0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
/// ptxas info    : Used 168 registers, used 2 barriers, 24 bytes smem
/// ```
/// Where there are several functions, the largest of each.
pub fn usage(log: &str) -> Usage {
    let mut u = Usage::default();
    for line in log.lines() {
        let words: Vec<&str> = line.split([' ', ',']).filter(|w| !w.is_empty()).collect();
        let take = |label: &[&str], field: &mut u32| {
            for at in words.windows(label.len() + 1) {
                if at[1..] == *label
                    && let Ok(n) = at[0].parse::<u32>()
                {
                    *field = n.max(*field);
                }
            }
        };
        take(&["registers"], &mut u.registers);
        take(&["bytes", "spill", "stores"], &mut u.spill_stores);
        take(&["bytes", "spill", "loads"], &mut u.spill_loads);
        take(&["bytes", "stack", "frame"], &mut u.stack);
        take(&["bytes", "smem"], &mut u.shared);
        take(&["barriers"], &mut u.barriers);
    }
    u
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_registers_are_read_from_what_it_says() {
        let ptx = "\t.loc\t1 59 19\n wgmma\n\t.loc 2 7 3\n wgmma\n\t.file\t1 \"src/a.rs\"\n\t.file\t2 \"src/b.rs\"\n";
        let says = |log: &str| Failure::Refused(log.into()).too_few(ptx);
        let log = "ptxas fatal   : (C7602) Insufficient registers (48) to compile instruction at line 2 in function k. Try to \
                   compile with register target of 58 or higher.";
        let loc = Loc { file: "src/a.rs".into(), line: 59, column: 19 };
        assert_eq!(says(log), Some(TooFew { has: Some(48), needs: Some(58), loc: Some(loc) }));
        let log = "ptxas error   : (C7600) Register allocation failed with register count of '168'. Compile the program with a \
                   higher register target";
        assert_eq!(says(log), Some(TooFew { has: Some(168), ..TooFew::default() }));
        assert_eq!(says("ptxas fatal   : Unresolved extern function 'f'"), None);
        assert_eq!(place(ptx, 4).map(|l| (l.file.to_string(), l.line)), Some(("src/b.rs".into(), 7)));
        assert_eq!(place("ret;", 1), None);
    }

    const LOG: &str = "ptxas info    : 0 bytes gmem\n\
        ptxas info    : Compiling entry function 'k' for 'sm_90a'\n\
        ptxas info    : Function properties for k\n    \
        16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n\
        ptxas info    : Used 168 registers, used 2 barriers, 24 bytes smem\n";

    #[test]
    fn figures_are_read_from_what_it_says() {
        let expected =
            Usage { registers: 168, spill_stores: 8, spill_loads: 4, stack: 16, shared: 24, barriers: 2 };
        assert_eq!(usage(LOG), expected);
        assert_eq!(usage("nonsense, bytes smem"), Usage::default());
    }

    #[test]
    fn a_given_up_optimisation_is_found_and_other_messages_are_not() {
        assert_eq!(degraded(LOG), None);
        let bad =
            "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized";
        assert_eq!(degraded(&format!("{LOG}{bad}\n")).as_deref(), Some(bad));
        assert_eq!(degraded("ptxas warning : C7 C75 C75x0"), None);
    }

    #[test]
    fn it_is_found_in_the_order_of_preference() {
        let dir = tempfile::tempdir().unwrap();
        let place = |at: &str| {
            let folder = dir.path().join(at);
            std::fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("ptxas{}", std::env::consts::EXE_SUFFIX));
            std::fs::write(&path, "").unwrap();
            path
        };
        let packaged = place("env/lib/python3.11/site-packages/nvidia/cu13/bin");
        let cuda = place("cuda/bin");
        let path = place("path");
        let named = place("named");
        let set = |names: &'static [&'static str]| {
            let dir = dir.path().to_owned();
            let named = named.clone();
            move |name: &str| {
                let value = match name {
                    "KCC_PTXAS" => named.clone(),
                    "PATH" => dir.join("path"),
                    "CUDA_HOME" => dir.join("cuda"),
                    "VIRTUAL_ENV" => dir.join("env"),
                    _ => return None,
                };
                names.contains(&name).then(|| value.into_os_string())
            }
        };
        let of = |names| find("KCC_PTXAS", "ptxas", &set(names));
        assert_eq!(of(&["KCC_PTXAS", "PATH", "CUDA_HOME", "VIRTUAL_ENV"]), Ok(named.clone()));
        assert_eq!(of(&["PATH", "CUDA_HOME", "VIRTUAL_ENV"]), Ok(path));
        assert_eq!(of(&["CUDA_HOME", "VIRTUAL_ENV"]), Ok(cuda));
        assert_eq!(of(&["VIRTUAL_ENV"]), Ok(packaged));
        let e = of(&[]).unwrap_err();
        assert!(e.contains("KCC_PTXAS") && e.contains("nvidia-cuda-nvcc"), "{e}");
    }

    #[test]
    fn a_name_that_is_no_file_is_an_error_and_not_skipped() {
        let var = |name: &str| (name == "KCC_PTXAS").then(|| OsString::from("/no/such/ptxas"));
        assert!(find("KCC_PTXAS", "ptxas", &var).unwrap_err().contains("/no/such/ptxas"));
    }

    /// With an assembler at hand (`make test` names one): good text becomes an ELF file, bad text its messages.
    #[test]
    fn text_is_assembled_or_refused_with_its_messages() {
        let Ok(ptxas) = Ptxas::find() else { return };
        let good = ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k() { ret; }\n";
        let cubin = ptxas.assemble(good, "sm_90a").unwrap();
        assert!(cubin.bytes.starts_with(b"\x7fELF"));
        assert!(cubin.usage.registers > 0, "{}", cubin.log);
        let bad = good.replace("ret;", "nonsense;");
        assert!(
            matches!(ptxas.assemble(&bad, "sm_90a"), Err(Failure::Refused(log)) if log.contains("nonsense"))
        );
    }
}
