//! RMS norm and quantisation in one kernel: what stands before an 8-bit product.
//!
//! ```text
//! x [rows, width] ── pass 1: Σ x² ── pass 2: largest |x · w / rms| → scale[row] ── pass 3: q = x · w / rms / scale
//! ```
//!
//! What to see: the output type is a generic, so that one function makes `i8` and 8-bit floats (`Q::ELEM` is known while the kernel
//! is traced, the `if` costs nothing); rows of any width in blocks of `N`; the second and third pass read what the caches hold.

use kcc::prelude::*;

/// `q · scale ≈ x / √(mean(x²) + eps) · w`; the largest magnitude of a row becomes `most` (127 for `i8`, 448 for `F8E4M3`).
/// `x`, `q`: `[rows, width]`; `w [width]`; `scale [rows]`. A row of zeros gets the scale `1e-12 / most`. Grid: (rows).
#[kernel(instances(<bf16, F8E4M3, 1024>, <bf16, i8, 1024>, <f16, i8, 1024>))]
pub fn norm_quantise<T: Float, Q: Num, const N: usize>(
    x: &View<T, 2>,
    w: &View<T, 1>,
    q: &mut View<Q, 2>,
    scale: &mut View<f32, 1>,
    eps: Scalar<f32>,
    most: Scalar<f32>,
) {
    let row = program_id(0);
    let (x, width) = (x.at(row), x.dim(1));
    let mut squares = Scalar::<f32>::zeros();
    for col in (0..width).step_by(N) {
        let v = x.load::<N>(col).to::<f32>();
        squares += (v * v).sum();
    }
    let inverse = (squares / width.to::<f32>() + eps).rsqrt();
    let mut largest = Scalar::<f32>::constant(1e-12);
    for col in (0..width).step_by(N) {
        let v = x.load::<N>(col).to::<f32>() * inverse * w.load::<N>(col).to::<f32>();
        largest = largest.max(v.abs().reduce_max());
    }
    let unit = largest / most;
    scale.set(row, unit);
    let mut q = q.at_mut(row);
    for col in (0..width).step_by(N) {
        let v = x.load::<N>(col).to::<f32>() * inverse * w.load::<N>(col).to::<f32>() / unit;
        // Conversion to an integer cuts off: round first. Conversion to a float rounds by itself.
        let v = if Q::ELEM.is_float() { v } else { v.round() };
        q.store(col, v.min(most).max(-most).to());
    }
}

/// The normalised rows, and the largest magnitude of each.
pub fn reference(x: &[f64], w: &[f64], eps: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut y, mut largest) = (Vec::new(), Vec::new());
    for x in x.chunks(w.len()) {
        let rms = (x.iter().map(|x| x * x).sum::<f64>() / w.len() as f64 + eps).sqrt();
        let row: Vec<f64> = x.iter().zip(w).map(|(x, w)| x / rms * w).collect();
        largest.push(row.iter().fold(1e-12, |m: f64, v| m.max(v.abs())));
        y.extend(row);
    }
    (y, largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{close, devices, devices_with_f8, numbers, wide};
    use kcc::{Launch, Tensor};

    /// What the quantised rows stand for.
    fn restored<Q: Num>(q: &Tensor<Q>, scale: &Tensor<f32>) -> Tensor<f32> {
        let width = q.dim(1);
        Tensor::from_fn(&q.dims(), |i| q.as_slice()[i].to_f32() * scale.as_slice()[i / width]).unwrap()
    }

    #[test]
    fn quantised_rows_are_the_norm_to_within_half_a_step() {
        for (rows, width) in [(3, 300), (2, 64), (1, 1)] {
            let (x, w) = (numbers::<bf16>(&[rows, width], 1), numbers::<bf16>(&[width], 2));
            let (y, largest) = reference(&wide(&x), &wide(&w), 1e-5);
            for device in devices() {
                let mut scale = Tensor::<f32>::zeros(&[rows]).unwrap();
                let mut q = Tensor::<i8>::zeros(&[rows, width]).unwrap();
                let args = (&x, &w, &mut q, &mut scale, 1e-5, 127.0);
                norm_quantise::kernel::<bf16, i8, 64>().launch(&device, rows, args).unwrap();
                let scales: Vec<f64> = largest.iter().map(|l| l / 127.0).collect();
                close(&device, &scale, &scales, 1e-5);
                for (i, got) in restored(&q, &scale).as_slice().iter().enumerate() {
                    let step = scales[i / width];
                    assert!((f64::from(*got) - y[i]).abs() <= 0.501 * step, "{}: [{i}]", device.describe());
                }
            }
            for device in devices_with_f8() {
                let mut scale = Tensor::<f32>::zeros(&[rows]).unwrap();
                let mut q = Tensor::<F8E4M3>::zeros(&[rows, width]).unwrap();
                let args = (&x, &w, &mut q, &mut scale, 1e-5, 448.0);
                norm_quantise::kernel::<bf16, F8E4M3, 64>().launch(&device, rows, args).unwrap();
                // Three bits of mantissa: half of 2⁻³.
                close(&device, &restored(&q, &scale), &y, 0.0626);
            }
        }
    }
}
