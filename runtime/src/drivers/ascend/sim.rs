//! The simulator of NPUs as a device: runs the program that the Ascend backend lowers a kernel to, on any machine.
//!
//! ```text
//! views ─ images ─▶ global memory ─ cores, pipes, events ─▶ images ─▶ views        a fault ends the launch
//! ```
//! Slow, and strict: an access out of bounds, a race, an undefined value, a missing or left event or flag, or cores that wait for each
//! other are errors with the source line.

use super::meta::meta;
use crate::device::Launching;
use crate::drivers::gpu::{Driver, Module, Staged};
use crate::drivers::sim::{How, mistake};
use crate::error::{Error, Result};
use crate::launch::{Arg, Facts, Label, Place, Raw};
use crate::timeline::{PipeTime, Timeline};
use half::{bf16, f16};
use kcc_davinci::ir::{CoreKind, Pipe, Program};
use kcc_davinci::{Arg as SimArg, Chip, Error as SimError, FaultKind, Launch, Options, Report};
use kcc_dsl::exchange::{Artifact, NpuMeta};
use kcc_dsl::ir::Elem;
use std::sync::{Arc, Mutex, PoisonError};

/// A simulated NPU.
pub(crate) struct Sim {
    chip: &'static Chip,
    target: String,
    how: How,
    last: Arc<Mutex<Option<Timeline>>>,
}

impl Sim {
    /// The seed decides in which order pipes and cores take turns.
    pub(crate) fn new(chip: &'static Chip, how: How) -> Sim {
        Sim { chip, target: format!("sim:{}", chip.name), how, last: Arc::default() }
    }
}

impl Driver for Sim {
    fn describe(&self) -> String {
        format!("{} (simulator, {} groups, seed {})", self.target, self.chip.groups, self.how.seed)
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn place(&self) -> Place {
        Place::Host
    }

    /// A tile's bytes lie in the unified buffer of a vector core, which is what limits it.
    fn shared_bytes(&self) -> Option<u64> {
        Some(u64::from(self.chip.ub))
    }

    fn facts(&self) -> Facts {
        Facts::Cpu
    }

    fn timeline(&self) -> Option<Timeline> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        let meta = meta(kernel, artifact)?;
        let fail = |reason: String| Error::Load { kernel: kernel.into(), reason };
        let text = std::str::from_utf8(&artifact.bytes).map_err(|e| fail(e.to_string()))?;
        let program = Program::from_text(text).map_err(|e| fail(e.to_string()))?;
        kcc_davinci::verify(&program).map_err(|e| fail(e.to_string()))?;
        if program.chip != self.chip.name {
            return Err(fail(format!(
                "the program is for {}, the device is {}",
                program.chip, self.chip.name
            )));
        }
        let last = self.last.clone();
        Ok(Box::new(Simulated { program, meta, target: self.target.clone(), how: self.how, last }))
    }
}

struct Simulated {
    program: Program,
    meta: NpuMeta,
    target: String,
    how: How,
    last: Arc<Mutex<Option<Timeline>>>,
}

/// A scalar as programs take it: integers extended, floats by the bits of an `f32`.
fn scalar(elem: Elem, bits: u64) -> i64 {
    match elem {
        Elem::Bool => (bits & 1) as i64,
        Elem::I8 => i64::from(bits as i8),
        Elem::I16 => i64::from(bits as i16),
        Elem::I32 => i64::from(bits as i32),
        Elem::F16 => f16::from_bits(bits as u16).to_f32().to_bits().into(),
        Elem::BF16 => bf16::from_bits(bits as u16).to_f32().to_bits().into(),
        Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => (bits & 0xff) as i64,
        Elem::U32 | Elem::F32 => (bits & 0xffff_ffff) as i64,
        Elem::I64 => bits as i64,
    }
}

/// The arguments, with the images of views.
fn arguments<'m>(args: &[Arg<'_>], staged: &'m mut Staged) -> Vec<SimArg<'m>> {
    let images = staged.images.iter_mut();
    args.iter()
        .zip(images)
        .map(|(arg, image)| match (&arg.raw, image) {
            (Raw::Scalar { elem, bits }, _) => SimArg::Scalar(scalar(*elem, *bits)),
            (Raw::View(v), image) => {
                let (dims, strides) = (v.layout.dims.to_vec(), v.layout.strides.to_vec());
                let Some(image) = image else {
                    return SimArg::View { bytes: &[], origin: 0, dims, strides };
                };
                let origin = image.origin;
                if image.mutable {
                    SimArg::ViewMut { bytes: image.memory.bytes_mut(), origin, dims, strides }
                } else {
                    SimArg::View { bytes: image.memory.bytes(), origin, dims, strides }
                }
            }
        })
        .collect()
}

impl Module for Simulated {
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()> {
        let limit = |reason: String| Error::Limit { kernel: label.to_string(), reason };
        let mut grid = [0; 3];
        for (to, from) in grid.iter_mut().zip(launch.grid) {
            *to = u32::try_from(from)
                .map_err(|_| limit(format!("{from} programs along an axis, more than 32 bits count")))?;
        }
        let mut staged = Staged::new(launch.args)?;
        let ran = kcc_davinci::run(
            &self.program,
            Launch {
                grid,
                blocks: self.meta.blocks(launch.grid, None),
                args: arguments(launch.args, &mut staged),
                options: Options { seed: self.how.seed, trace: self.how.trace, ..Options::default() },
            },
        );
        let report = ran.map_err(|e| self.error(label, e))?;
        staged.finish(launch.args);
        if self.how.trace {
            let timeline = self.timeline(&report).map_err(limit)?;
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(timeline);
        }
        Ok(())
    }
}

impl Simulated {
    fn timeline(&self, report: &Report) -> std::result::Result<Timeline, String> {
        let trace = report.chrome_trace(&self.program.locs).map_err(|e| e.to_string())?;
        let mut pipes = Vec::new();
        for (core, name) in [(CoreKind::Cube, "cube"), (CoreKind::Vector, "vector")] {
            for pipe in Pipe::ALL {
                let cycles = report.busy.get(&(core, pipe)).copied().unwrap_or(0);
                if cycles > 0 {
                    let cores = report.cores.get(&core).copied().unwrap_or(0);
                    let busy = report.utilisation(core, pipe);
                    pipes.push(PipeTime { core: name, cores, pipe: pipe.name(), cycles, busy });
                }
            }
        }
        Ok(Timeline { cycles: report.cycles, seconds: report.seconds, pipes, trace })
    }

    /// A fault as an error: what and where it showed, and what to do.
    fn error(&self, label: &Label<'_>, e: SimError) -> Error {
        let kernel = label.to_string();
        match e {
            SimError::Fault(f) if f.kind == FaultKind::Runaway => {
                Error::Limit { kernel, reason: f.to_string() }
            }
            SimError::Fault(f) | SimError::Invalid(f) => {
                let mut message = format!("{} ({:?} on the simulated {})", f.what, f.kind, self.meta.chip);
                if let Some(other) = &f.other {
                    message.push_str(&format!("; the other is at {other}"));
                }
                mistake(kernel, f.loc, message, self.how.seed)
            }
            SimError::Arguments(reason) => Error::Limit { kernel, reason },
            e @ SimError::Text { .. } => {
                let reason = format!("{e} in the program for {}", self.target);
                Error::Load { kernel, reason }
            }
        }
    }
}
