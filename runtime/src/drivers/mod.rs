//! What runs kernels: one driver per kind of device. Only this folder talks to devices.

#[cfg(any(feature = "sim", feature = "ascend"))]
pub(crate) mod ascend;
pub mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub(crate) mod dry;
pub(crate) mod eager;
#[cfg(feature = "sim")]
pub(crate) mod emu;
pub(crate) mod gpu;
#[cfg(feature = "hip")]
pub(crate) mod hip;
pub(crate) mod print;
#[cfg(feature = "sim")]
pub(crate) mod sim;
