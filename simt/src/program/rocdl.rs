//! The `rocdl` dialect and the `llvm.amdgcn.*` intrinsics: ids, lanes, barriers, conversions, math.

use super::build::{Builder, Lowered, PARAM_BASE};
use super::inst::{Bin, Op, Special, Ter, Un};
use super::nvvm::plain;
use super::wave_op::{Scaled, WaveOp};
use crate::narrow::Narrow;
use crate::text::{self, Scalar};

/// Bytes of the packet that describes a dispatch (HSA's `hsa_kernel_dispatch_packet_t`).
pub(crate) const PACKET_BYTES: u64 = 64;

/// Whether an operation orders things, so that deleting it should show.
pub(super) fn is_sync(name: &str) -> bool {
    matches!(name, "rocdl.barrier" | "rocdl.s.barrier" | "rocdl.s.waitcnt" | "rocdl.wave.barrier")
}

/// Operations that guide the compiler or the arbiter, and mean nothing here.
fn is_hint(name: &str) -> bool {
    matches!(
        name,
        "s.setprio"
            | "s.sleep"
            | "s.nop"
            | "sched.barrier"
            | "sched.group.barrier"
            | "iglp.opt"
            | "global.prefetch"
    )
}

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let int = |name: &str| op.int(name).unwrap_or(0);
    let all: Vec<usize> = (0..op.operands.len()).collect();
    if let Some(special) = special(name) {
        return ids(b, op, special);
    }
    if name.starts_with("mfma.") || name.starts_with("wmma.") {
        return super::rocdl_matrix::lower(b, op, name);
    }
    if name.starts_with("cvt.") {
        return convert(b, op, name);
    }
    let op_of = match name {
        "s.waitcnt" => WaveOp::WaitCount(int("bitfield") as u32),
        "barrier" => WaveOp::FencedBarrier,
        "update.dpp" => {
            let (control, rows, banks) = (int("dppCtrl") as u32, int("rowMask") as u8, int("bankMask") as u8);
            let op_of = WaveOp::Dpp { control, rows, banks, zero: op.flag("boundCtrl") };
            return slotwise(b, op, op_of, 2);
        }
        "ds_swizzle" => return swizzle(b, op, 1),
        "permlanex16" => WaveOp::PermLane16 { cross: true, zero: op.flag("boundControl") },
        "permlane16" => WaveOp::PermLane16 { cross: false, zero: op.flag("boundControl") },
        "fmed3" => return super::llvm::elementwise(b, op, Op::Ter(Ter::Med3, Scalar::F32)),
        _ if is_hint(name) => return plain(b, op, Op::Nop, &[]),
        _ => return by_name(b, op, name),
    };
    plain(b, op, Op::Wave(Box::new(op_of)), &all)
}

/// `llvm.call_intrinsic "llvm.amdgcn.…"`: flags are constant operands.
pub(super) fn intrinsic<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    if let Some(special) = special(name) {
        return ids(b, op, special);
    }
    if name.starts_with("mfma.") {
        return super::rocdl_matrix::lower(b, op, name);
    }
    let constant = |b: &Builder<'m, '_>, index: usize| -> Lowered<u64> {
        let slot = b.scalar(op, index)?.0;
        b.known(slot).ok_or_else(|| format!("operand {index} is not constant"))
    };
    let wave = |op: WaveOp| Op::Wave(Box::new(op));
    // Overload suffixes say nothing that the types do not.
    let stem = name.split(".f32").next().unwrap_or(name);
    let stem = [".i32", ".i64", ".f16", ".bf16", ".v2", ".v4", ".p3", ".p1"]
        .iter()
        .fold(stem, |stem, suffix| stem.split(suffix).next().unwrap_or(stem));
    match stem {
        "dispatch.ptr" => {
            let at = b.code.packet_at.unwrap_or(b.code.param_bytes.next_multiple_of(64));
            b.code.packet_at = Some(at);
            b.code.param_bytes = b.code.param_bytes.max(at + PACKET_BYTES);
            let slot = b.constant(PARAM_BASE + at);
            b.define_slots(op, 0, vec![slot]);
            Ok(())
        }
        "s.waitcnt" => {
            let bits = constant(b, 0)? as u32;
            plain(b, op, wave(WaveOp::WaitCount(bits)), &[])
        }
        "update.dpp" => {
            let (control, rows) = (constant(b, 2)? as u32, constant(b, 3)? as u8);
            let (banks, zero) = (constant(b, 4)? as u8, constant(b, 5)? != 0);
            slotwise(b, op, WaveOp::Dpp { control, rows, banks, zero }, 2)
        }
        "ds.swizzle" => swizzle(b, op, 1),
        "permlane16" | "permlanex16" => {
            let zero = constant(b, 5)? != 0;
            let op_of = WaveOp::PermLane16 { cross: stem == "permlanex16", zero };
            plain(b, op, wave(op_of), &[0, 1, 2, 3])
        }
        "permlane16.swap" => plain(b, op, wave(WaveOp::SwapRows(16)), &[0, 1]),
        "permlane32.swap" => plain(b, op, wave(WaveOp::SwapRows(32)), &[0, 1]),
        "fmed3" => super::llvm::elementwise(b, op, Op::Ter(Ter::Med3, Scalar::F32)),
        "perm" => plain(b, op, Op::Ter(Ter::BytePerm, Scalar::Int(32)), &[0, 1, 2]),
        "rsq" => plain(b, op, Op::Un(Un::RSqrt, Scalar::F32, true), &[0]),
        "fract" | "frexp.exp" | "ldexp" => Err("not an intrinsic that the simulator knows".into()),
        _ if is_hint(stem) => plain(b, op, Op::Nop, &[]),
        _ => by_name(b, op, stem),
    }
}

