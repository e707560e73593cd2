//! Shared buffers: where they are, which bytes a thread touches, reads and writes of whole tiles.
//!
//! ```text
//! address of register r = buffer + (what lane and warp say) ^ swizzled bits of r + the rest of r
//!                                  └ once per kernel ┘       └ once each ┘       └ constant of the access ┘
//! ```

use super::value::per_word;
use super::{Lower, SharedVal, Val};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::{GpuOp, Op, SharedType};
use crate::layout::shared::Access;
use crate::layout::{Dim, Index, Linear};
use kcc_dsl::ir::{Elem, ValueId};
use std::collections::HashMap;

/// Bytes that one access of shared memory may move.
const VECTOR_BYTES: u32 = 16;

/// Offsets of a distributed layout in a buffer, ready to be addressed.
pub(super) struct Places {
    index: Index,
    /// Bits that lanes and warps move.
    reach: u32,
    /// What they add, in bytes.
    pub(super) own: V,
    elem: u32,
}

impl Lower<'_> {
    pub(super) fn shared_op(&mut self, kind: &GpuOp, op: &Op) -> Result<(), Error> {
        match kind {
            GpuOp::AllocShared { offset } => {
                let offset = offset.ok_or_else(|| bug("a shared buffer without a place"))?;
                let base = self.e.address(self.shared, K::I8, &[], i64::from(offset));
                self.set(op.results[0], Val::Shared(SharedVal { base }));
            }
            GpuOp::Slot => {
                let ring = self.shared_val(op.operands[0])?.base;
                let bytes = self.shared_type(op.operands[0])?.buffer_bytes();
                let index = self.scalar(op.operands[1])?;
                let size = self.e.int(K::I32, i64::from(bytes));
                let text = format!("arith.muli {index}, {size} overflow<nsw, nuw> : i32");
                let distance = self.e.pure(Ty::scalar(K::I32), text, &[index, size]);
                let base = self.e.address(ring, K::I8, &[distance], 0);
                self.set(op.results[0], Val::Shared(SharedVal { base }));
            }
            GpuOp::SharedTranspose { .. } => {
                let same = self.shared_val(op.operands[0])?;
                self.set(op.results[0], Val::Shared(same));
            }
            GpuOp::SharedSlice { offsets } => {
                let base = self.shared_val(op.operands[0])?.base;
                let ty = self.shared_type(op.operands[0])?;
                let mut first = [0; 3];
                for (slot, offset) in first.iter_mut().zip(offsets) {
                    *slot = *offset as u32;
                }
                let place =
                    ty.layout.inverse().at(first).ok_or_else(|| bug("a slice outside of its buffer"))?;
                let bytes = i64::from(place.offset) * ty.elem.bytes() as i64;
                let base = self.e.address(base, K::I8, &[], bytes);
                self.set(op.results[0], Val::Shared(SharedVal { base }));
            }
            GpuOp::StoreShared => self.store_tile(op.operands[0], op.operands[1])?,
            _ => self.load_tile(op.operands[0], op.results[0])?,
        }
        Ok(())
    }

    pub(super) fn shared_type(&self, v: ValueId) -> Result<SharedType, Error> {
        let ty = self.func.ty(v).shared().cloned();
        ty.ok_or_else(|| bug(format!("value {} is no shared memory", v.0)))
    }

    /// Offsets in elements (a layout of rank 1) as addresses.
    pub(super) fn places(&mut self, offsets: &Linear, elem: u32) -> Result<Places, Error> {
        self.places_at(offsets, elem, None)
    }

    /// The same, where the offsets' fourth input, if they have one, is a value of its own (`i32`).
    pub(super) fn places_at(
        &mut self,
        offsets: &Linear,
        elem: u32,
        fourth: Option<V>,
    ) -> Result<Places, Error> {
        let index = offsets.index(0).map_err(|e| bug(e.to_string()))?;
        let mut own = None;
        let mut reach = 0;
        for part in &index.parts {
            reach |= part.reach();
            let from = match part.dim {
                Dim::Lane => self.lane,
                Dim::Warp => self.warp,
                _ => fourth.ok_or_else(|| bug("a shared address with an input too many"))?,
            };
            let moved = bits_of(&mut self.e, from, part.first, part.bits, part.constant * elem);
            let name = if index.parts_disjoint { "arith.ori" } else { "arith.xori" };
            own = Some(match own {
                Some(sum) => self.e.op2(name, sum, moved),
                None => moved,
            });
        }
        let own = match own {
            Some(v) => v,
            None => self.e.int(K::I32, 0),
        };
        Ok(Places { index, reach, own, elem })
    }

    /// Address of a register's element.
    pub(super) fn shared_place(&mut self, base: V, places: &Places, register: u32) -> V {
        let offset = places.index.register(register);
        let mixed = offset & places.reach;
        let mut own = places.own;
        if mixed != 0 {
            let c = self.e.int(K::I32, i64::from(mixed * places.elem));
            own = self.e.op2("arith.xori", own, c);
        }
        let rest = i64::from((offset & !places.reach) * places.elem);
        self.e.address(base, K::I8, &[own], rest)
    }

    /// Reads some registers of a tile of that layout, in memory form.
    pub(super) fn read_registers(
        &mut self,
        base: V,
        ty: &SharedType,
        layout: &Linear,
        wanted: &dyn Fn(u32) -> bool,
    ) -> Result<HashMap<u32, V>, Error> {
        let elem = ty.elem.bytes() as u32;
        let offsets = layout.offsets_in(&ty.layout).map_err(|e| bug(e.to_string()))?;
        let access = Access::new(offsets, VECTOR_BYTES / elem);
        let places = self.places(&access.offsets, elem)?;
        let k = Emit::mem(ty.elem);
        let n = access.vector() as usize;
        let mut found = HashMap::new();
        for group in &access.groups {
            if !access.within.iter().any(|r| wanted(group ^ r)) {
                continue;
            }
            let p = self.shared_place(base, &places, *group);
            let vector = Ty { k, lanes: if n > 1 { n as u16 } else { 0 } };
            let read = self.target.load_shared(&mut self.e, p, vector);
            for (i, r) in access.within.iter().enumerate() {
                let v = if n > 1 { self.e.extract(read, i) } else { read };
                found.insert(group ^ r, v);
            }
        }
        Ok(found)
    }

    fn load_tile(&mut self, from: ValueId, to: ValueId) -> Result<(), Error> {
        let base = self.shared_val(from)?.base;
        let ty = self.shared_type(from)?;
        let layout = self.layout(to)?;
        let read = self.read_registers(base, &ty, &layout, &|_| true)?;
        let mut regs = Vec::with_capacity(layout.registers() as usize);
        for r in 0..layout.registers() {
            let raw = read.get(&r).copied().ok_or_else(|| bug("a register that was not read"))?;
            regs.push(self.e.from_mem(raw, ty.elem));
        }
        self.set(to, Val::Regs(regs));
        Ok(())
    }

    fn store_tile(&mut self, tile: ValueId, to: ValueId) -> Result<(), Error> {
        let base = self.shared_val(to)?.base;
        let ty = self.shared_type(to)?;
        let layout = self.layout(tile)?;
        let elem = ty.elem.bytes() as u32;
        // What several threads hold is written by one of them.
        let first = self.owner(Some(&layout));
        let redundant = layout.redundant(Dim::Register);
        let values = self.memory_form(tile)?;
        let offsets = layout.offsets_in(&ty.layout).map_err(|e| bug(e.to_string()))?;
        let access = Access::new(offsets, VECTOR_BYTES / elem);
        let places = self.places(&access.offsets, elem)?;
        let open = first.map(|c| self.e.begin_if(c, &[]));
        for group in &access.groups {
            if group & redundant != 0 {
                continue;
            }
            let parts: Vec<V> = access.within.iter().map(|r| values[(group ^ r) as usize]).collect();
            let value = if parts.len() > 1 { self.e.vector(&parts) } else { parts[0] };
            let p = self.shared_place(base, &places, *group);
            self.target.store_shared(&mut self.e, value, p);
        }
        if let Some(open) = open {
            self.e.end_if(open, &[]);
        }
        Ok(())
    }

    /// A tile's registers in memory form.
    pub(super) fn memory_form(&mut self, tile: ValueId) -> Result<Vec<V>, Error> {
        let elem: Elem = self.elem(tile)?;
        if let Val::Words(words) = self.val(tile)?.clone() {
            let mut all = Vec::new();
            for w in words {
                for i in 0..per_word(elem) {
                    all.push(self.e.unpack_word(elem, w, i));
                }
            }
            return Ok(all);
        }
        let regs = self.regs(tile)?;
        Ok(regs.into_iter().map(|r| self.e.to_mem(r, elem)).collect())
    }
}

/// `((v >> first) & (2^bits - 1)) * constant`, as a shift where the constant is a power of two.
fn bits_of(e: &mut Emit, v: V, first: u32, bits: u32, constant: u32) -> V {
    let mask = |e: &mut Emit, v: V, m: u32| {
        let c = e.int(K::I32, i64::from(m));
        e.op2("arith.andi", v, c)
    };
    let ones = (1u32 << bits) - 1;
    if constant.is_power_of_two() {
        let shift = constant.trailing_zeros();
        let kept = mask(e, v, ones << first);
        let (name, by) =
            if shift >= first { ("arith.shli", shift - first) } else { ("arith.shrui", first - shift) };
        if by == 0 {
            return kept;
        }
        let c = e.int(K::I32, i64::from(by));
        return e.op2(name, kept, c);
    }
    let c = e.int(K::I32, i64::from(first));
    let moved = e.op2("arith.shrui", v, c);
    let one = mask(e, moved, ones);
    let c = e.int(K::I32, i64::from(constant));
    e.op2("arith.muli", one, c)
}
