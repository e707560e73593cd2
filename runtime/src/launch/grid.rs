//! Grids: how many programs run along each of three axes.

use super::Label;
use crate::error::{Error, Result};

/// A number of programs along one axis.
pub trait Extent {
    /// As `i64`; what does not fit becomes the largest, which no launch accepts.
    fn extent(self) -> i64;
}

macro_rules! extents {
    ($($t:ty),*) => {$(
        impl Extent for $t {
            fn extent(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
        }
    )*};
}
extents!(i32, u32, i64, u64, usize);

/// A grid of one, two or three axes: a number, a tuple, or an array; missing axes have one program.
pub trait IntoGrid {
    /// Programs along axes 0, 1 and 2.
    fn into_grid(self) -> [i64; 3];
}

macro_rules! single {
    ($($t:ty),*) => {$(
        impl IntoGrid for $t {
            fn into_grid(self) -> [i64; 3] {
                [self.extent(), 1, 1]
            }
        }
    )*};
}
single!(i32, u32, i64, u64, usize);

impl<A: Extent, B: Extent> IntoGrid for (A, B) {
    fn into_grid(self) -> [i64; 3] {
        [self.0.extent(), self.1.extent(), 1]
    }
}
impl<A: Extent, B: Extent, C: Extent> IntoGrid for (A, B, C) {
    fn into_grid(self) -> [i64; 3] {
        [self.0.extent(), self.1.extent(), self.2.extent()]
    }
}
impl<T: Extent> IntoGrid for [T; 3] {
    fn into_grid(self) -> [i64; 3] {
        self.map(Extent::extent)
    }
}
impl<T: Extent> IntoGrid for [T; 2] {
    fn into_grid(self) -> [i64; 3] {
        let [a, b] = self.map(Extent::extent);
        [a, b, 1]
    }
}

/// Refuses a grid without programs, or with more than can be counted.
pub(crate) fn check_grid(kernel: &Label<'_>, grid: [i64; 3]) -> Result<()> {
    let possible = grid.iter().all(|n| (1..=i64::from(i32::MAX)).contains(n));
    let total: i128 = grid.iter().map(|&n| i128::from(n)).product();
    if possible && total < i128::from(i64::MAX >> 8) {
        return Ok(());
    }
    Err(Error::Grid { kernel: kernel.to_string(), grid })
}
