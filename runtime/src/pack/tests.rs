//! What a launch from a pack costs on a CPU. The kernels are those of the C tests, in the form that the compiler emits.

#[path = "../../tests/support/object.rs"]
mod object;

use super::format::*;
use super::{Pack, PackKernel, Writer};
use crate::counting::allocations;
use crate::{Arg, Device, How, Tensor};
use kcc_dsl::exchange::{ArgSpec, CpuMeta};
use kcc_dsl::ir::Elem;
use object::object;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A pack of a kernel with so many variants; the last one takes any width, the others fewer columns than their number.
fn pack(variants: usize) -> Vec<u8> {
    let object = object();
    let variant = |i: usize| Variant {
        backend: Backend {
            r#type: "cpu".into(),
            archs: vec!["x86-64-v3".into()],
            target: "cpu:x86-64-v3".into(),
        },
        generics: format!("f32, {i}"),
        dtypes: vec![Dtype(Elem::F32); 2],
        args: vec![ArgSpec { unit_axis: Some(1), ..ArgSpec::default() }; 2],
        when: if i + 1 == variants {
            vec!["y.dim(0) == x.dim(0)".into()]
        } else {
            vec!["y.dim(0) == x.dim(0)".into(), format!("x.dim(1) < {i}")]
        },
        cost: format!("{i} + ceil_div(x.dim(1), 64) * 64"),
        grid: ["x.dim(0)".into(), "1".into(), "1".into()],
        workspace: String::new(),
        tolerance: Tolerance { absolute: 0.0, relative: 0.0 },
        code: Code::new(format!("bin/cpu-x86-64-v3/copy-{i}.o"), CodeKind::Object, "copy_f32", &object),
        cpu: Some(CpuMeta::default()),
        gpu: None,
        npu: None,
    };
    let param = |name: &str, kind| Param { name: name.into(), kind, rank: 2 };
    let kernel = Kernel {
        name: "copy".into(),
        op: Op { name: "copy".into(), version: 1 },
        params: vec![param("x", Kind::Input), param("y", Kind::Output)],
        source: None,
        variants: (0..variants).map(variant).collect(),
    };
    let manifest = Manifest::new("test", "1.0.0", "cc", vec![kernel]);
    let files = manifest.files().map(|code| (code.file.clone(), object.clone())).collect::<BTreeMap<_, _>>();
    Writer::new(&manifest, files).unwrap().zip().unwrap()
}

fn kernel(threads: usize) -> PackKernel {
    let device = Device::open(&format!("cpu:{threads}")).unwrap();
    Pack::from_bytes(pack(4)).unwrap().kernel("copy", &device).unwrap()
}

/// The least time of several tries.
fn least(tries: usize, mut f: impl FnMut()) -> Duration {
    let mut time = || {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..tries).map(|_| time()).min().unwrap()
}

#[test]
fn a_launch_allocates_nothing() {
    for threads in [1, 2] {
        let kernel = kernel(threads);
        let (x, mut y) =
            (Tensor::from_fn(&[64, 3], |i| i as f32).unwrap(), Tensor::<f32>::zeros(&[64, 3]).unwrap());
        let args = [Arg::input(&x), Arg::output(&mut y)];
        let launch = || {
            let choice = kernel.choose(&args).unwrap();
            kernel.launch_again(&choice, &args, How::default()).unwrap();
            kernel.launch_as(&choice, &args, How::default()).unwrap();
        };
        launch();
        assert_eq!(allocations(|| (0..100).for_each(|_| launch())), 0, "{threads} threads");
        drop(args);
        assert_eq!(x.as_slice(), y.as_slice());
    }
}

#[test]
fn a_launch_takes_less_than_a_few_microseconds() {
    // `make bench` measures it in a release build: below one microsecond.
    let kernel = kernel(1);
    let (x, mut y) =
        (Tensor::from_fn(&[1, 3], |i| i as f32).unwrap(), Tensor::<f32>::zeros(&[1, 3]).unwrap());
    let args = [Arg::input(&x), Arg::output(&mut y)];
    let time = least(50, || (0..100).for_each(|_| kernel.launch(&args, None).unwrap())) / 100;
    assert!(time < Duration::from_micros(10), "{time:?}");
}

#[test]
fn a_pack_of_100_variants_opens_in_a_few_milliseconds() {
    // `make bench` measures it in a release build: below one millisecond.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.kpack");
    std::fs::write(&path, pack(100)).unwrap();
    let time = least(20, || drop(Pack::open(&path).unwrap()));
    assert!(time < Duration::from_millis(10), "{time:?}");
}
