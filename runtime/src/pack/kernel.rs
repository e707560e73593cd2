//! A kernel of a pack on a device: its variants loaded, one chosen per launch.
//!
//! ```text
//! args ─ dtypes, layouts, `when` ─► the variants that may run ─ least `cost` ─► variant, grid ─► launch
//! ```
//! Choosing allocates nothing and takes no lock.

use super::Pack;
use super::expr::ArgFacts;
use super::format;
use super::validate::Formulas;
use crate::device::{CompiledKernel, Device, Loaded};
use crate::error::{ArgumentProblem, Error, Result};
use crate::launch::{Arg, How, Raw, Workspace, has_layout, has_type, has_unit_axis};
use kcc_dsl::exchange::{ArgSpec, Artifact};
use kcc_dsl::ir::Param;
use smallvec::SmallVec;

/// A kernel ready to run on one device.
pub struct PackKernel {
    name: String,
    variants: Vec<Ready>,
}

struct Ready {
    index: usize,
    /// Costs are compared within a tier; the lowest with a variant that fits is chosen from.
    tier: usize,
    formulas: Formulas,
    specs: Vec<ArgSpec>,
    code: CompiledKernel,
}

/// What a launch with certain arguments would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index of the variant in `pack.json`.
    pub variant: usize,
    /// Position among the loaded variants.
    at: usize,
    /// Programs per axis.
    pub grid: [i64; 3],
    /// Bytes of workspace that the launch uses.
    pub workspace: u64,
}

pub(super) fn load(
    pack: &Pack,
    entry: &format::Kernel,
    formulas: &[Formulas],
    device: &Device,
) -> Result<PackKernel> {
    let (mut runnable, mut others) = (Vec::new(), Vec::new());
    for (index, variant) in entry.variants.iter().enumerate() {
        let target = variant.backend.target.as_str();
        match device.rank(target) {
            Some(rank) => runnable.push((rank, index)),
            None => others.push(target),
        }
    }
    // Of code for several chips that this device runs, the most capable chip's: it comes first, and the first of equal
    // costs is chosen.
    runnable.sort_unstable();
    let mut variants: Vec<Ready> = Vec::new();
    let mut refused = None;
    for ((tier, _), index) in runnable {
        let variant = &entry.variants[index];
        let same = |v: &Ready| {
            let loaded = &entry.variants[v.index];
            v.tier < tier && loaded.generics == variant.generics && loaded.dtypes == variant.dtypes
        };
        if variants.iter().any(same) {
            continue;
        }
        match device_code(pack, entry, variant, &formulas[index], device) {
            Ok(code) => variants.push(Ready {
                index,
                tier,
                formulas: formulas[index].clone(),
                specs: variant.args.clone(),
                code,
            }),
            // Code for a chip like this one may ask for more than this one has.
            Err(e @ Error::Load { .. }) if tier > 0 => refused = refused.or(Some(e)),
            Err(e) => return Err(e),
        }
    }
    if variants.is_empty() {
        if let Some(e) = refused {
            return Err(e);
        }
        others.sort_unstable();
        others.dedup();
        return Err(Error::Load {
            kernel: entry.name.clone(),
            reason: format!(
                "the pack has code for {}; the device is {}",
                others.join(", "),
                device.describe()
            ),
        });
    }
    Ok(PackKernel { name: entry.name.clone(), variants })
}

