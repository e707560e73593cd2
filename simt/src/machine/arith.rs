//! Operations that only compute: each for all lanes of the group at once.
//!
//! Approximate instructions (`ex2.approx` and its like) give the correctly rounded result, flushed when they say
//! `.ftz`: within their documented error, and the same on every machine.

use super::Run;
use super::step::Slice;
use crate::error::FaultKind;
use crate::float::{self, Fp8, decode, encode, f32_bits, f32_of, ftz};
use crate::program::{Bin, Cast, Inst, LaneMask, Op, Slot, Special, Ter, Un};
use crate::text::Scalar;

/// Cuts a word to the width of a type.
fn fit(value: u64, bits: u32) -> u64 {
    if bits >= 64 { value } else { value & ((1 << bits) - 1) }
}

/// The value of an integer of `bits` bits with its sign.
pub(super) fn signed(value: u64, bits: u32) -> i64 {
    let shift = 64 - bits.clamp(1, 64);
    (value << shift) as i64 >> shift
}

impl Slice<'_, '_, '_> {
    pub(super) fn pure(&mut self, inst: &Inst, src: &[Slot], dst: &[Slot]) -> Run<()> {
        let mask = self.mask();
        let width = self.warp.width;
        let mut out = [0u64; 64];
        let out = &mut out[..width];
        let mut poison = src.iter().fold(0, |sum, &slot| sum | self.warp.poison[slot as usize]);
        match &inst.op {
            Op::Bin(bin, ty) => {
                let (a, b) = (self.warp.row(src[0]), self.warp.row(src[1]));
                binary(*bin, *ty, a, b, out);
            }
            Op::Un(un, ty, ftz) => {
                // `freeze` is a copy with the flag set.
                if *un == Un::Copy && *ftz {
                    poison = 0;
                }
                let a = self.warp.row(src[0]);
                for (out, &a) in out.iter_mut().zip(a) {
                    *out = unary(*un, *ty, a, *ftz);
                }
            }
            Op::Ter(ter, ty) => {
                let (a, b, c) = (self.warp.row(src[0]), self.warp.row(src[1]), self.warp.row(src[2]));
                for (lane, out) in out.iter_mut().enumerate() {
                    *out = ternary(*ter, *ty, a[lane], b[lane], c[lane]);
                }
            }
            Op::ICmp(predicate, ty) => {
                let bits = ty.bits();
                let (a, b) = (self.warp.row(src[0]), self.warp.row(src[1]));
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    let (sa, sb) = (signed(a, bits), signed(b, bits));
                    *out = u64::from(match predicate {
                        0 => a == b,
                        1 => a != b,
                        2 => sa < sb,
                        3 => sa <= sb,
                        4 => sa > sb,
                        5 => sa >= sb,
                        6 => a < b,
                        7 => a <= b,
                        8 => a > b,
                        _ => a >= b,
                    });
                }
            }
            Op::FCmp(predicate, ty) => {
                let (a, b) = (self.warp.row(src[0]), self.warp.row(src[1]));
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = u64::from(compare(*predicate, decode(*ty, a), decode(*ty, b)));
                }
            }
            Op::Cast(cast, from, to) => {
                let a = self.warp.row(src[0]);
                for (out, &a) in out.iter_mut().zip(a) {
                    *out = convert(*cast, *from, *to, a);
                }
            }
            Op::Select => {
                let (c, a, b) = (self.warp.row(src[0]), self.warp.row(src[1]), self.warp.row(src[2]));
                let mut taken = 0;
                for (lane, out) in out.iter_mut().enumerate() {
                    let yes = c[lane] & 1 != 0;
                    taken |= u64::from(yes) << lane;
                    *out = if yes { a[lane] } else { b[lane] };
                }
                let of = |slot: Slot| self.warp.poison[slot as usize];
                poison = of(src[0]) | of(src[1]) & taken | of(src[2]) & !taken;
            }
            Op::Gep { offset, terms } => {
                out.copy_from_slice(self.warp.row(src[0]));
                for out in out.iter_mut() {
                    *out = out.wrapping_add(*offset as u64);
                }
                for (&(scale, bits), &slot) in terms.iter().zip(&src[1..]) {
                    for (out, &index) in out.iter_mut().zip(self.warp.row(slot)) {
                        let index = signed(index, u32::from(bits));
                        *out = out.wrapping_add(index.wrapping_mul(scale) as u64);
                    }
                }
            }
            Op::SpaceCast { from, to } => {
                let a = self.warp.row(src[0]);
                for (out, &a) in out.iter_mut().zip(a) {
                    *out = super::access::cast_space(a, *from, *to);
                }
            }
            Op::Special(special) => {
                for (lane, out) in out.iter_mut().enumerate() {
                    *out = self.special(*special, lane);
                }
            }
            Op::Pack { bits } => {
                for (index, &slot) in src.iter().enumerate() {
                    let shift = index as u32 * u32::from(*bits);
                    for (out, &part) in out.iter_mut().zip(self.warp.row(slot)) {
                        *out |= fit(part, u32::from(*bits)) << shift;
                    }
                }
            }
            Op::Unpack { bits } => {
                for (index, &slot) in dst.iter().enumerate() {
                    let shift = index as u32 * u32::from(*bits);
                    for (out, &word) in out.iter_mut().zip(self.warp.row(src[0])) {
                        *out = fit(word >> shift, u32::from(*bits));
                    }
                    self.warp.write(slot, mask, out, poison);
                }
                return Ok(());
            }
            Op::ToFp8(format) => {
                let (high, low) = (self.warp.row(src[0]), self.warp.row(src[1]));
                let code = |format: Fp8, value: u64| u64::from(format.encode(f32_of(value)));
                for ((out, &high), &low) in out.iter_mut().zip(high).zip(low) {
                    *out = code(*format, high) << 8 | code(*format, low);
                }
            }
            other => {
                let message = format!("the interpreter cannot execute {other:?}; please report it");
                return self.fail(FaultKind::Trap, message, inst, mask);
            }
        }
        if let Some(&slot) = dst.first() {
            self.warp.write(slot, mask, out, poison);
        }
        Ok(())
    }

    fn special(&self, special: Special, lane: usize) -> u64 {
        let machine = &self.machine;
        let width = self.warp.width as u32;
        let block = machine.block;
        let thread = self.warp.number * width + lane as u32;
        let tid = super::unlinear(thread, block);
        let id = self.cluster.ctas[self.warp.cta].id;
        let cluster = machine.cluster_dim;
        let at = |values: [u32; 3], axis: u8| u64::from(values[usize::from(axis)]);
        let bit = 1u64 << lane;
        match special {
            Special::Tid(axis) => at(tid, axis),
            Special::NTid(axis) => at(block, axis),
            Special::CtaId(axis) => at(id, axis),
            Special::NCtaId(axis) => at(machine.grid, axis),
            Special::ClusterId(axis) => at(id, axis) / at(cluster, axis),
            Special::NClusterId(axis) => at(machine.grid, axis) / at(cluster, axis),
            Special::ClusterCtaId(axis) => at(id, axis) % at(cluster, axis),
            Special::ClusterNCtaId(axis) => at(cluster, axis),
            Special::ClusterCtaRank => self.warp.cta as u64,
            Special::ClusterNCtaRank => machine.cluster_size() as u64,
            Special::LaneId => lane as u64,
            Special::WarpId => u64::from(self.warp.number),
            Special::NWarpId => machine.warps_per_block() as u64,
            Special::WarpSize => u64::from(width),
            Special::SmId => u64::from(self.cluster.number % 132),
            Special::NSmId => 132,
            Special::Clock => machine.events,
            Special::GridId | Special::Zero => 0,
            Special::LaneMask(kind) => {
                let whole = if width == 64 { u64::MAX } else { (1 << width) - 1 };
                whole
                    & match kind {
                        LaneMask::Eq => bit,
                        LaneMask::Lt => bit - 1,
                        LaneMask::Le => bit | (bit - 1),
                        LaneMask::Gt => !(bit | (bit - 1)),
                        LaneMask::Ge => !(bit - 1),
                    }
            }
        }
    }
}

