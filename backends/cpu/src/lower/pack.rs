//! Copies of dot operands in the form that register blocks read.
//!
//! ```text
//! by K      [K][X] f32, or [K/2][X] pairs of 16 bits      lanes along M or N
//! by row    [X][K] f32 or 16 bits                          lanes along K (broadcast operands only)
//! ```

use super::dot::{Kind, Source};
use super::nest::segments;
use super::{Coord, Lower, Stride};
use kcc_compiler::emit::{Ix, K, V};
use kcc_dsl::ir::ValueId;

impl<'k> Lower<'k> {
    /// Copies operand `v` (whose axis along M or N is `x_axis`).
    pub(super) fn pack(&mut self, v: ValueId, x_axis: usize, kind: Kind, by_row: bool) -> Source {
        let size = self.packed_bytes(v, x_axis, kind, by_row);
        let to = self.reserve(size);
        self.pack_to(v, x_axis, kind, by_row, to);
        self.packed_source(v, x_axis, kind, by_row, to)
    }

    /// Rows of a copy, and units or lanes in each.
    fn packed_shape(&self, v: ValueId, x_axis: usize, kind: Kind, by_row: bool) -> (usize, usize) {
        let shape = self.f.shape(v);
        let (x, k) = (shape[x_axis], shape[1 - x_axis]);
        let w = self.w();
        if by_row { (x, k.next_multiple_of(w)) } else { (k.div_ceil(kind.depth()), x.next_multiple_of(w)) }
    }

    /// Bytes of a copy, with those that a vector may read past its end.
    pub(super) fn packed_bytes(&self, v: ValueId, x_axis: usize, kind: Kind, by_row: bool) -> i64 {
        let (rows, cols) = self.packed_shape(v, x_axis, kind, by_row);
        let bytes = if by_row { kind.unit().bytes() } else { kind.lane().bytes() };
        ((rows * cols + self.w()) * bytes) as i64
    }

    /// Copies to this place.
    pub(super) fn pack_to(&mut self, v: ValueId, x_axis: usize, kind: Kind, by_row: bool, to: V) {
        let (_, cols) = self.packed_shape(v, x_axis, kind, by_row);
        let loads = if self.masked { Vec::new() } else { self.loads_of(v) };
        self.versions(&loads, &mut |s| {
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            if by_row {
                s.pack_rows(v, x_axis, kind, to, cols);
            } else {
                s.pack_columns(v, x_axis, kind, to, cols);
            }
            s.floor = floor;
            Vec::new()
        });
    }

    /// How a copy at this place is read.
    pub(super) fn packed_source(
        &self,
        v: ValueId,
        x_axis: usize,
        kind: Kind,
        by_row: bool,
        ptr: V,
    ) -> Source {
        let cols = self.packed_shape(v, x_axis, kind, by_row).1 as i64;
        if by_row {
            let k = if kind == Kind::F32 { 1 } else { 2 };
            Source { ptr, unit: kind.unit(), x: Stride::Known(cols), k: Stride::Known(k) }
        } else {
            Source { ptr, unit: kind.lane(), x: Stride::Known(1), k: Stride::Known(cols) }
        }
    }

    fn pack_rows(&mut self, v: ValueId, x_axis: usize, kind: Kind, ptr: V, cols: usize) {
        let shape = self.f.shape(v).to_vec();
        let elem = self.f.tile(v).elem;
        let k = shape[1 - x_axis];
        self.each(&shape, 1 - x_axis, &mut |s, pt| {
            let w = s.w();
            let x = s.eval(v, pt);
            let mut x = s.e.splat(x, w);
            if let (None, c) = (pt[1 - x_axis].ix.v, pt[1 - x_axis].ix.c)
                && let Some(m) = s.tail_mask(k as i64 - c)
            {
                let zero = if x.ty.k.is_float() { s.e.zero_float(x.ty) } else { s.e.int_like(x.ty, 0) };
                x = s.e.select(m, x, zero);
            }
            let unit = match kind {
                Kind::F32 => x,
                Kind::PairBf16 => s.e.to_mem(x, kcc_dsl::ir::Elem::BF16),
                Kind::PairI16 => s.e.widen_int(x, elem.is_signed(), K::I16),
            };
            let at = [pt[x_axis], Coord::at(pt[1 - x_axis].ix)];
            let p = s.address(ptr, kind.unit(), &at, &[Stride::Known(cols as i64), Stride::Known(1)]);
            s.e.store(unit, p);
        });
    }

    fn pack_columns(&mut self, v: ValueId, x_axis: usize, kind: Kind, ptr: V, cols: usize) {
        let shape = self.f.shape(v).to_vec();
        let elem = self.f.tile(v).elem;
        let (x, k) = (shape[x_axis], shape[1 - x_axis]);
        let depth = kind.depth();
        let w = self.w();
        let at = |x: Ix, k: Ix| {
            let mut pt = vec![Coord::lanes(x); 2];
            pt[1 - x_axis] = Coord::at(k);
            pt
        };
        let step = |s: &mut Self, row: Ix, pair: bool| {
            let segs = super::nest::lane_segments(x, w, s.vectors_at_once());
            let k0 = s.e.scale(row, depth as i64);
            s.over(&segs, w as i64, Vec::new(), &mut |s, ix, size, _| {
                for c in 0..size {
                    let ix = ix.plus((c * w) as i64);
                    let a = s.eval(v, &at(ix, k0));
                    let a = s.e.splat(a, w);
                    let packed = match kind {
                        Kind::F32 => a,
                        _ => {
                            let b = pair.then(|| {
                                let b = s.eval(v, &at(ix, k0.plus(1)));
                                s.e.splat(b, w)
                            });
                            s.e.pair(kind == Kind::PairBf16, elem.is_signed(), a, b)
                        }
                    };
                    let to = [Coord::at(row), Coord::at(ix)];
                    let p = s.address(ptr, kind.lane(), &to, &[Stride::Known(cols as i64), Stride::Known(1)]);
                    s.e.store(packed, p);
                }
                Vec::new()
            });
        };
        self.over(&segments(k / depth, 1), 1, Vec::new(), &mut |s, row, _, _| {
            step(s, row, true);
            Vec::new()
        });
        if !k.is_multiple_of(depth) {
            step(self, Ix::from((k / depth) as i64), false);
        }
    }
}
