//! One short method for each operation that tests build often; [`Builder::op`] reaches the rest.

use super::Builder;
use crate::ir::{
    BinaryOp, Cache, CmpOp, Const, Elem, OpKind, Precision, ReduceOp, TileType, Type, UnaryOp, ValueId,
};

impl Builder {
    #[track_caller]
    fn one(&mut self, kind: OpKind, operands: &[ValueId]) -> ValueId {
        let r = self.op(kind, operands);
        self.single(r)
    }

    #[track_caller]
    fn one_tile(&mut self, kind: OpKind, operands: &[ValueId], elem: Elem, shape: &[usize]) -> ValueId {
        let r = self.op_typed(kind, operands, &[Type::Tile(TileType::new(elem, shape))]);
        self.single(r)
    }

    /// This program's index along a grid axis.
    #[track_caller]
    pub fn program_id(&mut self, axis: u8) -> ValueId {
        self.one(OpKind::ProgramId(axis), &[])
    }

    /// Number of programs along a grid axis.
    #[track_caller]
    pub fn num_programs(&mut self, axis: u8) -> ValueId {
        self.one(OpKind::NumPrograms(axis), &[])
    }

    /// A tile of one constant, given by its [`Const`].
    #[track_caller]
    pub fn constant(&mut self, elem: Elem, shape: &[usize], value: Const) -> ValueId {
        self.one_tile(OpKind::Constant(value), &[], elem, shape)
    }

    /// A tile of one constant, converted from `f32` to what `elem` needs.
    #[track_caller]
    pub fn full(&mut self, elem: Elem, shape: &[usize], value: f32) -> ValueId {
        let c = match elem {
            Elem::Bool => Const::Bool(value != 0.0),
            e if e.is_float() => Const::float(value),
            _ => Const::Int(value as i64),
        };
        self.constant(elem, shape, c)
    }

    /// A scalar `i32` constant.
    #[track_caller]
    pub fn i32(&mut self, value: i32) -> ValueId {
        self.constant(Elem::I32, &[], Const::Int(value.into()))
    }

    /// A scalar `f32` constant.
    #[track_caller]
    pub fn f32(&mut self, value: f32) -> ValueId {
        self.constant(Elem::F32, &[], Const::float(value))
    }

    /// `i32[n]`: 0, 1, …, n-1.
    #[track_caller]
    pub fn arange(&mut self, n: usize) -> ValueId {
        self.one_tile(OpKind::Arange, &[], Elem::I32, &[n])
    }

    /// An element-wise operation of one operand.
    #[track_caller]
    pub fn unary(&mut self, op: UnaryOp, x: ValueId) -> ValueId {
        self.one(OpKind::Unary(op), &[x])
    }

