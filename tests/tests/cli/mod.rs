//! The `kcc` program as a user meets it: results, messages, exit codes, and no half-written files.

mod layout;

use kcc::jit::find_kcc;
use kcc::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// y = x + s where x is positive. Grid: (blocks of 32).
#[kernel]
fn shift(x: &View<f32, 1>, y: &mut View<f32, 1>, s: Scalar<f32>) {
    let at = program_id(0) * 32;
    let v = x.load::<32>(at);
    kassert!(v >= 0.0, "x must not be negative");
    y.store(at, v + s);
}

/// c = a · b in blocks of 64 by 64.
#[kernel]
fn crowded(a: &View<bf16, 2>, b: &View<bf16, 2>, c: &mut View<f32, 2>) {
    let mut acc = Matrix::<f32, 64, 64>::zeros();
    for k in (0..a.dim(1)).step_by(64) {
        acc = dot_acc(a.load::<64, 64>((0, k)), b.load::<64, 64>((k, 0)), acc);
    }
    c.store((0, 0), acc);
}

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        let text = kcc_compiler::import::to_text(&shift::kernel().trace().unwrap()).unwrap();
        std::fs::write(bench.path("shift.mlir"), text).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn kcc(&self, args: &[&str]) -> Output {
        let mut command = Command::new(find_kcc().unwrap());
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("KCC_CACHE_DIR", self.path("cache"))
            .output()
            .unwrap()
    }

    /// Runs a command that must fail with code 1; its message.
    fn refused(&self, args: &[&str]) -> String {
        let out = self.kcc(args);
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {message}");
        assert!(!message.contains("panicked"), "{message}");
        message
    }

    /// Runs a command that must succeed; its output.
    fn done(&self, args: &[&str]) -> String {
        let out = self.kcc(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_slice(&self.kcc(args).stdout).unwrap()
    }
}

const RUN: [&str; 4] = ["run", "shift.mlir", "--grid", "2"];

#[test]
fn a_kernel_runs_on_described_inputs_and_agrees_with_eager_mode() {
    let b = Bench::new();
    let args = ["--arg", "x=iota:40", "--arg", "y=empty:40", "--arg", "s=0.5", "--check", "--out", "out"];
    let text = b.done(&[&RUN[..], &args].concat());
    assert!(text.contains("f32[40]") && text.contains("39.5"), "{text}");
    // What it wrote is an input again.
    let args = ["--arg", "x=out/y.npy", "--arg", "y=empty:40", "--arg", "s=1", "--json"];
    let value = b.json(&[&RUN[..], &args].concat());
    assert_eq!(value["outputs"][0]["max"], 40.5, "{value}");
    assert_eq!(value["outputs"][0]["dims"], serde_json::json!([40]));
}

#[test]
fn bad_arguments_of_a_run_are_named() {
    let b = Bench::new();
    let run = |args: &[&str]| b.refused(&[&RUN[..], args].concat());
    assert!(run(&["-a", "x=iota:4", "-a", "s=1"]).contains("`y` is missing"));
    assert!(
        run(&["-a", "x=iota:4", "-a", "y=empty:4", "-a", "s=1", "-a", "t=1"]).contains("no parameter `t`")
    );
    assert!(run(&["-a", "x=iota:4", "-a", "y=empty:4", "-a", "s=much"]).contains("`much` is no f32"));
    assert!(run(&["-a", "x=iota:2x2", "-a", "y=empty:4", "-a", "s=1"]).contains("argument `x`"));
    assert!(run(&["-a", "x=none.npy", "-a", "y=empty:4", "-a", "s=1"]).contains("none.npy"));
    std::fs::write(b.path("bad.npy"), b"\x93NUMPY").unwrap();
    assert!(run(&["-a", "x=bad.npy", "-a", "y=empty:4", "-a", "s=1"]).contains("bad.npy"));
    let ok = ["-a", "x=iota:4", "-a", "y=empty:4", "-a", "s=1"];
    assert!(run(&[&ok[..], &["--device", "tpu"]].concat()).contains("`tpu`"));
    assert!(run(&[&ok[..], &["--target", "cpu:z80"]].concat()).contains("cpu:z80"));
    let zero = b.refused(&[&["run", "shift.mlir", "--grid", "0"][..], &ok].concat());
    assert!(zero.contains("grid of 0x1x1"), "{zero}");
}