fn binary(bin: Bin, ty: Scalar, a: &[u64], b: &[u64], out: &mut [u64]) {
    let bits = ty.bits();
    let each = out.iter_mut().zip(a).zip(b);
    match (bin, ty) {
        // The frequent ones in loops of their own, so that they vectorise.
        (Bin::Add, _) => each.for_each(|((out, a), b)| *out = fit(a.wrapping_add(*b), bits)),
        (Bin::Sub, _) => each.for_each(|((out, a), b)| *out = fit(a.wrapping_sub(*b), bits)),
        (Bin::Mul, _) => each.for_each(|((out, a), b)| *out = fit(a.wrapping_mul(*b), bits)),
        (Bin::And, _) => each.for_each(|((out, a), b)| *out = a & b),
        (Bin::Or, _) => each.for_each(|((out, a), b)| *out = a | b),
        (Bin::Xor, _) => each.for_each(|((out, a), b)| *out = a ^ b),
        (Bin::FAdd, Scalar::F32) => each.for_each(|((out, a), b)| *out = f32_bits(f32_of(*a) + f32_of(*b))),
        (Bin::FSub, Scalar::F32) => each.for_each(|((out, a), b)| *out = f32_bits(f32_of(*a) - f32_of(*b))),
        (Bin::FMul, Scalar::F32) => each.for_each(|((out, a), b)| *out = f32_bits(f32_of(*a) * f32_of(*b))),
        (Bin::PackHalvesRtz, _) => each.for_each(|((out, &a), &b)| {
            *out = float::half_towards_zero(f32_of(a)) | float::half_towards_zero(f32_of(b)) << 16;
        }),
        _ if ty.is_float() => each.for_each(|((out, &a), &b)| {
            *out = match bin {
                // Division is rounded once in its own type; two roundings (f64, then f32) agree with that.
                Bin::CopySign => {
                    let top = 1 << (bits - 1);
                    a & !top | b & top
                }
                _ => encode(ty, float_binary(bin, decode(ty, a), decode(ty, b))),
            }
        }),
        _ => each.for_each(|((out, &a), &b)| *out = fit(int_binary(bin, bits, a, b), bits)),
    }
}

