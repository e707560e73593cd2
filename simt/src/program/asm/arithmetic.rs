//! Arithmetic, comparisons, conversions and moves in inline PTX.

use super::super::build::{Builder, Lowered};
use super::super::inst::{Bin, Cast, Op, Slot, Ter, Un};
use super::{Operand, Registers, Statement, scalar};
use crate::float::Fp8;
use crate::text::Scalar;

/// Translates a statement; false when it is not in the table.
pub(super) fn translate(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement) -> Lowered<bool> {
    let parts: Vec<&str> = s.opcode.split('.').collect();
    let last = parts.last().copied().unwrap_or_default();
    let [to, sources @ ..] = &s.operands[..] else { return Ok(false) };
    match parts[0] {
        "setp" => {
            let ty = scalar(last).ok_or("an unknown type")?;
            let [x, y] = read::<2>(b, r, sources)?;
            let signed = last.starts_with('s');
            let op = compare(parts.get(1).copied().unwrap_or_default(), ty, signed)
                .ok_or("an unknown comparison")?;
            let slot = b.emit_new(op, &[x, y]);
            let Operand::Name(name) = to else { return Err("a result that is not a register".into()) };
            let (name, inverse) = name.split_once('|').map_or((name.as_str(), None), |(p, q)| (p, Some(q)));
            r.write(&Operand::Name(name.to_owned()), slot)?;
            if let Some(inverse) = inverse {
                let one = b.constant(1);
                let not = b.emit_new(Op::Bin(Bin::Xor, Scalar::Int(1)), &[slot, one]);
                r.write(&Operand::Name(inverse.to_owned()), not)?;
            }
            return Ok(true);
        }
        "selp" => {
            let [x, y, condition] = read::<3>(b, r, sources)?;
            let slot = b.emit_new(Op::Select, &[condition, x, y]);
            r.write(to, slot)?;
            return Ok(true);
        }
        "mov" => {
            mov(b, r, to, sources.first().ok_or("too few operands")?, last)?;
            return Ok(true);
        }
        "cvt" => {
            let slot = convert(b, r, &parts, sources)?;
            r.write(to, slot)?;
            return Ok(true);
        }
        "createpolicy" => {
            // A cache policy has no effect on results.
            let slot = b.constant(0);
            r.write(to, slot)?;
            return Ok(true);
        }
        _ => {}
    }
    let paired = matches!(last, "f16x2" | "bf16x2");
    let ty = match last {
        "f16x2" => Scalar::F16,
        "bf16x2" => Scalar::BF16,
        other => match scalar(other) {
            Some(ty) => ty,
            None => return Ok(false),
        },
    };
    let Some(op) = operation(&parts, last, ty, sources) else { return Ok(false) };
    let mut src = Vec::new();
    for source in sources {
        src.push(r.read(b, source)?);
    }
    if let Op::Ter(Ter::Lop3(_), _) = op {
        src.truncate(3);
    }
    let slot = if paired {
        let mut halves = [Vec::new(), Vec::new()];
        for &word in &src {
            let parts = b.repack(&[word], 32, 16)?;
            halves[0].push(parts[0]);
            halves[1].push(parts[1]);
        }
        let [low, high] = halves.map(|src| b.emit_new(op.clone(), &src));
        b.repack(&[low, high], 16, 32)?[0]
    } else {
        b.emit_new(op, &src)
    };
    r.write(to, slot)?;
    Ok(true)
}

fn read<const N: usize>(b: &mut Builder<'_, '_>, r: &Registers, operands: &[Operand]) -> Lowered<[Slot; N]> {
    let slots: Vec<Slot> = operands.iter().map(|operand| r.read(b, operand)).collect::<Lowered<_>>()?;
    slots.try_into().map_err(|_| "another number of operands".to_owned())
}

