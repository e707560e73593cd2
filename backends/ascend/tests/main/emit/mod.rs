//! The text of kernels: compiled by an ordinary compiler against the stand-in for the interface, run, and compared.

mod sources;
mod text;
