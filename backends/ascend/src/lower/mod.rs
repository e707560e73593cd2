//! From the tile IR to the pipes of cores: one buffer for each tile, no order between pipes yet, no addresses yet.
//!
//! A kernel with products is walked through twice, once for each kind of core ([`assign_cores`]); one without is for vector
//! cores alone.
//!
//! ```text
//! for program in block_idx..programs step block_num { the kernel's body }
//! ```
//! A tile of rank 1 or more lies in the unified buffer row by row, each row on a pitch of 64 elements: whatever the type, rows
//! start at a block of 32 bytes, and a tile is a whole number of vector repeats. What lies between a row's end and its
//! pitch is computed along and never read. Tiles of `bool` are bits, one for each element of that flat order. Scalars live in
//! registers of the scalar unit; floats there as the bits of an `f32`.

mod assign_cores;
mod casts;
mod control;
mod depth;
mod elements;
mod elementwise;
mod halves;
mod indexed;
mod masks;
mod math;
mod memory;
mod move_rows;
pub(crate) mod narrow_products;
mod not_a_number;
mod orient;
mod periods;
mod products;
mod reduce;
pub(crate) mod row_parts;
mod scans;
mod shape;
mod skew;
mod split_rows;
mod tell;
mod uses;
mod values;
pub(crate) mod weave;
pub(crate) mod wide_sums;
mod widen;

use crate::passes::order::{Answer, Hints};
use assign_cores::Cores;
use kcc_compiler::{Error, at};
use kcc_davinci::Chip;
use kcc_davinci::ir::*;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{
    BinaryOp, Block, Const, Elem, Kernel, LocId, Op, OpKind, ParamKind, TileType, Type, ValueId,
};
pub(crate) use skew::Plan;
use std::collections::{HashMap, HashSet};
use values::{Held, ViewValue};

/// Bytes of a block; what copies and operands are aligned to.
pub(crate) const BLOCK: i64 = 32;

/// What a flag that a core waits for says of the flags that it raised.
fn answers(cores: &Cores, plan: Plan) -> Vec<(CoreKind, Answer)> {
    let mut all = products::answers();
    let skewed: Vec<Vec<(CoreKind, Answer)>> = cores.skews.values().map(|s| skew::answers(s, plan)).collect();
    // Loops that use flags differently say nothing.
    if skewed.windows(2).all(|w| w[0] == w[1]) {
        all.extend(skewed.into_iter().next().unwrap_or_default());
    }
    all
}

/// Lowers a kernel.
pub(crate) fn lower(
    kernel: &Kernel,
    args: &[ArgSpec],
    chip: &Chip,
    plan: Plan,
) -> Result<(Program, Hints), Error> {
    let kernel = &widen::run(&orient::run(kernel, args));
    let cores = assign_cores::run(kernel, args, chip)?;
    let mut l = Lower {
        uses: uses::Uses::of(kernel),
        spread: not_a_number::run(kernel),
        fresh: HashSet::new(),
        carried: HashSet::new(),
        kept: cores.iter().flat_map(|c| c.skews.values()).flat_map(skew::Skew::crossing).collect(),
        halves: if cores.is_some() { split_rows::run(kernel) } else { HashMap::new() },
        sub: Val::Const(0),
        lane: None,
        not_negative: upward(kernel),
        upward: HashSet::new(),
        kernel,
        args,
        core: CoreKind::Vector,
        cores: cores.as_ref(),
        base: Val::Const(0),
        first_core: Val::Const(1),
        accumulators: HashMap::new(),
        buffers: Vec::new(),
        stack: vec![Vec::new()],
        held: HashMap::new(),
        regs: 0,
        loc: LocId(0),
        constants: HashMap::new(),
        heads: Vec::new(),
        tails: Vec::new(),
        brought: HashMap::new(),
        plan,
        turned: None,
        fetched: HashMap::new(),
        ring: None,
    };
    l.program()?;
    let vector = l.stack.pop();
    let mut cube = None;
    if cores.is_some() {
        l.core = CoreKind::Cube;
        l.stack = vec![Vec::new()];
        l.held.clear();
        l.constants.clear();
        l.regs = 0;
        l.upward.clear();
        l.loc = LocId(0);
        l.program()?;
        cube = l.stack.pop();
    }
    let hints = Hints {
        answers: cores.as_ref().map(|c| answers(c, plan)).unwrap_or_default(),
        heads: l.heads,
        tails: l.tails,
        says: cores.as_ref().map(|c| skew::says(c.skews.values(), plan)).unwrap_or_default(),
    };
    let program = Program {
        name: kernel.symbol(),
        chip: chip.name.to_owned(),
        params: kernel.params.clone(),
        buffers: l.buffers,
        workspace: cores.as_ref().map_or(0, |c| c.workspace),
        cube,
        vector,
        locs: kernel.locs.clone(),
    };
    Ok((program, hints))
}

