//! The kcc tile DSL: staged tiles, tracing and eager execution.
//!
//! A kernel is a Rust function over staged values. Running it once records it as tile IR ([`ir`]); eager mode
//! ([`eager`]) runs it as it is.
//!
//! ```
//! use kcc_dsl::prelude::*;
//!
//! /// y = a * x + y, in blocks of `N`. Grid: (blocks).
//! #[kernel]
//! fn axpy<T: Float, const N: usize>(a: Scalar<f32>, x: &View<T, 1>, y: &mut View<T, 1>) {
//!     let at = program_id(0) * N;
//!     let sum = a * x.load::<N>(at).to::<f32>() + y.load::<N>(at).to::<f32>();
//!     y.store(at, sum.to());
//! }
//!
//! let kernel = axpy::kernel::<bf16, 256>().trace().unwrap();
//! assert_eq!(kernel.symbol(), "axpy__bf16_256");
//! ```
//!
//! This crate never links LLVM.

extern crate self as kcc_dsl;

pub mod debug;
pub mod eager;
pub mod elem;
pub mod exchange;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod ir;
pub mod kernel;
pub mod philox;
pub mod prelude;
pub mod program;
pub mod shape;
#[doc(hidden)]
pub mod stage;
pub mod staging;
pub mod tile;
pub mod view;

/// The derive macro of [`staging::Carried`]: a struct of tiles as a variable that run-time loops and branches assign, and as the value of
/// a branch.
///
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// A softmax that has seen some of its row.
/// #[derive(Clone, Copy, Carried)]
/// struct Online<const M: usize> {
///     max: Vector<f32, M>,
///     sum: Vector<f32, M>,
/// }
///
/// impl<const M: usize> Online<M> {
///     fn with<const N: usize>(self, s: Matrix<f32, M, N>) -> Self {
///         let max = self.max.max(s.max_rows());
///         let sum = self.sum * (self.max - max).exp() + (s - max.col()).exp().sum_rows();
///         Online { max, sum }
///     }
/// }
///
/// /// log(sum(exp(x))) of 16 rows at once. Grid: (blocks of 16 rows).
/// #[kernel]
/// fn log_sum_exp(x: &View<f32, 2>, y: &mut View<f32, 1>) {
///     let row = program_id(0) * 16;
///     let mut seen = Online { max: Tile::constant(-1e30), sum: Tile::zeros() };
///     for col in (0..x.dim(1)).step_by(64) {
///         seen = seen.with(x.load_or::<16, 64>((row, col), f32::NEG_INFINITY));
///     }
///     y.store(row, seen.max + seen.sum.log());
/// }
/// assert!(log_sum_exp::kernel().trace().is_ok());
/// ```
pub use kcc_macros::Carried;
/// ```
/// use kcc_dsl::prelude::*;
///
/// /// The sum over a row, and whether the row was empty. May be called from any kernel.
/// #[function]
/// fn row_sum<const N: usize>(x: &View<f32, 2>, row: Scalar<i32>) -> (Scalar<f32>, Scalar<bool>) {
///     let mut sum = Scalar::zeros();
///     // The end is known at launch: a run-time loop, which carries `sum`.
///     for col in (0..x.dim(1)).step_by(N) {
///         sum += x.at(row).load::<N>(col).sum();
///     }
///     (sum, x.dim(1) == 0)
/// }
///
/// #[kernel]
/// fn row_means(x: &View<f32, 2>, y: &mut View<f32, 1>) {
///     let row = program_id(0);
///     let (sum, empty) = row_sum::<64>(x, row);
///     if !empty {
///         y.set(row, sum / x.dim(1).to::<f32>());
///     }
/// }
/// assert!(row_means::kernel().trace().is_ok());
/// ```
pub use kcc_macros::function;
/// ```
/// use kcc_dsl::prelude::*;
///
/// #[kernel(instances(<f32, 64>, <bf16, 64>))]
/// fn scale<T: Float, const N: usize>(x: &View<T, 1>, y: &mut View<T, 1>, factor: Scalar<f32>) {
///     let at = program_id(0) * N;
///     y.store(at, (x.load::<N>(at).to::<f32>() * factor).to());
/// }
///
/// let kernel = scale::kernel::<f32, 64>();
/// assert_eq!((kernel.name(), kernel.generics()), ("scale", "f32, 64"));
/// assert_eq!(kcc_dsl::registered().filter(|r| r.name == "scale").count(), 2);
/// ```
pub use kcc_macros::kernel;
pub use kernel::{In, KernelDef, KernelFn, Out, Registered, Val, registered};

/// What the expansions of the macros name.
#[doc(hidden)]
pub mod __private {
    pub use crate::ir::{Loc, Param, Type, ValueId};
    pub use crate::kernel::{KernelDef, KernelFn, Registered, type_label};
    pub use crate::stage::{carried, compare, control, logic, loops, params, range};
    pub use crate::tile::literal;
    pub use inventory;
}
