//! Devices: where kernels run.
//!
//! ```text
//! cpu     compiled code on a thread pool          eager    the kernel's own function, every access checked
//! ```

mod builder;
mod cpu;
mod loaded;

pub use builder::Builder;
pub use loaded::CompiledKernel;

use crate::drivers::cpu::Printer;
use crate::drivers::eager::{self, Body};
use crate::error::{Error, Result};
use crate::launch::{Arg, IntoGrid, Label, LaunchOptions, PrintHandler, Raw, check, check_grid};
use crate::stats::Stats;
use cpu::Cpu;
use kcc_dsl::KernelFn;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Kernel, Param};
pub(crate) use loaded::Loaded;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A device that runs kernels. Cheap to clone; clones share caches, threads and statistics.
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
            Runnable::Code(l) => Label { name: &l.name, generics: &l.generics },
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

    /// The device of that name: `cpu`, `cpu:2` (two threads), or `eager`.
    ///
    /// # Errors
    /// No such device.
    pub fn open(name: &str) -> Result<Device> {
        Ok(Builder::open(name)?.build())
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
        }
    }

    /// Number of threads that a launch may use.
    pub fn threads(&self) -> usize {
        match &self.0.kind {
            Kind::Cpu(cpu) => cpu.threads(),
            Kind::Eager => 1,
        }
    }

    /// What the device compiled and launched so far.
    pub fn stats(&self) -> Stats {
        let mut stats = match &self.0.kind {
            Kind::Cpu(cpu) => cpu.stats(),
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
        if !check(&label, &kernel.params, args)? {
            return Ok(());
        }
        match &self.0.kind {
            Kind::Cpu(cpu) => {
                let loaded = cpu.load(kernel, &crate::launch::specs(args), &options.compile)?;
                self.run_code(cpu, &loaded, grid, args, options.threads)
            }
            Kind::Eager => self.run_eager(&Body::Native(kernel), &label, grid, args),
        }
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
            Kind::Cpu(cpu) => Runnable::Code(cpu.load_ir(kernel.clone(), specs, options, None)?),
            Kind::Eager => Runnable::Recorded(Arc::new(kernel.clone())),
        };
        Ok(CompiledKernel::new(self.clone(), runnable))
    }

    pub(crate) fn adopt(&self, loaded: Loaded) -> Result<CompiledKernel> {
        match &self.0.kind {
            Kind::Cpu(_) => Ok(CompiledKernel::new(self.clone(), Runnable::Code(Arc::new(loaded)))),
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
        Ok(match &self.0.kind {
            Kind::Cpu(cpu) => Runnable::Code(cpu.load(kernel, &crate::launch::specs(args), options)?),
            Kind::Eager => Runnable::Native(Arc::new(kernel.clone())),
        })
    }

    /// Runs checked arguments.
    pub(crate) fn run(
        &self,
        runnable: &Runnable,
        grid: [i64; 3],
        args: &[Arg<'_>],
        threads: Option<usize>,
    ) -> Result<()> {
        match (runnable, &self.0.kind) {
            (Runnable::Code(loaded), Kind::Cpu(cpu)) => self.run_code(cpu, loaded, grid, args, threads),
            (Runnable::Native(kernel), _) => {
                self.run_eager(&Body::Native(kernel), &runnable.label(), grid, args)
            }
            (Runnable::Recorded(kernel), _) => {
                self.run_eager(&Body::Recorded(kernel), &runnable.label(), grid, args)
            }
            (Runnable::Code(loaded), Kind::Eager) => {
                Err(Error::Load { kernel: loaded.name.clone(), reason: "compiled for another device".into() })
            }
        }
    }

    fn run_eager(&self, body: &Body<'_>, label: &Label<'_>, grid: [i64; 3], args: &[Arg<'_>]) -> Result<()> {
        self.0.launches.fetch_add(1, Relaxed);
        eager::run(body, label, grid, args, &self.0.print)
    }

    fn run_code(
        &self,
        cpu: &Cpu,
        loaded: &Loaded,
        grid: [i64; 3],
        args: &[Arg<'_>],
        threads: Option<usize>,
    ) -> Result<()> {
        self.0.launches.fetch_add(1, Relaxed);
        let mut slots: SmallVec<[i64; 96]> = SmallVec::new();
        for arg in args {
            match &arg.raw {
                Raw::View(v) => {
                    slots.push(v.ptr as i64);
                    slots.extend_from_slice(&v.layout.dims);
                    slots.extend_from_slice(&v.layout.strides);
                }
                Raw::Scalar { bits, .. } => slots.push(*bits as i64),
            }
        }
        let meta = &loaded.code.meta;
        let printer = Printer { meta, handler: &self.0.print };
        let printer = (!meta.prints.is_empty()).then_some(&printer);
        let threads = threads.unwrap_or(usize::MAX);
        // SAFETY: the arguments were checked against the parameters that the code was compiled for, including the unit
        // axes; their memory is borrowed for the call and written views share nothing.
        let failed = unsafe { cpu.pool().run(loaded.code.entry(), meta, &slots, grid, threads, printer) }?;
        let Some(i) = failed else { return Ok(()) };
        let (message, loc) = match meta.asserts.get(i) {
            Some((message, loc)) => (format!("assertion failed: {message}"), Some(loc.clone())),
            None => (format!("assertion {i} failed"), None),
        };
        let label = Label { name: &loaded.name, generics: &loaded.generics };
        Err(Error::stopped(label.to_string(), message, loc))
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.describe())
    }
}
