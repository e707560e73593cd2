//! Copies between global memory and a core's buffers.

use super::code::num;
use super::context::Context;
use super::value::{float, int, of_float, of_int, saturate};
use crate::error::{Fault, FaultKind};
use crate::ir::*;
use kcc_dsl::ir::Elem;

pub(super) fn copy_in(c: &mut Context<'_>, i: &CopyIn) -> Result<(), Fault> {
    let w = i.elem.bytes() as i64;
    let (left, right) = i.pad.as_ref().map_or((0, 0), |p| (num(&p.left) * w, num(&p.right) * w));
    let bytes = num(&i.bytes);
    let filled = left + bytes + right;
    // Without padding what fills up the last block is nobody's value.
    let stride = (filled + 31) / 32 * 32;
    for b in 0..num(&i.blocks) {
        let (data, defined) = c.fetch(&i.src, b * (bytes + num(&i.src_gap)), bytes)?;
        let at = c.write(&i.dst, b * (stride + 32 * num(&i.dst_gap)), stride)?;
        let m = c.memory_mut(&i.dst);
        m.blur(at..at + stride as usize);
        if let Some(p) = &i.pad {
            let v = element(i.elem, num(&p.value));
            for e in (0..left / w).chain((left + bytes) / w..filled / w) {
                m.put(at + (e * w) as usize, v.get(), true);
            }
        }
        place(m, at + left as usize, &data, &defined);
    }
    Ok(())
}

/// An element by the bits of a scalar register: floats by an `f32`'s bits.
pub(super) fn element(elem: Elem, bits: i64) -> super::value::Bytes {
    if elem.is_float() { of_float(elem, f32::from_bits(bits as u32)) } else { of_int(elem, bits) }
}

fn place(m: &mut super::memory::Memory, at: usize, data: &[u8], defined: &[bool]) {
    let mut i = 0;
    while i < data.len() {
        let d = defined[i];
        let n = defined[i..].iter().take_while(|x| **x == d).count();
        m.put(at + i, &data[i..i + n], d);
        i += n;
    }
}

/// Values at their way to global memory: those that nobody wrote must not get there.
fn defined(c: &Context<'_>, src: &Local, at: usize, len: usize) -> Result<(), Fault> {
    match c.memory(src).undefined(at..at + len) {
        None => Ok(()),
        Some(b) => {
            let name = &c.program.buffers[src.buffer as usize].name;
            let what = format!("byte {b} of {name}'s memory, which nobody wrote, is copied to global memory");
            Err(Fault::new(FaultKind::Undefined, what))
        }
    }
}

/// What is there becomes what an atomic copy makes of it.
fn combine(how: Atomic, elem: Elem, there: &mut [u8], new: &[u8]) {
    let w = elem.bytes();
    if how == Atomic::None {
        there.copy_from_slice(new);
        return;
    }
    for (t, n) in there.chunks_exact_mut(w).zip(new.chunks_exact(w)) {
        let r = if elem.is_float() {
            let (a, b) = (float(elem, t), float(elem, n));
            of_float(
                elem,
                match how {
                    Atomic::Add => a + b,
                    Atomic::Max => a.max(b),
                    _ => a.min(b),
                },
            )
        } else {
            let (a, b) = (int(elem, t), int(elem, n));
            of_int(
                elem,
                match how {
                    Atomic::Add => saturate(elem, i128::from(a) + i128::from(b)),
                    Atomic::Max => a.max(b),
                    _ => a.min(b),
                },
            )
        };
        t.copy_from_slice(r.get());
    }
}

pub(super) fn copy_out(c: &mut Context<'_>, i: &CopyOut) -> Result<(), Fault> {
    let bytes = num(&i.bytes);
    let stride = (bytes + 31) / 32 * 32 + 32 * num(&i.src_gap);
    for b in 0..num(&i.blocks) {
        let at = c.read(&i.src, b * stride, bytes)?;
        defined(c, &i.src, at, bytes as usize)?;
        let data = c.memory(&i.src).data[at..at + bytes as usize].to_vec();
        let off = b * (bytes + num(&i.dst_gap));
        c.commit(&i.dst, off, bytes, |there| combine(i.atomic, i.elem, there, &data))?;
    }
    Ok(())
}

