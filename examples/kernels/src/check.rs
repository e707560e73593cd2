//! What the tests share: devices, numbers, comparison.

use kcc::prelude::*;
use kcc::{Device, Tensor};

/// The host twice (checked, and compiled), and a simulated GPU of each vendor: what has 8-bit floats.
pub fn devices_with_f8() -> impl Iterator<Item = Device> {
    ["eager", "cpu", "sim:sm_90a", "sim:gfx942"].into_iter().map(open)
}

/// The same, and a simulated NPU.
pub fn devices() -> impl Iterator<Item = Device> {
    devices_with_f8().chain(std::iter::once("sim:ascend910b").map(open))
}

fn open(name: &str) -> Device {
    Device::open(name).expect("a device of this build")
}

/// Numbers in -1..1 that look random: the upper bits of a product.
pub fn numbers<T: Num>(dims: &[usize], seed: usize) -> Tensor<T> {
    let hash = |i: usize| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_mul(2 * seed + 3) >> 40;
    Tensor::from_fn(dims, |i| T::from_f32(hash(i) as f32 / (1 << 23) as f32 - 1.0)).expect("memory")
}

/// The elements as `f64`.
pub fn wide<T: Float>(t: &Tensor<T>) -> Vec<f64> {
    t.as_slice().iter().map(|x| x.to_f32().into()).collect()
}

/// Fails unless every element is within `tolerance` of `wanted`, relative to the largest of the element, the tensor's root
/// mean square, and a thousandth of the inputs, which are of order 1.
pub fn close<T: Float>(device: &Device, got: &Tensor<T>, wanted: &[f64], tolerance: f64) {
    let got = wide(got);
    assert_eq!(got.len(), wanted.len());
    let rms = (wanted.iter().map(|w| w * w).sum::<f64>() / wanted.len().max(1) as f64).sqrt();
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let error = (g - w).abs();
        assert!(
            error <= tolerance * rms.max(w.abs()).max(1e-3),
            "{}: [{i}] = {g}, not {w}",
            device.describe()
        );
    }
}
