//! Matrix operations: shapes and types from attributes or from an intrinsic's name.

use super::build::{Builder, Lowered};
use super::inst::{Mma, MmaType, Op, ScaleD, Wgmma};
use super::llvm::element;
use super::nvvm::plain;
use crate::text::{self, Attr, Scalar, Type};

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    match name {
        "ldmatrix" => {
            let count = op.int("num").filter(|num| matches!(num, 1 | 2 | 4)).ok_or("1, 2 or 4 matrices")?;
            b16(op)?;
            let transposed = op.case("layout") == Some("col");
            plain(b, op, Op::LdMatrix { count: count as u8, transposed }, &[0])
        }
        "stmatrix" => {
            let count = op.operands.len() - 1;
            if !matches!(count, 1 | 2 | 4) {
                return Err("1, 2 or 4 matrices".into());
            }
            b16(op)?;
            let transposed = op.case("layout") == Some("col");
            let all: Vec<usize> = (0..op.operands.len()).collect();
            plain(b, op, Op::StMatrix { count: count as u8, transposed }, &all)
        }
        "mma.sync" => {
            let segments = op.segments().filter(|s| s.len() == 3).ok_or("no operand segments")?;
            let operand = |b: &Builder<'m, '_>, at: usize| element(&b.value(op, at)?.ty);
            let a_type = operand(b, segments[0].start)?;
            let named = |name: &str| op.case(name).and_then(by_name);
            let a = named("multiplicandAPtxType").or(by_scalar(a_type)).ok_or("an unknown type of A")?;
            let bt = named("multiplicandBPtxType").unwrap_or(a);
            let d = match operand(b, segments[2].start)? {
                Scalar::Int(32) => MmaType::S32,
                other => by_scalar(other).ok_or("an unknown type of C")?,
            };
            if op.case("layoutA") != Some("row") || op.case("layoutB") != Some("col") {
                return Err("only A by rows and B by columns".into());
            }
            let saturate = op.case("intOverflowBehavior") == Some("satfinite");
            let (m, n, k) = shape(op)?;
            mma(b, op, Mma { m, n, k, a, b: bt, d, saturate })
        }
        "wgmma.fence.aligned" => plain(b, op, Op::WgmmaFence, &[]),
        "wgmma.commit.group.sync.aligned" => plain(b, op, Op::WgmmaCommit, &[]),
        "wgmma.wait.group.sync.aligned" => {
            let pending = op.int("group").ok_or("no count")?.clamp(0, 1 << 20) as u32;
            plain(b, op, Op::WgmmaWait { pending }, &[])
        }
        "wgmma.mma_async" => {
            let named =
                |name: &str| op.case(name).and_then(by_name).ok_or_else(|| format!("an unknown {name}"));
            let (m, n, k) = shape(op)?;
            let shape = Mma {
                m,
                n,
                k,
                a: named("typeA")?,
                b: named("typeB")?,
                d: named("typeD")?,
                saturate: op.case("satfinite") == Some("satfinite"),
            };
            let ty = op.result_types.first().ok_or("no result")?.clone();
            let bits = accumulator_bits(&ty)?;
            let words = b.repack(&b.value(op, 0)?.slots.clone(), bits, 32)?;
            let (a, bd) = (b.scalar(op, 1)?.0, b.scalar(op, 2)?.0);
            let wgmma = Wgmma {
                shape,
                a_registers: false,
                a_transposed: op.case("layoutA") == Some("col"),
                b_transposed: op.case("layoutB") == Some("row"),
                negate_a: op.case("scaleA") == Some("neg"),
                negate_b: op.case("scaleB") == Some("neg"),
                scale_d: if op.case("scaleD") == Some("zero") { ScaleD::Zero } else { ScaleD::One },
                acc: words.len() as u32,
            };
            let mut src = words;
            src.extend([a, bd]);
            let results = b.wgmma(wgmma, &src)?;
            let results = b.repack_async(&results, bits)?;
            b.define_slots(op, 0, results);
            Ok(())
        }
        _ => Err("not an operation that the simulator knows".into()),
    }
}

impl Builder<'_, '_> {
    /// Emits a `wgmma` after checking the number of its registers; gives the slots of its results.
    pub(super) fn wgmma(&mut self, wgmma: Wgmma, src: &[u32]) -> Lowered<Vec<u32>> {
        let Mma { m, n, k, a, d, .. } = wgmma.shape;
        let words = usize::from(n) / 2 / if d == MmaType::F16 { 2 } else { 1 };
        if m != 64 || n == 0 || n > 256 || !n.is_multiple_of(8) || u32::from(k) * a.bits() != 256 {
            return Err(format!("m{m}n{n}k{k} is no shape of wgmma for this type"));
        }
        let expected =
            words + if wgmma.a_registers { 4 } else { 1 } + 1 + usize::from(wgmma.scale_d == ScaleD::Value);
        if wgmma.acc as usize != words || src.len() != expected {
            return Err(format!("{words} accumulator registers expected, {} found", wgmma.acc));
        }
        let results = self.slots(words);
        self.code.uses_wgmma = true;
        self.emit(Op::Wgmma(Box::new(wgmma)), src, &results);
        Ok(results)
    }

