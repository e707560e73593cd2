//! What runs kernels: one driver per kind of device. Only this folder talks to devices.

pub mod cpu;
pub(crate) mod eager;
