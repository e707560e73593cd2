//! Every set, wait, flag and barrier of compiled kernels, deleted, swapped and doubled in turn: the simulator must notice.
//!
//! ```text
//! deleted   it is gone
//! swapped   a set or a flag is raised before the work that it announces; a wait or a barrier comes after the work that it guards
//! doubled   a set, wait or flag twice in a row (a barrier twice is a barrier)
//! ```
//! A mutant is noticed if one of the launches is a fault, or has another result. The share is pinned. What is left changes no order: where the
//! cube core is told how often to go on, three, since the exchange orders what barriers of all pipes at the ends of a `while` loop's blocks
//! order once more.

use super::harness::{execute, program};
use super::shipped::Args;
use kcc_davinci::ir::{Barrier, CoreKind, Instr, Pipe, Pipes, Program, Scalar as Computed, Stmt};
use kcc_dsl::KernelFn;
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{Elem, Kernel};
use kcc_dsl::prelude::*;
use kcc_kernels as k;

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Deleted,
    Swapped,
    Doubled,
}

fn sync(s: &Stmt) -> Option<&Instr> {
    match s {
        Stmt::Issue { instr, .. } if instr.is_sync() => Some(instr),
        _ => None,
    }
}

/// Whether a statement has work of that pipe (none: any access to the workspace).
fn works(s: &Stmt, pipe: Option<Pipe>) -> bool {
    let own = match s {
        Stmt::Let { value: Computed::LoadLocal { .. } | Computed::LoadGlobal { .. }, .. } => {
            pipe == Some(Pipe::S)
        }
        Stmt::Issue { instr, .. } => match pipe {
            Some(p) => instr.pipe() == Some(p),
            None => match instr {
                Instr::CopyIn(i) => i.src.param.is_none(),
                Instr::CopyOut(i) => i.dst.param.is_none(),
                Instr::NdToNz(i) => i.src.param.is_none(),
                Instr::Fixpipe(i) => i.dst.param.is_none(),
                _ => false,
            },
        },
        _ => false,
    };
    own || s.blocks().iter().any(|b| b.iter().any(|s| works(s, pipe)))
}

/// Changes the `n`th instruction that orders something: its name, if there are so many, and whether there was a change.
fn change(stmts: &mut Vec<Stmt>, n: &mut usize, how: How) -> Option<(String, bool)> {
    for i in 0..stmts.len() {
        if let Some(instr) = sync(&stmts[i]) {
            if *n == 0 {
                let name = instr.name();
                let raises = matches!(instr, Instr::Set(_) | Instr::CrossSet(_));
                let barrier = matches!(instr, Instr::Barrier(_));
                // Between the work that it announces or guards and itself.
                let pipe = match instr {
                    Instr::Set(s) => Some(s.from),
                    Instr::Wait(w) => Some(w.to),
                    Instr::Barrier(Barrier { pipe: Pipes::One(p) }) => Some(*p),
                    Instr::CrossSet(s) => Some(s.pipe),
                    _ => None,
                };
                let all = matches!(instr, Instr::Barrier(Barrier { pipe: Pipes::All }));
                // A barrier behind the only work of its pipe in a loop comes before the next turn's all the same.
                let alone = barrier && stmts.iter().filter(|s| works(s, pipe)).count() == 1;
                let work = |j: &usize| !all && !alone && works(&stmts[*j], pipe);
                let done = match how {
                    How::Deleted => {
                        stmts.remove(i);
                        true
                    }
                    How::Doubled if barrier => false,
                    How::Doubled => {
                        let s = stmts[i].clone();
                        stmts.insert(i, s);
                        true
                    }
                    How::Swapped if raises => (0..i).rev().find(work).is_some_and(|j| {
                        let s = stmts.remove(i);
                        stmts.insert(j, s);
                        true
                    }),
                    How::Swapped => (i + 1..stmts.len()).find(work).is_some_and(|j| {
                        let s = stmts.remove(i);
                        stmts.insert(j, s);
                        true
                    }),
                };
                return Some((name, done));
            }
            *n -= 1;
        }
        for b in stmts[i].blocks_mut() {
            if let Some(r) = change(b, n, how) {
                return Some(r);
            }
        }
    }
    None
}

