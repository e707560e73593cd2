//! The CPU device: a thread pool, and kernels compiled for this machine.

use super::loaded::{Code, Loaded};
use super::store::{Loader, Store};
use super::{Launching, stopped};
use crate::drivers::cpu::{self, Pool, Printer, detect};
use crate::error::{Error, Result};
use crate::launch::{Arg, Raw};
use kcc_dsl::exchange::Artifact;
use smallvec::SmallVec;
use std::sync::OnceLock;

pub(super) struct Cpu {
    pool: Pool,
    target: String,
    resolved: OnceLock<&'static str>,
    pub(super) store: Store,
}

impl Cpu {
    pub(super) fn new(threads: usize, target: String, store: Store) -> Cpu {
        Cpu { pool: Pool::new(threads), target, resolved: OnceLock::new(), store }
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Runs checked arguments.
    pub(super) fn run(&self, loaded: &Loaded, launch: &Launching<'_>) -> Result<()> {
        let Code::Cpu(code) = &loaded.code else {
            return Err(Error::other_device(&loaded.name));
        };
        let mut slots: SmallVec<[i64; 96]> = SmallVec::new();
        for arg in launch.args {
            match &arg.raw {
                Raw::View(v) => {
                    slots.push(v.ptr as i64);
                    slots.extend_from_slice(&v.layout.dims);
                    slots.extend_from_slice(&v.layout.strides);
                }
                Raw::Scalar { bits, .. } => slots.push(*bits as i64),
            }
        }
        let meta = &code.meta;
        let mut held: SmallVec<[_; 4]> = SmallVec::new();
        for panel in &meta.panels {
            let frozen = launch.args.get(panel.param as usize).and_then(Arg::kept);
            let store = frozen.and_then(|(v, kept)| kept.store(v.ptr, v.elem, &v.layout, &panel.form));
            slots.extend(store.as_ref().map_or([0; 3], |s| s.slots()));
            held.extend(store);
        }
        let printer = Printer { meta, handler: launch.print };
        let printer = (!meta.prints.is_empty()).then_some(&printer);
        let threads = launch.how.threads.unwrap_or(usize::MAX);
        // SAFETY: the arguments were checked against the parameters that the code was compiled for, including the unit
        // axes; their memory is borrowed for the call and written views share nothing. Panels are held until it ends.
        let failed = unsafe { self.pool.run(code.entry(), meta, &slots, launch.grid, threads, printer) }?;
        failed.map_or(Ok(()), |i| Err(stopped(&loaded.label(), &meta.asserts, i)))
    }
}

impl Loader for Cpu {
    fn target(&self) -> Result<&str> {
        if let Some(target) = self.resolved.get() {
            return Ok(target);
        }
        let target = detect::resolve(&self.target)?;
        Ok(self.resolved.get_or_init(|| target))
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Code> {
        Ok(Code::Cpu(cpu::Code::from_artifact(kernel, artifact)?))
    }
}