/// The variant's code, placed in memory.
fn device_code(
    pack: &Pack,
    entry: &format::Kernel,
    variant: &format::Variant,
    formulas: &Formulas,
    device: &Device,
) -> Result<CompiledKernel> {
    let target = &variant.backend.target;
    let load = |code: &format::Code| {
        let artifact = Artifact {
            target: target.clone(),
            symbol: code.symbol.clone(),
            bytes: pack.code(code)?.into_owned(),
            cpu: variant.cpu.clone().unwrap_or_default(),
            gpu: variant.gpu.clone(),
            npu: variant.npu.clone(),
            timings: Vec::new(),
        };
        device.load_code(&entry.name, &artifact)
    };
    let code = match (load(&variant.code), &variant.code.fallback) {
        // A driver may be older than the machine code, and know how to compile the text.
        (Err(refused @ Error::Load { .. }), Some(fallback)) => load(fallback).map_err(|e| match e {
            Error::Load { kernel, reason } => {
                Error::Load { kernel, reason: format!("{reason} (before that: {refused})") }
            }
            e => e,
        }),
        (loaded, _) => loaded,
    };
    let code = code.map_err(|e| e.at_source(entry.source.as_ref()))?;
    Ok(device.own(Loaded {
        name: entry.name.clone(),
        generics: variant.generics.clone(),
        params: formulas.params.clone(),
        specs: variant.args.iter().cloned().collect(),
        source: entry.source.clone(),
        code,
    }))
}

