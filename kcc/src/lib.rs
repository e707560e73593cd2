//! kcc: kernels for tensors, written once as operations on tiles, in Rust.
//!
//! This crate is what users depend on: the language of kernels ([`prelude`]), devices and tensors ([`Device`],
//! [`Tensor`]), and launches ([`Launch`]). It links no LLVM: kernels are compiled by the `kcc` program, which the runtime
//! starts as a child process, or by the linked-in compiler of the feature `jit-in-process`. The feature `sim` adds devices
//! that simulate GPUs (`Device::open("sim:sm_90a")`). Packs are opened by [`pack::Pack`].
//!
//! ```
//! use kcc::prelude::*;
//! use kcc::{Device, Launch, Tensor};
//!
//! /// Softmax of each row of `x`, which is at most `N` wide. Grid: (rows).
//! #[kernel]
//! fn softmax<T: Float, const N: usize>(x: &View<T, 2>, y: &mut View<T, 2>) {
//!     let row = program_id(0);
//!     let v = x.at(row).load_or::<N>(0, f32::NEG_INFINITY).to::<f32>();
//!     let e = (v - v.reduce_max()).exp();
//!     y.at_mut(row).store(0, (e / e.sum()).to());
//! }
//!
//! // `eager` runs the function itself and checks every access; `Device::cpu()` compiles it.
//! let device = Device::eager();
//! let x = Tensor::from_slice(&[0.0f32, 0.0, 1.0, 1.0, 1.0, 1.0], &[2, 3])?;
//! let mut y = Tensor::empty(&[2, 3])?;
//! softmax::kernel::<f32, 4>().launch(&device, 2, (&x, &mut y))?;
//! assert!((y.as_slice()[5] - 1.0 / 3.0).abs() < 1e-6);
//! # Ok::<(), kcc::Error>(())
//! ```

pub use kcc_dsl::{Carried, function, prelude};
pub use kcc_dsl::{In, KernelDef, KernelFn, Out, Registered, Val, registered};
pub use kcc_dsl::{
    debug, eager, elem, exchange, ir, kassert, kernel, kprint, philox, program, shape, tile, view,
};
pub use kcc_runtime::{
    Arg, Argument, ArgumentProblem, Arguments, Builder, CompiledKernel, Device, DeviceTensor, DeviceView,
    DeviceViewMut, DynTensor, Error, Event, Extent, Frozen, How, IntoGrid, Launch, LaunchOptions, OwnStream,
    Prepared, PrintHandler, Recorded, Result, Stats, Stream, Tensor, TensorView, TensorViewMut, ViewError,
    Workspace, aot, detect, jit, pack,
};

/// What the expansions of the macros name.
#[doc(hidden)]
pub use kcc_dsl::__private;
