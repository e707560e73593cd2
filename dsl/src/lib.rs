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

pub use kcc_macros::{function, kernel};
pub use kernel::{In, KernelDef, KernelFn, Out, Registered, Val, registered};

/// What the expansions of the macros name.
#[doc(hidden)]
pub mod __private {
    pub use crate::ir::{Loc, Param};
    pub use crate::kernel::{KernelDef, KernelFn, Registered, type_label};
    pub use crate::stage::{compare, control, logic, loops, params, range};
    pub use crate::tile::literal;
    pub use inventory;
}
