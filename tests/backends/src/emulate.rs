//! Compiles a kernel to machine code of AMD's chips and runs it on the emulator, on the buffers of eager mode.

use super::simulate::{Homes, compile};
use kcc_compiler::Target;
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::{Artifact, GridMap};
use kcc_dsl::ir::Kernel;
use kcc_gcn::{Launch, Memory, Object, Stats};
use kcc_simt::Arg;

/// What is run: a kernel, its programs, its arguments.
#[derive(Clone, Copy)]
pub struct Run<'r> {
    /// The kernel.
    pub kernel: &'r Kernel,
    /// Programs on each axis.
    pub grid: [u32; 3],
    /// Views of the buffers, and scalars.
    pub args: &'r [EagerArg],
    /// Decides what is undefined, and the order of waves.
    pub seed: u64,
}

/// Compiles for what the arguments allow to rely on, and runs all programs.
///
/// # Errors
/// What the compiler says, or the emulator's fault.
pub fn run(
    run: Run<'_>,
    buffers: &mut [EagerBuffer],
    target: &dyn Target,
    knobs: &[(&str, &str)],
) -> Result<Stats, String> {
    run_changed(run, buffers, target, knobs, &|_| ())
}

/// Compiles, changes the machine code, and runs it.
///
/// # Errors
/// As [`run`].
pub fn run_changed(
    run: Run<'_>,
    buffers: &mut [EagerBuffer],
    target: &dyn Target,
    knobs: &[(&str, &str)],
    change: &dyn Fn(&mut Object),
) -> Result<Stats, String> {
    let mut memory = Memory::new();
    let homes = Homes::lent(buffers, |bytes| memory.borrow(bytes));
    let artifact = compile(run.kernel, &homes.specs(run.args), target, knobs)?;
    let mut object = load(&artifact)?;
    change(&mut object);
    launch(run, &artifact, &object, &homes, &mut memory)
}

fn load(artifact: &Artifact) -> Result<Object, String> {
    if let Ok(dir) = std::env::var("KCC_TEST_DUMP") {
        std::fs::write(format!("{dir}/{}.o", artifact.symbol), &artifact.bytes).map_err(|e| e.to_string())?;
    }
    let object = Object::load(&artifact.bytes, &artifact.symbol).map_err(|e| e.to_string())?;
    // Also what no test comes upon must be known.
    let unknown = object.unknown().next().map(|text| format!("the emulator does not know `{text}`"));
    unknown.map_or(Ok(object), Err)
}

fn launch(
    run: Run<'_>,
    artifact: &Artifact,
    object: &Object,
    homes: &Homes,
    memory: &mut Memory<'_>,
) -> Result<Stats, String> {
    let meta = artifact.gpu.as_ref().ok_or("no launch facts")?;
    let args = homes.arguments(&run.kernel.params, run.args, run.grid, meta);
    let word = |arg: Arg| match arg {
        Arg::Bits(bits) => Ok(bits),
        Arg::Bytes(_) => Err("a tensor map for a chip that has none"),
    };
    let args = args.into_iter().map(word).collect::<Result<Vec<u64>, _>>()?;
    let grid = match meta.grid {
        GridMap::Direct => run.grid,
        GridMap::Linear => [run.grid.iter().product(), 1, 1],
        // Fewer groups than programs, so that each takes several.
        GridMap::Persistent { .. } => [run.grid.iter().product::<u32>().min(2), 1, 1],
    };
    let launch = Launch { grid, block: [meta.threads, 1, 1], args: &args, memory, seed: run.seed };
    object.run(launch).map_err(|fault| fault.to_string())
}
