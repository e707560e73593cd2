//! `kcc build`: code for named targets, whole files or none. A kernel that fails does not keep the others from being built.

use super::dump::pair;
use super::input::{Input, contiguous, label};
use super::{Failure, registers, say, serve};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use kcc_compiler::Target;
use kcc_compiler::link::{shared_object, write_atomically};
use kcc_compiler::llvm::Output;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::Kernel;
use kcc_nvidia::ptxas::{Cubin, Ptxas};
use kcc_runtime::aot::Manifest;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    /// What to compile for; see `kcc targets`. May be given several times
    #[arg(long, short, default_value = "cpu:native")]
    target: Vec<String>,
    /// What to write; by default what the target's loader takes: an object, PTX, AscendC source, or the simulator's
    /// module or program
    #[arg(long, short, value_enum)]
    emit: Option<Emit>,
    /// A folder; or, for one kernel and one target, a file
    #[arg(long, short, default_value = ".")]
    output: PathBuf,
    /// Code for any strides, instead of a last axis of stride 1
    #[arg(long)]
    any_strides: bool,
    /// An option for the compiler: `name=value`
    #[arg(long = "option", value_parser = pair)]
    options: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// A relocatable object, for AMD a code object, and its manifest
    #[value(alias = "hsaco")]
    Obj,
    /// A shared object and its manifest
    So,
    /// Assembly
    Asm,
    /// GPU: PTX and its manifest
    Ptx,
    /// GPU: machine code, which needs `ptxas`, and its manifest
    Cubin,
    /// LLVM IR
    LlvmIr,
    /// NPU: the program of the chip's cores
    Davinci,
    /// NPU: AscendC source and its manifest
    Asc,
    /// MLIR as lowered for the target
    Mlir,
    /// Tile IR, as this program reads it
    Kt,
}

impl Emit {
    /// What a target's loader takes.
    fn usual(target: &dyn Target) -> Emit {
        if target.direct().is_some_and(|d| d.extension() == "asc") {
            return Emit::Asc;
        }
        match target.output() {
            Output::Object => Emit::Obj,
            Output::Assembly => Emit::Ptx,
            Output::LlvmIr => Emit::LlvmIr,
            Output::Dialect => Emit::Mlir,
            Output::Own => Emit::Davinci,
        }
    }

    /// Whether a target has it.
    fn is_of(self, target: &dyn Target) -> bool {
        let (own, output, gpu) = (target.direct().is_some(), target.output(), target.gpu().is_some());
        match self {
            Emit::Obj => output == Output::Object,
            Emit::So => output == Output::Object && !gpu,
            Emit::Ptx | Emit::Cubin => output == Output::Assembly,
            Emit::Asm | Emit::LlvmIr | Emit::Mlir => !own,
            Emit::Davinci | Emit::Asc => own && self == Emit::usual(target),
            Emit::Kt => true,
        }
    }

    /// An error that says what a target has instead.
    fn check(self, target: &dyn Target) -> Result<(), Failure> {
        if self.is_of(target) {
            return Ok(());
        }
        let what = match self {
            Emit::Obj => "object files",
            Emit::So => "shared objects",
            Emit::Asm => "texts in assembly",
            Emit::Ptx => "PTX texts",
            Emit::Cubin => "cubins",
            Emit::LlvmIr | Emit::Mlir => "LLVM modules",
            Emit::Davinci => "programs of NPU cores",
            Emit::Asc => "AscendC sources",
            Emit::Kt => "kernels in kt",
        };
        let others = Emit::value_variants().iter().filter(|e| e.is_of(target));
        let names: Vec<String> =
            others.filter_map(|e| e.to_possible_value()).map(|value| value.get_name().to_owned()).collect();
        let elsewhere = match self {
            Emit::Davinci => "; programs of the cores are those of `sim:ascend…`",
            Emit::Asc => "; AscendC source is that of `ascend:…`",
            Emit::Ptx | Emit::Cubin => "; PTX and cubins are those of `nvidia:…`",
            _ => "",
        };
        Err(Failure::with_help(
            format!("there are no {what} for {}", target.name()),
            format!("leave --emit out, or choose one of {}{elsewhere}", names.join(", ")),
        ))
    }

    fn extension(self, target: &dyn Target) -> &'static str {
        match self {
            Emit::Obj if target.gpu().is_some() => "hsaco",
            Emit::Obj => "o",
            Emit::So => "so",
            Emit::Asm => "s",
            Emit::Ptx => "ptx",
            Emit::Cubin => "cubin",
            Emit::LlvmIr => "ll",
            Emit::Davinci => "davinci",
            Emit::Asc => "asc",
            Emit::Mlir | Emit::Kt => "mlir",
        }
    }

    fn options(self, usual: Output) -> Options<'static> {
        let (output, stop_after) = match self {
            Emit::Obj | Emit::So => (Some(Output::Object), None),
            Emit::Asm | Emit::Ptx | Emit::Cubin => (Some(Output::Assembly), None),
            Emit::LlvmIr => (Some(Output::LlvmIr), None),
            Emit::Davinci | Emit::Asc => (Some(Output::Own), None),
            Emit::Mlir if usual == Output::Dialect => (Some(usual), None),
            Emit::Mlir => (None, Some("lower".to_owned())),
            Emit::Kt => (None, Some("import".to_owned())),
        };
        Options { output, stop_after, ..Options::default() }
    }
}

