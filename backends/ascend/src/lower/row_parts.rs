//! Computes rows in parts, one after another, where whole tiles take too much room.
//!
//! ```text
//! s = dot(q, k); p = exp(s); o = dot(p, v)        tiles of 128 rows
//! s0 = dot(q0, k); p0 = exp(s0); o0 = dot(p0, v)  64 rows of each
//! s1 = dot(q1, k); p1 = exp(s1); o1 = dot(p1, v)  then the other 64, in the same bytes; k and v are loaded once
//! ```
//! Values whose rows go together ([`split_rows`]) are cut, and with them everything that is done row by row; what loops carry is carried in
//! parts. Where the order of accesses to memory may matter, all parts of one access come before the next.

use super::split_rows::{self, fewer_rows};
use kcc_dsl::ir::{BinaryOp, Block, Const, Elem, Kernel, LocId, Op, OpKind, TileType, Type, ValueId};
use std::collections::HashMap;

/// Tiles of fewer bytes are left whole, unless they go with larger ones.
const LEAST: usize = 4 << 10;

struct Writer<'k> {
    kernel: &'k Kernel,
    parts: usize,
    values: Vec<Type>,
    shares: HashMap<ValueId, TileType>,
    /// Parts of values.
    pieces: HashMap<ValueId, Vec<ValueId>>,
    /// How many operations access a parameter, and how many write it.
    accesses: HashMap<u32, (usize, usize)>,
    params: HashMap<ValueId, u32>,
    ops: Vec<Op>,
    /// Operations of each part that come next.
    pending: Vec<Vec<Op>>,
}

/// The kernel with rows in so many parts; nothing if no rows can be parted.
pub(crate) fn run(kernel: &Kernel, parts: usize) -> Option<Kernel> {
    // Each part is shared by two vector cores where there are products.
    let cores = if super::assign_cores::has_product(&kernel.body) { 2 } else { 1 };
    let shares = split_rows::shares(kernel, true, parts * cores, LEAST);
    if shares.is_empty() {
        return None;
    }
    let mut w = Writer {
        kernel,
        parts,
        values: kernel.values.clone(),
        shares,
        pieces: HashMap::new(),
        accesses: HashMap::new(),
        params: (0..kernel.params.len() as u32).map(|p| (ValueId(p), p)).collect(),
        ops: Vec::new(),
        pending: vec![Vec::new(); parts],
    };
    w.count(&kernel.body);
    let body = w.block(&kernel.body);
    Some(Kernel { values: w.values, body, ..kernel.clone() })
}

