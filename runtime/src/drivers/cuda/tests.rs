//! The driver against a library that remembers its calls (`fake.c`), built when the tests run.
//!
//! The driver opens `libcuda.so` once per process. So each test runs again in a process of its own, whose library path leads to
//! the stand-in.

use super::*;
use crate::counting::allocations;
use crate::device::Device;
use crate::drivers::gpu::Module;
use crate::drivers::gpu::stand_in::{StandIn, artifact, run};
use crate::error::Error;
use crate::launch::{Arg, How, Stream};
use crate::pack::format::{Backend, Code, CodeKind, Dtype, Kernel, Kind, Manifest, Param, Variant};
use crate::pack::{Pack, Writer, format};
use crate::tensor::Tensor;
use kcc_dsl::exchange::{Artifact, GpuArg, GpuMeta, TensorMap};
use kcc_dsl::ir::{Elem, Loc};
use std::collections::BTreeMap;
use std::process::Command;

const TARGET: &str = "nvidia:sm_90a";
/// Names the stand-in to the test's second process.
const VARIABLE: &str = "KCC_TEST_STAND_IN";

/// Runs `body` in a process that finds the stand-in as `libcuda.so`.
fn with_driver(test: &str, body: impl FnOnce(&StandIn)) {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return body(&StandIn::open(path.into()));
    }
    let fake = StandIn::build("cuda/fake.c", "libcuda.so");
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("drivers::cuda::tests::{test}"), "--test-threads", "1"])
        .env(VARIABLE, &fake.path)
        .env("LD_LIBRARY_PATH", fake.path.parent().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn text(a: &mut Artifact, m: &mut GpuMeta) {
    a.bytes = b".version 8.6\n.target sm_90a\n".to_vec();
    m.ptx = (8, 6);
}

fn plus_one() -> Artifact {
    artifact(TARGET, |_, _| {})
}

fn load(f: impl FnOnce(&mut Artifact, &mut GpuMeta)) -> Result<Box<dyn Module>> {
    open(0)?.load("plus_one", &artifact(TARGET, f))
}

fn refusal(f: impl FnOnce(&mut Artifact, &mut GpuMeta)) -> String {
    load(f).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn a_gpu_says_what_it_is() {
    with_driver("a_gpu_says_what_it_is", |_| {
        let cuda = open(0).unwrap();
        assert_eq!(cuda.describe(), "cuda:0 (NVIDIA H100, nvidia:sm_90a, driver for CUDA 12.8)");
        assert_eq!((cuda.target(), cuda.shared_bytes()), (TARGET, Some(232_448)));
        let e = open(1).err().unwrap().to_string();
        assert!(e.contains("cuda:1") && e.contains("there are 1 GPUs"), "{e}");
    });
}

#[test]
fn a_launch_stages_host_memory_and_passes_its_arguments() {
    with_driver("a_launch_stages_host_memory_and_passes_its_arguments", |fake| {
        let module = load(|_, _| {}).unwrap();
        fake.calls();
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        run(&*module, Arg::output(&mut y)).unwrap();
        assert_eq!(y.to_vec(), [1.0, 2.0, 3.0]);
        let (seen, bytes) = fake.launch();
        // Blocks, threads, shared memory, the device's own stream, no cluster.
        assert_eq!(seen, [5, 2, 1, 256, 1, 1, 1024, 0x5001, 1]);
        // After the address: extent, stride, the grid, no status buffer.
        let word = |i: usize| u64::from_le_bytes(bytes[8 * i..][..8].try_into().unwrap());
        assert_eq!([1, 2, 3, 4, 5, 6].map(word), [3, 1, 5, 2, 1, 0]);
        let calls = fake.calls();
        let count = |name: &str| calls.iter().filter(|call| *call == name).count();
        assert_eq!((count("cuMemAlloc_v2"), count("cuMemFree_v2"), count("cuLaunchKernelEx")), (1, 1, 1));
        assert_eq!((count("cuMemcpyHtoDAsync_v2"), count("cuMemcpyDtoHAsync_v2")), (1, 1));
        drop(module);
        assert!(fake.calls().contains(&"cuModuleUnload".into()));
    });
}

#[test]
fn shared_memory_and_clusters_are_asked_for() {
    with_driver("shared_memory_and_clusters_are_asked_for", |fake| {
        let module = load(|_, m| {
            (m.shared_bytes, m.cluster) = (200 << 10, [16, 1, 1]);
        })
        .unwrap();
        // MAX_DYNAMIC_SHARED_SIZE_BYTES, NON_PORTABLE_CLUSTER_SIZE_ALLOWED.
        assert_eq!(fake.value::<[i32; 4]>("fake_attributes"), [8, 200 << 10, 14, 1]);
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        run(&*module, Arg::output(&mut y)).unwrap();
        let (seen, _) = fake.launch();
        // Five programs, in one cluster.
        assert_eq!((seen[0], seen[6], seen[8]), (16, 200 << 10, 16));
        let e = refusal(|_, m| m.shared_bytes = 300 << 10);
        assert!(e.contains("307200") && e.contains("232448") && e.contains("smaller tiles"), "{e}");
    });
}

#[test]
fn tensor_maps_are_encoded_and_passed() {
    with_driver("tensor_maps_are_encoded_and_passed", |fake| {
        let map = || TensorMap {
            param: 0,
            elem: Elem::F32,
            axes: vec![1, 0],
            box_dims: vec![16, 8],
            swizzle: 64,
            l2_promotion: 128,
        };
        let mapped = |m: TensorMap| {
            move |a: &mut Artifact, meta: &mut GpuMeta| {
                a.symbol = "mapped".into();
                meta.args = vec![GpuArg::View { rank: 2, elem: Elem::F32 }];
                meta.tensor_maps = vec![m];
            }
        };
        let module = load(mapped(map())).unwrap();
        let mut y = Tensor::<f32>::zeros(&[3, 20]).unwrap();
        run(&*module, Arg::output(&mut y)).unwrap();
        let seen = fake.value::<[u64; 20]>("fake_map");
        // f32, rank 2; extents, a stride in bytes, box; swizzle of 64 bytes, promotion to 128.
        assert_eq!(
            (seen[0], seen[1], &seen[3..5], seen[8], &seen[13..15]),
            (7, 2, &[20, 3][..], 80, &[16, 8][..])
        );
        assert_eq!(seen[18..], [2, 2]);
        assert_eq!(fake.launch().1[72..], [0x5a; 128]);
        let mut odd = Tensor::<f32>::zeros(&[3, 7]).unwrap();
        let e = run(&*module, Arg::output(&mut odd)).unwrap_err().to_string();
        assert!(e.contains("positive multiple of 16 bytes"), "{e}");
        fake.fail("cuTensorMapEncodeTiled");
        let e = run(&*module, Arg::output(&mut y)).unwrap_err().to_string();
        assert!(e.contains("a tensor map of dims [20, 3]") && e.contains("CUDA_ERROR_LAUNCH_FAILED"), "{e}");
        // Recipes come from files, too.
        for bad in [
            TensorMap { param: 1, ..map() },
            TensorMap { axes: vec![2, 0], ..map() },
            TensorMap { axes: vec![1], ..map() },
            TensorMap { box_dims: vec![0, 8], ..map() },
            TensorMap { elem: Elem::F16, ..map() },
        ] {
            let e = refusal(mapped(bad));
            assert!(e.contains("a tensor map"), "{e}");
        }
    });
}

#[test]
fn memory_goes_to_the_device_and_back() {
    with_driver("memory_goes_to_the_device_and_back", |_| {
        let memory = open(0).unwrap().memory().unwrap();
        let address = memory.alloc(4).unwrap();
        let mut back = [0; 4];
        // SAFETY: allocated with this size, freed once.
        unsafe {
            memory.write(address, &[1, 2, 3, 4]).unwrap();
            memory.zero(address, 2).unwrap();
            memory.read(address, &mut back).unwrap();
            memory.free(address);
        }
        assert_eq!(back, [0, 0, 3, 4]);
        assert!(matches!(memory.alloc(1 << 41), Err(Error::OutOfMemory { .. })));
    });
}

#[test]
fn recordings_and_times() {
    with_driver("recordings_and_times", |fake| {
        let device = Device::open("cuda").unwrap();
        // SAFETY: the stand-in takes any handle.
        let stream = Some(unsafe { Stream::from_raw(0x77 as *mut _) });
        assert_eq!(device.time(stream, || Ok(())).unwrap().as_micros(), 1500);
        device.synchronize(stream).unwrap();
        let cuda = open(0).unwrap();
        let module = cuda.load("plus_one", &plus_one()).unwrap();
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        // Host memory cannot be staged while recording; the capture is ended all the same.
        let refused =
            cuda.record(None, &mut || run(&*module, Arg::output(&mut y))).err().unwrap().to_string();
        assert!(refused.contains("recording"), "{refused}");
        fake.calls();
        let recorded = cuda.record(None, &mut || Ok(())).unwrap();
        recorded.launch(stream).unwrap();
        drop(recorded);
        let calls = fake.calls();
        for name in ["cuStreamEndCapture", "cuGraphDestroy", "cuGraphLaunch", "cuGraphExecDestroy"] {
            assert!(calls.contains(&name.into()), "{name} in {calls:?}");
        }
        for name in ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"] {
            fake.fail(name);
            assert!(cuda.record(None, &mut || Ok(())).is_err(), "{name}");
        }
        for name in ["cuEventCreate", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime"] {
            fake.fail(name);
            assert!(cuda.time(None, &mut || Ok(())).is_err(), "{name}");
        }
    });
}

#[test]
fn copies_run_in_streams_that_wait_for_events() {
    with_driver("copies_run_in_streams_that_wait_for_events", |fake| {
        let device = Device::open("cuda").unwrap();
        let host = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        let mut there = device.zeros::<f32>(&[3]).unwrap();
        let mut back = Tensor::<f32>::zeros(&[3]).unwrap();
        let copies = device.new_stream().unwrap();
        fake.calls();
        // SAFETY: nothing else uses the three tensors until the event is reached.
        unsafe { there.copy_from_async(&host, Some(copies.stream())).unwrap() };
        let copied = device.event(Some(copies.stream())).unwrap();
        copied.hold_back(None).unwrap();
        assert_eq!(fake.value::<u64>("fake_copy_stream"), copies.stream().raw() as u64);
        // SAFETY: as above.
        unsafe { there.copy_to_async(&mut back, None).unwrap() };
        assert_eq!(fake.value::<u64>("fake_copy_stream"), 0x5001, "the device's own");
        let end = device.event(None).unwrap();
        let waited = fake.calls().iter().any(|c| c.ends_with("Synchronize"));
        assert!(!waited, "the host waits for nothing");
        assert_eq!(end.since(&copied).unwrap().as_micros(), 1500);
        assert_eq!(back.to_vec(), [0.0, 1.0, 2.0]);
        let another = Device::open("cuda").unwrap();
        let e = another.event(None).unwrap().since(&copied).unwrap_err().to_string();
        assert!(e.contains("two devices"), "{e}");
        drop(copies);
        assert!(fake.calls().contains(&"cuStreamDestroy_v2".into()));
        fake.fail("cuStreamCreate");
        assert!(device.new_stream().is_err());
        fake.fail("cuMemcpyHtoDAsync_v2");
        // SAFETY: as above.
        assert!(unsafe { there.copy_from_async(&host, None) }.is_err());
        fake.fail("cuMemcpyDtoHAsync_v2");
        // SAFETY: as above.
        assert!(unsafe { there.copy_to_async(&mut back, None) }.is_err());
        fake.fail("cuStreamWaitEvent");
        assert!(copied.hold_back(None).is_err());
        let e = Device::eager().new_stream().err().unwrap().to_string();
        assert!(e.contains("no streams") && e.contains("`cuda`"), "{e}");
    });
}

#[test]
fn answers_of_the_driver_become_errors() {
    with_driver("answers_of_the_driver_become_errors", |fake| {
        let module = load(|_, _| {}).unwrap();
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        for name in [
            "cuLaunchKernelEx",
            "cuMemAlloc_v2",
            "cuMemcpyHtoDAsync_v2",
            "cuMemcpyDtoHAsync_v2",
            "cuStreamSynchronize",
            "cuCtxSetCurrent",
        ] {
            fake.fail(name);
            let e = run(&*module, Arg::output(&mut y)).unwrap_err().to_string();
            assert!(e.contains("unspecified launch failure (CUDA_ERROR_LAUNCH_FAILED)"), "{name}: {e}");
        }
        fake.fail("cuModuleLoadDataEx");
        assert!(refusal(|_, _| {}).contains("refuses the code"));
        for name in ["cuDeviceGetCount", "cuDevicePrimaryCtxRetain", "cuStreamCreate"] {
            fake.fail(name);
            assert!(matches!(open(0), Err(Error::Device { .. })), "{name}");
        }
        fake.fail("");
        assert!(refusal(|a, _| a.symbol = "another".into()).contains("error 500"));
    });
}

#[test]
fn a_driver_that_does_not_start_says_so() {
    with_driver("a_driver_that_does_not_start_says_so", |fake| {
        fake.fail("cuInit");
        let e = open(0).err().unwrap().to_string();
        assert!(e.contains("does not start") && e.contains("nvidia-smi"), "{e}");
    });
}

#[test]
fn text_that_a_driver_cannot_read_is_an_error_with_a_remedy() {
    with_driver("text_that_a_driver_cannot_read_is_an_error_with_a_remedy", |fake| {
        fake.set("fake_version", 12_020);
        let e = refusal(text);
        assert!(e.contains("PTX 8.6") && e.contains("CUDA 12.7") && e.contains("CUDA 12.2"), "{e}");
        assert!(e.contains("update the driver"), "{e}");
        let e = refusal(|a, _| a.bytes = b"nonsense".to_vec());
        assert!(e.contains("CUDA_ERROR_INVALID_PTX") && e.contains("ptxas: line 7: nonsense"), "{e}");
    });
}

const CUBIN: &[u8] = b"\x7fELF machine code";
const PTX: &[u8] = b".version 8.6\n";

/// A variant in machine code, and in PTX beside it.
fn variant() -> Variant {
    let file = |bytes, name, kind| Code::new(format!("bin/nvidia-sm_90a/{name}"), kind, "plus_one", bytes);
    let ptx = file(PTX, "a.ptx", CodeKind::Ptx);
    let cubin = file(CUBIN, "a.cubin", CodeKind::Cubin);
    Variant {
        backend: Backend { r#type: "cuda".into(), archs: vec!["9.0a".into()], target: TARGET.into() },
        generics: String::new(),
        dtypes: vec![Dtype(Elem::F32)],
        args: vec![Default::default()],
        when: vec!["y.dim(0) <= 1000".into()],
        cost: "y.dim(0)".into(),
        grid: ["ceil_div(y.dim(0), 256)".into(), "1".into(), "1".into()],
        workspace: String::new(),
        tolerance: format::Tolerance { absolute: 0.0, relative: 0.0 },
        code: Code { fallback: Some(Box::new(ptx)), ..cubin },
        cpu: None,
        gpu: artifact(TARGET, |_, m| m.ptx = (8, 6)).gpu,
        npu: None,
    }
}

fn pack(variants: Vec<Variant>) -> Pack {
    let kernel = Kernel {
        name: "plus_one".into(),
        op: format::Op { name: "plus_one".into(), version: 1 },
        params: vec![Param { name: "y".into(), kind: Kind::Output, rank: 1 }],
        source: Some(Loc { file: "src/lib.rs".into(), line: 9, column: 1 }),
        variants,
    };
    let manifest = Manifest::new("test", "1", "test", vec![kernel]);
    let files = [("a.cubin", CUBIN), ("a.ptx", PTX)];
    let files = files.map(|(name, bytes)| (format!("bin/nvidia-sm_90a/{name}"), bytes.to_vec()));
    Pack::from_bytes(Writer::new(&manifest, BTreeMap::from(files)).unwrap().zip().unwrap()).unwrap()
}

#[test]
fn a_launch_from_a_pack_allocates_nothing() {
    with_driver("a_launch_from_a_pack_allocates_nothing", |fake| {
        let device = Device::open("cuda").unwrap();
        let kernel = pack(vec![variant()]).kernel("plus_one", &device).unwrap();
        assert_eq!(fake.calls().iter().filter(|c| *c == "cuModuleLoadDataEx").count(), 1);
        let y = device.zeros::<f32>(&[300]).unwrap();
        // SAFETY: the stand-in takes any handle; memory of the tensor, which outlives the launches.
        let stream = Some(unsafe { Stream::from_raw(0x77 as *mut _) });
        let launch = || {
            // SAFETY: as above.
            let arg = unsafe { device.argument(y.address(), Elem::F32, &[300], None, true) }.unwrap();
            let args = [arg];
            kernel.launch_with(&args, How { stream, ..How::default() }).unwrap();
        };
        launch();
        fake.calls();
        assert_eq!(allocations(|| (0..10).for_each(|_| launch())), 0);
        assert_eq!(y.download().unwrap().as_slice()[299], 11.0);
        let (seen, _) = fake.launch();
        assert_eq!((seen[0], seen[7]), (2, 0x77), "two blocks, the caller's stream");
        let calls = fake.calls();
        let during = calls.iter().filter(|c| *c != "cuCtxSetCurrent" && *c != "cuLaunchKernelEx");
        assert_eq!(during.collect::<Vec<_>>(), ["cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"], "no waiting");
    });
}

#[test]
fn text_stands_in_for_machine_code_that_a_driver_refuses() {
    with_driver("text_stands_in_for_machine_code_that_a_driver_refuses", |fake| {
        fake.set("fake_takes_cubins", 0);
        let device = Device::open("cuda").unwrap();
        let kernel = pack(vec![variant()]).kernel("plus_one", &device).unwrap();
        let loads = fake.calls().iter().filter(|c| *c == "cuModuleLoadDataEx").count();
        assert_eq!(loads, 2, "machine code, then text");
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        kernel.launch(&[Arg::output(&mut y)], None).unwrap();
        assert_eq!(y.to_vec(), [1.0, 2.0, 3.0]);
    });
}

#[test]
fn neither_machine_code_nor_text_names_both_and_the_source() {
    with_driver("neither_machine_code_nor_text_names_both_and_the_source", |fake| {
        fake.set("fake_takes_cubins", 0);
        fake.set("fake_version", 12_020);
        let device = Device::open("cuda").unwrap();
        let e = pack(vec![variant()]).kernel("plus_one", &device).err().unwrap().to_string();
        assert!(e.contains("CUDA_ERROR_NO_BINARY_FOR_GPU") && e.contains("PTX 8.6"), "{e}");
        assert!(
            e.contains("CUDA 12.2") && e.contains("update the driver") && e.contains("src/lib.rs:9:1"),
            "{e}"
        );
    });
}

#[test]
fn code_for_an_older_chip_runs_where_there_is_none_for_this_one() {
    with_driver("code_for_an_older_chip_runs_where_there_is_none_for_this_one", |fake| {
        let of = |target: &str, generics: &str, shared: u32, cost: &str| {
            let mut v = variant();
            v.backend.target = target.into();
            (v.generics, v.cost) = (generics.into(), cost.into());
            v.gpu.as_mut().unwrap().shared_bytes = shared.into();
            v
        };
        let small = || of("nvidia:sm_80", "small", 1024, "2");
        let large = || of("nvidia:sm_80", "large", 150 << 10, "1");
        let all = || vec![small(), large(), of(TARGET, "small", 1024, "3")];
        let mut y = Tensor::from_fn(&[3], |i| i as f32).unwrap();
        let mut chosen = |device: &Device, variants: Vec<Variant>| {
            let kernel = pack(variants).kernel("plus_one", device).map_err(|e| e.to_string())?;
            let choice = kernel.choose(&[Arg::output(&mut y)]).unwrap();
            Ok::<_, String>((kernel.variants().collect::<Vec<_>>(), choice.variant))
        };
        // Its own code goes before cheaper code for older chips, of which only what it lacks is loaded.
        let device = Device::open("cuda").unwrap();
        assert_eq!(chosen(&device, all()).unwrap(), (vec![2, 1], 2));
        assert_eq!(chosen(&device, vec![small(), large()]).unwrap(), (vec![0, 1], 1));
        // An A10: less shared memory than an A100.
        fake.set("fake_chip", [8, 6, 101_376]);
        let device = Device::open("cuda").unwrap();
        assert!(device.describe().contains("nvidia:sm_86"), "{}", device.describe());
        assert_eq!(chosen(&device, all()).unwrap(), (vec![0], 0));
        let e = chosen(&device, vec![large()]).unwrap_err();
        assert!(e.contains("153600") && e.contains("101376"), "{e}");
        let e = chosen(&device, vec![of(TARGET, "small", 1024, "3")]).unwrap_err();
        assert!(e.contains("code for nvidia:sm_90a"), "{e}");
    });
}
