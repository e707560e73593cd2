//! `kcc tune`: which of a kernel's variants and candidates is fastest on this device, for given arguments.
//!
//! ```text
//! kcc.toml ── variants, candidates ── compile ── resource model ── same results? ── time in turns ── the fastest beside the default ── record
//! ```
//! The record says so for a range of shapes, each dim within a power of two; `kcc pack build --tuned` prefers the winner there.

use super::super::driver;
use super::super::input::label;
use super::super::values;
use super::super::{Failure, say};
use super::build::{Work, compile, manifest, plan};
use super::list;
use super::records::{self, Record, Timed};
use super::timing::{self, Operands, Problem};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use kcc_dsl::ir::Elem;
use kcc_runtime::pack::format::Variant;
use kcc_runtime::pack::{Pack, Writer};
use kcc_runtime::{Device, How};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(in super::super) struct Args {
    /// A kcc.toml, or the folder of a crate that has one
    list: PathBuf,
    #[command(flatten)]
    problem: Problem,
    /// Features of the crate to turn on, separated by commas
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Time spent on all instances of each combination of element types, and again on the fastest beside the default
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Only print; keep nothing
    #[arg(long)]
    no_save: bool,
}

/// Scratch memory that a program on a CPU may take, in second-level caches: beyond that its tiles live in memory.
const CACHES: u64 = 4;

/// How many of the fastest meet the default alone.
const CHALLENGERS: usize = 3;

/// Bytes of the second-level cache; 1 MiB where the system does not say.
fn second_level_cache() -> u64 {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size").unwrap_or_default();
    let kib = text.trim().strip_suffix('K').and_then(|n| n.parse::<u64>().ok());
    kib.map_or(1 << 20, |n| n << 10)
}

/// A contestant: what was compiled, or why it does not take part.
type Entry<'w, 'l> = (&'w Work<'l>, Result<(Variant, Vec<u8>), String>);

/// Compiles what a device can run at all.
fn contestant<'w, 'l>(w: &'w Work<'l>, cache: u64) -> Result<Entry<'w, 'l>, Failure> {
    match compile(w) {
        Ok((variant, bytes)) => {
            let scratch = variant.cpu.as_ref().map_or(0, |cpu| cpu.scratch_bytes);
            let limit = CACHES * cache;
            let fits = !w.candidate || scratch <= limit;
            let why = || format!("{scratch} bytes of scratch memory, more than {limit}");
            Ok((w, if fits { Ok((variant, bytes)) } else { Err(why()) }))
        }
        // A candidate may ask for more than the chip has; what the list promises must compile.
        Err(e) => match e.refusal().filter(|_| w.candidate) {
            Some(why) => Ok((w, Err(why))),
            None => Err(e),
        },
    }
}

pub(in super::super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (path, dir) = list::place(&args.list);
    let mut list = list::read(&path)?;
    let problem = &args.problem;
    if !list.kernels.iter().any(|k| k.name == problem.kernel) {
        let known: Vec<&str> = list.kernels.iter().map(|k| k.name.as_str()).collect();
        return Err(problem.no_kernel(&path, &known));
    }
    list.kernels.retain(|k| k.name == problem.kernel);
    let device = problem.device()?;
    let Some(target) = device.target()?.map(str::to_owned) else {
        return Err(Failure::with_help(
            format!("device `{}` compiles nothing: there is nothing to tune", device.describe()),
            "tune on a CPU or a GPU",
        ));
    };
    let (traced, roots) = driver::trace(&dir, &args.features, json)?;
    // A pack for other targets is tuned, too; what is listed for some others only is not.
    let here = |v: &list::Variant| match &v.targets {
        Some(targets) if !targets.contains(&target) => Vec::new(),
        _ => vec![target.clone()],
    };
    let work = plan(&list, &traced, &here, &path).map_err(|f| f.rooted(&roots))?;
    let mut kinds: BTreeMap<Vec<String>, Vec<&Work<'_>>> = BTreeMap::new();
    for w in &work {
        if problem.wants(w.traced.params.iter().map(|p| p.kind.ty().elem())) {
            kinds.entry(records::element_types(w)).or_default().push(w);
        }
    }
    if kinds.is_empty() {
        return Err(problem.no_instance("see the list, or `kcc check`"));
    }
    let cache = second_level_cache();
    for (_, works) in kinds {
        let entries = works.iter().map(|w| contestant(w, cache)).collect::<Result<Vec<_>, _>>();
        one(args, &list, &device, &entries.map_err(|f| f.rooted(&roots))?, json)?;
    }
    Ok(())
}

