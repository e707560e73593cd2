//! Asynchronous products of groups of warps: which rows, columns and registers each instruction takes.
//!
//! ```text
//! accumulator of 128 × 256, 8 warps:   group 0 (warps 0–3)   rows 0–63      one instruction each,
//!                                      group 1 (warps 4–7)   rows 64–127    all of K in one go
//! ```
//! What a group adds to its operands' addresses is known at run time only; what a register adds is a constant.

use super::value::per_word;
use super::{Lower, Val};
use crate::emit::{K, Ty, V};
use crate::error::{Error, bug};
use crate::gpu::MmaRow;
use crate::gpu::wide::{WideA, WideMma, WideProduct, WideShared};
use crate::ktg::{GpuOp, Op, SharedType};
use crate::layout::{Coord, Dim, Linear};
use crate::passes::gpu::load_bulk::panel_row;
use kcc_dsl::ir::{Const, ValueId};
use std::collections::{BTreeSet, HashMap};

/// Warps of a group.
const GROUP_BITS: usize = 2;

impl Lower<'_> {
    pub(super) fn wide_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        let target = self.target;
        let unit = target.wide().ok_or_else(|| bug("an asynchronous product on a target without them"))?;
        match kind {
            GpuOp::MmaFence => unit.fence(&mut self.e),
            GpuOp::MmaCommit => unit.commit(&mut self.e),
            GpuOp::MmaWait { pending } => {
                unit.wait(&mut self.e, *pending);
                for (from, to) in op.operands.iter().zip(&op.results) {
                    let same = self.val(*from)?.clone();
                    self.set(*to, same);
                }
            }
            GpuOp::MmaAsync { instr } => self.wide_product(unit, instr, op)?,
            _ => return Err(bug("no asynchronous product")),
        }
        Ok(())
    }

    fn wide_product(&mut self, unit: &dyn WideMma, instr: &str, op: &Op) -> Result<(), Error> {
        let &[a, b, acc, use_acc] = op.operands.as_slice() else {
            return Err(bug("an asynchronous product without its operands"));
        };
        let row = unit.named(instr).ok_or_else(|| bug(format!("`{instr}` is no product of the target")))?;
        let layout = self.layout(acc)?;
        let right = self.wide_shared(b, 0, &layout)?;
        let left = match self.func.ty(a).shared() {
            Some(_) => Some(self.wide_shared(a, 1, &layout)?),
            None => None,
        };
        let k = match (self.func.ty(a).shared(), self.func.ty(a).tile()) {
            (Some(s), _) => s.shape[1],
            (_, Some(t)) => t.shape[1],
            _ => return Err(bug("a left operand without a shape")),
        };
        let steps = k as u32 / row.k;
        let (fresh, flag) = match self.constant(use_acc) {
            Some(Const::Bool(use_acc)) => (!use_acc, None),
            _ => (false, Some(self.scalar(use_acc)?)),
        };
        let mut sums = self.regs(acc)?;
        let holders = by_coordinate(&layout);
        let starts = starts(&row, &layout, self.func.ty(acc).tile().map_or(&[], |t| &t.shape));
        // Registers that are packed here were not written before the fence.
        let mut packed: HashMap<u32, Vec<V>> = HashMap::new();
        if left.is_none() {
            let before = self.e.written();
            for [m, _] in &starts {
                packed.insert(*m, self.fragment_words(&row, a, *m, steps)?);
            }
            if self.e.written() != before {
                unit.fence(&mut self.e);
            }
        }
        for [m, n] in starts {
            let registers: Vec<usize> = live(&row)
                .map(|r| {
                    let [i, j, _] = row.acc_layout.part(Dim::Register, r);
                    let found = holders.get(&[m ^ i, n ^ j, 0]).map(|r| *r as usize);
                    found.ok_or_else(|| bug("a fragment without registers"))
                })
                .collect::<Result<_, _>>()?;
            let first = match left {
                Some(s) => WideA::Shared(WideShared { first: m, ..s }),
                None => WideA::Registers(packed.get(&m).map_or(&[], Vec::as_slice)),
            };
            let p =
                WideProduct { steps, a: first, b: WideShared { first: n, ..right }, use_acc: flag, fresh };
            let given: Vec<V> = registers.iter().map(|r| sums[*r]).collect();
            let out = unit.multiply(&mut self.e, &row, &p, &given)?;
            for (r, v) in registers.iter().zip(out) {
                sums[*r] = v;
            }
        }
        self.set(op.results[0], Val::Regs(sums));
        Ok(())
    }

    /// Where an operand lies for this group of warps; `k_axis` of its two axes is K.
    fn wide_shared(&mut self, v: ValueId, k_axis: usize, acc: &Linear) -> Result<WideShared, Error> {
        let ty = self.shared_type(v)?;
        let (axis, row_bytes) = panels(&ty).ok_or_else(|| bug("an operand of a product in no panels"))?;
        let bytes = ty.elem.bytes() as u32;
        let rows = ty.layout.extents()[1 - axis];
        let k_inner = axis == k_axis;
        let free = 1 - k_axis;
        let mut address = self.shared_val(v)?.base;
        // The accumulator's axis that this operand has too: rows for a, columns for b; the same number as its free axis.
        for (bit, moves) in acc.basis(Dim::Warp).iter().enumerate().skip(GROUP_BITS) {
            let distance = moves[free];
            if distance == 0 {
                continue;
            }
            let step = match k_inner {
                true => distance * row_bytes,
                false if (distance * bytes).is_multiple_of(row_bytes) => distance * bytes * rows,
                false => return Err(bug("a group's columns begin within a panel")),
            };
            let i32_ = Ty::scalar(K::I32);
            let (shift, one) = (self.e.int(K::I32, bit as i64), self.e.int(K::I32, 1));
            let own = self.e.op2("arith.shrui", self.warp, shift);
            let own = self.e.op2("arith.andi", own, one);
            let step = self.e.int(K::I32, i64::from(step));
            let text = format!("arith.muli {own}, {step} overflow<nsw, nuw> : i32");
            let distance = self.e.pure(i32_, text, &[own, step]);
            address = self.e.address(address, K::I8, &[distance], 0);
        }
        Ok(WideShared { address, row_bytes, rows, k_inner, first: 0 })
    }

    /// Words of the fragments of a left operand in registers, from row `m` on, step after step.
    fn fragment_words(&mut self, row: &MmaRow, a: ValueId, m: u32, steps: u32) -> Result<Vec<V>, Error> {
        let layout = self.layout(a)?;
        let elem = self.elem(a)?;
        let holders = by_coordinate(&layout);
        let per = per_word(elem);
        let all = match self.words(a)? {
            Some(words) => words,
            None => self.regs(a)?,
        };
        let mut words = Vec::new();
        for step in 0..steps {
            for r in (0..row.a_layout.registers()).step_by(per) {
                let [i, j, _] = row.a_layout.part(Dim::Register, r);
                let at = holders.get(&[m ^ i, (step * row.k) ^ j, 0]);
                let at = at.ok_or_else(|| bug("a fragment of a left operand without registers"))?;
                let word = all[*at as usize / per];
                words.push(if word.ty.k == K::F32 { self.e.bits(word, K::I32) } else { word });
            }
        }
        Ok(words)
    }
}