#[test]
fn a_failed_assertion_shows_the_line() {
    let b = Bench::new();
    let args = ["-a", "x=random:40", "-a", "y=empty:40", "-a", "s=1"];
    for device in ["cpu", "eager", "emu:gfx942"] {
        let message = b.refused(&[&RUN[..], &args, &["--device", device]].concat());
        assert!(message.contains("x must not be negative") && message.contains("mod.rs"), "{message}");
    }
}

#[test]
fn build_writes_each_kind_of_output_whole() {
    let b = Bench::new();
    for (emit, file, holds) in [
        ("obj", "shift.o", "\x7fELF"),
        ("so", "shift.so", "\x7fELF"),
        ("asm", "shift.s", "shift:"),
        ("llvm-ir", "shift.ll", "define"),
        ("mlir", "shift.mlir", "func"),
        ("kt", "shift.mlir", "kt.load"),
    ] {
        let out = format!("out-{emit}");
        let said = b.done(&["build", "shift.mlir", "--emit", emit, "-o", &out]);
        assert!(said.contains(file), "{said}");
        let bytes = std::fs::read(b.path(&out).join(file)).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(holds), "{emit}");
        let manifest = b.path(&out).join("shift.json").exists();
        assert_eq!(manifest, matches!(emit, "obj" | "so"), "{emit}");
        let names = std::fs::read_dir(b.path(&out)).unwrap().count();
        assert_eq!(names, if manifest { 2 } else { 1 }, "{emit}: nothing but the results");
    }
    let list =
        b.json(&["build", "shift.mlir", "-t", "cpu:x86-64-v3", "-t", "cpu:x86-64-v4", "-o", "two", "--json"]);
    assert_eq!(list["files"].as_array().map(Vec::len), Some(2), "{list}");
    assert!(b.path("two/cpu-x86-64-v3/shift.o").exists() && b.path("two/cpu-x86-64-v4/shift.o").exists());
}

#[test]
fn registers_kept_in_memory_are_warned_of_at_the_tile() {
    let b = Bench::new();
    let text = kcc_compiler::import::to_text(&crowded::kernel().trace().unwrap()).unwrap();
    std::fs::write(b.path("crowded.mlir"), text).unwrap();
    // A linked code object says itself what it keeps.
    let build = |warps: &str| {
        let options = ["--option", "registers=192", "--option", warps];
        b.kcc(&[&["build", "crowded.mlir", "-t", "amd:gfx1100", "-o", "amd"][..], &options].concat())
    };
    let out = build("warps=1");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && b.path("amd/crowded.hsaco").exists(), "{said}");
    assert!(said.contains("`crowded` keeps") && said.contains("with option registers=192"), "{said}");
    assert!(said.contains("mod.rs") && said.contains("f32[64, 64]"), "{said}");
    assert!(said.contains("--option warps=2 keeps them all"), "{said}");
    let out = build("warps=2");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    if ptxas().is_none() {
        return;
    }
    let build = |file: &str, option: &str| {
        b.kcc(&["build", file, "-t", "nvidia:sm_80", "--emit", "cubin", "--option", option, "-o", "out"])
    };
    let out = build("crowded.mlir", "registers=48");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && b.path("out/crowded.cubin").exists(), "{said}");
    assert!(said.contains("`crowded` keeps") && said.contains("f32[64, 64]"), "{said}");
    assert!(said.contains("mod.rs") && said.contains("--option warps=8 keeps them all"), "{said}");
    let out = build("crowded.mlir", "warps=8");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_failed_build_leaves_nothing() {
    let b = Bench::new();
    assert!(b.refused(&["build", "shift.mlir", "-t", "cpu:z80", "-o", "out"]).contains("cpu:z80"));
    let whole = std::fs::read_to_string(b.path("shift.mlir")).unwrap();
    std::fs::write(b.path("half.mlir"), &whole[..whole.len() / 2]).unwrap();
    assert!(b.refused(&["build", "half.mlir", "-o", "out"]).contains("half.mlir"));
    assert!(b.refused(&["build", "missing.mlir", "-o", "out"]).contains("missing.mlir"));
    assert!(b.refused(&["build", ".", "-o", "out"]).contains("Cargo.toml"));
    // An assertion has no form there; a source has none for the simulator.
    let npu = b.refused(&["build", "shift.mlir", "-t", "ascend:910b", "--emit", "asc", "-o", "out"]);
    assert!(npu.contains("assert") && npu.contains("eager"), "{npu}");
    let npu = b.refused(&["build", "shift.mlir", "-t", "sim:ascend910b", "--emit", "asc", "-o", "out"]);
    assert!(npu.contains("no AscendC sources for sim:ascend910b"), "{npu}");
    assert!(!b.path("out").exists());
    std::fs::write(b.path("file"), b"").unwrap();
    assert!(b.refused(&["build", "shift.mlir", "-o", "file/below"]).contains("file"));
}

