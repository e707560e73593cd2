//! Memory, atomics, barriers and fences in inline PTX.

use super::super::build::{Builder, Lowered};
use super::super::inst::{Access, Arrive, Op, Order, Piece, RedOp, Slot};
use super::{Operand, Registers, Statement, scalar};
use crate::text::Scalar;

/// Translates a statement; false when it is not in the table.
pub(super) fn translate(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement) -> Lowered<bool> {
    let parts: Vec<&str> = s.opcode.split('.').collect();
    match parts[0] {
        "ld" => load(b, r, s, &parts)?,
        "st" => store(b, r, s, &parts)?,
        "red" | "atom" => atomic(b, r, s, &parts)?,
        "bar" | "barrier" => return barrier(b, r, s, &parts),
        "mbarrier" => return mbarrier(b, r, s, &parts),
        "mapa" => {
            let src = [operand(b, r, s, 1)?, operand(b, r, s, 2)?];
            let from = if s.has("shared::cluster") { 3 } else { 0 };
            let slot = b.emit_new(Op::MapA { from }, &src);
            r.write(&s.operands[0], slot)?;
        }
        "fence" if s.has("proxy") => {
            let op = if parts.iter().any(|part| part.starts_with("async")) {
                Op::FenceProxyAsync
            } else {
                Op::Fence(Order::AcqRel)
            };
            b.emit(op, &[], &[]);
        }
        "fence" if s.has("mbarrier_init") => b.emit(Op::FenceMbarInit, &[], &[]),
        "fence" | "membar" => b.emit(Op::Fence(Order::AcqRel), &[], &[]),
        "cp" => return copies(b, r, s),
        "elect" => {
            let mask = operand(b, r, s, 1)?;
            let slot = b.emit_new(Op::Elect, &[mask]);
            let Operand::Name(names) = &s.operands[0] else { return Err("no predicate".into()) };
            let name = names.rsplit('|').next().unwrap_or(names);
            r.write(&Operand::Name(name.to_owned()), slot)?;
        }
        "setmaxnreg" => {
            let Some(Operand::Number(count)) = s.operands.first() else { return Err("no number".into()) };
            b.emit(Op::SetMaxRegister { registers: (*count).min(256) as u32 }, &[], &[]);
        }
        "prefetch" | "prefetchu" | "griddepcontrol" | "nanosleep" | "discard" | "applypriority" => {
            b.emit(Op::Nop, &[], &[]);
        }
        "trap" => b.emit(Op::Trap, &[], &[]),
        _ => return Ok(false),
    }
    Ok(true)
}

fn operand(b: &mut Builder<'_, '_>, r: &Registers, s: &Statement, index: usize) -> Lowered<Slot> {
    r.read(b, s.operands.get(index).ok_or("too few operands")?)
}

fn space(parts: &[&str]) -> u8 {
    let named = |name: &str| parts.contains(&name);
    match () {
        () if named("shared::cluster") => 7,
        () if parts.iter().any(|part| part.starts_with("shared")) => 3,
        () if named("global") => 1,
        () if named("const") => 4,
        () if named("local") => 5,
        () if parts.iter().any(|part| part.starts_with("param")) => 101,
        () => 0,
    }
}

fn order(parts: &[&str]) -> Order {
    let named = |name: &str| parts.contains(&name);
    match () {
        () if named("acquire") => Order::Acquire,
        () if named("release") => Order::Release,
        () if named("acq_rel") || named("sc") => Order::AcqRel,
        () if named("relaxed") || named("volatile") => Order::Relaxed,
        () => Order::Plain,
    }
}