/// The axis along which a buffer's panels run, and the bytes of their rows.
pub(super) fn panels(ty: &SharedType) -> Option<(usize, u32)> {
    let first = ty.layout.basis(Dim::Offset).first()?;
    let axis = first.iter().position(|c| *c != 0)?;
    Some((axis, panel_row(ty, axis)?))
}

/// Registers of a fragment that hold columns of the product.
fn live(row: &MmaRow) -> impl Iterator<Item = u32> {
    let inside = |r: &u32| row.acc_layout.part(Dim::Register, *r)[1] < row.n;
    (0..row.acc_layout.registers()).filter(inside).collect::<Vec<_>>().into_iter()
}

/// Where the fragments start that a thread holds, apart from what warps add.
fn starts(row: &MmaRow, acc: &Linear, shape: &[usize]) -> BTreeSet<[u32; 2]> {
    let within = row.acc_layout.extents();
    let shape: Vec<u32> = shape.iter().map(|s| *s as u32).collect();
    acc.coverage(&shape)
        .live()
        .map(|r| {
            let c = acc.part(Dim::Register, r);
            [c[0] & !(within[0] - 1), c[1] & !(within[1] - 1)]
        })
        .collect()
}

/// The first register of each coordinate that registers reach.
fn by_coordinate(layout: &Linear) -> HashMap<Coord, u32> {
    let mut found = HashMap::new();
    for r in 0..layout.registers() {
        found.entry(layout.part(Dim::Register, r)).or_insert(r);
    }
    found
}
