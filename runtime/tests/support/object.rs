//! Machine code without a compiler of kernels: the C file of the C ABI's tests, in the form that kcc emits.

use std::process::Command;

/// An object with `copy_f32(x, y)`, a program for each row, among others.
pub fn object() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/../capi/tests/c/kernels.c"), folder.path().join("a.o"));
    let flags =
        ["-c", "-O2", "-ffreestanding", "-fPIC", "-fno-stack-protector", "-fcf-protection=none", "-o"];
    assert!(Command::new("cc").args(flags).arg(&object).arg(source).status().unwrap().success());
    std::fs::read(object).unwrap()
}
