//! Ascend NPUs: the simulator of their cores.
//!
//! ```text
//! meta.rs  launch facts, checked        sim.rs  `sim:ascend910b`: the program of the cores, run and watched
//! ```

mod meta;
pub(crate) mod sim;
