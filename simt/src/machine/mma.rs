//! `mma.sync`, `ldmatrix`, `stmatrix`.
//!
//! Products are exact and are summed in f64, the sum rounded once to the type of D. Tensor cores keep fewer bits while
//! they add; a kernel's tolerance has to cover both.

use super::Run;
use super::access::Target;
use super::fragment::{a_at, b_at, c_at, element, fragment_words, per_word, result};
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::program::{Inst, Mma, MmaType, Slot};

impl Slice<'_, '_, '_> {
    pub(super) fn mma(&mut self, mma: &Mma, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        if matches!(mma.a, MmaType::E4M3 | MmaType::E5M2) && !self.machine.chip.fp8 {
            let message = format!("{} has no fp8 matrix operands", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, self.mask());
        }
        let Some((na, nb, nc)) = fragment_words(mma) else {
            return self.fail(FaultKind::Trap, "no such shape; please report this", inst, self.mask());
        };
        let (m, n, k) = (usize::from(mma.m), usize::from(mma.n), usize::from(mma.k));
        let mut a = [0f64; 16 * 32];
        let mut b = [0f64; 32 * 8];
        let mut d = [0f64; 16 * 8];
        let (ea, eb) = (per_word(mma.a), per_word(mma.b));
        let halves = if mma.d == MmaType::F16 { 2 } else { 1 };
        // An undefined element spoils its row of A or column of B, and the results made from those.
        let (mut bad_rows, mut bad_columns) = (0u32, 0u32);
        for lane in 0..32 {
            for (register, &slot) in src[..na].iter().enumerate() {
                let word = self.warp.get(slot, lane);
                let bad = (self.warp.poison[slot as usize] >> lane & 1) as u32;
                for index in 0..ea {
                    let (row, column) = a_at(lane, register, index, ea);
                    bad_rows |= bad << row;
                    a[row * k + column] = element(mma.a, word, index);
                }
            }
            for (register, &slot) in src[na..na + nb].iter().enumerate() {
                let word = self.warp.get(slot, lane);
                let bad = (self.warp.poison[slot as usize] >> lane & 1) as u32;
                for index in 0..eb {
                    let (row, column) = b_at(lane, register, index, eb);
                    bad_columns |= bad << column;
                    b[column * k + row] = element(mma.b, word, index);
                }
            }
            for (register, &slot) in src[na + nb..na + nb + nc].iter().enumerate() {
                let word = self.warp.get(slot, lane);
                for index in 0..halves {
                    let (row, column) = c_at(lane, register * halves + index);
                    d[row * n + column] = element(mma.d, word, index);
                }
            }
        }
        for row in 0..m {
            for column in 0..n {
                let (x, y) = (&a[row * k..][..k], &b[column * k..][..k]);
                d[row * n + column] += x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            }
        }
        let mut undefined = [0u64; 4];
        for (register, bad) in undefined.iter_mut().enumerate().take(nc) {
            *bad = self.warp.poison[src[na + nb + register] as usize];
        }
        for lane in 0..32 {
            for (register, &slot) in dst.iter().enumerate() {
                let mut word = 0;
                for index in 0..halves {
                    let (row, column) = c_at(lane, register * halves + index);
                    let shift = if halves == 1 { 0 } else { 16 * index };
                    undefined[register] |= u64::from((bad_rows >> row | bad_columns >> column) & 1) << lane;
                    word |= result(mma.d, d[row * n + column], mma.saturate) << shift;
                }
                self.warp.set(slot, lane, word);
            }
        }
        for (&slot, bad) in dst.iter().zip(undefined) {
            self.warp.poison[slot as usize] = bad;
        }
        self.machine.stats.mma_products += (m * n * k) as u64;
        Ok(Flow::Next)
    }

    /// Addresses of the rows, from the first lanes: resolved, with their conflicts counted.
    fn rows(&mut self, count: u8, slot: Slot, inst: &Inst) -> Run<Vec<(usize, usize)>> {
        let given = (1u64 << (8 * u32::from(count))) - 1;
        self.defined(slot, given, "an address", inst)?;
        let mut rows = Vec::with_capacity(32);
        let mut addresses = [None; 64];
        for lane in lanes(given) {
            let address = self.warp.get(slot, lane);
            addresses[lane] = Some(address);
            let Target::Shared(cta, at) = self.locate(3, address, 16, 16, lane, inst)? else {
                return self.fail(FaultKind::OutOfBounds, "a matrix outside shared memory", inst, 1 << lane);
            };
            self.check_mbarrier(cta, at, 16, inst, lane)?;
            rows.push((cta, at));
        }
        self.count_access(&addresses, Vec::new(), 16, inst);
        Ok(rows)
    }

    /// PTX ISA, ldmatrix: lane 8·i + r gives the address of row r of matrix i; a lane receives elements 2·(lane mod
    /// 4) and the next of row lane div 4, or of that column when transposed.
    pub(super) fn ldmatrix(
        &mut self,
        count: u8,
        transposed: bool,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let rows = self.rows(count, src[0], inst)?;
        for (lane, &(cta, at)) in rows.iter().enumerate() {
            self.order(Target::Shared(cta, at), 16, lane, 0, None, inst)?;
        }
        for (matrix, &slot) in dst.iter().enumerate() {
            let rows = &rows[8 * matrix..][..8];
            let mut undefined = 0u64;
            for lane in 0..32 {
                let mut word = 0;
                for index in 0..2 {
                    let (major, minor) = (lane / 4, lane % 4 * 2 + index);
                    let (row, column) = if transposed { (minor, major) } else { (major, minor) };
                    let (cta, at) = (rows[row].0, rows[row].1 + 2 * column);
                    let block = &self.cluster.ctas[cta];
                    word |= u64::from(u16::from_le_bytes([block.shared[at], block.shared[at + 1]]))
                        << (16 * index);
                    undefined |= u64::from(!block.init[at] || !block.init[at + 1]) << lane;
                }
                self.warp.set(slot, lane, word);
            }
            self.warp.poison[slot as usize] = undefined;
            if undefined != 0 {
                self.warp.poison_site = Some(inst.site);
            }
        }
        Ok(Flow::Pause)
    }

    pub(super) fn stmatrix(&mut self, count: u8, transposed: bool, src: &[Slot], inst: &Inst) -> Run<Flow> {
        if !self.machine.chip.bulk {
            let message = format!("{} has no stmatrix", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, self.mask());
        }
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let rows = self.rows(count, src[0], inst)?;
        for (matrix, &slot) in src[1..].iter().enumerate() {
            let mut bytes = [[0u8; 16]; 8];
            let mut init = [[true; 16]; 8];
            for lane in 0..32 {
                let word = self.warp.get(slot, lane);
                let undefined = self.warp.poison[slot as usize] >> lane & 1 != 0;
                for index in 0..2 {
                    let (major, minor) = (lane / 4, lane % 4 * 2 + index);
                    let (row, column) = if transposed { (minor, major) } else { (major, minor) };
                    let half = (word >> (16 * index)) as u16;
                    bytes[row][2 * column..][..2].copy_from_slice(&half.to_le_bytes());
                    init[row][2 * column..][..2].fill(!undefined);
                }
            }
            for row in 0..8 {
                let lane = 8 * matrix + row;
                let (cta, at) = rows[lane];
                self.order(Target::Shared(cta, at), 16, lane, 0, Some(&bytes[row]), inst)?;
                let block = &mut self.cluster.ctas[cta];
                block.shared[at..at + 16].copy_from_slice(&bytes[row]);
                block.init[at..at + 16].copy_from_slice(&init[row]);
            }
        }
        Ok(Flow::Pause)
    }
}
