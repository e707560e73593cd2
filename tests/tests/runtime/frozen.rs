//! Weights that never change: what is packed of them is found again, and never taken for something else.

use kcc::{Builder, Device, Frozen, Tensor, TensorView};
use kcc_dsl::prelude::*;
use kcc_kernels::activation::IDENTITY;
use kcc_kernels::cases::input::Random;
use kcc_kernels::matmul::{Epilogue, matmul};
use kcc_kernels::moe::{Experts, Workspace, moe};

/// This machine's code, the same without matrix tiles, and AVX2's.
fn devices() -> Vec<Device> {
    let targets = ["cpu:native", "cpu:x86-64-v4+avx512bf16", "cpu:x86-64-v3"];
    let open = |target| Builder::cpu().threads(2).target(target).build();
    let devices: Vec<Device> = targets.map(open).into_iter().filter(|d| d.target().is_ok()).collect();
    assert!(!devices.is_empty());
    devices
}

fn random<T: Float>(seed: u64, dims: &[usize]) -> Tensor<T> {
    let values: Vec<T> = Random::new(seed).values(dims.iter().product(), 1.0);
    Tensor::from_slice(&values, dims).unwrap()
}

/// The bits of `a · b`, so that not-a-number and zeros count too.
fn product<T: Float + DotElem>(device: &Device, a: &Tensor<T>, b: &TensorView<'_, T>) -> Vec<u32> {
    let mut c = Tensor::<T>::full(&[a.dim(0), b.dim(1)], T::from_f32(-77.0)).unwrap();
    let none = Epilogue { bias: None, residual: None };
    matmul::<T, IDENTITY>(device, &a.view(), b, none, &mut c.view_mut()).unwrap();
    c.as_slice().iter().map(|x| x.to_f32().to_bits()).collect()
}

fn sizes<T: Float + DotElem>(device: &Device) {
    // One element, primes, blocks that end within a tile, more than a chunk of K in f32 and in bf16.
    let all =
        [(1, 1, 1), (7, 13, 5), (65, 129, 67), (33, 256, 2081), (64, 70, 4099), (17, 300, 96), (3, 5, 0)];
    for (m, n, k) in all {
        let (a, b) = (random::<T>(1, &[m, k]), random::<T>(2, &[k, n]));
        let turned = Tensor::from_fn(&[n, k], |i| b.as_slice()[i % k.max(1) * n + i / k.max(1)]).unwrap();
        let want = product(device, &a, &b.view());
        let (b, turned) = (b.freeze(), turned.freeze());
        let want_turned = product(device, &a, &Tensor::view(&turned).t());
        for turn in ["packs", "finds", "finds again"] {
            let what = format!("{} {m}x{n}x{k} {turn}, {device:?}", T::ELEM);
            assert!(product(device, &a, &b.view()) == want, "{what}");
            assert!(product(device, &a, &turned.view().t()) == want_turned, "{what}, transposed");
        }
        assert_eq!(b.kept_bytes() > 0, k > 0, "{m}x{n}x{k} {device:?}");
    }
}

#[test]
fn frozen_weights_multiply_as_others_do() {
    for device in devices() {
        sizes::<f32>(&device);
        sizes::<bf16>(&device);
        sizes::<f16>(&device);
    }
}

/// Views of one tensor that begin, end or turn differently, each a 64 × 64 matrix.
fn views<T: Elem>(t: &Frozen<T>) -> Vec<TensorView<'_, T>> {
    let part = |rows: usize, cols: usize| {
        t.view().slice(0, rows..rows + 64).unwrap().slice(1, cols..cols + 64).unwrap()
    };
    let mut all = vec![part(0, 0), part(1, 0), part(0, 1), part(32, 64), part(0, 0).t(), part(64, 64).t()];
    all.push(part(0, 0).flip(0).unwrap());
    // The same address, dims and number of elements, other strides.
    all.push(
        t.view().reshape(&[128 * 128]).unwrap().slice(0, ..64 * 64).unwrap().reshape(&[64, 64]).unwrap(),
    );
    all.push(part(0, 0).slice(0, 0..1).unwrap().broadcast(&[64, 64]).unwrap());
    all
}

#[test]
fn views_of_one_tensor_are_told_apart() {
    fn of<T: Float + DotElem>(device: &Device) {
        let t = random::<T>(3, &[128, 128]).freeze();
        for rows in [64, 16] {
            let a = random::<T>(4, &[rows, 64]);
            for turn in 0..2 {
                for (i, view) in views(&t).iter().enumerate() {
                    let plain = Tensor::from_slice(&view.to_vec(), &[64, 64]).unwrap();
                    // Contiguous along K, a view may take code whose sums have another order: values of few bits have none.
                    let few = a.map(|x| T::from_f32((x.to_f32() * 8.0).round())).unwrap();
                    let (plain, frozen) = (product(device, &few, &plain.view()), product(device, &few, view));
                    let close = plain.iter().zip(&frozen).all(|(a, b)| {
                        let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
                        (a - b).abs() <= 1e-2 * a.abs().max(1.0)
                    });
                    assert!(close, "view {i}, turn {turn}, {device:?}");
                }
            }
        }
    }
    for device in devices() {
        of::<f32>(&device);
        of::<bf16>(&device);
    }
}

