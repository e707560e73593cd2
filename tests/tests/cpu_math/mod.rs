//! What the CPU backend's emitter computes for one element: elementary functions against `f64`, everything else
//! against eager mode, bit by bit, on scalars and on vectors of either width.

mod elementwise;
mod functions;
mod native;
mod samples;