#[test]
fn what_cannot_be_built_does_not_keep_the_rest_from_it() {
    let b = Bench::new();
    let args =
        ["build", "shift.mlir", "--emit", "so", "-t", "nvidia:sm_80", "-t", "cpu:x86-64-v3", "-o", "out"];
    let message = b.refused(&args);
    assert_eq!(message.matches("no shared objects for nvidia:sm_80").count(), 1, "{message}");
    assert!(b.path("out/cpu-x86-64-v3/shift.so").exists());
    // Each target says what it has instead.
    for (target, emit, what, instead) in [
        ("amd:gfx942", "cubin", "no cubins", "one of obj, asm, llvm-ir, mlir, kt; PTX and cubins"),
        ("amd:gfx942", "so", "no shared objects", "one of obj, asm, llvm-ir, mlir, kt"),
        ("cpu", "ptx", "no PTX texts", "one of obj, so, asm, llvm-ir, mlir, kt; PTX and cubins"),
        ("nvidia:sm_86", "obj", "no object files", "one of asm, ptx, cubin, llvm-ir, mlir, kt"),
        ("ascend:910b", "llvm-ir", "no LLVM modules", "one of asc, kt"),
    ] {
        let said = b.refused(&["build", "shift.mlir", "--emit", emit, "-t", target, "-o", "none"]);
        assert!(said.contains(what) && said.contains(target) && said.contains(instead), "{said}");
    }
    b.done(&["build", "shift.mlir", "-t", "amd:gfx942", "--emit", "hsaco", "-o", "amd"]);
    assert!(b.path("amd/shift.hsaco").exists());
}

#[test]
fn opt_dump_and_targets_show_what_they_name() {
    let b = Bench::new();
    assert!(b.done(&["opt", "shift.mlir", "--pass", "canonicalize,cse"]).contains("kt.load"));
    assert!(b.refused(&["opt", "shift.mlir", "--pass", "fold"]).contains("passes are"));
    b.done(&["opt", "shift.mlir", "--pass", "dce", "-o", "after.mlir"]);
    assert!(b.done(&["opt", "after.mlir"]).contains("kt.load"));
    let stages = b.done(&["dump", "shift.mlir"]);
    for stage in ["00-import", "lower", "llvm-ir", "assembly"] {
        assert!(stages.contains(stage), "{stage}");
    }
    b.done(&["dump", "shift.mlir", "--out", "stages"]);
    assert!(b.path("stages/00-import.mlir").exists());
    // A stage resumes from an edited file.
    let edited = std::fs::read_to_string(b.path("stages/00-import.mlir")).unwrap();
    std::fs::write(b.path("edited.mlir"), edited.replace("arith.addf", "arith.mulf")).unwrap();
    let after =
        b.done(&["dump", "shift.mlir", "--replace", "00-import=edited.mlir", "--stop-after", "05-dce"]);
    assert!(after.contains("arith.mulf"), "{after}");
    assert!(b.done(&["targets"]).contains("cpu:native"));
    assert!(b.json(&["targets", "--json"]).as_array().is_some_and(|l| l.len() >= 4));
}