/// Scalars that are not negative, unless they overflow.
fn upward(kernel: &Kernel) -> HashSet<ValueId> {
    fn go(b: &Block, up: &mut HashSet<ValueId>) {
        for op in &b.ops {
            let has = |v: &ValueId| up.contains(v);
            let ok = match &op.kind {
                OpKind::ProgramId(_) | OpKind::NumPrograms(_) | OpKind::Dim(_) => true,
                OpKind::Constant(Const::Int(i)) => *i >= 0,
                OpKind::Binary(BinaryOp::Max | BinaryOp::And) => op.operands.iter().any(has),
                OpKind::Binary(
                    BinaryOp::Add | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Min,
                ) => op.operands.iter().all(has),
                _ => false,
            };
            if ok {
                up.extend(op.results.iter().copied());
            }
            if let (OpKind::For { .. }, true) =
                (&op.kind, op.operands.first().is_some_and(|v| up.contains(v)))
            {
                up.extend(op.regions[0].args.first().copied());
            }
            for r in &op.regions {
                go(r, up);
            }
        }
    }
    let mut up = HashSet::new();
    go(&kernel.body, &mut up);
    up
}

/// The state of a lowering.
pub(super) struct Lower<'k> {
    pub kernel: &'k Kernel,
    pub args: &'k [ArgSpec],
    /// Types of tiles of which each vector core has half the rows.
    pub halves: HashMap<ValueId, TileType>,
    /// Slots of the turn of a skewed loop.
    lane: Option<skew::Lane>,
    /// Index of the vector core in its group.
    pub sub: Val,
    /// Scalars that are surely not negative, but for overflow.
    pub not_negative: HashSet<ValueId>,
    /// Offsets of accesses among them.
    pub upward: HashSet<Val>,
    /// What becomes of values.
    uses: uses::Uses,
    /// Extrema that may be not-a-number where an operand is.
    spread: HashSet<ValueId>,
    /// Results of the block being lowered that have buffers of their own.
    pub fresh: HashSet<ValueId>,
    /// Values that the innermost loop carries, in their homes.
    pub carried: HashSet<ValueId>,
    /// Values that are still read when their turn is over.
    kept: HashSet<ValueId>,
    /// Whose code is written.
    pub core: CoreKind,
    /// Who does what, in a kernel with products.
    pub cores: Option<&'k assign_cores::Cores>,
    /// First byte of this block's workspace.
    pub base: Val,
    /// Whether this is the first vector core of its group: the one that writes.
    pub first_core: Val,
    /// Accumulators of loops, by the loops' results.
    pub accumulators: HashMap<ValueId, u32>,
    pub buffers: Vec<Buffer>,
    stack: Vec<Vec<Stmt>>,
    held: HashMap<ValueId, Held>,
    regs: u32,
    pub loc: LocId,
    /// Registers that hold dims and strides, read once.
    constants: HashMap<Scalar, Val>,
    /// Conditions of skewed loops' heads, and in how many of the last turns they are false.
    heads: Vec<(CoreKind, Reg, usize)>,
    /// Those that are false in the first turns, and in how many.
    tails: Vec<(CoreKind, Reg, usize)>,
    /// Operands of late products that are in L1 already.
    brought: HashMap<ValueId, products::Operands>,
    /// What is done early in skewed loops.
    plan: Plan,
    /// Buffers of the first level that are filled in a turn of a skewed loop.
    turned: Option<HashSet<u32>>,
    /// Results that are on their way.
    fetched: HashMap<ValueId, u32>,
    /// Accumulators of a skewed loop.
    ring: Option<products::Ring>,
}

