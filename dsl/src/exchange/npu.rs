//! What a launch of a compiled NPU kernel must know.
//!
//! Kernels are persistent: each block takes the linear programs `block, block + blocks, …` (x runs fastest), so that a launch
//! starts at most as many blocks as run at once. The code takes words of 64 bits:
//!
//! ```text
//! per kernel parameter    view of rank R    address of element (0, …, 0) · R dims · R strides, in elements
//!                         scalar            an integer extended by its sign, a float as the bits of an f32
//! gx, gy, gz              programs per axis
//! workspace               its address, if there is one
//! ```

use serde::{Deserialize, Serialize};

/// Launch facts of an NPU kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpuMeta {
    /// Chip that the code was compiled for: `ascend910b`.
    pub chip: String,
    /// Architecture of its cores, in the vendor's words: `dav-2201`.
    pub arch: String,
    /// What a block is.
    pub blocks: NpuBlocks,
    /// Blocks that run at once on that chip.
    pub most_blocks: u32,
    /// Global scratch memory of each block, in bytes; block `i` has its own from `i * workspace_bytes` on.
    pub workspace_bytes: u64,
}

/// What a block of a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NpuBlocks {
    /// A cube core with its vector cores: kernels with products.
    Groups,
    /// A single vector core: kernels without products.
    Vectors,
}

impl NpuMeta {
    /// Blocks for that many programs on a device that runs `at_once` blocks (`None`: as many as the chip that the code was
    /// compiled for).
    pub fn blocks(&self, programs: [i64; 3], at_once: Option<u32>) -> u32 {
        let total = programs.iter().fold(1i128, |total, &n| total.saturating_mul(n.max(0).into()));
        let most = at_once.unwrap_or(self.most_blocks).max(1);
        total.clamp(1, i128::from(most)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_one_per_program_until_the_device_is_full() {
        let meta = NpuMeta {
            chip: "ascend910b".into(),
            arch: "dav-2201".into(),
            blocks: NpuBlocks::Groups,
            most_blocks: 24,
            workspace_bytes: 0,
        };
        assert_eq!(meta.blocks([1, 1, 1], None), 1);
        assert_eq!(meta.blocks([7, 3, 1], None), 21);
        assert_eq!(meta.blocks([7, 4, 1], None), 24);
        assert_eq!(meta.blocks([i64::MAX, i64::MAX, i64::MAX], Some(20)), 20);
    }
}
