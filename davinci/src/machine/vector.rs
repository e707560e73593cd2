//! The vector unit.

use super::code::num;
use super::context::Context;
use super::copies::element;
use super::value::{Bytes, convert, float, int, of_float, of_int};
use crate::error::{Fault, FaultKind};
use crate::ir::*;
use kcc_dsl::ir::Elem;

/// Reads an element: its bytes, and whether it is defined.
fn get(c: &Context<'_>, l: &Local, at: usize, w: usize) -> (Bytes, bool) {
    let m = c.memory(l);
    (Bytes::new(&m.data[at..at + w]), m.all_defined(at, w))
}

/// One operand to one result, element by element.
fn map(
    c: &mut Context<'_>,
    (dst, src): (&Local, &Local),
    (to, from): (&[usize], &[usize]),
    w: usize,
    f: impl Fn(&[u8]) -> Bytes,
) {
    for (t, s) in to.iter().zip(from) {
        let (v, good) = get(c, src, *s, w);
        let r = f(v.get());
        c.memory_mut(dst).put(*t, r.get(), good);
    }
}

/// An approximation of hardware that is good to about 10 bits: what relies on more shows.
fn rough(v: f32) -> f32 {
    if v.is_finite() { f32::from_bits(v.to_bits() & 0xffff_e000) } else { v }
}

/// Some units off, the same way whenever it is computed from the same operand.
fn off((units, seed): (u32, u64), x: f32, y: f32) -> f32 {
    if units == 0 || !y.is_normal() || y == 1.0 {
        return y;
    }
    let mix = (u64::from(x.to_bits()) ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let by = (mix % u64::from(2 * units + 1)) as i64 - i64::from(units);
    let moved = f32::from_bits((i64::from(y.to_bits()) + by) as u32);
    if moved.is_normal() { moved } else { y }
}

fn unary(op: Unary, elem: Elem, b: &[u8], inexact: (u32, u64)) -> Bytes {
    match op {
        Unary::Not => of_int(elem, !int(elem, b)),
        Unary::Relu if !elem.is_float() => of_int(elem, int(elem, b).max(0)),
        _ => {
            let x = float(elem, b);
            let wide = f64::from(x);
            let y = match op {
                Unary::Abs => x.abs(),
                Unary::Exp => off(inexact, x, wide.exp() as f32),
                Unary::Ln => off(inexact, x, wide.ln() as f32),
                Unary::Sqrt => x.sqrt(),
                Unary::Rsqrt => rough((1.0 / wide.sqrt()) as f32),
                Unary::Reciprocal => rough((1.0 / wide) as f32),
                _ => {
                    if x < 0.0 {
                        0.0
                    } else {
                        x
                    }
                }
            };
            of_float(elem, y)
        }
    }
}

/// maximum and minimum give not-a-number if one operand is.
fn extreme(max: bool, a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::NAN
    } else if max {
        a.max(b)
    } else {
        a.min(b)
    }
}

fn binary(op: Binary, elem: Elem, a: &[u8], b: &[u8]) -> Bytes {
    if elem.is_float() {
        let (x, y) = (float(elem, a), float(elem, b));
        let r = match op {
            Binary::Add => x + y,
            Binary::Sub => x - y,
            Binary::Mul => x * y,
            Binary::Div => x / y,
            Binary::Max => extreme(true, x, y),
            _ => extreme(false, x, y),
        };
        return of_float(elem, r);
    }
    let (x, y) = (int(elem, a), int(elem, b));
    let r = match op {
        Binary::Add => x.wrapping_add(y),
        Binary::Sub => x.wrapping_sub(y),
        Binary::Mul => x.wrapping_mul(y),
        Binary::Max => x.max(y),
        Binary::Min => x.min(y),
        Binary::And => x & y,
        Binary::Or => x | y,
        Binary::Div => 0,
    };
    of_int(elem, r)
}

fn with_scalar(op: WithScalar, elem: Elem, b: &[u8], s: &Bytes) -> Bytes {
    match op {
        WithScalar::Add => binary(Binary::Add, elem, b, s.get()),
        WithScalar::Mul => binary(Binary::Mul, elem, b, s.get()),
        WithScalar::Max => binary(Binary::Max, elem, b, s.get()),
        WithScalar::Min => binary(Binary::Min, elem, b, s.get()),
        WithScalar::ShiftLeft => of_int(elem, int(elem, b) << int(elem, s.get())),
        WithScalar::ShiftRight => of_int(elem, int(elem, b) >> int(elem, s.get())),
    }
}

fn compare(op: Compare, elem: Elem, a: &[u8], b: &[u8]) -> bool {
    if !elem.is_float() {
        return int(elem, a) == int(elem, b);
    }
    let (x, y) = (float(elem, a), float(elem, b));
    match op {
        Compare::Lt => x < y,
        Compare::Le => x <= y,
        Compare::Gt => x > y,
        Compare::Ge => x >= y,
        Compare::Eq => x == y,
        Compare::Ne => x != y,
    }
}

