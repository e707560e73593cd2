//! A loaded module: kernels as compact code for the interpreter.

mod asm;
mod build;
mod convert;
mod inst;
mod intrinsics;
mod llvm;
mod matrix;
mod memory;
mod mutate;
mod nvvm;
mod order;
mod rocdl;
mod rocdl_matrix;
mod rocdl_memory;
mod symbols;
mod wave_op;

use std::sync::Arc;

use crate::error::Error;
use crate::text::{self, LocTable};
pub(crate) use build::{LOCAL_BASE, PARAM_BASE};
pub(crate) use inst::*;
pub(crate) use symbols::MODULE_BASE;
pub use symbols::SHARED_BASE;
pub(crate) use wave_op::*;

/// A module ready to run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Program {
    module: Arc<Module>,
    kernels: Arc<[Kernel]>,
    sites: Arc<[Site]>,
}

pub(crate) struct Module {
    ops: Vec<text::Op>,
    locs: LocTable,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({} operations)", self.ops.len())
    }
}

/// One operation of the module, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) op: String,
    pub(crate) loc: Option<text::Loc>,
    pub(crate) sync: bool,
}

/// An operation that orders things: what a mutation run deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSite {
    /// To be given to [`Program::without`].
    pub index: usize,
    /// The operation's name, or the text of its inline PTX.
    pub kind: String,
    /// The author's source line.
    pub loc: Option<text::Loc>,
}

/// A parameter of a kernel.
#[derive(Debug, Clone)]
pub struct Param {
    /// Bytes of its value.
    pub bytes: u64,
    /// Whether it is a block of bytes handed over as a pointer (`llvm.byval`), such as a tensor map.
    pub byval: bool,
    pub(crate) slots: Vec<(u64, text::Scalar, Slot)>,
    /// Where its bytes lie in parameter space.
    pub(crate) offset: u64,
}

/// A kernel: an `llvm.func` with `nvvm.kernel` or `rocdl.kernel`.
#[derive(Debug)]
pub struct Kernel {
    /// Its symbol.
    pub name: String,
    /// What a launch has to give, in order.
    pub params: Vec<Param>,
    /// The cluster that the kernel requires.
    pub cluster: Option<[u32; 3]>,
    /// The block size that the kernel requires.
    pub block: Option<[u32; 3]>,
    /// The most threads that the kernel was compiled for.
    pub max_threads: Option<u32>,
    /// The most registers that a thread starts with, where that is said.
    pub max_registers: Option<u32>,
    /// Bytes of shared memory with a size known to the compiler.
    pub static_shared: u64,
    /// Where the dynamic part begins, after [`SHARED_BASE`].
    pub(crate) dynamic_at: u64,
    pub(crate) code: Code,
}

#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    pub(crate) pool: Vec<Slot>,
    pub(crate) slots: u32,
    /// Slots with a value that never changes.
    pub(crate) constants: Vec<(Slot, Constant)>,
    pub(crate) local_bytes: u64,
    pub(crate) param_bytes: u64,
    /// Where in parameter space the packet of the dispatch lies, if the kernel reads it.
    pub(crate) packet_at: Option<u64>,
    pub(crate) uses_wgmma: bool,
    /// Initial contents of the module's variables outside shared memory, at [`symbols::MODULE_BASE`].
    pub(crate) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Constant {
    Bits(u64),
    Poison,
}

impl Code {
    pub(crate) fn sources(&self, inst: &Inst) -> &[Slot] {
        &self.pool[inst.src.start as usize..inst.src.end as usize]
    }

    pub(crate) fn results(&self, inst: &Inst) -> &[Slot] {
        &self.pool[inst.dst.start as usize..inst.dst.end as usize]
    }
}

impl Program {
    /// Loads a module in generic form (`mlir-opt --mlir-print-op-generic --mlir-print-debuginfo`), in the dialects
    /// `llvm`, `nvvm` and `rocdl`. Fails on text that is not such a module, and on operations that the simulator lacks.
    pub fn load(text: &str) -> Result<Program, Error> {
        let (ops, locs) = text::parse(text)?;
        Program::build(Arc::new(Module { ops, locs }), None)
    }

    fn build(module: Arc<Module>, removed: Option<usize>) -> Result<Program, Error> {
        let mut sites = Vec::new();
        let kernels = build::module(&module, removed, &mut sites)?;
        Ok(Program { module, kernels: kernels.into(), sites: sites.into() })
    }

    /// The kernels of the module.
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The kernel of that name.
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// Each barrier, wait, fence, arrive and commit of the module.
    pub fn sync_sites(&self) -> Vec<SyncSite> {
        let sites = self.sites.iter().enumerate().filter(|(_, site)| site.sync);
        sites.map(|(index, site)| SyncSite { index, kind: site.op.clone(), loc: site.loc.clone() }).collect()
    }

    /// The program with one operation of [`Program::sync_sites`] replaced by nothing; a wait's result says "done",
    /// other results are zero.
    pub fn without(&self, index: usize) -> Result<Program, Error> {
        match self.sites.get(index) {
            Some(site) if site.sync => Program::build(self.module.clone(), Some(index)),
            _ => {
                Err(Error::Launch(format!("operation {index} is no barrier, wait or fence of this program")))
            }
        }
    }

    pub(crate) fn site(&self, index: u32) -> Option<&Site> {
        self.sites.get(index as usize)
    }
}
