//! Shapes for which the launchers take other tiles on processors with a matrix unit.

use super::launch::device;
use kcc::prelude::*;
use kcc::{Device, Tensor};
use kcc_kernels::activation::IDENTITY;
use kcc_kernels::matmul::{Epilogue, matmul};
use kcc_kernels::moe::{Experts, Workspace, moe};

/// Whole numbers of -2 to 2, whose products and sums f32 holds exactly.
fn whole(dims: &[usize], seed: usize) -> Tensor<bf16> {
    Tensor::from_fn(dims, |i| bf16::from_f32(((i * 7 + seed + i / 11) % 5) as f32 - 2.0)).unwrap()
}

#[test]
fn wide_products_are_exact_whatever_their_tiles() {
    let device = device();
    for (m, n, k) in [(70, 256, 300), (17, 128, 64), (130, 512, 1030), (64, 256, 4128)] {
        let (a, b) = (whole(&[m, k], 1), whole(&[k, n], 3));
        let mut c = Tensor::<bf16>::zeros(&[m, n]).unwrap();
        let none = Epilogue { bias: None, residual: None };
        matmul::<bf16, IDENTITY>(&device, &a.view(), &b.view(), none, &mut c.view_mut()).unwrap();
        let (a, b) = (a.as_slice(), b.as_slice());
        for i in 0..m {
            for j in (i % 3..n).step_by(3) {
                let sum: f32 = (0..k).map(|x| a[i * k + x].to_f32() * b[x * n + j].to_f32()).sum();
                assert_eq!(c.as_slice()[i * n + j], bf16::from_f32(sum), "{m}x{n}x{k}: ({i}, {j})");
            }
        }
    }
}

#[test]
fn experts_with_many_tokens_agree_with_eager_mode() {
    // Every expert is chosen: nearly equal scores decide nothing.
    let (tokens, hidden, experts, choices, inner) = (70, 256, 2, 2, 320);
    let numbers = |dims: &[usize], seed: usize, scale: f32| {
        let x = |i: usize| (((i * 2_654_435 + seed * 977) >> 3) % 1001) as f32 / 500.0 - 1.0;
        Tensor::from_fn(dims, |i| bf16::from_f32(x(i) * scale)).unwrap()
    };
    let x = numbers(&[tokens, hidden], 1, 1.0);
    let router = numbers(&[hidden, experts], 2, 0.3);
    let gate = numbers(&[experts, hidden, inner], 3, 0.1);
    let up = numbers(&[experts, hidden, inner], 4, 0.1);
    let down = numbers(&[experts, inner, hidden], 5, 0.1);
    let run = |device: &Device| {
        let mut work = Workspace::new(tokens, hidden, experts, choices, inner).unwrap();
        let mut y = Tensor::<bf16>::zeros(&[tokens, hidden]).unwrap();
        let (router, gate, up, down) = (router.view(), gate.view(), up.view(), down.view());
        let weights = Experts { router: &router, gate: &gate, up: &up, down: &down };
        moe(device, &x.view(), weights, choices, &mut work, &mut y.view_mut()).unwrap();
        y.to_vec()
    };
    let (compiled, eager) = (run(&device()), run(&Device::eager()));
    for (i, (a, b)) in compiled.iter().zip(&eager).enumerate() {
        // What lies between the kernels is rounded to bf16: a few units of 2⁻⁸ of values of about 1.
        let (a, b) = (a.to_f32(), b.to_f32());
        assert!((a - b).abs() <= 0.02 * (1.0 + b.abs()), "element {i}: {a}, eager {b}");
    }
}
