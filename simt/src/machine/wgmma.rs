//! `wgmma`: asynchronous matrix instructions of four warps.
//!
//! Each warp computes its own 16 rows of the 64, so the four need not wait for each other here; that all four execute
//! the same instructions is checked at the end. Operands in shared memory are read when the work lands, which may be
//! at any time up to the wait.

use super::cluster::Cluster;
use super::copies::{Pending, Work};
use super::fragment::{number, result};
use super::race::PROXY;
use super::step::{Flow, Slice};
use super::tensor_map::Swizzle;
use super::{Machine, Run, SHARED_BASE};
use crate::error::FaultKind;
use crate::program::{Code, Inst, MmaType, Op, ScaleD, Slot, Wgmma};

/// What a warp remembers about registers of asynchronous matrix operations.
#[derive(Default)]
pub(crate) struct WarpState {
    enabled: bool,
    /// For each slot: the operation that will write it (from 1) and which of its results; 0 when none.
    arriving: Vec<(u32, u32)>,
    /// For each slot: when it was last written, and the last operation that reads it as A.
    written: Vec<u32>,
    read_by: Vec<u32>,
    now: u32,
    fenced: u32,
    issued: u32,
    /// Operations that have landed and been waited for.
    retired: u32,
    /// Groups committed, and for each the last operation in it.
    groups: Vec<u32>,
    arriving_count: usize,
    /// Which operations were issued, in order, as a hash.
    trace: u64,
}

/// An operation under way.
pub(crate) struct Issued {
    serial: u32,
    wgmma: Wgmma,
    /// Accumulators by register and lane; `None` while they come from the operation before.
    acc: Option<Vec<[u64; 32]>>,
    /// That operation, when there is one.
    after: u32,
    accumulate: bool,
    a: Operand,
    b: u64,
    site: u32,
}

enum Operand {
    Registers(Vec<[u64; 32]>),
    Shared(u64),
}

impl WarpState {
    pub(crate) fn prepare(&mut self, slots: usize) {
        self.enabled = true;
        self.arriving = vec![(0, 0); slots];
        self.written = vec![0; slots];
        self.read_by = vec![0; slots];
        self.now = 1;
    }

    pub(crate) fn active(&self) -> bool {
        self.enabled
    }

    /// Values that a jump moves keep their state.
    pub(crate) fn carry(&mut self, copies: &[(Slot, Slot)], _whole: bool) {
        let from: Vec<_> = copies
            .iter()
            .map(|&(_, from)| (self.arriving[from as usize], self.written[from as usize]))
            .collect();
        for (&(to, _), (arriving, written)) in copies.iter().zip(from) {
            self.set_arriving(to, arriving);
            self.written[to as usize] = written;
        }
    }

    fn set_arriving(&mut self, slot: Slot, value: (u32, u32)) {
        let old = &mut self.arriving[slot as usize];
        self.arriving_count -= usize::from(old.0 != 0);
        self.arriving_count += usize::from(value.0 != 0);
        *old = value;
    }
}

/// A matrix descriptor: PTX ISA, "Matrix descriptor format" of wgmma.
struct Descriptor {
    start: u64,
    leading: u64,
    stride: u64,
    base_offset: u64,
    swizzle: Swizzle,
}

impl Descriptor {
    fn decode(bits: u64) -> Descriptor {
        let field = |at: u32| (bits >> at & 0x3fff) << 4;
        let swizzle = [Swizzle::None, Swizzle::B128, Swizzle::B64, Swizzle::B32][(bits >> 62) as usize];
        Descriptor {
            start: field(0),
            leading: field(16),
            stride: field(32),
            base_offset: bits >> 49 & 7,
            swizzle,
        }
    }

    /// The shared address of the 16-byte unit that holds `minor` (bytes along the contiguous axis) of `major`.
    ///
    /// The canonical layouts of the manual, in units of 16 bytes: a core matrix is eight rows of one unit. K-major:
    /// rows along M or N, units along K. MN-major (`transposed`): rows along K, units along M or N.
    fn unit(&self, row: u64, unit: u64, transposed: bool) -> u64 {
        let width = u64::from(self.swizzle.bytes());
        let offset = match (self.swizzle, transposed) {
            (Swizzle::None, false) => row % 8 * 16 + row / 8 * self.stride + unit * self.leading,
            (Swizzle::None, true) => row % 8 * 16 + row / 8 * self.leading + unit * self.stride,
            (_, false) => row % 8 * width + row / 8 * self.stride + unit * 16,
            (_, true) => {
                let across = width / 16;
                row % 8 * width + row / 8 * self.stride + unit % across * 16 + unit / across * self.leading
            }
        };
        let address = self.start + offset;
        // The base offset says by how many rows the pattern's start is off from a multiple of its size.
        let shifted = address.wrapping_sub(self.base_offset << 7);
        address ^ (shifted ^ self.swizzle.apply(shifted))
    }
}

