//! Devices, tensors, launches, JIT cache and packs. Links no LLVM by default.
//!
//! ```text
//! KernelDef ── launch ──▶ checks ──▶ memory cache ──▶ CPU driver: programs on a thread pool
//!                                     │ miss
//!                                     trace ──▶ disk cache ──▶ compiler (child process, or linked in)
//! GPUs, real (`cuda`, `hip`) and simulated (`sim:…`), and NPUs go the same way to their own drivers.
//! Device::eager() runs the kernel's own function instead, with every access checked.
//! ```

pub mod aot;
#[cfg(test)]
mod counting;
mod device;
mod drivers;
mod error;
pub mod jit;
mod launch;
pub mod pack;
mod stats;
mod tensor;
mod timeline;

pub use device::{Builder, CompiledKernel, Device, Event, OwnStream, Recorded};
pub use drivers::cpu::detect;
pub use error::{ArgumentProblem, Error, Result, ViewError};
pub use kcc_dsl::ir::Elem;
pub use launch::{
    Arg, Argument, Arguments, Extent, How, IntoGrid, Launch, LaunchOptions, Prepared, PrintHandler, Stream,
    Workspace,
};
pub use stats::{Compilation, Origin, Stats};
pub use tensor::{
    ALIGN, DeviceTensor, DeviceView, DeviceViewMut, DynTensor, Frozen, MAX_RANK, Tensor, TensorView,
    TensorViewMut,
};
pub use timeline::{PipeTime, Timeline};