/// A launch of the kernel under test.
struct Run {
    grid: [u32; 3],
    args: Args,
}

struct Subject {
    kernel: Kernel,
    runs: Vec<Run>,
}

impl Subject {
    fn new(def: &KernelFn, runs: Vec<([u32; 3], Args)>) -> Subject {
        let runs = runs.into_iter().map(|(grid, args)| Run { grid, args }).collect();
        Subject { kernel: def.trace().expect("traces"), runs }
    }

    fn outcome(&self, p: &Program, r: &Run, seed: u64) -> Result<Vec<EagerBuffer>, String> {
        let mut b = r.args.buffers.clone();
        execute(p, &self.kernel, r.grid, &mut b, &r.args.args, 2, seed)?;
        Ok(b)
    }

    /// Mutants that are not noticed, and how many there were.
    fn survivors(&self) -> (Vec<String>, usize) {
        let whole = program(&self.kernel, &self.runs[0].args.args).expect("it compiles");
        let want: Vec<Vec<EagerBuffer>> =
            self.runs.iter().map(|r| self.outcome(&whole, r, 0).expect("no fault")).collect();
        let noticed = |p: &Program| {
            (self.runs.iter().zip(&want)).any(|(r, w)| {
                (0..2).any(|seed| {
                    self.outcome(p, r, seed)
                        .map_or(true, |got| got.iter().zip(w).any(|(g, w)| g.bytes() != w.bytes()))
                })
            })
        };
        let (mut left, mut n) = (Vec::new(), 0);
        for kind in [CoreKind::Cube, CoreKind::Vector] {
            for how in [How::Deleted, How::Swapped, How::Doubled] {
                for i in 0.. {
                    let mut p = whole.clone();
                    let Some(body) = p.body_mut(kind) else { break };
                    let Some((name, changed)) = change(body, &mut { i }, how) else { break };
                    if !changed || p == whole {
                        continue;
                    }
                    n += 1;
                    if !noticed(&p) {
                        left.push(format!("{kind:?} {i} {name} {how:?}"));
                    }
                }
            }
        }
        (left, n)
    }
}

/// Prints the share, and pins it.
fn pinned(name: &str, s: &Subject, most: usize) {
    let (left, n) = s.survivors();
    eprintln!("{name}: {} of {n} mutants noticed", n - left.len());
    if std::env::var_os("KCC_TEST_SHOW").is_some() {
        eprintln!("{}", program(&s.kernel, &s.runs[0].args.args).expect("compiles").to_text());
    }
    assert!(n > 10, "{n}");
    assert!(left.len() <= most, "{name}: {} of {n} survive: {left:#?}", left.len());
}

#[test]
fn sums() {
    let add = k::elementwise::add_tile::kernel::<f32, 64>();
    let of = |m: i64, n: i64| {
        let d = [m, n];
        let a = Args::default().floats(Elem::F32, &d, 1.0).floats(Elem::F32, &d, 1.0).out(Elem::F32, &d);
        ([(n as u32).div_ceil(64), m as u32, 1], a)
    };
    pinned("vector add", &Subject::new(add.erased(), vec![of(5, 70), of(3, 192)]), 0);
}

#[test]
fn softmax() {
    let softmax = k::softmax::softmax_tile::kernel::<f32, 128>();
    let of = |m: i64, n: i64| {
        let a = Args::default().floats(Elem::F32, &[m, n], 4.0).out(Elem::F32, &[m, n]);
        ([m as u32, 1, 1], a)
    };
    pinned("softmax", &Subject::new(softmax.erased(), vec![of(9, 100), of(3, 128)]), 0);
}

#[test]
fn products() {
    let matmul = k::matmul::matmul_tile::kernel::<f16, 32, 32, 32, 0, false, false>();
    let of = |m: i64, n: i64, q: i64| {
        let e = Elem::F16;
        let a = Args::default().floats(e, &[m, q], 1.0).floats(e, &[q, n], 1.0).floats(e, &[n], 1.0);
        let a = a.floats(e, &[m, n], 1.0).out(e, &[m, n]);
        ([(m as u32).div_ceil(32), (n as u32).div_ceil(32), 1], a)
    };
    pinned("matmul", &Subject::new(matmul.erased(), vec![of(70, 75, 150), of(1, 32, 20), of(70, 75, 0)]), 0);
}

