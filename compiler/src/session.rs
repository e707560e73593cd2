//! A compilation from request to artifact: the one door for the CLI, the runtime and the child process.
//!
//! ```text
//! CompileRequest ─ validate ─ import ─ passes ─ Target::check, lower ─ emit ─► Artifact
//!                              └───── each stage: timed, verified, dumped, replaceable ─────┘
//! ```

use crate::error::{Error, nowhere};
use crate::gpu::{GpuOptions, GpuTarget, fit};
use crate::ktg::Func;
use crate::link::write_atomically;
use crate::llvm::{Output, Way, emit_by};
use crate::pipeline::{self, numbered};
use crate::target::Target;
use crate::timings::Timings;
use crate::{import, lower, mlir, verify};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest, Diagnostic};
use kcc_dsl::ir::{Kernel, LocId};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Called with the name (`01-canonicalize`) and the text of each stage.
pub type StageFn<'o> = dyn Fn(&str, &str) + Sync + 'o;

/// How to compile, apart from what changes the meaning of the result.
#[derive(Default)]
pub struct Options<'o> {
    /// Folder for one numbered file per stage; made if it is missing.
    pub dump: Option<PathBuf>,
    /// Stop after this stage, by number or name (`00-import`, `cse`, `lower`): [`Artifact::bytes`] is then its text.
    pub stop_after: Option<String>,
    /// Sees every stage's text.
    pub observer: Option<&'o StageFn<'o>>,
    /// Edited files that take the place of a stage's result: the stage's name (`02-cse`, or `cse`) and the path.
    pub replace: Vec<(String, PathBuf)>,
    /// What to produce instead of what the target's loader takes.
    pub output: Option<Output>,
}

/// What a stage's name in an option refers to: its full name, or the last stage whose name follows the number.
fn is_stage(wanted: &str, number: usize, name: &str) -> bool {
    wanted == numbered(number, name) || (wanted == name && pipeline::is_last(number, name))
}

/// Shows stages to the options, and keeps the text of the one to stop after.
struct Watch<'o> {
    options: &'o Options<'o>,
    stopped: Option<String>,
}

impl<'o> Watch<'o> {
    fn new(options: &'o Options<'o>) -> Watch<'o> {
        Watch { options, stopped: None }
    }

    fn see(
        &mut self,
        number: usize,
        name: &str,
        extension: &str,
        text: &dyn Fn() -> String,
    ) -> Result<Option<(String, String)>, Error> {
        let edited = observe(self.options, number, name, extension, text)?;
        if self.stopped.is_none()
            && self.options.stop_after.as_deref().is_some_and(|s| is_stage(s, number, name))
        {
            self.stopped = Some(edited.as_ref().map_or_else(text, |(t, _)| t.clone()));
        }
        Ok(edited)
    }

    /// What came of the stages: where one was to stop after, its text, whatever came later.
    fn end<T>(self, done: Result<T, Error>) -> Result<T, End> {
        match self.stopped {
            Some(text) => Err(End::Stopped(text)),
            None => Ok(done?),
        }
    }
}

/// Compiles kernels. It holds nothing: contexts are pooled per process, so any number of sessions may run at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session;

/// Why a compilation ended early.
enum End {
    Failed(Error),
    /// `stop_after` was reached; the text of that stage.
    Stopped(String),
}

impl From<Error> for End {
    fn from(e: Error) -> Self {
        End::Failed(e)
    }
}

impl Session {
    /// A session.
    pub fn new() -> Self {
        Session
    }

    /// Compiles a recorded kernel.
    ///
    /// # Errors
    /// Messages about the author's source, about an edited file, or about a bug of ours.
    pub fn compile(
        &self,
        request: &CompileRequest,
        target: &dyn Target,
        options: &Options,
    ) -> Result<Artifact, Vec<Diagnostic>> {
        let input = Input::Kernel(&request.kernel);
        compile(input, &request.args, &request.options, target, options).map_err(|e| e.diagnostics())
    }

    /// Compiles the kt module in a text. `file` stands for it in messages. Where `args` is shorter than the
    /// kernel's parameters, nothing is known of the rest.
    ///
    /// # Errors
    /// As [`Session::compile`].
    pub fn compile_module_text(
        &self,
        text: &str,
        file: &str,
        args: &[ArgSpec],
        knobs: &BTreeMap<String, String>,
        target: &dyn Target,
        options: &Options,
    ) -> Result<Artifact, Vec<Diagnostic>> {
        compile(Input::Text { text, file }, args, knobs, target, options).map_err(|e| e.diagnostics())
    }