/// What operations and intrinsics have in common.
fn by_name<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let wave = |op: WaveOp| Op::Wave(Box::new(op));
    let un = |un| Op::Un(un, Scalar::F32, true);
    match name {
        "s.barrier" => {
            let kind = Op::Barrier { has_id: false, counted: false, arrive_only: false, reduce: None };
            plain(b, op, kind, &[])
        }
        "wave.barrier" => plain(b, op, wave(WaveOp::WaveBarrier), &[]),
        "ds_bpermute" | "ds.bpermute" => plain(b, op, wave(WaveOp::BPermute), &[0, 1]),
        "ds_permute" | "ds.permute" => plain(b, op, wave(WaveOp::Permute), &[0, 1]),
        "permlane16.swap" => plain(b, op, wave(WaveOp::SwapRows(16)), &[0, 1]),
        "permlane32.swap" => plain(b, op, wave(WaveOp::SwapRows(32)), &[0, 1]),
        "readfirstlane" => slotwise(b, op, WaveOp::ReadFirstLane, 1),
        "readlane" => plain(b, op, wave(WaveOp::ReadLane), &[0, 1]),
        "writelane" => plain(b, op, wave(WaveOp::WriteLane), &[0, 1, 2]),
        "ballot" => plain(b, op, wave(WaveOp::Ballot), &[0]),
        "mbcnt.lo" => plain(b, op, wave(WaveOp::MaskCount(false)), &[0, 1]),
        "mbcnt.hi" => plain(b, op, wave(WaveOp::MaskCount(true)), &[0, 1]),
        // ISA guides: one unit in the last place, no subnormals on either side.
        "exp" | "exp2" if exponent_of_two(b, op, name)? => plain(b, op, un(Un::Exp2), &[0]),
        "log" => plain(b, op, un(Un::Log2), &[0]),
        "rcp" => plain(b, op, un(Un::Rcp), &[0]),
        "rsq" => plain(b, op, un(Un::RSqrt), &[0]),
        "sqrt" => plain(b, op, un(Un::Sqrt), &[0]),
        "sin" => plain(b, op, un(Un::SinTurns), &[0]),
        "cos" => plain(b, op, un(Un::CosTurns), &[0]),
        "cvt.pkrtz" => {
            let (low, high) = (b.scalar(op, 0)?.0, b.scalar(op, 1)?.0);
            let word = b.emit_new(Op::Bin(Bin::PackHalvesRtz, Scalar::F32), &[low, high]);
            packed(b, op, word, 32)
        }
        "s.barrier.signal" | "s.barrier.wait" => Err("these chips have no split barriers".into()),
        _ => super::rocdl_memory::lower(b, op, name),
    }
}

/// `v_exp_f32` is two to the power; an operation that promises another base would be a mistake of the dialect.
fn exponent_of_two<'m>(b: &Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<bool> {
    match b.scalar(op, 0)?.1 {
        Scalar::F32 if name == "exp2" => Ok(true),
        Scalar::F32 => Err("`exp` is ambiguous here; use `exp2`".into()),
        _ => Err("only f32".into()),
    }
}

/// The same for each scalar of the value; the first `count` operands are values.
fn slotwise<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, kind: WaveOp, count: usize) -> Lowered<()> {
    let mut operands = Vec::new();
    for index in 0..count {
        operands.push(b.value(op, index)?.slots.clone());
    }
    let results = b.result(op, 0)?;
    for (lane, &to) in results.iter().enumerate() {
        let src: Option<Vec<_>> = operands.iter().map(|slots| slots.get(lane).copied()).collect();
        b.emit(Op::Wave(Box::new(kind.clone())), &src.ok_or("operands of different shapes")?, &[to]);
    }
    Ok(())
}

