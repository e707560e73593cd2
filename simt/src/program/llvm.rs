//! The `llvm` dialect: arithmetic, control flow, aggregates.

use super::build::{Builder, Lowered};
use super::inst::{Bin, Cast, Op, Ter, Un};
use crate::text::{self, Attr, Scalar, Type};

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let name = op.name.as_str();
    if name.starts_with("nvvm.") {
        return super::nvvm::lower(b, op);
    }
    if let Some(short) = name.strip_prefix("rocdl.") {
        return super::rocdl::lower(b, op, short);
    }
    let Some(short) = name.strip_prefix("llvm.") else {
        return Err("an operation of another dialect".into());
    };
    if let Some(bin) = binary(short) {
        return elementwise(b, op, Op::Bin(bin, Scalar::Int(1)));
    }
    if let Some(intrinsic) = short.strip_prefix("intr.") {
        return super::intrinsics::lower(b, op, intrinsic);
    }
    match short {
        "fneg" => elementwise(b, op, Op::Un(Un::FNeg, Scalar::F32, false)),
        "freeze" => freeze(b, op),
        "icmp" | "fcmp" => {
            let predicate = op.int("predicate").ok_or("no predicate")? as u8;
            let make = if short == "icmp" { Op::ICmp } else { Op::FCmp };
            elementwise(b, op, make(predicate, Scalar::F32))
        }
        "select" => select(b, op),
        "trunc" => cast(b, op, Cast::Trunc),
        "zext" => cast(b, op, Cast::ZExt),
        "sext" => cast(b, op, Cast::SExt),
        "fptrunc" => cast(b, op, Cast::FpTrunc),
        "fpext" => cast(b, op, Cast::FpExt),
        "fptosi" => cast(b, op, Cast::FpToS),
        "fptoui" => cast(b, op, Cast::FpToU),
        "sitofp" => cast(b, op, Cast::SToFp),
        "uitofp" => cast(b, op, Cast::UToFp),
        "ptrtoint" | "inttoptr" => cast(b, op, Cast::Trunc),
        "bitcast" => bitcast(b, op),
        "mlir.constant" => constant(b, op),
        "mlir.zero" => fill(b, op, |b| b.constant(0)),
        "mlir.undef" | "mlir.poison" => fill(b, op, |b| b.poison()),
        "mlir.addressof" => {
            let name = op.text("global_name").ok_or("no symbol")?;
            let address = *b.symbols.addresses.get(name).ok_or_else(|| format!("unknown symbol @{name}"))?;
            let slot = b.constant(address);
            b.define_slots(op, 0, vec![slot]);
            Ok(())
        }
        "extractvalue" => {
            let value = b.value(op, 0)?;
            let (start, length) = position(&value.ty, op)?;
            let slots = value.slots[start..start + length].to_vec();
            b.define_slots(op, 0, slots);
            Ok(())
        }
        "insertvalue" => {
            let (start, length) = position(&b.value(op, 0)?.ty, op)?;
            let mut slots = b.value(op, 0)?.slots.clone();
            let part = b.value(op, 1)?.slots.clone();
            if part.len() != length {
                return Err("a part of another size".into());
            }
            slots[start..start + length].copy_from_slice(&part);
            b.define_slots(op, 0, slots);
            Ok(())
        }
        "extractelement" => extract_element(b, op),
        "insertelement" => insert_element(b, op),
        "shufflevector" => {
            let mut lanes = b.value(op, 0)?.slots.clone();
            lanes.extend_from_slice(&b.value(op, 1)?.slots);
            let mask = op.attr("mask").and_then(Attr::ints).ok_or("no mask")?.to_vec();
            let mut slots = Vec::with_capacity(mask.len());
            for index in mask {
                slots.push(match usize::try_from(index) {
                    Ok(index) => *lanes.get(index).ok_or("a mask out of range")?,
                    Err(_) => b.poison(),
                });
            }
            b.define_slots(op, 0, slots);
            Ok(())
        }
        "br" => {
            let edge = b.edge(op, 0, 0..op.operands.len())?;
            b.emit(Op::Jump(edge), &[], &[]);
            Ok(())
        }
        "cond_br" => {
            let (condition, _) = b.scalar(op, 0)?;
            let segments = op.segments().filter(|s| s.len() == 3).ok_or("no operand segments")?;
            let yes = b.edge(op, 0, segments[1].clone())?;
            let no = b.edge(op, 1, segments[2].clone())?;
            b.emit(Op::Branch { yes, no }, &[condition], &[]);
            Ok(())
        }
        "switch" => switch(b, op),
        "return" => {
            b.emit(Op::Return, &[], &[]);
            Ok(())
        }
        "unreachable" => {
            b.emit(Op::Trap, &[], &[]);
            Ok(())
        }
        "load" | "store" | "getelementptr" | "alloca" | "addrspacecast" | "atomicrmw" | "cmpxchg"
        | "fence" => super::memory::lower(b, op, short),
        "inline_asm" => super::asm::lower(b, op),
        "call_intrinsic" => {
            let name = op.text("intrin").ok_or("no name")?;
            match (name.strip_prefix("llvm.nvvm."), name.strip_prefix("llvm.amdgcn.")) {
                (Some(short), _) => super::nvvm::intrinsic(b, op, short),
                (_, Some(short)) => super::rocdl::intrinsic(b, op, short),
                _ => {
                    let short = name.strip_prefix("llvm.").unwrap_or(name);
                    // Overload suffixes (`.f32`, `.v2f16`) say nothing that the types do not.
                    let short = short.split_once('.').map_or(short, |(head, _)| head);
                    super::intrinsics::lower(b, op, short)
                }
            }
        }
        _ => Err("not an operation that the simulator knows".into()),
    }
}