#[test]
fn an_npu_is_built_for_dumped_resumed_and_run() {
    let b = Bench::new();
    // Without the assertion, which an NPU cannot make.
    let text = std::fs::read_to_string(b.path("shift.mlir")).unwrap();
    let plain: Vec<&str> = text.lines().filter(|l| !l.contains("kt.assert")).collect();
    std::fs::write(b.path("plain.mlir"), plain.join("\n")).unwrap();
    assert!(b.done(&["check", "plain.mlir", "-t", "ascend:910b"]).contains("ok"));
    b.done(&["build", "plain.mlir", "-t", "ascend:910b", "-o", "out"]);
    let source = std::fs::read_to_string(b.path("out/shift.asc")).unwrap();
    assert!(source.contains("InitSocState") && source.contains("_launch_slots"), "{source}");
    let manifest = std::fs::read_to_string(b.path("out/shift.json")).unwrap();
    assert!(manifest.contains("most_blocks") && manifest.contains("workspace_bytes"), "{manifest}");
    // Each stage is a file, and compiling goes on from an edited one.
    let dump = ["dump", "plain.mlir", "-t", "ascend:910b"];
    b.done(&[&dump[..], &["--out", "stages"]].concat());
    for stage in ["00-import.mlir", "06-lower.davinci", "09-assign_addresses.davinci", "10-order.davinci"] {
        assert!(b.path("stages").join(stage).exists(), "{stage}");
    }
    let lowered = std::fs::read_to_string(b.path("stages/06-lower.davinci")).unwrap();
    let vectors = |text: &str, op: &str| {
        text.lines().filter(|l| l.contains("v_scalar") && l.contains(&format!("op={op} "))).count()
    };
    assert_eq!((vectors(&lowered, "add"), vectors(&lowered, "mul")), (1, 0), "{lowered}");
    let edited: Vec<String> = lowered
        .lines()
        .map(|l| if l.contains("v_scalar") { l.replace("op=add", "op=mul") } else { l.to_owned() })
        .collect();
    std::fs::write(b.path("edited.davinci"), edited.join("\n")).unwrap();
    let after = b.done(&[&dump[..], &["--replace", "06-lower=edited.davinci"]].concat());
    let ordered = after.split("10-order").last().unwrap();
    assert_eq!((vectors(ordered, "add"), vectors(ordered, "mul")), (0, 1), "{ordered}");
    std::fs::write(b.path("half.davinci"), &lowered[..lowered.len() / 2]).unwrap();
    let half = b.refused(&[&dump[..], &["--replace", "06-lower=half.davinci"]].concat());
    assert!(half.contains("half.davinci") && half.contains("compare with the stage"), "{half}");
    // The simulator runs it, and writes what its pipes did.
    let args = ["run", "plain.mlir", "--grid", "2", "-a", "x=iota:40", "-a", "y=empty:40", "-a", "s=0.5"];
    let ran = b.done(&[&args[..], &["--device", "sim:ascend910b", "--check", "--trace", "t.json"]].concat());
    assert!(ran.contains("39.5") && ran.contains("not measured"), "{ran}");
    let trace = std::fs::read_to_string(b.path("t.json")).unwrap();
    assert!(trace.contains("mte3"), "{trace}");
    assert!(b.done(&["targets"]).contains("sim:ascend910b4"));
}

