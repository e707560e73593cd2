//! Panels of memory that never changes, kept from launch to launch.
//!
//! ```text
//! arguments | parameters … | words, panels, stride | …         zeros where the memory may change
//! words     0 nobody has packed this panel    1 somebody does    2 it is there
//! ```
//! Who finds a 0 changes it to 1, packs, and sets it to 2. Who finds a 1 does not wait: it packs for itself, in scratch memory.
//! Panels are numbered by leading indices, then parts of K, then blocks of columns ([`PanelForm::room`] counts them); a block that
//! begins elsewhere, or that the other operand cuts short along K, has no number.

use super::panel::Packing;
use super::{Coord, Lower, Stride};
use crate::plan::contract::Side;
use crate::plan::facts::Def;
use kcc_compiler::emit::{K, Ty, V};
use kcc_dsl::exchange::{Panel, PanelForm};
use kcc_dsl::ir::{OpKind, ValueId};

/// Slots of the arguments for each kind of panel.
const SLOTS: i64 = 3;
/// What a word says.
const NOBODY: i64 = 0;
const SOMEBODY: i64 = 1;
const THERE: i64 = 2;
/// What is decided on a word: `SOMEBODY`, `THERE`, or that this program packs.
const MINE: i64 = 3;

/// What is read after a panel that is kept.
#[derive(Clone, Copy)]
pub(super) enum Follow<'k> {
    /// The one behind it, for the next program.
    Behind,
    /// That of another operand, for the same program.
    Other(Side<'k>, Slots),
    /// This one.
    At(V),
}

/// Where the panels of a parameter are.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    words: V,
    panels: V,
    /// Bytes from one panel to the next.
    pub stride: V,
}

/// A panel among those that are kept.
pub(super) struct KeptPanel {
    pub ptr: V,
    /// The panel behind it.
    pub after: V,
    /// Its word.
    pub word: V,
    /// Whether it is used at all: it is there, or it is mine.
    pub used: V,
    pub there: V,
    /// Whether this program packs it.
    pub mine: V,
}

impl<'k> Lower<'k> {
    /// Where an operand's panels are kept: read from the arguments, which are zeros if its memory may change. `None` if no panel of
    /// it can be.
    pub(super) fn kept_slots(&mut self, side: &Side<'k>, form: PanelForm) -> Option<Slots> {
        let OpKind::Load { .. } = side.load.kind else { return None };
        let param = self.f.view_param(side.load.operands[0])?;
        let panel = Panel { param: param as u32, form };
        let i = self.kept.iter().position(|p| *p == panel).unwrap_or_else(|| {
            self.kept.push(panel);
            self.kept.len() - 1
        });
        let slot = |s: &mut Self, i: i64, k: K| {
            let at = s.e.address(s.argv, K::I64, &[], i);
            s.e.load(0, at, Ty::scalar(k))
        };
        let first = self.parameter_slots + SLOTS * i as i64;
        let (words, panels) = (slot(self, first, K::Ptr), slot(self, first + 1, K::Ptr));
        Some(Slots { words, panels, stride: slot(self, first + 2, K::I64) })
    }

    /// The panel of the part of K from `from` on, and who packs it.
    pub(super) fn kept_panel(&mut self, p: &Packing<'k>, slots: &Slots, from: V) -> Option<KeptPanel> {
        let (number, mut fine) = self.panel_number(&p.side, &p.form, from)?;
        let k_dim = self.view(p.side.load.operands[0]).dims[p.side.k_axis];
        // Whole K from its beginning; so every part begins at a multiple of the chunk, and only the last is shorter.
        let end = self.e.op2("arith.addi", p.range.0, p.range.1);
        let given = self.e.pure(
            Ty::i64(),
            format!("llvm.ptrtoint {} : !llvm.ptr to i64", slots.words),
            &[slots.words],
        );
        let zero = self.e.i64(0);
        fine.extend([
            self.e.cmpi("ne", given, zero),
            self.e.cmpi("eq", p.range.0, zero),
            self.e.cmpi("eq", end, k_dim),
        ]);
        let fine = self.all(&fine)?;
        let word = self.e.address(slots.words, K::I64, &[number], 0);
        let ptr = self.kept_at(slots, number);
        let after = self.e.address(ptr, K::I8, &[slots.stride], 0);
        let decided = self.decide(fine, word);
        let (there, mine) = (self.e.i64(THERE), self.e.i64(MINE));
        let used = self.e.cmpi("uge", decided, there);
        let (there, mine) = (self.e.cmpi("eq", decided, there), self.e.cmpi("eq", decided, mine));
        Some(KeptPanel { ptr, after, word, used, there, mine })
    }