/// In f64: the result of one operation on narrower floats rounds to the same value as if done in their type.
fn float_binary(bin: Bin, a: f64, b: f64) -> f64 {
    let nan = a.is_nan() || b.is_nan();
    // Zeros compare equal; the sign decides between them.
    let greater = |a: f64, b: f64| if a == b { if a.is_sign_negative() { b } else { a } } else { a.max(b) };
    let less = |a: f64, b: f64| if a == b { if a.is_sign_negative() { a } else { b } } else { a.min(b) };
    match bin {
        Bin::FAdd => a + b,
        Bin::FSub => a - b,
        Bin::FMul => a * b,
        Bin::FDiv => a / b,
        Bin::FRem => a % b,
        Bin::Pow => a.powf(b),
        Bin::Maximum if nan => f64::NAN,
        Bin::Minimum if nan => f64::NAN,
        Bin::MaxNum | Bin::MinNum if nan => {
            if a.is_nan() {
                b
            } else {
                a
            }
        }
        Bin::Maximum | Bin::MaxNum => greater(a, b),
        Bin::Minimum | Bin::MinNum => less(a, b),
        _ => f64::NAN,
    }
}

fn int_binary(bin: Bin, bits: u32, a: u64, b: u64) -> u64 {
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let shift = b.min(64) as u32;
    let (lowest, highest) = (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits));
    match bin {
        // Division by zero is undefined in LLVM; GPUs give all ones, and do not trap.
        Bin::UDiv => a.checked_div(b).unwrap_or(u64::MAX),
        Bin::SDiv => sa.checked_div(sb).map_or(u64::MAX, |value| value as u64),
        Bin::URem => a.checked_rem(b).unwrap_or(a),
        Bin::SRem => sa.checked_rem(sb).map_or(a, |value| value as u64),
        // Shifts by the width or more are poison in LLVM; PTX clamps.
        Bin::Shl if shift >= bits => 0,
        Bin::Shl => a << shift,
        Bin::LShr if shift >= bits => 0,
        Bin::LShr => a >> shift,
        Bin::AShr => (sa >> shift.min(63)) as u64,
        Bin::SMax => {
            if sa >= sb {
                a
            } else {
                b
            }
        }
        Bin::SMin => {
            if sa <= sb {
                a
            } else {
                b
            }
        }
        Bin::UMax => a.max(b),
        Bin::UMin => a.min(b),
        Bin::MulHiU => ((u128::from(a) * u128::from(b)) >> bits) as u64,
        Bin::MulHiS => ((i128::from(sa) * i128::from(sb)) >> bits) as u64,
        Bin::USubSat => a.saturating_sub(b),
        Bin::UAddSat => a.saturating_add(b).min(fit(u64::MAX, bits)),
        Bin::SAddSat => sa.saturating_add(sb).clamp(lowest, highest) as u64,
        Bin::SSubSat => sa.saturating_sub(sb).clamp(lowest, highest) as u64,
        _ => 0,
    }
}

