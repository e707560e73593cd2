//! Tiles cut and put together, through scratch memory that holds the larger of them row by row.
//!
//! ```text
//! slice    write the operand │ barrier │ read from the offset on      concat    write each operand where it belongs │ barrier │ read
//! ```

use super::convert::Strided;
use super::{Lower, Val};
use crate::error::{Error, bug};
use crate::ktg::Op;
use kcc_dsl::ir::{OpKind, ValueId};

impl Lower<'_> {
    pub(super) fn movement(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let first = self.shape_of(op.operands[0]);
        match kind {
            OpKind::Slice { offsets } => {
                let write = Strided::rows(&first);
                let base = offsets.iter().zip(&write.strides).map(|(o, s)| *o as u32 * s).sum();
                let read = Strided { strides: write.strides.clone(), base };
                self.exchange(op, &[(op.operands[0], write)], &[(op.results[0], read)])
            }
            OpKind::Concat { axis } => {
                let rows = Strided::rows(&self.shape_of(op.results[0]));
                let axis = usize::from(*axis);
                let second =
                    Strided { strides: rows.strides.clone(), base: first[axis] as u32 * rows.strides[axis] };
                let own = Strided { strides: rows.strides.clone(), base: 0 };
                self.exchange(
                    op,
                    &[(op.operands[0], own), (op.operands[1], second)],
                    &[(op.results[0], rows)],
                )
            }
            OpKind::Join => {
                let pair = self.pair(&first);
                let rows = Strided::rows(&self.shape_of(op.results[0]));
                let [a, b] = pair;
                self.exchange(op, &[(op.operands[0], a), (op.operands[1], b)], &[(op.results[0], rows)])
            }
            OpKind::Split => {
                let [a, b] = self.pair(&self.shape_of(op.results[0]));
                let rows = Strided::rows(&first);
                self.exchange(op, &[(op.operands[0], rows)], &[(op.results[0], a), (op.results[1], b)])
            }
            k => Err(bug(format!("`{}` cuts no tile", k.name()))),
        }
    }

    /// Two tiles of a shape, element by element next to each other.
    fn pair(&self, shape: &[usize]) -> [Strided; 2] {
        [0, 1].map(|base| {
            let strides = Strided::rows(shape).strides.iter().map(|s| 2 * s).collect();
            Strided { strides, base }
        })
    }

    /// Writes tiles to scratch memory and reads others from it.
    fn exchange(
        &mut self,
        op: &Op,
        writes: &[(ValueId, Strided)],
        reads: &[(ValueId, Strided)],
    ) -> Result<(), Error> {
        let elem = self.elem(op.operands[0])?;
        let sizes = |list: &[(ValueId, Strided)]| -> usize {
            list.iter().map(|(v, _)| self.shape_of(*v).iter().product::<usize>()).sum()
        };
        self.check_scratch(op, sizes(writes).max(sizes(reads)) * elem.bytes())?;
        let base = self.take_scratch();
        for (v, strided) in writes {
            let layout = self.layout_or_scalar(*v);
            let shape = self.shape_of(*v);
            let regs = self.regs(*v)?;
            self.write_scratch(base, elem, &regs, &layout, &shape, strided)?;
        }
        self.sync_scratch();
        for (v, strided) in reads {
            let layout = self.layout_or_scalar(*v);
            let shape = self.shape_of(*v);
            let regs = self.read_scratch(base, elem, &layout, &shape, strided)?;
            self.set(*v, Val::Regs(regs));
        }
        Ok(())
    }
}
