//! The driver against a library that remembers its calls (`fake.c`), built when the tests run.

use super::device::Device;
use super::library::Api;
use super::*;
use crate::device::Launching;
use crate::error::Error;
use crate::launch::{self, Label, PrintHandler};
use crate::tensor::Tensor;
use kcc_dsl::exchange::{GpuArg, GpuMeta};
use kcc_dsl::ir::Elem;
use libloading::Library;
use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::process::Command;

/// A library of its own for each test: its state is not shared.
struct Fake {
    library: Library,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fake {
    fn build() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libfakehip.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/drivers/hip/fake.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler).args(["-shared", "-fPIC", "-o"]).arg(&path).arg(source).status();
        assert!(built.unwrap().success());
        // SAFETY: the library made above; loading it runs no code.
        let library = unsafe { Library::new(&path) }.unwrap();
        Fake { library, path, _folder: folder }
    }

    fn open(&self, index: u16) -> Result<Hip> {
        let api = Api::open(&[self.path.as_os_str()])
            .map_err(|reason| Error::Device { device: "hip".into(), reason })?;
        Ok(Hip { device: Arc::new(Device::open(Arc::new(api), index)?) })
    }

    fn fail(&self, name: &str) {
        let name = CString::new(name).unwrap();
        // SAFETY: the type is that of `fake.c`.
        unsafe {
            let f = self.library.get::<unsafe extern "C" fn(*const c_char)>(b"fake_fail").unwrap();
            f(name.as_ptr());
        }
    }

    /// The names of the calls since the last time.
    fn calls(&self) -> Vec<String> {
        // SAFETY: the types are those of `fake.c`; the text is copied before it is cleared.
        unsafe {
            let text = self.library.get::<unsafe extern "C" fn() -> *const c_char>(b"fake_calls").unwrap();
            let calls = CStr::from_ptr(text()).to_str().unwrap().split_whitespace().map(Into::into).collect();
            self.library.get::<unsafe extern "C" fn()>(b"fake_forget").unwrap()();
            calls
        }
    }

    /// Blocks, threads, shared memory and stream of the last launch; its arguments.
    fn launch(&self) -> ([u64; 9], Vec<u8>) {
        // SAFETY: the types are those of `fake.c`.
        unsafe {
            let seen = **self.library.get::<*const [u64; 9]>(b"fake_launch").unwrap();
            let bytes = **self.library.get::<*const [u8; 512]>(b"fake_arguments").unwrap();
            let size = **self.library.get::<*const usize>(b"fake_size").unwrap();
            (seen, bytes[..size].to_vec())
        }
    }
}

/// A kernel of one view; `f` changes what the compiler says of it.
fn artifact(f: impl FnOnce(&mut Artifact, &mut GpuMeta)) -> Artifact {
    let args = vec![GpuArg::View { rank: 1, elem: Elem::F32 }];
    let mut meta = GpuMeta {
        arch: "gfx942".into(),
        warp: 64,
        threads: 256,
        shared_bytes: 1024,
        cluster: [1; 3],
        args,
        ..GpuMeta::default()
    };
    let mut artifact = Artifact {
        target: "amd:gfx942".into(),
        symbol: "plus_one".into(),
        bytes: b"\x7fELF and so on".to_vec(),
        cpu: Default::default(),
        gpu: None,
        npu: None,
        timings: vec![],
    };
    f(&mut artifact, &mut meta);
    artifact.gpu = Some(meta);
    artifact
}

fn run(module: &dyn Module, y: &mut Tensor<f32>) -> Result<()> {
    let args = [launch::Arg::output(y)];
    let print: PrintHandler = Arc::new(|_| {});
    let launching = Launching { grid: [5, 2, 1], args: &args, how: Default::default(), print: &print };
    module.run(&Label { name: "plus_one", generics: "" }, &launching)
}

#[test]
fn a_gpu_says_what_it_is() {
    let fake = Fake::build();
    let hip = fake.open(0).unwrap();
    assert_eq!(hip.describe(), "hip:0 (AMD Instinct MI300X, amd:gfx942, HIP 6.2)");
    assert_eq!((hip.target(), hip.device.processors(), hip.shared_bytes()), ("amd:gfx942", 304, Some(65536)));
    let e = fake.open(1).err().unwrap().to_string();
    assert!(e.contains("hip:1") && e.contains("there are 1 GPUs"), "{e}");
}

