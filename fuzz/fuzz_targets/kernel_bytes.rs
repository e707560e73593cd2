//! Any bytes as a serialised kernel, as the child process receives them: an error, or a kernel that imports.
#![no_main]

use kcc_compiler::{import, session, verify};
use kcc_dsl::ir::Kernel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(kernel) = postcard::from_bytes::<Kernel>(bytes) else { return };
    if verify::check(&kernel).is_ok() {
        let text = import::to_text(&kernel).expect("a valid kernel has a text");
        session::read_module_text(&text, "fuzz.mlir").expect("the text of a valid kernel reads back");
    }
});
