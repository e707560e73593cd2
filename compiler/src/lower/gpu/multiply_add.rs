//! Matrix products by multiply-adds, for operands that no product instruction takes exactly.
//!
//! ```text
//! for k in steps of 4:   a[rows of the thread, k..k+4], b[k..k+4, columns of the thread] from shared memory
//!                        acc[r, c] = fma(a[r, k+i], b[k+i, c], acc[r, c])        i = 0, 1, 2, 3
//! ```
//! The thread's rows and columns follow from the accumulator's layout; reads are as wide as the buffers allow.

use super::shared::Places;
use super::{Lower, Val};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::layout::shared::Access;
use crate::layout::{Coord, Dim, Linear};
use kcc_dsl::ir::ValueId;
use std::collections::HashMap;

/// Steps of `k` whose operands are read together: 16 bytes of `f32`.
const TOGETHER: usize = 4;

/// One operand: what a thread reads of it in one round.
struct Side {
    base: V,
    access: Access,
    /// Registers' moves in the tile, along k among them.
    layout: Linear,
    elem: kcc_dsl::ir::Elem,
}

impl Lower<'_> {
    pub(super) fn multiply_add(
        &mut self,
        a: ValueId,
        b: ValueId,
        acc: ValueId,
        to: ValueId,
    ) -> Result<(), Error> {
        let layout = self.layout(acc)?;
        let rank = layout.rank();
        let k = self.shared_type(a)?.shape[rank - 1];
        let left = self.side(a, &layout, 0)?;
        let right = self.side(b, &layout, 1)?;
        let mut sums = self.regs(acc)?;
        let whole = k / TOGETHER * TOGETHER;
        if whole > 0 {
            let (lo, hi) = (self.i32(0), self.i32(whole as i64));
            let step = self.i32(TOGETHER as i64);
            let (mut open, at, inner) = self.e.begin_for(lo, hi, step, &sums);
            self.e.keep_rolled(&mut open);
            let next = self.round((&left, &right), &layout, at, inner, TOGETHER)?;
            sums = self.e.end_for(open, &next);
        }
        if whole < k {
            let at = self.i32(whole as i64);
            sums = self.round((&left, &right), &layout, at, sums, k - whole)?;
        }
        self.set(to, Val::Regs(sums));
        Ok(())
    }

    fn side(&mut self, v: ValueId, acc: &Linear, side: usize) -> Result<Side, Error> {
        let rank = acc.rank();
        let (k_axis, own) = if side == 0 { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
        let ty = self.shared_type(v)?;
        let base = self.shared_val(v)?.base;
        let seen = |dim: Dim| -> Vec<Coord> {
            let part = |c: &Coord| {
                let mut moved = [0; 3];
                moved[own] = c[own];
                if rank == 3 {
                    moved[0] = c[0];
                }
                moved
            };
            acc.basis(dim).iter().map(part).collect()
        };
        let along_k = |bits: std::ops::Range<u32>| {
            bits.map(|bit| {
                let mut c = [0; 3];
                c[k_axis] = 1 << bit;
                c
            })
        };
        let extents = ty.layout.extents().to_vec();
        let bits = extents[k_axis].trailing_zeros();
        let together = bits.min(TOGETHER.trailing_zeros());
        let mut registers: Vec<Coord> = along_k(0..together).collect();
        registers.extend(seen(Dim::Register).into_iter().filter(|c| *c != [0; 3]));
        let rounds: Vec<Coord> = along_k(together..bits).collect();
        let (lanes, warps) = (seen(Dim::Lane), seen(Dim::Warp));
        let inputs = [
            (Dim::Register, &registers[..]),
            (Dim::Lane, &lanes),
            (Dim::Warp, &warps),
            (Dim::Block, &rounds),
        ];
        let layout = Linear::new(&extents, inputs).map_err(|e| bug(e.to_string()))?;
        let offsets = layout.offsets_in(&ty.layout).map_err(|e| bug(e.to_string()))?;
        let access = Access::new(offsets, 16 / ty.elem.bytes() as u32);
        Ok(Side { base, access, layout, elem: ty.elem })
    }

    /// Elements of one operand in the round that begins at `at`, by what their registers add.
    fn read_side(&mut self, side: &Side, at: V) -> Result<HashMap<Coord, V>, Error> {
        let places: Places = self.places_at(&side.access.offsets, side.elem.bytes() as u32, Some(at))?;
        let k = Emit::mem(side.elem);
        let n = side.access.vector() as usize;
        let mut found = HashMap::new();
        for group in &side.access.groups {
            let p = self.shared_place(side.base, &places, *group);
            let ty = Ty { k, lanes: if n > 1 { n as u16 } else { 0 } };
            let read = self.target.load_shared(&mut self.e, p, ty);
            for (i, r) in side.access.within.iter().enumerate() {
                let raw = if n > 1 { self.e.extract(read, i) } else { read };
                let v = self.e.from_mem(raw, side.elem);
                found.insert(side.layout.part(Dim::Register, group ^ r), v);
            }
        }
        Ok(found)
    }

    fn round(
        &mut self,
        (left, right): (&Side, &Side),
        acc: &Linear,
        at: V,
        mut sums: Vec<V>,
        steps: usize,
    ) -> Result<Vec<V>, Error> {
        let rank = acc.rank();
        // Which round it is numbers the values of the layouts' fourth input.
        let shift = self.i32(i64::from(TOGETHER.trailing_zeros()));
        let round = self.e.pure(Ty::scalar(K::I32), format!("arith.shrui {at}, {shift} : i32"), &[at, shift]);
        let x = self.read_side(left, round)?;
        let y = self.read_side(right, round)?;
        for i in 0..steps as u32 {
            for (r, sum) in sums.iter_mut().enumerate() {
                let c = acc.part(Dim::Register, r as u32);
                let (mut ca, mut cb) = (c, c);
                (ca[rank - 1], cb[rank - 2]) = (i, i);
                let (Some(a), Some(b)) = (x.get(&ca), y.get(&cb)) else {
                    return Err(bug(format!("no operand of a multiply-add at {c:?}")));
                };
                *sum = self.e.fma(*a, *b, *sum);
            }
        }
        Ok(sums)
    }
}
