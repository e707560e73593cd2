//! Tiles in scratch memory.

use super::{Coord, Lower, Stride};
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_dsl::ir::{Elem, TileType, ValueId};

/// Scratch memory is aligned to and cut in lines of this many bytes.
const LINE: i64 = 64;

/// A tile in scratch memory; the lane axis is contiguous and its rows are padded to whole vectors.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// First element.
    pub ptr: V,
    /// Element type.
    pub elem: Elem,
    /// Extents.
    pub shape: Vec<usize>,
    /// Distance between neighbours along each axis, in elements.
    pub strides: Vec<i64>,
}

impl Buffer {
    /// Strides for addressing.
    pub fn steps(&self) -> Vec<Stride> {
        self.strides.iter().map(|s| Stride::Known(*s)).collect()
    }
}

impl Lower<'_> {
    /// Reserves `bytes` of scratch memory.
    pub(super) fn reserve(&mut self, bytes: i64) -> V {
        let at = self.scratch_bytes;
        self.scratch_bytes += (bytes + LINE - 1) / LINE * LINE;
        self.e.address(self.scratch, K::I8, &[], at)
    }

    /// Reserves scratch memory for a tile with this axis contiguous.
    pub(super) fn allocate(&mut self, ty: &TileType, lane: usize) -> Buffer {
        let w = self.w();
        let mut strides = vec![1i64; ty.rank()];
        let mut size = 1i64;
        if !ty.shape.is_empty() {
            size = ty.shape[lane].div_ceil(w) as i64 * w as i64;
            for a in (0..ty.rank()).rev().filter(|a| *a != lane) {
                strides[a] = size;
                size *= ty.shape[a].max(1) as i64;
            }
        }
        // A vector read that starts inside the last row may run past it.
        let bytes = (size + w as i64) * ty.elem.bytes() as i64;
        Buffer { ptr: self.reserve(bytes), elem: ty.elem, shape: ty.shape.clone(), strides }
    }

    /// Scratch memory of a value, reserved at first use.
    pub(super) fn buffer(&mut self, v: ValueId) -> Buffer {
        if let Some(b) = self.buffers.get(&v) {
            return b.clone();
        }
        let b = self.allocate(self.f.tile(v), self.lanes[v.0 as usize] as usize);
        self.buffers.insert(v, b.clone());
        b
    }

    /// Reads a tile's element(s) from scratch memory.
    pub(super) fn read_buffer(&mut self, b: &Buffer, pt: &[Coord]) -> V {
        let k = Emit::mem(b.elem);
        let lane = pt.iter().position(|c| c.lane);
        match lane {
            None => {
                let p = self.address(b.ptr, k, pt, &b.steps());
                let floor = self.floor;
                self.e.read_elem(floor, p, b.elem, 0, None)
            }
            Some(a) if b.strides[a] == 1 => {
                let p = self.address(b.ptr, k, pt, &b.steps());
                let (floor, w) = (self.floor, self.w());
                self.e.read_elem(floor, p, b.elem, w, None)
            }
            Some(a) => {
                let left = pt[a].ix;
                let mask = match left.v {
                    None => self.tail_mask(b.shape[a] as i64 - left.c),
                    Some(_) => None,
                };
                let mask = mask.unwrap_or_else(|| {
                    let w = self.w();
                    self.e.int_like(Ty::vector(K::I1, w), 1)
                });
                self.gather_strided(b.ptr, b.elem, pt, &b.steps(), a, mask, None)
            }
        }
    }

    /// Writes a tile's element(s) to scratch memory.
    pub(super) fn write_buffer(&mut self, b: &Buffer, pt: &[Coord], x: V) {
        let k = Emit::mem(b.elem);
        let lane = pt.iter().position(|c| c.lane);
        match lane {
            Some(a) if b.strides[a] != 1 => {
                let w = self.w();
                let x = self.e.splat(x, w);
                for l in 0..w {
                    let mut at = pt.to_vec();
                    at[a] = Coord::at(pt[a].ix.plus(l as i64));
                    if at[a].ix.v.is_none() && at[a].ix.c >= b.shape[a] as i64 {
                        break;
                    }
                    let one = self.e.extract(x, l);
                    let p = self.address(b.ptr, k, &at, &b.steps());
                    self.e.write_elem(one, p, b.elem, None, false);
                }
            }
            _ => {
                let x = if lane.is_some() {
                    let w = self.w();
                    self.e.splat(x, w)
                } else {
                    x
                };
                let p = self.address(b.ptr, k, pt, &b.steps());
                self.e.write_elem(x, p, b.elem, None, false);
            }
        }
    }
}
