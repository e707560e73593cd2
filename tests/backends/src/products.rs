//! Random kernels around matrix products, in which every number is exact: results must be equal, whatever order sums take.
//!
//! ```text
//! operands: as stored | transposed | strided | rows by an index | cast from a narrower type
//!   └─ loop over k: acc += a · b (under `if`, twice, with a carried column sum)
//!        └─ chained products ─ reductions, scans, slices ─ stores: plain | transposed | by rows
//! ```
//! Unlike [`super::random`], sizes are those at which pipelines, rings and matrix instructions are used, and options vary.

use super::emulate::{self, Run};
use super::simulate::{How, run_with};
use kcc_compiler::Target;
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::fuzz::{Rng, Tolerance, compare};
use kcc_dsl::ir::{BinaryOp, Builder, CmpOp, Elem, Kernel, Precision, ReduceOp, ValueId};

/// A kernel, its arguments and the options to compile it with.
pub struct Case {
    /// The kernel.
    pub kernel: Kernel,
    /// Programs along each axis.
    pub grid: [u32; 3],
    /// Buffers before the launch.
    pub buffers: Vec<EagerBuffer>,
    /// One argument per parameter.
    pub args: Vec<EagerArg>,
    /// Options of the compiler.
    pub knobs: Vec<(&'static str, &'static str)>,
}

struct Maker {
    r: Rng,
    b: Builder,
    buffers: Vec<EagerBuffer>,
    args: Vec<EagerArg>,
}

/// A view's parameter and what stands where in it.
#[derive(Clone, Copy)]
struct Operand {
    view: ValueId,
    /// Rows of another view that say which rows are meant.
    rows: Option<ValueId>,
    transposed: bool,
    stored: Elem,
}

impl Maker {
    /// A view of `dims` whose elements are whole numbers from -1 to 1.
    fn view(&mut self, elem: Elem, dims: [usize; 2], mutable: bool) -> ValueId {
        let name = format!("x{}", self.args.len());
        let view = if mutable { self.b.view_mut(&name, elem, 2) } else { self.b.view(&name, elem, 2) };
        let [rows, columns] = dims.map(|d| d as i64);
        let pitch = columns + *self.r.pick(&[0, 0, 8, 3, 16 - columns % 16]);
        let start = *self.r.pick(&[0, 0, 0, 16, 1]);
        let (strides, offset) = match self.r.below(8) {
            0 if mutable => ([pitch, 1], start),
            0 => ([-pitch, 1], start + pitch * (rows - 1).max(0)),
            1 => ([1, rows.max(1) + 7], start),
            _ => ([pitch, 1], start),
        };
        let len = start + (rows * pitch).max(columns * (rows + 8)) + 1;
        let buffer = if mutable {
            EagerBuffer::zeros(elem, len as usize)
        } else {
            let values: Vec<f32> = (0..len).map(|_| self.r.range(-1, 1) as f32).collect();
            EagerBuffer::from_f32(elem, &values)
        };
        let dims = vec![rows, columns];
        self.args.push(EagerArg::View {
            buffer: self.buffers.len(),
            offset,
            dims,
            strides: strides.to_vec(),
            mutable,
        });
        self.buffers.push(buffer);
        view
    }

    fn index(&mut self, rows: usize, among: usize) -> ValueId {
        let view = self.b.view(&format!("x{}", self.args.len()), Elem::I32, 1);
        // Some name no row.
        let values: Vec<i64> = (0..rows).map(|_| self.r.range(-1, among as i64 - 1)).collect();
        self.args.push(EagerArg::dense(self.buffers.len(), &[rows as i64], false));
        self.buffers.push(EagerBuffer::from_i64(Elem::I32, &values));
        view
    }

    fn operand(&mut self, elem: Elem, dims: [usize; 2]) -> Operand {
        let transposed = self.r.one_in(3);
        let stored = if matches!(elem, Elem::F16 | Elem::BF16) && self.r.one_in(5) { Elem::I8 } else { elem };
        let dims = if transposed { [dims[1], dims[0]] } else { dims };
        let rows = self.r.one_in(4).then(|| self.index(dims[0], dims[0]));
        let view = self.view(stored, dims, false);
        Operand { view, rows, transposed, stored }
    }
}

/// A tile of an operand at a place of the product's frame.
fn load(b: &mut Builder, o: Operand, at: [ValueId; 2], shape: [usize; 2], elem: Elem) -> ValueId {
    let turn = |x: [ValueId; 2]| if o.transposed { [x[1], x[0]] } else { x };
    let (at, shape) = (turn(at), if o.transposed { [shape[1], shape[0]] } else { shape });
    let mut tile = match o.rows {
        None => b.load(o.view, &at, &shape),
        Some(rows) => {
            let rows = b.load(rows, &[at[0]], &[shape[0]]);
            b.load_rows(o.view, rows, at[1], shape[1])
        }
    };
    if o.stored != elem {
        tile = b.cast(tile, elem);
    }
    if o.transposed { b.transpose(tile, &[1, 0]) } else { tile }
}

