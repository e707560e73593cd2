//! `kcc pack build`: a kcc.toml to one pack, whole or not at all.

use super::super::driver::{self, Traced};
use super::super::input::{contiguous, label};
use super::super::{Failure, say, serve};
use super::{code, list, records, size};
use indicatif::{ProgressBar, ProgressStyle};
use kcc_compiler::Target;
use kcc_compiler::link::write_atomically;
use kcc_compiler::serve::compiler_version;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, CompileRequest, NpuMeta};
use kcc_dsl::ir::{Elem, Kernel, ParamKind};
use kcc_nvidia::ptxas::Ptxas;
use kcc_runtime::pack::format::{
    Backend, CodeKind, Dtype, Kernel as PackedKernel, Kind, Manifest, Param, Variant,
};
use kcc_runtime::pack::{Writer, checksum};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[derive(clap::Args)]
pub(in super::super) struct Args {
    /// A kcc.toml, or the folder of a crate that has one
    list: PathBuf,
    /// The pack to write; a folder if it ends in `/`
    #[arg(long, short)]
    output: PathBuf,
    /// Only these targets, of those that the list names
    #[arg(long, short)]
    target: Vec<String>,
    /// Only these kernels, of those that the list names
    #[arg(long, short)]
    kernel: Vec<String>,
    /// Only instances with tensors of these element types; those without tensors of floats stay
    #[arg(long)]
    dtype: Vec<String>,
    /// Machine code for NVIDIA GPUs, by `ptxas`, and PTX for drivers that refuse it
    #[arg(long)]
    cubin: bool,
    /// Features of the crate to turn on, separated by commas
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Prefer what `kcc tune` found fastest on machines of the targets
    #[arg(long)]
    tuned: bool,
    /// Compilations at a time; all cores by default
    #[arg(long, short)]
    jobs: Option<usize>,
}

/// One file to compile.
pub(super) struct Work<'l> {
    /// Index in the list.
    pub(super) kernel: usize,
    pub(super) traced: &'l Kernel,
    pub(super) variant: &'l list::Variant,
    /// Whether only tuning can bring it into a pack.
    pub(super) candidate: bool,
    when: Vec<String>,
    pub(super) cost: String,
    grid: [String; 3],
    pub(super) target: String,
}

impl Work<'_> {
    /// Whether it is an instance for one of these element types, or for no float at all. Numbers do not count: an `eps` is `f32`
    /// beside tensors of any type.
    fn has_type(&self, names: &[String]) -> bool {
        let mut elems = self.traced.params.iter().filter_map(|p| match p.kind {
            ParamKind::View { elem, .. } => Some(elem),
            ParamKind::Scalar(_) => None,
        });
        let float = elems.clone().any(|e| e.is_float());
        names.is_empty() || !float || elems.any(|e| names.iter().any(|n| n == e.name()))
    }
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (path, dir) = list::place(&args.list);
    let mut list = list::read(&path)?;
    if let Some(name) = args.kernel.iter().find(|name| !list.kernels.iter().any(|k| k.name == **name)) {
        let known: Vec<&str> = list.kernels.iter().map(|k| k.name.as_str()).collect();
        let what = format!("{} has no kernel `{name}`", path.display());
        return Err(Failure::with_help(what, format!("there are {}", known.join(", "))));
    }
    list.kernels.retain(|k| args.kernel.is_empty() || args.kernel.contains(&k.name));
    let ptxas = if args.cubin { Some(Ptxas::find().map_err(Failure::input)?) } else { None };
    for name in list.pack.targets.iter().chain(&args.target) {
        serve::target(name)?;
    }
    let (traced, roots) = driver::trace(&dir, &args.features, json)?;
    let wanted = |name: &str| args.target.is_empty() || args.target.iter().any(|t| t == name);
    let mut work = plan(&list, &traced, &|entry| entry.targets(&list.pack, &wanted), &path)
        .map_err(|f| f.rooted(&roots))?;
    if args.tuned {
        records::prefer(&list, &mut work)?;
    }
    if let Some(unknown) = args.dtype.iter().find(|d| Elem::parse(d).is_none()) {
        let known: Vec<&str> = Elem::ALL.iter().map(|e| e.name()).collect();
        let what = format!("`{unknown}` is no element type");
        return Err(Failure::with_help(what, format!("there are {}", known.join(", "))));
    }
    work.retain(|w| !w.candidate && w.has_type(&args.dtype));
    if work.is_empty() {
        return Err(Failure::with_help(
            format!("{}: there is nothing to compile", path.display()),
            format!("no instance that is asked for has tensors of {}", args.dtype.join(", ")),
        ));
    }
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(work.len() as u64) };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.jobs.unwrap_or(0)).build();
    let threads = threads.map_err(|e| Failure::input(format!("starting threads: {e}")))?;
    type Made = (Variant, Vec<(String, Vec<u8>)>);
    let warned = Mutex::new(Failure::default());
    let results: Result<Vec<Made>, Failure> = threads.install(|| {
        work.par_iter()
            .map(|w| {
                bar.set_message(format!("{} for {}", label(&w.traced.name, &w.traced.generics), w.target));
                let done = compile(w).map_err(|f| f.rooted(&roots)).and_then(|(mut variant, bytes)| {
                    let files = code::files(w, &mut variant, bytes, ptxas.as_ref(), &warned)?;
                    Ok((variant, files))
                });
                bar.inc(1);
                done
            })
            .collect()
    });
    bar.finish_and_clear();
    let warned = warned.into_inner().unwrap_or_default().rooted(&roots);
    if !json {
        warned.warn();
    }
    let mut files = BTreeMap::new();
    let mut variants: Vec<Vec<Variant>> = list.kernels.iter().map(|_| Vec::new()).collect();
    for (w, (variant, made)) in work.iter().zip(results?) {
        files.extend(made);
        variants[w.kernel].push(variant);
    }
    let manifest = manifest(&list, work.iter(), variants);
    let writer = Writer::new(&manifest, files)
        .map_err(|e| Failure::with_help(format!("{}: {e}", path.display()), "correct the kcc.toml"))?;
    let as_folder = args.output.as_os_str().to_string_lossy().ends_with('/');
    if as_folder {
        writer.folder(&args.output).map_err(|e| Failure::file(&args.output, &e))?;
    } else {
        write_atomically(&args.output, &writer.zip().map_err(Failure::input)?)?;
    }
    let bytes: u64 = manifest.files().map(|code| code.bytes).sum();
    let out = args.output.display();
    if json {
        say(
            serde_json::json!({ "ok": true, "file": args.output, "variants": work.len(), "code_bytes": bytes, "warnings": warned.diagnostics() }),
        );
    } else {
        say(format!("{out}: {} kernels, {} variants, {}", manifest.kernels.len(), work.len(), size(bytes)));
    }
    Ok(())
}

