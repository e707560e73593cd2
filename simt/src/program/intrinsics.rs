//! `llvm.intr.*` and target-independent intrinsics by name.

use super::build::{Builder, Lowered};
use super::inst::{Bin, Op, Ter, Un};
use super::llvm::{FMA, element, elementwise};
use crate::text::{self, Scalar};

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    if let Some(bin) = binary(name) {
        return elementwise(b, op, Op::Bin(bin, Scalar::F32));
    }
    if let Some(un) = unary(name) {
        return elementwise(b, op, Op::Un(un, Scalar::F32, false));
    }
    if let Some(kind) = name.strip_prefix("vector.reduce.") {
        return reduce(b, op, kind);
    }
    match name {
        "fma" | "fmuladd" => elementwise(b, op, FMA),
        "fshl" => elementwise(b, op, Op::Ter(Ter::FshL, Scalar::Int(32))),
        "fshr" => elementwise(b, op, Op::Ter(Ter::FshR, Scalar::Int(32))),
        // Hints and debug information.
        "assume"
        | "lifetime.start"
        | "lifetime.end"
        | "dbg.value"
        | "dbg.declare"
        | "experimental.noalias.scope.decl"
        | "donothing" => Ok(()),
        "expect" | "expect.with.probability" | "ssa.copy" => {
            let slots = b.value(op, 0)?.slots.clone();
            b.define_slots(op, 0, slots);
            Ok(())
        }
        "trap" | "debugtrap" | "ubsantrap" => {
            b.emit(Op::Trap, &[], &[]);
            Ok(())
        }
        "sadd.with.overflow" | "uadd.with.overflow" | "smul.with.overflow" | "umul.with.overflow"
        | "is.fpclass" | "powi" => Err("not an intrinsic that the simulator knows".into()),
        _ => Err(format!("intrinsic {name}: not one that the simulator knows")),
    }
}

fn binary(name: &str) -> Option<Bin> {
    Some(match name {
        "smax" => Bin::SMax,
        "smin" => Bin::SMin,
        "umax" => Bin::UMax,
        "umin" => Bin::UMin,
        "maximum" => Bin::Maximum,
        "minimum" => Bin::Minimum,
        "maxnum" | "maximumnum" => Bin::MaxNum,
        "minnum" | "minimumnum" => Bin::MinNum,
        "copysign" => Bin::CopySign,
        "pow" => Bin::Pow,
        "usub.sat" => Bin::USubSat,
        "uadd.sat" => Bin::UAddSat,
        "sadd.sat" => Bin::SAddSat,
        "ssub.sat" => Bin::SSubSat,
        _ => return None,
    })
}

fn unary(name: &str) -> Option<Un> {
    Some(match name {
        "fabs" => Un::FAbs,
        "sqrt" => Un::Sqrt,
        "exp" => Un::Exp,
        "exp2" => Un::Exp2,
        "log" => Un::Log,
        "log2" => Un::Log2,
        "log10" => Un::Log10,
        "sin" => Un::Sin,
        "cos" => Un::Cos,
        "tanh" => Un::Tanh,
        "floor" => Un::Floor,
        "ceil" => Un::Ceil,
        "trunc" => Un::Trunc,
        "rint" | "nearbyint" | "roundeven" => Un::RoundEven,
        "round" => Un::Round,
        "abs" => Un::Abs,
        "ctpop" => Un::Ctpop,
        "ctlz" => Un::Ctlz,
        "cttz" => Un::Cttz,
        "bitreverse" => Un::BitReverse,
        "bswap" => Un::ByteSwap,
        _ => return None,
    })
}

fn reduce<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, kind: &str) -> Lowered<()> {
    let bin = match kind {
        "add" => Bin::Add,
        "mul" => Bin::Mul,
        "and" => Bin::And,
        "or" => Bin::Or,
        "xor" => Bin::Xor,
        "smax" => Bin::SMax,
        "smin" => Bin::SMin,
        "umax" => Bin::UMax,
        "umin" => Bin::UMin,
        "fadd" => Bin::FAdd,
        "fmul" => Bin::FMul,
        "fmax" => Bin::MaxNum,
        "fmin" => Bin::MinNum,
        "fmaximum" => Bin::Maximum,
        "fminimum" => Bin::Minimum,
        _ => return Err("not a reduction that the simulator knows".into()),
    };
    let started = matches!(kind, "fadd" | "fmul");
    let vector = usize::from(started);
    let ty = element(&b.value(op, vector)?.ty)?;
    let lanes = b.value(op, vector)?.slots.clone();
    let mut lanes = lanes.into_iter();
    let mut sum = if started { b.scalar(op, 0)?.0 } else { lanes.next().ok_or("an empty vector")? };
    for lane in lanes {
        sum = b.emit_new(Op::Bin(bin, ty), &[sum, lane]);
    }
    b.define_slots(op, 0, vec![sum]);
    Ok(())
}
