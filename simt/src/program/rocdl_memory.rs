//! Memory operations of the `rocdl` dialect: buffer resources, direct copies to LDS, transposed reads.

use super::build::{Builder, Lowered};
use super::inst::{Access, Op, Order, Piece, RedOp, Slot};
use super::llvm::element;
use super::nvvm::plain;
use super::wave_op::{Buffer, WaveOp};
use crate::text::{self, Scalar, Type};

/// The address space of global memory.
const GLOBAL: u8 = 1;

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let wave = |op: WaveOp| Op::Wave(Box::new(op));
    match name {
        "make.buffer.rsrc" => plain(b, op, wave(WaveOp::MakeBuffer), &[0, 1, 2, 3]),
        "raw.ptr.buffer.load" => {
            let ty = op.result_types.first().ok_or("no result")?;
            let buffer = buffer(ty)?;
            let mut src = resource(b, op, 0)?;
            src.push(b.slot());
            let dst = b.result(op, 0)?;
            b.emit(wave(WaveOp::BufferLoad(buffer)), &src, &dst);
            Ok(())
        }
        "raw.ptr.buffer.store" => {
            let value = b.value(op, 0)?.clone();
            let buffer = buffer(&value.ty)?;
            let mut src = resource(b, op, 1)?;
            src.extend_from_slice(&value.slots);
            src.push(b.slot());
            b.emit(wave(WaveOp::BufferStore(buffer)), &src, &[]);
            Ok(())
        }
        "raw.ptr.buffer.load.lds" => {
            let constant = |b: &Builder<'m, '_>, index: usize| -> Lowered<u64> {
                let slot = b.scalar(op, index)?.0;
                b.known(slot).ok_or_else(|| format!("operand {index} is not constant"))
            };
            let (bytes, offset) = (constant(b, 2)?, constant(b, 5)? as u32 as i32);
            let mut src = vec![b.scalar(op, 1)?.0];
            src.extend_from_slice(&b.value(op, 0)?.slots);
            src.extend([b.scalar(op, 3)?.0, b.scalar(op, 4)?.0]);
            b.emit(wave(WaveOp::DirectBuffer { bytes: direct_size(bytes)?, offset }), &src, &[]);
            Ok(())
        }
        "global.load.lds" | "load.to.lds" => {
            let (from, ty) = b.scalar(op, 0)?;
            if !matches!(ty, Scalar::Ptr(0 | 1)) {
                return Err("a source that is no global pointer".into());
            }
            let given = |name: &str, index: usize| -> Lowered<i64> {
                match op.int(name) {
                    Some(value) => Ok(value),
                    None => {
                        let slot = b.scalar(op, index)?.0;
                        Ok(b.known(slot).ok_or("an operand that is not constant")? as u32 as i32 as i64)
                    }
                }
            };
            let bytes = direct_size(given("size", 2)? as u64)?;
            let offset = given("offset", 3)? as i32;
            let to = b.scalar(op, 1)?.0;
            b.emit(wave(WaveOp::DirectGlobal { bytes, offset }), &[to, from], &[]);
            Ok(())
        }
        "ds.read.tr16.b64" | "ds.read.tr8.b64" | "ds.read.tr4.b64" => {
            let bits = name["ds.read.tr".len()..].split('.').next().and_then(|bits| bits.parse().ok());
            let from = b.scalar(op, 0)?.0;
            let word = b.emit_new(wave(WaveOp::ReadTransposed(bits.ok_or("no width")?)), &[from]);
            let bits = element(op.result_types.first().ok_or("no result")?)?.bits();
            let slots = b.repack(&[word], 64, bits)?;
            b.define_slots(op, 0, slots);
            Ok(())
        }
        _ => match name.strip_prefix("raw.ptr.buffer.atomic.") {
            Some(kind) => atomic(b, op, kind),
            None => Err("not an operation that the simulator knows".into()),
        },
    }
}

/// Both words of the resource at operand `at`, the lane's offset and the wave's.
fn resource<'m>(b: &Builder<'m, '_>, op: &'m text::Op, at: usize) -> Lowered<Vec<Slot>> {
    let mut src = b.value(op, at)?.slots.clone();
    if src.len() != 2 {
        return Err("a resource descriptor expected".into());
    }
    src.extend([b.scalar(op, at + 1)?.0, b.scalar(op, at + 2)?.0]);
    Ok(src)
}

fn direct_size(bytes: u64) -> Lowered<u8> {
    match bytes {
        4 | 12 | 16 => Ok(bytes as u8),
        _ => Err("a size of 4, 12 or 16 bytes".into()),
    }
}

/// An access of that type, whole and by 32-bit words, as bounds are checked.
fn buffer(ty: &Type) -> Lowered<Buffer> {
    let scalars = ty.scalars().ok_or("a value of a type that does not lie in memory")?;
    let bytes = ty.size() as u32;
    if !matches!(bytes, 1 | 2 | 4 | 8 | 12 | 16) {
        return Err("buffer accesses have 1, 2, 4, 8, 12 or 16 bytes".into());
    }
    let piece = |&(offset, ty): &(u64, Scalar)| Piece { offset: offset as u32, ty };
    let pieces: Vec<Piece> = scalars.iter().map(piece).collect();
    let make = |pieces: Vec<Piece>, bytes: u32| {
        let align = pieces.iter().map(|piece| piece.ty.bytes()).max().unwrap_or(1).min(4);
        Access { space: GLOBAL, bytes, align, order: Order::Plain, pieces: pieces.into() }
    };
    let mut words = Vec::new();
    let mut first = 0;
    while first < pieces.len() {
        let offset = pieces[first].offset;
        // A word holds the pieces that begin in it; a piece of 64 bits stands for both of its words.
        let here: Vec<Piece> =
            pieces[first..].iter().take_while(|p| p.offset / 4 == offset / 4).copied().collect();
        let count = here.len();
        let bytes = here.iter().map(|p| p.offset + p.ty.bytes() - offset).max().unwrap_or(0);
        let here = here.into_iter().map(|p| Piece { offset: p.offset - offset, ..p }).collect();
        words.push((offset, make(here, bytes), first, count));
        first += count;
    }
    Ok(Buffer { whole: make(pieces, bytes), words: words.into() })
}

fn atomic<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, kind: &str) -> Lowered<()> {
    let red = match kind {
        "fadd" | "add" => RedOp::Add,
        "fmax" | "smax" => RedOp::Max,
        "fmin" | "smin" => RedOp::Min,
        "umin" => RedOp::UMin,
        "umax" => RedOp::UMax,
        "cmpswap" => RedOp::Cas,
        _ => return Err("not an atomic that the simulator knows".into()),
    };
    let at = if red == RedOp::Cas { 2 } else { 1 };
    let value = b.value(op, 0)?.clone();
    let buffer = buffer(&value.ty)?;
    let mut src = resource(b, op, at)?;
    if red == RedOp::Cas {
        // The value compared with comes before the new one, as in [`Op::Atomic`].
        src.extend([b.scalar(op, 1)?.0, b.scalar(op, 0)?.0]);
    } else {
        src.extend_from_slice(&value.slots);
    }
    src.push(b.slot());
    let dst = b.result(op, 0)?;
    b.emit(Op::Wave(Box::new(WaveOp::BufferAtomic { op: red, buffer })), &src, &dst);
    Ok(())
}