/// Elements of a tile in its flat order, pitch included.
pub(super) fn flat(t: &TileType) -> i64 {
    rows(t) * pitch(t)
}

/// Elements from a row to the next.
pub(super) fn pitch(t: &TileType) -> i64 {
    (t.shape.last().copied().unwrap_or(1) as i64 + 63) / 64 * 64
}

/// Rows: all axes but the last.
pub(super) fn rows(t: &TileType) -> i64 {
    t.shape.iter().rev().skip(1).product::<usize>() as i64
}

/// Elements of a row.
pub(super) fn width(t: &TileType) -> i64 {
    t.shape.last().copied().unwrap_or(1) as i64
}

/// How the scalar unit moves an element: an 8-bit float as a byte.
fn moved(elem: Elem) -> Elem {
    match elem {
        Elem::F8E4M3 | Elem::F8E5M2 => Elem::U8,
        elem => elem,
    }
}

impl Lower<'_> {
    fn program(&mut self) -> Result<(), Error> {
        for (i, p) in self.kernel.params.iter().enumerate() {
            let v = ValueId(i as u32);
            let held = match p.kind {
                ParamKind::Scalar(_) => Held::Scalar(self.let_(Scalar::Arg { param: i as u32 })),
                ParamKind::View { rank, .. } => {
                    let axis = |s: &mut Self, stride: bool, a: usize| {
                        let (param, axis) = (i as u32, a as u8);
                        if stride && s.args[i].unit_axis == Some(axis) {
                            return Val::Const(1);
                        }
                        s.let_(if stride {
                            Scalar::Stride { param, axis }
                        } else {
                            Scalar::Dim { param, axis }
                        })
                    };
                    Held::View(ViewValue {
                        param: i as u32,
                        offset: Val::Const(0),
                        dims: (0..rank).map(|a| axis(self, false, a)).collect(),
                        strides: (0..rank).map(|a| axis(self, true, a)).collect(),
                    })
                }
            };
            self.held.insert(v, held);
        }
        let grid: Vec<Val> = (0..3).map(|axis| self.let_(Scalar::Grid { axis })).collect();
        let (first, step) = (self.let_(Scalar::BlockIdx), self.let_(Scalar::BlockNum));
        if let Some(c) = self.cores {
            self.base = self.int(IntOp::Mul, first, (c.workspace as i64).into());
            if self.core == CoreKind::Vector {
                self.sub = self.let_(Scalar::SubIdx);
                self.first_core = self.int(IntOp::Eq, self.sub, 0.into());
            }
        }
        let plane = self.int(IntOp::Mul, grid[0], grid[1]);
        let all = self.int(IntOp::Mul, plane, grid[2]);
        let program = self.reg();
        self.open();
        let x = self.int(IntOp::Rem, program.into(), grid[0]);
        let rest = self.int(IntOp::Div, program.into(), grid[0]);
        let y = self.int(IntOp::Rem, rest, grid[1]);
        let z = self.int(IntOp::Div, rest, grid[1]);
        self.constants.insert(Scalar::Grid { axis: 3 }, x);
        self.constants.insert(Scalar::Grid { axis: 4 }, y);
        self.constants.insert(Scalar::Grid { axis: 5 }, z);
        self.constants.extend((0..3).map(|a| (Scalar::Grid { axis: a }, grid[usize::from(a)])));
        let body = &self.kernel.body;
        self.block(body)?;
        let body = self.close();
        self.push(Stmt::For { counter: program, from: first, to: all, step, body });
        Ok(())
    }

    // ---- writing -------------------------------------------------------------------------------------------

    /// A fresh register.
    pub(super) fn reg(&mut self) -> Reg {
        self.regs += 1;
        Reg(self.regs - 1)
    }

    pub(super) fn push(&mut self, s: Stmt) {
        if let Some(b) = self.stack.last_mut() {
            b.push(s);
        }
    }

    /// Starts a block of statements.
    pub(super) fn open(&mut self) {
        self.stack.push(Vec::new());
    }

    /// Ends it.
    pub(super) fn close(&mut self) -> Vec<Stmt> {
        self.stack.pop().unwrap_or_default()
    }

    /// A computation of the scalar unit.
    pub(super) fn let_(&mut self, value: Scalar) -> Val {
        let to = self.reg();
        self.assign(to, value);
        to.into()
    }

    pub(super) fn assign(&mut self, to: Reg, mut value: Scalar) {
        let loc = self.loc;
        if let Scalar::LoadGlobal { elem, .. } | Scalar::LoadLocal { elem, .. } = &mut value {
            *elem = moved(*elem);
        }
        self.push(Stmt::Let { to, value, loc });
    }

    pub(super) fn issue(&mut self, i: impl Into<Instr>) {
        let loc = self.loc;
        let mut i = i.into();
        if let Instr::StoreScalar(s) = &mut i {
            s.elem = moved(s.elem);
        }
        self.push(Stmt::issue(i, loc));
    }

    /// An integer operation, folded where it can be.
    pub(super) fn int(&mut self, op: IntOp, a: Val, b: Val) -> Val {
        use IntOp::{Add, Div, Max, Min, Mul, Sub};
        match (op, a.known(), b.known()) {
            (Add, Some(0), _) | (Mul, Some(1), _) => return b,
            (Add | Sub, _, Some(0)) | (Mul | Div, _, Some(1)) => return a,
            (Mul, Some(0), _) | (Mul, _, Some(0)) => return Val::Const(0),
            (Add, Some(x), Some(y)) => return Val::Const(x.wrapping_add(y)),
            (Sub, Some(x), Some(y)) => return Val::Const(x.wrapping_sub(y)),
            (Mul, Some(x), Some(y)) => return Val::Const(x.wrapping_mul(y)),
            (Min, Some(x), Some(y)) => return Val::Const(x.min(y)),
            (Max, Some(x), Some(y)) => return Val::Const(x.max(y)),
            _ => {}
        }
        self.let_(Scalar::Int { op, a, b })
    }

    /// A buffer for a tile of that type.
    pub(super) fn buffer(&mut self, t: &TileType) -> u32 {
        let elem = if t.elem == Elem::Bool { Elem::I16 } else { t.elem };
        // Whole repeats of 256 bytes whatever the type's width.
        let elements = (flat(t).max(1) + 127) / 128 * 128;
        let bytes =
            if t.elem == Elem::Bool { (elements / 8 + 31) / 32 * 32 } else { elements * elem.bytes() as i64 };
        self.space(elem, bytes)
    }

    /// A buffer of that many bytes.
    pub(super) fn space(&mut self, elem: Elem, bytes: i64) -> u32 {
        let id = self.buffers.len() as u32;
        self.buffers.push(Buffer {
            name: format!("t{id}"),
            space: Space::Ub,
            elem,
            layout: Layout::Nd,
            bytes: u32::try_from((bytes + 31) / 32 * 32).unwrap_or(u32::MAX / 64 * 32),
            slots: 1,
            address: None,
        });
        id
    }

    pub(super) fn unsupported(&self, what: impl std::fmt::Display, help: &str) -> Error {
        at(self.kernel.loc(self.loc)).unsupported(format!("{what} on Ascend")).help(help)
    }

    pub(super) fn bug(&self, what: impl std::fmt::Display) -> Error {
        at(self.kernel.loc(self.loc)).bug(what.to_string())
    }

    // ---- operations ----------------------------------------------------------------------------------------

    pub(super) fn tile(&self, v: ValueId) -> Result<&TileType, Error> {
        if let (CoreKind::Vector, Some(t)) = (self.core, self.halves.get(&v)) {
            return Ok(t);
        }
        self.kernel.ty(v).tile().ok_or_else(|| self.bug("a view where a tile belongs"))
    }

    /// The first row that this vector core has of a tile.
    pub(super) fn first_row(&mut self, v: ValueId) -> Result<Val, Error> {
        if self.core == CoreKind::Cube || !self.halves.contains_key(&v) {
            return Ok(0.into());
        }
        let half = self.tile(v)?.shape[0] as i64;
        Ok(self.int(IntOp::Mul, self.sub, half.into()))
    }

    fn set(&mut self, v: ValueId, held: Held) {
        self.held.insert(v, held);
    }

    fn get(&self, v: ValueId) -> Result<Held, Error> {
        self.held.get(&v).cloned().ok_or_else(|| self.bug(format!("value {} has no home", v.0)))
    }

    /// Whether an operation with that result may write over an operand.
    pub(super) fn own(&self, v: ValueId, result: ValueId) -> bool {
        (self.fresh.contains(&v) || self.carried.contains(&v))
            && self.uses.ends(v, result)
            && !self.kept.contains(&v)
    }

    /// Operands whose buffer a result took over are no longer to be written over.
    pub(super) fn give_away(&mut self, op: &Op) {
        for r in &op.results {
            let Some(Held::Tile(b)) = self.held.get(r).cloned() else { continue };
            for o in &op.operands {
                if matches!(self.held.get(o), Some(Held::Tile(c)) if *c == b) {
                    self.fresh.remove(o);
                    self.carried.remove(o);
                }
            }
        }
    }

    pub(super) fn block(&mut self, b: &Block) -> Result<(), Error> {
        let outer = std::mem::take(&mut self.fresh);
        for op in &b.ops {
            self.loc = op.loc;
            match self.cores {
                Some(c) if self.core == CoreKind::Cube => self.op_on_cube(op, c)?,
                Some(c) => self.op_beside_cube(op, c)?,
                None => self.op(op)?,
            }
        }
        self.fresh = outer;
        Ok(())
    }

    /// What the cube core does: products, their loads, and the scalars and control flow around them.
    fn op_on_cube(&mut self, op: &Op, cores: &Cores) -> Result<(), Error> {
        let far = |v: &ValueId| cores.far.contains(v);
        match &op.kind {
            OpKind::Dot { .. } => return self.product_on_cube(op),
            OpKind::Load { .. } if cores.loads.contains(&op.results[0]) => {
                let (view, offsets) = self.place(op, 2)?;
                let t = self.tile(op.results[0])?.clone();
                let f = self.load_fractals(&view, &offsets, &t)?;
                self.set(op.results[0], Held::Fractals(f));
                return Ok(());
            }
            OpKind::For { .. } | OpKind::While | OpKind::If => {
                let decides = assign_cores::decisions(op).iter().any(far);
                // What a tile decides and has no products is of no interest here.
                let skip = decides && !op.regions.iter().any(assign_cores::has_product);
                return if skip { Ok(()) } else { self.control(op) };
            }
            k if k.has_side_effect() => return Ok(()),
            _ => {}
        }
        let scalar = |v: &ValueId| match self.kernel.ty(*v) {
            Type::Tile(t) => t.rank() == 0 || cores.near.contains(v),
            Type::View { .. } => true,
        };
        if op.results.iter().all(|r| scalar(r) && !far(r)) { self.op(op) } else { Ok(()) }
    }

    /// What vector cores do in a kernel with products. Both compute the same; the first one writes.
    fn op_beside_cube(&mut self, op: &Op, cores: &Cores) -> Result<(), Error> {
        match op.kind {
            OpKind::Dot { .. } => self.product_on_vector(op),
            ref k if k.has_side_effect() => {
                let read = match op.operands.first().map(|v| self.get(*v)).transpose()? {
                    Some(Held::View(v)) => cores.reread.contains(&v.param),
                    _ => false,
                };
                if read {
                    self.meet();
                }
                if op.operands.iter().any(|v| self.halves.contains_key(v)) {
                    self.op(op)?;
                } else {
                    self.open();
                    self.op(op)?;
                    let then = self.close();
                    self.only_first(then);
                }
                if read {
                    self.meet();
                }
                Ok(())
            }
            _ if op.results.iter().any(|r| cores.cube_only.contains(r)) => Ok(()),
            _ => self.op(op),
        }
    }

    /// Elements of 8-bit floats are moved in tiles, and nothing else: no unit knows their numbers.
    fn no_narrow_numbers(&self, op: &Op) -> Result<(), Error> {
        for r in &op.results {
            let Ok(t) = self.tile(*r) else { continue };
            if t.len() == 1 || matches!(op.kind, OpKind::Constant(_)) {
                self.no_narrow_floats(t.elem)?;
            }
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Result<(), Error> {
        self.no_narrow_numbers(op)?;
        let known = |l: &Self, s: Scalar| l.constants.get(&s).copied().unwrap_or(Val::Const(0));
        match &op.kind {
            OpKind::ProgramId(a) => {
                let v = known(self, Scalar::Grid { axis: 3 + a });
                self.set(op.results[0], Held::Scalar(v));
            }
            OpKind::NumPrograms(a) => {
                let v = known(self, Scalar::Grid { axis: *a });
                self.set(op.results[0], Held::Scalar(v));
            }
            OpKind::Constant(c) => {
                let elem = self.tile(op.results[0])?.elem;
                let v = values::constant(*c, elem);
                let scalar = self.tile(op.results[0])?.rank() == 0;
                self.set(op.results[0], if scalar { Held::Scalar(v) } else { Held::Splat(v) });
            }
            OpKind::Arange => {
                let t = self.tile(op.results[0])?.clone();
                let buf = self.buffer(&t);
                let first = self.first_row(op.results[0])?;
                self.issue(Iota { elem: Elem::I32, dst: Local::new(buf, 0), first, n: flat(&t).into() });
                self.set(op.results[0], Held::Tile(buf));
            }
            k if k.is_elementwise() => self.elementwise(op)?,
            OpKind::Broadcast { .. }
            | OpKind::Reshape
            | OpKind::Transpose { .. }
            | OpKind::Join
            | OpKind::Split
            | OpKind::Slice { .. }
            | OpKind::Concat { .. } => {
                self.shape(op)?;
                self.give_away(op);
            }
            OpKind::Dim(_)
            | OpKind::At
            | OpKind::Load { .. }
            | OpKind::Store { .. }
            | OpKind::LoadRows { .. }
            | OpKind::StoreRows { .. } => self.memory(op)?,
            OpKind::Gather | OpKind::Scatter | OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => {
                self.indexed(op)?;
            }
            OpKind::Reduce { .. } => self.reduce(op)?,
            OpKind::ArgReduce { axis, max } => self.arg_reduce(op, usize::from(*axis), *max)?,
            OpKind::Scan { axis, op: what, reverse } => self.scan(op, usize::from(*axis), *what, *reverse)?,
            OpKind::ReduceWith { axis } => self.fold_with(op, usize::from(*axis), None)?,
            OpKind::ScanWith { axis, reverse } => self.fold_with(op, usize::from(*axis), Some(*reverse))?,
            OpKind::Sort { .. } | OpKind::TopK { .. } | OpKind::Histogram { .. } => self.order(op)?,
            OpKind::For { .. } | OpKind::While | OpKind::If => self.control(op)?,
            OpKind::Assume => {}
            other => {
                let help = match other {
                    OpKind::DotScaled { .. } => "scale the operands in f32, round them to f16, and use `dot`",
                    OpKind::Print { .. } | OpKind::Assert { .. } => {
                        "run the kernel on the device `eager` to see it, and leave it out here"
                    }
                    _ => {
                        "compute it with loads, element-wise operations and reductions, or on another target"
                    }
                };
                return Err(self.unsupported(format!("`{}`", other.name()), help));
            }
        }
        Ok(())
    }

    /// The type of a value, as a tile type; scalars have rank 0.
    pub(super) fn elem(&self, v: ValueId) -> Elem {
        match self.kernel.ty(v) {
            Type::Tile(t) => t.elem,
            Type::View { elem, .. } => *elem,
        }
    }
}
