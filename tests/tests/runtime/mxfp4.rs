//! Block-scaled products of 4-bit floats, on every kind of device.

use super::launch::device;
use kcc::prelude::*;
use kcc::{Device, Launch, Tensor};

/// What the 16 halves of a byte stand for, in the order of the standard's table.
const E2M1: [f64; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

const M: usize = 16;
const N: usize = 32;
const K: usize = 64;

/// `c = a · b`, both packed along K, and `b` as numbers.
#[kernel]
fn product(
    a: &View<u8, 2>,
    scale_a: &View<u8, 2>,
    b: &View<u8, 2>,
    scale_b: &View<u8, 2>,
    c: &mut View<f32, 2>,
    numbers: &mut View<f32, 2>,
) {
    let a = a.load::<M, { K / 2 }>((0, 0)).unpack_e2m1_cols::<K>();
    let b = b.load::<{ K / 2 }, N>((0, 0)).unpack_e2m1_rows::<K>();
    let (scale_a, scale_b) = (scale_a.load::<M, 2>((0, 0)), scale_b.load::<2, N>((0, 0)));
    c.store((0, 0), dot_scaled(a, scale_a, b, scale_b, Matrix::zeros()));
    numbers.store((0, 0), b.to());
}

#[test]
fn mxfp4_operands_are_exact_on_every_kind_of_device() {
    let bytes = |rows: usize, cols: usize, by: usize| {
        Tensor::from_fn(&[rows, cols], |i| (i * by + i / 7) as u8).unwrap()
    };
    let scales = |rows: usize, cols: usize| Tensor::from_fn(&[rows, cols], |i| 125 + (i % 5) as u8).unwrap();
    let (a, b) = (bytes(M, K / 2, 37), bytes(K / 2, N, 91));
    let (scale_a, scale_b) = (scales(M, 2), scales(2, N));
    let half = |byte: u8, k: usize| E2M1[usize::from(byte >> (4 * (k % 2)) & 15)];
    let at_a = |i: usize, k: usize| half(a.as_slice()[i * K / 2 + k / 2], k);
    let at_b = |k: usize, j: usize| half(b.as_slice()[k / 2 * N + j], k);
    let power = |s: u8| f64::from(s) - 127.0;
    let mut expected = Vec::new();
    for i in 0..M {
        for j in 0..N {
            let term = |k: usize| {
                let scale =
                    power(scale_a.as_slice()[i * 2 + k / 32]) + power(scale_b.as_slice()[k / 32 * N + j]);
                at_a(i, k) * at_b(k, j) * scale.exp2()
            };
            // Multiples of 2^-6 below 2^12: exact in f32, in any order.
            expected.push((0..K).map(term).sum::<f64>() as f32);
        }
    }
    let numbers: Vec<f32> = (0..K * N).map(|i| at_b(i / N, i % N) as f32).collect();
    let simulated = ["sim:sm_80", "sim:sm_90a", "sim:gfx942"].map(|name| (name, Device::open(name).unwrap()));
    for (name, device) in [("cpu", device()), ("eager", Device::eager())].into_iter().chain(simulated) {
        let mut c = Tensor::zeros(&[M, N]).unwrap();
        let mut unpacked = Tensor::zeros(&[K, N]).unwrap();
        let args = (&a, &scale_a, &b, &scale_b, &mut c, &mut unpacked);
        product::kernel().launch(&device, 1, args).unwrap();
        assert_eq!(unpacked.as_slice(), numbers, "{name}");
        assert_eq!(c.as_slice(), expected, "{name}");
    }
}
