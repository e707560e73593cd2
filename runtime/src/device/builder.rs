//! How a device is set up.

use super::cpu::Cpu;
use super::gpu::Gpu;
use super::store::Store;
use super::{Device, Inner, Kind};
#[cfg(feature = "sim")]
use crate::drivers::ascend;
use crate::drivers::cpu::detect;
use crate::drivers::dry::Dry;
use crate::drivers::gpu::Driver;
#[cfg(feature = "sim")]
use crate::drivers::{
    emu::Emulator,
    sim::{self, How},
};
use crate::error::{Error, Result};
use crate::jit::{Compiler, DiskCache, default_cache_dir};
use crate::launch::PrintHandler;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Choices for a device; each has a default.
///
/// ```
/// use kcc_runtime::Builder;
/// let device = Builder::open("cpu:2")?.target("cpu:x86-64-v3").no_disk_cache().build();
/// assert_eq!(device.threads(), 2);
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
pub struct Builder {
    choice: Choice,
    threads: Option<usize>,
    target: String,
    cache: Cache,
    compiler: Option<Arc<dyn Compiler>>,
    print: Option<PrintHandler>,
    seed: Option<u64>,
    #[cfg_attr(not(feature = "sim"), allow(dead_code))]
    trace: bool,
}

enum Choice {
    Cpu,
    Eager,
    Gpu(Arc<dyn Driver>),
    #[cfg(feature = "sim")]
    Sim(Simulator),
}

/// A simulated chip.
#[cfg(feature = "sim")]
enum Simulator {
    Gpu(&'static kcc_simt::Chip),
    Npu(&'static kcc_davinci::Chip),
    /// Of a GPU that runs machine code.
    Code(&'static kcc_gcn::Chip),
}

#[cfg(feature = "sim")]
impl Simulator {
    /// The chip of a name of the kind `sim` or `emu`.
    fn find(kind: &str, name: &str) -> Option<Simulator> {
        if kind == "emu" {
            return kcc_gcn::Chip::find(name).map(Simulator::Code);
        }
        let npu = || kcc_davinci::Chip::find(name).map(Simulator::Npu);
        kcc_simt::Chip::find(name).map(Simulator::Gpu).or_else(npu)
    }

    fn open(self, how: How) -> Arc<dyn Driver> {
        match self {
            Simulator::Gpu(chip) => Arc::new(sim::Sim::new(chip, how)),
            Simulator::Npu(chip) => Arc::new(ascend::sim::Sim::new(chip, how)),
            Simulator::Code(chip) => Arc::new(Emulator::new(chip, how)),
        }
    }
}

enum Cache {
    User,
    In(PathBuf),
    Off,
}

impl Builder {
    fn new(choice: Choice) -> Builder {
        Builder {
            choice,
            threads: None,
            target: detect::NATIVE.into(),
            cache: Cache::User,
            compiler: None,
            print: None,
            seed: None,
            trace: false,
        }
    }

    /// The CPU.
    pub fn cpu() -> Builder {
        Builder::new(Choice::Cpu)
    }

    /// The checking device.
    pub fn eager() -> Builder {
        Builder::new(Choice::Eager)
    }

    /// A device that compiles for a GPU target (`nvidia:sm_90a`) and runs nothing: launches are checked and compiled, and
    /// what they would write stays as it is. To fill caches for other machines.
    pub fn dry(target: &str) -> Builder {
        Builder::new(Choice::Gpu(Arc::new(Dry { target: target.into() })))
    }

    /// The device of that name, as for [`Device::open`].
    ///
    /// # Errors
    /// No such device; a GPU without a driver that can be used.
    pub fn open(name: &str) -> Result<Builder> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Builder::cpu()),
            None if name == "eager" => Ok(Builder::eager()),
            Some(("cpu", n)) if n.parse().is_ok_and(|n: usize| (1..=4096).contains(&n)) => {
                Ok(Builder::cpu().threads(n.parse().unwrap_or(1)))
            }
            None if name == "cuda" => cuda(name, 0),
            Some(("cuda", n)) if n.parse::<u16>().is_ok() => cuda(name, n.parse().unwrap_or(0)),
            None if name == "hip" => hip(name, 0),
            Some(("hip", n)) if n.parse::<u16>().is_ok() => hip(name, n.parse().unwrap_or(0)),
            None if name == "ascend" => npu(name, 0),
            Some(("ascend", n)) if n.parse::<u16>().is_ok() => npu(name, n.parse().unwrap_or(0)),
            Some((kind @ ("sim" | "emu"), chip)) => simulator(name, kind, chip),
            _ => Err(Error::UnknownDevice { name: name.into() }),
        }
    }

    /// Number of threads of a launch, the calling one included; by default as many as the system offers.
    pub fn threads(mut self, n: usize) -> Builder {
        self.threads = Some(n.clamp(1, 4096));
        self
    }

    /// What a CPU device compiles for: `cpu:native` (the default) or a name that [`detect::targets`] lists. Checked when the first
    /// kernel is compiled.
    pub fn target(mut self, target: &str) -> Builder {
        self.target = target.into();
        self
    }

