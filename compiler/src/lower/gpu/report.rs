//! Assertions and prints, through the status buffer that [`kcc_dsl::exchange::gpu`] describes.

use super::Lower;
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, bug};
use crate::ktg::Op;
use crate::layout::{Dim, Presence};
use kcc_dsl::exchange::gpu::{RECORD_HEADER, STATUS_BYTES};
use kcc_dsl::ir::{Loc, TileType};

/// What a launch is told about.
#[derive(Default)]
pub(super) struct Reports {
    /// Message and place of each assertion.
    pub asserts: Vec<(String, Loc)>,
    /// Format and operand types of each print.
    pub prints: Vec<(String, Vec<TileType>)>,
}

impl Lower<'_> {
    /// An address in the status buffer.
    fn status_at(&mut self, offset: i64) -> V {
        let ty = Ty::scalar(K::Global);
        let status = self.status;
        let base = self.e.pure(ty, format!("llvm.inttoptr {status} : i64 to {ty}"), &[status]);
        self.e.address(base, K::I8, &[], offset)
    }

    /// The first assertion that fails in any thread names itself; the launch then fails.
    pub(super) fn assertion(&mut self, op: &Op, message: &str) -> Result<(), Error> {
        self.reports.asserts.push((message.to_owned(), self.func.loc(op.loc).clone()));
        let number = self.reports.asserts.len() as i64;
        let tile = op.operands[0];
        let (layout, shape) = (self.layout_or_scalar(tile), self.shape_of(tile));
        let regs = self.regs(tile)?;
        let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
        let mut all: Option<V> = None;
        for r in 0..layout.registers() {
            if coverage.register(r) == Presence::Never {
                continue;
            }
            let mut holds = regs[r as usize];
            if let Some(inside) = self.inside_tile(&layout, &shape, r)? {
                let yes = self.e.int(K::I1, 1);
                let outside = self.e.op2("arith.xori", inside, yes);
                holds = self.e.op2("arith.ori", outside, holds);
            }
            all = Some(self.both(all, holds));
        }
        let all = all.ok_or_else(|| bug("an assertion about nothing"))?;
        let yes = self.e.int(K::I1, 1);
        let failed = self.e.op2("arith.xori", all, yes);
        let p = self.status_at(0);
        let (zero, number) = (self.i32(0), self.i32(number));
        self.when(Some(failed), |l| {
            // The pair that it gives is not used.
            l.e.here(
                Ty::scalar(K::I32),
                format!("llvm.cmpxchg {p}, {zero}, {number} monotonic monotonic : {}, i32", p.ty),
            );
        });
        Ok(())
    }

    /// One thread asks for room; all write their elements, if there was some.
    pub(super) fn print(&mut self, op: &Op, format: &str) -> Result<(), Error> {
        let tile = |v| self.func.ty(v).tile().cloned().ok_or_else(|| bug("a print of what is no tile"));
        let types: Vec<TileType> = op.operands.iter().map(|v| tile(*v)).collect::<Result<_, _>>()?;
        let index = self.reports.prints.len() as i64;
        let mut size = RECORD_HEADER as i64;
        let mut starts = Vec::new();
        for t in &types {
            starts.push(size);
            size += ((t.len() * t.elem.bytes()) as i64 + 63) & !63;
        }
        self.reports.prints.push((format.to_owned(), types.clone()));
        let first = self.owner(None);
        let (used, capacity) = (self.status_at(4), self.status_at(8));
        let bytes = self.i32(size);
        let cell = self.take_scratch();
        self.when(first, |l| {
            let ty = Ty::scalar(K::I32);
            let text = format!("llvm.atomicrmw add {used}, {bytes} monotonic : {}, i32", used.ty);
            let offset = l.e.here(ty, text);
            l.target.store_shared(&mut l.e, offset, cell);
        });
        self.sync_scratch();
        let offset = self.target.load_shared(&mut self.e, cell, Ty::scalar(K::I32));
        let room = self.e.load_aligned(capacity, Ty::scalar(K::I32));
        let end = self.e.op2("arith.addi", offset, bytes);
        let fits = self.e.cmpi("ule", end, room);
        let base = self.status_at(STATUS_BYTES as i64);
        let wide = self.e.conv("arith.extui", offset, K::I64);
        let base = self.e.address(base, K::I8, &[wide], 0);
        let writer = self.both(first, fits);
        let header = [self.i32(index), bytes, self.programs[0], self.programs[1], self.programs[2]];
        self.when(Some(writer), |l| {
            for (i, v) in header.iter().enumerate() {
                let p = l.e.address(base, K::I8, &[], 4 * i as i64);
                l.e.store_aligned(*v, p);
            }
        });
        for ((v, t), start) in op.operands.iter().zip(&types).zip(starts) {
            let (layout, shape) = (self.layout_or_scalar(*v), self.shape_of(*v));
            let regs = self.regs(*v)?;
            let owner = self.owner((!shape.is_empty()).then_some(&*layout));
            let redundant = layout.redundant(Dim::Register);
            let coverage = layout.coverage(&shape.iter().map(|e| *e as u32).collect::<Vec<_>>());
            let rows = super::convert::Strided::rows(&shape);
            for r in 0..layout.registers() {
                if r & redundant != 0 || coverage.register(r) == Presence::Never {
                    continue;
                }
                let mut mask = fits;
                for part in [owner, self.inside_tile(&layout, &shape, r)?].into_iter().flatten() {
                    mask = self.both(Some(part), mask);
                }
                let (at, constant) = self.scratch_offset(&layout, &rows, t.elem.bytes() as i64, r)?;
                let terms: Vec<V> = at.into_iter().collect();
                let p = self.e.address(base, K::I8, &terms, start + constant);
                let raw = self.e.to_mem(regs[r as usize], t.elem);
                debug_assert_eq!(raw.ty.k, Emit::mem(t.elem));
                self.when(Some(mask), |l| l.e.store_aligned(raw, p));
            }
        }
        Ok(())
    }
}
