//! `kcc pack inspect`: a pack as a table.

use super::super::{Failure, say};
use super::size;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use kcc_runtime::pack::Pack;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(in super::super) struct Args {
    /// A pack: a file or a folder
    pack: PathBuf,
    /// Only this kernel
    #[arg(long, short)]
    kernel: Option<String>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let pack = Pack::open(&args.pack)?;
    let manifest = pack.manifest();
    let wanted = |name: &str| args.kernel.as_deref().is_none_or(|k| k == name);
    if let Some(kernel) = args.kernel.as_deref().filter(|k| !manifest.kernels.iter().any(|m| m.name == *k)) {
        let known: Vec<&str> = manifest.kernels.iter().map(|k| k.name.as_str()).collect();
        let what = format!("{} has no kernel `{kernel}`", args.pack.display());
        return Err(Failure::with_help(what, format!("there are {}", known.join(", "))));
    }
    if json {
        let mut shown = manifest.clone();
        shown.kernels.retain(|k| wanted(&k.name));
        say(serde_json::to_string(&shown).map_err(|e| Failure::input(e.to_string()))?);
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(["kernel", "op", "target", "instance", "when", "cost", "grid", "code"]);
    let mut total = 0;
    for kernel in manifest.kernels.iter().filter(|k| wanted(&k.name)) {
        // What all variants demand is said once.
        let always = |w: &&String| kernel.variants.iter().all(|v| v.when.contains(w));
        let common: Vec<&str> = kernel
            .variants
            .first()
            .map_or(&[][..], |v| &v.when)
            .iter()
            .filter(always)
            .map(|w| &**w)
            .collect();
        if !common.is_empty() && kernel.variants.len() > 1 {
            let all = format!("always: {}", common.join(", "));
            table.add_row([kernel.name.as_str(), "", "", "", all.as_str(), "", "", ""]);
        }
        for v in &kernel.variants {
            let bytes = v.code.files().map(|code| code.bytes).sum();
            total += bytes;
            let grid: Vec<&str> = v.grid.iter().map(String::as_str).collect();
            let own = |w: &&String| kernel.variants.len() == 1 || !common.contains(&w.as_str());
            let when: Vec<&str> = v.when.iter().filter(own).map(String::as_str).collect();
            table.add_row([
                kernel.name.clone(),
                format!("{}@{}", kernel.op.name, kernel.op.version),
                v.backend.target.clone(),
                v.generics.clone(),
                when.join(", "),
                v.cost.clone(),
                grid.join(" × ").trim_end_matches(" × 1").to_owned(),
                size(bytes),
            ]);
        }
    }
    if let Some(column) = table.column_mut(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(format!("{} {}, made by {}", manifest.name, manifest.version, manifest.compiler));
    say(table);
    say(format!("{} of code", size(total)));
    Ok(())
}