/// Tunes one combination of element types.
fn one(
    args: &Args,
    list: &list::List,
    device: &Device,
    entries: &[Entry<'_, '_>],
    json: bool,
) -> Result<(), Failure> {
    let entry = &list.kernels[0];
    let mut files = BTreeMap::new();
    let (mut variants, mut works) = (Vec::new(), Vec::new());
    for (w, made) in entries {
        if let Ok((variant, bytes)) = made {
            files.insert(variant.code.file.clone(), bytes.clone());
            variants.push(variant.clone());
            works.push(*w);
        }
    }
    let Some(first) = works.first() else {
        return Err(Failure::input(format!(
            "nothing of `{}` compiles for {}",
            entry.name,
            device.describe()
        )));
    };
    let values = values::parse(&first.traced.params, &args.problem.args)?;
    let mut operands = Operands::new(device, values)?;
    let manifest = manifest(list, entries.iter().map(|(w, _)| *w), vec![variants]);
    let bytes = Writer::new(&manifest, files).map_err(Failure::input)?.zip().map_err(Failure::input)?;
    let pack = Pack::from_bytes(bytes)?;
    let kernel = pack.kernel(&entry.name, device)?;
    let facts: Vec<(String, Vec<usize>)> =
        first.traced.params.iter().zip(operands.dims()).map(|(p, d)| (p.name.clone(), d)).collect();

    let choices = kernel.choices(&operands.args()?)?;
    let listed = |v: usize| !works[v].candidate;
    // The default: what would be chosen of the list's variants.
    let Some(default) = choices.iter().find(|c| listed(c.variant)).copied() else {
        return Err(Failure::input(format!("no variant of `{}` takes these arguments", entry.name)));
    };
    // All must give what the default gives.
    kernel.launch_as(&default, &operands.args()?, How::default())?;
    let expected = operands.results()?;
    let mut out: Vec<(String, String)> = Vec::new();
    let mut kept = Vec::new();
    for choice in choices {
        kernel.launch_as(&choice, &operands.args()?, How::default())?;
        let t = &manifest.kernels[0].variants[choice.variant].tolerance;
        if same(&operands.results()?, &expected, t.absolute, t.relative) {
            kept.push(choice);
        } else {
            out.push((name(works[choice.variant]), "its results differ from the default's".into()));
        }
    }
    let shown = format!("{} on {}", entry.name, device.describe());
    let bar = timing::bar(json, &shown);
    let times = timing::medians(device, &kernel, &kept, &operands.args()?, args.seconds, &bar)?;
    let of_default =
        kept.iter().zip(&times).find(|(c, _)| c.variant == default.variant).map(|(_, t)| t.as_secs_f64());
    let of_default = of_default.unwrap_or(f64::NAN);
    let mut contest: Vec<_> = kept.iter().zip(&times).filter(|(c, _)| c.variant != default.variant).collect();
    contest.sort_by_key(|(_, time)| **time);
    contest.truncate(CHALLENGERS);
    let each = args.seconds / CHALLENGERS as f64;
    let mut won: Option<(f64, usize)> = None;
    for (choice, _) in contest {
        let gain = timing::gain(device, &kernel, (choice, &default), &operands.args()?, each)?;
        won = won.into_iter().chain(gain.map(|g| (g, choice.variant))).max_by(|a, b| a.0.total_cmp(&b.0));
    }
    let mut results = Vec::new();
    for (choice, time) in kept.iter().zip(&times) {
        let w = works[choice.variant];
        results.push(Timed { instance: name(w), hash: records::hash(w)?, seconds: time.as_secs_f64() });
    }
    results.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let rejected =
        entries.iter().filter_map(|(w, made)| made.as_ref().err().map(|why| (name(w), why.clone())));
    out.extend(rejected);
    let range = range(entry, &facts);
    let usual = records::hash(works[default.variant])?;
    let best = won.map_or(Ok(usual.clone()), |(_, variant)| records::hash(works[variant]))?;
    let record = Record::new((first, &best), &entry.name, &records::describe(device), range, results);
    let file = if args.no_save { None } else { record.save()? };
    let default_name = name(works[default.variant]);
    if json {
        let left: BTreeMap<_, _> = out.into_iter().collect();
        say(serde_json::json!({ "ok": true, "record": record, "default": default_name,
            "speedup": won.map_or(1.0, |(gain, _)| gain), "left_out": left, "file": file }));
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["", "instance", "time", "speed"]);
    for t in &record.results {
        let mark = if t.instance == default_name { "default" } else { "" };
        let (time, speed) = (format!("{:.2} µs", t.seconds * 1e6), format!("{:.2}", of_default / t.seconds));
        table.add_row([mark.to_owned(), t.instance.clone(), time, speed]);
    }
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(shown);
    say(table);
    for (name, why) in out {
        say(format!("left out: {name}: {why}"));
    }
    match won {
        None => {
            let percent = timing::LEAST * 100.0;
            say(format!(
                "the default stays for {}: nothing is more than {percent:.0} % faster beyond doubt",
                record.range
            ));
        }
        Some((gain, variant)) => {
            let winner = name(works[variant]);
            say(format!(
                "best: {winner}, {gain:.2} times the default's speed side by side, for {}",
                record.range
            ));
        }
    }
    if let Some(file) = file {
        say(format!("kept in {}; `kcc pack build --tuned` uses it", file.display()));
    }
    Ok(())
}

