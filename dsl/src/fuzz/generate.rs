//! The frame of a random kernel: parameters, steps, stores; then the launch that fits it.

use super::bound::{Facts, Node};
use super::rng::{Rng, quantum};
use super::{Case, Profile, Tolerance};
use crate::eager::{EagerArg, EagerBuffer};
use crate::ir::{Builder, Elem, OpKind, TileType, Type, ValueId};

/// A view that the kernel reads.
pub(super) struct Input {
    pub id: ValueId,
    pub elem: Elem,
    pub dims: Vec<i64>,
}

/// A view that the kernel writes: one tile per program.
pub(super) struct Output {
    pub id: ValueId,
    pub ty: TileType,
    pub dims: Vec<i64>,
    /// How far the tile of program 0 starts before the view, along each axis.
    pub shift: Vec<i64>,
    pub tolerance: f64,
}

/// A kernel being made.
pub(super) struct Gen<'p> {
    pub rng: Rng,
    pub profile: &'p Profile,
    pub b: Builder,
    /// Values that may be used here.
    pub pool: Vec<Node>,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
    /// A view for atomics, of `i32`.
    pub counts: Option<ValueId>,
    pub count_op: crate::ir::AtomicOp,
    /// This program's index along each grid axis in use, and the loop variables in scope.
    pub pids: Vec<ValueId>,
    pub loops: Vec<ValueId>,
    /// The `i32` parameter, from 0 to 5 at launch.
    pub trips: ValueId,
    extents: Vec<usize>,
    /// The few element types of this kernel: with many, values would seldom meet.
    elems: Vec<Elem>,
}

const COUNTS: i64 = 8;
/// Largest number of elements of a tile.
const MAX_LEN: usize = 2048;

/// Makes the case of a seed.
///
/// # Errors
/// A text that says what is wrong with the generator; its tests hold that it never happens.
pub fn generate(seed: u64, profile: &Profile) -> Result<Case, String> {
    let mut rng = Rng::new(seed);
    let mut b = Builder::new(&format!("fuzz_{seed}"));
    let powers: &[usize] = &[1, 2, 4, 8, 16, 32];
    let odd: &[usize] = &[1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 32, 33];
    let from = if profile.odd_tiles { odd } else { powers };
    let extents: Vec<usize> = (0..3).map(|_| *rng.pick(from)).collect();
    let grid_rank = rng.below(3);
    let all = if profile.elems.is_empty() { &[Elem::F32][..] } else { &profile.elems };
    let elems: Vec<Elem> = (0..2).map(|_| *rng.pick(all)).collect();
    let counts: Vec<i64> = (0..grid_rank).map(|_| rng.range(1, 4)).collect();

    let mut inputs = Vec::new();
    for i in 0..1 + rng.below(4) {
        let elem = *rng.pick(&elems);
        let rank = *rng.pick(&[1, 1, 2, 2, 2, 3, 3, 4]);
        let dims: Vec<i64> = (0..rank).map(|_| rng.range(1, [150, 40, 12, 6][rank - 1])).collect();
        let id = b.view(&format!("in{i}"), elem, rank);
        inputs.push(Input { id, elem, dims });
    }
    let mut g = Gen {
        rng,
        profile,
        b,
        pool: Vec::new(),
        inputs,
        outputs: Vec::new(),
        counts: None,
        count_op: crate::ir::AtomicOp::Add,
        pids: Vec::new(),
        loops: Vec::new(),
        trips: ValueId(0),
        extents,
        elems,
    };
    for i in 0..1 + g.rng.below(2) {
        let floats: Vec<Elem> = g.elems.iter().copied().filter(|e| e.is_float()).collect();
        let elem = match (floats.is_empty(), g.rng.below(4)) {
            (_, 0) => g.elem(),
            (false, 1 | 2) => *g.rng.pick(&floats),
            _ => Elem::F32,
        };
        let rank = grid_rank.max(1) + g.rng.below(4 - grid_rank.max(1));
        let shape = g.shape(rank);
        let id = g.b.view_mut(&format!("out{i}"), elem, rank);
        let mut dims = Vec::new();
        let mut shift = Vec::new();
        for (a, &n) in shape.iter().enumerate() {
            let n = n as i64;
            shift.push(g.rng.range(-1, 2).min(n - 1).max(0));
            dims.push(match counts.get(a) {
                Some(&c) => (c * n - g.rng.range(0, n)).max(1),
                None => (n + g.rng.range(-2, 2)).max(1),
            });
        }
        g.outputs.push(Output { id, ty: TileType::new(elem, &shape), dims, shift, tolerance: 0.0 });
    }
    if profile.atomics && g.rng.one_in(4) {
        use crate::ir::AtomicOp::{Add, And, Max, Min, Or, Xor};
        g.counts = Some(g.b.view_mut("counts", Elem::I32, 1));
        g.count_op = *g.rng.pick(&[Add, And, Max, Min, Or, Xor]);
    }
    let scale = g.b.scalar("scale", Elem::F32);
    g.trips = g.b.scalar("trips", Elem::I32);
    g.float(scale, TileType::scalar(Elem::F32), Facts { mag: 4.0, err: 0.0, frac: Some(4) });
    let trips = g.trips;
    g.discrete(trips, TileType::scalar(Elem::I32));
    for a in 0..grid_rank {
        let id = g.b.program_id(a as u8);
        g.pids.push(id);
        g.discrete(id, TileType::scalar(Elem::I32));
    }
    for _ in 0..2 {
        g.load();
    }
    let steps = 1 + g.rng.below(profile.steps.max(1)) + profile.steps / 2;
    g.steps(steps, 0);
    g.stores();
    g.finish(seed, &counts)
}

