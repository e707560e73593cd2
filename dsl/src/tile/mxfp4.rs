//! 4-bit floats E2M1, two in a byte, as block-scaled weights are stored (OCP Microscaling formats 1.0, section 5.3.3).
//!
//! ```text
//! byte   hhhh llll     low half: the even element, high half: the odd one
//! half   s ee m        0  0.5  1  1.5  2  3  4  6, and their negatives
//! ```
//! Every value is one of [`F8E4M3`] as well, so that unpacked operands go into `dot_scaled` on every target, exactly:
//!
//! ```text
//! magnitude 0 1 2..=7   →   bits 0x00 0x30 0x30 + 4 · magnitude
//! ```

use super::{Matrix, Tile, select};
use crate::elem::F8E4M3;
use crate::shape::Shape;

/// The values of the low halves.
#[track_caller]
fn widen<S: Shape>(half: Tile<u8, S>) -> Tile<F8E4M3, S> {
    let sign = (half & 8u8) << 4u8;
    let magnitude = half & 7u8;
    let normal = (magnitude << 2u8) + 0x30u8;
    let bits = select(magnitude.gt_(1u8), normal, magnitude * 0x30u8);
    (bits | sign).bitcast()
}

impl<const M: usize, const N: usize> Matrix<u8, M, N> {
    /// E2M1 values packed along a row: byte `j` holds elements `2j` (low half) and `2j + 1`. `K` is twice the number
    /// of columns. Exact.
    ///
    /// ```
    /// use kcc_dsl::prelude::*;
    ///
    /// /// c = a · b with weights in mxfp4, 64 elements along K. Grid: (column blocks).
    /// #[kernel]
    /// fn weights<const M: usize, const N: usize>(
    ///     a: &View<F8E4M3, 2>, scale_a: &View<u8, 2>, b: &View<u8, 2>, scale_b: &View<u8, 2>, c: &mut View<f32, 2>,
    /// ) {
    ///     let col = program_id(0) * N;
    ///     let b = b.load::<32, N>((0, col)).unpack_e2m1_rows::<64>();
    ///     let (sa, sb) = (scale_a.load::<M, 2>((0, 0)), scale_b.load::<2, N>((0, col)));
    ///     c.store((0, col), dot_scaled(a.load::<M, 64>((0, 0)), sa, b, sb, Matrix::zeros()));
    /// }
    /// assert!(weights::kernel::<16, 64>().trace().is_ok());
    /// ```
    #[track_caller]
    pub fn unpack_e2m1_cols<const K: usize>(self) -> Matrix<F8E4M3, M, K> {
        const { assert!(2 * N == K, "`unpack_e2m1_cols` gives two columns for each") }
        widen(self).join(widen(self >> 4u8)).reshape()
    }

    /// E2M1 values packed along a column: byte `i` holds elements `2i` (low half) and `2i + 1`. `K` is twice the
    /// number of rows. Exact.
    #[track_caller]
    pub fn unpack_e2m1_rows<const K: usize>(self) -> Matrix<F8E4M3, K, N> {
        const { assert!(2 * M == K, "`unpack_e2m1_rows` gives two rows for each") }
        widen(self).join(widen(self >> 4u8)).t().reshape()
    }
}
