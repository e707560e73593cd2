//! Numbers that only vector cores know and that decide about products: the cube core is told.
//!
//! ```text
//! vector   n ─▶ unified buffer ─▶ workspace, READY          TAKEN ─▶ goes on
//! cube                            READY ─▶ scalar unit reads n, TAKEN
//! ```
//! All cores of a group then take the same way through the loop or branch.

use super::products::{READY, TAKEN};
use super::values::Held;
use super::{BLOCK, Lower};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Elem, ValueId};

impl Lower<'_> {
    /// Vector cores tell, the cube core hears, those of the values that it must be told.
    pub(super) fn tell(&mut self, values: &[ValueId]) -> Result<(), Error> {
        let Some(cores) = self.cores else { return Ok(()) };
        for v in values {
            let Some(at) = cores.told.get(v) else { continue };
            let place = self.shared(*at, 0.into());
            if self.core == CoreKind::Cube {
                self.issue(CrossWait { flag: READY });
                let n = self.let_(Scalar::LoadGlobal { elem: Elem::I32, src: place });
                self.raise(Pipe::Mte2, TAKEN);
                self.set(*v, Held::Scalar(n));
            } else {
                self.say(*v, place)?;
            }
        }
        Ok(())
    }

    /// Both vector cores know the number; the first one writes it.
    fn say(&mut self, v: ValueId, place: Global) -> Result<(), Error> {
        let scalar = self.scalar(v)?;
        let words = self.space(Elem::I32, BLOCK);
        let (dst, span) = (Local::new(words, 0), Span::Count { n: (BLOCK / 4).into() });
        self.issue(Duplicate { elem: Elem::I32, dst, scalar, span, dst_stride: Stride::DENSE });
        self.open();
        self.issue(CopyOut {
            dst: place,
            src: Local::new(words, 0),
            elem: Elem::I32,
            blocks: 1.into(),
            bytes: BLOCK.into(),
            src_gap: 0.into(),
            dst_gap: 0.into(),
            atomic: Atomic::None,
        });
        let then = self.close();
        self.only_first(then);
        self.raise(Pipe::Mte3, READY);
        self.issue(CrossWait { flag: TAKEN });
        Ok(())
    }
}
