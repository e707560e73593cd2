//! The simulator against the PTX manual, and planted mistakes that it has to find.

mod amd_matrix;
mod amd_memory;
mod amd_pipeline;
mod amd_wave;
mod copies;
mod flow;
mod matrix;
mod support;
mod warp;
mod wgmma;
