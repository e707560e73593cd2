//! Vector memory, LDS and scratch.

pub(crate) mod atomic;
pub(crate) mod buffer;
pub(crate) mod global;
pub(crate) mod local;
pub(crate) mod scratch;
mod shape;

pub(crate) use scratch::SCRATCH_BUFFER;
pub(crate) use shape::{Access, Shape, gather, read_lanes, scatter};
