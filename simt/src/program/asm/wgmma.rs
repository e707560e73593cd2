//! `wgmma` in inline PTX: operand A from registers, scale-d at run time.

use super::super::build::{Builder, Lowered};
use super::super::inst::{Mma, Op, ScaleD, Wgmma};
use super::super::matrix::by_name;
use super::{Operand, Registers, Statement};

pub(super) fn translate(
    b: &mut Builder<'_, '_>,
    registers: &mut Registers,
    statement: &Statement,
) -> Lowered<()> {
    let opcode = statement.opcode.as_str();
    if let Some(kind) = opcode.strip_prefix("wgmma.").and_then(|rest| rest.strip_suffix(".sync.aligned")) {
        let pending = || match statement.operands.first() {
            Some(Operand::Number(pending)) => Ok((*pending).min(1 << 20) as u32),
            _ => Err("no number of groups".to_owned()),
        };
        let op = match kind {
            "fence" => Op::WgmmaFence,
            "commit_group" => Op::WgmmaCommit,
            "wait_group" => Op::WgmmaWait { pending: pending()? },
            _ => return Err("not a form of wgmma".into()),
        };
        b.emit(op, &[], &[]);
        return Ok(());
    }
    let rest = opcode.strip_prefix("wgmma.mma_async.sync.aligned.m64n").ok_or("not a form of wgmma")?;
    let mut parts = rest.split('.');
    let shape = parts.next().and_then(|shape| shape.split_once('k'));
    let (n, k) =
        shape.and_then(|(n, k)| Some((n.parse().ok()?, k.parse().ok()?))).ok_or("an unknown shape")?;
    let mut ty = || parts.next().and_then(by_name).ok_or("an unknown type");
    let (d, a, bt) = (ty()?, ty()?, ty()?);
    let saturate = parts.next() == Some("satfinite");
    let [accumulators, a_operand, b_operand, tail @ ..] = &statement.operands[..] else {
        return Err("too few operands".into());
    };
    let mut src = registers.read_all(b, accumulators).or_else(|error| match accumulators {
        // Without tied inputs the registers have no value, and scale-d says that none is needed.
        Operand::List(items) => Ok::<_, String>(vec![b.poison(); items.len()]),
        _ => Err(error),
    })?;
    let acc = src.len() as u32;
    let a_registers = matches!(a_operand, Operand::List(_));
    src.extend(registers.read_all(b, a_operand)?);
    src.push(registers.read(b, b_operand)?);
    let (scale_d, tail) = match tail.split_first() {
        None => (ScaleD::One, tail),
        Some((Operand::Number(0), rest)) => (ScaleD::Zero, rest),
        Some((Operand::Number(_), rest)) => (ScaleD::One, rest),
        Some((predicate, rest)) => {
            let slot = registers.read(b, predicate)?;
            src.push(slot);
            (ScaleD::Value, rest)
        }
    };
    let flags: Option<Vec<i64>> = tail
        .iter()
        .map(|operand| match operand {
            Operand::Number(bits) => Some(*bits as i64),
            _ => None,
        })
        .collect();
    let flags = flags.ok_or("a scale or transposition that is not a number")?;
    let transposes = flags.get(2..).unwrap_or_default();
    let (a_transposed, b_transposed) = match (a_registers, transposes) {
        (_, []) => (false, false),
        (true, [b]) => (false, *b == 1),
        (false, [a, b]) => (*a == 1, *b == 1),
        _ => return Err("flags of an unknown form".into()),
    };
    let wgmma = Wgmma {
        shape: Mma { m: 64, n, k, a, b: bt, d, saturate },
        a_registers,
        a_transposed,
        b_transposed,
        negate_a: flags.first() == Some(&-1),
        negate_b: flags.get(1) == Some(&-1),
        scale_d,
        acc,
    };
    let results = b.wgmma(wgmma, &src)?;
    registers.write_all(accumulators, &results)
}
