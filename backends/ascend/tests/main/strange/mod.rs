//! Kernels that nobody ships, against eager mode: operands in every orientation, products that feed products, control flow around
//! them, each axis of each reduction, and memory that a kernel reads back.

mod control;
mod large;
mod memory;
mod products;
mod rows;
mod tangles;
mod views;

pub use super::shipped::{Args, all, check};