    /// Checks a recorded kernel and what a target says of it, without generating code.
    ///
    /// # Errors
    /// As [`Session::compile`].
    pub fn check(&self, kernel: &Kernel, target: Option<&dyn Target>) -> Result<(), Vec<Diagnostic>> {
        let asked = |t: &dyn Target| {
            t.check(kernel)?;
            // What a target says of a kernel as it goes its own way is known at once.
            let Some(own) = t.direct() else { return Ok(()) };
            let args: Vec<ArgSpec> = kernel.params.iter().map(|p| ArgSpec::dense(p.kind)).collect();
            let see = &mut |_: usize, _: &dyn Fn() -> String| Ok(None);
            own.compile(kernel, &args, &BTreeMap::new(), &mut Timings::default(), see).map(|_| ())
        };
        let place = kernel.locs.get(LocId::default().0 as usize);
        let located = |e: Error| place.map_or(e.clone(), |l| e.or_at(l));
        verify::check(kernel)
            .and_then(|()| target.map_or(Ok(()), |t| asked(t).map_err(located)))
            .map_err(|e| e.diagnostics())
    }
}

#[derive(Clone, Copy)]
enum Input<'i> {
    Kernel(&'i Kernel),
    Text { text: &'i str, file: &'i str },
}

/// Reads the kernel of a kt module's text. `file` stands for it in places.
///
/// # Errors
/// What is wrong with the text.
pub fn read_module_text(text: &str, file: &str) -> Result<Kernel, Error> {
    let context = mlir::Lease::new()?;
    let module = mlir::parse(&context, text, file)?;
    verify::verify(&module, file)
}

/// Stage texts go to the observer and the dump folder; an edited file takes a stage's place.
fn observe(
    options: &Options,
    number: usize,
    name: &str,
    extension: &str,
    text: &dyn Fn() -> String,
) -> Result<Option<(String, String)>, Error> {
    if options.observer.is_some() || options.dump.is_some() {
        let text = text();
        if let Some(see) = options.observer {
            see(&numbered(number, name), &text);
        }
        if let Some(dir) = &options.dump {
            let path = dir.join(format!("{}.{extension}", numbered(number, name)));
            write_atomically(&path, text.as_bytes())?;
        }
    }
    let Some((_, path)) = options.replace.iter().find(|(stage, _)| is_stage(stage, number, name)) else {
        return Ok(None);
    };
    let file = path.display().to_string();
    let edited = std::fs::read_to_string(path);
    let edited =
        edited.map_err(|e| nowhere().invalid(format!("cannot read {file}: {e}")).help("check the path"))?;
    Ok(Some((edited, file)))
}

fn compile(
    input: Input,
    args: &[ArgSpec],
    knobs: &BTreeMap<String, String>,
    target: &dyn Target,
    options: &Options,
) -> Result<Artifact, Error> {
    if let Some(dir) = &options.dump {
        std::fs::create_dir_all(dir).map_err(|e| {
            nowhere().invalid(format!("cannot make the folder {}: {e}", dir.display())).help("check the path")
        })?;
    }
    let unknown = |wanted: &str| {
        let names = pipeline::names(target);
        let known = names.iter().any(|n| n == wanted || &n[3..] == wanted);
        (!known).then(|| {
            nowhere()
                .invalid(format!("`{wanted}` is no stage"))
                .help(format!("stages are {}", names.join(", ")))
        })
    };
    let wanted = options.replace.iter().map(|(s, _)| s).chain(&options.stop_after);
    if let Some(error) = wanted.into_iter().find_map(|s| unknown(s)) {
        return Err(error);
    }
    let mut clock = Timings::default();
    let mut artifact = Artifact {
        target: target.name().to_owned(),
        symbol: String::new(),
        bytes: Vec::new(),
        cpu: Default::default(),
        gpu: None,
        npu: None,
        timings: Vec::new(),
    };
    match stages(input, args, knobs, target, options, &mut clock, &mut artifact) {
        Ok(bytes) => artifact.bytes = bytes,
        Err(End::Stopped(text)) => artifact.bytes = text.into_bytes(),
        Err(End::Failed(e)) => return Err(e),
    }
    artifact.timings = clock.into_entries();
    Ok(artifact)
}