#[test]
fn weights_that_were_thawed_and_changed_are_read_anew() {
    for device in devices() {
        let (a, b) = (random::<f32>(5, &[40, 70]), random::<f32>(6, &[70, 90]));
        let frozen = b.freeze();
        let before = product(&device, &a, &frozen.view());
        assert!(product(&device, &a, &frozen.view()) == before);
        let mut b = frozen.thaw();
        b.as_mut_slice().iter_mut().for_each(|x| *x = -*x);
        let frozen = b.freeze();
        let negative: Vec<u32> = before.iter().map(|x| x ^ (1 << 31)).collect();
        assert!(product(&device, &a, &frozen.view()) == negative);
        assert!(product(&device, &a, &frozen.view()) == negative);
    }
}

#[test]
fn threads_that_meet_at_a_panel_agree() {
    for device in devices() {
        let a = random::<bf16>(7, &[96, 256]);
        for seed in 0..8 {
            let b = random::<bf16>(seed, &[256, 512]);
            let want = product(&device, &a, &b.view());
            let b = b.freeze();
            std::thread::scope(|s| {
                let launch = || assert!(product(&device, &a, &b.view()) == want);
                (0..4).for_each(|_| drop(s.spawn(launch)));
            });
        }
    }
}

#[test]
fn other_devices_take_frozen_tensors_too() {
    let (a, b) = (random::<f32>(8, &[5, 20]), random::<f32>(9, &[20, 7]));
    for name in ["eager", "sim:sm_80"] {
        let device = Device::open(name).unwrap();
        let want = product(&device, &a, &b.view());
        let frozen = Tensor::from_slice(b.as_slice(), &b.dims()).unwrap().freeze();
        assert!(product(&device, &a, &frozen.view()) == want && frozen.kept_bytes() == 0, "{name}");
    }
}

#[test]
fn a_layer_of_experts_finds_its_weights_again() {
    fn of<T: Float + DotElem>(
        device: &Device,
        (tokens, hidden, experts, inner): (usize, usize, usize, usize),
    ) {
        let small = |n: usize| 1.0 / (n as f32).sqrt();
        let scaled = |seed, dims: &[usize], by: f32| {
            random::<T>(seed, dims).map(|x| T::from_f32(x.to_f32() * by)).unwrap()
        };
        let x = random::<T>(10, &[tokens, hidden]);
        let router = scaled(11, &[hidden, experts], 1.0).freeze();
        let gate = scaled(12, &[experts, hidden, inner], small(hidden)).freeze();
        let up = scaled(13, &[experts, hidden, inner], small(hidden)).freeze();
        let down = scaled(14, &[experts, inner, hidden], small(inner)).freeze();
        let run = |views: [TensorView<'_, T>; 4]| {
            let mut work = Workspace::new(tokens, hidden, experts, 2, inner).unwrap();
            let mut y = Tensor::<T>::full(&[tokens, hidden], T::from_f32(-77.0)).unwrap();
            let weights = Experts { router: &views[0], gate: &views[1], up: &views[2], down: &views[3] };
            moe(device, &x.view(), weights, 2, &mut work, &mut y.view_mut()).unwrap();
            y.as_slice().iter().map(|x| x.to_f32().to_bits()).collect::<Vec<u32>>()
        };
        let want = run([Tensor::view(&router), Tensor::view(&gate), Tensor::view(&up), Tensor::view(&down)]);
        for _ in 0..3 {
            assert!(
                run([router.view(), gate.view(), up.view(), down.view()]) == want,
                "{} {device:?}",
                T::ELEM
            );
        }
        // AVX2 may take the rows of an expert in its eight lanes, and read the weights where they lie.
        if device.target().unwrap() != Some("cpu:x86-64-v3") {
            let kept = [&gate, &up, &down].map(|t| t.kept_bytes() > 0);
            assert_eq!(kept, [true; 3], "{} {tokens} tokens, {device:?}", T::ELEM);
        }
    }
    for device in devices() {
        for size in [(7, 40, 3, 70), (130, 256, 4, 260), (1, 65, 2, 33)] {
            of::<f32>(&device, size);
            of::<bf16>(&device, size);
        }
    }
}
