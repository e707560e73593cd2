//! Not-a-number and infinities in scores: extrema may let them win only where nobody can tell.

use super::args::Args;
use super::harness::{launch, program};
use kcc_davinci::ir::{Compare, CoreKind, Instr, Stmt};
use kcc_dsl::eager::{EagerBuffer, Options, interpret};
use kcc_dsl::ir::{BinaryOp, Builder, Elem, Kernel, ReduceOp};
use kcc_dsl::prelude::*;
use kcc_kernels as k;

/// Positions of not-a-number and infinities are equal, the rest is near.
fn agree(kernel: &Kernel, grid: [u32; 3], a: &Args, near: f32) {
    let mut want = a.buffers.clone();
    interpret(kernel, grid, &mut want, &a.args, &mut Options::default()).expect("eager");
    for seed in 0..2 {
        let mut got = a.buffers.clone();
        launch(kernel, grid, &mut got, &a.args, 2, seed)
            .unwrap_or_else(|e| panic!("{}: {e}", kernel.symbol()));
        for (w, g) in want.iter().zip(&got) {
            for (i, (w, g)) in w.to_f32().iter().zip(g.to_f32()).enumerate() {
                let same = w.to_bits() == g.to_bits() || w.is_nan() && g.is_nan() || (w - g).abs() <= near;
                assert!(same, "{} at {i}: {g}, want {w}", kernel.symbol());
            }
        }
    }
}

/// Whether a tile is compared with itself, which finds not-a-number, over that many elements or more.
fn looks_for_it(kernel: &Kernel, a: &Args, least: i64) -> bool {
    let mut found = false;
    program(kernel, &a.args).expect("compiles").walk(CoreKind::Vector, &mut |s| {
        if let Stmt::Issue { instr: Instr::CompareTo(c), .. } = s {
            let all = c.n.known().is_some_and(|n| n >= least);
            found |= all && c.op == Compare::Eq && c.elem == Elem::F32 && c.a == c.b;
        }
    });
    found
}

fn put(b: &mut EagerBuffer, at: &[(usize, f32)]) {
    let mut all = b.to_f32();
    at.iter().for_each(|(i, v)| all[*i] = *v);
    *b = EagerBuffer::from_f32(b.elem(), &all);
}

fn attention<T: Float + DotElem, const BN: usize, const CAUSAL: bool>() {
    let (queries, keys, d) = (21i64, 150i64, 32i64);
    let kernel = k::attention::attention_tile::kernel::<T, 16, BN, 32, CAUSAL>().trace().expect("traces");
    let (q, kv) = ([1, 1, queries, d], [1, 1, keys, d]);
    let plain = Args::default().floats(T::ELEM, &q, 1.0).floats(T::ELEM, &kv, 1.0).floats(T::ELEM, &kv, 1.0);
    let plain = plain.ints(&[keys as i32], &[1]).out(T::ELEM, &q).float(0.25);
    assert!(!looks_for_it(&kernel, &plain, 16 * BN as i64 / 2), "{} looks for it", kernel.symbol());
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    // In queries, in keys (a column of scores, which causal queries may not see), and infinite scores of either sign.
    let (row, key) = (|r: i64| (r * d) as usize, |r: i64| (r * d + 3) as usize);
    for (queries, keys) in [
        (vec![(row(2), nan), (row(20), inf)], vec![]),
        (vec![], vec![(key(140), nan)]),
        (vec![(row(5), inf), (row(6), -inf)], vec![(key(70), nan), (key(3), -inf)]),
    ] {
        let mut a = plain.clone();
        put(&mut a.buffers[0], &queries);
        put(&mut a.buffers[1], &keys);
        agree(&kernel, [2, 1, 1], &a, 0.01);
    }
}

#[test]
fn rows_of_attention_are_lost_as_in_eager_mode() {
    attention::<f32, 32, false>();
    attention::<f16, 128, true>();
}

/// The largest scores of rows over several turns; `shown`: they are stored, so that anybody can tell.
fn largest(shown: bool) -> Kernel {
    let mut b = Builder::new(if shown { "shown" } else { "lost" });
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let (zero, step) = (b.i32(0), b.i32(128));
    let n = b.dim(x, 1);
    let none = b.full(Elem::F32, &[8], 0.0);
    let r = b.for_([zero, n, step], &[none], |b, at, carried| {
        let t = b.load(x, &[zero, at], &[8, 128]);
        let most = b.reduce(ReduceOp::Max, t, 1);
        if shown {
            return vec![b.binary(BinaryOp::Max, carried[0], most)];
        }
        let wide = b.broadcast(most, &[0], &[8, 128]);
        let less = b.binary(BinaryOp::Sub, t, wide);
        let sum = b.reduce(ReduceOp::Sum, less, 1);
        vec![b.binary(BinaryOp::Add, carried[0], sum)]
    });
    let out = b.broadcast(r[0], &[0], &[8, 64]);
    b.store(y, &[zero, zero], out);
    b.finish().expect("valid")
}

#[test]
fn what_is_shown_passes_over_not_a_number() {
    for shown in [true, false] {
        let kernel = largest(shown);
        let mut a = Args::default().floats(Elem::F32, &[8, 256], 4.0).out(Elem::F32, &[8, 64]);
        put(&mut a.buffers[0], &[(5, f32::NAN), (256 * 3 + 200, f32::NAN), (256 * 6, f32::INFINITY)]);
        assert_eq!(looks_for_it(&kernel, &a, 8 * 128), shown);
        agree(&kernel, [1, 1, 1], &a, 1e-2);
    }
}
