//! The linked-in compiler gives what the child gives. Needs the feature `jit-in-process`, and so LLVM.

use kcc_dsl::prelude::*;
use kcc_runtime::jit::InProcess;
use kcc_runtime::{Builder, Launch, Origin, Tensor};

/// y = x · x. Grid: (blocks of 16).
#[kernel]
fn square(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let at = program_id(0) * 16;
    let v = x.load::<16>(at);
    y.store(at, v * v);
}

#[test]
fn a_kernel_compiles_without_a_child_and_is_cached() {
    let dir = tempfile::tempdir().unwrap();
    for expected in [Origin::Compiler, Origin::Disk] {
        let device = Builder::cpu().cache_dir(dir.path()).compiler(InProcess::shared()).build();
        let x = Tensor::from_fn(&[20], |i| i as f32).unwrap();
        let mut y = Tensor::zeros(&[20]).unwrap();
        square::kernel().launch(&device, 2, (&x, &mut y)).unwrap();
        assert!(y.as_slice().iter().zip(x.as_slice()).all(|(y, x)| *y == x * x));
        assert_eq!(device.stats().compilations[0].origin, expected);
    }
}

#[test]
fn every_family_of_targets_is_linked_in() {
    for target in ["nvidia:sm_90a", "amd:gfx942"] {
        let device = Builder::dry(target).no_disk_cache().compiler(InProcess::shared()).build();
        let x = Tensor::from_fn(&[20], |i| i as f32).unwrap();
        let mut y = Tensor::zeros(&[20]).unwrap();
        square::kernel().launch(&device, 2, (&x, &mut y)).unwrap();
        assert_eq!(device.stats().compilations.len(), 1, "{target}");
    }
}
