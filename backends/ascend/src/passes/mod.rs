//! Passes on a program without addresses, slots and order.

pub(crate) mod assign_addresses;
pub(crate) mod double_buffer;
pub(crate) mod group_vectors;
pub(crate) mod order;
