//! Devices: where kernels run.
//!
//! ```text
//! cpu     compiled code on a thread pool          eager    the kernel's own function, every access checked
//! cuda    compiled code on an NVIDIA GPU          sim:…    code of GPUs and NPUs on their simulators
//! ```

mod builder;
mod cpu;
mod gpu;
mod loaded;
mod memory;
mod store;
mod streams;

pub use builder::Builder;
pub use loaded::CompiledKernel;
pub use memory::Recorded;
pub use streams::{Event, OwnStream};

use crate::drivers::eager::{self, Body};
use crate::error::{Error, Result};
use crate::launch::{
    Arg, Facts, How, IntoGrid, Label, LaunchOptions, Place, PrintHandler, check, check_grid,
};
use crate::stats::Stats;
use crate::timeline::Timeline;
use cpu::Cpu;
use gpu::Gpu;
use kcc_dsl::KernelFn;
use kcc_dsl::exchange::{ArgSpec, Artifact};
use kcc_dsl::ir::{Elem, Kernel, Loc, Param};
pub(crate) use loaded::{Code, Loaded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use store::Loader;

/// A device that runs kernels. Cheap to clone; clones share caches, threads and statistics.
///
/// ```
/// use kcc_dsl::prelude::*;
/// use kcc_runtime::{Device, Launch, Tensor};
///
/// /// y = x + 1. Grid: (blocks of 8).
/// #[kernel]
/// fn increment(x: &View<i32, 1>, y: &mut View<i32, 1>) {
///     y.store(program_id(0) * 8, x.load::<8>(program_id(0) * 8) + 1);
/// }
///
/// // `cpu` compiles, `cuda` and `hip` run on GPUs, `sim:sm_90a` simulates one, `eager` runs the function itself.
/// let device = Device::open("eager")?;
/// let x = Tensor::from_fn(&[20], |i| i as i32)?;
/// let mut y = Tensor::empty(&[20])?;
/// increment::kernel().launch(&device, 3, (&x, &mut y))?;
/// assert_eq!(y.as_slice()[19], 20);
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    kind: Kind,
    print: PrintHandler,
    launches: AtomicU64,
}

enum Kind {
    Cpu(Box<Cpu>),
    Eager,
    Gpu(Box<Gpu>),
}

/// Checked arguments, and how to run them.
pub(crate) struct Launching<'a> {
    pub(crate) grid: [i64; 3],
    pub(crate) args: &'a [Arg<'a>],
    pub(crate) how: How,
    pub(crate) print: &'a PrintHandler,
}

/// Assertion `i` of a kernel failed.
pub(crate) fn stopped(label: &Label<'_>, asserts: &[(String, Loc)], i: usize) -> Error {
    let (message, loc) = match asserts.get(i) {
        Some((message, loc)) => (format!("assertion failed: {message}"), Some(loc.clone())),
        None => (format!("assertion {i} failed"), None),
    };
    Error::stopped(label.to_string(), message, loc)
}

/// A kernel looked up for a device.
#[derive(Clone)]
pub(crate) enum Runnable {
    Code(Arc<Loaded>),
    Native(Arc<KernelFn>),
    Recorded(Arc<Kernel>),
}

impl Runnable {
    pub(crate) fn label(&self) -> Label<'_> {
        match self {
            Runnable::Code(l) => l.label(),
            Runnable::Native(k) => Label { name: k.name, generics: &k.generics },
            Runnable::Recorded(k) => Label { name: &k.name, generics: &k.generics },
        }
    }

    pub(crate) fn params(&self) -> &[Param] {
        match self {
            Runnable::Code(l) => &l.params,
            Runnable::Native(k) => &k.params,
            Runnable::Recorded(k) => &k.params,
        }
    }
}

impl Device {
    /// The CPU, with all its cores and instructions. Kernels are compiled at their first launch.
    pub fn cpu() -> Device {
        Builder::cpu().build()
    }

    /// The device that runs a kernel's own function, one program after another, and checks every access. Slow.
    pub fn eager() -> Device {
        Builder::eager().build()
    }

    /// The device of that name: `cpu`, `cpu:2` (two threads), `eager`, `cuda` or `cuda:1` (the second GPU; feature `cuda`),
    /// `hip` or `hip:1` (AMD's; feature `hip`), `ascend` or `ascend:1` (the second NPU; feature `ascend`), `sim:sm_80`, `sim:sm_86`, `sim:sm_89`, `sim:sm_90a`, `sim:sm_100a`, `sim:gfx90a`, `sim:gfx942`,
    /// `sim:gfx950` or `sim:gfx1100` (the simulator of GPUs; feature `sim`), `sim:ascend910b`, `sim:ascend910b4`, `sim:ascend910c` or
    /// `sim:ascend910c4` (that of NPUs, with 24 and 20 groups of cores), `emu:gfx90a`, `emu:gfx942`, `emu:gfx950` or `emu:gfx1100` (machine code
    /// of AMD's chips on an emulator; feature `sim`).
    ///
    /// # Errors
    /// No such device.
    pub fn open(name: &str) -> Result<Device> {
        Ok(Builder::open(name)?.build())
    }

