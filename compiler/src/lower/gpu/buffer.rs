//! Views through descriptors whose bounds the hardware checks, on targets that have them: one offset of 32 bits per
//! access, and no branch for what lies outside.
//!
//! ```text
//! offset of a register = Σ (lane's coordinate + constant) · stride      once per kernel
//!                      + Σ tile's offset · stride                       once per tile, scalar
//! outside of the view  → OUTSIDE, behind the end of every descriptor: reads 0, writes nothing
//! ```
//! Axes are added one after another, those that a loop does not change first. Each term of a coordinate inside is from 0 to
//! the view's reach, so that a sum that has once been OUTSIDE stays behind the end until its own axis says so again.

use super::{Lower, Stride, ViewVal};
use crate::emit::{Emit, K, Ty, V};
use kcc_dsl::ir::Cache;

/// An offset that no descriptor reaches: they have at most 2³¹ bytes.
const OUTSIDE: i64 = i32::MIN as i64;

/// A view's descriptor.
pub(super) struct Descriptor {
    resource: V,
    /// By axis: bytes from one element to the next, and what to add so that the lowest element is at 0.
    axes: Vec<(Option<V>, Option<V>)>,
}

/// Where an access goes.
pub(super) enum Reach {
    /// To a pointer.
    Pointer(V),
    /// To so many bytes behind a descriptor's base.
    Buffer { resource: V, offset: V },
}

/// One axis of an access.
pub(super) struct Term {
    /// What lanes and registers add to the coordinate.
    pub own: V,
    /// What the tile adds, and whether that is surely no less than 0.
    pub offset: Option<V>,
    pub from_zero: bool,
    /// Extent of the view.
    pub dim: V,
}