/// A target's name as part of a path.
fn folder(target: &dyn Target) -> String {
    target.name().replace([':', '+'], "-")
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let mut targets = Vec::new();
    for name in &args.target {
        targets.push(serve::target(name)?);
    }
    let kernels = args.input.read(json)?;
    let single = kernels.list.len() == 1 && targets.len() == 1;
    let is_file = single && !args.output.is_dir() && args.output.extension().is_some();
    let total = kernels.list.len() * targets.len();
    let bar = if total > 1 && !json { ProgressBar::new(total as u64) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let (mut written, mut failed, mut warned) = (Vec::new(), Failure::default(), Failure::default());
    for traced in &kernels.list {
        let kernel = match &traced.kernel {
            Ok(kernel) => kernel,
            Err(d) => {
                failed.also(Failure::from(d.clone()));
                continue;
            }
        };
        for target in &targets {
            bar.set_message(label(&kernel.name, &kernel.generics));
            let emit = args.emit.unwrap_or(Emit::usual(&**target));
            let path = if is_file {
                args.output.clone()
            } else {
                let dir =
                    if targets.len() > 1 { args.output.join(folder(&**target)) } else { args.output.clone() };
                dir.join(format!("{}.{}", kernel.symbol(), emit.extension(&**target)))
            };
            match one(args, emit, kernel, &**target, &path, &mut warned) {
                Ok(timings) => written.push((
                    label(&kernel.name, &kernel.generics),
                    target.name().to_owned(),
                    path,
                    timings,
                )),
                Err(failure) => failed.also(failure),
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let warned = warned.rooted(&kernels.roots);
    if !json {
        warned.warn();
    }
    if json && failed.is_empty() {
        let list: Vec<_> = written
            .iter()
            .map(|(kernel, target, path, times)| {
                serde_json::json!({ "kernel": kernel, "target": target, "file": path, "microseconds": times })
            })
            .collect();
        say(serde_json::json!({ "ok": true, "files": list, "warnings": warned.diagnostics() }));
    } else if !json {
        for (kernel, target, path, times) in &written {
            let ms = times.iter().map(|(_, us)| us).sum::<u64>() as f64 / 1e3;
            say(format!("{}  {kernel} for {target}, {ms:.0} ms", path.display()));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.rooted(&kernels.roots)) }
}

/// Compiles one kernel for one target into a file; says how long each stage took.
fn one(
    args: &Args,
    emit: Emit,
    kernel: &Kernel,
    target: &dyn Target,
    path: &Path,
    warned: &mut Failure,
) -> Result<Vec<(String, u64)>, Failure> {
    let specs = if args.any_strides {
        vec![ArgSpec::default(); kernel.params.len()]
    } else {
        contiguous(kernel, target)
    };
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.name().to_owned(),
        args: specs.clone(),
        options: args.options.iter().cloned().collect(),
    };
    emit.check(target)?;
    let mut artifact = Session::new().compile(&request, target, &emit.options(target.output()))?;
    if emit == Emit::Cubin {
        let (cubin, warning) = assembled(&request, target, &artifact)?;
        warning.into_iter().for_each(|w| warned.also(w));
        artifact.bytes = cubin.bytes;
    } else if emit == Emit::Obj {
        registers::linked(&request, target, &artifact.bytes).into_iter().for_each(|w| warned.also(w));
    }
    write(emit, path, kernel, &specs, &artifact)?;
    Ok(artifact.timings)
}

/// Machine code from PTX, and what there is to say of it.
fn assembled(
    request: &CompileRequest,
    target: &dyn Target,
    artifact: &Artifact,
) -> Result<(Cubin, Option<Failure>), Failure> {
    let Some(gpu) = &artifact.gpu else {
        return Err(Failure::input(format!("{} is no GPU, whose code is assembled", target.name())));
    };
    let ptxas = Ptxas::find().map_err(Failure::input)?;
    registers::assemble(request, target, &ptxas, (&String::from_utf8_lossy(&artifact.bytes), &gpu.arch))
}

fn write(
    emit: Emit,
    path: &Path,
    kernel: &Kernel,
    specs: &[ArgSpec],
    artifact: &Artifact,
) -> Result<(), Failure> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(|e| Failure::file(dir, &e))?;
    }
    match emit {
        Emit::So => shared_object(&artifact.bytes, path)?,
        _ => write_atomically(path, &artifact.bytes)?,
    }
    if matches!(emit, Emit::Obj | Emit::So | Emit::Ptx | Emit::Cubin | Emit::Davinci | Emit::Asc) {
        let manifest = Manifest::new(kernel, specs, artifact);
        let text = serde_json::to_string_pretty(&manifest).map_err(|e| Failure::input(e.to_string()))?;
        write_atomically(&path.with_extension("json"), text.as_bytes())?;
    }
    Ok(())
}
