//! The simulator against the PTX manual, and planted mistakes that it has to find.

mod flow;
mod support;
mod warp;
