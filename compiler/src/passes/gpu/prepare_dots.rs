//! Brings products into a form that some instruction of the chip takes; layouts come later.
//!
//! ```text
//! dot f8[64, 64] …, no f8 product on the chip     →  dot (cast f16[64, 64]) …         every f8 is an f16
//! dot bf16[64, 24] …, fragments of 16 along k     →  dot (concat …, zeros: bf16[64, 32]) …
//! dot_scaled u8[64, 64], u8[64, 2] …              →  dot (cast bf16 (f32 value · 2^(scale - 127))) …
//! dot_scaled u8[64, 128], …, the chip scales      →  dot_scaled (bitcast f8[64, 128]), …
//! ```

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget, MmaKind, MmaRow};
use crate::ktg::{Block, Builder, Func, Kind, Type};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, Precision, ScaledFormat, TileType, ValueId};
use std::collections::HashMap;

/// The first row for these operands whose depth divides that of the tiles; where none does, the one that needs the least padding. `f32`
/// at full precision has none.
pub(super) fn row_for(
    table: &[MmaRow],
    (a, b): (Elem, Elem),
    k: usize,
    precision: Precision,
) -> Option<&MmaRow> {
    let fits = |r: &&MmaRow| {
        r.kind == MmaKind::Sync && r.a == a && r.b == b && (!r.reduced || precision == Precision::Tf32)
    };
    let missing = |r: &&MmaRow| k.next_multiple_of(r.k as usize) - k;
    table.iter().filter(fits).min_by_key(missing)
}

/// The row that multiplies blocks of so many elements along the depth, and their scales.
pub(super) fn scaled_row(table: &[MmaRow], (a, b): (Elem, Elem), k: usize) -> Option<&MmaRow> {
    row_for(table, (a, b), k, Precision::Full)
        .filter(|r| r.scales.is_some() && k.is_multiple_of(r.k as usize))
}

fn elem_of(format: ScaledFormat) -> Elem {
    match format {
        ScaledFormat::F8E4M3 => Elem::F8E4M3,
        ScaledFormat::F8E5M2 => Elem::F8E5M2,
    }
}

/// What bits are taken of: values that are bit patterns of others.
fn sources(block: &Block, into: &mut HashMap<ValueId, ValueId>) {
    for op in &block.ops {
        if matches!(op.kind, Kind::Tile(OpKind::Bitcast)) {
            into.insert(op.results[0], op.operands[0]);
        }
        op.regions.iter().for_each(|r| sources(r, into));
    }
}

/// Bits as numbers of a type: those that they are the bits of, if they are of it.
fn as_floats(b: &mut Builder, from: &HashMap<ValueId, ValueId>, bits: ValueId, elem: Elem) -> ValueId {
    if let Some(v) = from.get(&bits).copied().filter(|v| b.ty(*v).elem() == Some(elem)) {
        return v;
    }
    let Some(t) = b.ty(bits).tile().cloned() else { return bits };
    let [v] = b.op(OpKind::Bitcast, &[bits], [Type::bare(t.with_elem(elem))]);
    v
}

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "prepare_dots", run };

fn run(func: &mut Func, target: &dyn GpuTarget, _: &GpuOptions) -> Result<(), Error> {
    let table = target.mma_table();
    let mut from = HashMap::new();
    sources(&func.body, &mut from);
    func.rewrite(&mut |b, mut op| {
        let precision = match (&op.kind, op.operands.as_slice()) {
            (Kind::Tile(OpKind::Dot { precision }), [_, _, _]) => *precision,
            (Kind::Tile(OpKind::DotScaled { a: f, b: g }), &[x, sx, y, sy, acc]) => {
                let (f, g) = (*f, *g);
                let pair = (elem_of(f), elem_of(g));
                let deep = b.ty(x).tile().map_or(0, |t| t.shape[t.rank() - 1]);
                if scaled_row(table, pair, deep).is_some() {
                    op.operands[0] = as_floats(b, &from, x, pair.0);
                    op.operands[2] = as_floats(b, &from, y, pair.1);
                    return b.keep(op);
                }
                op.operands = vec![scaled(b, x, sx, f, 1), scaled(b, y, sy, g, 0), acc];
                Precision::Full
            }
            _ => return b.keep(op),
        };
        let elem = |b: &Builder, v: ValueId| b.ty(v).elem();
        let (Some(ea), Some(eb)) = (elem(b, op.operands[0]), elem(b, op.operands[1])) else {
            return b.keep(op);
        };
        let deep = b.ty(op.operands[0]).tile().map_or(0, |t| t.shape[t.rank() - 1]);
        if row_for(table, (ea, eb), deep, precision).is_none() {
            for v in &mut op.operands[..2] {
                let f8 = matches!(elem(b, *v), Some(Elem::F8E4M3 | Elem::F8E5M2));
                if let (true, Some(t)) = (f8, b.ty(*v).tile().cloned()) {
                    [*v] = b.op(OpKind::Cast, &[*v], [Type::bare(t.with_elem(Elem::F16))]);
                }
            }
        }
        let pair = elem(b, op.operands[0]).zip(elem(b, op.operands[1]));
        if let Some(row) = pair.and_then(|p| row_for(table, p, deep, precision)) {
            let k = row.k as usize;
            op.operands[0] = pad(b, op.operands[0], 1, k);
            op.operands[1] = pad(b, op.operands[1], 2, k);
        }
        op.kind = Kind::Tile(OpKind::Dot { precision });
        b.keep(op);
    });
    Ok(())
}