impl Gen<'_> {
    /// A random element type of this kernel.
    pub fn elem(&mut self) -> Elem {
        *self.rng.pick(&self.elems)
    }

    /// A random shape from the kernel's few extents.
    pub fn shape(&mut self, rank: usize) -> Vec<usize> {
        let mut shape: Vec<usize> = (0..rank).map(|_| *self.rng.pick(&self.extents)).collect();
        while shape.iter().product::<usize>() > MAX_LEN {
            let i = self.rng.below(rank);
            shape[i] = shape[i].div_ceil(2);
        }
        shape
    }

    /// Random steps; each adds values to the pool.
    pub fn steps(&mut self, n: usize, depth: usize) {
        for _ in 0..n {
            let p = self.profile;
            match self.rng.below(24) {
                0 | 1 => self.load(),
                2..=3 => self.movement(),
                4 | 5 if p.reduce => self.reduction(),
                6 if p.closures => self.closure(),
                7 if p.sort => self.sorting(),
                8 if p.dot => self.dot(),
                9 if p.indexed => self.indexed_load(),
                10 if p.atomics && self.counts.is_some() => self.count(),
                11 | 12 if p.control && depth < 2 => self.control(depth),
                _ => self.elementwise(),
            }
        }
    }

    /// Adds a float value.
    pub fn float(&mut self, id: ValueId, ty: TileType, f: Facts) -> Node {
        let node = Node { id, ty, mag: f.mag, err: f.err, frac: f.frac, raw: false };
        self.pool.push(node.clone());
        node
    }

    /// Adds an integer or truth value: equal everywhere.
    pub fn discrete(&mut self, id: ValueId, ty: TileType) -> Node {
        let node = Node { id, ty, mag: 0.0, err: 0.0, frac: Some(0), raw: false };
        self.pool.push(node.clone());
        node
    }

    /// A value of the pool that satisfies `f`; later values are more likely, one of the last four half of the time.
    pub fn find(&mut self, f: impl Fn(&Node) -> bool) -> Option<Node> {
        let all: Vec<usize> = (0..self.pool.len()).filter(|&i| f(&self.pool[i])).collect();
        if all.is_empty() {
            return None;
        }
        let i = match self.rng.one_in(2) {
            true => all.len() - 1 - self.rng.below(all.len().min(4)),
            false => self.rng.below(all.len()).max(self.rng.below(all.len())),
        };
        Some(self.pool[all[i]].clone())
    }

    /// An operation with stated result type and one result.
    pub fn emit(&mut self, kind: OpKind, operands: &[ValueId], ty: &TileType) -> ValueId {
        let r = self.b.op_typed(kind, operands, &[Type::Tile(ty.clone())]);
        r.first().copied().unwrap_or(ValueId(0))
    }

    fn finish(mut self, seed: u64, counts: &[i64]) -> Result<Case, String> {
        let mut case = Case {
            seed,
            kernel: self.b.finish()?,
            grid: [0, 1, 2].map(|a| counts.get(a).map_or(1, |&c| c as u32)),
            buffers: Vec::new(),
            args: Vec::new(),
            outputs: Vec::new(),
        };
        let rng = &mut self.rng;
        for input in &self.inputs {
            let arg = layout(rng, self.profile, &input.dims, case.buffers.len(), false);
            case.buffers.push(fill(rng, self.profile, input.elem, length(&arg)));
            case.args.push(arg);
        }
        for output in &self.outputs {
            let arg = layout(rng, self.profile, &output.dims, case.buffers.len(), true);
            case.outputs.push((case.buffers.len(), Tolerance::absolute(output.tolerance)));
            case.buffers.push(fill(rng, self.profile, output.ty.elem, length(&arg)));
            case.args.push(arg);
        }
        if self.counts.is_some() {
            case.outputs.push((case.buffers.len(), Tolerance::EXACT));
            case.args.push(EagerArg::dense(case.buffers.len(), &[COUNTS], true));
            case.buffers.push(fill(rng, self.profile, Elem::I32, COUNTS as usize));
        }
        case.args.push(EagerArg::f32(rng.lane(Elem::F32, false) as f32));
        case.args.push(EagerArg::int(rng.range(0, 5)));
        Ok(case)
    }
}

