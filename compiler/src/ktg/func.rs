//! Functions of the GPU level, and what passes need to change them.
//!
//! ```text
//! func.rewrite(&mut |b, op| match op.kind {
//!     Kind::Tile(OpKind::Fma) => { let [p] = b.op(Mul, …); b.replace(op.results[0], p) }
//!     _ => b.keep(op),
//! })
//! ```

use super::{Effect, Kind, Type, effect};
use kcc_dsl::exchange::{ArgSpec, GridMap, TensorMap};
use kcc_dsl::ir::{Loc, LocId, Param, ValueId};
use std::collections::{HashMap, HashSet};

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// What it does.
    pub kind: Kind,
    /// Operands.
    pub operands: Vec<ValueId>,
    /// Results.
    pub results: Vec<ValueId>,
    /// Regions.
    pub regions: Vec<Block>,
    /// Where the author wrote it.
    pub loc: LocId,
}

/// A list of operations with arguments and yielded values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Arguments, defined by this block.
    pub args: Vec<ValueId>,
    /// Operations in order.
    pub ops: Vec<Op>,
    /// What the block yields to the operation that owns it.
    pub yields: Vec<ValueId>,
}

/// A kernel at the GPU level.
#[derive(Clone, Debug, PartialEq)]
pub struct Func {
    /// The kernel's name.
    pub name: String,
    /// Its generic arguments.
    pub generics: String,
    /// Symbol of the code.
    pub symbol: String,
    /// Parameters; parameter `i` is value `i`.
    pub params: Vec<Param>,
    /// What is known of each argument.
    pub args: Vec<ArgSpec>,
    /// Type of each value.
    pub values: Vec<Type>,
    /// Places; entry 0 is the kernel's own.
    pub locs: Vec<Loc>,
    /// The body.
    pub body: Block,
    /// Warps of a block; those of all roles together where they are specialised.
    pub warps: u32,
    /// Blocks of a cluster, per axis.
    pub cluster: [u32; 3],
    /// How programs map to blocks.
    pub grid: GridMap,
    /// Recipes of tensor maps that bulk copies use.
    pub tensor_maps: Vec<TensorMap>,
    /// Shared memory of a block in bytes, once `allocate_shared` has run; what a lowering needs for itself comes on top.
    pub shared_bytes: u32,
    /// Where within it a lowering finds memory for moving elements between threads, which no buffer needs at the time; behind it
    /// if there is none.
    pub scratch: Option<u32>,
    /// Registers that a thread may use, if there is to be a limit.
    pub max_registers: Option<u32>,
    /// Figures for tests and reports (`stages`, …).
    pub counters: Vec<(String, u64)>,
}

/// Makes operations at one place.
pub struct Builder<'f> {
    values: &'f mut Vec<Type>,
    replaced: &'f mut HashMap<ValueId, ValueId>,
    /// The operations so far.
    pub ops: Vec<Op>,
    /// Place of what is made.
    pub loc: LocId,
}

impl Builder<'_> {
    /// A value that no operation defines yet.
    pub fn fresh(&mut self, ty: Type) -> ValueId {
        self.values.push(ty);
        ValueId(self.values.len() as u32 - 1)
    }

    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &Type {
        &self.values[v.0 as usize]
    }

    /// Changes the type of a value.
    pub fn set_ty(&mut self, v: ValueId, ty: Type) {
        self.values[v.0 as usize] = ty;
    }

    /// Adds an operation without regions whose results have these types.
    pub fn op<const N: usize>(
        &mut self,
        kind: impl Into<Kind>,
        operands: &[ValueId],
        types: [Type; N],
    ) -> [ValueId; N] {
        let results = types.map(|t| self.fresh(t));
        self.ops.push(Op {
            kind: kind.into(),
            operands: operands.to_vec(),
            results: results.to_vec(),
            regions: Vec::new(),
            loc: self.loc,
        });
        results
    }

    /// Adds an operation as it is.
    pub fn keep(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Uses of `old`, from the next operation on and in all that follows, become uses of `new`.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        self.replaced.insert(old, new);
    }

    /// A uniform `i32` constant.
    pub fn i32(&mut self, c: i64) -> ValueId {
        use kcc_dsl::ir::{Const, Elem, OpKind};
        let [v] = self.op(OpKind::Constant(Const::Int(c)), &[], [Type::scalar(Elem::I32)]);
        v
    }

    /// A binary operation of two values of the first one's type.
    pub fn binary(&mut self, op: kcc_dsl::ir::BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        let ty = self.ty(a).clone();
        let [v] = self.op(kcc_dsl::ir::OpKind::Binary(op), &[a, b], [ty]);
        v
    }

    /// Fills a block by another builder.
    pub fn block(&mut self, args: Vec<ValueId>, fill: impl FnOnce(&mut Builder) -> Vec<ValueId>) -> Block {
        let outer = std::mem::take(&mut self.ops);
        let yields = fill(self);
        let ops = std::mem::replace(&mut self.ops, outer);
        Block { args, ops, yields }
    }
}

