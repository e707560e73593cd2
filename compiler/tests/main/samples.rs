//! Kernels that tests share, and the one numbering that makes two kernels comparable.

use kcc_compiler::dialect::constant;
use kcc_dsl::ir::*;
use std::collections::HashMap;

fn t(elem: Elem, shape: &[usize]) -> Type {
    Type::Tile(TileType::new(elem, shape))
}

/// Element-wise operations on tiles and scalars of every element type that has them.
pub fn elementwise() -> Kernel {
    let mut b = Builder::new("elementwise");
    b.generics("f32, 8, true");
    let views = Elem::ALL.map(|e| (b.view(&format!("x_{e}"), e, 2), b.view_mut(&format!("y_{e}"), e, 2)));
    let zero = b.i32(0);
    for (elem, (x, y)) in Elem::ALL.into_iter().zip(views) {
        let a = b.load(x, &[zero, zero], &[4, 8]);
        let c = b.constant(
            elem,
            &[4, 8],
            match elem {
                Elem::Bool => Const::Bool(true),
                e if e.is_float() => Const::float(-0.3),
                _ => Const::Int(-7),
            },
        );
        let mut all = vec![a, c];
        if elem == Elem::Bool {
            all.push(b.unary(UnaryOp::Not, a));
            for op in [BinaryOp::And, BinaryOp::Or, BinaryOp::Xor] {
                all.push(b.binary(op, a, c));
            }
        } else if elem.is_float() {
            for op in UnaryOp::ALL.iter().filter(|o| **o != UnaryOp::Not) {
                all.push(b.unary(*op, a));
            }
            use BinaryOp::*;
            for op in [Add, Sub, Mul, Div, Rem, Min, Max, MinNan, MaxNan] {
                all.push(b.binary(op, a, c));
            }
            all.push(b.fma(a, c, a));
        } else {
            for op in [UnaryOp::Neg, UnaryOp::Not, UnaryOp::Abs] {
                all.push(b.unary(op, a));
            }
            use BinaryOp::*;
            for op in [Add, Sub, Mul, Div, Rem, And, Or, Xor, Shl, Shr, Min, Max, MulHi] {
                all.push(b.binary(op, a, c));
            }
        }
        for op in CmpOp::ALL {
            if elem != Elem::Bool || matches!(op, CmpOp::Eq | CmpOp::Ne) {
                let m = b.compare(*op, a, c);
                all.push(b.select(m, a, c));
            }
        }
        for to in Elem::ALL {
            if to != elem {
                let there = b.cast(a, to);
                all.push(b.cast(there, elem));
                if to.bytes() == elem.bytes() && to != Elem::Bool && elem != Elem::Bool {
                    let there = b.bitcast(a, to);
                    all.push(b.bitcast(there, elem));
                }
            }
        }
        for v in all {
            b.store(y, &[zero, zero], v);
        }
    }
    b.finish().unwrap()
}

