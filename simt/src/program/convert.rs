//! Packed conversions.

use super::build::{Builder, Lowered};
use super::inst::{Cast, Op, Un};
use crate::float::Fp8;
use crate::text::{self, Attr, Scalar, Type};

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    if op.flag("relu") {
        return Err("relu".into());
    }
    let rounding = op.case("rnd").unwrap_or("rn");
    match name {
        "convert.f32x2.to.bf16x2" => nearest(rounding).and_then(|()| pair(b, op, Scalar::BF16)),
        "convert.f32x2.to.f16x2" => nearest(rounding).and_then(|()| pair(b, op, Scalar::F16)),
        "convert.f32x2.to.f8x2" => {
            nearest(rounding)?;
            let format = fp8(op, "dstTy")?;
            let (high, low) = (b.scalar(op, 0)?.0, b.scalar(op, 1)?.0);
            let word = b.emit_new(Op::ToFp8(format), &[high, low]);
            define_packed(b, op, word, 16)
        }
        "convert.f16x2.to.f8x2" | "convert.bf16x2.to.f8x2" => {
            nearest(rounding)?;
            let format = fp8(op, "dstTy")?;
            let from = if name.starts_with("convert.f16") { Scalar::F16 } else { Scalar::BF16 };
            let source = b.value(op, 0)?.clone();
            let bits = super::llvm::element(&source.ty)?.bits();
            let halves = b.repack(&source.slots, bits, 16)?;
            let [low, high] = halves[..] else { return Err("a pair".into()) };
            let high = b.emit_new(Op::Cast(Cast::FpExt, from, Scalar::F32), &[high]);
            let low = b.emit_new(Op::Cast(Cast::FpExt, from, Scalar::F32), &[low]);
            let word = b.emit_new(Op::ToFp8(format), &[high, low]);
            define_packed(b, op, word, 16)
        }
        "convert.f8x2.to.f16x2" => {
            let format = fp8(op, "srcType")?;
            let source = b.value(op, 0)?.clone();
            let bits = super::llvm::element(&source.ty)?.bits();
            let bytes = b.repack(&source.slots, bits, 8)?;
            let halves: Vec<_> = bytes
                .iter()
                .map(|&byte| b.emit_new(Op::Un(Un::FromFp8(format), Scalar::F16, false), &[byte]))
                .collect();
            define_halves(b, op, &halves)
        }
        "convert.float.to.tf32" => {
            let un = match rounding {
                "rna" => Un::Tf32Away,
                "rn" => Un::Tf32Even,
                _ => return Err("a rounding other than rn and rna".into()),
            };
            super::nvvm::plain(b, op, Op::Un(un, Scalar::F32, false), &[0])
        }
        _ => Err("not a conversion that the simulator knows".into()),
    }
}

fn nearest(rounding: &str) -> Lowered<()> {
    if rounding == "rn" { Ok(()) } else { Err(format!("rounding {rounding}")) }
}

/// `llvm.nvvm.ff2bf16x2.rn` and `ff2f16x2.rn`: high, low.
pub(super) fn pair_by_name<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    pair(b, op, if name.contains("bf16") { Scalar::BF16 } else { Scalar::F16 })
}

/// The manual puts the first operand into the upper half.
fn pair<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, to: Scalar) -> Lowered<()> {
    let (high, low) = (b.scalar(op, 0)?.0, b.scalar(op, 1)?.0);
    let low = b.emit_new(Op::Cast(Cast::FpTrunc, Scalar::F32, to), &[low]);
    let high = b.emit_new(Op::Cast(Cast::FpTrunc, Scalar::F32, to), &[high]);
    define_halves(b, op, &[low, high])
}

fn define_halves<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, halves: &[u32]) -> Lowered<()> {
    let bits = super::llvm::element(op.result_types.first().ok_or("no result")?)?.bits();
    let slots = b.repack(halves, 16, bits)?;
    b.define_slots(op, 0, slots);
    Ok(())
}

fn define_packed<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, word: u32, from: u32) -> Lowered<()> {
    let bits = super::llvm::element(op.result_types.first().ok_or("no result")?)?.bits();
    let slots = b.repack(&[word], from, bits)?;
    b.define_slots(op, 0, slots);
    Ok(())
}

fn fp8(op: &text::Op, name: &str) -> Lowered<Fp8> {
    match op.attr(name) {
        Some(Attr::Type(Type::Other(text))) if text == "f8E4M3FN" => Ok(Fp8::E4M3),
        Some(Attr::Type(Type::Other(text))) if text == "f8E5M2" => Ok(Fp8::E5M2),
        _ => Err("a format other than e4m3 and e5m2".into()),
    }
}