fn find(map: &HashMap<ValueId, ValueId>, mut v: ValueId) -> ValueId {
    while let Some(next) = map.get(&v) {
        v = *next;
    }
    v
}

impl Func {
    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &Type {
        &self.values[v.0 as usize]
    }

    /// A place in the author's source.
    pub fn loc(&self, id: LocId) -> &Loc {
        &self.locs[id.0 as usize]
    }

    /// The index of a tensor map among the kernel's, added if it is new.
    pub fn tensor_map(&mut self, map: TensorMap) -> u32 {
        let at = self.tensor_maps.iter().position(|m| *m == map).unwrap_or_else(|| {
            self.tensor_maps.push(map);
            self.tensor_maps.len() - 1
        });
        at as u32
    }

    /// A value that no operation defines yet.
    pub fn fresh(&mut self, ty: Type) -> ValueId {
        self.values.push(ty);
        ValueId(self.values.len() as u32 - 1)
    }

    /// Threads of a block.
    pub fn threads(&self, lanes: u32) -> u32 {
        self.warps * lanes
    }

    /// States a figure, in place of an older one of that name.
    pub fn count(&mut self, name: &str, value: u64) {
        self.counters.retain(|(n, _)| n != name);
        self.counters.push((name.to_owned(), value));
    }

    /// Every operation, outer before inner, in order.
    pub fn walk(&self, f: &mut impl FnMut(&Op)) {
        self.body.walk(f);
    }

    /// Every operation, outer before inner, in order.
    pub fn walk_mut(&mut self, f: &mut impl FnMut(&mut Op)) {
        self.body.walk_mut(f);
    }

    /// Visits each operation, those of regions before the one that owns them, in order. The visitor adds to the builder what
    /// shall stand in its place ([`Builder::keep`] for itself); replacements reach everything that follows.
    pub fn rewrite(&mut self, visit: &mut dyn FnMut(&mut Builder, Op)) {
        let mut replaced = HashMap::new();
        let body = std::mem::take(&mut self.body);
        let body = rewrite_block(body, &mut self.values, &mut replaced, visit);
        // A value may be used before its replacement was known: in an earlier region.
        self.body = body;
        if !replaced.is_empty() {
            self.replace_all(&replaced);
        }
    }