/// The layout of one operand in shared memory: `rows` along M or N, `k` along K.
struct Tile<'d> {
    descriptor: &'d Descriptor,
    first_row: usize,
    rows: usize,
    k: usize,
    ty: MmaType,
    transposed: bool,
}

impl Tile<'_> {
    /// Visits the 16-byte units: the address, and for each element its row and k.
    fn units(&self, mut visit: impl FnMut(u64, &mut dyn Iterator<Item = (usize, usize)>)) {
        let per_unit = (128 / self.ty.bits()) as usize;
        if self.transposed {
            let first = self.first_row / per_unit;
            for k in 0..self.k {
                for unit in first..(self.first_row + self.rows).div_ceil(per_unit) {
                    let address = self.descriptor.unit(k as u64, unit as u64, true);
                    let base = unit * per_unit - self.first_row;
                    visit(address, &mut (0..per_unit).map(|index| (base + index, k)));
                }
            }
        } else {
            for row in 0..self.rows {
                for unit in 0..self.k / per_unit {
                    let address = self.descriptor.unit((self.first_row + row) as u64, unit as u64, false);
                    visit(address, &mut (0..per_unit).map(|index| (row, unit * per_unit + index)));
                }
            }
        }
    }
}

fn tiles<'d>(
    wgmma: &Wgmma,
    warp: u32,
    a: Option<&'d Descriptor>,
    b: &'d Descriptor,
) -> (Option<Tile<'d>>, Tile<'d>) {
    let (n, k) = (usize::from(wgmma.shape.n), usize::from(wgmma.shape.k));
    let first_row = 16 * (warp as usize % 4);
    let a = a.map(|descriptor| Tile {
        descriptor,
        first_row,
        rows: 16,
        k,
        ty: wgmma.shape.a,
        transposed: wgmma.a_transposed,
    });
    let b =
        Tile { descriptor: b, first_row: 0, rows: n, k, ty: wgmma.shape.b, transposed: wgmma.b_transposed };
    (a, b)
}

