//! Tile IR → kt module → tile IR is the identity, and so is a kt module printed and parsed again.

use crate::samples;
use kcc_compiler::{import, mlir, read};
use kcc_dsl::ir::Kernel;

fn round(kernel: &Kernel) -> Kernel {
    let context = mlir::Lease::new().unwrap();
    let text = import::to_text(kernel).unwrap();
    let module = mlir::parse(&context, &text, "kt.mlir").unwrap_or_else(|e| panic!("{e}\n{text}"));
    let first = read::to_kernel(&module, "kt.mlir").unwrap_or_else(|e| panic!("{e}\n{text}"));
    let printed = mlir::print(&module);
    let module = mlir::parse(&context, &printed, "kt.mlir").unwrap_or_else(|e| panic!("{e}\n{printed}"));
    let second = read::to_kernel(&module, "kt.mlir").unwrap();
    assert_eq!(first, second, "printing and parsing changes the kernel");
    first
}

#[test]
fn every_operation_reads_back_as_it_was() {
    for kernel in [samples::elementwise(), samples::structural()] {
        assert_eq!(round(&kernel), samples::normalize(&kernel), "{}", kernel.name);
    }
}

#[test]
fn random_kernels_read_back_as_they_were() {
    let profile = kcc_dsl::fuzz::Profile { steps: 30, ..kcc_dsl::fuzz::Profile::everything() };
    for seed in 0..300 {
        let kernel = kcc_dsl::fuzz::generate(seed, &profile).unwrap().kernel;
        assert_eq!(round(&kernel), samples::normalize(&kernel), "seed {seed}");
    }
}
