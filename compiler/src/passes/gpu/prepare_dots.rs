//! Brings products into a form that some instruction of the chip takes; layouts come later.
//!
//! ```text
//! dot f8[64, 64] …, no f8 product on the chip     →  dot (cast f16[64, 64]) …         every f8 is an f16
//! dot bf16[64, 24] …, fragments of 16 along k     →  dot (concat …, zeros: bf16[64, 32]) …
//! dot_scaled u8[64, 64], u8[64, 2] …              →  dot (cast bf16 (f32 value · 2^(scale - 127))) …
//! ```

use super::GpuPass;
use crate::error::Error;
use crate::gpu::{GpuOptions, GpuTarget, MmaKind, MmaRow};
use crate::ktg::{Builder, Func, Kind, Type};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, Precision, ScaledFormat, TileType, ValueId};

/// The first row for these operands; `f32` at full precision has none.
pub(super) fn row_for(
    table: &[MmaRow],
    kind: MmaKind,
    (a, b): (Elem, Elem),
    precision: Precision,
) -> Option<&MmaRow> {
    table
        .iter()
        .find(|r| r.kind == kind && r.a == a && r.b == b && (!r.reduced || precision == Precision::Tf32))
}

/// The pass.
pub const PASS: GpuPass = GpuPass { name: "prepare_dots", run };

fn run(func: &mut Func, target: &dyn GpuTarget, _: &GpuOptions) -> Result<(), Error> {
    let table = target.mma_table();
    func.rewrite(&mut |b, mut op| {
        let precision = match (&op.kind, op.operands.as_slice()) {
            (Kind::Tile(OpKind::Dot { precision }), [_, _, _]) => *precision,
            (Kind::Tile(OpKind::DotScaled { a: f, b: g }), &[x, sx, y, sy, acc]) => {
                let (f, g) = (*f, *g);
                op.operands = vec![scaled(b, x, sx, f, 1), scaled(b, y, sy, g, 0), acc];
                Precision::Full
            }
            _ => return b.keep(op),
        };
        let elem = |b: &Builder, v: ValueId| b.ty(v).elem();
        let (Some(ea), Some(eb)) = (elem(b, op.operands[0]), elem(b, op.operands[1])) else {
            return b.keep(op);
        };
        if row_for(table, MmaKind::Sync, (ea, eb), precision).is_none() {
            for v in &mut op.operands[..2] {
                let f8 = matches!(elem(b, *v), Some(Elem::F8E4M3 | Elem::F8E5M2));
                if let (true, Some(t)) = (f8, b.ty(*v).tile().cloned()) {
                    [*v] = b.op(OpKind::Cast, &[*v], [Type::bare(t.with_elem(Elem::F16))]);
                }
            }
        }
        let pair = elem(b, op.operands[0]).zip(elem(b, op.operands[1]));
        if let Some(row) = pair.and_then(|p| row_for(table, MmaKind::Sync, p, precision)) {
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
    let f8 = match format {
        ScaledFormat::F8E4M3 => Elem::F8E4M3,
        ScaledFormat::F8E5M2 => Elem::F8E5M2,
    };
    let [values] = b.op(OpKind::Bitcast, &[bits], [Type::bare(t.with_elem(f8))]);
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