    /// An element-wise operation of two operands of one type.
    #[track_caller]
    pub fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.one(OpKind::Binary(op), &[a, b])
    }

    /// `a + b`
    #[track_caller]
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`
    #[track_caller]
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`
    #[track_caller]
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`
    #[track_caller]
    pub fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Div, a, b)
    }

    /// `a * b + c` with one rounding.
    #[track_caller]
    pub fn fma(&mut self, a: ValueId, b: ValueId, c: ValueId) -> ValueId {
        self.one(OpKind::Fma, &[a, b, c])
    }

    /// A comparison.
    #[track_caller]
    pub fn compare(&mut self, op: CmpOp, a: ValueId, b: ValueId) -> ValueId {
        self.one(OpKind::Compare(op), &[a, b])
    }

    /// `a` where the mask holds, else `b`.
    #[track_caller]
    pub fn select(&mut self, mask: ValueId, a: ValueId, b: ValueId) -> ValueId {
        self.one(OpKind::Select, &[mask, a, b])
    }

    /// Value conversion.
    #[track_caller]
    pub fn cast(&mut self, x: ValueId, elem: Elem) -> ValueId {
        let shape = self.tile_ty(x).shape;
        self.one_tile(OpKind::Cast, &[x], elem, &shape)
    }

    /// Same bits in another type of the same width.
    #[track_caller]
    pub fn bitcast(&mut self, x: ValueId, elem: Elem) -> ValueId {
        let shape = self.tile_ty(x).shape;
        self.one_tile(OpKind::Bitcast, &[x], elem, &shape)
    }

    /// Axis `i` of `x` becomes axis `axes[i]` of a tile of this shape.
    #[track_caller]
    pub fn broadcast(&mut self, x: ValueId, axes: &[u8], shape: &[usize]) -> ValueId {
        let elem = self.ty(x).elem();
        self.one_tile(OpKind::Broadcast { axes: axes.to_vec() }, &[x], elem, shape)
    }

    /// A scalar repeated to a shape.
    #[track_caller]
    pub fn splat(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        self.broadcast(x, &[], shape)
    }

    /// The same elements in row-major order under another shape.
    #[track_caller]
    pub fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        let elem = self.ty(x).elem();
        self.one_tile(OpKind::Reshape, &[x], elem, shape)
    }

    /// Axis `i` of the result is axis `perm[i]` of the operand.
    #[track_caller]
    pub fn transpose(&mut self, x: ValueId, perm: &[u8]) -> ValueId {
        self.one(OpKind::Transpose { perm: perm.to_vec() }, &[x])
    }

    /// The block of this shape at constant offsets.
    #[track_caller]
    pub fn slice(&mut self, x: ValueId, offsets: &[usize], shape: &[usize]) -> ValueId {
        let elem = self.ty(x).elem();
        self.one_tile(OpKind::Slice { offsets: offsets.to_vec() }, &[x], elem, shape)
    }

    /// Concatenation along an axis.
    #[track_caller]
    pub fn concat(&mut self, a: ValueId, b: ValueId, axis: u8) -> ValueId {
        self.one(OpKind::Concat { axis }, &[a, b])
    }

    /// Extent of an axis of a view.
    #[track_caller]
    pub fn dim(&mut self, view: ValueId, axis: u8) -> ValueId {
        self.one(OpKind::Dim(axis), &[view])
    }

    /// Fixes the leading axes of a view.
    #[track_caller]
    pub fn at(&mut self, view: ValueId, index: &[ValueId]) -> ValueId {
        self.one(OpKind::At, &[&[view], index].concat())
    }

    /// A block at these offsets; elements outside the view read as zero.
    #[track_caller]
    pub fn load(&mut self, view: ValueId, at: &[ValueId], shape: &[usize]) -> ValueId {
        let padding = zero(self.ty(view).elem());
        self.load_or(view, at, shape, padding)
    }

    /// A block at these offsets; elements outside the view read as `padding`.
    #[track_caller]
    pub fn load_or(&mut self, view: ValueId, at: &[ValueId], shape: &[usize], padding: Const) -> ValueId {
        let elem = self.ty(view).elem();
        let kind = OpKind::Load { padding, cache: Cache::Default };
        self.one_tile(kind, &[&[view], at].concat(), elem, shape)
    }

    /// Writes a block at these offsets.
    #[track_caller]
    pub fn store(&mut self, view: ValueId, at: &[ValueId], tile: ValueId) {
        self.op(OpKind::Store { cache: Cache::Default }, &[&[view], at, &[tile]].concat());
    }

    /// `n` columns from `col` of each of these rows; outside the view reads as zero.
    #[track_caller]
    pub fn load_rows(&mut self, view: ValueId, rows: ValueId, col: ValueId, n: usize) -> ValueId {
        let elem = self.ty(view).elem();
        let m = self.tile_ty(rows).len();
        let kind = OpKind::LoadRows { padding: zero(elem), cache: Cache::Default };
        self.one_tile(kind, &[view, rows, col], elem, &[m, n])
    }

    /// Writes row `i` of the tile to row `rows[i]`, from column `col`.
    #[track_caller]
    pub fn store_rows(&mut self, view: ValueId, rows: ValueId, col: ValueId, tile: ValueId) {
        self.op(OpKind::StoreRows { cache: Cache::Default }, &[view, rows, col, tile]);
    }

    /// One element per index; `other` where the mask is false or the index is outside.
    #[track_caller]
    pub fn gather(&mut self, view: ValueId, index: &[ValueId], mask: ValueId, other: ValueId) -> ValueId {
        self.one(OpKind::Gather, &[&[view], index, &[mask, other]].concat())
    }

    /// Writes one element per index where the mask holds.
    #[track_caller]
    pub fn scatter(&mut self, view: ValueId, index: &[ValueId], mask: ValueId, value: ValueId) {
        self.op(OpKind::Scatter, &[&[view], index, &[mask, value]].concat());
    }

    /// Reduction along an axis.
    #[track_caller]
    pub fn reduce(&mut self, op: ReduceOp, x: ValueId, axis: u8) -> ValueId {
        self.one(OpKind::Reduce { axis, op }, &[x])
    }

    /// Inclusive scan along an axis, from the first element to the last.
    #[track_caller]
    pub fn scan(&mut self, op: ReduceOp, x: ValueId, axis: u8) -> ValueId {
        self.one(OpKind::Scan { axis, op, reverse: false }, &[x])
    }

    /// `acc + a · b`; IEEE f32 products for `f32` operands.
    #[track_caller]
    pub fn dot(&mut self, a: ValueId, b: ValueId, acc: ValueId) -> ValueId {
        self.dot_with(a, b, acc, Precision::Full)
    }

    /// `acc + a · b` with a stated precision of `f32` operands.
    #[track_caller]
    pub fn dot_with(&mut self, a: ValueId, b: ValueId, acc: ValueId, precision: Precision) -> ValueId {
        self.one(OpKind::Dot { precision }, &[a, b, acc])
    }

    /// Stops the launch with `message` where the mask does not hold.
    #[track_caller]
    pub fn assert(&mut self, mask: ValueId, message: &str) {
        self.op(OpKind::Assert { message: message.to_string() }, &[mask]);
    }

    /// Prints; each `{}` of the format is the next tile.
    #[track_caller]
    pub fn print(&mut self, format: &str, tiles: &[ValueId]) {
        self.op(OpKind::Print { format: format.to_string() }, tiles);
    }
}

fn zero(elem: Elem) -> Const {
    match elem {
        Elem::Bool => Const::Bool(false),
        e if e.is_float() => Const::float(0.0),
        _ => Const::Int(0),
    }
}