    /// Results of an asynchronous operation cannot be taken apart before its wait.
    fn repack_async(&mut self, words: &[u32], bits: u32) -> Lowered<Vec<u32>> {
        if bits == 32 {
            Ok(words.to_vec())
        } else {
            Err("f16 accumulators as vectors; use i32 registers".into())
        }
    }
}

fn accumulator_bits(ty: &Type) -> Lowered<u32> {
    match ty {
        Type::Struct { fields, .. } => Ok(element(fields.first().ok_or("no accumulators")?)?.bits()),
        other => Ok(element(other)?.bits()),
    }
}

fn b16(op: &text::Op) -> Lowered<()> {
    if op.case("eltType").is_some_and(|ty| ty != "b16") {
        return Err("elements other than b16".into());
    }
    match op.attr("shape") {
        Some(Attr::Opaque(text)) if !(text.contains("m = 8") && text.contains("n = 8")) => {
            Err("a shape other than 8×8".into())
        }
        _ => Ok(()),
    }
}

/// Emits an `mma.sync`: operands to 32-bit words, results back to the module's types.
fn mma<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, shape: Mma) -> Lowered<()> {
    let (na, nb, nc) = crate::machine::fragment_words(&shape).ok_or_else(|| {
        format!("m{}n{}k{} is no shape of mma.sync for these types", shape.m, shape.n, shape.k)
    })?;
    let mut src = Vec::new();
    for index in 0..op.operands.len() {
        let value = b.value(op, index)?.clone();
        let bits = element(&value.ty)?.bits().max(1);
        src.extend(if bits < 32 { b.repack(&value.slots, bits, 32)? } else { value.slots });
    }
    if src.len() != na + nb + nc {
        return Err(format!("{} operand registers expected, {} found", na + nb + nc, src.len()));
    }
    let words = b.slots(nc);
    b.emit(Op::Mma(shape), &src, &words);
    let bits = accumulator_bits(op.result_types.first().ok_or("no result")?)?;
    let slots = if bits < 32 { b.repack(&words, 32, bits)? } else { words };
    b.define_slots(op, 0, slots);
    Ok(())
}

/// `m16n8k32.row.col.f32.e4m3.e4m3.f32`, or without the types of A and B for f16.
pub(super) fn mma_by_name<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let mut parts = name.split('.');
    let dims: Option<(u16, u16, u16)> = (|| {
        let rest = parts.next()?.strip_prefix('m')?;
        let (m, rest) = rest.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        Some((m.parse().ok()?, n.parse().ok()?, k.parse().ok()?))
    })();
    let (m, n, k) = dims.ok_or("an unknown shape")?;
    if (parts.next(), parts.next()) != (Some("row"), Some("col")) {
        return Err("only A by rows and B by columns".into());
    }
    let rest: Vec<&str> = parts.collect();
    let saturate = rest.contains(&"satfinite");
    let types: Option<Vec<MmaType>> =
        rest.iter().filter(|part| **part != "satfinite").map(|part| by_name(part)).collect();
    let (a, bt, d) = match types.ok_or("an unknown type")?[..] {
        [d, _] => (MmaType::F16, MmaType::F16, d),
        [d, a, b, _] => (a, b, d),
        [a] => (a, a, if a.bits() == 8 { MmaType::S32 } else { MmaType::F32 }),
        _ => return Err("types of an unknown form".into()),
    };
    mma(b, op, Mma { m, n, k, a, b: bt, d, saturate })
}

pub(super) fn by_name(name: &str) -> Option<MmaType> {
    Some(match name {
        "f16" => MmaType::F16,
        "bf16" => MmaType::BF16,
        "tf32" => MmaType::TF32,
        "f32" => MmaType::F32,
        "f64" => MmaType::F64,
        "s8" => MmaType::S8,
        "u8" => MmaType::U8,
        "s32" => MmaType::S32,
        "e4m3" => MmaType::E4M3,
        "e5m2" => MmaType::E5M2,
        _ => return None,
    })
}

fn by_scalar(scalar: Scalar) -> Option<MmaType> {
    Some(match scalar {
        Scalar::F16 => MmaType::F16,
        Scalar::BF16 => MmaType::BF16,
        Scalar::F32 => MmaType::F32,
        Scalar::F64 => MmaType::F64,
        _ => return None,
    })
}

/// `#nvvm.shape<m = 16, n = 8, k = 16>`.
fn shape(op: &text::Op) -> Lowered<(u16, u16, u16)> {
    let Some(Attr::Opaque(text)) = op.attr("shape") else { return Err("no shape".into()) };
    let numbers: Vec<u16> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    match numbers[..] {
        [m, n, k] => Ok((m, n, k)),
        _ => Err("a shape of an unknown form".into()),
    }
}