impl Lower<'_> {
    /// The view's descriptor, where the target has them and offsets of 32 bits reach all of the view.
    pub(super) fn descriptor(&mut self, view: &ViewVal) -> Option<Descriptor> {
        let buffers = self.target.buffers()?;
        if !view.near || view.strides.is_empty() {
            return None;
        }
        let bytes = view.elem.bytes() as i64;
        let (zero, one) = (self.i32(0), self.i32(1));
        let mut extent = self.i32(bytes);
        let mut lowest: Option<V> = None;
        let mut empty: Option<V> = None;
        let mut axes = Vec::new();
        for (dim, stride) in view.dims.iter().zip(&view.strides) {
            let none = self.e.cmpi("eq", *dim, zero);
            empty = Some(match empty {
                Some(e) => self.e.op2("arith.ori", e, none),
                None => none,
            });
            let most = self.e.op2("arith.subi", *dim, one);
            let Stride::Elements(s) = stride else {
                let span = self.times(most, bytes);
                extent = self.e.op2("arith.addi", extent, span);
                axes.push((None, None));
                continue;
            };
            let step = self.times(*s, bytes);
            let back = self.e.op2("arith.minsi", step, zero);
            let ahead = self.e.op2("arith.maxsi", step, zero);
            let size = self.e.op2("arith.subi", ahead, back);
            let span = self.e.op2("arith.muli", most, size);
            extent = self.e.op2("arith.addi", extent, span);
            let low = self.e.op2("arith.muli", most, back);
            lowest = Some(match lowest {
                Some(l) => self.e.op2("arith.addi", l, low),
                None => low,
            });
            let raise = self.e.op2("arith.subi", zero, low);
            axes.push((Some(step), Some(raise)));
        }
        if let Some(empty) = empty {
            extent = self.e.select(empty, zero, extent);
        }
        // All lanes hold these alike, but may have computed them each for itself.
        let extent = self.target.settle(&mut self.e, extent);
        let base = match lowest {
            Some(low) => {
                let low = self.target.settle(&mut self.e, low);
                self.e.address(view.base, K::I8, &[low], 0)
            }
            None => view.base,
        };
        Some(Descriptor { resource: buffers.resource(&mut self.e, base, extent), axes })
    }

    /// Where an element lies, by the terms of its axes: those that all hold make it lie inside.
    pub(super) fn buffer_offset(&mut self, d: &Descriptor, elem_bytes: usize, terms: &[Term]) -> Reach {
        let outside = self.i32(OUTSIDE);
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by_key(|i| terms[*i].offset.map_or(0, |o| o.level).max(terms[*i].own.level));
        let mut sum: Option<V> = None;
        for i in order {
            let (t, (step, raise)) = (&terms[i], d.axes[i]);
            let scaled = |l: &mut Self, v: V| match step {
                Some(step) => l.e.op2("arith.muli", v, step),
                None => l.times(v, elem_bytes as i64),
            };
            let mut parts = vec![scaled(self, t.own)];
            parts.extend(raise);
            if let Some(offset) = t.offset {
                parts.push(scaled(self, offset));
            }
            parts.extend(sum);
            let inside = self.within(t);
            let total = self.sum(parts);
            sum = Some(self.e.select(inside, total, outside));
        }
        let offset = sum.unwrap_or(outside);
        Reach::Buffer { resource: d.resource, offset }
    }

    /// Whether a coordinate lies in the view.
    pub(super) fn within(&mut self, t: &Term) -> V {
        let Some(offset) = t.offset else { return self.e.cmpi("ult", t.own, t.dim) };
        if t.from_zero && offset.level > t.own.level {
            // All three are from 0 to 2³¹ - 1, so that the difference does not wrap.
            let left = self.e.op2("arith.subi", t.dim, offset);
            return self.e.cmpi("slt", t.own, left);
        }
        let c = self.e.op2("arith.addi", offset, t.own);
        self.e.cmpi("ult", c, t.dim)
    }

    /// The sum, in the order in which the parts come to be known.
    fn sum(&mut self, mut parts: Vec<V>) -> V {
        parts.sort_by_key(|p| p.level);
        let mut all = parts[0];
        for p in &parts[1..] {
            all = self.e.op2("arith.addi", all, *p);
        }
        all
    }

    /// Reads; zero where the mask does not hold.
    pub(super) fn read(&mut self, from: Reach, ty: Ty, mask: Option<V>, cache: Cache) -> V {
        let target = self.target;
        match (from, target.buffers()) {
            (Reach::Buffer { resource, offset }, Some(buffers)) => {
                let offset = self.masked(offset, mask);
                let word = bits(ty);
                let read = buffers.load(&mut self.e, resource, offset, word, cache);
                recast(&mut self.e, read, ty)
            }
            (Reach::Pointer(p) | Reach::Buffer { resource: p, .. }, _) => {
                target.load_global(&mut self.e, p, ty, mask, cache)
            }
        }
    }

    /// Writes where the mask holds.
    pub(super) fn write(&mut self, to: Reach, value: V, mask: Option<V>, cache: Cache) {
        let target = self.target;
        match (to, target.buffers()) {
            (Reach::Buffer { resource, offset }, Some(buffers)) => {
                let offset = self.masked(offset, mask);
                let word = bits(value.ty);
                let value = recast(&mut self.e, value, word);
                buffers.store(&mut self.e, value, resource, offset, cache);
            }
            (Reach::Pointer(p) | Reach::Buffer { resource: p, .. }, _) => {
                target.store_global(&mut self.e, value, p, mask, cache);
            }
        }
    }

    fn masked(&mut self, offset: V, mask: Option<V>) -> V {
        let Some(mask) = mask else { return offset };
        let outside = self.i32(OUTSIDE);
        self.e.select(mask, offset, outside)
    }
}

/// The integers that hold an access: one of 8, 16 or 32 bits, or several of 32.
fn bits(ty: Ty) -> Ty {
    match ty.k.bytes() * ty.lanes.max(1) as usize {
        1 => Ty::scalar(K::I8),
        2 => Ty::scalar(K::I16),
        4 => Ty::scalar(K::I32),
        bytes => Ty::vector(K::I32, bytes / 4),
    }
}

fn recast(e: &mut Emit, v: V, ty: Ty) -> V {
    if v.ty == ty {
        return v;
    }
    e.pure(ty, format!("llvm.bitcast {v} : {} to {ty}", v.ty), &[v])
}