fn swizzle<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, at: usize) -> Lowered<()> {
    let pattern = b.scalar(op, at)?.0;
    let pattern = b.known(pattern).ok_or("a pattern that is not constant")? as u16;
    // ISA guides, DS_SWIZZLE_B32: bit 15 set is a permutation within four lanes, clear is masks on five bits.
    if pattern & 0x8000 != 0 && pattern & 0xff00 != 0x8000 {
        return Err("a swizzle that rotates".into());
    }
    plain(b, op, Op::Wave(Box::new(WaveOp::Swizzle(pattern))), &[0])
}

fn special(name: &str) -> Option<Special> {
    let (stem, axis) = name.rsplit_once('.')?;
    let axis = match axis {
        "x" => 0,
        "y" => 1,
        "z" => 2,
        _ => return None,
    };
    Some(match stem {
        "workitem.id" => Special::Tid(axis),
        "workgroup.id" => Special::CtaId(axis),
        "workgroup.dim" => Special::NTid(axis),
        "grid.dim" => Special::NCtaId(axis),
        _ => return None,
    })
}

fn ids<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, special: Special) -> Lowered<()> {
    plain(b, op, Op::Special(special), &[])
}

/// A word of bits as the result's type.
fn packed<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, word: u32, from: u32) -> Lowered<()> {
    let bits = super::llvm::element(op.result_types.first().ok_or("no result")?)?.bits();
    let slots = b.repack(&[word], from, bits)?;
    b.define_slots(op, 0, slots);
    Ok(())
}

fn convert<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let wide_exponent = name.contains("bf8");
    let wave = |op: WaveOp| Op::Wave(Box::new(op));
    let int = |name: &str| op.int(name).unwrap_or(0);
    match name {
        "cvt.pk.fp8.f32" | "cvt.pk.bf8.f32" => {
            let high = op.flag("wordSel");
            plain(b, op, wave(WaveOp::ToFp8 { wide_exponent, high }), &[0, 1, 2])
        }
        "cvt.f32.fp8" | "cvt.f32.bf8" => {
            let first = int("byteSel").clamp(0, 3) as u8;
            plain(b, op, wave(WaveOp::FromFp8 { wide_exponent, first }), &[0])
        }
        "cvt.pk.f32.fp8" | "cvt.pk.f32.bf8" => {
            let first = 2 * u8::from(op.flag("wordSel"));
            plain(b, op, wave(WaveOp::FromFp8 { wide_exponent, first }), &[0])
        }
        "cvt.pkrtz" => by_name(b, op, name),
        _ => match name.strip_prefix("cvt.scalef32.pk.") {
            Some(rest) => scaled(b, op, rest),
            None => Err("not a conversion that the simulator knows".into()),
        },
    }
}

/// `cvt.scalef32.pk.fp8.f32` and its like: two elements of 8 bits, or of 4.
fn scaled<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let (to, from) = name.split_once('.').ok_or("an unknown conversion")?;
    let narrow = |name: &str| match name {
        "fp8" => Some(Narrow::E4M3),
        "bf8" => Some(Narrow::E5M2),
        "fp4" => Some(Narrow::E2M1),
        _ => None,
    };
    let wide = |name: &str| match name {
        "f32" => Some(Scalar::F32),
        "f16" => Some(Scalar::F16),
        "bf16" => Some(Scalar::BF16),
        _ => None,
    };
    let first = |narrow: Narrow, word: &str| {
        let select = op.int(word).unwrap_or(0).clamp(0, 3) as u8;
        // A pair of fp8 fills half of a word, a pair of fp4 a byte.
        if narrow == Narrow::E2M1 { 2 * select } else { 2 * u8::from(select != 0) }
    };
    match (narrow(to), wide(from), wide(to), narrow(from)) {
        (Some(to), Some(from), _, _) => {
            // Old word, the values, the scale. fp8 results lie in two words of 16 bits.
            let at = first(to, if to == Narrow::E2M1 { "dstSelIndex" } else { "dstLoHiSel" });
            let old = b.value(op, 0)?.clone();
            let bits = super::llvm::element(&old.ty)?.bits();
            let mut src = b.repack(&old.slots, bits, 32)?;
            for index in 1..op.operands.len() {
                src.extend_from_slice(&b.value(op, index)?.slots);
            }
            if src.len() != 4 {
                return Err("two values and a scale expected".into());
            }
            let kind = WaveOp::ToScaled(Scaled { narrow: to, wide: from, first: at });
            let word = b.emit_new(Op::Wave(Box::new(kind)), &src);
            packed(b, op, word, 32)
        }
        (_, _, Some(to), Some(from)) => {
            let at = first(from, if from == Narrow::E2M1 { "srcSelIndex" } else { "srcLoHiSel" });
            let kind = WaveOp::FromScaled(Scaled { narrow: from, wide: to, first: at });
            plain(b, op, Op::Wave(Box::new(kind)), &[0, 1])
        }
        _ => Err("not a conversion that the simulator knows".into()),
    }
}
