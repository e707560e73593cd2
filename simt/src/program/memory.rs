//! Loads, stores, atomics, addresses.

use super::build::{Builder, LOCAL_BASE, Lowered};
use super::inst::{Access, Op, Order, Piece, RedOp};
use super::llvm::element;
use crate::text::{self, Attr, Scalar, Type};

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    match name {
        "load" => {
            let (address, ty) = b.scalar(op, 0)?;
            let access = access(op, ty, op.result_types.first().ok_or("no result")?)?;
            let results = b.result(op, 0)?;
            b.emit(Op::Load(access), &[address], &results);
            Ok(())
        }
        "store" => {
            let (address, ty) = b.scalar(op, 1)?;
            let value = b.value(op, 0)?;
            let access = access(op, ty, &value.ty)?;
            let mut src = vec![address];
            src.extend_from_slice(&value.slots);
            b.emit(Op::Store(access), &src, &[]);
            Ok(())
        }
        "getelementptr" => gep(b, op),
        "alloca" => {
            let Some(Attr::Type(ty)) = op.attr("elem_type") else { return Err("no element type".into()) };
            let count = b.scalar(op, 0)?.0;
            let count = b.known(count).ok_or("a local array of run-time length")?;
            let align = op.int("alignment").unwrap_or(0).max(ty.align() as i64).clamp(1, 4096) as u64;
            let at = b.code.local_bytes.next_multiple_of(align.next_power_of_two());
            b.code.local_bytes = at.saturating_add(ty.size().saturating_mul(count));
            if b.code.local_bytes > 1 << 20 {
                return Err("more than 1 MiB of local memory".into());
            }
            let slot = b.constant(LOCAL_BASE + at);
            b.define_slots(op, 0, vec![slot]);
            Ok(())
        }
        "addrspacecast" => {
            let (slot, from) = b.scalar(op, 0)?;
            let to = element(op.result_types.first().ok_or("no result")?)?;
            let (Scalar::Ptr(from), Scalar::Ptr(to)) = (from, to) else { return Err("not a pointer".into()) };
            let result = b.emit_new(Op::SpaceCast { from, to }, &[slot]);
            b.define_slots(op, 0, vec![result]);
            Ok(())
        }
        "atomicrmw" => {
            let (address, pointer) = b.scalar(op, 0)?;
            let ty = element(&b.value(op, 1)?.ty)?;
            let mut src = vec![address];
            src.extend_from_slice(&b.value(op, 1)?.slots);
            let red = rmw(op.int("bin_op").ok_or("no operation")?)?;
            let order = order(op.int("ordering").unwrap_or(2));
            let lanes = (src.len() - 1) as u8;
            let results = b.result(op, 0)?;
            b.emit(Op::Atomic { op: red, ty, space: space(pointer)?, order, lanes }, &src, &results);
            Ok(())
        }
        "cmpxchg" => {
            let (address, pointer) = b.scalar(op, 0)?;
            let (compare, ty) = b.scalar(op, 1)?;
            let (new, _) = b.scalar(op, 2)?;
            let order = order(op.int("success_ordering").unwrap_or(2));
            let kind = Op::Atomic { op: RedOp::Cas, ty, space: space(pointer)?, order, lanes: 1 };
            let old = b.emit_new(kind, &[address, compare, new]);
            let same = b.emit_new(Op::ICmp(0, ty), &[old, compare]);
            b.define_slots(op, 0, vec![old, same]);
            Ok(())
        }
        _ => {
            let order = order(op.int("ordering").unwrap_or(7));
            b.emit(Op::Fence(order), &[], &[]);
            Ok(())
        }
    }
}

/// The address space of a pointer.
pub(super) fn space(ty: Scalar) -> Lowered<u8> {
    match ty {
        Scalar::Ptr(space) => Ok(space),
        _ => Err("expected a pointer".into()),
    }
}

/// LLVM's numbers of atomic orderings.
pub(super) fn order(number: i64) -> Order {
    match number {
        0 => Order::Plain,
        1 | 2 => Order::Relaxed,
        4 => Order::Acquire,
        5 => Order::Release,
        _ => Order::AcqRel,
    }
}

