//! Tensors and views: the memory that kernels read and write, with run-time dims and strides.
//!
//! ```text
//! Tensor<T>  owns ── view() ──▶ TensorView<'_, T>     slice · index · permute · t · reshape · broadcast
//!                 ── view_mut() ▶ TensorViewMut<'_, T>   the same but broadcast; no element twice
//! Frozen<T>  a Tensor that no longer changes; what a CPU packs of it is kept
//! DynTensor  owns, element type known at run time only
//! DeviceTensor  owns memory of a device, with views of its own
//! ```

mod device;
mod dynamic;
mod frozen;
mod layout;
mod memory;
mod owned;
mod view;

pub use device::{DeviceTensor, DeviceView, DeviceViewMut};
pub use dynamic::DynTensor;
pub use frozen::Frozen;
pub use layout::MAX_RANK;
pub use memory::ALIGN;
pub use owned::Tensor;
pub use view::{TensorView, TensorViewMut};

pub(crate) use frozen::Kept;
pub(crate) use layout::{Axes, Layout, may_overlap};
pub(crate) use memory::Memory;
