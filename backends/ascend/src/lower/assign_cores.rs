//! Decides what the cube core does: products, and the loads that feed nothing but products.
//!
//! ```text
//! load ─▶ (transpose ─▶) dot          the cube core loads the operand itself
//! anything else ─▶ dot                vector cores write it to the workspace, the cube core reads it there
//! for acc { acc = dot(a, b, acc) }    the accumulators stay in their memory for the whole loop
//! dot ─▶ anything                     the cube core writes it to the workspace, vector cores read it there
//! ```
//! Both kinds of cores walk through the same control flow. Scalars that come out of tiles are known to vector cores alone:
//! they are *far* from the cube core. Those that decide about products are told to it ([`super::tell`]).

use super::skew::{self, Skew};
use kcc_compiler::{Error, at};
use kcc_davinci::Chip;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{BinaryOp, Block, Const, Elem, Kernel, Op, OpKind, TileType, Type, UnaryOp, ValueId};
use std::collections::{HashMap, HashSet};

/// An operand of a product.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// The tile that is brought to the cube core.
    pub source: ValueId,
    /// That tile is the operand with its last two axes swapped.
    pub swapped: bool,
    /// Where vector cores leave it in the workspace; `None` if the cube core loads it itself.
    pub workspace: Option<u64>,
}

/// A product.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub a: Operand,
    pub b: Operand,
    /// The loop that it accumulates over, by the loop's result.
    pub chain: Option<ValueId>,
    /// Where the result goes in the workspace, unless it is accumulated.
    pub out: u64,
}

/// Accumulators that stay for a whole loop.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The loop's argument.
    pub arg: ValueId,
    /// Value before the loop; `None` if it is zero.
    pub init: Option<ValueId>,
    /// Where the result goes in the workspace.
    pub out: u64,
}

/// Who does what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cores {
    /// Products by their results.
    pub products: HashMap<ValueId, Product>,
    /// Accumulating loops by their results.
    pub chains: HashMap<ValueId, Chain>,
    /// Loaded by the cube core.
    pub loads: HashSet<ValueId>,
    /// Not needed by vector cores.
    pub cube_only: HashSet<ValueId>,
    /// Scalars and views that only vector cores know.
    pub far: HashSet<ValueId>,
    /// Tiles of one element that are read by the scalar unit: all cores know them.
    pub near: HashSet<ValueId>,
    /// Parameters that the kernel both writes and reads: vector cores alone do that, in step.
    pub reread: HashSet<u32>,
    /// Far scalars that the cube core is told, with their places in the workspace.
    pub told: HashMap<ValueId, u64>,
    /// Results of which no flag says that the last one was read, since a later one's in the same block says it.
    pub quiet: HashSet<ValueId>,
    /// Skewed loops, by their counters.
    pub skews: HashMap<ValueId, Skew>,
    /// Bytes of workspace for each block.
    pub workspace: u64,
}

/// What the analysis knows of a kernel.
struct Facts<'k> {
    kernel: &'k Kernel,
    args: &'k [ArgSpec],
    defs: HashMap<ValueId, &'k Op>,
    /// Operations that use a value, and as which operand; yields are not among them.
    uses: HashMap<ValueId, Vec<(&'k Op, usize)>>,
    /// How often a value is yielded.
    yielded: HashMap<ValueId, usize>,
    /// Scalars and views that only vector cores know.
    far: HashSet<ValueId>,
    /// Scalars that are not negative.
    upward: HashSet<ValueId>,
    /// Parameters that the kernel both writes and reads.
    reread: HashSet<u32>,
}

/// The loads of tiles that lie column by column and that the cube core can do itself.
pub(super) fn columns(kernel: &Kernel, args: &[ArgSpec]) -> HashSet<ValueId> {
    let facts = Facts::of(kernel, args, &single(kernel));
    facts.defs.keys().copied().filter(|v| facts.direct(*v) == Some(true)).collect()
}

/// Whether a block, or one inside it, has a product.
pub(super) fn has_product(b: &Block) -> bool {
    b.ops.iter().any(|o| matches!(o.kind, OpKind::Dot { .. }) || o.regions.iter().any(has_product))
}

