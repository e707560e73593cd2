//! Kernels with bytes of their serialised form changed, as a broken or hostile client could send them.
//!
//! Most are refused by the validator. Those that are not are kernels that no author would write: every stage behind the validator
//! must compile or refuse them.

use super::Rng;
use crate::ir::Kernel;

/// The kernel with up to four bytes of its serialised form changed, if that still reads as a kernel.
pub fn corrupt(kernel: &Kernel, rng: &mut Rng) -> Option<Kernel> {
    let mut bytes = postcard::to_allocvec(kernel).ok()?;
    for _ in 0..=rng.below(3) {
        let i = rng.below(bytes.len());
        bytes[i] = match rng.below(4) {
            0 => rng.bits() as u8,
            1 => bytes[i].wrapping_add(1),
            2 => bytes[i].wrapping_sub(1),
            _ => bytes[rng.below(bytes.len())],
        };
    }
    postcard::from_bytes(&bytes).ok()
}