fn operation(parts: &[&str], last: &str, ty: Scalar, sources: &[Operand]) -> Option<Op> {
    let (float, signed) = (ty.is_float(), last.starts_with('s'));
    let ftz = parts.contains(&"ftz");
    let bin = |bin| Some(Op::Bin(bin, ty));
    let un = |un| Some(Op::Un(un, ty, ftz));
    let nan = parts.contains(&"NaN");
    match (parts[0], sources.len()) {
        ("add", 2) => bin(if float { Bin::FAdd } else { Bin::Add }),
        ("sub", 2) => bin(if float { Bin::FSub } else { Bin::Sub }),
        ("mul", 2) if float => bin(Bin::FMul),
        ("mul", 2) if parts.contains(&"lo") => bin(Bin::Mul),
        ("mul", 2) if parts.contains(&"hi") => bin(if signed { Bin::MulHiS } else { Bin::MulHiU }),
        ("mad", 3) if parts.contains(&"lo") => Some(Op::Ter(Ter::Mad, ty)),
        ("fma", 3) => Some(Op::Ter(Ter::Fma, ty)),
        ("div", 2) => bin(match (float, signed) {
            (true, _) => Bin::FDiv,
            (_, true) => Bin::SDiv,
            _ => Bin::UDiv,
        }),
        ("rem", 2) => bin(if signed { Bin::SRem } else { Bin::URem }),
        ("and", 2) => bin(Bin::And),
        ("or", 2) => bin(Bin::Or),
        ("xor", 2) => bin(Bin::Xor),
        ("shl", 2) => bin(Bin::Shl),
        ("shr", 2) => bin(if signed { Bin::AShr } else { Bin::LShr }),
        ("max", 2) => bin(match (float, nan, signed) {
            (true, true, _) => Bin::Maximum,
            (true, ..) => Bin::MaxNum,
            (_, _, true) => Bin::SMax,
            _ => Bin::UMax,
        }),
        ("min", 2) => bin(match (float, nan, signed) {
            (true, true, _) => Bin::Minimum,
            (true, ..) => Bin::MinNum,
            (_, _, true) => Bin::SMin,
            _ => Bin::UMin,
        }),
        ("neg", 1) if float => un(Un::FNeg),
        ("abs", 1) => un(if float { Un::FAbs } else { Un::Abs }),
        ("ex2", 1) => un(Un::Exp2),
        ("lg2", 1) => un(Un::Log2),
        ("rcp", 1) => un(Un::Rcp),
        ("rsqrt", 1) => un(Un::RSqrt),
        ("sqrt", 1) => un(Un::Sqrt),
        ("sin", 1) => un(Un::Sin),
        ("cos", 1) => un(Un::Cos),
        ("tanh", 1) => un(Un::Tanh),
        ("popc", 1) => un(Un::Ctpop),
        ("clz", 1) => un(Un::Ctlz),
        ("brev", 1) => un(Un::BitReverse),
        ("prmt", 3) => Some(Op::Ter(Ter::Prmt, ty)),
        ("lop3", 4) => match sources[3] {
            Operand::Number(table) => Some(Op::Ter(Ter::Lop3(table as u8), ty)),
            _ => None,
        },
        _ => None,
    }
}

fn compare(name: &str, ty: Scalar, signed: bool) -> Option<Op> {
    if ty.is_float() {
        let predicate = match name {
            "eq" => 1,
            "gt" => 2,
            "ge" => 3,
            "lt" => 4,
            "le" => 5,
            "ne" => 6,
            "neu" => 13,
            "equ" => 8,
            "num" => 7,
            "nan" => 14,
            _ => return None,
        };
        return Some(Op::FCmp(predicate, ty));
    }
    let predicate = match (name, signed) {
        ("eq", _) => 0,
        ("ne", _) => 1,
        ("lt", true) => 2,
        ("le", true) => 3,
        ("gt", true) => 4,
        ("ge", true) => 5,
        ("lt" | "lo", _) => 6,
        ("le" | "ls", _) => 7,
        ("gt" | "hi", _) => 8,
        ("ge" | "hs", _) => 9,
        _ => return None,
    };
    Some(Op::ICmp(predicate, ty))
}

