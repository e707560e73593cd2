//! The simulator against the PTX manual, and planted mistakes that it has to find.

mod copies;
mod flow;
mod matrix;
mod support;
mod warp;
mod wgmma;
