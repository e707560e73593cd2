//! Loads and stores: addresses resolved, bounds, alignment and order checked, a lane at a time.

use super::memory::At;
use super::race::{ATOMIC, AccessInfo, Actor, Knowledge};
use super::stats::{Banks, wavefronts};
use super::step::{Flow, Slice};
use super::warp::{Warp, lanes};
use super::{Run, read_scalar};
use crate::error::FaultKind;
use crate::program::{Access, Inst, LOCAL_BASE, MODULE_BASE, Op, Order, PARAM_BASE, SHARED_BASE, Slot};

/// Shared memory as seen by generic addresses.
const SHARED_WINDOW: u64 = 0x7000_0000_0000;
/// In a `shared::cluster` address, the block's rank plus one stands above this bit; 0 is the own block.
const RANK_SHIFT: u32 = 24;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Block rank, and offset from `SHARED_BASE`.
    Shared(usize, usize),
    Global(At),
    Local(usize),
    Param(usize),
    Data(usize),
}

pub(super) fn cast_space(address: u64, from: u8, to: u8) -> u64 {
    let shared = |space| matches!(space, 3 | 7);
    match (shared(from), shared(to)) {
        (true, false) => address.wrapping_add(SHARED_WINDOW),
        (false, true) => address.wrapping_sub(SHARED_WINDOW),
        _ => address,
    }
}

/// The `shared::cluster` address of `address` in the block of rank `rank`.
pub(super) fn map_to_rank(address: u64, rank: u64) -> u64 {
    address & ((1 << RANK_SHIFT) - 1) | (rank + 1) << RANK_SHIFT
}

/// The warp as the one who accesses.
pub(super) fn actor<'k>(warp: &Warp, known: &'k Knowledge, site: u32, flags: u8) -> Actor<'k> {
    let info = AccessInfo { agent: warp.agent, count: known.seen.get(warp.agent), site, flags };
    let own_copies = (warp.copy_agent, warp.copies_shared);
    Actor { info, known, lanes_since: warp.lanes_since, own_copies, proxy: false }
}