#[test]
fn usage_errors_exit_with_2_and_messages_come_as_json_on_request() {
    let b = Bench::new();
    for args in [&[][..], &["frobnicate"], &["run", "shift.mlir"], &["run", "shift.mlir", "--grid", "a"]] {
        assert_eq!(b.kcc(args).status.code(), Some(2), "{args:?}");
    }
    let value = b.json(&["build", "missing.mlir", "--json"]);
    assert_eq!(value["ok"], false);
    assert!(
        value["diagnostics"][0]["message"].as_str().is_some_and(|m| m.contains("missing.mlir")),
        "{value}"
    );
    assert!(b.done(&["--version"]).starts_with("kcc "));
}

#[test]
fn a_crate_of_kernels_is_checked_built_and_run() {
    let b = Bench::new();
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels").canonicalize().unwrap();
    let kernels = kernels.to_str().unwrap();
    let checked = b.json(&["check", kernels, "--target", "cpu:x86-64-v3", "--json"]);
    assert_eq!(checked["ok"], true, "{checked}");
    assert!(checked["kernels"].as_array().is_some_and(|l| l.len() > 20), "{checked}");
    let one = ["--kernel", "softmax_tile<f32, 4096>", "--json"];
    let ran =
        [&["run", kernels, "--grid", "3", "-a", "x=random:3x17", "-a", "y=empty:3x17", "--check"][..], &one];
    let ran = b.json(&ran.concat());
    assert_eq!(ran["outputs"][0]["dims"], serde_json::json!([3, 17]), "{ran}");
    assert!(b.refused(&["build", kernels, "--kernel", "nothing", "-o", "out"]).contains("softmax_tile"));
}

/// The assembler: `KCC_PTXAS`, or the one on the path.
fn ptxas() -> Option<PathBuf> {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("ptxas")).find(|file| file.is_file())
    };
    std::env::var_os("KCC_PTXAS").map(PathBuf::from).or_else(on_path)
}

/// What the assembler objects to in a file: errors, products that it serialises (`C75xx`), spills.
fn objections(ptxas: &Path, file: &Path, arch: &str) -> Option<String> {
    let out =
        Command::new(ptxas).arg(format!("-arch={arch}")).args(["-v", "-o", "/dev/null"]).arg(file).output();
    let out = out.expect("ptxas runs");
    let log = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let spills =
        log.lines().any(|l| l.contains("spill") && !l.contains("0 bytes spill stores, 0 bytes spill loads"));
    (!out.status.success() || log.contains("C75") || spills).then(|| format!("{}:\n{log}", file.display()))
}

#[test]
fn every_shipped_instance_is_ptx_that_assembles_without_spills() {
    let b = Bench::new();
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels").canonicalize().unwrap();
    let mut args = vec!["build", kernels.to_str().unwrap(), "-o", "ptx"];
    let chips = ["sm_80", "sm_89", "sm_90a"];
    let targets = chips.map(|c| format!("nvidia:{c}"));
    args.extend(targets.iter().flat_map(|t| ["--target", t.as_str()]));
    b.done(&args);
    let mut files = Vec::new();
    for chip in chips {
        let folder = std::fs::read_dir(b.path("ptx").join(format!("nvidia-{chip}"))).unwrap();
        let all: Vec<PathBuf> = folder.map(|f| f.unwrap().path()).collect();
        let ptx: Vec<PathBuf> =
            all.into_iter().filter(|f| f.extension().is_some_and(|e| e == "ptx")).collect();
        assert!(ptx.len() > 50, "{chip}: {} files", ptx.len());
        files.extend(ptx.into_iter().map(|f| (f, chip)));
    }
    // `make test` installs one; elsewhere there may be none.
    let Some(ptxas) = ptxas() else { return };
    let half = files.len() / 2;
    let run = |part: &[(PathBuf, &str)]| -> Vec<String> {
        part.iter().filter_map(|(f, chip)| objections(&ptxas, f, chip)).collect()
    };
    let wrong = std::thread::scope(|s| {
        let first = s.spawn(|| run(&files[..half]));
        let mut wrong = run(&files[half..]);
        wrong.extend(first.join().expect("no panic"));
        wrong
    });
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}
