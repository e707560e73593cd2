//! Traces kernels as authors write them, and looks at the recorded IR.

mod trace;
