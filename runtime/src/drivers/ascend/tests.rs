//! The driver against a library that remembers its calls (`fake.c`) and a kernel's library, both built when the tests run.

use super::device::{Device, Npu};
use super::library::Api;
use super::module::Code;
use super::source;
use crate::device::Launching;
use crate::drivers::gpu::stand_in::StandIn;
use crate::drivers::gpu::{DeviceMemory, Driver, Module};
use crate::error::{Error, Result};
use crate::launch::{self, How, Label, PrintHandler, Workspace};
use crate::tensor::Tensor;
use kcc_dsl::exchange::{Artifact, CpuMeta, NpuBlocks, NpuMeta};
use std::ffi::{CStr, c_int};
use std::path::Path;
use std::sync::Arc;

fn build() -> StandIn {
    StandIn::build("ascend/fake.c", "libfakeascendcl.so")
}

fn open(fake: &StandIn, index: u16) -> Result<Npu> {
    let api = Api::open(&[&fake.path]).map_err(|reason| Error::Device { device: "ascend".into(), reason })?;
    Ok(Npu { device: Arc::new(Device::open(Arc::new(api), index)?) })
}

/// From now on this call fails with this code.
fn fail(fake: &StandIn, name: &str, code: c_int) {
    fake.set("fake_code", code);
    fake.fail(name);
}

fn chip(fake: &StandIn, name: &'static CStr, cube: i64) {
    fake.set("fake_chip", name.as_ptr());
    fake.set("fake_cube", cube);
}

/// Allocations that were not freed.
fn live(fake: &StandIn) -> c_int {
    fake.value("fake_live")
}

fn meta() -> NpuMeta {
    NpuMeta {
        chip: "ascend910b".into(),
        arch: "dav-2201".into(),
        blocks: NpuBlocks::Vectors,
        most_blocks: 48,
        workspace_bytes: 64,
    }
}

fn artifact(bytes: Vec<u8>, npu: Option<NpuMeta>) -> Artifact {
    Artifact {
        target: "ascend:910b4".into(),
        symbol: "kcc_plus".into(),
        bytes,
        cpu: CpuMeta::default(),
        gpu: None,
        npu,
        timings: vec![],
    }
}

/// The kernel's library as a file of an artifact.
fn kernel() -> Artifact {
    let library = StandIn::build("ascend/fake_kernel.c", "kernel.so");
    artifact(std::fs::read(&library.path).unwrap(), Some(meta()))
}

fn run(module: &dyn Module, n: usize, programs: i64) -> Result<Vec<f32>> {
    run_as(module, n, programs, How::default())
}

fn run_as(module: &dyn Module, n: usize, programs: i64, how: How) -> Result<Vec<f32>> {
    let x = Tensor::from_fn(&[n], |i| i as f32)?;
    let mut y = Tensor::zeros(&[n])?;
    let args = [launch::Arg::input(&x), launch::Arg::output(&mut y), launch::Arg::scalar(0.5f32)];
    let print: PrintHandler = Arc::new(|_| {});
    let launching = Launching { grid: [programs, 1, 1], args: &args, how, print: &print };
    module.run(&Label { name: "plus", generics: "" }, &launching)?;
    Ok(y.to_vec())
}

#[test]
fn a_device_says_what_it_is() {
    let fake = build();
    let npu = open(&fake, 1).unwrap();
    assert_eq!(npu.target(), "ascend:910b4");
    assert!(npu.other_targets().contains(&"ascend:910b"), "a pack for chips with more groups");
    let text = npu.describe();
    assert!(text.contains("ascend:1 (Ascend910B4") && text.contains("20 cube and 40 vector cores"), "{text}");
    chip(&fake, c"Ascend910B1", 24);
    assert_eq!(open(&fake, 0).unwrap().target(), "ascend:910b");
    chip(&fake, c"Ascend910_9391", 24);
    assert_eq!(open(&fake, 0).unwrap().target(), "ascend:910c");
    chip(&fake, c"Ascend310P3", 8);
    let e = open(&fake, 0).err().unwrap().to_string();
    assert!(e.contains("Ascend310P3") && e.contains("910B and 910C"), "{e}");
    let e = open(&fake, 2).err().unwrap().to_string();
    assert!(e.contains("ascend:2") && e.contains("there are 2 NPUs"), "{e}");
}

#[test]
fn without_a_library_the_error_says_what_to_do() {
    let e = Api::open(&["/nowhere/libascendcl.so"]).err().unwrap();
    assert!(
        e.contains("/nowhere/libascendcl.so") && e.contains("CANN") && e.contains("sim:ascend910b"),
        "{e}"
    );
    // A library of something else.
    let other = StandIn::build("ascend/fake_kernel.c", "other.so");
    let e = Api::open(&[&other.path]).err().unwrap();
    assert!(e.contains("AscendCL lacks aclInit"), "{e}");
}