fn stages(
    input: Input,
    args: &[ArgSpec],
    knobs: &BTreeMap<String, String>,
    target: &dyn Target,
    options: &Options,
    clock: &mut Timings,
    artifact: &mut Artifact,
) -> Result<Vec<u8>, End> {
    let kernel = to_kernel(input, options, clock)?;
    artifact.symbol = kernel.symbol();
    let place = kernel.locs.get(LocId::default().0 as usize).cloned();
    let located = |e: Error| place.as_ref().map_or(e.clone(), |l| e.or_at(l));
    if args.len() > kernel.params.len() {
        let what = format!("{} argument facts for {} parameters", args.len(), kernel.params.len());
        return Err(End::Failed(nowhere().invalid(what).help("give one per parameter")));
    }
    let mut args = args.to_vec();
    args.resize(kernel.params.len(), ArgSpec::default());
    clock.time("check", || target.check(&kernel)).map_err(&located)?;
    let number = pipeline::names(target).len() - 1;
    let located = |e: End| match e {
        End::Failed(e) => End::Failed(located(e)),
        stopped => stopped,
    };
    let lowered = match (target.direct(), target.gpu()) {
        (Some(own), _) => {
            let first = pipeline::after_kt();
            let mut watch = Watch::new(options);
            let done = own.compile(&kernel, &args, knobs, clock, &mut |i, text| {
                let (name, extension) = own.stages().get(i).copied().unwrap_or(("code", "txt"));
                watch.see(first + i, name, extension, text)
            });
            let lowered = watch.end(done).map_err(located)?;
            (artifact.symbol, artifact.npu) = (lowered.symbol, lowered.npu);
            return Ok(lowered.text.into_bytes());
        }
        (None, None) => clock.time("lower", || target.lower(&kernel, &args, knobs)),
        (None, Some(gpu)) => {
            let asked = GpuOptions::parse(knobs);
            let asked = asked.map_err(|e| located(e.into()))?;
            let attempt = |knobs: &GpuOptions, clock: &mut Timings| {
                let func = to_func(&kernel, &args, knobs, gpu, options, clock)?;
                let memory = lower::gpu::memory(&func, gpu);
                let excess = fit::excess(&func, memory.bytes, gpu);
                Ok::<_, End>(excess.map_or(Ok((func, memory)), Err))
            };
            let fitting = fit::search(&asked, &mut |knobs| {
                let mut tried = attempt(knobs, clock)?;
                if let Ok((func, _)) = &tried
                    && let Some(knobs) = fit::less_crowded(func, knobs, gpu.facts())
                    && let Ok(roomier) = attempt(&knobs, clock)?
                {
                    tried = Ok(roomier);
                }
                let (func, memory) = match tried {
                    Ok(fits) => fits,
                    Err(excess) => return Ok(Err(excess)),
                };
                Ok::<_, End>(Ok(clock.time("lower", || lower::gpu::lower(&func, memory, gpu))?))
            });
            Ok(fitting.map_err(located)?)
        }
    };
    let mut lowered = lowered.map_err(|e| located(e.into()))?;
    artifact.symbol.clone_from(&lowered.symbol);
    artifact.cpu = lowered.cpu.clone();
    artifact.gpu = lowered.gpu.clone();
    let mut watch = Watch::new(options);
    if let Some((edited, _)) = watch.see(number, "lower", "mlir", &|| lowered.text.clone())? {
        lowered.text = edited;
    }
    watch.end(Ok(()))?;
    let machine = target.machine(&lowered.text);
    crate::llvm::options::set(target.generator_options());
    let mlir_passes = format!("{}{}", target.mlir_passes(), target.option_passes(knobs));
    let way = Way {
        mlir_passes: &mlir_passes,
        machine: &machine,
        llvm_passes: target.llvm_passes(&lowered.text),
        prepare: &|context| target.prepare(context),
    };
    if options.dump.is_some() || options.observer.is_some() {
        let last = [("llvm-ir", "ll", Output::LlvmIr), ("assembly", "s", Output::Assembly)];
        for (i, (name, extension, output)) in last.into_iter().enumerate() {
            let bytes = emit_by(&lowered.text, &way, output, &mut Timings::default())?;
            observe(options, number + 1 + i, name, extension, &|| {
                String::from_utf8_lossy(&bytes).into_owned()
            })?;
        }
    }
    let output = options.output.unwrap_or(target.output());
    let code = emit_by(&lowered.text, &way, output, clock)?;
    if output != Output::Object {
        return Ok(code);
    }
    let code = clock.time("link", || target.link(code))?;
    if target.spilled(&code) == 0 {
        return Ok(code);
    }
    let warps =
        artifact.gpu.as_ref().zip(target.gpu()).map(|(meta, gpu)| meta.threads / gpu.facts().lanes.max(1));
    let Some((warps, mut made)) = roomier(input, &args, knobs, target, options, warps, clock) else {
        return Ok(code);
    };
    if options.dump.is_some() || options.observer.is_some() {
        // Once more, for those who look on.
        return stages(input, &args, &with_warps(knobs, warps), target, options, clock, artifact);
    }
    let bytes = std::mem::take(&mut made.bytes);
    *artifact = made;
    Ok(bytes)
}