fn unary(un: Un, ty: Scalar, a: u64, flush: bool) -> u64 {
    let bits = ty.bits();
    let top = 1u64 << (bits - 1);
    match un {
        Un::Copy => return a,
        Un::FNeg => return a ^ top,
        Un::FAbs => return a & !top,
        Un::Abs => return fit(signed(a, bits).unsigned_abs(), bits),
        Un::Ctpop => return u64::from(a.count_ones()),
        Un::Ctlz => return u64::from(a.leading_zeros() - (64 - bits)),
        Un::Cttz => return u64::from(a.trailing_zeros().min(bits)),
        Un::BitReverse => return a.reverse_bits() >> (64 - bits),
        Un::ByteSwap => return a.swap_bytes() >> (64 - bits),
        Un::Tf32Away => return u64::from(float::tf32_round(f32_of(a))),
        Un::Tf32Even => return u64::from(float::tf32_round_even(f32_of(a))),
        Un::FromFp8(format) => return encode(Scalar::F16, f64::from(format.decode(a as u8))),
        _ => {}
    }
    let flush = |value: f64| {
        if flush && ty == Scalar::F32 { f64::from(ftz(value as f32)) } else { value }
    };
    let x = flush(decode(ty, a));
    let value = match un {
        Un::Sqrt => x.sqrt(),
        Un::RSqrt => 1.0 / x.sqrt(),
        Un::Rcp => 1.0 / x,
        Un::Exp => x.exp(),
        Un::Exp2 => x.exp2(),
        Un::Log => x.ln(),
        Un::Log2 => x.log2(),
        Un::Log10 => x.log10(),
        Un::Sin => x.sin(),
        Un::Cos => x.cos(),
        Un::Tanh => x.tanh(),
        Un::SinTurns => (x * std::f64::consts::TAU).sin(),
        Un::CosTurns => (x * std::f64::consts::TAU).cos(),
        Un::Floor => x.floor(),
        Un::Ceil => x.ceil(),
        Un::Trunc => x.trunc(),
        Un::RoundEven => x.round_ties_even(),
        Un::Round => x.round(),
        _ => x,
    };
    encode(ty, flush(value))
}