impl Writer<'_> {
    fn count(&mut self, b: &Block) {
        for op in &b.ops {
            if let Some(p) = op.operands.first().and_then(|v| self.params.get(v)).copied() {
                match op.kind {
                    OpKind::At => {
                        self.params.insert(op.results[0], p);
                    }
                    OpKind::Dim(_) => {}
                    ref k => {
                        let n = self.accesses.entry(p).or_default();
                        n.0 += 1;
                        n.1 += usize::from(k.has_side_effect());
                    }
                }
            }
            op.regions.iter().for_each(|r| self.count(r));
        }
    }

    /// Whether an operation must keep its place among those that access memory.
    fn fixed(&self, op: &Op) -> bool {
        match op.operands.first().and_then(|v| self.params.get(v)) {
            Some(_) if matches!(op.kind, OpKind::At | OpKind::Dim(_)) => false,
            Some(p) => self.accesses.get(p).is_some_and(|(all, writes)| *writes > 0 && *all > 1),
            None => op.kind.has_side_effect(),
        }
    }

    fn value(&mut self, ty: Type) -> ValueId {
        self.values.push(ty);
        ValueId(self.values.len() as u32 - 1)
    }

    /// Parts of a value; the value itself if it stays whole.
    fn all(&mut self, v: ValueId) -> Vec<ValueId> {
        let Some(t) = self.shares.get(&v).cloned() else { return vec![v] };
        if let Some(p) = self.pieces.get(&v) {
            return p.clone();
        }
        let ty = Type::Tile(fewer_rows(&t, self.parts));
        let p: Vec<ValueId> = (0..self.parts).map(|_| self.value(ty.clone())).collect();
        self.pieces.insert(v, p.clone());
        p
    }

    fn every(&mut self, values: &[ValueId]) -> Vec<ValueId> {
        values.iter().flat_map(|v| self.all(*v)).collect()
    }

    fn one(&mut self, v: ValueId, part: usize) -> ValueId {
        let all = self.all(v);
        all[part.min(all.len() - 1)]
    }

    /// Parts come one after another.
    fn flush(&mut self) {
        for p in &mut self.pending {
            self.ops.append(p);
        }
    }

    fn block(&mut self, b: &Block) -> Block {
        let ops = std::mem::take(&mut self.ops);
        let pending = std::mem::replace(&mut self.pending, vec![Vec::new(); self.parts]);
        let args = self.every(&b.args);
        b.ops.iter().for_each(|op| self.op(op));
        self.flush();
        let yields = self.every(&b.yields);
        self.pending = pending;
        Block { args, ops: std::mem::replace(&mut self.ops, ops), yields }
    }

    fn op(&mut self, op: &Op) {
        if let OpKind::For { .. } | OpKind::While | OpKind::If = op.kind {
            self.flush();
            let (operands, results) = (self.every(&op.operands), self.every(&op.results));
            let regions = op.regions.iter().map(|r| self.block(r)).collect();
            self.ops.push(Op { kind: op.kind.clone(), operands, results, regions, loc: op.loc });
            return;
        }
        let fixed = self.fixed(op);
        if fixed {
            self.flush();
        }
        if op.operands.iter().chain(&op.results).any(|v| self.shares.contains_key(v)) {
            for part in 0..self.parts {
                self.part(op, part);
            }
        } else {
            // It needs nothing of what is parted.
            self.ops.push(op.clone());
        }
        if fixed {
            self.flush();
        }
    }

    /// One part of an operation.
    fn part(&mut self, op: &Op, part: usize) {
        let mut operands: Vec<ValueId> = op.operands.iter().map(|v| self.one(*v, part)).collect();
        let results: Vec<ValueId> = op.results.iter().map(|v| self.one(*v, part)).collect();
        let first = |l: &Self, v: ValueId| l.shares.get(&v).map_or(0, |t| t.shape[0] / l.parts * part) as i64;
        match op.kind {
            OpKind::Load { .. } => {
                let by = first(self, op.results[0]);
                operands[1] = self.moved(operands[1], by, part, op.loc);
            }
            OpKind::Store { .. } => {
                let by = op.operands.last().map_or(0, |v| first(self, *v));
                operands[1] = self.moved(operands[1], by, part, op.loc);
            }
            OpKind::Arange => {
                let ty = self.values[results[0].0 as usize].clone();
                let (from, by) = (self.value(ty.clone()), self.value(ty));
                let n = OpKind::Constant(Const::Int(first(self, op.results[0])));
                self.pending[part].push(plain(OpKind::Arange, Vec::new(), from, op.loc));
                self.pending[part].push(plain(n, Vec::new(), by, op.loc));
                let add = OpKind::Binary(BinaryOp::Add);
                self.pending[part].push(plain(add, vec![from, by], results[0], op.loc));
                return;
            }
            _ => {}
        }
        let mut inner = HashMap::new();
        let regions = op.regions.iter().map(|r| self.copied(r, &mut inner)).collect();
        self.pending[part].push(Op { kind: op.kind.clone(), operands, results, regions, loc: op.loc });
    }

    /// An offset some rows further on.
    fn moved(&mut self, offset: ValueId, by: i64, part: usize, loc: LocId) -> ValueId {
        if by == 0 {
            return offset;
        }
        let number = Type::Tile(TileType::scalar(Elem::I32));
        let (n, sum) = (self.value(number.clone()), self.value(number));
        self.pending[part].push(plain(OpKind::Constant(Const::Int(by)), Vec::new(), n, loc));
        self.pending[part].push(plain(OpKind::Binary(BinaryOp::Add), vec![offset, n], sum, loc));
        sum
    }

    /// A closure again, with values of its own.
    fn copied(&mut self, b: &Block, new: &mut HashMap<ValueId, ValueId>) -> Block {
        let mut own = |w: &mut Self, v: &ValueId| {
            let to = w.value(w.kernel.ty(*v).clone());
            new.insert(*v, to);
            to
        };
        let args = b.args.iter().map(|v| own(self, v)).collect();
        let mut ops = Vec::new();
        for op in &b.ops {
            let results = op.results.iter().map(|v| own(self, v)).collect();
            ops.push(Op { results, ..op.clone() });
        }
        let named = |v: &ValueId| new.get(v).copied().unwrap_or(*v);
        for op in &mut ops {
            op.operands = op.operands.iter().map(named).collect();
        }
        Block { args, ops, yields: b.yields.iter().map(named).collect() }
    }
}

fn plain(kind: OpKind, operands: Vec<ValueId>, result: ValueId, loc: LocId) -> Op {
    Op { kind, operands, results: vec![result], regions: Vec::new(), loc }
}