    /// Keeps compiled kernels in this folder, instead of the user's cache.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Builder {
        self.cache = Cache::In(dir.into());
        self
    }

    /// Keeps nothing on disk.
    pub fn no_disk_cache(mut self) -> Builder {
        self.cache = Cache::Off;
        self
    }

    /// What decides, on a simulated or emulated GPU, the order of warps and when copies land, on a simulated NPU that of pipes: KCC_SIM_SEED, or 0, if
    /// not given.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = Some(seed);
        self
    }

    /// Keeps what a simulated NPU did in its last launch: [`Device::timeline`].
    pub fn trace(mut self) -> Builder {
        self.trace = true;
        self
    }

    /// Compiles with this compiler.
    pub fn compiler(mut self, compiler: Arc<dyn Compiler>) -> Builder {
        self.compiler = Some(compiler);
        self
    }

    /// Receives what kernels print; by default it goes to standard output.
    pub fn on_print(mut self, f: impl Fn(&str) + Send + Sync + 'static) -> Builder {
        self.print = Some(Arc::new(f));
        self
    }

    /// The device.
    pub fn build(self) -> Device {
        let disk = match self.cache {
            Cache::User => default_cache_dir().map(DiskCache::new),
            Cache::In(dir) => Some(DiskCache::new(dir)),
            Cache::Off => None,
        };
        let store = Store::new(disk, self.compiler);
        let kind = match self.choice {
            Choice::Eager => Kind::Eager,
            Choice::Cpu => {
                let all = || std::thread::available_parallelism().ok().map(Into::into);
                let threads = self.threads.or_else(all).unwrap_or(1);
                Kind::Cpu(Box::new(Cpu::new(threads, self.target, store)))
            }
            #[cfg(feature = "sim")]
            Choice::Sim(chip) => {
                let named = || std::env::var("KCC_SIM_SEED").ok().and_then(|s| s.trim().parse().ok());
                let seed = self.seed.or_else(named).unwrap_or(0);
                Kind::Gpu(Box::new(Gpu::new(chip.open(How { seed, trace: self.trace }), store)))
            }
            Choice::Gpu(driver) => Kind::Gpu(Box::new(Gpu::new(driver, store))),
        };
        let print = self.print.unwrap_or_else(|| Arc::new(to_stdout));
        Device(Arc::new(Inner { kind, print, launches: AtomicU64::new(0) }))
    }
}

#[cfg(feature = "sim")]
fn simulator(name: &str, kind: &str, chip: &str) -> Result<Builder> {
    let sim = Simulator::find(kind, chip);
    sim.map(|s| Builder::new(Choice::Sim(s))).ok_or_else(|| Error::UnknownDevice { name: name.into() })
}

#[cfg(not(feature = "sim"))]
fn simulator(name: &str, _: &str, _: &str) -> Result<Builder> {
    let reason =
        "this program was built without it; add the feature `sim` to the dependency `kcc` (or `kcc-runtime`)"
            .into();
    Err(Error::Device { device: name.into(), reason })
}

#[cfg(feature = "cuda")]
fn cuda(_: &str, index: u16) -> Result<Builder> {
    Ok(Builder::new(Choice::Gpu(crate::drivers::cuda::open(index)?)))
}

#[cfg(not(feature = "cuda"))]
fn cuda(name: &str, _: u16) -> Result<Builder> {
    let reason = "this program was built without it; build kcc-runtime with the feature `cuda`".into();
    Err(Error::Device { device: name.into(), reason })
}

#[cfg(feature = "hip")]
fn hip(_: &str, index: u16) -> Result<Builder> {
    Ok(Builder::new(Choice::Gpu(crate::drivers::hip::open(index)?)))
}

#[cfg(not(feature = "hip"))]
fn hip(name: &str, _: u16) -> Result<Builder> {
    let reason = "this program was built without it; build kcc-runtime with the feature `hip`".into();
    Err(Error::Device { device: name.into(), reason })
}

#[cfg(feature = "ascend")]
fn npu(_: &str, index: u16) -> Result<Builder> {
    Ok(Builder::new(Choice::Gpu(crate::drivers::ascend::open(index)?)))
}

#[cfg(not(feature = "ascend"))]
fn npu(name: &str, _: u16) -> Result<Builder> {
    let reason = "this program was built without it; build kcc-runtime with the feature `ascend`".into();
    Err(Error::Device { device: name.into(), reason })
}

/// What a kernel's author asked to see, where they see the program's own output.
fn to_stdout(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // A closed standard output must not stop a launch.
    let _ = writeln!(out, "{}", text.strip_suffix('\n').unwrap_or(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_checked() {
        assert_eq!(Device::open("cpu:3").unwrap().threads(), 3);
        assert!(Device::open("eager").unwrap().is_eager());
        for bad in [
            "",
            "gpu",
            "cpu:",
            "cpu:0",
            "cpu:x",
            "cpu:-1",
            "eager:2",
            "CPU",
            "cuda:",
            "cuda:x",
            "cuda:-1",
            "hip:",
            "hip:x",
            "ascend:",
            "ascend:910b",
            "emu:",
            "emu:sm_90a",
        ] {
            let e = Device::open(bad).unwrap_err().to_string();
            assert!(e.contains(&format!("`{bad}`")), "{e}");
        }
    }
}