/// Zeros at the end of the axis that is `from_last` from the end, up to a multiple of `k`.
fn pad(b: &mut Builder, v: ValueId, from_last: usize, k: usize) -> ValueId {
    let Some(t) = b.ty(v).tile().cloned() else { return v };
    let axis = t.rank() - from_last;
    let missing = t.shape[axis].next_multiple_of(k) - t.shape[axis];
    if missing == 0 {
        return v;
    }
    let mut rest = t.clone();
    rest.shape[axis] = missing;
    let zero = if t.elem.is_float() { Const::float(0.0) } else { Const::Int(0) };
    let [zeros] = b.op(OpKind::Constant(zero), &[], [Type::bare(rest)]);
    let mut whole = t;
    whole.shape[axis] += missing;
    let [padded] = b.op(OpKind::Concat { axis: axis as u8 }, &[v, zeros], [Type::bare(whole)]);
    padded
}

/// 8-bit floats times their scales, in bf16: four bits of significand fit, and the range is that of f32, so that
/// nothing is rounded but what f32 would hold as a denormal.
fn scaled(b: &mut Builder, bits: ValueId, scales: ValueId, format: ScaledFormat, axis: usize) -> ValueId {
    let (Some(t), Some(s)) = (b.ty(bits).tile().cloned(), b.ty(scales).tile().cloned()) else { return bits };
    let [values] = b.op(OpKind::Bitcast, &[bits], [Type::bare(t.with_elem(elem_of(format)))]);
    let [values] = b.op(OpKind::Cast, &[values], [Type::bare(t.with_elem(Elem::F32))]);
    let scale = exponent(b, scales, &s);
    // [M, K/32] → [M, K/32, 1] → [M, K/32, 32] → [M, K]; for the right operand [K/32, 1, N] in between.
    let mut apart = s.shape.clone();
    apart.insert(axis + 1, 1);
    let mut wide = apart.clone();
    wide[axis + 1] = 32;
    let shaped = |shape: &[usize]| Type::bare(TileType::new(Elem::F32, shape));
    let [one] = b.op(OpKind::Reshape, &[scale], [shaped(&apart)]);
    let [all] = b.op(OpKind::Broadcast { axes: vec![0, 1, 2] }, &[one], [shaped(&wide)]);
    let [scale] = b.op(OpKind::Reshape, &[all], [shaped(&t.shape)]);
    let product = b.binary(BinaryOp::Mul, values, scale);
    let [narrow] = b.op(OpKind::Cast, &[product], [Type::bare(t.with_elem(Elem::BF16))]);
    narrow
}

/// 2^(s - 127) in f32 by its bits; s = 0 is a denormal, s = 255 NaN.
fn exponent(b: &mut Builder, scales: ValueId, t: &TileType) -> ValueId {
    let ints = |b: &mut Builder, c: i64| -> ValueId {
        let [v] = b.op(OpKind::Constant(Const::Int(c)), &[], [Type::bare(t.with_elem(Elem::I32))]);
        v
    };
    let [wide] = b.op(OpKind::Cast, &[scales], [Type::bare(t.with_elem(Elem::I32))]);
    let (zero, nan, shift) = (ints(b, 0), ints(b, 255), ints(b, 23));
    let (tiny, quiet) = (ints(b, 1 << 22), ints(b, 0x7fc0_0000));
    let normal = b.binary(BinaryOp::Shl, wide, shift);
    let masks = Type::bare(t.with_elem(Elem::Bool));
    let [is_zero] = b.op(OpKind::Compare(CmpOp::Eq), &[wide, zero], [masks.clone()]);
    let [is_nan] = b.op(OpKind::Compare(CmpOp::Eq), &[wide, nan], [masks]);
    let ints = Type::bare(t.with_elem(Elem::I32));
    let [low] = b.op(OpKind::Select, &[is_zero, tiny, normal], [ints.clone()]);
    let [all] = b.op(OpKind::Select, &[is_nan, quiet, low], [ints]);
    let [scale] = b.op(OpKind::Bitcast, &[all], [Type::bare(t.with_elem(Elem::F32))]);
    scale
}