impl Slice<'_, '_, '_> {
    /// Before each instruction of a kernel with `wgmma`: no register of an operation under way may be touched.
    pub(super) fn check_async_registers(&mut self, code: &Code, inst: &Inst) -> Run<()> {
        let chained = matches!(inst.op, Op::Wgmma(_));
        let mask = self.mask();
        if self.warp.wgmma.arriving_count > 0 && !chained {
            let bad = code.sources(inst).iter().any(|&slot| self.warp.wgmma.arriving[slot as usize].0 != 0);
            if bad {
                let message = "a register is read that a wgmma under way will write; wait for its group first \
                               (wgmma.wait_group)";
                return self.fail(FaultKind::AsyncRegister, message, inst, mask);
            }
        }
        let now = self.warp.wgmma.now;
        let results = code.results(inst);
        for &slot in results {
            if self.warp.wgmma.read_by[slot as usize] > self.warp.wgmma.retired {
                let message = "a register is written that a wgmma under way reads as its operand A; wait for its \
                               group first (wgmma.wait_group)";
                return self.fail(FaultKind::AsyncRegister, message, inst, mask);
            }
            if !chained {
                self.warp.wgmma.set_arriving(slot, (0, 0));
                self.warp.wgmma.written[slot as usize] = now;
            }
        }
        if !results.is_empty() {
            self.warp.wgmma.now += 1;
        }
        Ok(())
    }

    pub(super) fn wgmma(&mut self, wgmma: &Wgmma, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        if !self.machine.chip.wgmma {
            let message = format!("{} has no wgmma", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, self.mask());
        }
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let mask = self.mask();
        if self.warp.number as usize / 4 * 4 + 4 > self.machine.warps_per_block() {
            return self.fail(FaultKind::Collective, "wgmma needs four whole warps", inst, mask);
        }
        let count = wgmma.acc as usize;
        let (acc, rest) = src.split_at(count);
        let (a_slots, rest) = rest.split_at(if wgmma.a_registers { 4 } else { 1 });
        let accumulate = match wgmma.scale_d {
            ScaleD::Zero => false,
            ScaleD::One => true,
            ScaleD::Value => {
                self.defined(rest[1], mask, "scale-d", inst)?;
                self.uniform(rest[1], "scale-d", inst)? != 0
            }
        };
        let state = &self.warp.wgmma;
        if state.fenced == 0 {
            let message = "the first wgmma of a warp needs a wgmma.fence before it";
            return self.fail(FaultKind::AsyncRegister, message, inst, mask);
        }
        let stale = |slot: &Slot| {
            state.arriving[*slot as usize].0 == 0 && state.written[*slot as usize] > state.fenced
        };
        let touched: &[Slot] = if wgmma.a_registers { a_slots } else { &[] };
        if acc.iter().filter(|_| accumulate).chain(touched).any(stale) {
            let message = "registers of a wgmma were written after the last wgmma.fence";
            return self.fail(FaultKind::AsyncRegister, message, inst, mask);
        }
        let row = |slot: Slot| {
            let mut out = [0; 32];
            out.copy_from_slice(&self.warp.row(slot)[..32]);
            out
        };
        let sources: Vec<u32> = acc.iter().map(|&slot| state.arriving[slot as usize].0).collect();
        let from = sources.first().copied().unwrap_or(0);
        let in_place = acc.iter().enumerate().all(|(index, &slot)| {
            let (serial, which) = state.arriving[slot as usize];
            serial == from && (serial == 0 || which == index as u32)
        });
        if accumulate && !in_place {
            let message = "accumulators of which a part is under way from another wgmma";
            return self.fail(FaultKind::AsyncRegister, message, inst, mask);
        }
        let under_way = self.cluster.pending.iter().any(|pending| match &pending.work {
            Work::Wgmma(issued) => pending.warp == self.index && issued.serial == from,
            _ => false,
        });
        let acc_values = if !accumulate {
            Some(vec![[0; 32]; count])
        } else if from == 0 || !under_way {
            for &slot in acc {
                self.defined(slot, mask, "an accumulator", inst)?;
            }
            Some(acc.iter().map(|&slot| row(slot)).collect())
        } else {
            None // comes with the operation before
        };
        let a = if wgmma.a_registers {
            for &slot in a_slots {
                if state.arriving[slot as usize].0 != 0 {
                    let message = "operand A is under way from another wgmma";
                    return self.fail(FaultKind::AsyncRegister, message, inst, mask);
                }
                self.defined(slot, mask, "operand A", inst)?;
            }
            Operand::Registers(a_slots.iter().map(|&slot| row(slot)).collect())
        } else {
            self.defined(a_slots[0], mask, "a descriptor", inst)?;
            Operand::Shared(self.uniform(a_slots[0], "the descriptor of A", inst)?)
        };
        self.defined(rest[0], mask, "a descriptor", inst)?;
        let b = self.uniform(rest[0], "the descriptor of B", inst)?;
        let group = self.warp.wgmma.groups.len() as u32 + 1;
        self.operands_in_order(wgmma, &a, b, group, inst)?;

        let state = &mut self.warp.wgmma;
        state.issued += 1;
        state.trace = state.trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(inst.site) + 1);
        let serial = state.issued;
        for (index, &slot) in dst.iter().enumerate() {
            state.set_arriving(slot, (serial, index as u32));
            state.written[slot as usize] = 0;
        }
        for &slot in touched {
            state.read_by[slot as usize] = serial;
        }
        for &slot in dst {
            self.warp.poison[slot as usize] = 0;
        }
        let shape = &wgmma.shape;
        self.machine.stats.mma_products += 16 * u64::from(shape.n) * u64::from(shape.k);
        let after = if acc_values.is_some() { 0 } else { from };
        let issued = Issued {
            serial,
            wgmma: wgmma.clone(),
            acc: acc_values,
            after,
            accumulate,
            a,
            b,
            site: inst.site,
        };
        let work = Work::Wgmma(Box::new(issued));
        self.start(Pending { work, warp: self.index, lane: 0, group, site: inst.site })?;
        Ok(Flow::Pause)
    }

    fn uniform(&self, slot: Slot, what: &str, inst: &Inst) -> Run<u64> {
        let row = self.warp.row(slot);
        if row.iter().any(|value| *value != row[0]) {
            return self.fail(
                FaultKind::Collective,
                format!("lanes disagree about {what}"),
                inst,
                self.mask(),
            );
        }
        Ok(row[0])
    }

    /// Bounds, definedness and order of everything that the operation reads from shared memory.
    fn operands_in_order(&mut self, wgmma: &Wgmma, a: &Operand, b: u64, group: u32, inst: &Inst) -> Run<()> {
        let a = match a {
            Operand::Shared(bits) => Some(Descriptor::decode(*bits)),
            Operand::Registers(_) => None,
        };
        let b = Descriptor::decode(b);
        let mut addresses = Vec::new();
        let (a_tile, b_tile) = tiles(wgmma, self.warp.number, a.as_ref(), &b);
        if let Some(tile) = a_tile {
            tile.units(|address, _| addresses.push(address));
        }
        b_tile.units(|address, _| addresses.push(address));
        addresses.sort_unstable();
        addresses.dedup();
        let agent = self.cluster.agent(self.warp.cta, 2, self.warp.number);
        let cta = self.warp.cta;
        let mask = self.mask();
        // Runs of neighbours are checked at once.
        let mut index = 0;
        while index < addresses.len() {
            let start = addresses[index];
            let mut end = start + 16;
            index += 1;
            while index < addresses.len() && addresses[index] == end {
                end += 16;
                index += 1;
            }
            let length = (end - start) as usize;
            let Some(at) = self.machine.shared_offset(start, length) else {
                let message = format!(
                    "out of bounds: an operand at offset {} of shared memory, of which the block has {}",
                    start as i64 - SHARED_BASE as i64,
                    self.machine.shared_bytes
                );
                return self.fail(FaultKind::OutOfBounds, message, inst, mask);
            };
            let target = super::access::Target::Shared(cta, at);
            self.order_async(agent, group, PROXY, true, target, length, false, 0, inst)?;
            let block = &self.cluster.ctas[cta];
            if self.machine.options.uninitialised
                && let Some(hole) = block.init[at..at + length].iter().position(|init| !init)
            {
                let message =
                    format!("wgmma reads shared memory at offset {}, which nobody wrote", at + hole);
                return self.fail(FaultKind::Uninitialised, message, inst, mask);
            }
        }
        Ok(())
    }

    pub(super) fn wgmma_fence(&mut self, inst: &Inst) -> Run<Flow> {
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        self.warp.wgmma.fenced = self.warp.wgmma.now;
        self.warp.wgmma.now += 1;
        Ok(Flow::Next)
    }

    pub(super) fn wgmma_commit(&mut self, inst: &Inst) -> Run<Flow> {
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let last = self.warp.wgmma.issued;
        self.warp.wgmma.groups.push(last);
        Ok(Flow::Next)
    }

    pub(super) fn wgmma_wait(&mut self, pending: u32, inst: &Inst) -> Run<Flow> {
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let done = (self.warp.wgmma.groups.len() as u32).saturating_sub(pending);
        let index = self.index;
        self.with_all_warps(|machine, cluster| {
            let matrix = |work: &Work| matches!(work, Work::Wgmma(_));
            machine.land_all(cluster, |p| p.warp == index && p.group <= done && matrix(&p.work))
        })?;
        if done > 0 {
            let last = self.warp.wgmma.groups[done as usize - 1];
            let state = &mut self.warp.wgmma;
            state.retired = state.retired.max(last);
            for slot in 0..state.arriving.len() {
                let (serial, _) = state.arriving[slot];
                if serial != 0 && serial <= last {
                    state.set_arriving(slot as Slot, (0, 0));
                }
            }
            let agent = self.cluster.agent(self.warp.cta, 2, self.warp.number);
            self.warp.known.seen.raise(agent, done);
        }
        Ok(Flow::Pause)
    }
}

