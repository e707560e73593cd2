//! Memory through resource descriptors, with the hardware's bounds.
//!
//! A descriptor has 128 bits: base (48), stride (14) and swizzle bits in the first word, bytes (32) and flags (32) in the
//! second. For raw buffers an access of several 32-bit words is checked word by word, unsigned, without wrapping: a word
//! that begins at or behind the end reads as 0, and is not written. A word that begins before the end and reaches past it
//! is undefined there when read, and must not be written. Atomics are in or out as a whole.

use super::Run;
use super::atomic::Atomic;
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::program::{Buffer, Inst, Order, RedOp, Slot};

/// Where the lanes' accesses begin, and how many bytes of the buffer lie there.
pub(super) struct Places {
    pub(super) address: [u64; 64],
    pub(super) room: [u64; 64],
}

impl Slice<'_, '_, '_> {
    pub(super) fn make_buffer(&mut self, src: &[Slot], dst: &[Slot], _: &Inst) -> Run<Flow> {
        let mask = self.mask();
        let width = self.warp.width;
        let (mut low, mut high) = ([0u64; 64], [0u64; 64]);
        for lane in 0..width {
            let get = |index: usize| self.warp.get(src[index], lane);
            low[lane] = get(0) & ((1 << 48) - 1) | (get(1) & 0x3fff) << 48;
            high[lane] = get(2) & 0xffff_ffff | get(3) << 32;
        }
        let of = |slot: Slot| self.warp.poison[slot as usize];
        let (bad_low, bad_high) = (of(src[0]) | of(src[1]), of(src[2]) | of(src[3]));
        self.warp.write(dst[0], mask, &low[..width], bad_low);
        self.warp.write(dst[1], mask, &high[..width], bad_high);
        Ok(Flow::Next)
    }

    /// Resource, offset of the lane, offset of the wave, in `src[..4]`; `more` is added to the offset.
    pub(super) fn places(&self, src: &[Slot], more: i32, inst: &Inst) -> Run<Places> {
        let mask = self.mask();
        for (&slot, what) in src[..4].iter().zip([
            "a resource descriptor",
            "a resource descriptor",
            "an offset into a buffer",
            "an offset into a buffer",
        ]) {
            self.defined(slot, mask, what, inst)?;
        }
        let mut places = Places { address: [0; 64], room: [0; 64] };
        let first = mask.trailing_zeros() as usize;
        for (index, &slot) in src[..4].iter().enumerate().filter(|(index, _)| *index != 2) {
            let value = self.warp.get(slot, first);
            if lanes(mask).any(|lane| self.warp.get(slot, lane) != value) {
                // LLVM makes a loop over the different values of it: right, but never what was meant.
                let what = if index == 3 { "the wave's offset" } else { "the resource descriptor" };
                let message = format!("lanes disagree about {what}, which is in scalar registers");
                return self.fail(FaultKind::Collective, message, inst, mask);
            }
        }
        let (low, high) = (self.warp.get(src[0], first), self.warp.get(src[1], first));
        if low >> 48 != 0 {
            return self.fail(FaultKind::Descriptor, "a raw buffer with a stride", inst, mask);
        }
        // Word 3: the data format (gfx9, four bits from 15) or format (gfx11, seven from 12) is 0 for an invalid resource.
        if high >> 44 & 0x7f == 0 {
            let message = "a resource descriptor without a data format: every access would be out of range";
            return self.fail(FaultKind::Descriptor, message, inst, mask);
        }
        let (base, size) = (low & ((1 << 48) - 1), high & 0xffff_ffff);
        let wave = self.warp.get(src[3], first) & 0xffff_ffff;
        let limit = size.saturating_sub(wave);
        for lane in lanes(mask) {
            let offset = (self.warp.get(src[2], lane) & 0xffff_ffff).saturating_add_signed(i64::from(more));
            places.address[lane] = base + wave + offset;
            places.room[lane] = limit.saturating_sub(offset);
        }
        Ok(places)
    }

    /// Runs `body` for some of the group's lanes only.
    fn masked<T>(&mut self, mask: u64, body: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        let whole = std::mem::replace(&mut self.warp.groups[self.group].mask, mask);
        let result = body(self);
        self.warp.groups[self.group].mask = whole;
        result
    }

    fn set_addresses(&mut self, slot: Slot, places: &Places, offset: u64, mask: u64) {
        for lane in lanes(mask) {
            self.warp.set(slot, lane, places.address[lane] + offset);
        }
        self.warp.poison[slot as usize] &= !mask;
    }

    /// Lanes with at least `bytes` bytes of the buffer from `offset` on.
    fn with_room(&self, places: &Places, offset: u64, bytes: u64) -> u64 {
        lanes(self.mask())
            .filter(|&lane| places.room[lane] >= offset + bytes)
            .fold(0, |mask, lane| mask | 1 << lane)
    }

    pub(super) fn buffer_load(
        &mut self,
        buffer: &Buffer,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let (mask, at) = (self.mask(), src[4]);
        let places = self.places(src, 0, inst)?;
        let zeros = [0u64; 64];
        for &slot in dst {
            let width = self.warp.width;
            self.warp.write(slot, mask, &zeros[..width], 0);
        }
        let whole = self.with_room(&places, 0, u64::from(buffer.whole.bytes));
        if whole != 0 {
            self.set_addresses(at, &places, 0, whole);
            self.masked(whole, |slice| slice.load(&buffer.whole, &[at], dst, inst))?;
        }
        let rest = mask & !whole & self.with_room(&places, 0, 1);
        for (offset, access, first, count) in buffer.words.iter().filter(|_| rest != 0) {
            let offset = u64::from(*offset);
            let inside = rest & self.with_room(&places, offset, u64::from(access.bytes));
            if inside != 0 {
                self.set_addresses(at, &places, offset, inside);
                let to = &dst[*first..first + count];
                self.masked(inside, |slice| slice.load(access, &[at], to, inst))?;
            }
            // The end of the buffer lies within the word.
            for lane in lanes(rest & !inside & self.with_room(&places, offset, 1)) {
                for (piece, &slot) in access.pieces.iter().zip(&dst[*first..]) {
                    let end = offset + u64::from(piece.offset + piece.ty.bytes());
                    let here = 1 << lane;
                    if places.room[lane] >= end {
                        let single = crate::program::Access {
                            bytes: piece.ty.bytes(),
                            align: access.align.min(piece.ty.bytes()),
                            pieces: [crate::program::Piece { offset: 0, ty: piece.ty }].into(),
                            ..access.clone()
                        };
                        self.set_addresses(at, &places, offset + u64::from(piece.offset), here);
                        self.masked(here, |slice| slice.load(&single, &[at], &[slot], inst))?;
                    } else {
                        self.warp.poison[slot as usize] |= here;
                        self.warp.poison_site = Some(inst.site);
                    }
                }
            }
        }
        Ok(Flow::Pause)
    }

    pub(super) fn buffer_store(&mut self, buffer: &Buffer, src: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        let (values, at) = (&src[4..src.len() - 1], src[src.len() - 1]);
        let places = self.places(src, 0, inst)?;
        let store = |slice: &mut Self, access: &crate::program::Access, values: &[Slot], mask: u64| {
            let mut src = vec![at];
            src.extend_from_slice(values);
            slice.masked(mask, |slice| slice.store(access, &src, inst))
        };
        let whole = self.with_room(&places, 0, u64::from(buffer.whole.bytes));
        if whole != 0 {
            self.set_addresses(at, &places, 0, whole);
            store(self, &buffer.whole, values, whole)?;
        }
        let rest = mask & !whole & self.with_room(&places, 0, 1);
        for (offset, access, first, count) in buffer.words.iter().filter(|_| rest != 0) {
            let offset = u64::from(*offset);
            let inside = rest & self.with_room(&places, offset, u64::from(access.bytes));
            if inside != 0 {
                self.set_addresses(at, &places, offset, inside);
                store(self, access, &values[*first..first + count], inside)?;
            }
            let across = rest & !inside & self.with_room(&places, offset, 1);
            if across != 0 {
                let message = "out of bounds: a word is stored of which the buffer holds only a part; the hardware \
                               checks where the word begins";
                return self.fail(FaultKind::OutOfBounds, message, inst, across);
            }
        }
        Ok(Flow::Pause)
    }

    pub(super) fn buffer_atomic(
        &mut self,
        op: RedOp,
        buffer: &Buffer,
        src: &[Slot],
        dst: &[Slot],
        inst: &Inst,
    ) -> Run<Flow> {
        let (mask, at) = (self.mask(), src[src.len() - 1]);
        let places = self.places(src, 0, inst)?;
        let zeros = [0u64; 64];
        for &slot in dst {
            let width = self.warp.width;
            self.warp.write(slot, mask, &zeros[..width], 0);
        }
        let inside = self.with_room(&places, 0, u64::from(buffer.whole.bytes));
        if inside == 0 {
            return Ok(Flow::Pause);
        }
        self.set_addresses(at, &places, 0, inside);
        let mut operands = vec![at];
        operands.extend_from_slice(&src[4..src.len() - 1]);
        let Some(piece) = buffer.whole.pieces.first() else { return Ok(Flow::Pause) };
        let kind = Atomic {
            op,
            ty: piece.ty,
            space: buffer.whole.space,
            order: Order::Relaxed,
            lanes: buffer.whole.pieces.len() as u8,
        };
        self.masked(inside, |slice| slice.atomic(&kind, &operands, dst, inst))
    }
}
