//! Ranges, alignments and types of each instruction's parameters. A register's value is unknown and passes; the simulator
//! checks again with values.

use crate::chip::Chip;
use crate::error::{Fault, FaultKind};
use crate::ir::*;
use kcc_dsl::ir::{Elem, ParamKind};
use std::ops::RangeInclusive;

const FLOATS: &[Elem] = &[Elem::F16, Elem::F32];
const ARITHMETIC: &[Elem] = &[Elem::F16, Elem::F32, Elem::I16, Elem::I32];
const SHIFTED: &[Elem] = &[Elem::I16, Elem::I32, Elem::U32];
const ORDERED: &[Elem] = &[Elem::F16, Elem::F32, Elem::I32];

/// Conversions of arch 2201's vector cores: to, from, and whether rounding is chosen.
const CASTS: &[(Elem, Elem, bool)] = &[
    (Elem::F16, Elem::F32, true),
    (Elem::BF16, Elem::F32, true),
    (Elem::F32, Elem::F32, true),
    (Elem::I32, Elem::F32, true),
    (Elem::I16, Elem::F32, true),
    (Elem::I64, Elem::F32, true),
    (Elem::F32, Elem::F16, false),
    (Elem::I32, Elem::F16, true),
    (Elem::I16, Elem::F16, true),
    (Elem::I8, Elem::F16, true),
    (Elem::U8, Elem::F16, true),
    (Elem::F32, Elem::BF16, false),
    (Elem::I32, Elem::BF16, true),
    (Elem::F16, Elem::I8, false),
    (Elem::F16, Elem::U8, false),
    (Elem::F16, Elem::I16, true),
    (Elem::F32, Elem::I16, false),
    (Elem::F32, Elem::I32, true),
    (Elem::I16, Elem::I32, false),
    (Elem::I64, Elem::I32, false),
    (Elem::I32, Elem::I64, false),
    (Elem::F32, Elem::I64, true),
];

/// Whether the vector cores convert directly, and with a choice of rounding.
pub(crate) fn cast_rounds(to: Elem, from: Elem) -> Option<bool> {
    CASTS.iter().find(|c| c.0 == to && c.1 == from).map(|c| c.2)
}

pub(crate) fn event(event: &Val, chip: &Chip) -> Result<(), Fault> {
    range("event", event, 0..=chip.events - 1)
}

fn parameter(what: String) -> Fault {
    Fault::new(FaultKind::Parameter, what)
}

fn range(name: &str, v: &Val, r: RangeInclusive<i64>) -> Result<(), Fault> {
    match v.known() {
        Some(c) if !r.contains(&c) => {
            Err(parameter(format!("{name} is {c}; it must be {} to {}", r.start(), r.end())))
        }
        _ => Ok(()),
    }
}

struct Check<'a> {
    program: &'a Program,
}

impl Check<'_> {
    /// Space, and alignment of what is known of the address.
    fn local(&self, name: &str, l: &Local, space: Space, align: i64) -> Result<(), Fault> {
        let b = &self.program.buffers[l.buffer as usize];
        if b.space != space {
            let what = format!("{name} must lie in {}, {} lies in {}", space.name(), b.name, b.space.name());
            return Err(Fault::new(FaultKind::Form, what));
        }
        if let Some(o) = l.offset.known() {
            let at = o + i64::from(b.address.unwrap_or(0));
            if at % align != 0 || o < 0 {
                return Err(parameter(format!("{name} is at byte {at}; it must be a multiple of {align}")));
            }
        }
        Ok(())
    }

    fn ub(&self, name: &str, l: &Local) -> Result<(), Fault> {
        self.local(name, l, Space::Ub, 32)
    }

    fn global(&self, name: &str, g: &Global, written: bool) -> Result<(), Fault> {
        let Some(p) = g.param else { return Ok(()) };
        match self.program.params.get(p as usize).map(|p| p.kind) {
            Some(ParamKind::View { mutable, .. }) if mutable || !written => Ok(()),
            Some(ParamKind::View { .. }) => {
                Err(Fault::new(FaultKind::Form, format!("{name}: parameter {p} is read-only")))
            }
            _ => Err(Fault::new(FaultKind::Form, format!("{name}: parameter {p} is no view"))),
        }
    }
}

