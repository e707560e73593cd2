//! `kcc targets`: what kernels can be compiled for.

use super::{Failure, say};
use comfy_table::{Table, presets::NOTHING};
use kcc_amd::chips::CHIPS as AMDS;
use kcc_ascend::chips::CHIPS as NPUS;
use kcc_cpu::chips::{CHIPS, native};
use kcc_nvidia::chips::CHIPS as GPUS;
use kcc_runtime::detect;

const SIMULATED: &str = "the same, on the simulator";

pub(super) fn run(json: bool) -> Result<(), Failure> {
    let native = native().map(|c| format!("cpu:{}", c.name));
    let rows: Vec<(String, bool, bool, &str)> = CHIPS
        .iter()
        .map(|c| {
            let name = format!("cpu:{}", c.name);
            let runs = detect::targets().any(|(t, runs)| t == name && runs);
            let chosen = native.as_ref() == Some(&name);
            (name, runs, chosen, c.summary)
        })
        .chain(GPUS.iter().flat_map(|c| {
            [
                (format!("nvidia:{}", c.name), false, false, c.summary),
                (format!("sim:{}", c.name), true, false, SIMULATED),
            ]
        }))
        .chain(AMDS.iter().flat_map(|c| {
            [
                (format!("amd:{}", c.name), false, false, c.summary),
                (format!("sim:{}", c.name), true, false, SIMULATED),
                (format!("emu:{}", c.name), true, false, "its machine code, emulated"),
            ]
        }))
        .chain(NPUS.iter().flat_map(|c| {
            [
                (format!("ascend:{}", c.name), false, false, c.summary),
                (format!("sim:ascend{}", c.name), true, false, SIMULATED),
            ]
        }))
        .collect();
    if json {
        let list: Vec<_> = rows
            .iter()
            .map(|(name, runs, native, summary)| {
                serde_json::json!({ "target": name, "runs_here": runs, "native": native, "summary": summary })
            })
            .collect();
        say(serde_json::json!(list));
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["target", "runs here", "what it has"]);
    for (name, runs, chosen, summary) in rows {
        let runs = match (runs, chosen) {
            (_, true) => "yes, cpu:native",
            (true, _) => "yes",
            _ => "no",
        };
        table.add_row([name.as_str(), runs, summary]);
    }
    say(table);
    Ok(())
}
