//! Each pass of the GPU level on a function of its own: text in, text out.
//!
//! `<folder>/<pass>.<case>.ktg` is what the pass gets, `….out` what it makes of it. `BLESS=1` rewrites what comes
//! out; `BLESS=inputs` makes the inputs anew too, from the kernels by the passes that run before.

use kcc_compiler::Target;
use kcc_compiler::gpu::GpuOptions;
use kcc_compiler::ktg::{Func, import, print, read, verify};
use kcc_compiler::passes::gpu::PASSES;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Kernel, ParamKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One pass on one kernel.
pub struct Case {
    /// The pass.
    pub pass: &'static str,
    /// What the case shows.
    pub name: &'static str,
    /// What the input is made of.
    pub kernel: fn() -> Kernel,
    /// The target.
    pub target: &'static str,
    /// Options.
    pub knobs: &'static [(&'static str, &'static str)],
}

impl Case {
    fn path(&self, folder: &Path, extension: &str) -> PathBuf {
        folder.join(format!("{}.{}.{extension}", self.pass, self.name))
    }

    fn options(&self) -> GpuOptions {
        let knobs: BTreeMap<String, String> =
            self.knobs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        GpuOptions::parse(&knobs).expect("known options")
    }

    fn run(&self, func: &mut Func, target: &dyn Target, passes: std::ops::Range<usize>) {
        let gpu = target.gpu().expect("a GPU");
        for pass in &PASSES[passes] {
            (pass.run)(func, gpu, &self.options()).unwrap_or_else(|e| panic!("{}: {e:?}", pass.name));
            verify::verify(func).unwrap_or_else(|e| panic!("after {}: {e:?}", pass.name));
        }
    }

    fn index(&self) -> usize {
        PASSES.iter().position(|p| p.name == self.pass).expect("a pass of that name")
    }

    /// What the passes before make of the kernel, without places in this repository's tests.
    fn input(&self, target: &dyn Target) -> Func {
        let kernel = (self.kernel)();
        let args: Vec<ArgSpec> = kernel
            .params
            .iter()
            .map(|p| match p.kind {
                ParamKind::View { rank, .. } => ArgSpec::ideal(rank),
                ParamKind::Scalar(_) => ArgSpec::default(),
            })
            .collect();
        let mut func = import::import(&kernel, &args, self.options().warps.unwrap_or(4));
        self.run(&mut func, target, 0..self.index());
        func.locs.truncate(1);
        func.locs[0].file = "kernel.rs".into();
        func.walk_mut(&mut |op| op.loc = Default::default());
        func
    }
}

/// Runs each case and compares what it makes with the folder's files.
pub fn check(cases: &[Case], folder: &Path, open: &dyn Fn(&str) -> Box<dyn Target>) {
    let bless = std::env::var("BLESS").unwrap_or_default();
    for case in cases {
        let target = open(case.target);
        let (from, to) = (case.path(folder, "ktg"), case.path(folder, "out"));
        if bless == "inputs" {
            std::fs::write(&from, print::to_text(&case.input(&*target))).expect("the folder is writable");
        }
        let text = std::fs::read_to_string(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        let mut func = read::from_text(&text, &from.display().to_string()).expect("a function");
        case.run(&mut func, &*target, case.index()..case.index() + 1);
        let made = print::to_text(&func);
        assert_ne!(made, text, "{} changes nothing in {}", case.pass, case.name);
        if !bless.is_empty() {
            std::fs::write(&to, &made).expect("the folder is writable");
        }
        let expected = std::fs::read_to_string(&to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
        for (i, (a, b)) in made.lines().zip(expected.lines()).enumerate() {
            assert_eq!(a, b, "{}:{}: BLESS=1 accepts what the pass makes", to.display(), i + 1);
        }
        assert_eq!(made.lines().count(), expected.lines().count(), "{}", to.display());
    }
}
