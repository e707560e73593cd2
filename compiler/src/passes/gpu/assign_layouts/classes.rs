//! Values that must share one layout, as classes; and values that have none of their own.
//!
//! A *flexible* value costs next to nothing to make again in any layout: constants, index ramps, broadcasts, and what is
//! computed from such alone. It is made where and as it is wanted. All others fall into classes: what element-wise
//! operations and loops tie together.

use crate::ktg::{Block, Func, GpuOp, Kind, Op};
use kcc_dsl::ir::{OpKind, ValueId};
use std::collections::HashMap;

/// Classes of values.
pub struct Classes {
    parent: Vec<u32>,
    flexible: Vec<bool>,
    /// The operation that defines each flexible value.
    makers: HashMap<ValueId, Op>,
}

/// Whether results and operands have one shape and one layout.
pub fn is_elementwise(kind: &Kind) -> bool {
    match kind {
        Kind::Tile(kind) => {
            kind.is_elementwise()
                || matches!(
                    kind,
                    OpKind::Gather
                        | OpKind::Scatter
                        | OpKind::Atomic { .. }
                        | OpKind::AtomicCas { .. }
                        | OpKind::Scan { .. }
                        | OpKind::ScanWith { .. }
                        | OpKind::Assert { .. }
                )
        }
        Kind::Gpu(kind) => matches!(kind, GpuOp::MmaWait { .. }),
    }
}

fn has_axes(func: &Func, v: ValueId) -> bool {
    func.ty(v).tile().is_some_and(|t| t.rank() > 0)
}

impl Classes {
    /// Classifies the values of a function.
    pub fn of(func: &Func) -> Classes {
        let n = func.values.len();
        let mut c =
            Classes { parent: (0..n as u32).collect(), flexible: vec![false; n], makers: HashMap::new() };
        let loads = loads_for_broadcast(func);
        c.find_flexible(func, &func.body, &loads);
        c.unify_block(func, &func.body);
        c
    }

    /// Whether the value is made anew wherever it is wanted.
    pub fn is_flexible(&self, v: ValueId) -> bool {
        self.flexible[v.0 as usize]
    }

    /// What makes a flexible value.
    pub fn maker(&self, v: ValueId) -> Option<&Op> {
        self.makers.get(&v)
    }

    /// The class of a value, as one of its members.
    pub fn class(&self, v: ValueId) -> ValueId {
        let mut i = v.0;
        while self.parent[i as usize] != i {
            i = self.parent[i as usize];
        }
        ValueId(i)
    }

    fn find_flexible(&mut self, func: &Func, block: &Block, loads: &[bool]) {
        for op in &block.ops {
            let ranked = |v: &&ValueId| has_axes(func, **v);
            let cheap = match &op.kind {
                Kind::Tile(OpKind::Constant(_) | OpKind::Arange | OpKind::Broadcast { .. }) => true,
                Kind::Tile(OpKind::Load { .. }) => loads[op.results[0].0 as usize],
                Kind::Tile(k) if k.is_elementwise() || matches!(k, OpKind::Reshape) => {
                    op.operands.iter().filter(ranked).all(|v| self.is_flexible(*v))
                }
                _ => false,
            };
            if cheap && op.results.iter().any(|v| has_axes(func, *v) && func.ty(*v).layout().is_none()) {
                for r in &op.results {
                    self.flexible[r.0 as usize] = true;
                    self.makers.insert(*r, op.clone());
                }
            }
            for r in &op.regions {
                self.find_flexible(func, r, loads);
            }
        }
    }

    fn tie(&mut self, func: &Func, a: ValueId, b: ValueId) {
        let fixed = |v: ValueId| self.flexible[v.0 as usize] || !has_axes(func, v);
        if fixed(a) || fixed(b) || shape(func, a) != shape(func, b) {
            return;
        }
        let (a, b) = (self.class(a), self.class(b));
        self.parent[b.0 as usize] = a.0;
    }

    fn tie_all<'v>(&mut self, func: &Func, values: impl IntoIterator<Item = &'v ValueId>) {
        let mut first = None;
        for v in values {
            if self.is_flexible(*v) || !has_axes(func, *v) {
                continue;
            }
            match first {
                None => first = Some(*v),
                Some(f) => self.tie(func, f, *v),
            }
        }
    }

    fn unify_block(&mut self, func: &Func, block: &Block) {
        for op in &block.ops {
            match &op.kind {
                k if is_elementwise(k) => self.tie_all(func, op.results.iter().chain(&op.operands)),
                Kind::Gpu(GpuOp::Mma { .. } | GpuOp::MmaAsync { .. }) => {
                    self.tie(func, op.operands[2], op.results[0]);
                }
                Kind::Tile(OpKind::Dot { .. }) => self.tie(func, op.operands[2], op.results[0]),
                Kind::Tile(OpKind::For { .. }) => {
                    let body = &op.regions[0];
                    for (i, r) in op.results.iter().enumerate() {
                        let group = [body.args[1 + i], *r, op.operands[3 + i], body.yields[i]];
                        self.tie_all(func, &group);
                    }
                }
                Kind::Tile(OpKind::While) => {
                    for (i, r) in op.results.iter().enumerate() {
                        let (test, body) = (&op.regions[0], &op.regions[1]);
                        let group = [
                            test.args[i],
                            body.args[i],
                            *r,
                            op.operands[i],
                            test.yields[1 + i],
                            body.yields[i],
                        ];
                        self.tie_all(func, &group);
                    }
                }
                Kind::Tile(OpKind::If) => {
                    for (i, r) in op.results.iter().enumerate() {
                        let group = [*r, op.regions[0].yields[i], op.regions[1].yields[i]];
                        self.tie_all(func, &group);
                    }
                }
                _ => {}
            }
            // The closure of a reduction or scan works on scalars.
            for r in &op.regions {
                self.unify_block(func, r);
            }
        }
    }
}

/// Shape of a tile.
pub fn shape(func: &Func, v: ValueId) -> &[usize] {
    func.ty(v).tile().map_or(&[], |t| &t.shape)
}

/// Loads of small tiles that only serve to be broadcast (a row of weights): cheaper read again by every thread that wants
/// them than moved between threads.
fn loads_for_broadcast(func: &Func) -> Vec<bool> {
    const SMALL: usize = 16384;
    let mut wide = vec![false; func.values.len()];
    let mut loads = vec![false; func.values.len()];
    let mut elementwise = Vec::new();
    func.walk(&mut |op| {
        match &op.kind {
            Kind::Tile(OpKind::Broadcast { .. } | OpKind::Reshape) => {}
            k @ Kind::Tile(_) if is_elementwise(k) && !op.kind.is_memory() => elementwise.push(op.clone()),
            _ => {
                for v in &op.operands {
                    wide[v.0 as usize] = true;
                }
            }
        }
        if let Kind::Tile(OpKind::Load { .. }) = op.kind {
            let small = func.ty(op.results[0]).tile().is_some_and(|t| t.len() <= SMALL);
            loads[op.results[0].0 as usize] = small;
        }
        for r in &op.regions {
            for y in &r.yields {
                wide[y.0 as usize] = true;
            }
        }
    });
    // Backwards: what an element-wise operation makes of it decides.
    for op in elementwise.iter().rev() {
        if op.results.iter().any(|r| wide[r.0 as usize]) {
            for v in &op.operands {
                wide[v.0 as usize] = true;
            }
        }
    }
    loads.iter().zip(&wide).map(|(l, w)| *l && !w).collect()
}
