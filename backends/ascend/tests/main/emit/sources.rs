//! The folder's script with an ordinary compiler: every case of the folder gives the simulator's results, bit for bit, whether pipes run
//! as late or as early as events and flags allow; and what is wrong in a source shows.

use crate::args::Args;
use crate::harness::program;
use crate::kit::cases::{self, Case};
use crate::kit::folder;
use kcc_davinci::ir::{CoreKind, Instr, Stmt};
use kcc_dsl::fuzz::{Profile, generate};
use kcc_dsl::ir::Elem;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The folder's script.
fn script(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let compiler = std::env::var("KIT_CXX").unwrap_or_else(|_| "g++".into());
    let mut c = Command::new("bash");
    c.arg(dir.join("run.sh")).args(arguments).env("KIT_CXX", compiler).envs(variables.iter().copied());
    c.output().unwrap_or_else(|e| panic!("bash does not start: {e}"))
}

/// The checker that the script built.
fn check(dir: &Path, cases: &[&str], order: &str) -> Output {
    let mut c = Command::new(dir.join("build/check"));
    c.arg("--exact").args(cases.iter().map(|c| dir.join("cases").join(c))).env("KCC_STANDIN", order);
    c.output().unwrap_or_else(|e| panic!("the checker does not start: {e}"))
}

fn said(o: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
}

/// Random kernels that the chip takes.
fn random(seeds: std::ops::Range<u64>) -> Vec<Case> {
    let elems = vec![Elem::F32, Elem::F16, Elem::BF16, Elem::I32];
    let profile = Profile { elems, atomics: false, steps: 10, ..Profile::default() };
    let mut out = Vec::new();
    for seed in seeds {
        let case = generate(seed, &profile).expect("the generator makes valid kernels");
        let mut kernel = case.kernel;
        kernel.name = format!("random_{seed}");
        if program(&kernel, &case.args).is_err() {
            continue;
        }
        let args = Args { buffers: case.buffers, args: case.args };
        let name = format!("random-{seed}");
        // The simulator's results are what counts here; eager mode is another test's.
        let c =
            Case { name, kernel, grid: case.grid, blocks: 2, args, relative: f64::MAX, absolute: f64::MAX };
        out.push(c);
    }
    out
}

#[test]
fn sources_give_the_simulators_results() {
    let dir = dir("ascend-kit");
    let mut cases = cases::all();
    let shipped = cases.len();
    cases.extend(random(0..24));
    assert!(cases.len() >= shipped + 8, "{} random kernels", cases.len() - shipped);
    folder::write(&dir, &cases).unwrap_or_else(|e| panic!("{e}"));
    let late = script(&dir, &["--exact"], &[]);
    assert!(late.status.success(), "{}", said(&late));
    assert!(said(&late).contains(&format!("{0} of {0} cases right", cases.len())), "{}", said(&late));
    let names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    let early = check(&dir, &names, "early");
    assert!(early.status.success(), "{}", said(&early));
}

/// Variants of a text, each with what was changed: an event or flag left out, or a number one larger.
fn broken(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: Vec<&str>| lines.join("\n") + "\n";
    let mut out = Vec::new();
    let orders = |l: &str| ["SetFlag", "WaitFlag"].iter().any(|w| l.contains(w));
    for (i, l) in lines.iter().enumerate().filter(|(_, l)| orders(l)) {
        let mut all = lines.clone();
        all.remove(i);
        out.push((l.trim().to_owned(), join(all)));
    }
    // In the first or the last call of that kind.
    let calls: [(&str, bool, &[&str]); 5] = [
        ("NdToNz(/*", false, &["dValue", "srcDValue", "dstNzC0Stride", "dstNzNStride"]),
        ("Fractals(/*", true, &["startIndex", "repeatTimes", "srcStride", "dstGap"]),
        ("Product(/*", true, &["m", "n", "k"]),
        ("Rows(/*", true, &["nSize", "mSize", "srcStride", "dstStride"]),
        ("Pieces(/*", false, &["blockCount", "blockLen", "srcStride", "dstStride"]),
    ];
    for (call, last, fields) in calls {
        let start = if last { text.rfind(call) } else { text.find(call) }.expect("the call");
        for field in fields {
            let word = format!("/*{field}=*/");
            let at = start + text[start..].find(&word).expect("the field") + word.len();
            let (head, tail) = text.split_at(at);
            out.push((format!("{call} {word}"), format!("{head}1 + {tail}")));
        }
    }
    out
}

