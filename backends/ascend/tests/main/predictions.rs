//! What the cost model says of the schedules, pinned: `docs/ascend-model.md` has the same figures. Predicted, never measured.

#[allow(dead_code)] // what only the example prints
#[path = "../../examples/predict/rows.rs"]
mod rows;

use kcc_davinci::Chip;
use kcc_davinci::ir::{CoreKind, Pipe};

/// TFLOPS, and the share of the time in which the cube unit is busy, in percent.
fn predicted(name: &str, chip: &str) -> (f64, f64) {
    let chip = Chip::find(chip).expect("a chip");
    let all = rows::all();
    let row = all.iter().find(|r| r.name == name).expect("a row");
    let (_, report) = rows::simulate(row, chip, chip.groups, false).expect("it runs");
    (row.operations / report.seconds / 1e12, 100.0 * report.utilisation(CoreKind::Cube, Pipe::M))
}

#[test]
fn predictions_are_those_of_the_page() {
    for (name, chip, tflops, busy) in [
        ("attention 8k D128", "ascend910b", 148.9, 41.0),
        ("half 128 x 256 sums", "ascend910b", 254.9, 70.1),
        ("half 128 x 256 sums", "ascend910b4", 223.5, 73.7),
    ] {
        let (t, b) = predicted(name, chip);
        assert!(
            (t - tflops).abs() < 0.1 && (b - busy).abs() < 0.1,
            "{name} on {chip}: {t:.1} TFLOPS, {b:.1} %"
        );
    }
}
