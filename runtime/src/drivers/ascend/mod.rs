//! Ascend NPUs: the device through AscendCL, whose library is opened at run time, and the simulator of its cores.
//!
//! ```text
//! library.rs  libascendcl, found and checked      device.rs  one NPU, its memory, its events
//! source.rs   AscendC to a library, by `bisheng`  module.rs  such a library, and its launches
//! meta.rs     launch facts, checked               sim.rs     `sim:ascend910b`: the program of the cores, run and watched
//! ```

#[cfg(feature = "ascend")]
mod device;
#[cfg(feature = "ascend")]
mod library;
mod meta;
#[cfg(feature = "ascend")]
mod module;
mod scalar;
#[cfg(feature = "sim")]
pub(crate) mod sim;
#[cfg(feature = "ascend")]
mod source;
#[cfg(all(test, feature = "ascend"))]
mod tests;

#[cfg(feature = "ascend")]
pub(crate) use device::open;
