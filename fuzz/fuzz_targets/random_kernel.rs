//! Random valid kernels: the interpreter gives the same results before and after the passes.
#![no_main]

use kcc_compiler::{import, pipeline, session};
use kcc_dsl::fuzz::{Case, Profile, generate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|seed: u64| {
    let case = generate(seed, &Profile::everything()).expect("every seed gives a kernel");
    let passes: Vec<&str> = pipeline::STAGES.iter().flat_map(|s| s.passes).map(|p| p.name).collect();
    let text = import::to_text(&case.kernel).expect("a valid kernel has a text");
    let text = pipeline::run_named(&text, "fuzz.mlir", &passes).expect("it goes through the passes");
    let kernel = session::read_module_text(&text, "fuzz.mlir").expect("what comes out is a kernel");
    let Ok(after) = (Case { kernel, ..case.clone() }).expected() else { return };
    case.check(&after).expect("passes keep the meaning");
});