fn binary(name: &str) -> Option<Bin> {
    Some(match name {
        "add" => Bin::Add,
        "sub" => Bin::Sub,
        "mul" => Bin::Mul,
        "udiv" => Bin::UDiv,
        "sdiv" => Bin::SDiv,
        "urem" => Bin::URem,
        "srem" => Bin::SRem,
        "and" => Bin::And,
        "or" => Bin::Or,
        "xor" => Bin::Xor,
        "shl" => Bin::Shl,
        "lshr" => Bin::LShr,
        "ashr" => Bin::AShr,
        "fadd" => Bin::FAdd,
        "fsub" => Bin::FSub,
        "fmul" => Bin::FMul,
        "fdiv" => Bin::FDiv,
        "frem" => Bin::FRem,
        _ => return None,
    })
}

/// The element type of a scalar or vector.
pub(super) fn element(ty: &Type) -> Lowered<Scalar> {
    match ty {
        Type::Scalar(scalar) | Type::Vector(_, scalar) => Ok(*scalar),
        other => Err(format!("expected a scalar or a vector, found {other:?}")),
    }
}

/// The same instruction for each element, its type taken from the first operand.
pub(super) fn elementwise<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, with: Op) -> Lowered<()> {
    let ty = element(&b.value(op, 0)?.ty)?;
    let with = match with {
        Op::Bin(bin, _) => Op::Bin(bin, ty),
        Op::Un(un, _, ftz) => Op::Un(un, ty, ftz),
        Op::Ter(ter, _) => Op::Ter(ter, ty),
        Op::ICmp(predicate, _) => Op::ICmp(predicate, ty),
        Op::FCmp(predicate, _) => Op::FCmp(predicate, ty),
        other => other,
    };
    let count = b.value(op, 0)?.slots.len();
    let arity = match with {
        Op::Un(..) => 1,
        Op::Ter(..) => 3,
        _ => 2,
    };
    let mut operands = Vec::with_capacity(arity);
    for index in 0..arity {
        let slots = b.value(op, index)?.slots.clone();
        if slots.len() != count {
            return Err("operands of different shapes".into());
        }
        operands.push(slots);
    }
    let results = b.result(op, 0)?;
    if results.len() != count {
        return Err("a result of another shape".into());
    }
    for lane in 0..count {
        let src: Vec<_> = operands.iter().map(|slots| slots[lane]).collect();
        b.emit(with.clone(), &src, &[results[lane]]);
    }
    Ok(())
}

