//! What the tests of all GPU backends share, so that each states only its chips and its numbers.
//!
//! A backend hands over its targets; the kernels, the runs on the simulator and what counts as a failure are the same for all.

pub mod kernels;
pub mod mutate;
pub mod random;
pub mod simulate;
