//! The emulator of AMD's machine code as a device: runs the code objects that a card would, on any machine.
//!
//! ```text
//! views ─ images ─▶ the emulator's memory ─ workgroups, waves ─▶ images ─▶ views        a fault ends the launch
//! ```
//! Slow, and strict: undefined registers and LDS hold junk, loads land as late as the waits allow, accesses beyond a view, and instructions
//! that nobody knows are errors. It reads code by LLVM's `llvm-objdump`.

use super::gpu::hosted::{Hosted, Lent, PROCESSORS};
use super::gpu::{self, Driver, Module, blocks};
use super::sim::{How, mistake};
use crate::device::Launching;
use crate::error::{Error, Result};
use crate::launch::{Label, Place};
use kcc_dsl::exchange::{Artifact, GpuMeta};
use kcc_gcn::{Chip, Launch, Memory, Object};

/// A chip whose code is emulated.
pub(crate) struct Emulator {
    chip: &'static Chip,
    target: String,
    seed: u64,
}

impl Emulator {
    /// The seed decides what is undefined, the order of waves, and when loads land.
    pub(crate) fn new(chip: &'static Chip, how: How) -> Emulator {
        Emulator { chip, target: format!("amd:{}", chip.name), seed: how.seed }
    }
}

impl Driver for Emulator {
    fn describe(&self) -> String {
        format!("emu:{} (emulator of machine code, {}, seed {})", self.chip.name, self.target, self.seed)
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(self.chip.lds.into())
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        let meta = gpu::meta(kernel, artifact)?;
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        if artifact.target != self.target {
            return Err(fail(format!(
                "the code is for {}, the device runs {}",
                artifact.target, self.target
            )));
        }
        gpu::code_object(kernel, artifact)?;
        let object = Object::load(&artifact.bytes, &artifact.symbol).map_err(|e| fail(e.to_string()))?;
        Ok(Box::new(Emulated { object, meta, chip: self.chip, seed: self.seed }))
    }
}

struct Emulated {
    object: Object,
    meta: GpuMeta,
    chip: &'static Chip,
    seed: u64,
}

impl Module for Emulated {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        let grid = blocks(label, &self.meta, launch.grid, PROCESSORS)?;
        let mut hosted = Hosted::new(&self.meta, launch.args)?;
        let mut memory = Memory::new();
        let (_, args) = hosted.lend(launch, |bytes| match bytes {
            Lent::Written(bytes) => memory.borrow(bytes),
            Lent::Read(bytes) => memory.borrow_const(bytes),
        });
        let ran = self.object.run(Launch {
            grid,
            block: [self.meta.threads, 1, 1],
            args: &args,
            memory: &mut memory,
            seed: self.seed,
        });
        drop(memory);
        let ran = ran.map(drop).map_err(|fault| {
            let message = format!("{fault}, on the emulated {}", self.chip.name);
            mistake(label.to_string(), None, message, self.seed)
        });
        hosted.finish(label, launch, ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(artifact: &Artifact) -> String {
        let chip = Chip::find("gfx942").expect("a chip of the table");
        let loaded = Emulator::new(chip, How::default()).load("k", artifact);
        loaded.err().expect("nothing that could run").to_string()
    }

    #[test]
    fn what_is_no_code_object_of_the_chip_is_refused() {
        let artifact = Artifact {
            target: "amd:gfx942".into(),
            symbol: "k".into(),
            bytes: b"nonsense".to_vec(),
            cpu: Default::default(),
            gpu: Some(GpuMeta { threads: 64, cluster: [1; 3], ..GpuMeta::default() }),
            npu: None,
            timings: vec![],
        };
        assert!(load(&artifact).contains("there is no code object for amd:gfx942"));
        let other = Artifact { target: "amd:gfx950".into(), ..artifact };
        assert!(load(&other).contains("the code is for amd:gfx950, the device runs amd:gfx942"));
    }
}