/// At most 8 in size.
fn tame(b: &mut Builder, x: ValueId, elem: Elem) -> ValueId {
    let ty = b.tile_ty(x);
    let [low, high] = [-8.0, 8.0].map(|v| b.full(ty.elem, &ty.shape, v));
    let x = b.binary(BinaryOp::Max, x, low);
    let x = b.binary(BinaryOp::Min, x, high);
    if ty.elem == elem { x } else { b.cast(x, elem) }
}

const ELEMS: [Elem; 7] = [Elem::BF16, Elem::F16, Elem::BF16, Elem::F32, Elem::I8, Elem::F8E4M3, Elem::F8E5M2];
const WARPS: [&str; 5] = ["1", "2", "4", "4", "8"];
const STAGES: [&str; 4] = ["1", "2", "3", "4"];
const OFF: [&str; 5] = ["specialise", "ping_pong", "rotate", "bulk", "wide"];

/// The case of a seed.
///
/// # Panics
/// Where a kernel is not valid, which is a mistake here.
pub fn case(seed: u64) -> Case {
    let mut r = Rng::new(seed);
    let elem = *r.pick(&ELEMS);
    let extent = |r: &mut Rng| *r.pick(&[16, 32, 64, 64, 128, 48, 24, 8, 80]);
    let (mut bm, mut bn, mut bk) = (extent(&mut r), extent(&mut r), extent(&mut r));
    while bm * bn.max(bk) > 8192 {
        (bm, bn, bk) = (bm / 2, bn.min(64), bk.min(64));
    }
    let around = |r: &mut Rng, n: usize| match r.below(4) {
        0 => n,
        1 => n + r.below(n),
        2 => 1 + r.below(n),
        _ => n + 8 * r.below(8),
    };
    let (m, n, k) = (around(&mut r, bm), around(&mut r, bn), around(&mut r, 3 * bk));
    let sum = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let mut x = Maker { r, b: Builder::new("products"), buffers: Vec::new(), args: Vec::new() };
    let (a, b) = (x.operand(elem, [m, k]), x.operand(elem, [k, n]));
    let second = x.r.one_in(3).then(|| x.operand(elem, [k, n]));
    let chained = x.r.one_in(2).then(|| x.operand(elem, [n, bk]));
    let (under_if, with_sums, modified) = (x.r.one_in(4), x.r.one_in(3), x.r.one_in(4));
    let again = x.r.one_in(3);
    let epilogue = x.r.below(8);
    let width = if chained.is_some() && !again { bk } else { bn };
    let height = if epilogue == 6 { n.max(m) } else { m };
    let out_elem = *x.r.pick(&[sum, sum, Elem::BF16, Elem::F32, Elem::I32]);
    let turned = epilogue == 1;
    let grid = [m.div_ceil(bm), if chained.is_some() { 1 } else { n.div_ceil(bn) }];
    let columns = if chained.is_some() { width } else { n };
    let out = x.view(out_elem, if turned { [columns, height] } else { [height, columns] }, true);
    let rows = (epilogue == 2).then(|| {
        let view = x.b.view("places", Elem::I32, 1);
        let values: Vec<i64> = (0..m as i64).map(|i| m as i64 - 1 - i).collect();
        x.args.push(EagerArg::dense(x.buffers.len(), &[m as i64], false));
        x.buffers.push(EagerBuffer::from_i64(Elem::I32, &values));
        view
    });
    let mut knobs = Vec::new();
    if x.r.one_in(2) {
        knobs.push(("warps", *x.r.pick(&WARPS)));
    }
    if x.r.one_in(2) {
        knobs.push(("stages", *x.r.pick(&STAGES)));
    }
    if x.r.one_in(3) {
        knobs.push((*x.r.pick(&OFF), "0"));
    }
    if x.r.one_in(6) {
        knobs.push(("persistent", "1"));
    } else if x.r.one_in(3) {
        knobs.push(("cluster", *x.r.pick(&["2", "4"])));
    }

    let body = &mut x.b;
    let (pm, pn) = (body.program_id(0), body.program_id(1));
    let (sm, sn) = (body.i32(bm as i32), body.i32(bn as i32));
    let (row, column) = (body.mul(pm, sm), body.mul(pn, sn));
    let (zero, step) = (body.i32(0), body.i32(bk as i32));
    let end = body.i32(k as i32);
    let acc = body.full(sum, &[bm, bn], 0.0);
    let mut carried = vec![acc];
    if second.is_some() {
        carried.push(acc);
    }
    if with_sums {
        carried.push(body.full(sum, &[bm], 0.0));
    }
    let three = body.i32(3);
    let results = body.for_([zero, end, step], &carried, |b_, i, c| {
        let mut left = load(b_, a, [row, i], [bm, bk], elem);
        if modified && elem != Elem::F8E4M3 && elem != Elem::F8E5M2 {
            left = b_.add(left, left);
        }
        let mut next = Vec::new();
        let product = |b_: &mut Builder, o: Operand, acc: ValueId, left: ValueId| {
            let right = load(b_, o, [i, column], [bk, bn], elem);
            b_.dot_with(left, right, acc, Precision::Tf32)
        };
        let first = if under_if {
            let rest = b_.binary(BinaryOp::Rem, i, three);
            let yes = b_.compare(CmpOp::Ne, rest, zero);
            b_.if_(yes, |b_| vec![product(b_, b, c[0], left)], |_| vec![c[0]])[0]
        } else {
            product(b_, b, c[0], left)
        };
        next.push(first);
        if let Some(second) = second {
            next.push(product(b_, second, c[1], left));
        }
        if with_sums {
            let wide = b_.cast(left, sum);
            let part = b_.reduce(ReduceOp::Sum, wide, 1);
            next.push(b_.add(c[c.len() - 1], part));
        }
        next
    });
    let mut value = results[0];
    if second.is_some() {
        value = body.sub(value, results[1]);
    }
    if with_sums {
        let wide = body.broadcast(results[results.len() - 1], &[0], &[bm, bn]);
        value = body.add(value, wide);
    }
    if let Some(o) = chained {
        let left = tame(body, value, elem);
        let right = load(body, o, [zero, zero], [bn, bk], elem);
        let none = body.full(sum, &[bm, bk], 0.0);
        value = body.dot_with(left, right, none, Precision::Tf32);
        if again {
            // A third one, back by the same operand.
            let left = tame(body, value, elem);
            let right = body.transpose(right, &[1, 0]);
            let none = body.full(sum, &[bm, bn], 0.0);
            value = body.dot_with(left, right, none, Precision::Tf32);
        }
    }
    let shape = [bm, width];
    match epilogue {
        3 => {
            let top = body.reduce(ReduceOp::Max, value, 0);
            let top = body.broadcast(top, &[1], &shape);
            value = body.sub(value, top);
        }
        4 => {
            let tamed = tame(body, value, sum);
            value = body.scan(ReduceOp::Sum, tamed, (seed % 2) as u8);
        }
        5 => {
            let half = body.slice(value, &[0, 0], &[bm, width / 2]);
            let rest = body.slice(value, &[0, width / 2], &[bm, width - width / 2]);
            value = body.concat(rest, half, 1);
        }
        6 => {
            let low = body.reduce(ReduceOp::Min, value, 1);
            let low = body.broadcast(low, &[0], &shape);
            value = body.binary(BinaryOp::Max, value, low);
        }
        _ => {}
    }
    if out_elem != sum {
        value = tame(body, value, out_elem);
    }
    match rows {
        Some(places) => {
            // Programs beyond the last row read 0 there, and must not write.
            let at = body.load_or(places, &[row], &[bm], kcc_dsl::ir::Const::Int(-1));
            body.store_rows(out, at, column, value);
        }
        None if turned => {
            let value = body.transpose(value, &[1, 0]);
            body.store(out, &[column, row], value);
        }
        None => body.store(out, &[row, column], value),
    }
    let kernel = x.b.finish().expect("a valid kernel");
    Case { kernel, grid: [grid[0] as u32, grid[1] as u32, 1], buffers: x.buffers, args: x.args, knobs }
}