#[test]
fn what_is_wrong_in_a_source_shows() {
    let dir = dir("ascend-broken");
    let case = cases::all().into_iter().find(|c| c.name == "matmul-f16-70x75x150").expect("the case");
    let p = program(&case.kernel, &case.args.args).expect("it compiles");
    let symbol = kcc_ascend::emit::symbol(&p);
    let whole = folder::source(&p).expect("it has a source");
    let variants = broken(&whole);
    // All variants in one unit of the compiler, each under a name of its own.
    let name = |i: usize| format!("{symbol}_v{i}");
    let all: String = variants.iter().enumerate().map(|(i, (_, t))| t.replace(&symbol, &name(i))).collect();
    folder::write_with(&dir, &[case], &|_, text| text + &all).unwrap_or_else(|e| panic!("{e}"));
    let list: String = (0..variants.len()).map(|i| format!("KERNEL({})\n", name(i))).collect();
    std::fs::write(dir.join("kernels.inc"), format!("KERNEL({symbol})\n{list}")).expect("written");
    let built = script(&dir, &["--exact"], &[("KIT_FLAGS", "-O0")]);
    assert!(built.status.success(), "{}", said(&built));
    let right = std::fs::read_to_string(dir.join("cases/matmul-f16-70x75x150/case.txt")).expect("the case");
    let mut unseen = Vec::new();
    for (i, (what, _)) in variants.iter().enumerate() {
        let case = dir.join("cases/matmul-f16-70x75x150/case.txt");
        std::fs::write(case, right.replace(&symbol, &name(i))).expect("written");
        if check(&dir, &["matmul-f16-70x75x150"], "late").status.success() {
            unseen.push(format!("{i}: {what}"));
        }
    }
    assert!(variants.len() > 40, "{}", variants.len());
    assert!(unseen.is_empty(), "{} of {}:\n{}", unseen.len(), variants.len(), unseen.join("\n"));
}

/// One kernel that the compiler refuses says nothing of the others.
#[test]
fn what_the_compiler_refuses_is_left_out_and_named() {
    let dir = dir("ascend-refused");
    let pick = |name: &str| cases::all().into_iter().find(|c| c.name == name).expect("the case");
    let (good, bad) = (pick("add-f32-5x70"), pick("softmax-f16-3x17"));
    let symbol = kcc_ascend::emit::symbol(&program(&bad.kernel, &bad.args.args).expect("it compiles"));
    let name = bad.name.clone();
    let spoil = |c: &Case, text: String| if c.name == name { text + "#error no\n" } else { text };
    folder::write_with(&dir, &[good, bad], &spoil).unwrap_or_else(|e| panic!("{e}"));
    let o = script(&dir, &["--exact"], &[("KIT_FLAGS", "-O0")]);
    assert_eq!(o.status.code(), Some(1), "{}", said(&o));
    let named = format!("left out with their cases, since the compiler refuses them: {symbol}\n");
    assert!(said(&o).contains(&named) && said(&o).contains("1 of 1 cases right"), "{}", said(&o));
}

/// What orders pipes stands in a source as often as in its program, barriers too: the stand-in runs a pipe's work in order, so that it
/// would not miss one.
#[test]
fn sources_hold_every_event_and_barrier() {
    for case in cases::all() {
        let p = program(&case.kernel, &case.args.args).expect("it compiles");
        let text = folder::source(&p).expect("it has a source");
        let mut want = [0usize; 3];
        for kind in [CoreKind::Cube, CoreKind::Vector] {
            p.walk(kind, &mut |s| match s {
                Stmt::Issue { instr: Instr::Barrier(_), .. } => want[0] += 1,
                Stmt::Issue { instr: Instr::Set(_) | Instr::CrossSet(_), .. } => want[1] += 1,
                Stmt::Issue { instr: Instr::Wait(_) | Instr::CrossWait(_), .. } => want[2] += 1,
                _ => {}
            });
        }
        let count = |words: &[&str]| words.iter().map(|w| text.matches(w).count()).sum::<usize>();
        let got = [
            count(&["PipeBarrier<"]),
            count(&["::SetFlag<", "::CrossCoreSetFlag<"]),
            count(&["::WaitFlag<", "::CrossCoreWaitFlag("]),
        ];
        assert_eq!(got, want, "{}", case.name);
    }
}