#[test]
fn a_launch_stages_host_memory_and_packs_its_arguments() {
    let fake = Fake::build();
    let hip = fake.open(0).unwrap();
    let module = hip.load("plus_one", &artifact(|_, _| {})).unwrap();
    fake.calls();
    let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
    run(&*module, &mut y).unwrap();
    assert_eq!(y.to_vec(), [1.0, 2.0, 3.0]);
    let (seen, bytes) = fake.launch();
    // Blocks, threads, LDS, the device's own stream.
    assert_eq!(seen[..8], [5, 2, 1, 256, 1, 1, 0, 0x5001]);
    // Address, extent, stride, the grid, padding, no status buffer.
    assert_eq!(bytes.len(), 48);
    assert_eq!(bytes[8..16], 3u64.to_le_bytes());
    assert_eq!(bytes[16..24], 1u64.to_le_bytes());
    assert_eq!(bytes[24..36], [5, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(bytes[40..], [0; 8]);
    let calls = fake.calls();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!((count("hipMalloc"), count("hipFree"), count("hipModuleLaunchKernel")), (1, 1, 1));
    drop(module);
    assert!(fake.calls().contains(&"hipModuleUnload".into()));
}

#[test]
fn memory_goes_to_the_device_and_back() {
    let fake = Fake::build();
    let memory = fake.open(0).unwrap().memory().unwrap();
    let address = memory.alloc(4).unwrap();
    let mut back = [0; 4];
    // SAFETY: allocated with this size, freed once.
    unsafe {
        memory.write(address, &[1, 2, 3, 4]).unwrap();
        memory.read(address, &mut back).unwrap();
        assert_eq!(back, [1, 2, 3, 4]);
        memory.zero(address, 2).unwrap();
        memory.read(address, &mut back).unwrap();
        assert_eq!(back, [0, 0, 3, 4]);
        memory.free(address);
    }
    assert!(matches!(memory.alloc(1 << 41), Err(Error::OutOfMemory { .. })));
}

#[test]
fn recordings_and_times() {
    let fake = Fake::build();
    let hip = fake.open(0).unwrap();
    assert_eq!(hip.time(None, &mut || Ok(())).unwrap(), 1.5);
    let module = hip.load("plus_one", &artifact(|_, _| {})).unwrap();
    let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
    // Host memory cannot be staged while recording; the capture is ended all the same.
    let refused = hip.record(None, &mut || run(&*module, &mut y)).err().unwrap().to_string();
    assert!(refused.contains("recording"), "{refused}");
    assert!(fake.calls().contains(&"hipStreamEndCapture".into()));
    let recorded = hip.record(None, &mut || Ok(())).unwrap();
    recorded.launch(None).unwrap();
    drop(recorded);
    let calls = fake.calls();
    for name in ["hipGraphInstantiateWithFlags", "hipGraphDestroy", "hipGraphLaunch", "hipGraphExecDestroy"] {
        assert!(calls.contains(&name.into()), "{name} in {calls:?}");
    }
}

#[test]
fn answers_of_the_library_become_errors() {
    let fake = Fake::build();
    let hip = fake.open(0).unwrap();
    let module = hip.load("plus_one", &artifact(|_, _| {})).unwrap();
    let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
    for name in [
        "hipModuleLaunchKernel",
        "hipMalloc",
        "hipMemcpyHtoDAsync",
        "hipMemcpyDtoHAsync",
        "hipStreamSynchronize",
        "hipSetDevice",
    ] {
        fake.fail(name);
        let e = run(&*module, &mut y).unwrap_err().to_string();
        assert!(e.contains("unspecified launch failure (hipErrorLaunchFailure)"), "{name}: {e}");
    }
    fake.fail("hipModuleLoadData");
    let e = hip.load("plus_one", &artifact(|_, _| {})).err().unwrap().to_string();
    assert!(e.contains("refuses the code") && e.contains("hipErrorLaunchFailure"), "{e}");
    for name in ["hipGetDeviceCount", "hipGetDevicePropertiesR0600", "hipStreamCreateWithFlags"] {
        fake.fail(name);
        assert!(matches!(fake.open(0), Err(Error::Device { .. })), "{name}");
    }
    fake.fail("hipInit");
    let e = fake.open(0).err().unwrap().to_string();
    assert!(e.contains("does not start") && e.contains("rocminfo"), "{e}");
}

#[test]
fn code_that_the_device_cannot_run_is_refused() {
    let fake = Fake::build();
    let hip = fake.open(0).unwrap();
    let refused = |f: fn(&mut Artifact, &mut GpuMeta)| {
        hip.load("plus_one", &artifact(f)).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(|a, _| a.bytes = b"; text".to_vec()).contains("ld.lld"));
    assert!(refused(|_, m| m.shared_bytes = 100 << 10).contains("65536"));
    assert!(refused(|_, m| m.cluster = [2, 1, 1]).contains("clusters"));
    assert!(refused(|a, _| a.symbol = "another".into()).contains("hipErrorUnknown"));
}

#[test]
fn without_a_library_the_error_says_what_was_looked_for_and_what_to_do() {
    let e = Api::open(&["libthere-is-none.so".as_ref()]).err().unwrap();
    assert!(e.contains("libthere-is-none.so") && e.contains("KCC_HIP_LIBRARY"), "{e}");
    assert!(e.contains("install ROCm") && e.contains("sim:gfx942"), "{e}");
}
