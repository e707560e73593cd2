//! NVIDIA GPUs: chips as data, and their instructions as text for the vendor-neutral GPU level of the compiler.

mod asm;
pub mod chips;
pub mod dialect;
pub mod global;
pub mod groups;
pub mod hooks;
pub mod mbarrier;
pub mod mma;
pub mod ptxas;
pub mod target;
pub mod tma;
pub mod version;
pub mod wgmma;
pub mod wide;

pub use target::Nvidia;