fn one_of(name: &str, e: Elem, all: &[Elem]) -> Result<(), Fault> {
    if all.contains(&e) {
        return Ok(());
    }
    let list: Vec<&str> = all.iter().map(|e| e.name()).collect();
    Err(Fault::new(FaultKind::Form, format!("{name} has no {e}; it has {}", list.join(", "))))
}

/// Elements in a repeat of 256 bytes.
pub(crate) fn lanes(width: usize) -> i64 {
    256 / width as i64
}

fn span(s: &Span, width: usize) -> Result<(), Fault> {
    match s {
        Span::Count { n } => range("n", n, 1..=i64::from(u32::MAX)),
        Span::Repeat { lanes: l, times } => {
            range("lanes", l, 1..=lanes(width))?;
            range("times", times, 1..=255)
        }
    }
}

/// Checks what is known of an instruction's parameters.
pub(crate) fn check(i: &Instr, program: &Program, chip: &Chip) -> Result<(), Fault> {
    let c = Check { program };
    match i {
        Instr::CopyIn(i) => {
            c.ub("dst", &i.dst)?;
            c.global("src", &i.src, false)?;
            range("blocks", &i.blocks, 1..=4095)?;
            range("bytes", &i.bytes, 1..=2_097_151)?;
            range("src_gap", &i.src_gap, 0..=i64::from(u32::MAX))?;
            range("dst_gap", &i.dst_gap, 0..=i64::from(u32::MAX))?;
            if let Some(p) = &i.pad {
                let most = 32 / i.elem.bytes() as i64;
                range("left padding", &p.left, 0..=most)?;
                range("right padding", &p.right, 0..=most)?;
            }
            Ok(())
        }
        Instr::CopyOut(i) => {
            c.ub("src", &i.src)?;
            c.global("dst", &i.dst, true)?;
            range("blocks", &i.blocks, 1..=4095)?;
            range("bytes", &i.bytes, 1..=2_097_151)?;
            range("src_gap", &i.src_gap, 0..=i64::from(u32::MAX))?;
            range("dst_gap", &i.dst_gap, 0..=i64::from(u32::MAX))?;
            atomic(i.atomic, i.elem)
        }
        Instr::CopyL1(i) => {
            c.local("dst", &i.dst, Space::L1, 32)?;
            c.global("src", &i.src, false)?;
            range("blocks", &i.blocks, 1..=4095)?;
            range("length", &i.length, 1..=65535)?;
            range("src_gap", &i.src_gap, 0..=65535)?;
            range("dst_gap", &i.dst_gap, 0..=65535)
        }
        Instr::NdToNz(i) => {
            c.local("dst", &i.dst, Space::L1, 32)?;
            c.global("src", &i.src, false)?;
            one_of("nd_to_nz", i.elem, &[Elem::I8, Elem::F16, Elem::BF16, Elem::F32, Elem::I32])?;
            range("matrices", &i.matrices, 0..=4095)?;
            range("rows", &i.rows, 0..=16384)?;
            range("columns", &i.columns, 0..=65535)?;
            range("src_matrix", &i.src_matrix, 0..=65535)?;
            range("src_row", &i.src_row, 1..=65535)?;
            range("dst_column", &i.dst_column, 1..=16384)?;
            range("dst_row", &i.dst_row, 1..=16384)?;
            range("dst_matrix", &i.dst_matrix, 1..=65535)
        }
        Instr::FillL1(i) => {
            c.local("dst", &i.dst, Space::L1, 32)?;
            range("times", &i.times, 1..=32767)?;
            range("blocks", &i.blocks, 1..=32767)?;
            range("gap", &i.gap, 0..=32767)
        }
        Instr::LoadData(i) => {
            let space = match program.buffers[i.dst.buffer as usize].space {
                Space::L0b => Space::L0b,
                _ => Space::L0a,
            };
            c.local("dst", &i.dst, space, 512)?;
            load(&c, &i.src, i.elem, [&i.start, &i.times, &i.src_stride, &i.dst_gap], i.transpose)
        }
        Instr::Mmad(i) => {
            one_of("mmad", i.elem, &[Elem::F16, Elem::BF16, Elem::F32, Elem::I8])?;
            c.local("dst", &i.dst, Space::L0c, 1024)?;
            c.local("a", &i.a, Space::L0a, 512)?;
            c.local("b", &i.b, Space::L0b, 512)?;
            // One row is taken as a vector with another layout of the left operand.
            range("m", &i.m, 2..=4095)?;
            range("n", &i.n, 1..=4095)?;
            range("k", &i.k, 1..=4095)
        }
        Instr::Fixpipe(i) => {
            c.local("src", &i.src, Space::L0c, 64)?;
            c.global("dst", &i.dst, true)?;
            one_of("fixpipe", i.elem, &[Elem::F32, Elem::I32])?;
            if i.elem == Elem::I32 && i.quant != Quant::None {
                return Err(Fault::new(FaultKind::Form, "conversions on the way out are for f32 only"));
            }
            range("m", &i.m, 1..=8192)?;
            range("n", &i.n, 1..=4095)?;
            range("src_stride", &i.src_stride, 16..=65535)?;
            if i.src_stride.known().is_some_and(|s| s % 16 != 0) {
                return Err(parameter("src_stride must be a multiple of 16".into()));
            }
            range("dst_stride", &i.dst_stride, 1..=65535)?;
            let out = match i.quant {
                Quant::None => i.elem,
                Quant::F16 => Elem::F16,
                Quant::Bf16 => Elem::BF16,
            };
            atomic(i.atomic, out)
        }
        other => vector(other, &c, chip),
    }
}