    /// What kernels are compiled for, `cpu:x86-64-v4` or `nvidia:sm_90a`; `None` on the eager device, which compiles nothing.
    ///
    /// # Errors
    /// A CPU target that this machine does not run.
    pub fn target(&self) -> Result<Option<&str>> {
        self.loader().map(Loader::target).transpose()
    }

    /// Most bytes of shared memory that a block of a GPU's threads can have, of the unified buffer of an NPU's vector core: what limits
    /// the tiles of a kernel there. `None` on a CPU and on the eager device, which have no such limit.
    pub fn shared_bytes(&self) -> Option<u64> {
        match &self.0.kind {
            Kind::Gpu(gpu) => gpu.driver().shared_bytes(),
            _ => None,
        }
    }

    /// Whether a CPU multiplies tiles of this type on a matrix unit (AMX): then products want tiles of 16 rows and more, and a few hundred
    /// columns. `false` on other devices, whose tiles are chosen by other facts.
    pub fn has_matrix_unit(&self, elem: Elem) -> bool {
        match &self.0.kind {
            Kind::Cpu(cpu) => cpu.target().is_ok_and(|t| crate::detect::has_matrix_unit(t, elem)),
            _ => false,
        }
    }

    /// What the last launch did, on a simulated NPU that was opened with [`Builder::trace`]; `None` elsewhere, and before any
    /// launch.
    pub fn timeline(&self) -> Option<Timeline> {
        match &self.0.kind {
            Kind::Gpu(gpu) => gpu.driver().timeline(),
            _ => None,
        }
    }

    /// Whether this is the eager device.
    pub fn is_eager(&self) -> bool {
        matches!(self.0.kind, Kind::Eager)
    }

    /// Name of the device and what it runs: `cpu (cpu:x86-64-v4, 2 threads)`.
    pub fn describe(&self) -> String {
        match &self.0.kind {
            Kind::Cpu(cpu) => {
                let target = cpu.target().unwrap_or("no supported target");
                format!("cpu ({target}, {} threads)", cpu.threads())
            }
            Kind::Eager => "eager".into(),
            Kind::Gpu(gpu) => gpu.describe(),
        }
    }

    /// Whose memory a launch works in.
    pub(crate) fn place(&self) -> Place {
        match &self.0.kind {
            Kind::Gpu(gpu) => gpu.place(),
            _ => Place::Host,
        }
    }

    /// Which facts about arguments this device's compiler uses.
    pub(crate) fn facts(&self) -> Facts {
        match &self.0.kind {
            Kind::Gpu(gpu) => gpu.driver().facts(),
            _ => Facts::Cpu,
        }
    }

