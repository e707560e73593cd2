//! The kernels shipped with kcc, each with its reference.