/// Random strides: row-major or not, with gaps, reversed, or (for inputs) repeated.
fn layout(rng: &mut Rng, profile: &Profile, dims: &[i64], buffer: usize, mutable: bool) -> EagerArg {
    let mut axes: Vec<usize> = (0..dims.len()).rev().collect();
    if profile.strides && rng.one_in(3) {
        axes.reverse();
    }
    let mut strides = vec![0i64; dims.len()];
    let (mut step, mut offset) = (1, rng.range(0, 3) * i64::from(rng.one_in(3)));
    if profile.strides && rng.one_in(6) {
        step = 2;
    }
    for &a in &axes {
        strides[a] = step;
        step *= dims[a] + rng.range(0, 3) * i64::from(rng.one_in(3));
        if profile.strides && rng.one_in(10) {
            offset += (dims[a] - 1) * strides[a];
            strides[a] = -strides[a];
        }
        if profile.strides && !mutable && rng.one_in(12) {
            strides[a] = 0;
        }
    }
    EagerArg::View { buffer, offset, dims: dims.to_vec(), strides, mutable }
}

/// Elements that a view needs its buffer to have.
fn length(arg: &EagerArg) -> usize {
    let EagerArg::View { offset, dims, strides, .. } = arg else { return 0 };
    let reach: i64 = dims.iter().zip(strides).map(|(d, s)| (d - 1) * (*s).max(0)).sum();
    (offset + reach + 1).max(1) as usize
}

fn fill(rng: &mut Rng, profile: &Profile, elem: Elem, n: usize) -> EagerBuffer {
    if elem.is_float() || elem == Elem::Bool {
        let v: Vec<f32> = (0..n).map(|_| rng.lane(elem, profile.specials) as f32).collect();
        return EagerBuffer::from_f32(elem, &v);
    }
    EagerBuffer::from_i64(elem, &(0..n).map(|_| rng.int()).collect::<Vec<_>>())
}

/// Facts of an element of an input.
pub(super) fn loaded(elem: Elem, profile: &Profile) -> Facts {
    let frac = (!profile.specials && elem.is_float()).then(|| quantum(elem));
    Facts {
        mag: if elem.is_float() { 4.0 } else { 0.0 },
        err: 0.0,
        frac: frac.or((!elem.is_float()).then_some(0)),
    }
}
