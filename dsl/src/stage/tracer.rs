//! Records operations as tile IR: hash-consed while recording, dead code dropped at the end.

use crate::ir::{Block, Kernel, Loc, LocId, Op, OpKind, Param, Type, ValueId};
use std::collections::{HashMap, HashSet};
use std::panic::Location;

type Key = (OpKind, Vec<ValueId>, Vec<Type>);

/// A block under construction.
#[derive(Default)]
struct Open {
    block: Block,
    /// Pure operations recorded here, for reuse.
    known: HashMap<Key, Vec<ValueId>>,
    /// Whether operations of the blocks around may be reused in it.
    sees_outer: bool,
}

/// Records operations as tile IR.
pub(crate) struct Tracer {
    values: Vec<Type>,
    locs: Vec<Loc>,
    loc_ids: HashMap<Loc, LocId>,
    open: Vec<Open>,
}

impl Tracer {
    /// A recorder whose first values are the parameters.
    pub fn new(params: &[Param], own: Loc) -> Self {
        let loc_ids = HashMap::from([(own.clone(), LocId(0))]);
        let values = params.iter().map(|p| p.kind.ty()).collect();
        Tracer { values, locs: vec![own], loc_ids, open: vec![Open::default()] }
    }

    fn loc(&mut self, l: &Location<'_>) -> LocId {
        let loc = super::fail::loc_of(l);
        if let Some(&id) = self.loc_ids.get(&loc) {
            return id;
        }
        let id = LocId(self.locs.len() as u32);
        self.locs.push(loc.clone());
        self.loc_ids.insert(loc, id);
        id
    }

    fn fresh(&mut self, ty: &Type) -> ValueId {
        self.values.push(ty.clone());
        ValueId(self.values.len() as u32 - 1)
    }

    /// Records an operation without regions, or finds an equal one.
    pub fn op(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        loc: &Location<'_>,
    ) -> Vec<ValueId> {
        let pure = !kind.has_side_effect() && !kind.reads_memory();
        let key = (kind, operands.to_vec(), results.to_vec());
        if pure {
            for open in self.open.iter().rev() {
                if let Some(ids) = open.known.get(&key) {
                    return ids.clone();
                }
                if !open.sees_outer {
                    break;
                }
            }
        }
        let ids = self.push(key.0.clone(), operands, results, Vec::new(), loc);
        if pure && let Some(open) = self.open.last_mut() {
            open.known.insert(key, ids.clone());
        }
        ids
    }

    /// Records an operation with finished regions.
    pub fn push(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        regions: Vec<Block>,
        loc: &Location<'_>,
    ) -> Vec<ValueId> {
        let loc = self.loc(loc);
        let ids: Vec<ValueId> = results.iter().map(|t| self.fresh(t)).collect();
        let op = Op { kind, operands: operands.to_vec(), results: ids.clone(), regions, loc };
        if let Some(open) = self.open.last_mut() {
            open.block.ops.push(op);
        }
        ids
    }

    /// Starts a region whose arguments have these types. With `sees_outer`, operations recorded before are reused
    /// in it.
    pub fn enter(&mut self, args: &[Type], sees_outer: bool) -> Vec<ValueId> {
        let args: Vec<ValueId> = args.iter().map(|t| self.fresh(t)).collect();
        let block = Block { args: args.clone(), ..Block::default() };
        self.open.push(Open { block, known: HashMap::new(), sees_outer });
        args
    }

    /// Ends the innermost region.
    pub fn leave(&mut self, yields: Vec<ValueId>) -> Block {
        let mut block = self.open.pop().unwrap_or_default().block;
        block.yields = yields;
        block
    }

    /// The finished kernel: dead code dropped, values renumbered in order of definition.
    pub fn finish(mut self, name: &str, generics: &str, params: Vec<Param>) -> Kernel {
        self.open.truncate(1);
        let mut body = self.leave(Vec::new());
        drop_dead(&mut body, &mut HashSet::new());
        let mut kernel = Kernel {
            name: name.to_owned(),
            generics: generics.to_owned(),
            params,
            values: self.values,
            locs: self.locs,
            body,
        };
        renumber(&mut kernel);
        kernel
    }
}

fn must_stay(op: &Op) -> bool {
    op.kind.has_side_effect() || op.regions.iter().any(|r| r.ops.iter().any(must_stay))
}

/// Drops operations without side effects whose results nobody uses, from the last to the first.
fn drop_dead(block: &mut Block, live: &mut HashSet<ValueId>) {
    live.extend(&block.yields);
    let mut kept = Vec::with_capacity(block.ops.len());
    for mut op in std::mem::take(&mut block.ops).into_iter().rev() {
        if !must_stay(&op) && !op.results.iter().any(|r| live.contains(r)) {
            continue;
        }
        for region in &mut op.regions {
            drop_dead(region, live);
        }
        live.extend(&op.operands);
        kept.push(op);
    }
    kept.reverse();
    block.ops = kept;
}

/// Numbers the values densely in order of definition. A value that is used but not defined keeps a number past the
/// end of its definition, for the validator to report.
fn renumber(kernel: &mut Kernel) {
    struct Map<'a> {
        old: &'a [Type],
        new: Vec<Type>,
        to: HashMap<ValueId, ValueId>,
    }
    impl Map<'_> {
        fn get(&mut self, v: ValueId) -> ValueId {
            if let Some(&n) = self.to.get(&v) {
                return n;
            }
            let n = ValueId(self.new.len() as u32);
            let Some(ty) = self.old.get(v.0 as usize) else { return ValueId(u32::MAX) };
            self.new.push(ty.clone());
            self.to.insert(v, n);
            n
        }
        fn all(&mut self, ids: &mut [ValueId]) {
            for v in ids {
                *v = self.get(*v);
            }
        }
        fn block(&mut self, b: &mut Block) {
            self.all(&mut b.args);
            for op in &mut b.ops {
                self.all(&mut op.operands);
                for r in &mut op.regions {
                    self.block(r);
                }
                self.all(&mut op.results);
            }
            self.all(&mut b.yields);
        }
    }
    let old = std::mem::take(&mut kernel.values);
    let mut map = Map { old: &old, new: Vec::new(), to: HashMap::new() };
    for i in 0..kernel.params.len() {
        map.get(ValueId(i as u32));
    }
    map.block(&mut kernel.body);
    kernel.values = map.new;
}
