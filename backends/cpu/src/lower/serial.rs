//! Operations with loops of their own: scans, searches, sorts, reshapes, and element-wise effects.

use super::{Coord, Lower, Result, Unsupported};
use kcc_compiler::emit::{Ix, K, Ty, V};
use kcc_dsl::ir::{CmpOp, Elem, Op, OpKind, ReduceOp, TileType, ValueId};

/// One step along an axis: its index and the carried values.
pub(super) type Step<'a, 'k> = &'a mut dyn FnMut(&mut Lower<'k>, Ix, Vec<V>) -> Vec<V>;

impl<'k> Lower<'k> {
    /// Writes one such operation.
    pub(super) fn serial(&mut self, op: &'k Op) -> Result<()> {
        match &op.kind {
            OpKind::Reduce { axis, op: r } => self.fold_axis(op, *axis as usize, *r, false, false),
            OpKind::Scan { axis, op: r, reverse } => self.fold_axis(op, *axis as usize, *r, true, *reverse),
            OpKind::ArgReduce { axis, max } => self.arg_reduce(op, *axis as usize, *max),
            OpKind::ReduceWith { axis } => self.fold_with(op, *axis as usize, false, false)?,
            OpKind::ScanWith { axis, reverse } => self.fold_with(op, *axis as usize, true, *reverse)?,
            OpKind::Sort { descending } => self.merge_sort(op, *descending),
            OpKind::TopK { .. } => self.merge_sort(op, true),
            OpKind::Histogram { bins } => self.histogram(op, *bins),
            OpKind::Reshape if self.f.rank(op.results[0]) == 0 => {
                let at = vec![Coord::at(0); self.f.rank(op.operands[0])];
                let x = self.eval(op.operands[0], &at);
                self.scalars.insert(op.results[0], x);
            }
            OpKind::Split if self.f.rank(op.results[0]) == 0 => {
                for (i, r) in op.results.iter().enumerate() {
                    let x = self.eval(op.operands[0], &[Coord::at(i as i64)]);
                    self.scalars.insert(*r, x);
                }
            }
            OpKind::Reshape => self.reshape(op),
            OpKind::Join => self.join(op),
            OpKind::Concat { axis } => self.concat(op, *axis as usize),
            OpKind::Dot { .. } => self.batched_dot(op)?,
            OpKind::DotScaled { .. } => self.scaled_dot(op),
            OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => self.atomics(op)?,
            OpKind::Assume => {}
            OpKind::Assert { message } => self.assertion(op, message),
            OpKind::Print { format } => self.print(op, format),
            OpKind::Store { .. } => self.store_scalar(op),
            OpKind::Scatter => {
                let x = self.scalars[&op.operands[op.operands.len() - 1]];
                self.scatter_point(op, &[], x);
            }
            OpKind::Load { .. } | OpKind::Gather => self.scalar_op(op),
            k => {
                return Err(Unsupported {
                    loc: op.loc,
                    message: format!("`{}` of this shape is not available on the CPU", k.name()),
                    help: "report this: the operation should be available".into(),
                });
            }
        }
        Ok(())
    }

    /// A result's place: scratch memory of a tile, or a scalar bound later.
    fn place_result(&mut self, v: ValueId) -> Option<super::Buffer> {
        (self.f.rank(v) > 0).then(|| self.buffer(v))
    }

    fn put(&mut self, v: ValueId, b: &Option<super::Buffer>, pt: &[Coord], x: V) {
        match b {
            Some(b) => self.write_buffer(b, pt, x),
            None => {
                self.scalars.insert(v, x);
            }
        }
    }

    /// Loops over an axis with carried values; gives them after it.
    pub(super) fn along(
        &mut self,
        from: i64,
        extent: usize,
        reverse: bool,
        carried: Vec<V>,
        f: Step<'_, 'k>,
    ) -> Vec<V> {
        let bounds = [self.e.i64(from), self.e.i64(extent as i64), self.e.i64(1)];
        self.stepping(bounds, carried, &mut |s, i, carried| {
            if !reverse {
                return f(s, i, carried);
            }
            let (i, last) = (s.e.ix(i), s.e.i64(extent as i64 - 1));
            let at = s.e.op2("arith.subi", last, i);
            f(s, at.into(), carried)
        })
    }