fn freeze<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let slots = b.value(op, 0)?.slots.clone();
    let results = b.result(op, 0)?;
    for (from, to) in slots.iter().zip(results) {
        b.emit(Op::Un(Un::Copy, Scalar::Int(64), true), &[*from], &[to]);
    }
    Ok(())
}

fn select<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let conditions = b.value(op, 0)?.slots.clone();
    let (yes, no) = (b.value(op, 1)?.slots.clone(), b.value(op, 2)?.slots.clone());
    let results = b.result(op, 0)?;
    if yes.len() != results.len() || no.len() != results.len() {
        return Err("operands of different shapes".into());
    }
    for (lane, &to) in results.iter().enumerate() {
        let condition =
            if conditions.len() == 1 { conditions[0] } else { *conditions.get(lane).ok_or("shapes")? };
        b.emit(Op::Select, &[condition, yes[lane], no[lane]], &[to]);
    }
    Ok(())
}

fn cast<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, cast: Cast) -> Lowered<()> {
    let from = element(&b.value(op, 0)?.ty)?;
    let to = element(op.result_types.first().ok_or("no result")?)?;
    let slots = b.value(op, 0)?.slots.clone();
    let results = b.result(op, 0)?;
    if slots.len() != results.len() {
        return Err("operands of different shapes".into());
    }
    for (from_slot, to_slot) in slots.into_iter().zip(results) {
        b.emit(Op::Cast(cast, from, to), &[from_slot], &[to_slot]);
    }
    Ok(())
}

fn bitcast<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let from = element(&b.value(op, 0)?.ty)?.bits();
    let to = element(op.result_types.first().ok_or("no result")?)?.bits();
    let slots = b.value(op, 0)?.slots.clone();
    let slots = b.repack(&slots, from, to)?;
    b.define_slots(op, 0, slots);
    Ok(())
}

impl Builder<'_, '_> {
    /// The same bits in words of `to` bits: joins or splits words of `from` bits, low parts first.
    pub(super) fn repack(&mut self, slots: &[u32], from: u32, to: u32) -> Lowered<Vec<u32>> {
        if from == to {
            return Ok(slots.to_vec());
        }
        let mut out = Vec::new();
        if from < to {
            let group = (to / from) as usize;
            if !to.is_multiple_of(from) || !slots.len().is_multiple_of(group) {
                return Err("a bitcast between shapes that do not divide".into());
            }
            for words in slots.chunks(group) {
                out.push(self.emit_new(Op::Pack { bits: from as u8 }, words));
            }
        } else {
            if !from.is_multiple_of(to) {
                return Err("a bitcast between shapes that do not divide".into());
            }
            for &word in slots {
                let parts = self.slots((from / to) as usize);
                self.emit(Op::Unpack { bits: to as u8 }, &[word], &parts);
                out.extend(parts);
            }
        }
        Ok(out)
    }
}

fn constant<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let ty = op.result_types.first().ok_or("no result")?;
    let parts = ty.parts().ok_or("a constant that is not a value")?;
    let mut bits = Vec::with_capacity(parts.len());
    match op.attr("value").ok_or("no value")? {
        Attr::Dense(elements, _) => {
            for index in 0..parts.len() {
                let element = if elements.len() == 1 { elements.first() } else { elements.get(index) };
                bits.push(*element.ok_or("too few elements")?);
            }
        }
        Attr::List(items) => {
            for item in items {
                bits.push(number(item).ok_or("an element that is not a number")?);
            }
        }
        other => bits.push(number(other).ok_or("a value that is not a number")?),
    }
    if bits.len() != parts.len() {
        return Err("a constant of another shape".into());
    }
    let slots = bits
        .into_iter()
        .zip(&parts)
        .map(|(bits, scalar)| {
            let width = scalar.bits();
            b.constant(if width == 64 { bits } else { bits & ((1 << width) - 1) })
        })
        .collect();
    b.define_slots(op, 0, slots);
    Ok(())
}

fn number(attr: &Attr) -> Option<u64> {
    match attr {
        Attr::Float(bits, _) => Some(*bits),
        other => other.int().map(|value| value as u64),
    }
}