/// What decides how often, or which of, an operation's blocks run.
pub(super) fn decisions(op: &Op) -> &[ValueId] {
    match op.kind {
        OpKind::For { .. } => &op.operands[..3],
        OpKind::While => &op.regions[0].yields[..1],
        OpKind::If => &op.operands[..1],
        _ => &[],
    }
}

/// Whether the cube core must know how an operation's blocks run.
fn has_told(op: &Op) -> bool {
    op.regions.iter().any(has_product)
}

/// Single elements: loads of one, and what only gives them another shape.
fn single(kernel: &Kernel) -> HashSet<ValueId> {
    let mut near = HashSet::new();
    kernel.walk(&mut |op| {
        let one = |v: &ValueId| kernel.ty(*v).tile().is_some_and(|t| t.len() == 1 && t.rank() > 0);
        let read = match op.kind {
            OpKind::Load { .. } => true,
            OpKind::Reshape => near.contains(&op.operands[0]),
            _ => false,
        };
        if read && one(&op.results[0]) {
            near.insert(op.results[0]);
        }
    });
    near
}

/// The assignment, or nothing for a kernel without products.
pub(super) fn run(kernel: &Kernel, args: &[ArgSpec], chip: &Chip) -> Result<Option<Cores>, Error> {
    if !has_product(&kernel.body) {
        return Ok(None);
    }
    let near = single(kernel);
    let facts = Facts::of(kernel, args, &near);
    let mut cores = Cores { far: facts.far.clone(), near, reread: facts.reread.clone(), ..Cores::default() };
    kernel.walk(&mut |op| {
        for v in decisions(op).iter().filter(|v| has_told(op) && facts.far.contains(v)) {
            let at = cores.workspace;
            cores.told.insert(*v, at);
            cores.workspace += 512;
        }
    });
    facts.chains(&kernel.body, &mut cores);
    facts.products(&kernel.body, &mut cores)?;
    facts.skews(&kernel.body, chip, &mut cores);
    quiet(&kernel.body, &mut cores);
    facts.leave(&mut cores);
    Ok(Some(cores))
}

/// Finds results for which another of their block is waited for as well before they come again: vector cores read what came
/// before, and say so with the last one's flag.
fn quiet(b: &Block, cores: &mut Cores) {
    let mut results = Vec::new();
    for op in &b.ops {
        let skewed = |r: &Block| r.args.first().is_some_and(|c| cores.skews.contains_key(c));
        for r in op.regions.iter().filter(|r| !skewed(r)).collect::<Vec<_>>() {
            quiet(r, cores);
        }
        if let Some(r) = op.results.iter().find(|r| cores.chains.contains_key(r)) {
            results.push((*r, false));
        } else if let Some(p) = op.results.first().and_then(|r| cores.products.get(r))
            && p.chain.is_none()
        {
            results.push((op.results[0], p.a.workspace.is_some() || p.b.workspace.is_some()));
        }
    }
    results.pop();
    cores.quiet.extend(results.into_iter().filter(|r| !r.1).map(|r| r.0));
}