fn load(c: &Check<'_>, src: &Local, elem: Elem, v: [&Val; 4], transpose: bool) -> Result<(), Fault> {
    c.local("src", src, Space::L1, 32)?;
    range("start", v[0], 0..=65535)?;
    range("times", v[1], 1..=255)?;
    range("src_stride", v[2], 0..=65535)?;
    range("dst_gap", v[3], 0..=65535)?;
    if transpose && elem.bytes() != 2 {
        let what = format!("fractals of {elem} cannot be transposed on the way, only those of 16-bit types");
        return Err(Fault::new(FaultKind::Form, what));
    }
    Ok(())
}

fn atomic(a: Atomic, elem: Elem) -> Result<(), Fault> {
    if a == Atomic::None {
        return Ok(());
    }
    one_of("an atomic copy", elem, &[Elem::F32, Elem::F16, Elem::BF16, Elem::I32, Elem::I16, Elem::I8])
}

fn vector(i: &Instr, c: &Check<'_>, chip: &Chip) -> Result<(), Fault> {
    match i {
        Instr::VUnary(i) => {
            let types: &[Elem] = match i.op {
                Unary::Not => &[Elem::I16],
                Unary::Relu => ORDERED,
                _ => FLOATS,
            };
            one_of("this operation", i.elem, types)?;
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::VBinary(i) => {
            let types: &[Elem] = match i.op {
                Binary::Div => FLOATS,
                Binary::And | Binary::Or => &[Elem::I16],
                _ => ARITHMETIC,
            };
            one_of("this operation", i.elem, types)?;
            c.ub("dst", &i.dst)?;
            c.ub("a", &i.a)?;
            c.ub("b", &i.b)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::VScalar(i) => {
            let shift = matches!(i.op, WithScalar::ShiftLeft | WithScalar::ShiftRight);
            one_of("this operation", i.elem, if shift { SHIFTED } else { ARITHMETIC })?;
            if shift {
                range("the shift", &i.scalar, 0..=(8 * i.elem.bytes() as i64 - 1))?;
            }
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::MulAdd(i) => {
            one_of("mul_add", i.elem, FLOATS)?;
            c.ub("dst", &i.dst)?;
            c.ub("a", &i.a)?;
            c.ub("b", &i.b)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::FusedMulAdd(i) => {
            one_of("fused_mul_add", i.elem, FLOATS)?;
            c.ub("dst", &i.dst)?;
            c.ub("a", &i.a)?;
            c.ub("b", &i.b)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::Cast(i) => {
            let Some(rounds) = cast_rounds(i.to, i.from) else {
                let what = format!("there is no conversion from {} to {}", i.from, i.to);
                return Err(Fault::new(FaultKind::Form, what));
            };
            if rounds == (i.rounding == Rounding::None) {
                let what = if rounds { "needs a rounding" } else { "is exact: its rounding is none" };
                return Err(parameter(format!("the conversion from {} to {} {what}", i.from, i.to)));
            }
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)?;
            span(&i.span, i.from.bytes().max(i.to.bytes()))
        }
        Instr::CompareTo(i) => {
            compare(i.op, i.elem, &i.n)?;
            c.ub("dst", &i.dst)?;
            c.ub("a", &i.a)?;
            c.ub("b", &i.b)
        }
        Instr::CompareScalar(i) => {
            compare(i.op, i.elem, &i.n)?;
            c.ub("dst", &i.dst)?;
            c.ub("a", &i.a)
        }
        Instr::Select(i) => {
            one_of("select", i.elem, FLOATS)?;
            range("n", &i.n, 1..=i64::from(u32::MAX))?;
            [("dst", &i.dst), ("mask", &i.mask), ("a", &i.a), ("b", &i.b)]
                .iter()
                .try_for_each(|(n, l)| c.ub(n, l))
        }
        Instr::SelectScalar(i) => {
            one_of("select", i.elem, FLOATS)?;
            range("n", &i.n, 1..=i64::from(u32::MAX))?;
            [("dst", &i.dst), ("mask", &i.mask), ("a", &i.a)].iter().try_for_each(|(n, l)| c.ub(n, l))
        }
        Instr::Duplicate(i) => {
            wide(i.elem)?;
            c.ub("dst", &i.dst)?;
            span(&i.span, i.elem.bytes())
        }
        Instr::Reduce(i) => {
            one_of("reduce", i.elem, FLOATS)?;
            // Room for a value and its index, whatever is asked for (WholeReduceMax, `dst`).
            let two = if i.op == Reduction::Sum { 1 } else { 2 };
            c.local("dst", &i.dst, Space::Ub, two * i.elem.bytes() as i64)?;
            c.ub("src", &i.src)?;
            range("lanes", &i.lanes, 1..=lanes(i.elem.bytes()))?;
            range("times", &i.times, 1..=255)?;
            range("dst_step", &Val::Const(i64::from(i.dst_step)), 1..=255)
        }
        Instr::BlockBroadcast(i) => {
            wide(i.elem)?;
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)?;
            range("times", &i.times, 1..=255)
        }
        Instr::Gather(i) => {
            wide(i.elem)?;
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)?;
            c.ub("offsets", &i.offsets)?;
            range("base", &i.base, 0..=i64::from(chip.ub))?;
            range("n", &i.n, 1..=i64::from(u32::MAX))
        }
        Instr::Iota(i) => {
            one_of("iota", i.elem, ARITHMETIC)?;
            c.ub("dst", &i.dst)?;
            range("n", &i.n, 1..=i64::from(u32::MAX))
        }
        Instr::Transpose16(i) => {
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)
        }
        Instr::Sort32(i) => {
            one_of("sort32", i.elem, FLOATS)?;
            range("times", &i.times, 1..=255)?;
            [("dst", &i.dst), ("values", &i.values), ("indices", &i.indices)]
                .iter()
                .try_for_each(|(n, l)| c.ub(n, l))
        }
        Instr::MergeSort(i) => {
            one_of("merge_sort", i.elem, FLOATS)?;
            range("lists", &Val::Const(i64::from(i.lists)), 2..=4)?;
            range("length", &i.length, 1..=4095)?;
            c.ub("dst", &i.dst)?;
            c.ub("src", &i.src)
        }
        Instr::StoreScalar(i) => c.local("dst", &i.dst, Space::Ub, i.elem.bytes() as i64),
        Instr::Set(i) => event(&i.event, chip),
        Instr::Wait(i) => event(&i.event, chip),
        _ => Ok(()),
    }
}

fn wide(e: Elem) -> Result<(), Fault> {
    if matches!(e.bytes(), 2 | 4) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Form, format!("{e} is neither 2 nor 4 bytes wide")))
}

fn compare(op: Compare, elem: Elem, n: &Val) -> Result<(), Fault> {
    one_of("compare", elem, ORDERED)?;
    if elem == Elem::I32 && op != Compare::Eq {
        return Err(Fault::new(FaultKind::Form, "i32 can be compared for equality only"));
    }
    let whole = lanes(elem.bytes());
    match n.known() {
        Some(n) if n <= 0 || n % whole != 0 => {
            Err(parameter(format!("n is {n}; comparisons take whole repeats of {whole} elements")))
        }
        _ => Ok(()),
    }
}
