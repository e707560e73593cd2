//! The cube unit: fractals into its operands' memories, and products.

use super::code::num;
use super::context::Context;
use super::value::{float, int};
use crate::error::Fault;
use crate::ir::*;
use kcc_dsl::ir::Elem;

/// Bytes of a fractal.
const FRACTAL: i64 = 512;

pub(super) fn load(c: &mut Context<'_>, i: &LoadData) -> Result<(), Fault> {
    let (start, stride, gap) = (num(&i.start), num(&i.src_stride), num(&i.dst_gap));
    for n in 0..num(&i.times) {
        let from = c.read(&i.src, (start + n * stride) * FRACTAL, FRACTAL)?;
        let to = c.write(&i.dst, n * (1 + gap) * FRACTAL, FRACTAL)?;
        let m = c.memory(&i.src);
        let piece: Vec<(u8, bool)> =
            (from..from + FRACTAL as usize).map(|b| (m.data[b], m.is_defined(b))).collect();
        let m = c.memory_mut(&i.dst);
        for (b, _) in piece.iter().enumerate() {
            // Transposed fractals are 16 × 16 elements of two bytes.
            let b2 = b / 2;
            let from = if i.transpose { 2 * ((b2 % 16) * 16 + b2 / 16) + b % 2 } else { b };
            m.put(to + b, &[piece[from].0], piece[from].1);
        }
    }
    Ok(())
}

/// An operand as numbers, and whether each is defined.
struct Matrix {
    values: Vec<f64>,
    defined: Vec<bool>,
}

/// Reads `outer × depth` elements that lie in fractals of 16 × `c0`, fractal rows (`by_rows`) or fractal columns first.
fn operand(
    c: &mut Context<'_>,
    l: &Local,
    elem: Elem,
    outer: i64,
    depth: i64,
    by_rows: bool,
) -> Result<Matrix, Fault> {
    let w = elem.bytes() as i64;
    let c0 = 32 / w;
    let (fo, fd) = ((outer + 15) / 16, (depth + c0 - 1) / c0);
    let at = c.read(l, 0, fo * fd * FRACTAL)?;
    let m = c.memory(l);
    let n = (outer * depth) as usize;
    let mut out = Matrix { values: Vec::with_capacity(n), defined: Vec::with_capacity(n) };
    for o in 0..outer {
        for d in 0..depth {
            let fractal = if by_rows { o / 16 * fd + d / c0 } else { d / c0 * fo + o / 16 };
            let b = at + (fractal * FRACTAL + (o % 16 * c0 + d % c0) * w) as usize;
            let e = &m.data[b..b + w as usize];
            out.values.push(if elem.is_float() { f64::from(float(elem, e)) } else { int(elem, e) as f64 });
            out.defined.push(m.all_defined(b, w as usize));
        }
    }
    Ok(out)
}

/// Sums are exact in `f64` for products of 16-bit operands up to rounding far below an `f32`'s; rounded once.
pub(super) fn mmad(c: &mut Context<'_>, i: &Mmad) -> Result<(), Fault> {
    let (m, n, k) = (num(&i.m), num(&i.n), num(&i.k));
    let a = operand(c, &i.a, i.elem, m, k, true)?;
    let b = operand(c, &i.b, i.elem, n, k, false)?;
    let fm = (m + 15) / 16;
    let bytes = fm * ((n + 15) / 16) * 1024;
    if !i.init {
        c.read(&i.dst, 0, bytes)?;
    }
    let at = c.write(&i.dst, 0, bytes)?;
    let (k, whole) = (k as usize, a.defined.iter().chain(&b.defined).all(|d| *d));
    let mem = c.memory_mut(&i.dst);
    for r in 0..m as usize {
        let row = &a.values[r * k..(r + 1) * k];
        for col in 0..n as usize {
            let column = &b.values[col * k..(col + 1) * k];
            let sum: f64 = row.iter().zip(column).map(|(x, y)| x * y).sum();
            let at = at + ((col / 16) * fm as usize * 256 + r * 16 + col % 16) * 4;
            let mut good = whole
                || (a.defined[r * k..(r + 1) * k].iter().chain(&b.defined[col * k..(col + 1) * k]))
                    .all(|d| *d);
            let there: [u8; 4] = [mem.data[at], mem.data[at + 1], mem.data[at + 2], mem.data[at + 3]];
            good &= i.init || mem.all_defined(at, 4);
            let out = if i.elem == Elem::I8 {
                let before = if i.init { 0 } else { i32::from_le_bytes(there) };
                before.wrapping_add(sum as i64 as i32).to_le_bytes()
            } else {
                let before = if i.init { 0.0 } else { f64::from(f32::from_le_bytes(there)) };
                ((before + sum) as f32).to_le_bytes()
            };
            mem.put(at, &out, good);
        }
    }
    Ok(())
}
