//! Passes on the program of a kernel: where buffers lie, and what orders the pipes.

pub(crate) mod assign_addresses;
pub(crate) mod insert_sync;
