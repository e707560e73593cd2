//! What the tests share: devices, numbers, comparison.

use kcc::prelude::*;
use kcc::{Device, Tensor};

/// The host twice (checked, and compiled), and a simulated GPU of each vendor.
pub fn devices() -> impl Iterator<Item = Device> {
    ["eager", "cpu", "sim:sm_90a", "sim:gfx942"].into_iter().map(|name| Device::open(name).expect(name))
}

/// Numbers in -1..1 that look random: the upper bits of a product.
pub fn numbers<T: Num>(dims: &[usize], seed: usize) -> Tensor<T> {
    let hash = |i: usize| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_mul(2 * seed + 3) >> 40;
    Tensor::from_fn(dims, |i| T::from_f32(hash(i) as f32 / (1 << 23) as f32 - 1.0)).expect("memory")
}

/// The elements as `f64`, by their exact `f32`.
pub fn wide<T: Float>(t: &Tensor<T>) -> Vec<f64> {
    let exact = |x: &T| match T::ELEM {
        kcc::ir::Elem::BF16 => bf16::from_bits(x.to_bits64() as u16).to_f32(),
        kcc::ir::Elem::F16 => f16::from_bits(x.to_bits64() as u16).to_f32(),
        kcc::ir::Elem::F8E4M3 => F8E4M3::from_bits(x.to_bits64() as u8).to_f32(),
        kcc::ir::Elem::F8E5M2 => F8E5M2::from_bits(x.to_bits64() as u8).to_f32(),
        _ => f32::from_bits(x.to_bits64() as u32),
    };
    t.as_slice().iter().map(|x| exact(x).into()).collect()
}

/// Fails unless every element is within `tolerance` of `wanted`, relative to the larger of the element and the tensor's
/// root mean square.
pub fn close<T: Float>(device: &Device, got: &Tensor<T>, wanted: &[f64], tolerance: f64) {
    let got = wide(got);
    assert_eq!(got.len(), wanted.len());
    let rms = (wanted.iter().map(|w| w * w).sum::<f64>() / wanted.len().max(1) as f64).sqrt();
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let error = (g - w).abs();
        assert!(error <= tolerance * rms.max(w.abs()), "{}: [{i}] = {g}, not {w}", device.describe());
    }
}
