//! Matrix instructions by name: `mfma.f32.32x32x8f16`, `mfma.f32.16x16x32.fp8.bf8`, `wmma.i32.16x16x16.iu8`.

use super::build::{Builder, Lowered};
use super::inst::{MmaType, Op, Slot};
use super::llvm::element;
use super::wave_op::{Matrix, MatrixType, Since, WaveOp};
use crate::narrow::Narrow;
use crate::text;

/// Shape and types as the name says them.
struct Named {
    d: MmaType,
    m: u16,
    n: u16,
    k: u16,
    a: MatrixType,
    b: MatrixType,
    scaled: bool,
}

fn parse(name: &str) -> Option<Named> {
    let (scaled, rest) = match name.strip_prefix("scale.") {
        Some(rest) => (true, rest),
        None => (false, name),
    };
    let (result, rest) = rest.split_once('.')?;
    let d = match result {
        "f32" => MmaType::F32,
        "i32" => MmaType::S32,
        "f16" => MmaType::F16,
        "bf16" => MmaType::BF16,
        _ => return None,
    };
    // `32x32x8f16` or `16x16x32.fp8.bf8`.
    let (m, rest) = rest.split_once('x')?;
    let (n, rest) = rest.split_once('x')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (k, types) = rest.split_at(digits);
    let types = types.trim_start_matches('.').trim_end_matches(".1k");
    let (a, b) = types.split_once(['.', '_']).unwrap_or((types, types));
    let ty = |name: &str| {
        Some(match name {
            "f16" => MatrixType::F16,
            "bf16" => MatrixType::BF16,
            "f32" => MatrixType::F32,
            "xf32" => MatrixType::XF32,
            "i8" | "iu8" => MatrixType::S8,
            "iu4" => MatrixType::S4,
            "fp8" => MatrixType::Fp8(false),
            "bf8" => MatrixType::Fp8(true),
            "f8f6f4" => MatrixType::Narrow(Narrow::E4M3),
            _ => return None,
        })
    };
    Some(Named {
        d,
        m: m.parse().ok()?,
        n: n.parse().ok()?,
        k: k.parse().ok()?,
        a: ty(a)?,
        b: ty(b)?,
        scaled,
    })
}

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let (wmma, rest) = match (name.strip_prefix("mfma."), name.strip_prefix("wmma.")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("not a matrix instruction that the simulator knows".into()),
    };
    let mut named = parse(rest).ok_or("a shape or type that the simulator does not know")?;
    let since = existence(&named, wmma, name).ok_or("no such matrix instruction on these chips")?;
    let mut scales = None;
    let mut scale_slots: Vec<Slot> = Vec::new();
    if wmma {
        if op.flag("clamp") {
            return Err("results that saturate".into());
        }
        if !op.flag("signA") {
            named.a = unsigned(named.a);
        }
        if !op.flag("signB") {
            named.b = unsigned(named.b);
        }
    } else {
        let mut modes = Vec::new();
        for index in 3..op.operands.len() {
            modes.push(b.scalar(op, index)?.0);
        }
        let known: Vec<Option<u64>> = modes.iter().map(|&slot| b.known(slot)).collect();
        if named.scaled {
            let at = |index: usize| known.get(index).copied().flatten().ok_or("a mode that is not constant");
            (named.a, named.b) = (format(at(0)?)?, format(at(1)?)?);
            let (select_a, select_b) = (at(2)? as u8 & 3, at(4)? as u8 & 3);
            // LLVM selects the form without scales for two constant zeros.
            let without = known.get(3) == Some(&Some(0)) && known.get(5) == Some(&Some(0));
            if !without {
                scales = Some((select_a, select_b));
                scale_slots = vec![*modes.get(3).ok_or("no scale")?, *modes.get(5).ok_or("no scale")?];
            }
        } else if known.iter().any(|mode| *mode != Some(0)) {
            return Err(
                "broadcasts and permutations of blocks (cbsz, abid, blgp) other than constant zeros".into()
            );
        }
    }
    let (av, bv, cv) = (b.value(op, 0)?.clone(), b.value(op, 1)?.clone(), b.value(op, 2)?.clone());
    let (ea, eb) = (element(&av.ty)?.bits(), element(&bv.ty)?.bits());
    let lanes = if wmma { 16 } else { 64 };
    let area = u32::from(named.m) * u32::from(named.n);
    // One block fills `m × n / 64` registers of a lane; more results mean more blocks.
    let blocks = if wmma { 1 } else { (cv.slots.len() as u32 * 64 / area).max(1) as u16 };
    let fits = |slots: usize, bits: u32, rows: u16, ty: MatrixType| {
        let wanted = u32::from(rows) * u32::from(named.k) * u32::from(blocks) / lanes * ty.bits();
        let given = slots as u32 * bits;
        // f8f6f4 takes eight registers where fewer would do, too.
        given == wanted || named.scaled && given >= wanted
    };
    if !fits(av.slots.len(), ea, named.m, named.a) || !fits(bv.slots.len(), eb, named.n, named.b) {
        return Err("operands of another size than the instruction's".into());
    }
    // Six bits straddle words, wider elements lie in one.
    if [(named.a, ea), (named.b, eb)].iter().any(|(ty, bits)| ty.bits() > *bits) {
        return Err("elements wider than the words that hold them".into());
    }
    let halves = wmma && matches!(named.d, MmaType::F16 | MmaType::BF16);
    let holders = if wmma { 32 } else { 64 };
    let results = (area * u32::from(blocks) / holders) as usize * if halves { 2 } else { 1 };
    let exists = wmma || matches!((named.m, blocks), (32, 1 | 2) | (16, 1 | 4) | (4, 16));
    if cv.slots.len() != results || !exists {
        return Err("sums of another size than the instruction's".into());
    }
    let matrix = Matrix {
        m: named.m,
        n: named.n,
        k: named.k,
        blocks,
        a: named.a,
        b: named.b,
        d: named.d,
        a_slots: (av.slots.len() as u16, ea as u8),
        b_slots: (bv.slots.len() as u16, eb as u8),
        wmma,
        upper: op.flag("opsel"),
        scales,
        since,
    };
    let mut src = av.slots;
    src.extend(bv.slots);
    src.extend(cv.slots);
    src.extend(scale_slots);
    let dst = b.result(op, 0)?;
    if dst.len() != results {
        return Err("a result of another shape than the sums".into());
    }
    b.emit(Op::Wave(Box::new(WaveOp::Matrix(matrix))), &src, &dst);
    Ok(())
}