pub(super) fn access(op: &text::Op, pointer: Scalar, ty: &Type) -> Lowered<Access> {
    let scalars = ty.scalars().ok_or("a value of a type that does not lie in memory")?;
    let pieces = scalars.into_iter().map(|(offset, ty)| Piece { offset: offset as u32, ty }).collect();
    let align = match op.int("alignment") {
        Some(align) if align > 0 => align.min(4096) as u32,
        _ => ty.align().max(1) as u32,
    };
    let volatile = op.flag("volatile_");
    let order = match order(op.int("ordering").unwrap_or(0)) {
        Order::Plain if volatile => Order::Relaxed,
        order => order,
    };
    Ok(Access { space: space(pointer)?, bytes: ty.size() as u32, align, order, pieces })
}

fn gep<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    const DYNAMIC: i64 = i32::MIN as i64;
    let Some(Attr::Type(first)) = op.attr("elem_type") else { return Err("no element type".into()) };
    let constants = op.attr("rawConstantIndices").and_then(Attr::ints).ok_or("no indices")?;
    let (base, _) = b.scalar(op, 0)?;
    let mut src = vec![base];
    let mut terms = Vec::new();
    let mut offset = 0i64;
    let mut operand = 1;
    let mut ty: &Type = first;
    for (level, &constant) in constants.iter().enumerate() {
        let mut known = (constant != DYNAMIC).then_some(constant);
        let mut dynamic = None;
        if known.is_none() {
            let (slot, index) = b.scalar(op, operand)?;
            operand += 1;
            let bits = index.bits();
            match b.known(slot) {
                Some(value) if bits <= 64 => {
                    known = Some((value << (64 - bits)) as i64 >> (64 - bits));
                }
                _ => dynamic = Some((slot, bits as u8)),
            }
        }
        let scale = if level == 0 {
            ty.size()
        } else {
            match ty {
                Type::Array(_, inner) => {
                    ty = inner;
                    inner.size()
                }
                Type::Vector(_, scalar) => {
                    let size = u64::from(scalar.bits().div_ceil(8));
                    ty = match scalar {
                        Scalar::F16 => &Type::Scalar(Scalar::F16),
                        Scalar::BF16 => &Type::Scalar(Scalar::BF16),
                        Scalar::F32 => &Type::Scalar(Scalar::F32),
                        _ => &Type::Void, // nothing may follow
                    };
                    size
                }
                Type::Struct { fields, .. } => {
                    let index = known
                        .and_then(|index| usize::try_from(index).ok())
                        .ok_or("a struct field at run time")?;
                    offset = offset.wrapping_add(*ty.fields().0.get(index).ok_or("no such field")? as i64);
                    ty = fields.get(index).ok_or("no such field")?;
                    continue;
                }
                _ => return Err("an index into a scalar".into()),
            }
        } as i64;
        match (known, dynamic) {
            (Some(index), _) => offset = offset.wrapping_add(index.wrapping_mul(scale)),
            (None, Some((slot, bits))) => {
                src.push(slot);
                terms.push((scale, bits));
            }
            (None, None) => return Err("an index is missing".into()),
        }
    }
    let result = if terms.is_empty() && b.known(base).is_some() {
        let address = b.known(base).unwrap_or(0).wrapping_add(offset as u64);
        b.constant(address)
    } else {
        b.emit_new(Op::Gep { offset, terms: terms.into() }, &src)
    };
    b.define_slots(op, 0, vec![result]);
    Ok(())
}

/// LLVM's `AtomicBinOp`.
fn rmw(number: i64) -> Lowered<RedOp> {
    Ok(match number {
        0 => RedOp::Xchg,
        1 | 11 => RedOp::Add,
        2 | 12 => RedOp::Sub,
        3 => RedOp::And,
        4 => RedOp::Nand,
        5 => RedOp::Or,
        6 => RedOp::Xor,
        7 | 13 => RedOp::Max,
        8 | 14 => RedOp::Min,
        9 => RedOp::UMax,
        10 => RedOp::UMin,
        15 => RedOp::Inc,
        16 => RedOp::Dec,
        _ => return Err("not an atomic operation that the simulator knows".into()),
    })
}
