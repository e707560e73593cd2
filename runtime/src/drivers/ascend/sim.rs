//! The simulator of NPUs as a device: runs the program that the Ascend backend lowers a kernel to, on any machine.
//!
//! ```text
//! views ─ images ─▶ global memory ─ cores, pipes, events ─▶ images ─▶ views        a fault ends the launch
//! ```
//! Slow, and strict: an access out of bounds, a race, an undefined value, a missing or left event or flag, or cores that wait for each
//! other are errors with the source line.

use super::meta::meta;
use super::scalar::scalar;
use crate::device::Launching;
use crate::drivers::gpu::{Driver, Module, Staged};
use crate::drivers::sim::{How, mistake};
use crate::error::{Error, Result};
use crate::launch::{Arg, Facts, Label, Place, Raw};
use crate::timeline::{PipeTime, Timeline};
use kcc_davinci::ir::{CoreKind, Pipe, Program};
use kcc_davinci::{Arg as SimArg, Chip, Error as SimError, FaultKind, Launch, Options, Report};
use kcc_dsl::exchange::{Artifact, NpuMeta};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{self, PrintHandler};
    use crate::tensor::Tensor;
    use kcc_dsl::exchange::NpuBlocks;

    /// `y = x` for eight elements; `body` may leave out what orders the two copies.
    fn copy(body: &str) -> Artifact {
        let param = |name: &str, mutable: bool| {
            format!(r#"{{"name":"{name}","kind":{{"View":{{"elem":"F32","rank":1,"mutable":{mutable}}}}}}}"#)
        };
        let text = format!(
            "davinci {{\"name\":\"copy\",\"chip\":\"ascend910b\",\"params\":[{},{}],\"workspace\":0}}\n\
             buffer name=t space=ub elem=F32 layout=nd bytes=32 slots=1 address=0\n\
             loc copy.rs:3:1\nloc copy.rs:7:9\nloc copy.rs:8:5\nvector {{\n{body}barrier pipe=all\n}}\n",
            param("x", false),
            param("y", true)
        );
        let npu = NpuMeta {
            chip: "ascend910b".into(),
            arch: "dav-2201".into(),
            blocks: NpuBlocks::Vectors,
            most_blocks: 48,
            workspace_bytes: 0,
        };
        Artifact {
            target: "sim:ascend910b".into(),
            symbol: "copy".into(),
            bytes: text.into_bytes(),
            cpu: Default::default(),
            gpu: None,
            npu: Some(npu),
            timings: vec![],
        }
    }

    const LOAD: &str =
        "copy_in src=p0+0 dst=b0+0 elem=F32 blocks=1 bytes=32 src_gap=0 dst_gap=0 pad=null # 1\n";
    const STORE: &str =
        "copy_out atomic=none src=b0+0 dst=p1+0 elem=F32 blocks=1 bytes=32 src_gap=0 dst_gap=0 # 2\n";
    const SET: &str = "set from=mte2 to=mte3 event=0 # 1\n";
    const WAIT: &str = "wait from=mte2 to=mte3 event=0 # 2\n";

    fn run(artifact: &Artifact, trace: bool) -> Result<(Vec<f32>, Option<Timeline>)> {
        let chip = Chip::find("ascend910b").expect("a chip of that name");
        let sim = Sim::new(chip, How { seed: 5, trace });
        let module = sim.load("copy", artifact)?;
        let x = Tensor::from_fn(&[8], |i| i as f32)?;
        let mut y = Tensor::zeros(&[8])?;
        let args = [launch::Arg::input(&x), launch::Arg::output(&mut y)];
        let print: PrintHandler = Arc::new(|_| {});
        let launching = Launching { grid: [1, 1, 1], args: &args, how: Default::default(), print: &print };
        module.run(&Label { name: "copy", generics: "" }, &launching)?;
        Ok((y.to_vec(), sim.timeline()))
    }

    #[test]
    fn a_launch_reads_and_writes_the_views_and_keeps_a_timeline_if_asked() {
        let good = copy(&[LOAD, SET, WAIT, STORE].concat());
        let want: Vec<f32> = (0..8).map(|i| i as f32).collect();
        assert_eq!(run(&good, false).unwrap(), (want.clone(), None));
        let (y, timeline) = run(&good, true).unwrap();
        let timeline = timeline.unwrap();
        assert_eq!(y, want);
        let pipes: Vec<_> = timeline.pipes.iter().map(|p| (p.core, p.cores, p.pipe)).collect();
        assert!(
            pipes.contains(&("vector", 1, "mte2")) && pipes.contains(&("vector", 1, "mte3")),
            "{pipes:?}"
        );
        assert!(timeline.trace.contains("copy.rs:7") && timeline.cycles > 0, "{}", timeline.trace);
    }

    #[test]
    fn faults_name_the_line_and_are_bugs_of_the_compiler() {
        for (body, word, line) in
            [([LOAD, STORE].concat(), "Race", "copy.rs:8:5"), ([STORE].concat(), "Undefined", "copy.rs:8:5")]
        {
            let e = run(&copy(&body), false).unwrap_err();
            assert!(e.is_bug(), "{e}");
            let text = e.to_string();
            assert!(text.contains(word) && text.contains(line) && text.contains("KCC_SIM_SEED=5"), "{text}");
        }
        for unpaired in [[LOAD, SET, WAIT, STORE, SET].concat(), [LOAD, WAIT, STORE].concat()] {
            assert!(run(&copy(&unpaired), false).is_err());
        }
    }

    #[test]
    fn what_is_no_program_for_the_chip_is_refused() {
        let good = copy(&[LOAD, SET, WAIT, STORE].concat());
        let text = String::from_utf8(good.bytes.clone()).unwrap();
        let other = text.replace("ascend910b", "ascend910b4").into_bytes();
        for bytes in [b"nonsense".to_vec(), vec![0xff], other] {
            let bad = Artifact { bytes, ..good.clone() };
            assert!(matches!(run(&bad, false), Err(Error::Load { .. })));
        }
        let bad = Artifact { npu: None, ..good };
        assert!(matches!(run(&bad, false), Err(Error::Load { .. })));
    }
}
