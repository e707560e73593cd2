//! An Ascend NPU as a target of the compiler: the program of its cores for the simulator, AscendC source for a device.

use crate::chips::Chip;
use crate::emit::{Lines, emit, symbol};
use crate::pipeline::{STAGES, compile_by};
use kcc_compiler::llvm::Output;
use kcc_compiler::{Direct, Error, Lowered, See, Target, Timings, bug, nowhere};
use kcc_davinci::Chip as Cores;
use kcc_davinci::ir::Program;
use kcc_dsl::exchange::{ArgSpec, NpuBlocks, NpuMeta};
use kcc_dsl::ir::Kernel;
use std::collections::BTreeMap;

/// The Ascend backend for one chip.
pub struct Ascend {
    name: String,
    cores: &'static Cores,
    /// Source, not the program.
    source: bool,
}

impl Ascend {
    /// The target of that full name: `ascend:910b`, or `sim:ascend910b`; `None` if there is no such row.
    pub fn open(name: &str) -> Option<Ascend> {
        let source = name.strip_prefix("ascend:");
        let chip = Chip::find(source.or_else(|| name.strip_prefix("sim:ascend"))?)?;
        Some(Ascend { name: name.into(), cores: chip.cores()?, source: source.is_some() })
    }
}

impl Ascend {
    /// What of the author's lines a source shows: `lines=no` leaves only their places.
    fn lines(&self, options: &BTreeMap<String, String>) -> Result<Lines, Error> {
        let mut lines = Lines::from_files(".");
        for (name, value) in options {
            lines = match (name.as_str(), value.as_str()) {
                ("lines", "yes") if self.source => Lines::from_files("."),
                ("lines", "no") if self.source => Lines::places(),
                ("lines", _) if self.source => {
                    let fact = format!("the option `lines` is `{value}`");
                    return Err(nowhere().invalid(fact).help("write lines=yes or lines=no"));
                }
                _ => {
                    let fact = format!("`{name}` is no option of {}", self.name);
                    let help =
                        if self.source { "there is only `lines`" } else { "there are none for this target" };
                    return Err(nowhere().invalid(fact).help(format!("leave it out: {help}")));
                }
            };
        }
        Ok(lines)
    }
}

/// What a launcher must know of a program.
fn meta(program: &Program, cores: &Cores) -> NpuMeta {
    let groups = program.cube.is_some();
    NpuMeta {
        chip: cores.name.into(),
        arch: cores.arch.into(),
        blocks: if groups { NpuBlocks::Groups } else { NpuBlocks::Vectors },
        most_blocks: if groups { cores.groups } else { cores.groups * cores.vectors },
        workspace_bytes: program.workspace,
    }
}

/// A stage's text as someone edited it.
fn edited(text: &str, file: &str, cores: &Cores) -> Result<Program, Error> {
    let help = "compare with the stage as it was dumped";
    let wrong = |e: String| nowhere().invalid(format!("{file}: {e}")).help(help);
    let program = Program::from_text(text).map_err(|e| wrong(e.to_string()))?;
    if program.chip != cores.name {
        return Err(wrong(format!("it is for {}, this compilation for {}", program.chip, cores.name)));
    }
    kcc_davinci::verify(&program).map_err(|e| wrong(e.to_string()))?;
    Ok(program)
}

impl Target for Ascend {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _: &Kernel) -> Result<(), Error> {
        Ok(())
    }

    fn direct(&self) -> Option<&dyn Direct> {
        Some(self)
    }

    fn output(&self) -> Output {
        Output::Own
    }
}

impl Direct for Ascend {
    fn stages(&self) -> &'static [(&'static str, &'static str)] {
        &STAGES
    }

    fn extension(&self) -> &'static str {
        if self.source { "asc" } else { "davinci" }
    }

    fn compile(
        &self,
        kernel: &Kernel,
        args: &[ArgSpec],
        options: &BTreeMap<String, String>,
        clock: &mut Timings,
        see: &mut See,
    ) -> Result<Lowered, Error> {
        let lines = self.lines(options)?;
        let program = compile_by(kernel, args, self.cores, clock, &mut |stage, program| {
            let new = see(stage, &|| program.to_text())?;
            new.map(|(text, file)| edited(&text, &file, self.cores)).transpose()
        })?;
        kcc_davinci::verify(&program).map_err(|e| bug(format!("the Ascend lowering: {e}")))?;
        let (text, symbol) = if self.source {
            (emit(&program, lines)?, symbol(&program))
        } else {
            (program.to_text(), program.name.clone())
        };
        Ok(Lowered { text, symbol, npu: Some(meta(&program, self.cores)), ..Lowered::default() })
    }
}
