//! Copies from global memory straight into LDS, and reads of LDS that transpose.
//!
//! ISA guides, "Memory buffer load to LDS": the wave's lanes write one after the other, from the base in M0 plus the
//! instruction's offset; M0 is a scalar register, so the base is the same for all. The data is undefined until `vmcnt` says
//! that the copy is done.

use super::Run;
use super::access::Target;
use super::copies::{Pending, Piece, Work};
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::program::{Inst, Slot};

impl Slice<'_, '_, '_> {
    /// Where in LDS the copy begins, checked.
    fn direct_base(&self, slot: Slot, bytes: u8, inst: &Inst) -> Run<u64> {
        let mask = self.mask();
        let most = self.machine.chip.waves.map_or(0, |waves| waves.direct_bytes);
        if u32::from(bytes) > most {
            let message =
                format!("{} has no direct copy of {bytes} bytes a lane to LDS", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, mask);
        }
        self.defined(slot, mask, "an address", inst)?;
        let base = self.warp.get(slot, mask.trailing_zeros() as usize);
        if lanes(mask).any(|lane| self.warp.get(slot, lane) != base) {
            let message =
                "lanes disagree about where in LDS the copy begins; the hardware takes the first lane's";
            return self.fail(FaultKind::Collective, message, inst, mask);
        }
        Ok(base)
    }

    pub(super) fn direct_global(&mut self, bytes: u8, offset: i32, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let base = self.direct_base(src[0], bytes, inst)?;
        let mask = self.mask();
        self.defined(src[1], mask, "an address", inst)?;
        let mut from = [None; 64];
        for lane in lanes(mask) {
            from[lane] = Some(self.warp.get(src[1], lane).wrapping_add_signed(i64::from(offset)));
        }
        self.direct(base.wrapping_add_signed(i64::from(offset)), bytes, &from, inst)
    }

    pub(super) fn direct_buffer(&mut self, bytes: u8, offset: i32, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let base = self.direct_base(src[0], bytes, inst)?;
        let places = self.places(&src[1..], offset, inst)?;
        let mut from = [None; 64];
        for lane in lanes(self.mask()) {
            let room = places.room[lane];
            if room > 0 && room < u64::from(bytes) {
                let message = "a direct copy of which the buffer holds only a part";
                return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
            }
            from[lane] = (room > 0).then_some(places.address[lane]);
        }
        self.direct(base.wrapping_add_signed(i64::from(offset)), bytes, &from, inst)
    }

    /// A lane without a source writes zeros.
    fn direct(&mut self, base: u64, bytes: u8, from: &[Option<u64>; 64], inst: &Inst) -> Run<Flow> {
        let length = usize::from(bytes);
        let agent = self.warp.copy_agent;
        let mut pieces = Vec::new();
        let mut sectors = Vec::new();
        let mask = self.mask();
        let group = lanes(mask).map(|lane| self.warp.copy_groups[lane]).max().unwrap_or(0) + 1;
        let cta = self.warp.cta;
        for lane in lanes(mask) {
            let to = base + (lane * length) as u64;
            let Target::Shared(_, at) = self.locate(3, to, length, 4, lane, inst)? else {
                return self.fail(FaultKind::OutOfBounds, "a copy to other than LDS", inst, 1 << lane);
            };
            let mut global = None;
            if let Some(address) = from[lane] {
                let target = self.locate(1, address, length, 4, lane, inst)?;
                let Target::Global(found) = target else {
                    let message = "a copy from other than global memory";
                    return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
                };
                sectors.extend(address / 32..=(address + length as u64 - 1) / 32);
                self.order_async(agent, group, 0, false, target, length, false, lane, inst)?;
                global = Some(found);
            }
            self.order_async(agent, group, 0, false, Target::Shared(cta, at), length, true, lane, inst)?;
            pieces.push(Piece { shared: at, global, length });
        }
        // Each copy is a group of its own: `vmcnt` counts them. All lanes count together.
        self.warp.copy_groups.fill(group);
        let work = Work::Copy { cta, pieces };
        let lane = mask.trailing_zeros() as usize;
        self.start(Pending { work, warp: self.index, lane, group, site: inst.site })?;
        self.count_access(&[None; 64], sectors, u32::from(bytes), inst);
        Ok(Flow::Pause)
    }

    /// ISA guide of MI350, DS_READ_B64_TR_B16 and its like. The 16 lanes of a row read 64 bits each, which together are a
    /// matrix of sixteen columns, row after row; lane `i` receives column `i`.
    pub(super) fn read_transposed(&mut self, bits: u8, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        if !self.machine.chip.waves.is_some_and(|waves| waves.swaps) {
            let message = format!("{} has no transposed reads of LDS", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, self.mask());
        }
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let mask = self.mask();
        self.defined(src[0], mask, "an address", inst)?;
        let mut words = [0u64; 64];
        let mut undefined = [false; 64];
        let mut addresses = [None; 64];
        for lane in lanes(mask) {
            let address = self.warp.get(src[0], lane);
            addresses[lane] = Some(address);
            let Target::Shared(cta, at) = self.locate(3, address, 8, 8, lane, inst)? else {
                return self.fail(FaultKind::OutOfBounds, "a read of other than LDS", inst, 1 << lane);
            };
            self.order(Target::Shared(cta, at), 8, lane, 0, None, inst)?;
            let block = &self.cluster.ctas[cta];
            words[lane] = super::read_scalar(&block.shared[at..at + 8], crate::text::Scalar::Int(64));
            undefined[lane] = block.init[at..at + 8].contains(&false);
        }
        let bits = u32::from(bits);
        let each = 64 / bits as usize;
        let mut out = [0u64; 64];
        let mut poison = 0;
        for lane in lanes(mask) {
            let (row, column) = (lane / 16 * 16, lane % 16);
            for element in 0..each {
                // Sixteen elements are a row of the matrix: `16 / each` lanes hold one.
                let source = row + element * 16 / each + column / each;
                let value = words[source] >> (bits as usize * (column % each)) & ((1 << bits) - 1);
                out[lane] |= value << (bits as usize * element);
                poison |= u64::from(undefined[source]) << lane;
            }
        }
        if poison != 0 {
            self.warp.poison_site = Some(inst.site);
        }
        let width = self.warp.width;
        self.warp.write(dst[0], mask, &out[..width], poison);
        self.count_access(&addresses, Vec::new(), 8, inst);
        Ok(Flow::Pause)
    }
}
