//! Shared objects compiled ahead of time, with their manifests.

use kcc::jit::find_kcc;
use kcc::prelude::*;
use kcc::{Arg, CompiledKernel, Device, Error, Tensor};
use std::path::{Path, PathBuf};
use std::process::Command;

/// y = x · s in blocks of 16. Grid: (blocks).
#[kernel]
fn scale(x: &View<f32, 1>, y: &mut View<f32, 1>, s: Scalar<f32>) {
    let at = program_id(0) * 16;
    y.store(at, x.load::<16>(at) * s);
}

/// Builds the kernel with `kcc build`; the shared object's path.
fn build(dir: &Path) -> PathBuf {
    let ir = dir.join("scale.mlir");
    let kernel = scale::kernel().trace().unwrap();
    std::fs::write(&ir, kcc_compiler::import::to_text(&kernel).unwrap()).unwrap();
    let so = dir.join("scale.so");
    let out = Command::new(find_kcc().unwrap())
        .arg("build")
        .arg(&ir)
        .args(["--emit", "so", "-o"])
        .arg(&so)
        .output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    so
}

fn load(device: &Device, so: &Path) -> kcc::Result<CompiledKernel> {
    // SAFETY: the files are what `kcc build` wrote, or damaged manifests of it that must be refused.
    unsafe { device.load_shared(so) }
}

#[test]
fn a_shared_object_runs_without_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = load(&Device::cpu(), &build(dir.path())).unwrap();
    assert_eq!(kernel.name(), "scale");
    let x = Tensor::from_fn(&[40], |i| i as f32).unwrap();
    let mut y = Tensor::<f32>::zeros(&[40]).unwrap();
    let args = [Arg::input(&x), Arg::output(&mut y), Arg::scalar(0.5f32)];
    kernel.launch(3, &args, None).unwrap();
    assert_eq!(y.to_vec(), x.as_slice().iter().map(|v| v * 0.5).collect::<Vec<_>>());
    // It was compiled for contiguous rows.
    let e = kernel
        .launch(3, &[Arg::view(&column(&x)), Arg::output(&mut y), Arg::scalar(1.0f32)], None)
        .unwrap_err();
    assert!(e.to_string().contains("argument `x`"), "{e}");
}

fn column(x: &Tensor<f32>) -> kcc::TensorView<'_, f32> {
    x.view().reshape(&[20, 2]).unwrap().index(1, 0).unwrap()
}

#[test]
fn damaged_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let so = build(dir.path());
    let json = so.with_extension("json");
    let manifest = std::fs::read_to_string(&json).unwrap();
    let refused = |text: &str| {
        std::fs::write(&json, text).unwrap();
        load(&Device::cpu(), &so).err().expect("refused").to_string()
    };
    for cut in [0, 1, manifest.len() / 2, manifest.len() - 2] {
        assert!(refused(&manifest[..cut]).contains("scale.json"), "cut at {cut}");
    }
    assert!(refused(&manifest.replace("\"format\": 1", "\"format\": 9")).contains("format 9"));
    assert!(refused(&manifest.replace("\"symbol\": \"", "\"symbol\": \"no_")).contains("no_scale"));
    let other: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let target = other["target"].as_str().unwrap();
    assert!(refused(&manifest.replace(target, "cpu:z80")).contains("cpu:z80"));
    std::fs::write(&json, &manifest).unwrap();
    std::fs::write(&so, b"\x7fELF noise").unwrap();
    assert!(matches!(load(&Device::cpu(), &so), Err(Error::Load { .. })));
    std::fs::remove_file(&so).unwrap();
    assert!(matches!(load(&Device::cpu(), &so), Err(Error::File { .. })));
    assert!(load(&Device::eager(), &so).is_err());
}