/// Runs the kernels of these seeds on a GPU's simulator, those for `amd:…` as machine code on the emulator. A refusal that names what does not fit is no failure.
///
/// # Panics
/// With the seeds whose results are not eager mode's.
pub fn check(default: std::ops::Range<u64>, target: &dyn Target) {
    let mut failures = Vec::new();
    let seeds = super::random::seeds(default);
    for seed in seeds {
        let run = || {
            let mut case = case(seed);
            if super::random::asked("KCC_FUZZ_SHOW") {
                eprintln!("seed {seed} {:?}\n{}", case.knobs, kcc_dsl::fuzz::listing(&case.kernel));
            }
            let clusters = target.gpu().is_some_and(|gpu| gpu.facts().clusters);
            case.knobs.retain(|(name, _)| clusters || *name != "cluster");
            let mut wanted = case.buffers.clone();
            interpret(&case.kernel, case.grid, &mut wanted, &case.args, &mut Options::default())
                .map_err(|e| format!("eager mode: {e}"))?;
            let mut got = case.buffers.clone();
            let ran = if target.name().starts_with("amd:") {
                let run = Run { kernel: &case.kernel, grid: case.grid, args: &case.args, seed };
                emulate::run(run, &mut got, target, &case.knobs).map(drop)
            } else {
                let how = How { knobs: &case.knobs, bulk: true, seed };
                run_with(&case.kernel, case.grid, &mut got, &case.args, target, how).map(drop)
            };
            match ran {
                Err(e) if e.contains("the tiles of `products` need") => return Ok(()),
                other => other.map_err(|e| format!("{:?}: {e}", case.knobs))?,
            }
            for (w, g) in wanted.iter().zip(&got) {
                compare(w, g, Tolerance::EXACT).map_err(|e| format!("{:?}: {e}", case.knobs))?;
            }
            Ok(())
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        if let Err(e) = result.unwrap_or_else(|_| Err("panic".to_owned())) {
            failures.push(format!("seed {seed}: {e}"));
        }
    }
    assert!(failures.is_empty(), "{} failed on {}:\n{}", failures.len(), target.name(), failures.join("\n"));
}
