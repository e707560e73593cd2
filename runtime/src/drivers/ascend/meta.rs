//! Launch facts come from files too: what no compiler of ours means is refused.

use crate::error::{Error, Result};
use kcc_dsl::exchange::{Artifact, NpuMeta};

/// Blocks and bytes of workspace that no chip and no kernel comes near.
const MOST_BLOCKS: u32 = 1 << 12;
const MOST_WORKSPACE: u64 = 1 << 30;

/// The launch facts of NPU code.
pub(super) fn meta(kernel: &str, artifact: &Artifact) -> Result<NpuMeta> {
    let fail = |reason: String| Err(Error::Load { kernel: kernel.into(), reason });
    let Some(meta) = &artifact.npu else {
        return fail(format!("the code is for {}, no NPU", artifact.target));
    };
    if !(1..=MOST_BLOCKS).contains(&meta.most_blocks) || meta.workspace_bytes > MOST_WORKSPACE {
        let (blocks, bytes) = (meta.most_blocks, meta.workspace_bytes);
        return fail(format!("it asks for {blocks} blocks at once with {bytes} bytes of workspace each"));
    }
    Ok(meta.clone())
}
