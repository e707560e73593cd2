//! The pipes of Ascend's DaVinci cores: a typed IR with the exact parameters of each instruction, and a simulator.
//!
//! [`ir::Program`] is what the Ascend backend lowers a kernel to: scalar control flow of a cube core and of vector cores that
//! issues instructions to pipes, with explicit addresses, events and flags. It prints and reads back ([`ir::Program::to_text`]),
//! is checked against the chip's rules ([`verify`]), runs on the simulator, and is what AscendC source is
//! written from.
//!
//! Instructions mean what the vendor's public documentation says, stated here independently of the lowering. Nobody has
//! compared with a device: results are simulated.

#![forbid(unsafe_code)]

mod chip;
mod error;
pub mod ir;
mod machine;
mod text;
mod verify;

pub use chip::{CHIPS, Chip, Cost};
pub use error::{Error, Fault, FaultKind};
pub use machine::{Arg, Launch, Options, Report, TraceSpan, run};
pub use verify::verify;