pub(super) fn copy_l1(c: &mut Context<'_>, i: &CopyL1) -> Result<(), Fault> {
    let bytes = 32 * num(&i.length);
    for b in 0..num(&i.blocks) {
        let (data, defined) = c.fetch(&i.src, b * (bytes + 32 * num(&i.src_gap)), bytes)?;
        let at = c.write(&i.dst, b * (bytes + 32 * num(&i.dst_gap)), bytes)?;
        place(c.memory_mut(&i.dst), at, &data, &defined);
    }
    Ok(())
}

pub(super) fn nd_to_nz(c: &mut Context<'_>, i: &NdToNz) -> Result<(), Fault> {
    let w = i.elem.bytes() as i64;
    let c0 = 32 / w;
    let (rows, columns) = (num(&i.rows), num(&i.columns));
    for m in 0..num(&i.matrices) {
        for r in 0..rows {
            let off = (m * num(&i.src_matrix) + r * num(&i.src_row)) * w;
            let (data, defined) = c.fetch(&i.src, off, columns * w)?;
            for col in 0..(columns + c0 - 1) / c0 {
                let to = m * num(&i.dst_matrix) * w + 32 * (col * num(&i.dst_column) + r * num(&i.dst_row));
                let at = c.write(&i.dst, to, 32)?;
                let (from, end) = ((col * 32) as usize, ((col * 32 + 32).min(columns * w)) as usize);
                let mem = c.memory_mut(&i.dst);
                mem.put(at, &[0; 32], true);
                place(mem, at, &data[from..end], &defined[from..end]);
            }
        }
    }
    Ok(())
}

pub(super) fn fill_l1(c: &mut Context<'_>, i: &FillL1) -> Result<(), Fault> {
    let v = element(i.elem, num(&i.value));
    let bytes = 32 * num(&i.blocks);
    for t in 0..num(&i.times) {
        let at = c.write(&i.dst, t * (bytes + 32 * num(&i.gap)), bytes)?;
        let all = v.get().repeat(bytes as usize / v.get().len());
        c.memory_mut(&i.dst).put(at, &all, true);
    }
    Ok(())
}

pub(super) fn fixpipe(c: &mut Context<'_>, i: &Fixpipe) -> Result<(), Fault> {
    let (m, n) = (num(&i.m), num(&i.n));
    let out = match i.quant {
        Quant::None => i.elem,
        Quant::F16 => Elem::F16,
        Quant::Bf16 => Elem::BF16,
    };
    let w = out.bytes() as i64;
    for r in 0..m {
        let mut row = Vec::with_capacity((n * w) as usize);
        for col in (0..n).step_by(16) {
            let k = 16.min(n - col);
            let off = (col / 16 * num(&i.src_stride) + r) * 64;
            let at = c.read(&i.src, off, k * 4)?;
            defined(c, &i.src, at, 4 * k as usize)?;
            for e in c.memory(&i.src).data[at..at + 4 * k as usize].chunks_exact(4) {
                let v = if i.elem == Elem::I32 {
                    let v = int(Elem::I32, e);
                    of_int(out, if i.relu { v.max(0) } else { v })
                } else {
                    let v = float(Elem::F32, e);
                    let v = if i.relu && v < 0.0 { 0.0 } else { v };
                    // Halves saturate on their way out; not-a-number stays.
                    let v = if out == Elem::F16 { v.clamp(-65504.0, 65504.0) } else { v };
                    of_float(out, v)
                };
                row.extend_from_slice(v.get());
            }
        }
        let off = r * num(&i.dst_stride) * w;
        c.commit(&i.dst, off, n * w, |there| combine(i.atomic, out, there, &row))?;
    }
    Ok(())
}