    /// As [`Func::rewrite`], for visitors that may fail: the first error ends it, and the function is then of no use.
    ///
    /// # Errors
    /// Those of the visitor.
    pub fn try_rewrite<E>(
        &mut self,
        visit: &mut dyn FnMut(&mut Builder, Op) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        self.rewrite(&mut |b, op| {
            if failed.is_none() {
                failed = visit(b, op).err();
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Operations made before everything else in the body.
    pub fn prepend(&mut self, make: impl FnOnce(&mut Builder)) {
        let mut replaced = HashMap::new();
        let mut b = Builder {
            values: &mut self.values,
            replaced: &mut replaced,
            ops: Vec::new(),
            loc: LocId::default(),
        };
        make(&mut b);
        let ops = b.ops;
        self.body.ops.splice(0..0, ops);
    }

    /// Builds operations that the caller will place.
    pub fn build<R>(&mut self, loc: LocId, make: impl FnOnce(&mut Builder) -> R) -> (Vec<Op>, R) {
        let mut replaced = HashMap::new();
        let mut b = Builder { values: &mut self.values, replaced: &mut replaced, ops: Vec::new(), loc };
        let result = make(&mut b);
        let ops = b.ops;
        (ops, result)
    }

    /// Uses of the keys become uses of what they map to (followed through), everywhere.
    pub fn replace_all(&mut self, map: &HashMap<ValueId, ValueId>) {
        self.body.replace_all(map);
    }

    /// How many operands and yields each value is.
    pub fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.values.len()];
        self.body.count_uses(&mut uses);
        uses
    }

    /// A copy of a block in which everything it defines is new; `map` says what arguments become, and gets the rest.
    pub fn clone_block(&mut self, block: &Block, map: &mut HashMap<ValueId, ValueId>) -> Block {
        let new = |func: &mut Func, map: &mut HashMap<ValueId, ValueId>, v: ValueId| -> ValueId {
            let ty = func.ty(v).clone();
            let n = func.fresh(ty);
            map.insert(v, n);
            n
        };
        let args =
            block.args.iter().map(|a| map.get(a).copied().unwrap_or_else(|| new(self, map, *a))).collect();
        let ops = block.ops.iter().map(|op| self.clone_op(op, map)).collect();
        let yields = block.yields.iter().map(|v| find(map, *v)).collect();
        Block { args, ops, yields }
    }

    /// A copy of an operation with new results; operands follow `map`, which gets the results.
    pub fn clone_op(&mut self, op: &Op, map: &mut HashMap<ValueId, ValueId>) -> Op {
        let operands = op.operands.iter().map(|v| find(map, *v)).collect();
        let regions = op.regions.iter().map(|r| self.clone_block(r, map)).collect();
        let mut results = Vec::new();
        for r in &op.results {
            let ty = self.ty(*r).clone();
            let n = self.fresh(ty);
            map.insert(*r, n);
            results.push(n);
        }
        Op { kind: op.kind.clone(), operands, results, regions, loc: op.loc }
    }

    /// Drops operations without effect whose results nobody uses.
    pub fn drop_dead(&mut self) {
        let mut live = HashSet::new();
        sweep(&mut self.body, &mut live);
    }
}

fn rewrite_block(
    block: Block,
    values: &mut Vec<Type>,
    replaced: &mut HashMap<ValueId, ValueId>,
    visit: &mut dyn FnMut(&mut Builder, Op),
) -> Block {
    let mut done = Vec::with_capacity(block.ops.len());
    for mut op in block.ops {
        for v in &mut op.operands {
            *v = find(replaced, *v);
        }
        let regions = std::mem::take(&mut op.regions);
        op.regions = regions.into_iter().map(|r| rewrite_block(r, values, replaced, visit)).collect();
        let loc = op.loc;
        let mut b = Builder { values, replaced, ops: std::mem::take(&mut done), loc };
        visit(&mut b, op);
        done = b.ops;
    }
    let yields = block.yields.iter().map(|v| find(replaced, *v)).collect();
    Block { args: block.args, ops: done, yields }
}

/// Backwards over a block: keeps what has an effect or is used.
fn sweep(block: &mut Block, live: &mut HashSet<ValueId>) {
    live.extend(&block.yields);
    let mut kept = Vec::with_capacity(block.ops.len());
    for mut op in std::mem::take(&mut block.ops).into_iter().rev() {
        let used = op.results.iter().any(|r| live.contains(r));
        let needed = match effect(&op.kind) {
            Effect::Side => true,
            Effect::Regions => used || has_side(&op) || matches!(op.kind, Kind::Tile(super::OpKind::While)),
            _ => used,
        };
        if !needed {
            continue;
        }
        live.extend(&op.operands);
        for r in &mut op.regions {
            sweep(r, live);
        }
        kept.push(op);
    }
    kept.reverse();
    block.ops = kept;
}

fn has_side(op: &Op) -> bool {
    let mut side = false;
    for r in &op.regions {
        r.walk(&mut |o| side |= effect(&o.kind) == Effect::Side);
    }
    side
}

impl Block {
    /// Every operation, outer before inner, in order.
    pub fn walk(&self, f: &mut impl FnMut(&Op)) {
        for op in &self.ops {
            f(op);
            for r in &op.regions {
                r.walk(f);
            }
        }
    }

    /// Every operation, outer before inner, in order.
    pub fn walk_mut(&mut self, f: &mut impl FnMut(&mut Op)) {
        for op in &mut self.ops {
            f(op);
            for r in &mut op.regions {
                r.walk_mut(f);
            }
        }
    }

    /// Uses of the keys become uses of what they map to (followed through).
    pub fn replace_all(&mut self, map: &HashMap<ValueId, ValueId>) {
        for op in &mut self.ops {
            for v in &mut op.operands {
                *v = find(map, *v);
            }
            for r in &mut op.regions {
                r.replace_all(map);
            }
        }
        for v in &mut self.yields {
            *v = find(map, *v);
        }
    }

    fn count_uses(&self, uses: &mut [u32]) {
        for op in &self.ops {
            for v in &op.operands {
                uses[v.0 as usize] += 1;
            }
            for r in &op.regions {
                r.count_uses(uses);
            }
        }
        for v in &self.yields {
            uses[v.0 as usize] += 1;
        }
    }
}
