//! Packed blocks that programs find again: every program of one head of attention walks over the same values.
//!
//! ```text
//! scratch   | tags: view, offsets | block 0 | block 1 | … | block n - 1 | others |
//!             a block is packed where its tag does not name it; those past the first n are packed every time
//! ```
//! Tags are cleared when a thread begins with a range of programs: memory may have changed since.

use super::dot::{Kind, Source};
use super::{Coord, Lower, Stride};
use crate::plan::lanes::through_transposes;
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::ir::{Op, OpKind, ValueId};
use std::fmt::Write as _;

/// Memory for the blocks of one view: a share of the second-level cache.
const BYTES: i64 = 512 << 10;
/// Most blocks of one view.
const MOST_BLOCKS: i64 = 32;
/// Words of a tag: the view's first element, the block's two offsets, and one that makes it a power of two.
const TAG: i64 = 4;
/// Bytes that one store clears.
const LINE: i64 = 64;

/// Blocks of a view, packed one way.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    tags: V,
    data: V,
    count: i64,
}

/// What tells the blocks of one view and form from others: the view, the extents along it, the axis along K, and the form.
pub(super) type Form = (ValueId, Vec<usize>, usize, &'static str);

impl<'k> Lower<'k> {
    /// A packed copy of a product's operand (whose axis along M or N is `x_axis`), made anew where no earlier program left it.
    pub(super) fn pack_or_find(&mut self, v: ValueId, x_axis: usize, kind: Kind, by_row: bool) -> Source {
        let size = self.packed_bytes(v, x_axis, kind, by_row);
        let form = if by_row { "by row" } else { "by K" };
        let found = self.find_or_make(v, (x_axis, form), size, &mut |s, to| {
            s.pack_to(v, x_axis, kind, by_row, to);
        });
        match found {
            Some(at) => self.packed_source(v, x_axis, kind, by_row, at),
            None => self.pack(v, x_axis, kind, by_row),
        }
    }

    /// Memory of `size` bytes that `make` has filled from a loaded operand, now or for an earlier program; `None` if
    /// programs that follow each other do not share blocks of its view.
    pub(super) fn find_or_make(
        &mut self,
        v: ValueId,
        (x_axis, form): (usize, &'static str),
        size: i64,
        make: &mut dyn FnMut(&mut Self, V),
    ) -> Option<V> {
        let (base, flip) = through_transposes(self.f, v);
        let load = self.f.op(base)?;
        if !self.shared_by_programs(load) {
            return None;
        }
        let size = (size + LINE - 1) / LINE * LINE;
        let k_axis = if flip { x_axis } else { 1 - x_axis };
        let extents = self.f.shape(base).to_vec();
        let form = (load.operands[0], extents.clone(), k_axis, form);
        let blocks = match self.reused.get(&form) {
            Some(b) => *b,
            None => {
                let count = (BYTES / size).min(MOST_BLOCKS);
                if count < 2 {
                    return None;
                }
                let clear = self.scratch_bytes;
                let tags = self.reserve((count + 1) * TAG * 8);
                self.cleared.push((clear, self.scratch_bytes));
                let data = self.reserve((count + 1) * size);
                let blocks = Blocks { tags, data, count };
                self.reused.insert(form, blocks);
                blocks
            }
        };
        let view = self.view(load.operands[0]).ptr;
        let offsets: Vec<V> = (0..2)
            .map(|a| {
                let off = self.index(load.operands[1 + a]);
                self.e.ix(off)
            })
            .collect();
        let (one, count) = (self.e.i64(1), self.e.i64(blocks.count));
        let mut number = self.e.i64(0);
        for (off, extent) in offsets.iter().zip(&extents) {
            let extent = self.e.i64(*extent as i64);
            let i = self.e.op2("arith.divui", *off, extent);
            number = self.e.op2("arith.addi", number, i);
        }
        let kept = self.e.cmpi("ult", number, count);
        let slot = self.e.select(kept, number, count);
        let p = self.e.pure(Ty::i64(), format!("llvm.ptrtoint {view} : !llvm.ptr to i64"), &[view]);
        // One more than the address, so that a cleared tag never matches.
        let mark = self.e.op2("arith.addi", p, one);
        let here = self.e.level();
        let mut same = vec![kept];
        let mut words = Vec::new();
        for (i, now) in [mark, offsets[0], offsets[1]].into_iter().enumerate() {
            let at = [Coord::at(slot), Coord::at(i as i64)];
            let at = self.address(blocks.tags, K::I64, &at, &[Stride::Known(TAG), Stride::Known(1)]);
            let was = self.e.load(here, at, Ty::i64());
            same.push(self.e.cmpi("eq", was, now));
            words.push((at, now));
        }
        let same = self.all(&same);
        let to = self.address(blocks.data, K::I8, &[Coord::at(slot)], &[Stride::Known(size)]);
        self.unless(same, |s| {
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            for (at, now) in words {
                s.e.store(now, at);
            }
            make(s, to);
            s.floor = floor;
        });
        Some(to)
    }

    /// Whether a load reads a block of memory that no program writes, and the same one for programs that follow each other.
    pub(super) fn shared_by_programs(&self, load: &Op) -> bool {
        let OpKind::Load { .. } = load.kind else { return false };
        let mut used = [false; 3];
        for v in &load.operands {
            super::function::depends(self.f, *v, &mut used, 0);
        }
        self.f.rank(load.results[0]) == 2 && !self.f.is_written(load.operands[0]) && !used[self.fastest]
    }

    /// Text that clears every tag.
    pub(super) fn clear_tags(&self) -> String {
        let mut text = String::new();
        if self.cleared.is_empty() {
            return text;
        }
        let zeros = Ty::vector(K::I64, (LINE / 8) as usize);
        let _ = writeln!(text, "%no_tags = arith.constant dense<0> : {zeros}");
        let lines = self.cleared.iter().flat_map(|(from, to)| (*from..*to).step_by(LINE as usize));
        for (i, at) in lines.enumerate() {
            let scratch = self.scratch;
            let _ = writeln!(
                text,
                "%tags{i} = llvm.getelementptr {scratch}[{at}] : (!llvm.ptr) -> !llvm.ptr, i8"
            );
            let _ =
                writeln!(text, "llvm.store %no_tags, %tags{i} {{alignment = 64 : i64}} : {zeros}, !llvm.ptr");
        }
        text
    }
}