fn unsigned(ty: MatrixType) -> MatrixType {
    match ty {
        MatrixType::S8 => MatrixType::U8,
        MatrixType::S4 => MatrixType::U4,
        other => other,
    }
}

/// ISA guide of MI350, the modes CBSZ and BLGP of F8F6F4 instructions.
fn format(mode: u64) -> Lowered<MatrixType> {
    Ok(MatrixType::Narrow(match mode {
        0 => Narrow::E4M3,
        1 => Narrow::E5M2,
        2 => Narrow::E2M3,
        3 => Narrow::E3M2,
        4 => Narrow::E2M1,
        _ => return Err("a format that f8f6f4 does not have".into()),
    }))
}

/// Lists of matrix instructions in the ISA guides of MI200, MI300, MI350 and RDNA3.
fn existence(named: &Named, wmma: bool, name: &str) -> Option<Since> {
    use MatrixType::{BF16, F16, F32, Fp8, S4, S8, XF32};
    let (m, k) = (named.m, named.k);
    if named.m != named.n {
        return None;
    }
    if wmma {
        let known = matches!(
            (named.a, named.d),
            (F16, MmaType::F32 | MmaType::F16)
                | (BF16, MmaType::F32 | MmaType::BF16)
                | (S8 | S4, MmaType::S32)
        );
        return (m == 16 && k == 16 && known).then_some(Since::Rdna3);
    }
    if named.scaled {
        return matches!((m, k), (16, 128) | (32, 64)).then_some(Since::Cdna4);
    }
    let one_k = name.ends_with(".1k");
    Some(match (named.a, m, k) {
        (F32, 32, 1 | 2) | (F32, 16, 1 | 4) | (F32, 4, 1) => Since::Cdna2,
        (F16, 32, 4 | 8) | (F16, 16, 4 | 16) | (F16, 4, 4) => Since::Cdna2,
        (BF16, 32, 4 | 8) | (BF16, 16, 4 | 16) | (BF16, 4, 4) if one_k => Since::Cdna2,
        (BF16, 32, 2 | 4) | (BF16, 16, 2 | 8) | (BF16, 4, 2) => Since::OnlyCdna2,
        (F16 | BF16, 32, 16) | (F16 | BF16, 16, 32) => Since::Cdna4,
        (S8, 32, 4) | (S8, 16, 4) | (S8, 4, 4) => Since::Cdna2,
        (S8, 32, 8) | (S8, 16, 16) => Since::OnlyCdna2,
        (S8, 32, 16) | (S8, 16, 32) => Since::Cdna3,
        (S8, 32, 32) | (S8, 16, 64) => Since::Cdna4,
        (Fp8(_), 32, 16) | (Fp8(_), 16, 32) => Since::Cdna3,
        (XF32, 32, 4) | (XF32, 16, 8) => Since::OnlyCdna3,
        _ => return None,
    })
}