/// What is to be compiled, in the order of the list.
pub(super) fn plan<'l>(
    list: &'l list::List,
    traced: &'l [Traced],
    targets: &dyn Fn(&list::Variant) -> Vec<String>,
    path: &Path,
) -> Result<Vec<Work<'l>>, Failure> {
    let spaceless = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mut work: Vec<Work<'l>> = Vec::new();
    for (kernel, entry) in list.kernels.iter().enumerate() {
        let all = entry.variants.iter().map(|v| (v, false)).chain(entry.candidates.iter().map(|v| (v, true)));
        for (variant, candidate) in all {
            let wanted = spaceless(&variant.generics);
            let function = variant.function.as_ref().unwrap_or(&entry.function);
            let found = traced.iter().find(|t| t.name == *function && spaceless(&t.generics) == wanted);
            let Some(found) = found else {
                let known: Vec<String> = traced
                    .iter()
                    .filter(|t| t.name == *function)
                    .map(|t| label(&t.name, &t.generics))
                    .collect();
                let help = if known.is_empty() {
                    "the crate lists no kernel of that name: `#[kernel(instances(..))]`".to_owned()
                } else {
                    format!(
                        "the crate lists {}; add the instance to `#[kernel(instances(..))]`",
                        known.join("; ")
                    )
                };
                let name = label(function, &variant.generics);
                let what = format!("{}: kernel `{}`: there is no `{name}`", path.display(), entry.name);
                return Err(Failure::with_help(what, help));
            };
            let grid = list::grid(variant.grid.as_ref().unwrap_or(&entry.grid)).ok_or_else(|| {
                let what =
                    format!("{}: kernel `{}`: a grid has one to three axes", path.display(), entry.name);
                Failure::with_help(what, "write one formula per axis: grid = [\"x.dim(0)\"]")
            })?;
            let found = found.kernel.as_ref().map_err(|d| Failure::from(d.clone()))?;
            let first = work.iter().find(|w| w.kernel == kernel).map_or(found, |w| w.traced);
            if !parameters(found).eq(parameters(first)) {
                let [one, other] = [first, found].map(|k| label(&k.name, &k.generics));
                let what = format!(
                    "{}: kernel `{}`: the parameters of `{other}` are not those of `{one}`",
                    path.display(),
                    entry.name
                );
                return Err(Failure::with_help(
                    what,
                    "variants of one kernel take the same arguments: give it an entry of its own",
                ));
            }
            for target in targets(variant) {
                let when = entry.when.iter().chain(&variant.when).cloned().collect();
                let (grid, cost) = (grid.clone(), variant.cost.clone());
                work.push(Work { kernel, traced: found, variant, candidate, when, cost, grid, target });
            }
        }
    }
    if work.is_empty() {
        return Err(Failure::with_help(
            format!("{}: there is nothing to compile", path.display()),
            "list kernels with variants, and targets that --target does not leave out",
        ));
    }
    Ok(work)
}