    /// Where the panel of another operand is that is packed the same way, whoever packs it.
    pub(super) fn kept_elsewhere(
        &mut self,
        side: &Side<'k>,
        form: PanelForm,
        slots: &Slots,
        from: V,
    ) -> Option<V> {
        let (number, _) = self.panel_number(side, &form, from)?;
        Some(self.kept_at(slots, number))
    }

    /// Address of a panel.
    fn kept_at(&mut self, slots: &Slots, number: V) -> V {
        let place = [Coord::at(number)];
        self.address(slots.panels, K::I8, &place, &[Stride::Value(slots.stride)])
    }

    /// The number of a block's panel, and what must hold for it to have one.
    fn panel_number(&mut self, side: &Side<'k>, form: &PanelForm, from: V) -> Option<(V, Vec<V>)> {
        let load = side.load;
        let view = self.view(load.operands[0]);
        let (k_dim, n_dim) = (view.dims[side.k_axis], view.dims[1 - side.k_axis]);
        let off = self.index(load.operands[2 - side.k_axis]);
        let off = self.e.ix(off);
        let zero = self.e.i64(0);
        let (columns, chunk) = (self.e.i64(i64::from(form.columns)), self.e.i64(i64::from(form.chunk)));
        let blocks = self.count(n_dim, columns);
        let parts = self.count(k_dim, chunk);
        let (block, within) =
            (self.e.op2("arith.divui", off, columns), self.e.op2("arith.remui", off, columns));
        let part = self.e.op2("arith.divui", from, chunk);
        let mut fine = vec![self.e.cmpi("ult", off, n_dim), self.e.cmpi("eq", within, zero)];
        let mut number = zero;
        for (index, dim) in self.leading(load.operands[0])? {
            fine.push(self.e.cmpi("ult", index, dim));
            number = self.e.mul(number, dim);
            number = self.e.op2("arith.addi", number, index);
        }
        for (count, index) in [(parts, part), (blocks, block)] {
            number = self.e.mul(number, count);
            number = self.e.op2("arith.addi", number, index);
        }
        Some((number, fine))
    }

    /// `extent / size`, rounded up.
    fn count(&mut self, extent: V, size: V) -> V {
        let one = self.e.i64(1);
        let round = self.e.op2("arith.subi", size, one);
        let sum = self.e.op2("arith.addi", extent, round);
        self.e.op2("arith.divui", sum, size)
    }

    /// The indices that fix leading axes of a view, with the extents of those axes.
    fn leading(&mut self, view: ValueId) -> Option<Vec<(V, V)>> {
        match self.f.def[view.0 as usize] {
            Def::Param(_) => Some(Vec::new()),
            Def::Op(op, _) if matches!(op.kind, OpKind::At) => {
                let mut list = self.leading(op.operands[0])?;
                let dims = self.view(op.operands[0]).dims;
                for (v, dim) in op.operands[1..].iter().zip(dims) {
                    let index = self.index(*v);
                    list.push((self.e.ix(index), dim));
                }
                Some(list)
            }
            _ => None,
        }
    }

    /// Reads a panel's word, and takes the panel if nobody has: 0 where there is no word.
    fn decide(&mut self, fine: V, word: V) -> V {
        let i64s = [Ty::i64()];
        let (nobody, somebody, mine) = (self.e.i64(NOBODY), self.e.i64(SOMEBODY), self.e.i64(MINE));
        let mut open = self.e.begin_if(fine, &i64s);
        let read = format!("llvm.load {word} atomic acquire {{alignment = 8 : i64}} : !llvm.ptr -> i64");
        let was = self.e.here(Ty::i64(), read);
        let fresh = self.e.cmpi("eq", was, nobody);
        let mut inner = self.e.begin_if(fresh, &i64s);
        let (_, won) = self.exchange(word, nobody, somebody, "acquire");
        let taken = self.e.select(won, mine, somebody);
        self.e.begin_else(&mut inner, &[taken]);
        let taken = self.e.end_if(inner, &[was])[0];
        self.e.begin_else(&mut open, &[taken]);
        let out = self.e.end_if(open, &[nobody])[0];
        self.settle();
        out
    }

    /// Tells all threads that a panel is there, if it is this program's.
    pub(super) fn announce(&mut self, word: V, mine: V) {
        let mut open = self.e.begin_if(mine, &[]);
        let there = self.e.i64(THERE);
        self.e.line(format!(
            "llvm.store {there}, {word} atomic release {{alignment = 8 : i64}} : i64, !llvm.ptr"
        ));
        self.e.begin_else(&mut open, &[]);
        self.e.end_if(open, &[]);
        self.settle();
    }
}
