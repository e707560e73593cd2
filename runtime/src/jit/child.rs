//! The compiler as a child process, `kcc serve`: it stays up, and its death is an error of one compilation.

use super::{Compiler, DiskCache};
use kcc_dsl::exchange::frame::{self, Hello, PROTOCOL};
use kcc_dsl::exchange::{CompileRequest, CompileResult};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// How much of what a dying child says is shown.
const LAST_WORDS: usize = 2048;

/// How long a compilation may take, unless `KCC_COMPILE_TIMEOUT` says otherwise: far beyond what any kernel has needed.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// A `kcc` executable that compiles for this process.
pub struct ChildCompiler {
    path: PathBuf,
    time_limit: Duration,
    running: Mutex<Option<Running>>,
    version: Mutex<Option<String>>,
}

struct Running {
    child: Child,
    pipes: Pipes,
    said: Option<JoinHandle<String>>,
    hello: Hello,
}

/// Where requests go and answers come from.
struct Pipes {
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

/// The time limit that the environment asks for; what is no number counts as not set.
fn time_limit() -> Duration {
    let asked = std::env::var("KCC_COMPILE_TIMEOUT").ok().and_then(|s| s.trim().parse::<u64>().ok());
    asked.filter(|s| *s > 0).map_or(TIME_LIMIT, Duration::from_secs)
}

/// The `kcc` executable: `KCC`, else beside this program (or one or two folders up, as under `target/debug/deps`), else
/// on `PATH`.
///
/// # Errors
/// What was looked for, and what to do.
pub fn find_kcc() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("KCC").filter(|p| !p.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("KCC names {}, which is no file", path.display()))
        };
    }
    let name = format!("kcc{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok();
    let beside = beside.iter().flat_map(|exe| exe.ancestors().skip(1).take(3)).map(Path::to_path_buf);
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let found = beside.chain(std::env::split_paths(&on_path)).map(|d| d.join(&name)).find(|p| p.is_file());
    found.ok_or_else(|| {
        "no `kcc` compiler was found beside this program or on PATH; install it, name it in KCC, \
         or link the compiler in (feature `jit-in-process`)"
            .into()
    })
}

impl ChildCompiler {
    /// The compiler at `path`. One child per path serves the whole process; it is started at the first compilation.
    pub fn shared(path: &Path) -> Arc<ChildCompiler> {
        static ALL: OnceLock<Mutex<HashMap<PathBuf, Arc<ChildCompiler>>>> = OnceLock::new();
        let mut all = ALL.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(path.to_path_buf()).or_insert_with(|| Arc::new(ChildCompiler::new(path))).clone()
    }

    /// A compiler of one's own. A compilation may take as many seconds as `KCC_COMPILE_TIMEOUT` says, else five minutes.
    pub fn new(path: &Path) -> ChildCompiler {
        ChildCompiler {
            path: path.to_path_buf(),
            time_limit: time_limit(),
            running: Mutex::new(None),
            version: Mutex::new(None),
        }
    }

    /// The same with another time limit. A child that takes longer is ended; that compilation is an error.
    #[must_use]
    pub fn with_time_limit(self, limit: Duration) -> ChildCompiler {
        ChildCompiler { time_limit: limit, ..self }
    }