/// Name and form of each parameter; element types may differ from variant to variant.
fn parameters(kernel: &Kernel) -> impl Iterator<Item = (&str, Kind, usize)> {
    kernel.params.iter().map(|p| {
        let (kind, rank) = match p.kind {
            ParamKind::View { rank, mutable: false, .. } => (Kind::Input, rank),
            ParamKind::View { rank, mutable: true, .. } => (Kind::Output, rank),
            ParamKind::Scalar(_) => (Kind::Scalar, 0),
        };
        (p.name.as_str(), kind, rank)
    })
}

/// What the compiler is asked for.
pub(super) fn request(w: &Work<'_>, target: &dyn Target) -> CompileRequest {
    let args = if w.variant.any_strides {
        vec![ArgSpec::default(); w.traced.params.len()]
    } else {
        contiguous(w.traced, target)
    };
    CompileRequest {
        kernel: w.traced.clone(),
        target: target.name().to_owned(),
        args,
        options: w.variant.options.clone(),
    }
}

pub(super) fn compile(w: &Work<'_>) -> Result<(Variant, Vec<u8>), Failure> {
    let target = serve::target(&w.target)?;
    let request = request(w, &*target);
    let args = request.args.clone();
    let artifact = Session::new().compile(&request, &*target, &Options::default()).map_err(Failure::from)?;
    let folder = target.name().replace([':', '+'], "-");
    // What tells two variants of one instance apart, apart from the target.
    let facts =
        serde_json::to_vec(&(&args, &w.variant.options)).map_err(|e| Failure::input(e.to_string()))?;
    let tag = &checksum(&facts)[..8];
    let code = code::describe(&artifact, &format!("bin/{folder}/{}-{tag}", w.traced.symbol()))?;
    let variant = Variant {
        backend: backend(target.name()),
        generics: w.traced.generics.clone(),
        dtypes: w.traced.params.iter().map(|p| Dtype(p.kind.ty().elem())).collect(),
        args,
        when: w.when.clone(),
        cost: w.cost.clone(),
        grid: w.grid.clone(),
        workspace: workspace(&w.variant.workspace, artifact.npu.as_ref()),
        tolerance: w.variant.tolerance.into(),
        cpu: (code.kind == CodeKind::Object).then(|| artifact.cpu.clone()),
        code,
        gpu: artifact.gpu.clone(),
        npu: artifact.npu.clone(),
    };
    Ok((variant, artifact.bytes))
}

/// What the list says, else what code of an NPU uses on its chip: each block that runs at once has its own part.
fn workspace(listed: &str, npu: Option<&NpuMeta>) -> String {
    let bytes = npu.map_or(0, |n| u64::from(n.most_blocks) * n.workspace_bytes);
    if listed.is_empty() && bytes > 0 { bytes.to_string() } else { listed.to_owned() }
}

/// `nvidia:sm_90a` as other tools name it: type `cuda`, architecture `9.0a`.
fn backend(target: &str) -> Backend {
    let (vendor, chip) = target.split_once(':').unwrap_or((target, ""));
    let (kind, arch) = match vendor {
        "nvidia" => {
            let number = chip.trim_start_matches("sm_");
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            let (major, minor) = number.split_at(digits.saturating_sub(1));
            ("cuda", format!("{major}.{minor}"))
        }
        "amd" => ("rocm", chip.to_owned()),
        "ascend" => ("npu", chip.to_owned()),
        other => (other, chip.to_owned()),
    };
    Backend { r#type: kind.to_owned(), archs: vec![arch], target: target.to_owned() }
}

pub(super) fn manifest<'w>(
    list: &list::List,
    work: impl Iterator<Item = &'w Work<'w>> + Clone,
    variants: Vec<Vec<Variant>>,
) -> Manifest {
    let kernels = list.kernels.iter().zip(variants).enumerate().filter_map(|(i, (entry, variants))| {
        let traced = work.clone().find(|w| w.kernel == i)?.traced;
        let params = parameters(traced).map(|(name, kind, rank)| Param { name: name.to_owned(), kind, rank });
        Some(PackedKernel {
            name: entry.name.clone(),
            op: entry.op.clone(),
            params: params.collect(),
            source: traced.locs.first().cloned(),
            variants,
        })
    });
    let (pack, kernels) = (&list.pack, kernels.collect());
    Manifest {
        license: pack.license.clone(),
        python_depends: pack.python_depends.clone(),
        ..Manifest::new(&pack.name, &pack.version, compiler_version(), kernels)
    }
}

#[cfg(test)]
mod tests {
    use super::backend;

    #[test]
    fn architectures_have_the_names_that_other_tools_give_them() {
        for (target, kind, arch) in [
            ("nvidia:sm_90a", "cuda", "9.0a"),
            ("nvidia:sm_80", "cuda", "8.0"),
            ("nvidia:sm_100a", "cuda", "10.0a"),
            ("cpu:x86-64-v4", "cpu", "x86-64-v4"),
            ("amd:gfx942", "rocm", "gfx942"),
            ("ascend:910b", "npu", "910b"),
        ] {
            let b = backend(target);
            assert_eq!((b.r#type.as_str(), b.archs[0].as_str(), b.target.as_str()), (kind, arch, target));
        }
    }
}