fn access(parts: &[&str]) -> Lowered<(Access, Scalar, u32)> {
    let lanes = match parts.iter().find(|part| matches!(**part, "v2" | "v4" | "v8")) {
        Some(&"v2") => 2,
        Some(&"v4") => 4,
        Some(_) => 8,
        None => 1,
    };
    let ty = parts.last().and_then(|name| scalar(name)).ok_or("an unknown type")?;
    let size = ty.bytes();
    let pieces = (0..lanes).map(|lane| Piece { offset: lane * size, ty }).collect();
    let bytes = size * lanes;
    Ok((Access { space: space(parts), bytes, align: bytes, order: order(parts), pieces }, ty, lanes))
}

fn load(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement, parts: &[&str]) -> Lowered<()> {
    let (access, ty, lanes) = access(parts)?;
    let address = operand(b, r, s, 1)?;
    let slots = b.slots(lanes as usize);
    b.emit(Op::Load(access), &[address], &slots);
    if parts.last().is_some_and(|name| name.starts_with('s')) && ty.bits() < 32 {
        return Err("a load that extends a sign".into());
    }
    r.write_all(&s.operands[0], &slots)
}

fn store(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement, parts: &[&str]) -> Lowered<()> {
    if parts.contains(&"async") || parts.contains(&"bulk") {
        return Err("inline PTX that the simulator does not know".into());
    }
    let (access, _, lanes) = access(parts)?;
    let mut src = vec![operand(b, r, s, 0)?];
    src.extend(r.read_all(b, s.operands.get(1).ok_or("too few operands")?)?);
    if src.len() != lanes as usize + 1 {
        return Err("another number of values".into());
    }
    b.emit(Op::Store(access), &src, &[]);
    Ok(())
}

fn atomic(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement, parts: &[&str]) -> Lowered<()> {
    let returns = parts[0] == "atom";
    let last = parts.last().copied().unwrap_or_default();
    let signed = last.starts_with('s');
    let op = parts.iter().find_map(|part| {
        Some(match *part {
            "add" => RedOp::Add,
            "min" if signed || last.contains('f') => RedOp::Min,
            "max" if signed || last.contains('f') => RedOp::Max,
            "min" => RedOp::UMin,
            "max" => RedOp::UMax,
            "and" => RedOp::And,
            "or" => RedOp::Or,
            "xor" => RedOp::Xor,
            "inc" => RedOp::Inc,
            "dec" => RedOp::Dec,
            "exch" => RedOp::Xchg,
            "cas" => RedOp::Cas,
            _ => return None,
        })
    });
    let op = op.ok_or("an unknown operation")?;
    let order = match order(parts) {
        Order::Plain => Order::Relaxed,
        order => order,
    };
    let paired = last.ends_with("x2");
    let ty = scalar(last.trim_end_matches("x2")).ok_or("an unknown type")?;
    let first = usize::from(returns);
    let address = operand(b, r, s, first)?;
    let mut values = r.read_all(b, s.operands.get(first + 1).ok_or("too few operands")?)?;
    if paired {
        values = b.repack(&values, 32, 16)?;
    }
    let lanes = values.len() as u8;
    let mut src = vec![address];
    src.extend(values);
    if op == RedOp::Cas {
        src.push(operand(b, r, s, first + 2)?);
    }
    let kind = Op::Atomic { op, ty, space: space(parts), order, lanes };
    if !returns {
        b.emit(kind, &src, &[]);
        return Ok(());
    }
    let slots = b.slots(usize::from(lanes));
    b.emit(kind, &src, &slots);
    let slots = if paired { b.repack(&slots, 16, 32)? } else { slots };
    r.write_all(&s.operands[0], &slots)
}

fn barrier(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement, parts: &[&str]) -> Lowered<bool> {
    let op = match () {
        () if s.has("cluster") && s.has("arrive") => Op::ClusterArrive { releases: !s.has("relaxed") },
        () if s.has("cluster") && s.has("wait") => Op::ClusterWait,
        () if parts.get(1) == Some(&"warp") => {
            let mask = operand(b, r, s, 0)?;
            b.emit(Op::WarpSync, &[mask], &[]);
            return Ok(true);
        }
        () if s.has("sync") || s.has("arrive") => {
            let counted = s.operands.len() > 1;
            Op::Barrier { has_id: true, counted, arrive_only: s.has("arrive"), reduce: None }
        }
        () => return Ok(false),
    };
    let src: Vec<Slot> = s.operands.iter().map(|operand| r.read(b, operand)).collect::<Lowered<_>>()?;
    b.emit(op, &src, &[]);
    Ok(true)
}