fn fill<'m>(
    b: &mut Builder<'m, '_>,
    op: &'m text::Op,
    with: impl Fn(&mut Builder<'m, '_>) -> u32,
) -> Lowered<()> {
    let parts = op.result_types.first().and_then(Type::parts).ok_or("a result that is not a value")?;
    let slot = with(b);
    b.define_slots(op, 0, vec![slot; parts.len()]);
    Ok(())
}

/// Which slots of an aggregate `position` names: first and count.
fn position(ty: &Type, op: &text::Op) -> Lowered<(usize, usize)> {
    let mut ty = ty;
    let mut start = 0;
    for &index in op.attr("position").and_then(Attr::ints).ok_or("no position")? {
        let index = usize::try_from(index).map_err(|_| "a negative position")?;
        let count = |ty: &Type| ty.parts().map(|parts| parts.len()).ok_or("a part that is not a value");
        match ty {
            Type::Struct { fields, .. } => {
                for field in fields.get(..index).ok_or("a position out of range")? {
                    start += count(field)?;
                }
                ty = fields.get(index).ok_or("a position out of range")?;
            }
            Type::Array(length, inner) if (index as u64) < *length => {
                start += index * count(inner)?;
                ty = inner;
            }
            _ => return Err("a position out of range".into()),
        }
    }
    Ok((start, ty.parts().ok_or("a part that is not a value")?.len()))
}

fn extract_element<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let lanes = b.value(op, 0)?.slots.clone();
    let (index, _) = b.scalar(op, 1)?;
    if let Some(known) = b.known(index) {
        let slot = *lanes.get(known as usize).ok_or("an index out of range")?;
        b.define_slots(op, 0, vec![slot]);
        return Ok(());
    }
    let mut chosen = b.poison();
    for (lane, &slot) in lanes.iter().enumerate() {
        let number = b.constant(lane as u64);
        let here = b.emit_new(Op::ICmp(0, Scalar::Int(32)), &[index, number]);
        chosen = b.emit_new(Op::Select, &[here, slot, chosen]);
    }
    b.define_slots(op, 0, vec![chosen]);
    Ok(())
}

fn insert_element<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let mut lanes = b.value(op, 0)?.slots.clone();
    let part = *b.value(op, 1)?.slots.first().ok_or("no element")?;
    let (index, _) = b.scalar(op, 2)?;
    if let Some(known) = b.known(index) {
        *lanes.get_mut(known as usize).ok_or("an index out of range")? = part;
    } else {
        for (lane, slot) in lanes.iter_mut().enumerate() {
            let number = b.constant(lane as u64);
            let here = b.emit_new(Op::ICmp(0, Scalar::Int(32)), &[index, number]);
            *slot = b.emit_new(Op::Select, &[here, part, *slot]);
        }
    }
    b.define_slots(op, 0, lanes);
    Ok(())
}

fn switch<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let (value, _) = b.scalar(op, 0)?;
    let segments = op.segments().filter(|s| s.len() == 3).ok_or("no operand segments")?;
    let default = b.edge(op, 0, segments[1].clone())?;
    let values = match op.attr("case_values") {
        Some(Attr::Dense(values, ty)) => {
            let count = match ty {
                Type::Vector(count, _) => *count as usize,
                _ => 1,
            };
            if values.len() == 1 { vec![values[0]; count] } else { values.clone() }
        }
        None => Vec::new(),
        Some(_) => return Err("case values of an unknown form".into()),
    };
    let sizes = op.attr("case_operand_segments").and_then(Attr::ints).unwrap_or_default().to_vec();
    let mut at = segments[2].start;
    let mut cases = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let size = sizes.get(index).map_or(0, |&size| size.max(0) as usize);
        cases.push((value, b.edge(op, index + 1, at..at + size)?));
        at += size;
    }
    b.emit(Op::Switch { cases: cases.into(), default }, &[value], &[]);
    Ok(())
}

/// `a * b + c`, rounded once.
pub(super) const FMA: Op = Op::Ter(Ter::Fma, Scalar::F32);