    /// What is known of arguments on this device: what [`Device::compile`] takes.
    pub fn specs(&self, args: &[Arg<'_>]) -> Vec<ArgSpec> {
        crate::launch::specs(args, self.facts()).into_vec()
    }

    /// Number of threads that a launch may use.
    pub fn threads(&self) -> usize {
        match &self.0.kind {
            Kind::Cpu(cpu) => cpu.threads(),
            _ => 1,
        }
    }

    /// What the device compiled and launched so far.
    pub fn stats(&self) -> Stats {
        let mut stats = match &self.0.kind {
            Kind::Cpu(cpu) => cpu.store.stats(),
            Kind::Gpu(gpu) => gpu.store.stats(),
            Kind::Eager => Stats::default(),
        };
        stats.launches = self.0.launches.load(Relaxed);
        stats
    }

    /// Runs a kernel whose parameter types are known at run time only.
    ///
    /// # Errors
    /// Arguments that do not fit, a grid without programs, an error of the compiler, a failed assertion.
    pub fn launch(
        &self,
        kernel: &KernelFn,
        grid: impl IntoGrid,
        args: &[Arg<'_>],
        options: &LaunchOptions,
    ) -> Result<()> {
        let label = Label { name: kernel.name, generics: &kernel.generics };
        let grid = grid.into_grid();
        check_grid(&label, grid)?;
        if !check(&label, &kernel.params, args, self.place())? {
            return Ok(());
        }
        if self.is_eager() {
            return self.run_eager(&Body::Native(kernel), &label, grid, args);
        }
        let how = How { threads: options.threads, stream: options.stream, workspace: None };
        self.run(&self.runnable(kernel, args, &options.compile)?, grid, args, how)
    }

    /// Makes recorded IR runnable: compiles it, or, on the eager device, interprets it.
    ///
    /// # Errors
    /// IR that is not valid, or an error of the compiler.
    pub fn compile(
        &self,
        kernel: &Kernel,
        specs: &[ArgSpec],
        options: &BTreeMap<String, String>,
    ) -> Result<CompiledKernel> {
        kcc_dsl::ir::validate(kernel).map_err(|diagnostics| Error::Compile {
            kernel: Label { name: &kernel.name, generics: &kernel.generics }.to_string(),
            diagnostics,
        })?;
        let runnable = match &self.0.kind {
            Kind::Cpu(cpu) => {
                Runnable::Code(cpu.store.load_ir(kernel.clone(), specs, options, &**cpu, None)?)
            }
            Kind::Gpu(gpu) => {
                Runnable::Code(gpu.store.load_ir(kernel.clone(), specs, options, &**gpu, None)?)
            }
            Kind::Eager => Runnable::Recorded(Arc::new(kernel.clone())),
        };
        Ok(CompiledKernel::new(self.clone(), runnable))
    }

    fn loader(&self) -> Option<&dyn Loader> {
        match &self.0.kind {
            Kind::Cpu(cpu) => Some(&**cpu),
            Kind::Gpu(gpu) => Some(&**gpu),
            Kind::Eager => None,
        }
    }

    /// How good code for a target is here, the lower the better; `None` if it does not run. First the tier: costs are
    /// compared within one, and any variant of a lower one goes before. Then the order of equal costs.
    pub(crate) fn rank(&self, target: &str) -> Option<(usize, usize)> {
        match &self.0.kind {
            Kind::Cpu(_) => Some((0, crate::detect::rank(crate::detect::resolve(target).ok()?))),
            Kind::Gpu(gpu) => Some((gpu.rank(target)?, 0)),
            Kind::Eager => None,
        }
    }

    /// Places compiled code in the device's memory.
    pub(crate) fn load_code(&self, kernel: &str, artifact: &Artifact) -> Result<Code> {
        match self.loader() {
            Some(loader) => loader.load(kernel, artifact),
            None => Err(Error::other_device(kernel)),
        }
    }

    /// Code placed by [`Device::load_code`], ready to launch.
    pub(crate) fn own(&self, loaded: Loaded) -> CompiledKernel {
        CompiledKernel::new(self.clone(), Runnable::Code(Arc::new(loaded)))
    }

    pub(crate) fn adopt(&self, loaded: Loaded) -> Result<CompiledKernel> {
        match &self.0.kind {
            Kind::Cpu(_) => Ok(self.own(loaded)),
            Kind::Gpu(_) => Err(Error::other_device(&loaded.name)),
            Kind::Eager => Err(Error::Load {
                kernel: loaded.name,
                reason: "the eager device runs Rust functions and recorded kernels, not compiled code".into(),
            }),
        }
    }

    pub(crate) fn runnable(
        &self,
        kernel: &KernelFn,
        args: &[Arg<'_>],
        options: &BTreeMap<String, String>,
    ) -> Result<Runnable> {
        let specs = crate::launch::specs(args, self.facts());
        Ok(match &self.0.kind {
            Kind::Cpu(cpu) => Runnable::Code(cpu.store.load(kernel, &specs, options, &**cpu)?),
            Kind::Gpu(gpu) => Runnable::Code(gpu.store.load(kernel, &specs, options, &**gpu)?),
            Kind::Eager => Runnable::Native(Arc::new(kernel.clone())),
        })
    }

    /// Runs checked arguments.
    pub(crate) fn run(&self, runnable: &Runnable, grid: [i64; 3], args: &[Arg<'_>], how: How) -> Result<()> {
        let launch = Launching { grid, args, how, print: &self.0.print };
        match (runnable, &self.0.kind) {
            (Runnable::Code(loaded), Kind::Cpu(cpu)) => {
                self.0.launches.fetch_add(1, Relaxed);
                cpu.run(loaded, &launch)
            }
            (Runnable::Code(loaded), Kind::Gpu(gpu)) => {
                self.0.launches.fetch_add(1, Relaxed);
                gpu.run(loaded, &launch).map_err(|e| e.at_source(loaded.source.as_ref()))
            }
            (Runnable::Native(kernel), _) => {
                self.run_eager(&Body::Native(kernel), &runnable.label(), grid, args)
            }
            (Runnable::Recorded(kernel), _) => {
                self.run_eager(&Body::Recorded(kernel), &runnable.label(), grid, args)
            }
            (Runnable::Code(loaded), Kind::Eager) => Err(Error::other_device(&loaded.name)),
        }
    }

    fn run_eager(&self, body: &Body<'_>, label: &Label<'_>, grid: [i64; 3], args: &[Arg<'_>]) -> Result<()> {
        self.0.launches.fetch_add(1, Relaxed);
        eager::run(body, label, grid, args, &self.0.print)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.describe())
    }
}