fn name(w: &Work<'_>) -> String {
    label(&w.traced.name, &w.traced.generics)
}

/// Whether two variants agree: each is within the tolerance of the exact result.
fn same(got: &[(Elem, Vec<u8>)], want: &[(Elem, Vec<u8>)], absolute: f64, relative: f64) -> bool {
    got.iter().zip(want).all(|((elem, got), (_, want))| {
        let (got, want) = (values::to_f64(*elem, got), values::to_f64(*elem, want));
        let near = |(a, b): (&f64, &f64)| {
            a == b
                || a.is_nan() && b.is_nan()
                || (a - b).abs() <= 2.0 * (absolute + relative * a.abs().max(b.abs()))
        };
        got.iter().zip(&want).all(near)
    })
}

/// The range of shapes that these arguments stand for: of each dim that the list's formulas name, the powers of two around it. Of dims
/// that a condition makes equal, one is enough.
fn range(entry: &list::Kernel, facts: &[(String, Vec<usize>)]) -> String {
    let conditions = || entry.when.iter().chain(entry.variants.iter().flat_map(|v| &v.when));
    let grids = || entry.grid.iter().chain(entry.variants.iter().filter_map(|v| v.grid.as_ref()).flatten());
    let equal =
        |term: &str| entry.when.iter().any(|w| w.split(" == ").nth(1) == Some(term) && w.contains(".dim("));
    let mut terms = Vec::new();
    for (name, dims) in facts {
        for (axis, size) in dims.iter().enumerate() {
            let term = format!("{name}.dim({axis})");
            let named = conditions().chain(grids()).any(|f| mentions(f, &term));
            if !named || equal(&term) {
                continue;
            }
            terms.push(match size.checked_ilog2() {
                None => format!("{term} == 0"),
                Some(k) => format!("{term} >= {} && {term} < {}", 1u64 << k, 1u64 << (k + 1)),
            });
        }
    }
    if terms.is_empty() { "1".to_owned() } else { terms.join(" && ") }
}

/// Whether a formula names a term as a whole: `a.dim(0)`, not the end of `ba.dim(0)`.
fn mentions(formula: &str, term: &str) -> bool {
    formula.match_indices(term).any(|(at, _)| {
        let before = formula[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_named_as_a_whole() {
        assert!(mentions("ceil_div(a.dim(0), 64)", "a.dim(0)") && mentions("a.dim(0) == 1", "a.dim(0)"));
        assert!(!mentions("ba.dim(0)", "a.dim(0)") && !mentions("a.dim(1)", "a.dim(0)"));
    }

    #[test]
    fn variants_agree_within_twice_their_tolerance() {
        let of = |x: f32| vec![(Elem::F32, x.to_le_bytes().to_vec())];
        assert!(same(&of(1.0), &of(1.001), 0.0, 1e-3) && !same(&of(1.0), &of(1.01), 0.0, 1e-3));
        assert!(same(&of(f32::NAN), &of(f32::NAN), 0.0, 0.0) && !same(&of(f32::NAN), &of(1.0), 1.0, 1.0));
    }
}