#[test]
fn a_launch_copies_what_lies_on_the_host_there_and_back() {
    let fake = build();
    let npu = open(&fake, 0).unwrap();
    let module = npu.load("plus", &kernel()).unwrap();
    fake.calls();
    assert_eq!(run(&*module, 3, 7).unwrap(), [0.5, 1.5, 2.5]);
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|c| *c == "write").count(), 2, "{calls:?}");
    assert_eq!(calls.iter().filter(|c| *c == "read").count(), 1, "{calls:?}");
    // The workspace stays for the next launch; images do not.
    assert_eq!(live(&fake), 1);
    assert_eq!(run(&*module, 2, 1000).unwrap(), [0.5, 1.5]);
    assert_eq!(live(&fake), 1);
    drop(module);
    assert_eq!(live(&fake), 0);
    let ms = npu.time(None, &mut || Ok(())).unwrap();
    assert_eq!(ms, 1.5);
}

#[test]
fn a_workspace_of_the_caller_is_used_and_nothing_is_allocated_for_it() {
    let fake = build();
    let npu = open(&fake, 0).unwrap();
    let module = npu.load("plus", &kernel()).unwrap();
    // 40 blocks at once, 64 bytes each.
    let mut memory = vec![1u8; 40 * 64 + 1];
    // SAFETY: memory of the stand-in's device is the host's; nothing else uses it while the launch runs.
    let mut of = |bytes| unsafe { Workspace::from_raw(memory.as_mut_ptr().cast(), bytes) };
    let short = How { workspace: Some(of(40 * 64 - 1)), ..How::default() };
    let e = run_as(&*module, 3, 1000, short).unwrap_err().to_string();
    assert!(e.contains("argument `workspace`") && e.contains("needs 2560 bytes"), "{e}");
    let given = How { workspace: Some(of(40 * 64)), ..How::default() };
    assert_eq!(run_as(&*module, 3, 1000, given).unwrap(), [0.5, 1.5, 2.5]);
    assert_eq!(live(&fake), 0);
    assert!(memory[..40 * 64].iter().all(|b| *b == 0) && memory[40 * 64] == 1);
}

#[test]
fn each_failure_is_an_error_and_leaks_nothing() {
    for name in
        ["aclInit", "aclrtGetDeviceCount", "aclrtGetVersion", "aclrtGetDeviceInfo", "aclrtCreateStream"]
    {
        let fake = build();
        fail(&fake, name, 507_899);
        let e = open(&fake, 0).err().unwrap_or_else(|| panic!("{name}")).to_string();
        assert!(e.contains("507899") && e.contains("the stand-in was told to fail"), "{name}: {e}");
    }
    let fake = build();
    fail(&fake, "aclInit", 100_002);
    open(&fake, 0).expect("another part of the program started AscendCL");
    for name in ["aclrtSetDevice", "aclrtMalloc", "write", "read", "aclrtSynchronizeStream"] {
        let fake = build();
        let npu = open(&fake, 0).unwrap();
        let module = npu.load("plus", &kernel()).unwrap();
        fail(&fake, name, 507_899);
        let e = run(&*module, 3, 1).unwrap_err().to_string();
        assert!(e.contains("507899"), "{name}: {e}");
        fail(&fake, "", 0);
        drop(module);
        assert_eq!(live(&fake), 0, "{name}");
    }
    fail(&fake, "aclrtMalloc", 207_001);
    let npu = open(&fake, 0).unwrap();
    assert!(matches!(npu.device.alloc(64), Err(Error::OutOfMemory { bytes: 64 })));
}

#[test]
fn code_of_another_kind_is_refused() {
    let fake = build();
    let npu = open(&fake, 0).unwrap();
    let load = |a: &Artifact| npu.load("plus", a).err().unwrap().to_string();
    let mut other = kernel();
    other.symbol = "kcc_minus".into();
    assert!(load(&other).contains("no `kcc_minus_launch_slots`"));
    assert!(load(&Artifact { npu: None, ..kernel() }).contains("no NPU"));
    let odd = NpuMeta { most_blocks: 0, ..meta() };
    assert!(load(&Artifact { npu: Some(odd), ..kernel() }).contains("0 blocks"));
    let broken = artifact(b"\x7fELF and so on".to_vec(), Some(meta()));
    assert!(matches!(npu.load("plus", &broken), Err(Error::Load { .. })));
}

#[test]
fn a_source_is_built_once_and_its_library_launches() {
    let fake = build();
    let npu = open(&fake, 0).unwrap();
    let bisheng = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/drivers/ascend/fake_bisheng.sh");
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let make = |compiler: &Path, text: &[u8]| source::library(compiler, text, "dav-2201", Some(&cache));
    let file = make(&bisheng, include_bytes!("fake_kernel.c")).unwrap();
    assert_eq!(make(&bisheng, include_bytes!("fake_kernel.c")).unwrap(), file);
    let flags = std::fs::read_to_string(cache.join("flags")).unwrap();
    assert_eq!(flags.lines().count(), 1, "{flags}");
    assert!(flags.starts_with("-xasc --npu-arch=dav-2201 -O2 -std=c++17 -fPIC --shared -o "), "{flags}");
    let code = Code::open(npu.device.clone(), "plus", "kcc_plus", meta(), &file).unwrap();
    assert_eq!(run(&code, 2, 1).unwrap(), [0.5, 1.5]);
    let e = make(&bisheng, b"no such thing").unwrap_err();
    assert!(e.contains("error: no such thing") && e.contains("fake_bisheng.sh"), "{e}");
    let e = make(Path::new("/nowhere/bisheng"), b"int x;").unwrap_err();
    assert!(e.contains("cannot run /nowhere/bisheng"), "{e}");
}