#[test]
fn attention() {
    // Causal, with blocks of keys much shorter than those of queries: both loops take several turns.
    let attention = k::attention::attention_tile::kernel::<f16, 32, 8, 32, true>();
    let of = |queries: i64, keys: i64, lengths: &[i32]| {
        let (e, b, d) = (Elem::F16, lengths.len() as i64, 24);
        let a = Args::default().floats(e, &[b, 1, queries, d], 1.0).floats(e, &[b, 1, keys, d], 1.0);
        let a =
            a.floats(e, &[b, 1, keys, d], 1.0).ints(lengths, &[b]).out(e, &[b, 1, queries, d]).float(0.25);
        ([(queries as u32).div_ceil(32), 1, b as u32], a)
    };
    pinned(
        "attention",
        &Subject::new(
            attention.erased(),
            vec![of(70, 100, &[100, 33]), of(40, 30, &[20, 0, 30]), of(40, 100, &[8, 64, 3, 0])],
        ),
        0,
    );
}

/// A product as often as its results want: the cube core is told each turn.
#[kernel]
fn told(x: &View<f16, 2>, y: &mut View<f32, 2>, enough: Scalar<f32>) {
    let a = x.load::<16, 16>((0, 0));
    let mut r = a.to::<f32>();
    let mut turns = 0.to_scalar();
    while r.abs().sum() < enough && turns < 4 {
        r = dot(a, r.to::<f16>());
        turns += 1;
    }
    y.store((program_id(0) * 16, 0), r);
}

#[test]
fn told_numbers() {
    let of = |n: i64, enough: f32| {
        let a = Args::default().floats(Elem::F16, &[n, n], 1.0).out(Elem::F32, &[48, 16]).float(enough);
        ([3, 1, 1], a)
    };
    let runs = vec![of(16, 400.0), of(13, 0.0), of(16, 1e9)];
    pinned("told numbers", &Subject::new(told::kernel().erased(), runs), 3);
}

#[test]
fn grouped_products() {
    let grouped = k::moe::grouped::grouped_swiglu_tile::kernel::<f16, 8, 32, 16>();
    let (e, tokens, inner) = (Elem::F16, 20i64, 40i64);
    let order: Vec<i32> = (0..tokens as i32).collect();
    let of = |hidden: i64, starts: &[i32]| {
        let a = Args::default().floats(e, &[tokens, hidden], 1.0).floats(e, &[3, hidden, inner], 1.0);
        let a = a.floats(e, &[3, hidden, inner], 1.0).ints(starts, &[4]).ints(&order, &[tokens]);
        ([2, 3, 1], a.out(e, &[tokens, inner]).int(1))
    };
    // A group that starts before the first row takes the way of blocks that begin outside a view; without a depth loops have no turn.
    let runs = vec![of(36, &[0, 3, 3, 20]), of(36, &[-3, 2, 2, 9]), of(0, &[0, 9, 17, 20])];
    pinned("grouped matmul", &Subject::new(grouped.erased(), runs), 0);
}

/// The scalar unit divides element by element: it reads what was copied in, and writes what is computed with and copied out.
#[kernel]
fn divided(x: &View<i32, 2>, y: &mut View<i32, 2>, z: &mut View<i32, 2>) {
    let row = program_id(0);
    let a = x.at(row).load::<16>(0);
    let thirds = a / 3;
    y.at_mut(row).store(0, thirds + a);
    z.at_mut(row).store(0, a / 5);
}

#[test]
fn single_elements() {
    let of = |m: i64, n: i64| {
        let values: Vec<i32> = (0..m * n).map(|i| 7 * i as i32 - 50).collect();
        let a = Args::default().ints(&values, &[m, n]).out(Elem::I32, &[m, n]).out(Elem::I32, &[m, n]);
        ([m as u32, 1, 1], a)
    };
    pinned("single elements", &Subject::new(divided::kernel().erased(), vec![of(7, 16), of(6, 5)]), 0);
}
