//! Integration tests of the compiler; one binary, since each one links LLVM.

mod emit;
mod filetests;
mod fuzz;
mod layout;
mod passes;
mod roundtrip;
mod samples;
mod session;
