//! Any text as a kt module: an error or a kernel; a kernel goes through every pass.
#![no_main]

use kcc_compiler::{pipeline, session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if session::read_module_text(text, "fuzz.mlir").is_ok() {
        let passes: Vec<&str> = pipeline::STAGES.iter().flat_map(|s| s.passes).map(|p| p.name).collect();
        pipeline::run_named(text, "fuzz.mlir", &passes)
            .expect("a kernel that verifies goes through the passes");
    }
});