fn mbarrier(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement, parts: &[&str]) -> Lowered<bool> {
    let at = space(parts);
    match parts.get(1).copied() {
        Some("init") => {
            let src = [operand(b, r, s, 0)?, operand(b, r, s, 1)?];
            b.emit(Op::MbarInit, &src, &[]);
        }
        Some("inval") => {
            let src = [operand(b, r, s, 0)?];
            b.emit(Op::MbarInval, &src, &[]);
        }
        Some("arrive") => {
            let kind = if s.has("expect_tx") { Arrive::ExpectTx } else { Arrive::Plain };
            // The state may be left out where the barrier is in another block.
            let first = usize::from(!matches!(s.operands.first(), Some(Operand::Address(..))));
            let src: Vec<Slot> =
                s.operands[first..].iter().map(|operand| r.read(b, operand)).collect::<Lowered<_>>()?;
            let slot = b.slot();
            let counted = src.len() > 1;
            b.emit(Op::MbarArrive { kind, counted, space: at }, &src, &[slot]);
            if first == 1 {
                r.write(&s.operands[0], slot)?;
            }
        }
        Some("expect_tx") => {
            let src = [operand(b, r, s, 0)?, operand(b, r, s, 1)?];
            b.emit(Op::MbarExpectTx { space: at }, &src, &[]);
        }
        Some(wait @ ("try_wait" | "test_wait")) => {
            let src = [operand(b, r, s, 1)?, operand(b, r, s, 2)?];
            let kind = Op::MbarWait { state: !s.has("parity"), blocks: wait == "try_wait", returns: true };
            let slot = b.emit_new(kind, &src);
            r.write(&s.operands[0], slot)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn copies(b: &mut Builder<'_, '_>, r: &mut Registers, s: &Statement) -> Lowered<bool> {
    let count = |index: usize| match s.operands.get(index) {
        Some(Operand::Number(count)) => Ok(*count),
        _ => Err("a number was expected".to_owned()),
    };
    let op = match s.opcode.as_str() {
        "cp.async.commit_group" => Op::CpAsyncCommit,
        "cp.async.wait_all" => Op::CpAsyncWait { pending: 0 },
        "cp.async.wait_group" => Op::CpAsyncWait { pending: count(0)? as u32 },
        "cp.async.bulk.commit_group" => Op::BulkCommit,
        "cp.async.bulk.wait_group" => Op::BulkWait { pending: count(0)? as u32, read: false },
        "cp.async.bulk.wait_group.read" => Op::BulkWait { pending: count(0)? as u32, read: true },
        opcode if opcode.starts_with("cp.async.c") && !s.has("bulk") => {
            let bytes = count(2)?;
            if !matches!(bytes, 4 | 8 | 16) {
                return Err("a size of 4, 8 or 16".into());
            }
            let mut src = vec![operand(b, r, s, 0)?, operand(b, r, s, 1)?];
            let sized = s.operands.len() > 3;
            if sized {
                let mut size = operand(b, r, s, 3)?;
                // A predicate says that the source is not to be read.
                if r.is_predicate(&s.operands[3]) {
                    let (none, all) = (b.constant(0), b.constant(bytes));
                    size = b.emit_new(Op::Select, &[size, none, all]);
                }
                src.push(size);
            }
            b.emit(Op::CpAsync { bytes: bytes as u8, sized }, &src, &[]);
            return Ok(true);
        }
        _ => return Ok(false),
    };
    b.emit(op, &[], &[]);
    Ok(true)
}
