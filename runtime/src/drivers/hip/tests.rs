//! The driver against a library that remembers its calls (`fake.c`), built when the tests run.

use super::device::Device;
use super::library::Api;
use super::*;
use crate::counting::allocations;
use crate::drivers::gpu::native::Native as _;
use crate::drivers::gpu::stand_in::{StandIn, artifact, run};
use crate::drivers::gpu::streams::Vendor as _;
use crate::error::Error;
use crate::launch::Arg;
use crate::tensor::Tensor;
use kcc_dsl::exchange::{Artifact, GpuMeta};
use kcc_dsl::ir::Elem;

const TARGET: &str = "amd:gfx942";

fn build() -> StandIn {
    StandIn::build("hip/fake.c", "libfakehip.so")
}

fn open(fake: &StandIn, index: u16) -> Result<NativeDriver<Device>> {
    let api = Api::open(&[fake.path.as_os_str()])
        .map_err(|reason| Error::Device { device: "hip".into(), reason })?;
    Ok(NativeDriver(Arc::new(Device::open(Arc::new(api), index)?)))
}

fn plus_one() -> Artifact {
    artifact(TARGET, |_, _| {})
}

#[test]
fn a_gpu_says_what_it_is() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    assert_eq!(hip.describe(), "hip:0 (AMD Instinct MI300X, amd:gfx942, HIP 6.2)");
    assert_eq!((hip.target(), hip.0.processors(), hip.shared_bytes()), ("amd:gfx942", 304, Some(65536)));
    let e = open(&fake, 1).err().unwrap().to_string();
    assert!(e.contains("hip:1") && e.contains("there are 1 GPUs"), "{e}");
}

#[test]
fn a_launch_stages_host_memory_and_packs_its_arguments() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    let module = hip.load("plus_one", &plus_one()).unwrap();
    fake.calls();
    let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
    run(&*module, Arg::output(&mut y)).unwrap();
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
    let fake = build();
    let memory = open(&fake, 0).unwrap().memory().unwrap();
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
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    assert_eq!(hip.time(None, &mut || Ok(())).unwrap(), 1.5);
    let module = hip.load("plus_one", &plus_one()).unwrap();
    let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
    // Host memory cannot be staged while recording; the capture is ended all the same.
    let refused = hip.record(None, &mut || run(&*module, Arg::output(&mut y))).err().unwrap().to_string();
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
fn streams_wait_for_moments() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    fake.calls();
    let stream = hip.open_stream().unwrap();
    // SAFETY: a stream of this library.
    let raw = Some(unsafe { crate::launch::Stream::from_raw(stream.raw()) });
    let (start, end) = (hip.mark(None).unwrap(), hip.mark(raw).unwrap());
    start.hold_back(raw).unwrap();
    assert_eq!(end.since(&*start).unwrap(), 1.5);
    hip.synchronize(raw).unwrap();
    drop((stream, start, end));
    let calls: Vec<_> = fake.calls().into_iter().filter(|c| c != "hipSetDevice").collect();
    let wanted = [
        "hipStreamCreateWithFlags",
        "hipEventCreate",
        "hipEventRecord",
        "hipEventCreate",
        "hipEventRecord",
        "hipStreamWaitEvent",
        "hipEventSynchronize",
        "hipEventElapsedTime",
        "hipStreamSynchronize",
        "hipStreamDestroy",
        "hipEventDestroy",
        "hipEventDestroy",
    ];
    assert_eq!(calls, wanted);
    fake.fail("hipStreamCreateWithFlags");
    assert!(hip.open_stream().is_err());
    fake.fail("hipEventRecord");
    assert!(hip.mark(None).is_err());
}

#[test]
fn answers_of_the_library_become_errors() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    let module = hip.load("plus_one", &plus_one()).unwrap();
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
        let e = run(&*module, Arg::output(&mut y)).unwrap_err().to_string();
        assert!(e.contains("unspecified launch failure (hipErrorLaunchFailure)"), "{name}: {e}");
    }
    fake.fail("hipModuleLoadData");
    let e = hip.load("plus_one", &plus_one()).err().unwrap().to_string();
    assert!(e.contains("refuses the code") && e.contains("hipErrorLaunchFailure"), "{e}");
    for name in ["hipGetDeviceCount", "hipGetDevicePropertiesR0600", "hipStreamCreateWithFlags"] {
        fake.fail(name);
        assert!(matches!(open(&fake, 0), Err(Error::Device { .. })), "{name}");
    }
    fake.fail("hipInit");
    let e = open(&fake, 0).err().unwrap().to_string();
    assert!(e.contains("does not start") && e.contains("rocminfo"), "{e}");
}

#[test]
fn code_that_the_device_cannot_run_is_refused() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    let refused = |f: fn(&mut Artifact, &mut GpuMeta)| {
        hip.load("plus_one", &artifact(TARGET, f)).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(|a, _| a.bytes = b"; text".to_vec()).contains("code objects"));
    assert!(refused(|_, m| m.shared_bytes = 100 << 10).contains("65536"));
    assert!(refused(|_, m| m.cluster = [2, 1, 1]).contains("clusters"));
    assert!(refused(|a, _| a.symbol = "another".into()).contains("hipErrorUnknown"));
}

#[test]
fn without_a_library_the_error_says_what_was_looked_for_and_what_to_do() {
    let e = Api::open(&["libthere-is-none.so"]).err().unwrap();
    assert!(e.contains("libthere-is-none.so") && e.contains("KCC_HIP_LIBRARY"), "{e}");
    assert!(e.contains("install ROCm") && e.contains("sim:gfx942"), "{e}");
}

#[test]
fn a_launch_allocates_nothing() {
    let fake = build();
    let hip = open(&fake, 0).unwrap();
    let module = hip.load("plus_one", &plus_one()).unwrap();
    let (memory, place) = (hip.memory().unwrap(), hip.0.place());
    let address = memory.alloc(12).unwrap();
    let arg = || Arg::over(address, Elem::F32, &[3], None, true, place).unwrap();
    // SAFETY: allocated with this size.
    unsafe { memory.zero(address, 12).unwrap() };
    run(&*module, arg()).unwrap();
    fake.calls();
    let (label, print): (_, crate::launch::PrintHandler) =
        (crate::launch::Label { name: "plus_one", generics: "" }, Arc::new(|_| {}));
    let args = [arg()];
    let launching =
        crate::device::Launching { grid: [5, 2, 1], args: &args, how: Default::default(), print: &print };
    assert_eq!(allocations(|| (0..10).for_each(|_| module.run(&label, &launching).unwrap())), 0);
    let mut back = [0; 12];
    // SAFETY: allocated with this size, freed once.
    unsafe {
        memory.read(address, &mut back).unwrap();
        memory.free(address);
    }
    assert_eq!(back[..4], 11f32.to_le_bytes());
}