fn mov(b: &mut Builder<'_, '_>, r: &mut Registers, to: &Operand, from: &Operand, ty: &str) -> Lowered<()> {
    let bits = scalar(ty).ok_or("an unknown type")?.bits();
    match (to, from) {
        (Operand::List(parts), _) => {
            let word = r.read(b, from)?;
            let slots = b.repack(&[word], bits, bits / parts.len().max(1) as u32)?;
            r.write_all(to, &slots)
        }
        (_, Operand::List(parts)) => {
            let slots = r.read_all(b, from)?;
            let word = b.repack(&slots, bits / parts.len().max(1) as u32, bits)?;
            r.write_all(to, &word)
        }
        _ => {
            let slot = r.read(b, from)?;
            r.copy(b, to, slot)
        }
    }
}

fn convert(b: &mut Builder<'_, '_>, r: &Registers, parts: &[&str], sources: &[Operand]) -> Lowered<Slot> {
    let [.., to, from] = parts else { return Err("types are missing".into()) };
    let fp8 = |name: &str| match name {
        "e4m3x2" => Some(Fp8::E4M3),
        "e5m2x2" => Some(Fp8::E5M2),
        _ => None,
    };
    if parts.contains(&"relu") {
        return Err("relu".into());
    }
    match (*to, *from) {
        ("bf16x2" | "f16x2", "f32") => {
            let ty = if *to == "f16x2" { Scalar::F16 } else { Scalar::BF16 };
            let halves = read::<2>(b, r, sources)?;
            let [high, low] =
                halves.map(|slot| b.emit_new(Op::Cast(Cast::FpTrunc, Scalar::F32, ty), &[slot]));
            Ok(b.repack(&[low, high], 16, 32)?[0])
        }
        (_, "f32") if fp8(to).is_some() => {
            let src = read::<2>(b, r, sources)?;
            Ok(b.emit_new(Op::ToFp8(fp8(to).unwrap_or(Fp8::E4M3)), &src))
        }
        ("f16x2", _) if fp8(from).is_some() => {
            let [word] = read::<1>(b, r, sources)?;
            let bytes = b.repack(&[word], 16, 8)?;
            let format = fp8(from).unwrap_or(Fp8::E4M3);
            let halves: Vec<Slot> = bytes
                .iter()
                .map(|&byte| b.emit_new(Op::Un(Un::FromFp8(format), Scalar::F16, false), &[byte]))
                .collect();
            Ok(b.repack(&halves, 16, 32)?[0])
        }
        ("tf32", "f32") => {
            let un = if parts.contains(&"rna") { Un::Tf32Away } else { Un::Tf32Even };
            let src = read::<1>(b, r, sources)?;
            Ok(b.emit_new(Op::Un(un, Scalar::F32, false), &src))
        }
        _ => {
            let (Some(to_ty), Some(from_ty)) = (scalar(to), scalar(from)) else {
                return Err("a conversion that the simulator does not know".into());
            };
            let src = read::<1>(b, r, sources)?;
            let rounds_down =
                parts.iter().any(|part| matches!(*part, "rmi" | "rpi" | "rni" | "rm" | "rp" | "rz"));
            let to_zero = parts.contains(&"rzi");
            let cast = match (from_ty.is_float(), to_ty.is_float()) {
                _ if rounds_down => return Err("this rounding".into()),
                (true, true) => Cast::FpTrunc,
                (true, false) if to_zero && to.starts_with('s') => Cast::FpToS,
                (true, false) if to_zero => Cast::FpToU,
                (true, false) => return Err("this rounding".into()),
                (false, true) if from.starts_with('s') => Cast::SToFp,
                (false, true) => Cast::UToFp,
                _ if from.starts_with('s') => Cast::SExt,
                _ => Cast::ZExt,
            };
            Ok(b.emit_new(Op::Cast(cast, from_ty, to_ty), &src))
        }
    }
}
