//! What a device did: what it compiled, in how long, and how often it launched.

use std::fmt;
use std::time::Duration;

/// Where code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled now.
    Compiler,
    /// Read from the disk cache.
    Disk,
}

/// One kernel that became runnable.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// Name with generic arguments.
    pub kernel: String,
    /// Target, with `native` resolved.
    pub target: String,
    /// Where the code came from.
    pub origin: Origin,
    /// Time to record the kernel.
    pub trace: Duration,
    /// Time from trace to runnable, recording included.
    pub total: Duration,
    /// Time of each stage of the compiler, in order; of the compilation that filled the cache if it came from there.
    pub stages: Vec<(String, Duration)>,
    /// Size of the object, in bytes.
    pub code_bytes: usize,
}

/// What a device did so far.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Kernels that became runnable, in order.
    pub compilations: Vec<Compilation>,
    /// Launches that ran.
    pub launches: u64,
    /// What went wrong with the disk cache, once; launches work without it.
    pub cache_trouble: Option<String>,
}

impl Stats {
    /// Time spent until kernels were runnable.
    pub fn compile_time(&self) -> Duration {
        self.compilations.iter().map(|c| c.total).sum()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in &self.compilations {
            let from = match c.origin {
                Origin::Compiler => "compiled",
                Origin::Disk => "from cache",
            };
            writeln!(f, "{:>9.2} ms  {from:<10}  {}", c.total.as_secs_f64() * 1e3, c.kernel)?;
        }
        let ms = self.compile_time().as_secs_f64() * 1e3;
        write!(f, "{ms:>9.2} ms  {} kernels, {} launches", self.compilations.len(), self.launches)
    }
}
