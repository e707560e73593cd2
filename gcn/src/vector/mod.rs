//! Instructions on vector registers, lane by lane, and those that cross lanes.

pub(crate) mod across;
pub(crate) mod bits;
pub(crate) mod carry;
pub(crate) mod compare;
pub(crate) mod divide;
mod dpp;
pub(crate) mod elementwise;
mod floats;
mod halves;
mod integers;
pub(crate) mod mixed;
pub(crate) mod narrow;
pub(crate) mod packed;
mod source;
mod wide;

pub(crate) use source::{Source, Type};
