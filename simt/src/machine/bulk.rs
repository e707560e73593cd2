//! Bulk copies: `cp.async.bulk` with and without a tensor map. Sources are read and results written some time
//! between issue and wait; who may touch the bytes meanwhile is settled at issue.

use super::access::Target;
use super::copies::{Pending, Piece, Work};
use super::memory::At;
use super::race::PROXY;
use super::step::{Flow, Slice};
use super::tensor_map::TensorMap;
use super::warp::lanes;
use super::{Run, SHARED_BASE};
use crate::error::FaultKind;
use crate::program::{Inst, RedOp, Slot};

impl Slice<'_, '_, '_> {
    fn needs_bulk(&self, inst: &Inst) -> Run<()> {
        if self.machine.chip.bulk {
            return Ok(());
        }
        let message = format!("{} has no bulk copies", self.machine.chip.name);
        self.fail(FaultKind::Chip, message, inst, self.mask())
    }

    fn lane_value(&self, slot: Slot, lane: usize, what: &str, inst: &Inst) -> Run<u64> {
        self.defined(slot, 1 << lane, what, inst)?;
        Ok(self.warp.get(slot, lane))
    }

    /// Records and starts a load into the blocks of `ctas`.
    #[allow(clippy::too_many_arguments)]
    fn start_load(
        &mut self,
        pieces: Vec<Piece>,
        fill: u64,
        size: usize,
        bytes: usize,
        mbar: (usize, usize),
        ctas: Vec<usize>,
        lane: usize,
        inst: &Inst,
    ) -> Run<()> {
        for &cta in &ctas {
            let Some(object) = self.cluster.ctas[cta].mbars.get(&mbar.1) else {
                let message =
                    format!("no mbarrier was initialised at offset {} of block {cta} of the cluster", mbar.1);
                return self.fail(FaultKind::Mbarrier, message, inst, 1 << lane);
            };
            let (agent, count) = (object.agent, object.phase as u32 + 1);
            self.mbar_visible((cta, mbar.1), lane, inst)?;
            for piece in &pieces {
                self.check_mbarrier(cta, piece.shared, piece.length, inst, lane)?;
                if let Some(at) = piece.global {
                    self.order_async(
                        agent,
                        count,
                        PROXY,
                        true,
                        Target::Global(at),
                        piece.length,
                        false,
                        lane,
                        inst,
                    )?;
                }
                let to = Target::Shared(cta, piece.shared);
                self.order_async(agent, count, PROXY, true, to, piece.length, true, lane, inst)?;
            }
        }
        // It arrives in each block when it likes.
        for cta in ctas {
            let pieces = pieces.clone();
            let work = Work::Load { ctas: vec![cta], pieces, fill, size, mbar: mbar.1, bytes };
            self.start(Pending { work, warp: self.index, lane, group: 0, site: inst.site })?;
        }
        Ok(())
    }

    /// The blocks that a load goes to: those of the mask, or the one that the address names.
    fn destinations(&self, cta: usize, mask: Option<u64>, lane: usize, inst: &Inst) -> Run<Vec<usize>> {
        let Some(mask) = mask else { return Ok(vec![cta]) };
        let blocks = self.cluster.ctas.len();
        let mask = mask & 0xffff;
        if mask == 0 || mask >> blocks != 0 {
            let message = format!("multicast to {mask:#b} in a cluster of {blocks} blocks");
            return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
        }
        Ok(lanes(mask).collect())
    }

    fn bulk_size(&self, slot: Slot, lane: usize, inst: &Inst) -> Run<usize> {
        let bytes = self.lane_value(slot, lane, "the size of a copy", inst)? as u32 as usize;
        if bytes.is_multiple_of(16) {
            return Ok(bytes);
        }
        let message = format!("a bulk copy of {bytes} bytes, which is not a multiple of 16");
        self.fail(FaultKind::Misaligned, message, inst, 1 << lane)
    }

    /// The side of a copy that must be shared memory: which block's, and where.
    #[allow(clippy::too_many_arguments, reason = "the place, what it is for, and whom to blame")]
    fn in_shared(
        &self,
        way: &str,
        space: u8,
        address: u64,
        bytes: usize,
        align: u64,
        lane: usize,
        inst: &Inst,
    ) -> Run<(usize, usize)> {
        match self.locate(space, address, bytes, align, lane, inst)? {
            Target::Shared(cta, at) => Ok((cta, at)),
            _ => {
                let message = format!("a copy {way} other than shared memory");
                self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane)
            }
        }
    }

    /// The side of a copy that must be global memory.
    fn in_global(&self, way: &str, address: u64, bytes: usize, lane: usize, inst: &Inst) -> Run<At> {
        match self.locate(1, address, bytes, 16, lane, inst)? {
            Target::Global(at) => Ok(at),
            _ => {
                let message = format!("a copy {way} other than global memory");
                self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane)
            }
        }
    }

    pub(super) fn bulk_load(&mut self, space: u8, multicast: bool, src: &[Slot], inst: &Inst) -> Run<Flow> {
        self.needs_bulk(inst)?;
        for lane in lanes(self.mask()) {
            let to = self.lane_value(src[0], lane, "an address", inst)?;
            let from = self.lane_value(src[1], lane, "an address", inst)?;
            let bytes = self.bulk_size(src[2], lane, inst)?;
            let (cta, at) = self.in_shared("to", space, to, bytes, 16, lane, inst)?;
            let global = self.in_global("from", from, bytes, lane, inst)?;
            let mask = if multicast { Some(self.lane_value(src[4], lane, "a mask", inst)?) } else { None };
            let mbar = self.mbar(7, src[3], lane, inst)?;
            let ctas = self.destinations(cta, mask, lane, inst)?;
            let pieces = vec![Piece { shared: at, global: Some(global), length: bytes }];
            self.start_load(pieces, 0, 1, bytes, mbar, ctas, lane, inst)?;
        }
        Ok(Flow::Pause)
    }

    pub(super) fn bulk_store(&mut self, src: &[Slot], inst: &Inst) -> Run<Flow> {
        self.needs_bulk(inst)?;
        for lane in lanes(self.mask()) {
            let to = self.lane_value(src[0], lane, "an address", inst)?;
            let from = self.lane_value(src[1], lane, "an address", inst)?;
            let bytes = self.bulk_size(src[2], lane, inst)?;
            let (cta, at) = self.in_shared("from", 3, from, bytes, 16, lane, inst)?;
            let global = self.in_global("to", to, bytes, lane, inst)?;
            let pieces = vec![Piece { shared: at, global: Some(global), length: bytes }];
            self.start_store(cta, pieces, None, lane, inst)?;
        }
        Ok(Flow::Pause)
    }

    fn start_store(
        &mut self,
        cta: usize,
        pieces: Vec<Piece>,
        reduce: Option<(RedOp, crate::text::Scalar)>,
        lane: usize,
        inst: &Inst,
    ) -> Run<()> {
        let group = self.warp.bulk_groups[lane] + 1;
        let reader = self.cluster.agent(self.warp.cta, 3, self.warp.number);
        let writer = self.cluster.agent(self.warp.cta, 4, self.warp.number);
        let atomic = if reduce.is_some() { super::race::ATOMIC } else { 0 };
        for piece in &pieces {
            let Some(global) = piece.global else { continue };
            let init = &self.cluster.ctas[cta].init[piece.shared..piece.shared + piece.length];
            if init.contains(&false) && self.machine.options.uninitialised && self.written(cta, piece) {
                let message =
                    format!("a bulk copy reads shared memory at offset {}, which nobody wrote", piece.shared);
                return self.fail(FaultKind::Uninitialised, message, inst, 1 << lane);
            }
            let from = Target::Shared(cta, piece.shared);
            self.order_async(reader, group, PROXY, true, from, piece.length, false, lane, inst)?;
            let to = Target::Global(global);
            self.order_async(writer, group, PROXY | atomic, true, to, piece.length, true, lane, inst)?;
        }
        let work = Work::Store { cta, pieces, reduce };
        self.start(Pending { work, warp: self.index, lane, group, site: inst.site })
    }

    /// Whether missing bytes are truly missing: not about to be written by a copy under way (which is a race, and
    /// reported as one).
    fn written(&self, cta: usize, piece: &Piece) -> bool {
        let (start, end) = (piece.shared, piece.shared + piece.length);
        !self.cluster.pending.iter().any(|pending| match &pending.work {
            Work::Copy { cta: other, pieces } => {
                *other == cta && pieces.iter().any(|p| p.shared < end && start < p.shared + p.length)
            }
            Work::Load { ctas, pieces, .. } => {
                ctas.contains(&cta) && pieces.iter().any(|p| p.shared < end && start < p.shared + p.length)
            }
            _ => false,
        })
    }

    fn tensor_map(&self, slot: Slot, lane: usize, rank: usize, inst: &Inst) -> Run<TensorMap> {
        let address = self.lane_value(slot, lane, "the address of a tensor map", inst)?;
        let bytes = match self.locate(0, address, 128, 64, lane, inst)? {
            Target::Param(at) => &self.machine.params[at..at + 128],
            Target::Global(at) => self.machine.memory.slice(at, 128),
            Target::Data(at) => &self.machine.data[at..at + 128],
            _ => {
                let message = "a tensor map must be a kernel parameter, or lie in global memory";
                return self.fail(FaultKind::Descriptor, message, inst, 1 << lane);
            }
        };
        match TensorMap::decode(bytes) {
            Ok(map) if map.dims.len() == rank => Ok(map),
            Ok(map) => {
                let message = format!("{rank} coordinates for a tensor map of {} dimensions", map.dims.len());
                self.fail(FaultKind::Descriptor, message, inst, 1 << lane)
            }
            Err(message) => self.fail(FaultKind::Descriptor, message, inst, 1 << lane),
        }
    }

    /// The pieces of a box: shared offsets after the swizzle, global places where inside the tensor.
    fn pieces(
        &self,
        map: &TensorMap,
        coordinates: &[i32],
        at: usize,
        lane: usize,
        inst: &Inst,
    ) -> Run<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut bad = None;
        map.units(coordinates, |offset, length, place| {
            let linear = SHARED_BASE + (at + offset) as u64;
            let shared = (map.swizzle.apply(linear) - SHARED_BASE) as usize;
            let global = place.and_then(|address| {
                let found = self.machine.memory.find(address, length);
                if found.is_none() {
                    bad = Some(address);
                }
                found
            });
            if let Some(last) = pieces.last_mut() {
                let follows = match (last.global, global) {
                    (Some(a), Some(b)) => a.0 == b.0 && a.1 + last.length == b.1,
                    (None, None) => true,
                    _ => false,
                };
                if follows && last.shared + last.length == shared {
                    last.length += length;
                    return;
                }
            }
            pieces.push(Piece { shared, global, length });
        });
        if let Some(address) = bad {
            let message =
                format!("out of bounds: the tensor map reaches {address:#x}, which is in no buffer");
            return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
        }
        let end = self.machine.shared_bytes;
        if let Some(piece) = pieces.iter().find(|piece| piece.shared + piece.length > end) {
            let message =
                format!("out of bounds: the swizzled box reaches offset {} of shared memory", piece.shared);
            return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
        }
        Ok(pieces)
    }

    fn coordinates(&self, slots: &[Slot], lane: usize, inst: &Inst) -> Run<Vec<i32>> {
        slots.iter().map(|&slot| Ok(self.lane_value(slot, lane, "a coordinate", inst)? as i32)).collect()
    }

    pub(super) fn tma_load(
        &mut self,
        rank: usize,
        space: u8,
        multicast: bool,
        predicated: bool,
        src: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        self.needs_bulk(inst)?;
        let mask_slot = multicast.then(|| src[3 + rank]);
        for lane in lanes(self.mask()) {
            if predicated && self.lane_value(src[src.len() - 1], lane, "a predicate", inst)? & 1 == 0 {
                continue;
            }
            let map = self.tensor_map(src[1], lane, rank, inst)?;
            let coordinates = self.coordinates(&src[2..2 + rank], lane, inst)?;
            let to = self.lane_value(src[0], lane, "an address", inst)?;
            let bytes = map.box_bytes();
            let (cta, at) = self.in_shared("to", space, to, bytes, 128, lane, inst)?;
            let mbar = self.mbar(7, src[2 + rank], lane, inst)?;
            let mask = match mask_slot {
                Some(slot) => Some(self.lane_value(slot, lane, "a mask", inst)?),
                None => None,
            };
            let ctas = self.destinations(cta, mask, lane, inst)?;
            let pieces = self.pieces(&map, &coordinates, at, lane, inst)?;
            self.start_load(pieces, map.fill(), map.element as usize, bytes, mbar, ctas, lane, inst)?;
        }
        Ok(Flow::Pause)
    }

    pub(super) fn tma_store(
        &mut self,
        rank: usize,
        reduce: Option<RedOp>,
        predicated: bool,
        src: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        self.needs_bulk(inst)?;
        for lane in lanes(self.mask()) {
            if predicated && self.lane_value(src[src.len() - 1], lane, "a predicate", inst)? & 1 == 0 {
                continue;
            }
            let map = self.tensor_map(src[0], lane, rank, inst)?;
            let coordinates = self.coordinates(&src[2..2 + rank], lane, inst)?;
            let from = self.lane_value(src[1], lane, "an address", inst)?;
            let (cta, at) = self.in_shared("from", 3, from, map.box_bytes(), 128, lane, inst)?;
            let pieces = self.pieces(&map, &coordinates, at, lane, inst)?;
            self.start_store(cta, pieces, reduce.map(|op| (op, map.scalar())), lane, inst)?;
        }
        Ok(Flow::Pause)
    }

    pub(super) fn bulk_commit(&mut self) -> Run<Flow> {
        for lane in lanes(self.mask()) {
            self.warp.bulk_groups[lane] += 1;
        }
        Ok(Flow::Next)
    }

    pub(super) fn bulk_wait(&mut self, pending: u32, read: bool) -> Run<Flow> {
        let mask = self.mask();
        let index = self.index;
        let (number, cta) = (self.warp.number, self.warp.cta);
        for lane in lanes(mask) {
            let done = self.warp.bulk_groups[lane].saturating_sub(pending);
            if done == 0 {
                continue;
            }
            self.with_all_warps(|machine, cluster| {
                machine.land_all(cluster, |p| {
                    p.warp == index && p.lane == lane && p.group <= done && p.is_bulk_store()
                })
            })?;
            let reader = self.cluster.agent(cta, 3, number);
            let writer = self.cluster.agent(cta, 4, number);
            self.warp.known.seen.raise(reader, done);
            if !read {
                self.warp.known.seen.raise(writer, done);
            }
        }
        Ok(Flow::Pause)
    }
}