/// The results of a comparison, as bits. Bits of undefined comparisons come out anyhow; a byte of nothing else is undefined.
fn bits(c: &mut Context<'_>, dst: &Local, all: &[(bool, bool)]) -> Result<(), Fault> {
    let at = c.write(dst, 0, all.len().div_ceil(8) as i64)?;
    let salt = c.by.epoch as usize;
    let m = c.memory_mut(dst);
    for (i, eight) in all.chunks(8).enumerate() {
        let any = |k: usize| (at + 8 * i + k).wrapping_mul(0x9e37_79b9).wrapping_add(salt) >> 7 & 1 == 1;
        let bit = |(k, (t, known)): (usize, &(bool, bool))| u8::from(if *known { *t } else { any(k) }) << k;
        let byte = eight.iter().enumerate().map(bit).sum();
        m.put(at + i, &[byte], eight.iter().any(|(_, d)| *d));
    }
    Ok(())
}

/// Bitwise operations are defined byte by byte.
fn bytes(
    c: &mut Context<'_>,
    dst: &Local,
    to: &[usize],
    (a, x): (&Local, &[usize]),
    other: Option<(&Local, &[usize])>,
    f: impl Fn(u8, u8) -> u8,
) {
    for (k, t) in to.iter().enumerate() {
        for b in 0..2 {
            let (v, mut good) = (c.memory(a).data[x[k] + b], c.memory(a).is_defined(x[k] + b));
            let w = other.map_or(0, |(l, y)| {
                good &= c.memory(l).is_defined(y[k] + b);
                c.memory(l).data[y[k] + b]
            });
            c.memory_mut(dst).put(t + b, &[f(v, w)], good);
        }
    }
}

fn dense(n: &Val) -> Span {
    Span::Count { n: *n }
}