    /// A loop with run-time bounds (from, to, step) and carried values; gives them after it.
    pub(super) fn stepping(&mut self, bounds: [V; 3], carried: Vec<V>, f: Step<'_, 'k>) -> Vec<V> {
        let [from, to, step] = bounds;
        let (open, iv, args) = self.e.begin_for(from, to, step, &carried);
        let floor = std::mem::replace(&mut self.floor, self.e.level());
        let out = f(self, iv.into(), args);
        self.floor = floor;
        let out = self.e.end_for(open, &out);
        self.settle();
        out
    }

    /// Visits the points of a shape with `axis` left out; vectors along the value's lane axis unless that is `axis`.
    pub(super) fn across(
        &mut self,
        v: ValueId,
        axis: usize,
        vector: bool,
        f: &mut dyn FnMut(&mut Self, &[Coord], bool),
    ) {
        let shape = self.f.shape(v);
        let lane = self.lanes[v.0 as usize] as usize;
        let rest: Vec<usize> = (0..shape.len()).filter(|a| *a != axis).map(|a| shape[a]).collect();
        if vector && lane != axis && !rest.is_empty() {
            let lane = if lane > axis { lane - 1 } else { lane };
            self.each(&rest, lane, &mut |s, pt| f(s, pt, true));
        } else {
            self.each_scalar(&rest, &mut |s, pt| f(s, pt, false));
        }
    }

    /// Reductions of rank 3 and scans.
    fn fold_axis(&mut self, op: &'k Op, axis: usize, r: ReduceOp, scan: bool, reverse: bool) {
        let (v, result) = (op.operands[0], op.results[0]);
        let elem = self.f.tile(v).elem;
        let extent = self.f.shape(v)[axis];
        let b = self.place_result(result);
        self.across(v, axis, true, &mut |s, rest, vector| {
            let id = s.e.identity(r, elem);
            let w = if vector { s.w() } else { 0 };
            let id = s.e.splat(id, w);
            let acc = s.along(0, extent, reverse, vec![id], &mut |s, i, acc| {
                let mut pt = rest.to_vec();
                pt.insert(axis, Coord::at(i));
                let x = s.eval(v, &pt);
                let x = s.e.splat(x, w);
                let acc = s.e.combine(r, elem, acc[0], x);
                if scan {
                    let x = s.finish(r, elem, acc);
                    s.put(result, &b, &pt, x);
                }
                vec![acc]
            });
            if !scan {
                let x = s.finish(r, elem, acc[0]);
                s.put(result, &b, rest, x);
            }
        });
    }

    fn arg_reduce(&mut self, op: &'k Op, axis: usize, max: bool) {
        let (v, result) = (op.operands[0], op.results[0]);
        let elem = self.f.tile(v).elem;
        let extent = self.f.shape(v)[axis];
        let b = self.place_result(result);
        self.across(v, axis, true, &mut |s, rest, vector| {
            let w = if vector { s.w() } else { 0 };
            let start = s.e.identity(if max { ReduceOp::Max } else { ReduceOp::Min }, elem);
            let start = s.e.splat(start, w);
            let lanes = |k| Ty { k, lanes: w as u16 };
            let (zero, none) = (s.e.int_like(lanes(K::I32), 0), s.e.int_like(lanes(K::I1), 0));
            let out = s.along(0, extent, false, vec![start, zero, none], &mut |s, i, c| {
                let mut pt = rest.to_vec();
                pt.insert(axis, Coord::at(i));
                let x = s.eval(v, &pt);
                let x = s.e.splat(x, w);
                let cmp = if max { CmpOp::Gt } else { CmpOp::Lt };
                let better = s.e.compare(cmp, elem, x, c[0]);
                let number = s.e.compare(CmpOp::Eq, elem, x, x);
                let yes = s.e.int_like(lanes(K::I1), 1);
                let fresh = s.e.op2("arith.xori", c[2], yes);
                let first = s.e.op2("arith.andi", fresh, number);
                let take = s.e.op2("arith.ori", better, first);
                let i = s.e.ix(i);
                let i = s.e.conv("arith.trunci", i, K::I32);
                let best = s.e.select(take, x, c[0]);
                let index = s.e.select(take, i, c[1]);
                let seen = s.e.op2("arith.ori", c[2], number);
                vec![best, index, seen]
            });
            s.put(result, &b, rest, out[1]);
        });
    }

