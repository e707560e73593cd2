//! What a simulated NPU did in a launch: a file for Perfetto, and a table.

use super::{Failure, say};
use comfy_table::{Table, presets::NOTHING};
use kcc_compiler::link::write_atomically;
use kcc_runtime::{Device, Timeline};
use std::path::Path;

/// Writes the timeline of the device's last launch.
pub(super) fn write(device: &Device, file: &Path) -> Result<Timeline, Failure> {
    let Some(timeline) = device.timeline() else {
        return Err(Failure::with_help(
            format!("the device {} keeps no timeline", device.describe()),
            "leave --trace out, or choose --device sim:ascend910b",
        ));
    };
    write_atomically(file, timeline.trace.as_bytes())?;
    Ok(timeline)
}

/// The figures that stand beside the file.
pub(super) fn json(timeline: &Timeline) -> serde_json::Value {
    let pipes: Vec<_> = timeline
        .pipes
        .iter()
        .map(|p| {
            serde_json::json!({
                "core": p.core, "cores": p.cores, "pipe": p.pipe, "cycles": p.cycles, "busy": p.busy,
            })
        })
        .collect();
    serde_json::json!({ "cycles": timeline.cycles, "seconds": timeline.seconds, "pipes": pipes })
}

/// How busy each pipe was.
pub(super) fn show(timeline: &Timeline) {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["cores", "pipe", "busy cycles a core", "share of the time"]);
    for p in &timeline.pipes {
        table.add_row([
            format!("{} {}", p.cores, p.core),
            p.pipe.to_owned(),
            (p.cycles / p.cores.max(1) as u64).to_string(),
            format!("{:.1} %", 100.0 * p.busy),
        ]);
    }
    say(table);
    let micro = timeline.seconds * 1e6;
    say(format!("{} cycles, {micro:.2} us by the simulator's cost model; not measured", timeline.cycles));
}
