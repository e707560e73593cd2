//! What the tests of several backends share, so that each states only its chips and its numbers.
//!
//! A GPU's backend hands over its targets; the kernels, the runs on the simulator and what counts as a failure are the same for all. Of
//! [`random`], those of other processors use the loop over seeds.

pub mod emulate;
pub mod kernels;
pub mod mutate;
pub mod passes;
pub mod products;
pub mod random;
pub mod simulate;