    /// Process id of the child, if it is up.
    pub fn pid(&self) -> Option<u32> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|r| r.child.id())
    }

    /// The executable's identity on disk: a changed file has another one.
    fn fingerprint(&self) -> Option<String> {
        let meta = std::fs::metadata(&self.path).ok()?;
        let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let path = std::fs::canonicalize(&self.path).ok()?;
        let mut hash = Sha256::new();
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(time.as_nanos().to_le_bytes());
        hash.update(meta.len().to_le_bytes());
        Some(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    fn start(&self) -> Result<Running, String> {
        let fail =
            |e: &dyn std::fmt::Display| format!("the compiler {} does not start: {e}", self.path.display());
        let mut child = Command::new(&self.path)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| fail(&e))?;
        let (to, from, said) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(mut said)) = (to, from, said) else {
            return Err(fail(&"it has no pipes"));
        };
        let said = std::thread::spawn(move || {
            let (mut last, mut buffer) = (Vec::new(), [0u8; 1024]);
            while let Ok(n @ 1..) = said.read(&mut buffer) {
                last.extend_from_slice(&buffer[..n]);
                let extra = last.len().saturating_sub(LAST_WORDS);
                last.drain(..extra);
            }
            String::from_utf8_lossy(&last).into_owned()
        });
        let hello = Hello { protocol: 0, compiler: String::new() };
        let pipes = Pipes { to: Some(BufWriter::new(to)), from: BufReader::new(from) };
        let mut running = Running { child, pipes, said: Some(said), hello };
        let answer = running.in_time(self.time_limit, |p| frame::read::<Hello>(&mut p.from));
        match answer {
            Ok(Some(hello)) if hello.protocol == PROTOCOL => {
                running.hello = hello;
                Ok(running)
            }
            Ok(Some(hello)) => Err(fail(&format!(
                "it speaks protocol {}, this program speaks {PROTOCOL}; install versions that belong together",
                hello.protocol
            ))),
            Ok(None) => Err(fail(&running.death())),
            Err(e) => Err(fail(&format!("{e}; {}", running.death()))),
        }
    }

    /// Runs `f` with a living child.
    fn with<R>(&self, f: impl FnOnce(&mut Running) -> std::io::Result<R>) -> Result<R, String> {
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that died while idle is replaced without a word.
        if slot.as_mut().is_some_and(|r| !matches!(r.child.try_wait(), Ok(None))) {
            *slot = None;
        }
        if slot.is_none() {
            *slot = Some(self.start()?);
        }
        let Some(running) = slot.as_mut() else { return Err("the compiler did not start".into()) };
        let error = match f(running) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let how = running.death();
        *slot = None;
        if error.kind() == std::io::ErrorKind::TimedOut {
            return Err(format!(
                "the compiler {} took longer than {} s and was ended\nset KCC_COMPILE_TIMEOUT to more seconds if the kernel \
                 is that large; else please report this with the kernel's source",
                self.path.display(),
                self.time_limit.as_secs_f32()
            ));
        }
        Err(format!(
            "the compiler {} gave no answer ({error}): {how}\nthe next compilation starts a new one; \
             please report this with the kernel's source",
            self.path.display()
        ))
    }
}

impl Running {
    /// Talks to the child; kills it if that takes too long, which ends the talk with [`std::io::ErrorKind::TimedOut`].
    fn in_time<R>(
        &mut self,
        limit: Duration,
        talk: impl FnOnce(&mut Pipes) -> std::io::Result<R>,
    ) -> std::io::Result<R> {
        let Running { child, pipes, .. } = self;
        let (done, waiting) = channel::<()>();
        std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let late = waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                if late {
                    // The pipes close, and whoever reads or writes them goes on.
                    let _ = child.kill();
                }
                late
            });
            let answer = talk(pipes);
            drop(done);
            match watch.join() {
                Ok(true) if answer.is_err() => Err(std::io::ErrorKind::TimedOut.into()),
                _ => answer,
            }
        })
    }

    /// Ends the child and says how it went.
    fn death(&mut self) -> String {
        drop(self.pipes.to.take());
        let status = self.wait(Duration::from_secs(2));
        let said = self.said.take().and_then(|t| t.join().ok()).unwrap_or_default();
        let said = said.trim();
        let status = status.map_or("it was killed".into(), |s| format!("it ended with {s}"));
        if said.is_empty() { status } else { format!("{status}; its last words: {said}") }
    }

    fn wait(&mut self, at_most: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if start.elapsed() > at_most {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.pipes.to.take()); // the child ends when its input does
        self.wait(Duration::from_secs(2));
    }
}

impl Compiler for ChildCompiler {
    fn version(&self, cache: Option<&DiskCache>) -> Result<String, String> {
        let mut known = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = &*known {
            return Ok(version.clone());
        }
        let name = self.fingerprint();
        let recalled = cache.zip(name.as_ref()).and_then(|(c, n)| c.recall(n));
        let version = match recalled {
            Some(version) => version,
            None => {
                let version = self.with(|running| Ok(running.hello.compiler.clone()))?;
                if let Some((cache, name)) = cache.zip(name) {
                    let _ = cache.remember(&name, &version); // it is asked again next time
                }
                version
            }
        };
        *known = Some(version.clone());
        Ok(version)
    }

    fn compile(&self, request: &CompileRequest) -> Result<CompileResult, String> {
        self.with(|running| {
            running.in_time(self.time_limit, |pipes| {
                let to = pipes.to.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
                frame::write(to, request)?;
                frame::read(&mut pipes.from)?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
            })
        })
    }
}