fn with_warps(knobs: &BTreeMap<String, String>, warps: u32) -> BTreeMap<String, String> {
    let mut knobs = knobs.clone();
    knobs.insert("warps".into(), warps.to_string());
    knobs
}

/// A number of warps whose code keeps all in registers, and that code, where that of the number that nobody asked for (`not`) does not: more
/// warps first, of which each holds less. What is enough is known only from the code: the bound that is checked before (`fit`) is one from
/// below. The time of all that is tried counts.
fn roomier(
    input: Input,
    args: &[ArgSpec],
    knobs: &BTreeMap<String, String>,
    target: &dyn Target,
    options: &Options,
    not: Option<u32>,
    clock: &mut Timings,
) -> Option<(u32, Artifact)> {
    if target.gpu().is_none() || knobs.contains_key("warps") || !options.replace.is_empty() {
        return None;
    }
    let not = not.unwrap_or(0);
    let numbers = [4, 8, 16, 32];
    let (more, fewer) = (numbers.iter().filter(|n| **n > not), numbers.iter().filter(|n| **n < not));
    more.chain(fewer).find_map(|&warps| {
        let mut made = compile(input, args, &with_warps(knobs, warps), target, &Options::default()).ok()?;
        clock.extend(std::mem::take(&mut made.timings));
        (target.spilled(&made.bytes) == 0).then_some((warps, made))
    })
}

/// Through the kt stages.
fn to_kernel(input: Input, options: &Options, clock: &mut Timings) -> Result<Kernel, End> {
    let context = clock.time("context", mlir::Lease::new)?;
    let (text, file) = match input {
        Input::Kernel(kernel) => {
            clock.time("validate", || verify::check(kernel))?;
            let text = clock.time("import", || import::to_text(kernel))?;
            (text, "kt.mlir")
        }
        Input::Text { text, file } => (text.to_owned(), file),
    };
    let from_us = matches!(input, Input::Kernel(_));
    let module = clock.time("parse", || mlir::parse(&context, &text, file));
    let mut module = if from_us { module.map_err(|e| e.into_bug("import"))? } else { module? };
    let mut replaced = None;
    let mut watch = Watch::new(options);
    if let Some((edited, name)) = watch.see(0, "import", "mlir", &|| mlir::print(&module))? {
        module = mlir::parse(&context, &edited, &name)?;
        replaced = Some(name);
    }
    let file = replaced.as_deref().unwrap_or(file);
    let checked = clock.time("verify", || verify::verify(&module, file));
    if from_us && replaced.is_none() {
        checked.map_err(|e| e.into_bug("import"))?
    } else {
        checked?
    };
    watch.end(Ok(()))?;
    let mut watch = Watch::new(options);
    let done = pipeline::run(&context, module, 1, clock, &mut |number, name, text| {
        watch.see(number, name, "mlir", text)
    });
    Ok(watch.end(done)?.1)
}

/// Through the stages of the GPU level.
fn to_func(
    kernel: &Kernel,
    args: &[ArgSpec],
    knobs: &GpuOptions,
    target: &dyn GpuTarget,
    options: &Options,
    clock: &mut Timings,
) -> Result<Func, End> {
    let mut watch = Watch::new(options);
    let done =
        pipeline::run_gpu(kernel, args, target, knobs, pipeline::after_kt(), clock, &mut |n, name, text| {
            watch.see(n, name, "ktg", text)
        });
    watch.end(done)
}