impl Slice<'_, '_, '_> {
    /// Where `bytes` bytes from `address` lie.
    pub(super) fn resolve(&self, space: u8, address: u64, bytes: usize) -> Option<Target> {
        let within = |base: u64, size: usize| {
            let at = usize::try_from(address.checked_sub(base)?).ok()?;
            (at.checked_add(bytes)? <= size).then_some(at)
        };
        match space {
            3 | 7 => {
                let rank = match address >> RANK_SHIFT {
                    0 => self.warp.cta,
                    _ if space == 3 => return None,
                    above => {
                        usize::try_from(above - 1).ok().filter(|&rank| rank < self.cluster.ctas.len())?
                    }
                };
                let offset = address & ((1 << RANK_SHIFT) - 1);
                Some(Target::Shared(rank, self.machine.shared_offset(offset, bytes)?))
            }
            5 => within(LOCAL_BASE, self.machine.kernel.code.local_bytes as usize).map(Target::Local),
            101 => within(PARAM_BASE, self.machine.params.len()).map(Target::Param),
            _ => {
                if let Some(at) = self.machine.memory.find(address, bytes) {
                    return Some(Target::Global(at));
                }
                if let Some(at) = within(MODULE_BASE, self.machine.data.len()) {
                    return Some(Target::Data(at));
                }
                match space {
                    0 if address >= SHARED_WINDOW => self.resolve(7, address - SHARED_WINDOW, bytes),
                    0 if address >= LOCAL_BASE => self.resolve(5, address, bytes),
                    0 | 4 if address >= PARAM_BASE => self.resolve(101, address, bytes),
                    _ => None,
                }
            }
        }
    }

    /// [`Slice::resolve`], or a fault that says how far off the address is.
    pub(super) fn locate(
        &self,
        space: u8,
        address: u64,
        bytes: usize,
        align: u64,
        lane: usize,
        inst: &Inst,
    ) -> Run<Target> {
        if !address.is_multiple_of(align.max(1)) {
            let message =
                format!("address {address:#x} is not a multiple of {align}, as this access promises");
            return self.fail(FaultKind::Misaligned, message, inst, 1 << lane);
        }
        if let Some(target) = self.resolve(space, address, bytes) {
            return Ok(target);
        }
        let message = match space {
            3 | 7 => {
                let offset = address & ((1 << RANK_SHIFT) - 1);
                format!(
                    "{bytes} bytes at offset {} of shared memory, of which the block has {}",
                    offset as i64 - SHARED_BASE as i64,
                    self.machine.shared_bytes
                )
            }
            _ => match self.machine.memory.nearest(address) {
                Some((buffer, offset, size)) if offset < 1 << 40 => {
                    format!("{bytes} bytes at offset {offset} of buffer {buffer}, which has {size}")
                }
                _ => format!("{bytes} bytes at {address:#x}, which is in no buffer"),
            },
        };
        self.fail(FaultKind::OutOfBounds, format!("out of bounds: {message}"), inst, 1 << lane)
    }

    /// Checks one lane's access against all earlier ones, and records it. `new` are the bytes of a write.
    pub(super) fn order(
        &mut self,
        target: Target,
        length: usize,
        lane: usize,
        flags: u8,
        new: Option<&[u8]>,
        inst: &Inst,
    ) -> Run<()> {
        if let Target::Shared(cta, _) = target
            && cta != self.warp.cta
            && self.cluster.ended(cta)
        {
            let message = format!("block {cta} of the cluster has ended, and its shared memory with it");
            return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
        }
        if !self.machine.options.races {
            return Ok(());
        }
        let actor = actor(self.warp, &self.warp.known, inst.site, flags);
        let lane32 = lane as u32;
        let races = &mut self.machine.races;
        let (result, what) = match target {
            Target::Shared(cta, at) => {
                let block = &mut self.cluster.ctas[cta];
                let cells = &mut block.cells[at..at + length];
                let result = match new {
                    None => races.read(cells, &actor, lane32),
                    Some(new) => {
                        let old = &block.shared[at..at + length];
                        races.write(cells, &actor, lane32, |index| old[index] == new[index])
                    }
                };
                (result, "shared memory")
            }
            Target::Global(at) => {
                let old = match new {
                    // Values are only compared when something is amiss; the copy keeps the borrows apart.
                    Some(_) => self.machine.memory.slice(at, length).to_vec(),
                    None => Vec::new(),
                };
                let result = self.machine.memory.shadow(at, length, |cells, first| match new {
                    None => races.read(cells, &actor, lane32),
                    Some(new) => {
                        races.write(cells, &actor, lane32, |index| old[first + index] == new[first + index])
                    }
                });
                (result, "global memory")
            }
            _ => return Ok(()),
        };
        let Err(conflict) = result else { return Ok(()) };
        let who = self.machine.who(self.cluster, self.warp, 1 << lane);
        let what = match target {
            Target::Shared(_, at) => format!("{what} at offset {at}"),
            Target::Global((buffer, at)) => format!("{what}, buffer {buffer}, byte {at},"),
            _ => what.to_owned(),
        };
        Err(self.machine.conflict(conflict, &actor, &what, new.is_some(), who))
    }

    fn flags(order: Order) -> u8 {
        if order == Order::Plain { 0 } else { ATOMIC }
    }

    pub(super) fn load(&mut self, access: &Access, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        self.defined(src[0], mask, "an address", inst)?;
        let length = access.bytes as usize;
        let mut addresses = [None; 64];
        let mut sectors: Vec<u64> = Vec::new();
        for &slot in dst {
            self.warp.poison[slot as usize] &= !mask;
        }
        for lane in lanes(mask) {
            let address = self.warp.get(src[0], lane);
            let target = self.locate(access.space, address, length, u64::from(access.align), lane, inst)?;
            self.order(target, length, lane, Self::flags(access.order), None, inst)?;
            let (bytes, init): (&[u8], Option<&[bool]>) = match target {
                Target::Shared(cta, at) => {
                    addresses[lane] = Some(address);
                    self.check_mbarrier(cta, at, length, inst, lane)?;
                    let block = &self.cluster.ctas[cta];
                    (&block.shared[at..at + length], Some(&block.init[at..at + length]))
                }
                Target::Global(at) => {
                    sectors.extend(address / 32..=(address + length as u64 - 1) / 32);
                    (self.machine.memory.slice(at, length), None)
                }
                Target::Local(at) => {
                    let start = lane * self.machine.kernel.code.local_bytes as usize + at;
                    (
                        &self.warp.local[start..start + length],
                        Some(&self.warp.local_init[start..start + length]),
                    )
                }
                Target::Param(at) => (&self.machine.params[at..at + length], None),
                Target::Data(at) => (&self.machine.data[at..at + length], None),
            };
            let undefined = init.is_some_and(|init| init.contains(&false));
            let init = init.filter(|_| undefined).map(<[bool]>::to_vec);
            for (piece, &slot) in access.pieces.iter().zip(dst) {
                let at = piece.offset as usize;
                let value = read_scalar(&bytes[at..], piece.ty);
                self.warp.regs[slot as usize * self.warp.width + lane] = value;
                if let Some(init) = &init
                    && init[at..at + piece.ty.bytes() as usize].contains(&false)
                {
                    self.warp.poison[slot as usize] |= 1 << lane;
                    self.warp.poison_site = Some(inst.site);
                }
            }
        }
        if access.order.acquires() || access.order == Order::Relaxed {
            self.atomic_load(access, src[0], mask);
        }
        self.count_access(&addresses, sectors, access.bytes, inst);
        Ok(Flow::Pause)
    }

    pub(super) fn store(&mut self, access: &Access, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        self.defined(src[0], mask, "an address", inst)?;
        let length = access.bytes as usize;
        let mut addresses = [None; 64];
        let mut sectors: Vec<u64> = Vec::new();
        if access.order != Order::Plain {
            self.atomic_store(access, src[0], mask);
        }
        let mut bytes = vec![0u8; length];
        for lane in lanes(mask) {
            let address = self.warp.get(src[0], lane);
            let target = self.locate(access.space, address, length, u64::from(access.align), lane, inst)?;
            for (piece, &slot) in access.pieces.iter().zip(&src[1..]) {
                let (at, size) = (piece.offset as usize, piece.ty.bytes() as usize);
                let word = self.warp.get(slot, lane).to_le_bytes();
                bytes[at..at + size].copy_from_slice(&word[..size]);
            }
            self.order(target, length, lane, Self::flags(access.order), Some(&bytes), inst)?;
            let poisoned = |slot: Slot| self.warp.poison[slot as usize] >> lane & 1 != 0;
            let undefined = src[1..].iter().any(|&slot| poisoned(slot));
            match target {
                Target::Shared(cta, at) => {
                    addresses[lane] = Some(address);
                    self.check_mbarrier(cta, at, length, inst, lane)?;
                    let block = &mut self.cluster.ctas[cta];
                    block.shared[at..at + length].copy_from_slice(&bytes);
                    block.init[at..at + length].fill(true);
                    for (piece, &slot) in access.pieces.iter().zip(&src[1..]).filter(|_| undefined) {
                        let first = at + piece.offset as usize;
                        let size = piece.ty.bytes() as usize;
                        if self.warp.poison[slot as usize] >> lane & 1 != 0 {
                            block.init[first..first + size].fill(false);
                        }
                    }
                }
                Target::Global(at) => {
                    if undefined {
                        for &slot in &src[1..] {
                            self.defined(slot, 1 << lane, "data for global memory", inst)?;
                        }
                    }
                    sectors.extend(address / 32..=(address + length as u64 - 1) / 32);
                    match self.machine.memory.slice_mut(at, length) {
                        Some(to) => to.copy_from_slice(&bytes),
                        None => {
                            let message = "a store to a buffer that the launch gave as read-only";
                            return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
                        }
                    }
                }
                Target::Local(at) => {
                    let start = lane * self.machine.kernel.code.local_bytes as usize + at;
                    self.warp.local[start..start + length].copy_from_slice(&bytes);
                    self.warp.local_init[start..start + length].fill(!undefined);
                }
                Target::Data(at) => self.machine.data[at..at + length].copy_from_slice(&bytes),
                Target::Param(_) => {
                    return self.fail(FaultKind::OutOfBounds, "a store to parameters", inst, 1 << lane);
                }
            }
        }
        self.count_access(&addresses, sectors, access.bytes, inst);
        Ok(Flow::Pause)
    }

    /// Bank conflicts and sectors of one access.
    pub(super) fn count_access(
        &mut self,
        addresses: &[Option<u64>; 64],
        mut sectors: Vec<u64>,
        bytes: u32,
        inst: &Inst,
    ) {
        if addresses.iter().any(Option::is_some) {
            let waves = self.machine.chip.waves;
            let banks =
                Banks { count: waves.map_or(32, |waves| waves.banks), scattered_reads: waves.is_some() };
            let read = !matches!(inst.op, Op::Store(_));
            let (taken, ideal) = wavefronts(&addresses[..self.warp.width], bytes, banks, read);
            let sum = self.machine.shared_stats.entry(inst.site).or_default();
            sum.executed += 1;
            sum.wavefronts += taken;
            sum.ideal += ideal;
        }
        if !sectors.is_empty() {
            sectors.sort_unstable();
            sectors.dedup();
            self.machine.stats.global_accesses += 1;
            self.machine.stats.global_sectors += sectors.len() as u64;
        }
    }
}
