//! The buffers of a function in shared memory.

use crate::ktg::{Func, GpuOp, Kind};
use kcc_dsl::ir::LocId;

/// One buffer, or a ring of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Extents of one.
    pub shape: Vec<usize>,
    /// Buffers of the ring.
    pub stages: u32,
    /// Bytes of all.
    pub bytes: u32,
    /// Whose tile it holds.
    pub loc: LocId,
}

/// All of them.
pub(super) fn buffers(func: &Func) -> Vec<Buffer> {
    let mut found = Vec::new();
    func.walk(&mut |op| {
        if let (Kind::Gpu(GpuOp::AllocShared { .. }), Some(s)) =
            (&op.kind, op.results.first().and_then(|v| func.ty(*v).shared()))
        {
            let (shape, stages, bytes) = (s.shape.clone(), s.stages, s.bytes());
            found.push(Buffer { shape, stages, bytes, loc: op.loc });
        }
    });
    found
}
