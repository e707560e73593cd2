//! `kcc pack bench`: the variants of a pack that the present device runs, timed on given arguments.

use super::super::values;
use super::super::{Failure, say};
use super::timing::{self, Operands, Problem};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use kcc_dsl::ir::{Elem, Param, ParamKind};
use kcc_runtime::pack::Pack;
use kcc_runtime::pack::format::{Kind, Variant};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(in super::super) struct Args {
    /// A pack: a file or a folder
    pack: PathBuf,
    #[command(flatten)]
    problem: Problem,
    /// Time spent on each combination of element types
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// Parameters with the element types of a variant.
fn params(kernel: &kcc_runtime::pack::format::Kernel, variant: &Variant) -> Vec<Param> {
    let typed = kernel.params.iter().zip(&variant.dtypes).map(|(p, dtype)| {
        let view = |mutable| ParamKind::View { elem: dtype.0, rank: p.rank, mutable };
        let kind = match p.kind {
            Kind::Input => view(false),
            Kind::Output => view(true),
            Kind::Scalar => ParamKind::Scalar(dtype.0),
        };
        Param { name: p.name.clone(), kind }
    });
    typed.collect()
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let pack = Pack::open(&args.pack)?;
    let known: Vec<&str> = pack.manifest().kernels.iter().map(|k| k.name.as_str()).collect();
    let problem = &args.problem;
    let entry = pack.manifest().kernels.iter().find(|k| k.name == problem.kernel);
    let entry = entry.ok_or_else(|| problem.no_kernel(&args.pack, &known))?;
    let device = problem.device()?;
    let kernel = pack.kernel(&problem.kernel, &device)?;
    let mut kinds: Vec<Vec<Elem>> = Vec::new();
    for at in kernel.variants() {
        let elems: Vec<Elem> = entry.variants[at].dtypes.iter().map(|d| d.0).collect();
        if problem.wants(elems.iter().copied()) && !kinds.contains(&elems) {
            kinds.push(elems);
        }
    }
    if kinds.is_empty() {
        return Err(problem.no_instance("`kcc pack inspect` shows what there is"));
    }
    let mut rows = Vec::new();
    for elems in kinds {
        let of = |v: &&Variant| v.dtypes.iter().map(|d| d.0).eq(elems.iter().copied());
        let Some(sample) = entry.variants.iter().find(of) else { continue };
        let values = values::parse(&params(entry, sample), &problem.args)?;
        let mut operands = Operands::new(&device, values)?;
        let list = operands.args()?;
        let choices = kernel.choices(&list)?;
        let bar = timing::bar(json, &problem.kernel);
        let times = timing::medians(&device, &kernel, &choices, &list, args.seconds, &bar)?;
        // The first is the one that is chosen.
        for (i, (choice, time)) in choices.iter().zip(&times).enumerate() {
            rows.push((choice.variant, *time, times[0], i == 0));
        }
    }
    if json {
        let list: Vec<_> = rows
            .iter()
            .map(|(at, time, _, chosen)| {
                let v = &entry.variants[*at];
                serde_json::json!({ "variant": at, "generics": v.generics, "target": v.backend.target,
                    "seconds": time.as_secs_f64(), "chosen": chosen })
            })
            .collect();
        say(
            serde_json::json!({ "ok": true, "kernel": problem.kernel, "device": device.describe(), "variants": list }),
        );
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["", "instance", "target", "time", "speed"]);
    for (at, time, default, chosen) in rows {
        let v = &entry.variants[at];
        table.add_row([
            if chosen { "chosen" } else { "" }.to_owned(),
            v.generics.clone(),
            v.backend.target.clone(),
            format!("{:.2} µs", time.as_secs_f64() * 1e6),
            format!("{:.2}", default.as_secs_f64() / time.as_secs_f64().max(1e-12)),
        ]);
    }
    for column in [3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(format!(
        "{} on {}; speed: relative to the variant that is chosen",
        problem.kernel,
        device.describe()
    ));
    say(table);
    Ok(())
}