    /// Reductions and scans with the author's closure, one element at a time.
    fn fold_with(&mut self, op: &'k Op, axis: usize, scan: bool, reverse: bool) -> Result<()> {
        let first = op.operands[0];
        let extent = self.f.shape(first)[axis];
        let places: Vec<_> = op.results.iter().map(|r| self.place_result(*r)).collect();
        let region = &op.regions[0];
        let n = op.operands.len();
        let mut failed = None;
        self.across(first, axis, false, &mut |s, rest, _| {
            let start = if reverse { extent as i64 - 1 } else { 0 };
            let point = |i: Ix| {
                let mut pt = rest.to_vec();
                pt.insert(axis, Coord::at(i));
                pt
            };
            let init: Vec<V> = op.operands.iter().map(|o| s.eval(*o, &point(start.into()))).collect();
            if scan {
                for (i, b) in places.iter().enumerate() {
                    s.put(op.results[i], b, &point(start.into()), init[i]);
                }
            }
            let out = s.along(1, extent, reverse, init, &mut |s, at, acc| {
                // In reverse, step i (from 1) visits extent - 1 - i.
                let pt = point(at);
                for (i, a) in acc.iter().enumerate() {
                    s.scalars.insert(region.args[i], *a);
                    let x = s.eval(op.operands[i], &pt);
                    s.scalars.insert(region.args[n + i], x);
                }
                if let Err(e) = s.block(region, &[]) {
                    failed = Some(e);
                }
                let out: Vec<V> =
                    region.yields.iter().map(|y| s.scalars.get(y).copied().unwrap_or(acc[0])).collect();
                if scan {
                    for (i, b) in places.iter().enumerate() {
                        s.put(op.results[i], b, &pt, out[i]);
                    }
                }
                out
            });
            if !scan {
                for (i, b) in places.iter().enumerate() {
                    s.put(op.results[i], b, rest, out[i]);
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn histogram(&mut self, op: &'k Op, bins: usize) {
        let v = op.operands[0];
        let elem = self.f.tile(v).elem;
        let b = self.buffer(op.results[0]);
        self.each(&[bins], 0, &mut |s, pt| {
            let w = s.w();
            let zero = s.e.int_like(Ty::vector(K::I32, w), 0);
            s.write_buffer(&b, pt, zero);
        });
        self.along(0, self.f.shape(v)[0], false, Vec::new(), &mut |s, i, _| {
            let x = s.eval(v, &[Coord::at(i)]);
            let x = s.e.widen_int(x, elem.is_signed(), K::I64);
            let n = s.e.i64(bins as i64);
            let ok = s.e.cmpi("ult", x, n);
            let mut open = s.e.begin_if(ok, &[]);
            let floor = std::mem::replace(&mut s.floor, s.e.level());
            let at = [Coord::at(x)];
            let old = s.read_buffer(&b, &at);
            let one = s.e.int(K::I32, 1);
            let new = s.e.op2("arith.addi", old, one);
            s.write_buffer(&b, &at, new);
            s.floor = floor;
            s.e.begin_else(&mut open, &[]);
            s.e.end_if(open, &[]);
            s.settle();
            Vec::new()
        });
    }

    fn reshape(&mut self, op: &'k Op) {
        let (v, r) = (op.operands[0], op.results[0]);
        let (from, to) = (self.f.shape(v), self.f.shape(r));
        let b = self.buffer(r);
        self.each_scalar(to, &mut |s, pt| {
            let mut linear = Ix::from(0);
            for (c, d) in pt.iter().zip(to) {
                linear = s.e.scale(linear, *d as i64);
                linear = s.e.add(linear, c.ix);
            }
            let mut rest = s.e.ix(linear);
            let mut at = vec![Coord::at(0); from.len()];
            for a in (0..from.len()).rev() {
                let d = s.e.i64(from[a] as i64);
                at[a] = Coord::at(s.e.op2("arith.remui", rest, d));
                rest = s.e.op2("arith.divui", rest, d);
            }
            let x = s.eval(v, &at);
            s.write_buffer(&b, pt, x);
        });
    }

    fn join(&mut self, op: &'k Op) {
        let b = self.buffer(op.results[0]);
        let shape = self.f.shape(op.operands[0]);
        self.each_scalar(shape, &mut |s, pt| {
            for (i, o) in op.operands.iter().enumerate() {
                let x = s.eval(*o, pt);
                let mut at = pt.to_vec();
                at.push(Coord::at(i as i64));
                s.write_buffer(&b, &at, x);
            }
        });
    }

    fn concat(&mut self, op: &'k Op, axis: usize) {
        let b = self.buffer(op.results[0]);
        let mut start = 0i64;
        for o in &op.operands {
            let shape = self.f.shape(*o);
            self.each_scalar(shape, &mut |s, pt| {
                let x = s.eval(*o, pt);
                let mut at = pt.to_vec();
                at[axis] = Coord::at(pt[axis].ix.plus(start));
                s.write_buffer(&b, &at, x);
            });
            start += shape[axis] as i64;
        }
    }

    /// Products with a batch axis: vectors along N, one row at a time.
    fn batched_dot(&mut self, op: &'k Op) -> Result<()> {
        let (a, b, acc, r) = (op.operands[0], op.operands[1], op.operands[2], op.results[0]);
        let elem = self.f.tile(a).elem;
        if elem == Elem::Bool {
            return Err(Unsupported {
                loc: op.loc,
                message: "`dot` of bool operands is not available".into(),
                help: "cast the operands to i8 or f32".into(),
            });
        }
        let out = self.buffer(r);
        let k = self.f.shape(a)[2];
        let lane = self.lanes[r.0 as usize] as usize;
        self.each(self.f.shape(r), lane, &mut |s, pt| {
            let w = s.w();
            let init = s.eval(acc, pt);
            let init = s.e.splat(init, w);
            let sum = s.along(0, k, false, vec![init], &mut |s, i, acc| {
                let x = s.eval(a, &[pt[0], pt[1], Coord::at(i)]);
                let y = s.eval(b, &[pt[0], Coord::at(i), pt[2]]);
                vec![s.multiply_add(elem, x, y, acc[0])]
            });
            s.write_buffer(&out, pt, sum[0]);
        });
        Ok(())
    }

    /// `acc + x * y` of operand elements in the accumulator's type.
    fn multiply_add(&mut self, elem: Elem, x: V, y: V, acc: V) -> V {
        if elem.is_float() {
            return self.e.fma(x, y, acc);
        }
        let (x, y) =
            (self.e.widen_int(x, elem.is_signed(), K::I32), self.e.widen_int(y, elem.is_signed(), K::I32));
        let p = self.e.op2("arith.muli", x, y);
        self.e.op2("arith.addi", acc, p)
    }

    fn scaled_dot(&mut self, op: &'k Op) {
        let OpKind::DotScaled { a: fa, b: fb } = op.kind else { return };
        let [a, sa, b, sb, acc] = op.operands[..] else { return };
        let r = op.results[0];
        let out = self.buffer(r);
        let k = self.f.shape(a)[1];
        let lane = self.lanes[r.0 as usize] as usize;
        let elem = |f: kcc_dsl::ir::ScaledFormat| match f {
            kcc_dsl::ir::ScaledFormat::F8E4M3 => Elem::F8E4M3,
            kcc_dsl::ir::ScaledFormat::F8E5M2 => Elem::F8E5M2,
        };
        let (ea, eb) = (elem(fa), elem(fb));
        self.each(self.f.shape(r), lane, &mut |s, pt| {
            let w = s.w();
            let init = s.eval(acc, pt);
            let init = s.e.splat(init, w);
            let sum = s.along(0, k, false, vec![init], &mut |s, i, acc| {
                let i = s.e.ix(i);
                let block = s.e.i64(32);
                let g = s.e.op2("arith.divui", i, block);
                let x = s.eval(a, &[pt[0], Coord::at(i)]);
                let y = s.eval(b, &[Coord::at(i), pt[1]]);
                let p = s.eval(sa, &[pt[0], Coord::at(g)]);
                let q = s.eval(sb, &[Coord::at(g), pt[1]]);
                let (x, y) = (s.e.from_mem(x, ea), s.e.from_mem(y, eb));
                let (p, q) = (s.power_of_two(p), s.power_of_two(q));
                let x = s.e.op2("arith.mulf", x, p);
                let y = s.e.op2("arith.mulf", y, q);
                vec![s.e.fma(x, y, acc[0])]
            });
            s.write_buffer(&out, pt, sum[0]);
        });
    }

    /// The value of an E8M0 scale: 2^(s - 127), NaN for 255.
    fn power_of_two(&mut self, s: V) -> V {
        let x = self.e.conv("arith.extui", s, K::I32);
        let shift = self.e.int_like(x.ty, 23);
        let bits = self.e.op2("arith.shli", x, shift);
        let (zero, tiny) = (self.e.int_like(x.ty, 0), self.e.int_like(x.ty, 0x0040_0000));
        let (full, nan) = (self.e.int_like(x.ty, 255), self.e.int_like(x.ty, 0x7fc0_0000));
        let is_zero = self.e.cmpi("eq", x, zero);
        let bits = self.e.select(is_zero, tiny, bits);
        let is_nan = self.e.cmpi("eq", x, full);
        let bits = self.e.select(is_nan, nan, bits);
        self.e.bits(bits, K::F32)
    }

    /// A store of a scalar to a view of rank 0.
    fn store_scalar(&mut self, op: &'k Op) {
        let view = self.view(op.operands[0]);
        let x = self.scalars[&op.operands[op.operands.len() - 1]];
        let guard = view.dims.first().map(|d| {
            let zero = self.e.i64(0);
            let ok = self.e.cmpi("sgt", *d, zero);
            self.e.begin_if(ok, &[])
        });
        self.e.write_elem(x, view.ptr, view.elem, None, false);
        if let Some(mut open) = guard {
            self.e.begin_else(&mut open, &[]);
            self.e.end_if(open, &[]);
            self.settle();
        }
    }

    fn assertion(&mut self, op: &'k Op, message: &str) {
        let v = op.operands[0];
        let index = self.assertions.len() as i64 + 1;
        self.assertions.push((message.to_string(), op.loc));
        let shape = self.f.shape(v).to_vec();
        self.each_scalar(&shape, &mut |s, pt| {
            let ok = s.eval(v, pt);
            let mut open = s.e.begin_if(ok, &[]);
            s.e.begin_else(&mut open, &[]);
            let at = s.e.address(s.scratch, K::I64, &[], super::function::FAILED_SLOT);
            let floor = s.e.level();
            let was = s.e.load(floor, at, Ty::i64());
            let (zero, i) = (s.e.i64(0), s.e.i64(index));
            let first = s.e.cmpi("eq", was, zero);
            let now = s.e.select(first, i, was);
            s.e.store(now, at);
            s.e.end_if(open, &[]);
            s.settle();
        });
    }

    /// Hands the operands, row-major and one after another, to the callback in the scratch header.
    fn print(&mut self, op: &'k Op, format: &str) {
        let index = self.prints.len() as i64;
        let types: Vec<TileType> = op.operands.iter().map(|v| self.f.tile(*v).clone()).collect();
        let sizes: Vec<i64> =
            types.iter().map(|t| (t.len() * t.elem.bytes()).next_multiple_of(64) as i64).collect();
        let data = self.reserve(sizes.iter().sum::<i64>().max(64));
        let mut start = 0;
        for ((v, t), size) in op.operands.iter().zip(&types).zip(&sizes) {
            let base = self.e.address(data, K::I8, &[], start);
            let mut strides = vec![1i64; t.rank()];
            for a in (0..t.rank().saturating_sub(1)).rev() {
                strides[a] = strides[a + 1] * t.shape[a + 1] as i64;
            }
            let b = super::Buffer { ptr: base, elem: t.elem, shape: t.shape.clone(), strides };
            self.each_scalar(&t.shape, &mut |s, pt| {
                let x = s.eval(*v, pt);
                s.write_buffer(&b, pt, x);
            });
            start += size;
        }
        self.prints.push((format.to_string(), types));
        let level = self.e.level();
        let at = self.e.address(self.scratch, K::I64, &[], 0);
        let call = self.e.load(level, at, Ty::scalar(K::Ptr));
        let at = self.e.address(self.scratch, K::I64, &[], 1);
        let context = self.e.load(level, at, Ty::scalar(K::Ptr));
        let i = self.e.i64(index);
        self.e.line(format!(
            "llvm.call {call}({context}, {i}, {data}) : !llvm.ptr, (!llvm.ptr, i64, !llvm.ptr) -> ()"
        ));
    }
}
