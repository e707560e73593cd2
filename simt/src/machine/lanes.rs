//! Operations among the lanes of a wave in lockstep, and packed conversions, after AMD's ISA guides.
//!
//! The hardware runs them for whichever lanes are active; a lane that is not gives 0, the old value, or nothing that one
//! may rely on. Here the whole wave has to execute them, except for `readfirstlane`.

use super::Run;
use super::chip::Fp8Formats;
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::float::{decode, encode, f32_bits, f32_of};
use crate::narrow::Narrow;
use crate::program::{Inst, Scaled, Slot, WaveOp};

/// Where a lane of a DPP operand comes from.
enum Source {
    Lane(usize),
    /// Beyond the row, the wave, or what exists.
    Invalid,
}

/// ISA guides, "DPP_CTRL enumerations". `wide` are the controls of gfx9.
fn dpp_source(control: u32, lane: usize, width: usize, wide: bool) -> Option<Source> {
    let (row, at) = (lane / 16 * 16, lane % 16);
    let n = (control & 0xf) as usize;
    let within = |inside: bool, at: usize| if inside { Source::Lane(row + at) } else { Source::Invalid };
    Some(match control {
        // quad_perm: two bits for each lane of four.
        0..=0xff => Source::Lane(lane / 4 * 4 + (control >> (2 * (lane % 4)) & 3) as usize),
        // row_shl: from the lane above; row_shr: from the lane below; row_ror: around.
        0x101..=0x10f => within(at + n < 16, at + n),
        0x111..=0x11f => within(at >= n, at.wrapping_sub(n)),
        0x121..=0x12f => Source::Lane(row + (at + 16 - n) % 16),
        // wave_shl:1, wave_rol:1, wave_shr:1, wave_ror:1.
        0x130 if wide => match lane + 1 < width {
            true => Source::Lane(lane + 1),
            false => Source::Invalid,
        },
        0x134 if wide => Source::Lane((lane + 1) % width),
        0x138 if wide => match lane > 0 {
            true => Source::Lane(lane - 1),
            false => Source::Invalid,
        },
        0x13c if wide => Source::Lane((lane + width - 1) % width),
        // row_mirror, row_half_mirror.
        0x140 => Source::Lane(row + 15 - at),
        0x141 => Source::Lane(row + at / 8 * 8 + 7 - at % 8),
        // row_bcast:15 and row_bcast:31: the last lane of a row, or of half the wave, to the rows behind it.
        0x142 if wide => match lane >= 16 {
            true => Source::Lane(row - 1),
            false => Source::Invalid,
        },
        0x143 if wide => match lane >= 32 {
            true => Source::Lane(31),
            false => Source::Invalid,
        },
        // row_newbcast (gfx90a on), row_share (gfx10 on): one lane of the row.
        0x150..=0x15f => Source::Lane(row + n),
        0x160..=0x16f if !wide => Source::Lane(row + (at ^ n)),
        _ => return None,
    })
}