fn ternary(ter: Ter, ty: Scalar, a: u64, b: u64, c: u64) -> u64 {
    let bits = ty.bits();
    match ter {
        Ter::Fma if ty == Scalar::F32 => f32_bits(f32_of(a).mul_add(f32_of(b), f32_of(c))),
        Ter::Fma if ty == Scalar::F64 => decode(ty, a).mul_add(decode(ty, b), decode(ty, c)).to_bits(),
        // The product of two 11-bit significands is exact in f64, and the sum has bits to spare.
        Ter::Fma => encode(ty, decode(ty, a) * decode(ty, b) + decode(ty, c)),
        Ter::Mad => fit(a.wrapping_mul(b).wrapping_add(c), bits),
        Ter::Prmt => {
            // PTX ISA, prmt: each nibble of the selector picks a byte of {b, a}; its top bit replicates the sign.
            let bytes = (a & 0xffff_ffff | b << 32).to_le_bytes();
            (0..4).fold(0, |out, index| {
                let nibble = (c >> (4 * index) & 0xf) as usize;
                let byte = bytes[nibble & 7];
                let byte = if nibble & 8 == 0 {
                    byte
                } else if byte & 0x80 != 0 {
                    0xff
                } else {
                    0
                };
                out | u64::from(byte) << (8 * index)
            })
        }
        // ISA guides, V_PERM_B32: bytes 0 to 3 are those of the second operand, 4 to 7 those of the first.
        Ter::BytePerm => {
            let bytes = (b & 0xffff_ffff | a << 32).to_le_bytes();
            (0..4).fold(0, |out, index| {
                let byte = match (c >> (8 * index) & 0xff) as usize {
                    select @ 0..=7 => bytes[select],
                    select @ 8..=11 if bytes[2 * (select - 8) + 1] & 0x80 != 0 => 0xff,
                    8..=12 => 0,
                    _ => 0xff,
                };
                out | u64::from(byte) << (8 * index)
            })
        }
        // ISA guides, V_MED3_F32: with a NaN among them the least of the others.
        Ter::Med3 => {
            let mut values = [a, b, c].map(|bits| decode(ty, bits));
            let least = float_binary(Bin::MinNum, float_binary(Bin::MinNum, values[0], values[1]), values[2]);
            if values.iter().any(|value| value.is_nan()) {
                return encode(ty, least);
            }
            values.sort_by(f64::total_cmp);
            encode(ty, values[1])
        }
        Ter::Lop3(table) => (0..32).fold(0, |out, bit| {
            let index = (a >> bit & 1) << 2 | (b >> bit & 1) << 1 | (c >> bit & 1);
            out | u64::from(table >> index & 1) << bit
        }),
        Ter::FshL | Ter::FshR => {
            let shift = (c % u64::from(bits)) as u32;
            let joined = u128::from(a) << bits | u128::from(b);
            let value = if ter == Ter::FshL { joined << shift >> bits } else { joined >> shift };
            fit(value as u64, bits)
        }
    }
}

/// MLIR's predicates: false, oeq, ogt, oge, olt, ole, one, ord, ueq, ugt, uge, ult, ule, une, uno, true.
fn compare(predicate: u8, a: f64, b: f64) -> bool {
    let unordered = a.is_nan() || b.is_nan();
    let holds = |relation: u8| match relation {
        1 => a == b,
        2 => a > b,
        3 => a >= b,
        4 => a < b,
        5 => a <= b,
        _ => a != b,
    };
    match predicate {
        0 => false,
        1..=6 => !unordered && holds(predicate),
        7 => !unordered,
        8..=13 => unordered || holds(predicate - 7),
        14 => unordered,
        _ => true,
    }
}

fn convert(cast: Cast, from: Scalar, to: Scalar, a: u64) -> u64 {
    let (narrow, wide) = (to.bits(), from.bits());
    match cast {
        Cast::Trunc | Cast::ZExt => fit(a, narrow),
        Cast::SExt => fit(signed(a, wide) as u64, narrow),
        Cast::FpTrunc | Cast::FpExt => encode(to, decode(from, a)),
        // Out of range is poison in LLVM; PTX clamps, and turns NaN into 0.
        Cast::FpToS => {
            let (lowest, highest) = (i64::MIN >> (64 - narrow), i64::MAX >> (64 - narrow));
            fit((decode(from, a) as i64).clamp(lowest, highest) as u64, narrow)
        }
        Cast::FpToU => (decode(from, a) as u64).min(fit(u64::MAX, narrow)),
        Cast::SToFp => match to {
            Scalar::F32 => f32_bits(signed(a, wide) as f32),
            _ => encode(to, signed(a, wide) as f64),
        },
        Cast::UToFp => match to {
            Scalar::F32 => f32_bits(a as f32),
            _ => encode(to, a as f64),
        },
    }
}