/// One of two operands by bits; `b` gives the second.
fn choose(
    c: &mut Context<'_>,
    (dst, mask, a): (&Local, &Local, &Local),
    elem: Elem,
    n: &Val,
    b: impl Fn(&Context<'_>, usize) -> (Bytes, bool),
) -> Result<(), Fault> {
    let w = elem.bytes();
    let m = c.read(mask, 0, (num(n) + 7) / 8)?;
    let from = c.operand(a, &dense(n), Stride::DENSE, w, w)?;
    let to = c.result(dst, &dense(n), Stride::DENSE, w, w)?;
    for i in 0..to.len() {
        let byte = m + i / 8;
        let (known, set) = (c.memory(mask).is_defined(byte), c.memory(mask).data[byte] >> (i % 8) & 1 == 1);
        let (v, good) = if set { get(c, a, from[i], w) } else { b(c, i) };
        c.memory_mut(dst).put(to[i], v.get(), good && known);
    }
    Ok(())
}

fn reduce(c: &mut Context<'_>, i: &Reduce) -> Result<(), Fault> {
    let w = i.elem.bytes();
    let lanes = num(&i.lanes) as usize;
    let span = Span::Repeat { lanes: i.lanes, times: i.times };
    let from = c.operand(&i.src, &span, i.src_stride, w, w)?;
    for (r, lane) in from.chunks(lanes).enumerate() {
        let mut level: Vec<f32> = Vec::new();
        let mut good = true;
        for s in lane {
            let (v, d) = get(c, &i.src, *s, w);
            level.push(float(i.elem, v.get()));
            good &= d;
        }
        while level.len() > 1 {
            let pair = |p: &[f32]| match (p, i.op) {
                ([a, b], Reduction::Sum) => float(i.elem, of_float(i.elem, a + b).get()),
                ([a, b], Reduction::Max) => extreme(true, *a, *b),
                ([a, b], Reduction::Min) => extreme(false, *a, *b),
                (p, _) => p[0],
            };
            level = level.chunks(2).map(pair).collect();
        }
        let off = (r * usize::from(i.dst_step) * w) as i64;
        let at = c.write(&i.dst, off, w as i64)?;
        c.memory_mut(&i.dst).put(at, of_float(i.elem, level[0]).get(), good);
    }
    Ok(())
}

fn gather(c: &mut Context<'_>, i: &Gather) -> Result<(), Fault> {
    let w = i.elem.bytes();
    let offsets = c.operand(&i.offsets, &dense(&i.n), Stride::DENSE, 4, 4)?;
    let mut picked = Vec::with_capacity(offsets.len());
    for o in &offsets {
        let (b, good) = get(c, &i.offsets, *o, 4);
        if !good {
            return Err(Fault::new(FaultKind::Undefined, "an offset of a gather was never written"));
        }
        let off = int(Elem::U32, b.get()) + num(&i.base);
        if off % w as i64 != 0 {
            let what = format!("a gather's offset is {off}, no multiple of the element's {w} bytes");
            return Err(Fault::new(FaultKind::Parameter, what));
        }
        let at = c.read(&i.src, off, w as i64)?;
        picked.push(get(c, &i.src, at, w));
    }
    let to = c.result(&i.dst, &dense(&i.n), Stride::DENSE, w, w)?;
    for (t, (v, good)) in to.iter().zip(picked) {
        c.memory_mut(&i.dst).put(*t, v.get(), good);
    }
    Ok(())
}

/// `x · y + z` with one rounding; `which` picks them among what the result's place holds and the operands.
fn fused(
    c: &mut Context<'_>,
    elem: Elem,
    (dst, a, b): (&Local, &Local, &Local),
    span: &Span,
    (sd, sa, sb): (Stride, Stride, Stride),
    which: impl Fn(f32, f32, f32) -> (f32, f32, f32),
) -> Result<(), Fault> {
    let w = elem.bytes();
    let from = c.operand(a, span, sa, w, w)?;
    let other = c.operand(b, span, sb, w, w)?;
    c.operand(dst, span, sd, w, w)?;
    let to = c.result(dst, span, sd, w, w)?;
    for ((t, x), y) in to.iter().zip(from).zip(other) {
        let ((d, dd), (x, dx), (y, dy)) = (get(c, dst, *t, w), get(c, a, x, w), get(c, b, y, w));
        let (x, y, z) = which(float(elem, d.get()), float(elem, x.get()), float(elem, y.get()));
        // A fused product of halves is exact in f64, and so is its sum but for one rounding.
        let r = if elem == Elem::F32 {
            x.mul_add(y, z)
        } else {
            f64::from(x).mul_add(f64::from(y), f64::from(z)) as f32
        };
        c.memory_mut(dst).put(*t, of_float(elem, r).get(), dd && dx && dy);
    }
    Ok(())
}

/// Runs a vector instruction; `false` if it is none.
pub(super) fn run(c: &mut Context<'_>, i: &Instr) -> Result<bool, Fault> {
    match i {
        Instr::VUnary(i) => {
            let w = i.elem.bytes();
            let from = c.operand(&i.src, &i.span, i.src_stride, w, w)?;
            let to = c.result(&i.dst, &i.span, i.dst_stride, w, w)?;
            if i.op == Unary::Not {
                bytes(c, &i.dst, &to, (&i.src, &from), None, |x, _| !x);
            } else {
                let inexact = if i.elem == Elem::F32 { c.inexact } else { (0, 0) };
                map(c, (&i.dst, &i.src), (&to, &from), w, |b| unary(i.op, i.elem, b, inexact));
            }
        }
        Instr::VBinary(i) => {
            let w = i.elem.bytes();
            let a = c.operand(&i.a, &i.span, i.a_stride, w, w)?;
            let b = c.operand(&i.b, &i.span, i.b_stride, w, w)?;
            let to = c.result(&i.dst, &i.span, i.dst_stride, w, w)?;
            if matches!(i.op, Binary::And | Binary::Or) {
                let or = i.op == Binary::Or;
                let f = |x, y| if or { x | y } else { x & y };
                bytes(c, &i.dst, &to, (&i.a, &a), Some((&i.b, &b)), f);
                return Ok(true);
            }
            for ((t, a), b) in to.iter().zip(a).zip(b) {
                let ((x, dx), (y, dy)) = (get(c, &i.a, a, w), get(c, &i.b, b, w));
                c.memory_mut(&i.dst).put(*t, binary(i.op, i.elem, x.get(), y.get()).get(), dx && dy);
            }
        }
        Instr::VScalar(i) => {
            let w = i.elem.bytes();
            let s = element(i.elem, num(&i.scalar));
            let from = c.operand(&i.src, &i.span, i.src_stride, w, w)?;
            let to = c.result(&i.dst, &i.span, i.dst_stride, w, w)?;
            map(c, (&i.dst, &i.src), (&to, &from), w, |b| with_scalar(i.op, i.elem, b, &s));
        }
        Instr::MulAdd(i) => {
            let at = (&i.dst, &i.a, &i.b);
            fused(c, i.elem, at, &i.span, (i.dst_stride, i.a_stride, i.b_stride), |d, a, b| (a, b, d))?;
        }
        Instr::FusedMulAdd(i) => {
            let at = (&i.dst, &i.a, &i.b);
            fused(c, i.elem, at, &i.span, (i.dst_stride, i.a_stride, i.b_stride), |d, a, b| (a, d, b))?;
        }
        Instr::Cast(i) => {
            let (wt, wf) = (i.to.bytes(), i.from.bytes());
            let from = c.operand(&i.src, &i.span, i.src_stride, wf, wt.max(wf))?;
            let to = c.result(&i.dst, &i.span, i.dst_stride, wt, wt.max(wf))?;
            // In place from narrow to wide would overwrite what is still to be read: read first.
            let values: Vec<(Bytes, bool)> = from.iter().map(|s| get(c, &i.src, *s, wf)).collect();
            for (t, (v, good)) in to.iter().zip(values) {
                c.memory_mut(&i.dst).put(*t, convert(i.to, i.from, i.rounding, v.get()).get(), good);
            }
        }
        Instr::CompareTo(i) => {
            let w = i.elem.bytes();
            let a = c.operand(&i.a, &dense(&i.n), Stride::DENSE, w, w)?;
            let b = c.operand(&i.b, &dense(&i.n), Stride::DENSE, w, w)?;
            let all: Vec<(bool, bool)> = (a.iter().zip(b))
                .map(|(a, b)| {
                    let ((x, dx), (y, dy)) = (get(c, &i.a, *a, w), get(c, &i.b, b, w));
                    (compare(i.op, i.elem, x.get(), y.get()), dx && dy)
                })
                .collect();
            bits(c, &i.dst, &all)?;
        }
        Instr::CompareScalar(i) => {
            let w = i.elem.bytes();
            let s = element(i.elem, num(&i.scalar));
            let a = c.operand(&i.a, &dense(&i.n), Stride::DENSE, w, w)?;
            let one = |a: &usize| {
                let (x, d) = get(c, &i.a, *a, w);
                (compare(i.op, i.elem, x.get(), s.get()), d)
            };
            let all: Vec<(bool, bool)> = a.iter().map(one).collect();
            bits(c, &i.dst, &all)?;
        }
        Instr::Select(i) => {
            let w = i.elem.bytes();
            let b = c.operand(&i.b, &dense(&i.n), Stride::DENSE, w, w)?;
            choose(c, (&i.dst, &i.mask, &i.a), i.elem, &i.n, |c, k| get(c, &i.b, b[k], w))?;
        }
        Instr::SelectScalar(i) => {
            let s = element(i.elem, num(&i.scalar));
            choose(c, (&i.dst, &i.mask, &i.a), i.elem, &i.n, |_, _| (s, true))?;
        }
        Instr::Duplicate(i) => {
            let w = i.elem.bytes();
            let s = element(i.elem, num(&i.scalar));
            for t in c.result(&i.dst, &i.span, i.dst_stride, w, w)? {
                c.memory_mut(&i.dst).put(t, s.get(), true);
            }
        }
        Instr::Reduce(i) => reduce(c, i)?,
        Instr::BlockBroadcast(i) => {
            let w = i.elem.bytes();
            let n = 8 * num(&i.times);
            let from = c.operand(&i.src, &dense(&Val::Const(n)), Stride::DENSE, w, w)?;
            for (k, s) in from.iter().enumerate() {
                let (v, good) = get(c, &i.src, *s, w);
                let (r, b) = ((k / 8) as i64, (k % 8) as i64);
                let off = 32 * (r * i64::from(i.dst_stride.repeat) + b * i64::from(i.dst_stride.block));
                let at = c.write(&i.dst, off, 32)?;
                c.memory_mut(&i.dst).put(at, &v.get().repeat(32 / w), good);
            }
        }
        Instr::Gather(i) => gather(c, i)?,
        Instr::Iota(i) => {
            let w = i.elem.bytes();
            let first = element(i.elem, num(&i.first));
            let to = c.result(&i.dst, &dense(&i.n), Stride::DENSE, w, w)?;
            for (k, t) in to.iter().enumerate() {
                let v = if i.elem.is_float() {
                    of_float(i.elem, float(i.elem, first.get()) + k as f32)
                } else {
                    of_int(i.elem, int(i.elem, first.get()) + k as i64)
                };
                c.memory_mut(&i.dst).put(*t, v.get(), true);
            }
        }
        Instr::Transpose16(i) => {
            let from = c.read(&i.src, 0, 512)?;
            let to = c.write(&i.dst, 0, 512)?;
            let all: Vec<(Bytes, bool)> = (0..256).map(|k| get(c, &i.src, from + 2 * k, 2)).collect();
            for k in 0..256 {
                let (v, good) = all[(k % 16) * 16 + k / 16];
                c.memory_mut(&i.dst).put(to + 2 * k, v.get(), good);
            }
        }
        Instr::Sort32(_) | Instr::MergeSort(_) => super::sort::run(c, i)?,
        Instr::StoreScalar(i) => {
            let v = element(i.elem, num(&i.value));
            let at = c.write(&i.dst, 0, i.elem.bytes() as i64)?;
            c.memory_mut(&i.dst).put(at, v.get(), true);
        }
        _ => return Ok(false),
    }
    Ok(true)
}
