//! The kit from end to end: made by the program, then run from its folder.

use std::path::Path;
use std::process::{Command, Output};

fn kit(args: &[&str], folder: &Path) -> Output {
    let path = folder.to_str().expect("a path in UTF-8");
    let args = args.iter().map(|a| if *a == "KIT" { path } else { a });
    Command::new(env!("CARGO_BIN_EXE_kcc-gpu-kit")).args(args).output().expect("the program runs")
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn results(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("results.json")).expect("results were written");
    serde_json::from_str(&text).expect("JSON")
}

/// A few of each family; products and attention at tile shapes that only the kit has.
const FEW: [&str; 12] = [
    "--only",
    "matmul bf16 64x64x64",
    "--only",
    "matmul f16 128x128x64 warps=4",
    "--only",
    "attention bf16 d64 full 64x64",
    "--only",
    "softmax f16 3x17",
    "--only",
    "rms_norm bf16",
    "--only",
    "permute",
];

#[test]
fn what_was_built_for_the_simulator_agrees_there_without_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let built = kit(&[&["build", "KIT", "--target", "sim:sm_90a"][..], &FEW].concat(), dir.path());
    assert!(built.status.success(), "{}", said(&built));
    assert!(dir.path().join("sim-sm_90a.kit").is_file());

    let run = |more: &[&str]| {
        let args = [&["run", "--kit", "KIT", "--device", "sim:sm_90a"][..], &FEW, more].concat();
        let path = dir.path().to_str().unwrap();
        let args = args.iter().map(|a| if *a == "KIT" { path } else { a });
        // What is not in the kit cannot come from anywhere else.
        let mut program = Command::new(env!("CARGO_BIN_EXE_kcc-gpu-kit"));
        program.args(args).env("KCC", "/no/such/compiler").output().expect("the program runs")
    };
    let ran = run(&[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let report = results(dir.path());
    assert!(report["right"].as_u64() >= Some(10), "{report}");
    assert_eq!(report["wrong"], serde_json::json!([]));
    // Nothing else was built: it is named, and the exit status says so.
    let ran = run(&["--only", "embedding f32 17"]);
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    assert!(said(&ran).contains("is not in this kit"), "{}", said(&ran));
}

#[test]
fn kernels_that_do_not_fit_a_chip_are_told_from_wrong_ones() {
    let dir = tempfile::tempdir().unwrap();
    // 128 queries and 64 keys and values of 256 elements: 128 KiB; a block has 99.
    let only = ["--only", "attention bf16 d256 full 128x64"];
    let built = kit(&[&["build", "KIT", "--target", "sim:sm_89"][..], &only].concat(), dir.path());
    assert!(built.status.success(), "{}", said(&built));
    let ran = kit(&[&["run", "--kit", "KIT", "--device", "sim:sm_89"][..], &only].concat(), dir.path());
    assert!(ran.status.success(), "{}", said(&ran));
    let unfit = results(dir.path())["unfit"].to_string();
    assert!(unfit.contains("bytes of shared memory"), "{unfit}");
}

#[test]
fn without_a_driver_or_a_kit_it_says_so_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let none = kit(&["run", "--kit", "KIT", "--device", "sim:sm_90a"], dir.path());
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none).contains("no kit is here"), "{}", said(&none));
    let unknown = kit(&["run", "--kit", "KIT", "--device", "sim:sm_1"], dir.path());
    assert_eq!(unknown.status.code(), Some(2));
    if Path::new("/proc/driver/nvidia").exists() {
        return;
    }
    let gpu = kit(&["run", "--kit", "KIT"], dir.path());
    assert_eq!(gpu.status.code(), Some(2));
    let text = said(&gpu);
    assert!(text.contains("NVIDIA driver") && text.contains("libcuda.so.1"), "{text}");
}

/// The main loops of products and attention are no worse than `benches/gpu/static.json` says. Needs NVIDIA's assembler, which
/// `make test` brings, and a Python without packages.
#[test]
fn machine_code_is_no_worse_than_what_is_pinned() {
    if std::env::var_os("KCC_PTXAS").is_none() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu/static.py");
    let python = std::env::var_os("KCC_PYTHON").unwrap_or_else(|| "python3".into());
    let only = [
        "--chips",
        "sm_90a,sm_80,gfx942,gfx950",
        "--only",
        "matmul bf16",
        "--only",
        "attention bf16 d128 4096 full",
    ];
    let mut program = Command::new(python);
    program.arg(script).args(["--kit", env!("CARGO_BIN_EXE_kcc-gpu-kit"), "--check"]).args(only);
    let out = program.output().expect("Python runs");
    assert!(out.status.success() && said(&out).contains("no worse than"), "{}", said(&out));
}
