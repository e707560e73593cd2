//! Coordinates of a thread's elements, addresses in views, and which elements lie inside.
//!
//! ```text
//! row of register r  =  offset + ((lane >> 3) & 3 | warp << 2)  +  constant(r)
//! address            =  base + row · stride + column · bytes    32-bit arithmetic where all offsets fit
//! ```

use super::{Lower, Stride, ViewVal};
use crate::emit::{K, Ty, V};
use crate::error::{Error, bug};
use crate::layout::{Dim, Index, Linear, Presence};
use kcc_dsl::ir::ValueId;

/// One coordinate of all registers of a tile.
pub(super) struct Along {
    /// What lane and warp contribute, offset not included.
    pub thread: V,
    /// The same, offset included; the coordinate of register 0.
    pub first: V,
    /// The tile's offset in the view.
    pub offset: Option<V>,
    index: Index,
}

impl Along {
    /// The constant of a register, if constants add to `first`.
    pub fn constant(&self, register: u32) -> Option<i64> {
        self.index.disjoint.then(|| i64::from(self.index.register(register)))
    }
}

impl Lower<'_> {
    /// An `i32` constant.
    pub fn i32(&mut self, c: i64) -> V {
        self.e.int(K::I32, c)
    }

    /// `a + c` in `i32`.
    pub fn plus(&mut self, a: V, c: i64) -> V {
        if c == 0 {
            return a;
        }
        let c = self.i32(c);
        self.e.op2("arith.addi", a, c)
    }

    /// `a * c` in `i32`.
    pub fn times(&mut self, a: V, c: i64) -> V {
        match c {
            0 => self.i32(0),
            1 => a,
            c if c > 0 && c.count_ones() == 1 => {
                let shift = self.i32(i64::from(c.trailing_zeros()));
                self.e.op2("arith.shli", a, shift)
            }
            c => {
                let c = self.i32(c);
                self.e.op2("arith.muli", a, c)
            }
        }
    }

    /// What lane and warp contribute to a coordinate.
    pub fn thread_part(&mut self, index: &Index) -> V {
        let lanes = self.target.facts().lanes.trailing_zeros();
        let mut sum: Option<V> = None;
        for part in &index.parts {
            let (of, top) = match part.dim {
                Dim::Lane => (self.lane, lanes),
                Dim::Warp => (self.warp, u32::MAX),
                _ => continue,
            };
            let mut v = of;
            if part.first > 0 {
                let shift = self.i32(i64::from(part.first));
                v = self.e.op2("arith.shrui", v, shift);
            }
            if part.first + part.bits != top {
                let mask = self.i32((1 << part.bits) - 1);
                v = self.e.op2("arith.andi", v, mask);
            }
            let v = self.times(v, i64::from(part.constant));
            sum = Some(match sum {
                None => v,
                Some(s) if index.parts_disjoint => self.e.op2("arith.ori", s, v),
                Some(s) => self.e.op2("arith.xori", s, v),
            });
        }
        sum.unwrap_or_else(|| self.i32(0))
    }

    /// One coordinate of a tile's registers, shifted by an offset.
    ///
    /// # Errors
    /// A bug: no such axis.
    pub(super) fn along(&mut self, layout: &Linear, axis: usize, offset: Option<V>) -> Result<Along, Error> {
        let index = layout.index(axis).map_err(|e| bug(e.to_string()))?;
        let thread = self.thread_part(&index);
        let first = match offset {
            Some(o) if index.parts.is_empty() => o,
            Some(o) => self.e.op2("arith.addi", o, thread),
            None => thread,
        };
        Ok(Along { thread, first, offset, index })
    }

    /// The coordinate of a register.
    pub(super) fn coordinate(&mut self, along: &Along, register: u32) -> V {
        let c = i64::from(along.index.register(register));
        if along.index.disjoint || c == 0 {
            return self.plus(along.first, c);
        }
        let inside = self.within_tile(along, register);
        match along.offset {
            Some(o) => self.e.op2("arith.addi", o, inside),
            None => inside,
        }
    }

    /// The coordinate of a register within its tile.
    pub(super) fn within_tile(&mut self, along: &Along, register: u32) -> V {
        let c = i64::from(along.index.register(register));
        if along.index.disjoint || c == 0 {
            return self.plus(along.thread, c);
        }
        let c = self.i32(c);
        self.e.op2("arith.xori", along.thread, c)
    }

    /// The coordinate of each register along an axis.
    ///
    /// # Errors
    /// A bug: no such axis.
    pub fn coordinate_registers(&mut self, tile: ValueId, axis: usize) -> Result<Vec<V>, Error> {
        let layout = self.layout(tile)?;
        let along = self.along(&layout, axis, None)?;
        Ok((0..layout.registers()).map(|r| self.coordinate(&along, r)).collect())
    }

    /// Whether the register's element lies in the tile, for a register of which that is not so in all lanes and warps.
    pub(super) fn inside_tile(
        &mut self,
        layout: &Linear,
        shape: &[usize],
        r: u32,
    ) -> Result<Option<V>, Error> {
        let extents: Vec<u32> = shape.iter().map(|e| *e as u32).collect();
        let coverage = layout.coverage(&extents);
        let by_axis = coverage.by_axis.get(r as usize).copied().unwrap_or([Presence::Always; 3]);
        let mut all = None;
        if by_axis.iter().take(shape.len()).any(|p| *p == Presence::Never) {
            return Ok(Some(self.e.int(K::I1, 0)));
        }
        for (axis, presence) in by_axis.iter().enumerate().take(shape.len()) {
            if *presence == Presence::Depends {
                let along = self.along(layout, axis, None)?;
                let c = self.coordinate(&along, r);
                let extent = self.i32(shape[axis] as i64);
                let inside = self.e.cmpi("ult", c, extent);
                all = Some(self.both(all, inside));
            }
        }
        Ok(all)
    }

    /// Conjunction with what there may be.
    pub fn both(&mut self, a: Option<V>, b: V) -> V {
        match a {
            Some(a) => self.e.op2("arith.andi", a, b),
            None => b,
        }
    }

    /// Holds in exactly one of the threads that hold the same element; `None` if no two do. Registers are not considered.
    pub fn owner(&mut self, layout: Option<&Linear>) -> Option<V> {
        let lanes = self.target.facts().lanes;
        let warps = self.warps();
        let (mut lane_mask, mut warp_mask) = (lanes - 1, u32::MAX);
        if let Some(l) = layout {
            // Lanes and warps that the layout does not name repeat what the others hold.
            lane_mask = l.redundant(Dim::Lane) | ((lanes - 1) & !(l.lanes() - 1));
            warp_mask = l.redundant(Dim::Warp) | !(l.warps() - 1);
        }
        warp_mask &= warps.next_power_of_two() - 1;
        let mut all = None;
        for (of, mask) in [(self.lane, lane_mask), (self.warp, warp_mask)] {
            if mask != 0 {
                let m = self.i32(i64::from(mask));
                let bits = self.e.op2("arith.andi", of, m);
                let zero = self.i32(0);
                let first = self.e.cmpi("eq", bits, zero);
                all = Some(self.both(all, first));
            }
        }
        all
    }

    /// Address of an element of a view: coordinates by axis, and a constant of elements along the axis of stride 1.
    pub(super) fn view_address(&mut self, view: &ViewVal, coordinates: &[V], constant: i64) -> V {
        let bytes = view.elem.bytes() as i64;
        let mut offset: Option<V> = None;
        let mut units: Option<V> = None;
        for (c, stride) in coordinates.iter().zip(&view.strides) {
            let term = match stride {
                Stride::One => {
                    units = Some(*c);
                    continue;
                }
                Stride::Elements(s) if view.near => {
                    let s = self.times(*s, bytes);
                    self.e.op2("arith.muli", *c, s)
                }
                Stride::Elements(s) => {
                    let c = self.e.conv("arith.extsi", *c, K::I64);
                    let scaled = self.e.int(K::I64, bytes);
                    let s = self.e.op2("arith.muli", *s, scaled);
                    self.e.op2("arith.muli", c, s)
                }
            };
            offset = Some(match offset {
                None => term,
                Some(o) => self.e.op2("arith.addi", o, term),
            });
        }
        if let Some(u) = units {
            let term = if view.near {
                self.times(u, bytes)
            } else {
                let u = self.e.conv("arith.extsi", u, K::I64);
                let scaled = self.e.int(K::I64, bytes);
                self.e.op2("arith.muli", u, scaled)
            };
            offset = Some(match offset {
                None => term,
                Some(o) => self.e.op2("arith.addi", o, term),
            });
        }
        let terms: Vec<V> = offset.into_iter().collect();
        self.e.address(view.base, K::I8, &terms, constant * bytes)
    }

    /// Address in shared memory, `offset` bytes (`i32`) and a constant from a pointer.
    pub fn shared_address(&mut self, base: V, offset: Option<V>, constant: i64) -> V {
        let terms: Vec<V> = offset.into_iter().collect();
        self.e.address(base, K::I8, &terms, constant)
    }

    /// Type of an access of that many bytes for elements of a memory kind: words if it fills some.
    pub(super) fn access_type(k: K, elements: usize) -> Ty {
        let bytes = k.bytes() * elements;
        let (k, lanes) = match k.bytes() {
            1 | 2 if bytes >= 4 => (K::I32, bytes / 4),
            1 | 2 if elements > 1 => (K::I16, 1),
            _ => (k, elements),
        };
        if lanes == 1 { Ty::scalar(k) } else { Ty::vector(k, lanes) }
    }
}