impl<'k> Facts<'k> {
    fn of(kernel: &'k Kernel, args: &'k [ArgSpec], near: &HashSet<ValueId>) -> Facts<'k> {
        let mut facts = Facts {
            kernel,
            args,
            defs: HashMap::new(),
            uses: HashMap::new(),
            yielded: HashMap::new(),
            far: HashSet::new(),
            upward: super::upward(kernel),
            reread: HashSet::new(),
        };
        facts.collect(&kernel.body);
        facts.reread = facts.reread();
        facts.far = facts.far(near);
        facts
    }

    fn collect(&mut self, b: &'k Block) {
        for op in &b.ops {
            for (i, v) in op.operands.iter().enumerate() {
                self.uses.entry(*v).or_default().push((op, i));
            }
            for v in &op.results {
                self.defs.insert(*v, op);
            }
            for r in &op.regions {
                self.collect(r);
            }
        }
        for v in &b.yields {
            *self.yielded.entry(*v).or_default() += 1;
        }
    }

    fn tile(&self, v: ValueId) -> Option<&'k TileType> {
        self.kernel.ty(v).tile()
    }

    fn reread(&self) -> HashSet<u32> {
        let (mut read, mut written) = (HashSet::new(), HashSet::new());
        self.kernel.walk(&mut |op| {
            let Some((p, _)) = op.operands.first().and_then(|v| self.view(*v)) else { return };
            match op.kind {
                OpKind::Load { .. } | OpKind::LoadRows { .. } | OpKind::Gather => read.insert(p as u32),
                _ => op.kind.has_side_effect() && written.insert(p as u32),
            };
        });
        &read & &written
    }

    /// Whether an operation reads what the kernel writes.
    fn rereads(&self, op: &Op) -> bool {
        matches!(op.kind, OpKind::Load { .. } | OpKind::LoadRows { .. } | OpKind::Gather)
            && self.view(op.operands[0]).is_some_and(|(p, _)| self.reread.contains(&(p as u32)))
    }

    /// Scalars that come out of tiles, and what depends on them.
    fn far(&self, near: &HashSet<ValueId>) -> HashSet<ValueId> {
        let mut far = HashSet::new();
        loop {
            let before = far.len();
            self.spread(&self.kernel.body, near, &mut far);
            if far.len() == before {
                return far;
            }
        }
    }

    fn spread(&self, b: &Block, near: &HashSet<ValueId>, far: &mut HashSet<ValueId>) {
        let tile =
            |v: &ValueId| matches!(self.kernel.ty(*v), Type::Tile(t) if t.rank() > 0) && !near.contains(v);
        for op in &b.ops {
            for r in &op.regions {
                self.spread(r, near, far);
            }
            match op.kind {
                OpKind::For { .. } => {
                    let region = &op.regions[0];
                    let bounds = !has_told(op) && decisions(op).iter().any(|v| far.contains(v));
                    if bounds {
                        far.insert(region.args[0]);
                    }
                    for (i, r) in op.results.iter().enumerate() {
                        let (init, arg, next) = (op.operands[3 + i], region.args[1 + i], region.yields[i]);
                        if bounds || [init, arg, next].iter().any(|v| far.contains(v)) {
                            far.extend([arg, *r]);
                        }
                    }
                }
                OpKind::While => {
                    let (head, body) = (&op.regions[0], &op.regions[1]);
                    let condition = !has_told(op) && far.contains(&head.yields[0]);
                    for (i, r) in op.results.iter().enumerate() {
                        let all =
                            [op.operands[i], head.args[i], head.yields[1 + i], body.args[i], body.yields[i]];
                        if condition || all.iter().any(|v| far.contains(v)) {
                            far.extend([head.args[i], body.args[i], *r]);
                        }
                    }
                }
                OpKind::If => {
                    let condition = !has_told(op) && far.contains(&op.operands[0]);
                    for (i, r) in op.results.iter().enumerate() {
                        if condition || op.regions.iter().any(|b| far.contains(&b.yields[i])) {
                            far.insert(*r);
                        }
                    }
                }
                _ => {
                    // Functions of single numbers are the vector unit's, too.
                    let float = op.results.iter().any(|r| self.tile(*r).is_some_and(|t| t.elem.is_float()));
                    let function = match op.kind {
                        OpKind::Unary(u) => float && !matches!(u, UnaryOp::Neg | UnaryOp::Abs),
                        OpKind::Fma | OpKind::Binary(BinaryOp::Rem) => float,
                        OpKind::Bitcast => {
                            op.results.iter().any(|r| self.tile(*r).is_some_and(|t| t.elem.bytes() == 2))
                        }
                        _ => false,
                    };
                    // A tile of one element is near as it was read, and in another shape.
                    let one =
                        !matches!(op.kind, OpKind::Reshape) && op.operands.iter().any(|v| near.contains(v));
                    if one
                        || function
                        || self.rereads(op)
                        || op.operands.iter().any(|v| tile(v) || far.contains(v))
                    {
                        far.extend(op.results.iter().copied());
                    }
                }
            }
        }
    }

    /// Finds loops whose carried value is nothing but an accumulator.
    fn chains(&self, b: &'k Block, cores: &mut Cores) {
        for op in &b.ops {
            for r in &op.regions {
                self.chains(r, cores);
            }
            let OpKind::For { .. } = op.kind else { continue };
            let region = &op.regions[0];
            for (i, result) in op.results.iter().enumerate() {
                let arg = region.args[1 + i];
                let Some(dots) = self.accumulations(arg, region, i) else { continue };
                if self.tile(arg).is_none_or(|t| t.rank() != 2) {
                    continue;
                }
                let init = op.operands[3 + i];
                let zero = self.is_zero(init);
                cores.chains.insert(*result, Chain { arg, init: (!zero).then_some(init), out: 0 });
                for d in dots {
                    let none = || Operand { source: d, swapped: false, workspace: None };
                    let p = Product { a: none(), b: none(), chain: Some(*result), out: 0 };
                    cores.products.insert(d, p);
                }
            }
        }
    }

    /// The products that a loop's argument goes through on its way to the loop's yield, if it goes nowhere else.
    fn accumulations(&self, arg: ValueId, region: &Block, i: usize) -> Option<Vec<ValueId>> {
        let mut dots = Vec::new();
        let mut v = arg;
        loop {
            let uses = self.uses.get(&v).map_or(&[][..], Vec::as_slice);
            let yields = self.yielded.get(&v).copied().unwrap_or(0);
            if yields == 1 && uses.is_empty() && region.yields[i] == v && !dots.is_empty() {
                return Some(dots);
            }
            let [(op, 2)] = uses else { return None };
            let inside = region.ops.iter().any(|o| std::ptr::eq(o, *op));
            if yields > 0 || !inside || !matches!(op.kind, OpKind::Dot { .. }) {
                return None;
            }
            v = op.results[0];
            dots.push(v);
        }
    }

    fn is_zero(&self, v: ValueId) -> bool {
        match self.defs.get(&v).map(|o| &o.kind) {
            Some(OpKind::Constant(Const::Float(bits))) => *bits == 0,
            Some(OpKind::Constant(Const::Int(i))) => *i == 0,
            Some(OpKind::Broadcast { .. }) => self.is_zero(self.defs[&v].operands[0]),
            _ => false,
        }
    }

    fn products(&self, b: &'k Block, cores: &mut Cores) -> Result<(), Error> {
        for op in &b.ops {
            for r in &op.regions {
                self.products(r, cores)?;
            }
            if !matches!(op.kind, OpKind::Dot { .. }) {
                continue;
            }
            let bug = || at(self.kernel.loc(op.loc)).bug("a product of no tiles".to_owned());
            let elem = self.tile(op.operands[0]).ok_or_else(bug)?.elem;
            if !matches!(elem, Elem::F16 | Elem::BF16 | Elem::F32 | Elem::I8) {
                let what = format!("products of {elem} on Ascend");
                return Err(at(self.kernel.loc(op.loc)).unsupported(what).help("cast the operands to f16"));
            }
            let v = op.results[0];
            let a = self.operand(op.operands[0], false, elem, cores);
            let b = self.operand(op.operands[1], true, elem, cores);
            let chain = cores.products.get(&v).and_then(|p| p.chain);
            let out = if chain.is_none() { self.space(v, cores) } else { 0 };
            cores.products.insert(v, Product { a, b, chain, out });
        }
        for r in b.ops.iter().flat_map(|o| &o.results) {
            if cores.chains.contains_key(r) {
                let out = self.space(*r, cores);
                if let Some(c) = cores.chains.get_mut(r) {
                    c.out = out;
                }
            }
        }
        Ok(())
    }

    /// Loops in which the cube core may run ahead.
    fn skews(&self, b: &Block, chip: &Chip, cores: &mut Cores) {
        for op in &b.ops {
            for r in &op.regions {
                self.skews(r, chip, cores);
            }
            let OpKind::For { .. } = op.kind else { continue };
            if let Some(mut s) = skew::find(self.kernel, cores, op, chip) {
                let bytes = |v: ValueId| self.tile(v).map_or(0, |t| t.len() * t.elem.bytes()) as u64;
                let Cores { workspace, products, .. } = cores;
                skew::exchange(&mut s, products, bytes, &mut |n| {
                    *workspace += n;
                    *workspace - n
                });
                cores.skews.insert(op.regions[0].args[0], s);
            }
        }
    }

    /// Room in the workspace for a tile.
    fn space(&self, v: ValueId, cores: &mut Cores) -> u64 {
        let at = cores.workspace;
        let bytes = self.tile(v).map_or(0, |t| t.len() * t.elem.bytes()) as u64;
        cores.workspace += bytes.next_multiple_of(512);
        at
    }

    fn operand(&self, v: ValueId, right: bool, elem: Elem, cores: &mut Cores) -> Operand {
        let mut o = Operand { source: v, swapped: false, workspace: None };
        if let Some(op) = self.defs.get(&v)
            && let OpKind::Transpose { perm } = &op.kind
            && (perm[..] == [1, 0] || perm[..] == [0, 2, 1])
        {
            // Elements of other than 16 bits cannot be transposed on the way to the operands' memory.
            if elem.bytes() == 2 || right {
                o = Operand { source: op.operands[0], swapped: true, workspace: None };
            }
        }
        let deep = right == o.swapped;
        match self.direct(o.source) {
            Some(flipped) if elem.bytes() == 2 || deep != flipped => {
                cores.loads.insert(o.source);
            }
            _ => o.workspace = Some(self.space(o.source, cores)),
        }
        o
    }

    /// Whether the cube core can load a value itself; if so, whether it is laid out column by column. What the kernel writes, and
    /// what lies where only vector cores know, it cannot.
    fn direct(&self, v: ValueId) -> Option<bool> {
        let op = self.defs.get(&v)?;
        let OpKind::Load { padding, .. } = &op.kind else { return None };
        if self.rereads(op) || op.operands.iter().any(|o| self.far.contains(o)) {
            return None;
        }
        let zero = match padding {
            Const::Float(bits) => *bits == 0,
            Const::Int(i) => *i == 0,
            Const::Bool(_) => false,
        };
        if !zero || op.operands.len() != 3 || self.tile(v)?.rank() != 2 {
            return None;
        }
        let (param, fixed) = self.view(op.operands[0])?;
        let unit = usize::from(self.args.get(param)?.unit_axis?).checked_sub(fixed)?;
        // Elements before the first along the inner axis would shift a row inside its fractals.
        (unit < 2 && self.upward.contains(&op.operands[1 + unit])).then_some(unit == 0)
    }

    /// The parameter of a view, and how many of its axes are fixed.
    fn view(&self, v: ValueId) -> Option<(usize, usize)> {
        if (v.0 as usize) < self.kernel.params.len() {
            return Some((v.0 as usize, 0));
        }
        let op = self.defs.get(&v)?;
        let (param, fixed) = self.view(*op.operands.first()?)?;
        matches!(op.kind, OpKind::At).then_some((param, fixed + op.operands.len() - 1))
    }

    /// What vector cores need not bother with: loads and transpositions for products that the cube core loads for itself.
    fn leave(&self, cores: &mut Cores) {
        let by_cube = |v: ValueId, cores: &Cores| {
            let uses = self.uses.get(&v).map_or(&[][..], Vec::as_slice);
            !self.yielded.contains_key(&v)
                && uses.iter().all(|(op, i)| match op.kind {
                    OpKind::Dot { .. } if *i < 2 => {
                        let p = &cores.products[&op.results[0]];
                        let o = if *i == 0 { &p.a } else { &p.b };
                        // A tile that goes through the workspace is needed, unless it is the transposition of one.
                        o.workspace.is_none() || o.source != v
                    }
                    OpKind::Transpose { .. } => cores.cube_only.contains(&op.results[0]),
                    _ => false,
                })
        };
        // What is brought through the workspace comes from vector cores, whatever else is made of it.
        let kept: HashSet<ValueId> = cores
            .products
            .values()
            .flat_map(|p| [&p.a, &p.b])
            .filter(|o| o.workspace.is_some())
            .map(|o| o.source)
            .collect();
        let mut transposed: Vec<ValueId> = Vec::new();
        for p in cores.products.values() {
            transposed.extend([&p.a, &p.b].iter().filter(|o| o.swapped).flat_map(|o| {
                let uses = self.uses.get(&o.source).map_or(&[][..], Vec::as_slice);
                uses.iter()
                    .filter(|(op, _)| matches!(op.kind, OpKind::Transpose { .. }))
                    .map(|(op, _)| op.results[0])
            }));
        }
        for v in transposed {
            if by_cube(v, cores) && !kept.contains(&v) {
                cores.cube_only.insert(v);
            }
        }
        let loads: Vec<ValueId> = cores.loads.iter().copied().collect();
        for v in loads {
            if by_cube(v, cores) && !kept.contains(&v) {
                cores.cube_only.insert(v);
            }
        }
    }
}