impl PackKernel {
    /// The kernel's name in the pack.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Indices in `pack.json` of the variants that the device runs.
    pub fn variants(&self) -> impl Iterator<Item = usize> + '_ {
        self.variants.iter().map(|v| v.index)
    }

    /// The parameters in order, element types as the first loaded variant takes them.
    pub fn params(&self) -> &[Param] {
        self.variants.first().map_or(&[], |v| &v.formulas.params)
    }

    /// The variant that a launch with these arguments would run, and how.
    ///
    /// # Errors
    /// No variant may be chosen for them.
    pub fn choose(&self, args: &[Arg<'_>]) -> Result<Choice> {
        let facts: Facts<'_> = args.iter().map(facts).collect();
        self.chosen_for(args, &facts)
    }

    fn chosen_for(&self, args: &[Arg<'_>], facts: &[ArgFacts<'_>]) -> Result<Choice> {
        let mut best: Option<(i64, usize)> = None;
        for (at, v) in self.variants.iter().enumerate() {
            if best.is_some_and(|(_, at)| self.variants[at].tier < v.tier) {
                break;
            }
            // What would not be chosen need not be right.
            let least = best.map_or(i64::MAX, |b| b.0);
            let Some(cost) = v.formulas.cost.eval(facts) else { continue };
            if (cost < least || best.is_none()) && v.right(args, facts) {
                best = Some((cost, at));
            }
        }
        let Some((_, at)) = best else { return Err(self.none_fits(args)) };
        self.planned(at, facts)
    }

    /// Every variant that may be chosen for these arguments, that of least cost, which [`PackKernel::choose`] gives, first.
    ///
    /// # Errors
    /// There is none; a grid or a workspace is undefined for these arguments.
    pub fn choices(&self, args: &[Arg<'_>]) -> Result<Vec<Choice>> {
        let facts: Facts<'_> = args.iter().map(facts).collect();
        let right = self.variants.iter().enumerate().filter(|(_, v)| v.right(args, &facts));
        let mut found: Vec<(usize, i64, usize)> =
            right.filter_map(|(at, v)| Some((v.tier, v.formulas.cost.eval(&facts)?, at))).collect();
        if found.is_empty() {
            return Err(self.none_fits(args));
        }
        found.sort_unstable();
        found.into_iter().map(|(.., at)| self.planned(at, &facts)).collect()
    }

    /// How the variant of an earlier choice would run with other arguments: as [`PackKernel::choose`], without a look at the
    /// other variants.
    ///
    /// # Errors
    /// The variant may not be chosen for these arguments.
    pub fn choose_again(&self, choice: &Choice, args: &[Arg<'_>]) -> Result<Choice> {
        let v = self.chosen(choice)?;
        let facts: Facts<'_> = args.iter().map(facts).collect();
        if !v.right(args, &facts) {
            let given: Vec<String> = args.iter().map(shown).collect();
            return Err(Error::Variant {
                kernel: self.name.clone(),
                reason: format!(
                    "variant {}, which was chosen before, does not take ({}); choose anew for these arguments",
                    v.index,
                    given.join(", ")
                ),
            });
        }
        self.planned(choice.at, &facts)
    }

    fn chosen(&self, choice: &Choice) -> Result<&Ready> {
        let found = self.variants.get(choice.at).filter(|v| v.index == choice.variant);
        found.ok_or_else(|| Error::Load {
            kernel: self.name.clone(),
            reason: "a choice of another kernel".into(),
        })
    }

    fn planned(&self, at: usize, facts: &[ArgFacts<'_>]) -> Result<Choice> {
        let v = &self.variants[at];
        let undefined = || Error::Variant {
            kernel: self.name.clone(),
            reason: format!("the grid or workspace of variant {} is undefined for these arguments", v.index),
        };
        let mut grid = [0; 3];
        for (axis, formula) in grid.iter_mut().zip(&v.formulas.grid) {
            *axis = formula.eval(facts).ok_or_else(undefined)?;
        }
        let workspace = v.formulas.workspace.eval(facts).ok_or_else(undefined)?;
        let workspace = u64::try_from(workspace).map_err(|_| undefined())?;
        Ok(Choice { variant: v.index, at, grid, workspace })
    }

    /// Runs the kernel and waits for its end, on at most `threads` threads of a CPU (`None`: all of the device's).
    ///
    /// # Errors
    /// No variant may be chosen for the arguments, arguments that overlap, a failed assertion.
    pub fn launch(&self, args: &[Arg<'_>], threads: Option<usize>) -> Result<()> {
        self.launch_with(args, How { threads, ..How::default() })
    }

    /// As [`PackKernel::launch`], into a stream and with a workspace that the caller owns. On a GPU it does not wait for the kernel's
    /// end, but where a view lies in host memory or the kernel asserts or prints.
    ///
    /// # Errors
    /// As [`PackKernel::launch`]; a workspace of fewer bytes than [`Choice::workspace`].
    pub fn launch_with(&self, args: &[Arg<'_>], how: How) -> Result<()> {
        // The choice is the check of types and layouts.
        self.start(&self.choose(args)?, args, how)
    }

    /// Runs the variant of an earlier choice with these arguments, on a grid of their own: as [`PackKernel::launch_with`], without
    /// a look at the other variants.
    ///
    /// # Errors
    /// As [`PackKernel::launch_with`]; the variant may not be chosen for these arguments.
    pub fn launch_again(&self, choice: &Choice, args: &[Arg<'_>], how: How) -> Result<()> {
        self.start(&self.choose_again(choice, args)?, args, how)
    }

    /// Runs what [`PackKernel::choose`] gave for these arguments, on the grid that it gave.
    ///
    /// # Errors
    /// As [`PackKernel::launch_with`]; arguments of other types or layouts.
    pub fn launch_as(&self, choice: &Choice, args: &[Arg<'_>], how: How) -> Result<()> {
        let v = self.chosen(choice)?;
        if !v.fits(args) {
            v.code.check_types(args)?;
            v.code.check_specs(args)?;
        }
        self.start(choice, args, how)
    }

    /// Launches a choice for arguments that fit it.
    fn start(&self, choice: &Choice, args: &[Arg<'_>], how: How) -> Result<()> {
        if let Some(given) = how.workspace.map(Workspace::bytes)
            && given < choice.workspace
        {
            let problem = ArgumentProblem::Workspace { needed: choice.workspace, given };
            return Err(Error::argument(&self.name, "workspace", problem));
        }
        self.chosen(choice)?.code.launch_fitting(choice.grid, args, how)
    }

    /// Says why no variant fits: the arguments as given, and what stands in the way of those variants that come closest.
    fn none_fits(&self, args: &[Arg<'_>]) -> Error {
        let facts: Facts<'_> = args.iter().map(facts).collect();
        let given: Vec<String> = args.iter().map(shown).collect();
        let obstacles = || self.variants.iter().filter_map(|v| v.obstacle(args, &facts));
        let closest = obstacles().map(|o| o.0).max();
        let mut unique: Vec<String> = Vec::new();
        for (_, text) in obstacles().filter(|o| Some(o.0) == closest) {
            if !unique.contains(&text) {
                unique.push(text);
            }
        }
        let why = match (closest, &unique[..]) {
            (None, _) => "the cost of each is undefined".to_owned(),
            (Some(Closeness::Condition), [one]) => format!("{one} does not hold"),
            (Some(Closeness::Condition), all) => format!("none of {} holds", listed(all)),
            (Some(Closeness::Layout), all) => format!("it needs {}", listed(all)),
            (Some(Closeness::Types), all) => format!("there are {}", all.join(", ")),
        };
        let reason = format!("no variant takes ({}): {why}", given.join(", "));
        Error::Variant { kernel: self.name.clone(), reason }
    }
}

/// How far a variant is from taking some arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    /// Other element types or ranks.
    Types,
    /// Other strides, or alignments.
    Layout,
    /// Its `when`, which does not hold or is undefined.
    Condition,
}

/// Some of them, in words.
fn listed(all: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text.push_str(&format!(" and {} more that `kcc pack inspect` shows", all.len() - SHOWN));
    }
    text
}

/// An argument in words.
fn shown(arg: &Arg<'_>) -> String {
    match &arg.raw {
        Raw::View(v) => format!("{} {:?} strides {:?}", v.elem, &v.layout.dims[..], &v.layout.strides[..]),
        Raw::Scalar { elem, .. } => elem.name().to_owned(),
    }
}

impl Ready {
    /// Whether the variant may be chosen.
    fn right(&self, args: &[Arg<'_>], facts: &[ArgFacts<'_>]) -> bool {
        self.fits(args) && self.holds(facts)
    }

    fn holds(&self, facts: &[ArgFacts<'_>]) -> bool {
        self.formulas.when.iter().all(|w| w.holds(facts))
    }

    /// What keeps the variant from taking the arguments, if anything does.
    fn obstacle(&self, args: &[Arg<'_>], facts: &[ArgFacts<'_>]) -> Option<(Closeness, String)> {
        let params = &self.formulas.params;
        let typed = params.len() == args.len() && params.iter().zip(args).all(|(p, a)| has_type(p, a));
        if !typed {
            let kinds: Vec<String> = params.iter().map(|p| p.kind.ty().to_string()).collect();
            return Some((Closeness::Types, format!("({})", kinds.join(", "))));
        }
        let mut all = params.iter().zip(&self.specs).zip(args);
        if let Some(((p, spec), arg)) = all.find(|((_, spec), arg)| !has_layout(spec, arg)) {
            let what = match spec.unit_axis {
                Some(axis) if !has_unit_axis(spec, arg) => {
                    format!("stride 1 along axis {axis} of `{}`", p.name)
                }
                _ => format!("other alignments or sizes of `{}`", p.name),
            };
            return Some((Closeness::Layout, what));
        }
        let failed = self.formulas.when.iter().find(|w| !w.holds(facts))?;
        Some((Closeness::Condition, format!("`{}`", failed.text())))
    }

    /// Whether element types, ranks and layouts are what the code takes.
    fn fits(&self, args: &[Arg<'_>]) -> bool {
        let params = &self.formulas.params;
        params.len() == args.len()
            && params
                .iter()
                .zip(&self.specs)
                .zip(args)
                .all(|((p, spec), arg)| has_type(p, arg) && has_layout(spec, arg))
    }
}

/// What formulas read of the arguments.
type Facts<'a> = SmallVec<[ArgFacts<'a>; 16]>;

fn facts<'a>(arg: &'a Arg<'_>) -> ArgFacts<'a> {
    match &arg.raw {
        Raw::View(v) => {
            ArgFacts::View { address: v.ptr as u64, dims: &v.layout.dims, strides: &v.layout.strides }
        }
        Raw::Scalar { elem, bits } => ArgFacts::scalar(*elem, *bits),
    }
}