/// Every structural operation once or more, with closures that capture and control flow that nests.
pub fn structural() -> Kernel {
    let mut b = Builder::new("structural");
    let x = b.view("x", Elem::F32, 3);
    let y = b.view_mut("y \"quoted\" \u{e9}", Elem::F32, 2);
    let ids = b.view_mut("ids", Elem::I32, 1);
    let bytes = b.view("bytes", Elem::U8, 2);
    let scale = b.scalar("scale", Elem::BF16);
    let n = b.scalar("n", Elem::U32);
    let (p, q, zero, one) = (b.program_id(0), b.num_programs(2), b.i32(0), b.i32(1));
    let x2 = b.at(x, &[p]);
    let d = b.dim(x2, 1);
    let a = b.load_or(x2, &[zero, d], &[8, 4], Const::float(f32::NEG_INFINITY));
    let nan = b.op_typed(
        OpKind::Load { padding: Const::Float(0x7fc0_0001), cache: Cache::Stream },
        &[x2, zero, d],
        &[t(Elem::F32, &[8, 4])],
    )[0];
    let j = b.op(OpKind::Join, &[a, nan])[0];
    let halves = b.op(OpKind::Split, &[j]);
    let tr = b.transpose(a, &[1, 0]);
    let r = b.reshape(tr, &[2, 16]);
    let s = b.slice(r, &[1, 8], &[1, 8]);
    let c = b.concat(s, s, 0);
    let row = b.reduce(ReduceOp::Max, c, 0);
    let wide = b.broadcast(row, &[1], &[8, 8]);
    let scanned = b.op(OpKind::Scan { axis: 1, op: ReduceOp::Prod, reverse: true }, &[wide])[0];
    let arg = b.op(OpKind::ArgReduce { axis: 1, max: false }, &[scanned])[0];
    let sorted = b.op(OpKind::Sort { descending: true }, &[scanned]);
    let top = b.op(OpKind::TopK { k: 3 }, &[scanned]);
    let h = b.op(OpKind::Histogram { bins: 16 }, &[arg])[0];
    let acc = b.full(Elem::F32, &[8, 8], 0.0);
    let dot = b.op(OpKind::Dot { precision: Precision::Tf32 }, &[a, tr, acc])[0];
    let u = |b: &mut Builder, shape: &[usize]| b.full(Elem::U8, shape, 3.0);
    let (ua, us, ub, uz) = (u(&mut b, &[8, 32]), u(&mut b, &[8, 1]), u(&mut b, &[32, 8]), u(&mut b, &[1, 8]));
    let formats = OpKind::DotScaled { a: ScaledFormat::F8E4M3, b: ScaledFormat::F8E5M2 };
    let ds = b.op(formats, &[ua, us, ub, uz, dot])[0];
    let f = b.cast(scale, Elem::F32);
    // A closure over two tiles that captures the scalar `f`.
    let idx = b.arange(8);
    let idx = b.broadcast(idx, &[1], &[8, 8]);
    let reduced = b.reduce_with(1, &[ds, idx], |b, acc, v| {
        let less = b.compare(CmpOp::Lt, acc[0], v[0]);
        let scaled = b.mul(v[0], f);
        let i = b.select(less, acc[1], v[1]);
        let m = b.select(less, acc[0], scaled);
        vec![m, i]
    });
    let cum = b.scan_with(0, true, &[reduced[0]], |b, acc, v| vec![b.add(acc[0], v[0])]);
    let rows = b.arange(8);
    let lr = b.load_rows(y, rows, one, 8);
    let ps = b.splat(p, &[8]);
    let mask = b.compare(CmpOp::Ge, rows, ps);
    let g = b.gather(ids, &[rows], mask, rows);
    b.scatter(ids, &[rows], mask, g);
    let atomic = OpKind::Atomic { op: AtomicOp::Add, ordering: Ordering::AcqRel, scope: Scope::System };
    let old = b.op(atomic, &[ids, rows, mask, g])[0];
    b.op(OpKind::AtomicCas { ordering: Ordering::Relaxed, scope: Scope::Block }, &[ids, rows, mask, old, g]);
    let four = b.i32(4);
    let looped = b.for_([zero, d, four], &[lr, zero], |b, iv, v| {
        let odd = b.compare(CmpOp::Gt, iv, q);
        let out = b.if_(odd, |b| vec![b.add(v[0], lr)], |_| vec![v[0]]);
        let k = b.while_(
            &[v[1]],
            |b, v| (b.compare(CmpOp::Lt, v[0], d), vec![v[0]]),
            |b, v| vec![b.add(v[0], one)],
        );
        vec![out[0], k[0]]
    });
    b.for_([zero, d, four], &[], |b, iv, _| {
        b.store(y, &[iv, zero], looped[0]);
        vec![]
    });
    b.op(OpKind::StoreRows { cache: Cache::Keep }, &[y, rows, zero, looped[0]]);
    let big = b.compare(CmpOp::Gt, n, n);
    b.op(OpKind::Assume, &[big]);
    b.assert(mask, "rows: \"all\" \\ in\nbounds");
    b.print("{} {} \u{1F600}", &[top[1], h]);
    for v in [halves[1], cum[0], sorted[0], top[0]] {
        b.print("{}", &[v]);
    }
    let bz = b.load(bytes, &[zero, zero], &[2, 2]);
    b.print("{}", &[bz]);
    b.finish().unwrap()
}

/// The kernel with values and places numbered in the order in which the reader meets them, and constants canonical.
pub fn normalize(kernel: &Kernel) -> Kernel {
    let mut n = Normalizer {
        from: kernel,
        to: Kernel { values: Vec::new(), locs: Vec::new(), body: Block::default(), ..kernel.clone() },
        values: HashMap::new(),
        locs: HashMap::new(),
    };
    n.loc(LocId(0));
    for i in 0..kernel.params.len() {
        n.define(ValueId(i as u32));
    }
    let body = n.block(&kernel.body);
    Kernel { body, ..n.to }
}

struct Normalizer<'k> {
    from: &'k Kernel,
    to: Kernel,
    values: HashMap<ValueId, ValueId>,
    locs: HashMap<Loc, LocId>,
}

impl Normalizer<'_> {
    fn define(&mut self, v: ValueId) -> ValueId {
        self.to.values.push(self.from.ty(v).clone());
        let id = ValueId(self.to.values.len() as u32 - 1);
        self.values.insert(v, id);
        id
    }

    fn loc(&mut self, id: LocId) -> LocId {
        let l = self.from.loc(id).clone();
        let next = LocId(self.to.locs.len() as u32);
        let got = *self.locs.entry(l.clone()).or_insert(next);
        if got == next {
            self.to.locs.push(l);
        }
        got
    }

    fn map(&self, all: &[ValueId]) -> Vec<ValueId> {
        all.iter().map(|v| self.values[v]).collect()
    }

    fn block(&mut self, b: &Block) -> Block {
        let args = b.args.iter().map(|v| self.define(*v)).collect();
        let ops = b.ops.iter().map(|o| self.op(o)).collect();
        Block { args, ops, yields: self.map(&b.yields) }
    }

    fn op(&mut self, op: &Op) -> Op {
        let loc = self.loc(op.loc);
        let operands = self.map(&op.operands);
        let regions = op.regions.iter().map(|b| self.block(b)).collect();
        let elem = op.results.first().map(|v| self.from.ty(*v).elem());
        let results = op.results.iter().map(|v| self.define(*v)).collect();
        let fix = |c: &Const| constant::canonical(elem.unwrap(), *c).unwrap();
        let kind = match &op.kind {
            OpKind::Constant(c) => OpKind::Constant(fix(c)),
            OpKind::Load { padding, cache } => OpKind::Load { padding: fix(padding), cache: *cache },
            OpKind::LoadRows { padding, cache } => OpKind::LoadRows { padding: fix(padding), cache: *cache },
            k => k.clone(),
        };
        Op { kind, operands, results, regions, loc }
    }
}
