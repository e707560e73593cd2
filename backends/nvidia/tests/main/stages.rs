//! Stages of the GPU level as text: what is dumped reads back, and an edited stage is compiled on from.

use super::dots::matmul;
use kcc_backend_tests::kernels::attention_to;
use kcc_compiler::ktg::{print, read};
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::fuzz::{Profile, generate};
use kcc_dsl::ir::{Elem, Kernel, ParamKind};
use kcc_nvidia::Nvidia;
use std::collections::BTreeMap;
use std::sync::Mutex;

fn compile(kernel: &Kernel, target: &str, options: &Options) -> Result<Artifact, String> {
    let gpu = Nvidia::open(target).ok_or("no such target")?;
    let args = kernel.params.iter().map(|p| match p.kind {
        ParamKind::View { rank, .. } => ArgSpec::ideal(rank),
        ParamKind::Scalar(_) => ArgSpec::default(),
    });
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.into(),
        args: args.collect(),
        options: BTreeMap::new(),
    };
    Session::new().compile(&request, &gpu, options).map_err(|e| format!("{e:?}"))
}

/// Names and texts of the stages of the GPU level.
fn stages(kernel: &Kernel, target: &str) -> Vec<(String, String)> {
    let all = Mutex::new(Vec::new());
    let observer = |name: &str, text: &str| {
        if text.starts_with("ktg ") {
            all.lock().expect("one thread").push((name.to_owned(), text.to_owned()));
        }
    };
    let options =
        Options { observer: Some(&observer), stop_after: Some("lower".into()), ..Options::default() };
    compile(kernel, target, &options).expect("compiles");
    all.into_inner().expect("one thread")
}

fn reads_back(kernel: &Kernel, target: &str) {
    let all = stages(kernel, target);
    assert!(all.len() > 3, "the passes are stages");
    for (name, text) in all {
        let func = read::from_text(&text, &name).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        assert_eq!(print::to_text(&func), text, "{name}");
    }
}

#[test]
fn every_stage_of_products_and_attention_reads_back() {
    for target in ["nvidia:sm_80", "nvidia:sm_90a"] {
        reads_back(&matmul(Elem::F16, (64, 64, 32)), target);
        reads_back(&attention_to(Elem::BF16, Elem::BF16, 64, 64, 64), target);
    }
}

#[test]
fn every_stage_of_random_kernels_reads_back() {
    for seed in 0..12 {
        let case = generate(seed, &Profile { dot: false, ..Profile::default() }).expect("a valid kernel");
        reads_back(&case.kernel, "nvidia:sm_80");
    }
}

#[test]
fn a_stage_replaced_by_its_own_text_gives_the_same_code() {
    let kernel = matmul(Elem::F16, (64, 64, 32));
    let plain = compile(&kernel, "nvidia:sm_80", &Options::default()).expect("compiles");
    let all = stages(&kernel, "nvidia:sm_80");
    let (name, text) = all.iter().find(|(n, _)| n.ends_with("assign_layouts")).expect("a stage");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("edited.ktg");
    std::fs::write(&path, text).expect("writable");
    let replace = vec![(name.clone(), path.clone())];
    let again = compile(&kernel, "nvidia:sm_80", &Options { replace: replace.clone(), ..Options::default() });
    assert_eq!(again.expect("compiles").bytes, plain.bytes);
    // An edit shows.
    std::fs::write(&path, text.replacen("\"symbol\":\"matmul\"", "\"symbol\":\"renamed\"", 1))
        .expect("writable");
    let edited =
        compile(&kernel, "nvidia:sm_80", &Options { replace, ..Options::default() }).expect("compiles");
    assert!(String::from_utf8_lossy(&edited.bytes).contains(".entry renamed("));
}

#[test]
fn a_spoiled_stage_is_refused_with_its_line() {
    let all = stages(&matmul(Elem::F16, (64, 64, 32)), "nvidia:sm_80");
    let (_, text) = &all[0];
    let line = text.lines().position(|l| l.contains("\"Load\"")).expect("a load") + 1;
    let spoiled: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, l)| if i + 1 == line { l.replace("(%0", "(%9999") } else { l.to_owned() })
        .collect();
    let e = read::from_text(&spoiled.join("\n"), "s.ktg").expect_err("refused").to_string();
    assert!(e.starts_with(&format!("s.ktg:{line}:1: ")) && e.contains("%9999 is not defined"), "{e}");
    for cut in (0..text.len()).step_by(97).filter(|c| text.is_char_boundary(*c)) {
        let _ = read::from_text(&text[..cut], "s.ktg"); // an error or not, but no panic
    }
}