impl Machine<'_, '_> {
    /// The four warps of a group have to issue the same operations.
    pub(super) fn check_warpgroups(&self, cluster: &Cluster) -> Run<()> {
        for group in cluster.warps.chunk_by(|a, b| a.cta == b.cta && a.number / 4 == b.number / 4) {
            let first = group[0].wgmma.trace;
            if let Some(other) = group.iter().find(|warp| warp.wgmma.trace != first) {
                let message = "the four warps of a group issued different wgmma operations";
                let who = self.who(cluster, other, other.lanes);
                let mut fault = crate::error::Fault::new(FaultKind::Collective, message);
                fault.places.push(crate::error::Place { loc: None, op: "wgmma".into(), who });
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Computes an operation, and writes its results to wherever they have been moved meanwhile.
    pub(super) fn land_wgmma(&mut self, cluster: &mut Cluster, index: usize, issued: Issued) -> Run<()> {
        let Issued { serial, wgmma, acc, accumulate, a, b, site, .. } = issued;
        let (n, k) = (usize::from(wgmma.shape.n), usize::from(wgmma.shape.k));
        let warp = &cluster.warps[index];
        let Some(acc) = acc else {
            let message = "a wgmma lost the accumulators of the one before; please report this";
            return Err(self.fault(FaultKind::AsyncRegister, message, site, String::new()));
        };
        let block = &cluster.ctas[warp.cta];
        let a_descriptor = match &a {
            Operand::Shared(bits) => Some(Descriptor::decode(*bits)),
            Operand::Registers(_) => None,
        };
        let b_descriptor = Descriptor::decode(b);
        let (a_tile, b_tile) = tiles(&wgmma, warp.number, a_descriptor.as_ref(), &b_descriptor);
        let read = |tile: &Tile<'_>, rows: usize| {
            let mut values = vec![0f64; rows * k];
            let size = (tile.ty.bits() / 8) as usize;
            tile.units(|address, elements| {
                let at = (address - SHARED_BASE) as usize;
                for (index, (row, column)) in elements.enumerate() {
                    let bytes = &block.shared[at + index * size..][..size];
                    let bits = bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
                    if row < rows {
                        values[row * k + column] = number(tile.ty, bits);
                    }
                }
            });
            values
        };
        let mut a_values = match (&a, &a_tile) {
            (Operand::Registers(words), _) => {
                // PTX ISA, register fragments of A: as those of mma.m16n8k(256/bits).
                let e = super::fragment::per_word(wgmma.shape.a);
                let mut values = vec![0f64; 16 * k];
                for (register, row) in words.iter().enumerate() {
                    for (lane, &word) in row.iter().enumerate() {
                        for index in 0..e {
                            let (row, column) = super::fragment::a_at(lane, register, index, e);
                            values[row * k + column] = super::fragment::element(wgmma.shape.a, word, index);
                        }
                    }
                }
                values
            }
            (_, Some(tile)) => read(tile, 16),
            _ => vec![0.0; 16 * k],
        };
        let mut b_values = read(&b_tile, n);
        if wgmma.negate_a {
            a_values.iter_mut().for_each(|value| *value = -*value);
        }
        if wgmma.negate_b {
            b_values.iter_mut().for_each(|value| *value = -*value);
        }
        // PTX ISA, accumulator fragments: element i of a lane lies in row group + 8·(i/2 mod 2), column
        // 8·(i/4) + 2·member + i mod 2.
        let halves = if wgmma.shape.d == MmaType::F16 { 2 } else { 1 };
        let mut out = vec![[0u64; 32]; acc.len()];
        for (register, row) in out.iter_mut().enumerate() {
            for (lane, word) in row.iter_mut().enumerate() {
                for half in 0..halves {
                    let i = register * halves + half;
                    let (m, column) = (lane / 4 + 8 * (i / 2 % 2), 8 * (i / 4) + lane % 4 * 2 + i % 2);
                    let (x, y) = (&a_values[m * k..][..k], &b_values[column * k..][..k]);
                    let mut sum: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                    if accumulate {
                        sum += super::fragment::element(wgmma.shape.d, acc[register][lane], half);
                    }
                    let shift = if halves == 1 { 0 } else { 16 * half };
                    *word |= result(wgmma.shape.d, sum, wgmma.shape.saturate) << shift;
                }
            }
        }
        let warp = &mut cluster.warps[index];
        for slot in 0..warp.wgmma.arriving.len() {
            let (from, which) = warp.wgmma.arriving[slot];
            if from == serial {
                let start = slot * warp.width;
                warp.regs[start..start + 32].copy_from_slice(&out[which as usize]);
            }
        }
        // Operations that continue this one take their accumulators from here; they land later.
        for pending in &mut cluster.pending {
            if let Work::Wgmma(next) = &mut pending.work
                && pending.warp == index
                && next.after == serial
            {
                next.acc = Some(out.clone());
            }
        }
        Ok(())
    }
}