impl Slice<'_, '_, '_> {
    /// Everything of [`WaveOp`] that works on registers only.
    pub(super) fn across(&mut self, op: &WaveOp, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        match op {
            WaveOp::ReadFirstLane => {
                let mask = self.mask();
                let first = mask.trailing_zeros() as usize;
                self.spread(src[0], first, dst[0], mask);
                return Ok(Flow::Next);
            }
            WaveOp::ToFp8 { .. } | WaveOp::FromFp8 { .. } | WaveOp::ToScaled(_) | WaveOp::FromScaled(_) => {
                return self.narrow(op, src, dst, inst);
            }
            WaveOp::MaskCount(upper) => {
                self.mask_count(*upper, src, dst);
                return Ok(Flow::Next);
            }
            _ => {}
        }
        if self.converge(None, inst)?.is_none() {
            return Ok(Flow::Block);
        }
        let mask = self.mask();
        let width = self.warp.width;
        let waves = self.machine.chip.waves;
        let wide = waves.is_some_and(|waves| waves.wide_dpp);
        let lacks = |slice: &Self, what: &str| {
            slice.fail(FaultKind::Chip, format!("{} has no {what}", slice.machine.chip.name), inst, mask)
        };
        let exists = |lane: usize| lane < width && mask >> lane & 1 != 0;
        let mut out = [0u64; 64];
        let mut poison = 0u64;
        let mut take = |slice: &Self, slot: Slot, from: usize, lane: usize| {
            out[lane] = slice.warp.get(slot, from);
            poison |= (slice.warp.poison[slot as usize] >> from & 1) << lane;
        };
        match op {
            WaveOp::Dpp { control, rows, banks, zero } => {
                for lane in lanes(mask) {
                    let Some(source) = dpp_source(*control, lane, width, wide) else {
                        return lacks(self, &format!("DPP control {control:#x}"));
                    };
                    if rows >> (lane / 16) & 1 == 0 || banks >> (lane % 16 / 4) & 1 == 0 {
                        take(self, src[0], lane, lane);
                        continue;
                    }
                    match source {
                        Source::Lane(from) if exists(from) => take(self, src[1], from, lane),
                        _ if *zero => {}
                        _ => take(self, src[0], lane, lane),
                    }
                }
            }
            WaveOp::BPermute => {
                self.defined(src[0], mask, "the lane of a permutation", inst)?;
                for lane in lanes(mask) {
                    let from = (self.warp.get(src[0], lane) >> 2) as usize % width;
                    if exists(from) {
                        take(self, src[1], from, lane);
                    }
                }
            }
            WaveOp::Permute => {
                self.defined(src[0], mask, "the lane of a permutation", inst)?;
                // Where several lanes write one, the highest wins.
                for lane in lanes(mask) {
                    let to = (self.warp.get(src[0], lane) >> 2) as usize % width;
                    take(self, src[1], lane, to);
                }
            }
            WaveOp::Swizzle(pattern) => {
                let pattern = usize::from(*pattern);
                for lane in lanes(mask) {
                    let from = if pattern & 0x8000 != 0 {
                        lane / 4 * 4 + (pattern >> (2 * (lane % 4)) & 3)
                    } else {
                        let (and, or, xor) = (pattern & 31, pattern >> 5 & 31, pattern >> 10 & 31);
                        lane / 32 * 32 + ((lane & and | or) ^ xor)
                    };
                    if exists(from) {
                        take(self, src[0], from, lane);
                    }
                }
            }
            WaveOp::PermLane16 { cross, zero } => {
                if wide {
                    return lacks(self, "permlane16");
                }
                self.defined(src[2], mask, "the selector of a permutation", inst)?;
                self.defined(src[3], mask, "the selector of a permutation", inst)?;
                for lane in lanes(mask) {
                    let select =
                        self.warp.get(src[2], lane) & 0xffff_ffff | self.warp.get(src[3], lane) << 32;
                    let row = if *cross { (lane / 16) ^ 1 } else { lane / 16 };
                    let from = row * 16 + (select >> (4 * (lane % 16)) & 15) as usize;
                    match exists(from) {
                        true => take(self, src[1], from, lane),
                        false if *zero => {}
                        false => take(self, src[0], lane, lane),
                    }
                }
            }
            WaveOp::SwapRows(distance) => {
                if !waves.is_some_and(|waves| waves.swaps) {
                    return lacks(self, "swap of rows");
                }
                return self.swap_rows(usize::from(*distance), src, dst);
            }
            WaveOp::ReadLane => {
                self.defined(src[1], mask, "the number of a lane", inst)?;
                let from = self.warp.get(src[1], mask.trailing_zeros() as usize) as usize % width;
                self.spread(src[0], from, dst[0], mask);
                return Ok(Flow::Next);
            }
            WaveOp::WriteLane => {
                self.defined(src[1], mask, "the number of a lane", inst)?;
                let to = self.warp.get(src[1], mask.trailing_zeros() as usize) as usize % width;
                for lane in lanes(mask) {
                    take(self, if lane == to { src[0] } else { src[2] }, lane, lane);
                }
            }
            WaveOp::Ballot => {
                self.defined(src[0], mask, "the operand of a ballot", inst)?;
                let set = lanes(mask).filter(|&lane| self.warp.get(src[0], lane) & 1 != 0);
                out = [set.fold(0, |set, lane| set | 1 << lane); 64];
            }
            other => {
                let message = format!("the interpreter cannot execute {other:?}; please report it");
                return self.fail(FaultKind::Trap, message, inst, mask);
            }
        }
        self.warp.write(dst[0], mask, &out[..width], poison);
        Ok(Flow::Next)
    }

    /// One lane's value for all lanes of `mask`.
    fn spread(&mut self, slot: Slot, from: usize, to: Slot, mask: u64) {
        let poison = if self.warp.poison[slot as usize] >> from & 1 != 0 { mask } else { 0 };
        let values = [self.warp.get(slot, from); 64];
        let width = self.warp.width;
        self.warp.write(to, mask, &values[..width], poison);
    }

    /// ISA guides, V_MBCNT: bits of the mask below the own lane, plus the base.
    fn mask_count(&mut self, upper: bool, src: &[Slot], dst: &[Slot]) {
        let width = self.warp.width;
        let mut out = [0u64; 64];
        for (lane, out) in out[..width].iter_mut().enumerate() {
            let below = (1u64 << lane) - 1;
            let below = if upper { below >> 32 } else { below & 0xffff_ffff };
            let count = (self.warp.get(src[0], lane) & below).count_ones();
            *out = (self.warp.get(src[1], lane) + u64::from(count)) & 0xffff_ffff;
        }
        let poison = self.warp.poison[src[0] as usize] | self.warp.poison[src[1] as usize];
        let mask = self.mask();
        self.warp.write(dst[0], mask, &out[..width], poison);
    }

    /// ISA guide of MI350, V_PERMLANE16_SWAP_B32 and V_PERMLANE32_SWAP_B32: the odd rows (of 16, or of 32 lanes) of the
    /// first register change places with the even rows of the second.
    fn swap_rows(&mut self, distance: usize, src: &[Slot], dst: &[Slot]) -> Run<Flow> {
        let mask = self.mask();
        let width = self.warp.width;
        let (mut first, mut second) = ([0u64; 64], [0u64; 64]);
        let (mut bad_first, mut bad_second) = (0u64, 0u64);
        let bad = |slice: &Self, slot: Slot, lane: usize| slice.warp.poison[slot as usize] >> lane & 1;
        for lane in 0..width {
            let odd = lane / distance % 2 == 1;
            let (slot, from) = if odd { (src[1], lane - distance) } else { (src[0], lane) };
            first[lane] = self.warp.get(slot, from);
            bad_first |= bad(self, slot, from) << lane;
            let (slot, from) = if odd { (src[1], lane) } else { (src[0], lane + distance) };
            second[lane] = self.warp.get(slot, from);
            bad_second |= bad(self, slot, from) << lane;
        }
        self.warp.write(dst[0], mask, &first[..width], bad_first);
        self.warp.write(dst[1], mask, &second[..width], bad_second);
        Ok(Flow::Next)
    }

    /// What `fp8` and `bf8` mean on this chip.
    pub(super) fn fp8(&self, wide_exponent: bool, inst: &Inst) -> Run<Narrow> {
        let formats = self.machine.chip.waves.map_or(Fp8Formats::None, |waves| waves.fp8);
        Ok(match (formats, wide_exponent) {
            (Fp8Formats::Fnuz, false) => Narrow::E4M3Fnuz,
            (Fp8Formats::Fnuz, true) => Narrow::E5M2Fnuz,
            (Fp8Formats::Ocp, false) => Narrow::E4M3,
            (Fp8Formats::Ocp, true) => Narrow::E5M2,
            (Fp8Formats::None, _) => {
                let message = format!("{} has no fp8", self.machine.chip.name);
                return self.fail(FaultKind::Chip, message, inst, self.mask());
            }
        })
    }

    fn narrow(&mut self, op: &WaveOp, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        let width = self.warp.width;
        let of = |slice: &Self, slots: &[Slot]| {
            slots.iter().fold(0, |sum, &slot| sum | slice.warp.poison[slot as usize])
        };
        let mut out = [0u64; 64];
        match op {
            WaveOp::ToFp8 { wide_exponent, high } => {
                let format = self.fp8(*wide_exponent, inst)?;
                let code = |bits: u64| format.encode(f64::from(f32_of(bits)));
                let shift = if *high { 16 } else { 0 };
                for (lane, out) in out[..width].iter_mut().enumerate() {
                    let pair = code(self.warp.get(src[0], lane)) | code(self.warp.get(src[1], lane)) << 8;
                    *out = self.warp.get(src[2], lane) & !(0xffff << shift) & 0xffff_ffff | pair << shift;
                }
                // An undefined old word spoils nothing but its own half; when the upper half is filled, it matters.
                let poison = of(self, &src[..2]) | if *high { of(self, &src[2..3]) } else { 0 };
                self.warp.write(dst[0], mask, &out[..width], poison);
            }
            WaveOp::FromFp8 { wide_exponent, first } => {
                let format = self.fp8(*wide_exponent, inst)?;
                let poison = of(self, &src[..1]);
                for (index, &slot) in dst.iter().take(2).enumerate() {
                    let shift = 8 * ((usize::from(*first) + index) % 4);
                    for (lane, out) in out[..width].iter_mut().enumerate() {
                        let code = self.warp.get(src[0], lane) >> shift & 0xff;
                        *out = f32_bits(format.decode(code) as f32);
                    }
                    self.warp.write(slot, mask, &out[..width], poison);
                }
            }
            WaveOp::ToScaled(scaled) => {
                self.has_scaled(inst)?;
                let bits = scaled.narrow.bits();
                let shift = bits * u32::from(scaled.first);
                let field = ((1u64 << (2 * bits)) - 1) << shift;
                for (lane, out) in out[..width].iter_mut().enumerate() {
                    let unit = power(self.warp.get(src[3], lane));
                    let code = |slot: Slot| {
                        scaled.narrow.encode(decode(scaled.wide, self.warp.get(slot, lane)) / unit)
                    };
                    let pair = code(src[1]) | code(src[2]) << bits;
                    *out = self.warp.get(src[0], lane) & !field & 0xffff_ffff | pair << shift;
                }
                let poison = of(self, &src[1..]) | if scaled.first > 0 { of(self, &src[..1]) } else { 0 };
                self.warp.write(dst[0], mask, &out[..width], poison);
            }
            WaveOp::FromScaled(Scaled { narrow, wide, first }) => {
                self.has_scaled(inst)?;
                let poison = of(self, &src[..2]);
                let bits = narrow.bits();
                for (index, &slot) in dst.iter().take(2).enumerate() {
                    let shift = bits * (u32::from(*first) + index as u32);
                    for (lane, out) in out[..width].iter_mut().enumerate() {
                        let code = self.warp.get(src[0], lane) >> shift & ((1 << bits) - 1);
                        *out = encode(*wide, narrow.decode(code) * power(self.warp.get(src[1], lane)));
                    }
                    self.warp.write(slot, mask, &out[..width], poison);
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    fn has_scaled(&self, inst: &Inst) -> Run<()> {
        if self.machine.chip.waves.is_some_and(|waves| waves.swaps) {
            return Ok(());
        }
        let message = format!("{} has no conversions with a scale", self.machine.chip.name);
        self.fail(FaultKind::Chip, message, inst, self.mask())
    }
}

/// The exponent of an f32 as a power of two; its sign and mantissa do not count.
fn power(bits: u64) -> f64 {
    crate::narrow::scale(bits >> 23 & 0xff)
}
