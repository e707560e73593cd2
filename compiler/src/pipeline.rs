//! The stages between a recorded kernel and its lowering, as data.
//!
//! ```text
//! import ─ canonicalize ─ cse ─ hoist ─ cse ─ dce ─► read back ─► Target::lower
//! ```
//! After each pass the module is verified; it can be dumped, and replaced by an edited file.

use crate::error::{Error, nowhere};
use crate::gpu::{GpuOptions, GpuTarget};
use crate::ktg::{self, Func};
use crate::mlir;
use crate::passes::gpu::PASSES as GPU_PASSES;
use crate::passes::{Level, Pass, canonicalize, cse, dce, hoist};
use crate::target::Target;
use crate::timings::Timings;
use crate::verify;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::Kernel;
use melior::Context;
use melior::ir::Module;

/// Passes on modules of one level.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The level.
    pub level: Level,
    /// In order.
    pub passes: &'static [Pass],
}

const fn stage(level: Level, passes: &'static [Pass]) -> Stage {
    Stage { level, passes }
}

/// What every kernel goes through.
pub const STAGES: &[Stage] =
    &[stage(Level::Kt, &[canonicalize::PASS, cse::PASS, hoist::PASS, cse::PASS, dce::PASS])];

/// Receives each stage's number, name and text; returns a text that takes its place, with the name of its file.
pub type Observer<'o> =
    dyn FnMut(usize, &str, &dyn Fn() -> String) -> Result<Option<(String, String)>, Error> + 'o;

/// Names of a target's stages in dumps: `00-import`, `01-canonicalize`, … `lower`; its own, or those of the GPU level, come after
/// those of kt.
pub fn names(target: &dyn Target) -> Vec<String> {
    let passes = STAGES.iter().flat_map(|s| s.passes).map(|p| p.name);
    let mut all: Vec<&str> = ["import"].into_iter().chain(passes).collect();
    match target.direct() {
        Some(own) => all.extend(own.stages().iter().map(|(name, _)| *name)),
        None => {
            if target.gpu().is_some() {
                all.extend([GPU_IMPORT].into_iter().chain(GPU_PASSES.iter().map(|p| p.name)));
            }
            all.push("lower");
        }
    }
    all.into_iter().enumerate().map(|(i, name)| numbered(i, name)).collect()
}

/// Number of the first stage after those of kt.
pub fn after_kt() -> usize {
    1 + STAGES.iter().map(|s| s.passes.len()).sum::<usize>()
}

/// Whether no later pass of kt has the name of the stage of that number.
pub fn is_last(number: usize, name: &str) -> bool {
    STAGES.iter().flat_map(|s| s.passes).skip(number).all(|p| p.name != name)
}

/// The stage that brings a kernel to the GPU level.
pub const GPU_IMPORT: &str = "to_ktg";

/// Brings a kernel through the passes of the GPU level. `first` is the number of the stage [`GPU_IMPORT`].
///
/// # Errors
/// Those of passes, of edited files, and of the verifier.
pub fn run_gpu(
    kernel: &Kernel,
    args: &[ArgSpec],
    target: &dyn GpuTarget,
    options: &GpuOptions,
    first: usize,
    clock: &mut Timings,
    observe: &mut Observer,
) -> Result<Func, Error> {
    let warps = options.warps.unwrap_or_else(|| ktg::import::warps_for(kernel, target.facts()));
    let mut func = clock.time(GPU_IMPORT, || ktg::import::import(kernel, args, warps));
    let most = target.facts().registers;
    func.max_registers = options.number("registers")?.filter(|r| *r > 0).map(|r| r.min(most));
    let mut replace = |number, name: &str, func: &mut Func| -> Result<(), Error> {
        if let Some((text, file)) = observe(number, name, &|| ktg::print::to_text(func))? {
            *func = ktg::read::from_text(&text, &file)?;
            ktg::verify::verify(func)?;
        }
        Ok(())
    };
    replace(first, GPU_IMPORT, &mut func)?;
    for (i, pass) in GPU_PASSES.iter().enumerate() {
        clock.time(pass.name, || (pass.run)(&mut func, target, options))?;
        if cfg!(debug_assertions) {
            ktg::verify::verify(&func).map_err(|e| e.into_bug(pass.name))?;
        }
        replace(first + 1 + i, pass.name, &mut func)?;
    }
    Ok(func)
}

/// A stage's name in dumps.
pub fn numbered(number: usize, name: &str) -> String {
    format!("{number:02}-{name}")
}

/// Runs the passes on a kt module, from stage `first` (1 is the first pass) on. The text of the module has been
/// observed as stage `first - 1`.
///
/// # Errors
/// Those of passes and of verification after each.
pub fn run<'c>(
    context: &'c Context,
    mut module: Module<'c>,
    first: usize,
    clock: &mut Timings,
    observe: &mut Observer,
) -> Result<(Module<'c>, Kernel), Error> {
    let mut kernel = None;
    let mut file = String::from("kt.mlir");
    for (i, pass) in STAGES.iter().flat_map(|s| s.passes).enumerate() {
        let number = i + 1;
        if number < first {
            continue;
        }
        clock.time(pass.name, || (pass.run)(context, &mut module))?;
        let replaced = observe(number, pass.name, &|| mlir::print(&module))?;
        if let Some((text, name)) = &replaced {
            module = mlir::parse(context, text, name)?;
            file.clone_from(name);
        }
        let checked = clock.time("verify", || verify::verify(&module, &file));
        kernel = Some(match replaced {
            // What an edited file gets wrong is its author's mistake, what a pass gets wrong is ours.
            Some(_) => checked?,
            None => checked.map_err(|e| e.into_bug(pass.name))?,
        });
    }
    let kernel = match kernel {
        Some(kernel) => kernel,
        None => verify::verify(&module, &file)?,
    };
    Ok((module, kernel))
}

/// Runs named passes on a kt module: `kcc opt`. The result states places only if the input does.
///
/// # Errors
/// A name that is no pass; a module that does not verify, before or after.
pub fn run_named(text: &str, file: &str, passes: &[&str]) -> Result<String, Error> {
    let context = mlir::Lease::new()?;
    let mut module = mlir::parse(&context, text, file)?;
    verify::verify(&module, file)?;
    for name in passes {
        let Some(pass) = crate::passes::by_name(name) else {
            let known: Vec<&str> = crate::passes::all().iter().map(|p| p.name).collect();
            let help = format!("passes are {}", known.join(", "));
            return Err(nowhere().invalid(format!("`{name}` is no pass")).help(help));
        };
        (pass.run)(&context, &mut module)?;
        verify::verify(&module, file).map_err(|e| e.into_bug(pass.name))?;
    }
    Ok(if text.contains("loc(") { mlir::print(&module) } else { mlir::print_plain(&module) })
}
