//! Element-wise kernels: sum, product, activations, and the gated product of SwiGLU feed-forward layers.
//!
//! All take matrices of one shape with any strides; a vector is a matrix of one row. Arithmetic is in `f32`.

use crate::activation::{self, activate, silu};
use crate::error::Result;
use crate::launch::{dims, expect};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// `y = a + b`. Grid: (column tiles of `N`, rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>))]
pub fn add_tile<T: Float, const N: usize>(a: &View<T, 2>, b: &View<T, 2>, y: &mut View<T, 2>) {
    let (row, col) = (program_id(1), program_id(0) * N);
    let sum = a.at(row).load::<N>(col).to::<f32>() + b.at(row).load::<N>(col).to::<f32>();
    y.at_mut(row).store(col, sum.to());
}

/// `y = a · b`, element by element. Grid: (column tiles of `N`, rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>))]
pub fn mul_tile<T: Float, const N: usize>(a: &View<T, 2>, b: &View<T, 2>, y: &mut View<T, 2>) {
    let (row, col) = (program_id(1), program_id(0) * N);
    let product = a.at(row).load::<N>(col).to::<f32>() * b.at(row).load::<N>(col).to::<f32>();
    y.at_mut(row).store(col, product.to());
}

/// `y = act(x)`, `ACT` one of the constants of [`mod@activation`]. Grid: (column tiles of `N`, rows).
#[kernel(instances(
    <f32, 1024, 2>, <f16, 1024, 2>, <bf16, 1024, 2>, <f32, 1024, 3>, <f16, 1024, 3>, <bf16, 1024, 3>,
    <f32, 1024, 4>, <f16, 1024, 4>, <bf16, 1024, 4>,
))]
pub fn activation_tile<T: Float, const N: usize, const ACT: usize>(x: &View<T, 2>, y: &mut View<T, 2>) {
    let (row, col) = (program_id(1), program_id(0) * N);
    let v = x.at(row).load::<N>(col).to::<f32>();
    y.at_mut(row).store(col, activate::<ACT, _>(v).to());
}

/// `y = silu(gate) · up` (Shazeer, "GLU variants improve transformer", arXiv:2002.05202). Grid: (column tiles of
/// `N`, rows).
#[kernel(instances(<f32, 1024>, <f16, 1024>, <bf16, 1024>))]
pub fn silu_mul_tile<T: Float, const N: usize>(gate: &View<T, 2>, up: &View<T, 2>, y: &mut View<T, 2>) {
    let (row, col) = (program_id(1), program_id(0) * N);
    let gate = gate.at(row).load::<N>(col).to::<f32>();
    let up = up.at(row).load::<N>(col).to::<f32>();
    y.at_mut(row).store(col, (silu(gate) * up).to());
}

/// Columns per program of the launchers below.
const TILE: usize = 1024;

macro_rules! binary_launcher {
    ($(#[$doc:meta])* $name:ident, $kernel:ident, $a:ident, $b:ident) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// Dims that differ, or the launch failed.
        pub fn $name<T: Float>(
            device: &Device,
            $a: &TensorView<'_, T>,
            $b: &TensorView<'_, T>,
            y: &mut TensorViewMut<'_, T>,
        ) -> Result {
            let name = stringify!($name);
            let [rows, columns] = dims::<2>(name, stringify!($a), &$a.dims())?;
            expect(name, stringify!($b), &$b.dims(), &$a.dims())?;
            expect(name, "y", &y.dims(), &$a.dims())?;
            if rows * columns > 0 {
                let grid = [columns.div_ceil(TILE), rows, 1];
                $kernel::kernel::<T, TILE>().launch(device, grid, ($a, $b, y))?;
            }
            Ok(())
        }
    };
}
binary_launcher!(
    /// `y = a + b` for matrices of one shape.
    add, add_tile, a, b
);
binary_launcher!(
    /// `y = a · b`, element by element, for matrices of one shape.
    mul, mul_tile, a, b
);
binary_launcher!(
    /// `y = silu(gate) · up` for matrices of one shape.
    silu_mul, silu_mul_tile, gate, up
);

/// `y = act(x)` for matrices of one shape; `ACT` is one of the constants of [`mod@activation`].
///
/// # Errors
/// Dims that differ, or the launch failed.
pub fn activation<T: Float, const ACT: usize>(
    device: &Device,
    x: &TensorView<'_, T>,
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let [rows, columns] = dims::<2>("activation", "x", &x.dims())?;
    expect("activation", "y", &y.dims(), &x.dims())?;
    if rows * columns > 0 {
        let grid = [columns.div_ceil(TILE), rows, 1];
        activation_tile::kernel::<T, TILE, ACT>().launch(device, grid, (x, y))?;
    }
    Ok(())
}

/// `a + b`.
pub fn add_reference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// `a · b`, element by element.
pub fn mul_reference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// `act(x)`.
pub fn activation_reference(act: usize, x: &[f64]) -> Vec<f64> {
    x.iter().map(|&x| activation::reference(act, x)).collect()
}

/// `silu(gate) · up`.
pub fn silu_mul_reference(gate: &[f64], up: &[f64]) -> Vec<f64> {
    gate.iter().zip(up).map(|(&g, u)| activation::reference(activation::SILU, g) * u).collect()
}
