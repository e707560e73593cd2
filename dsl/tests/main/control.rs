//! `if`, `for` and `while`: the type of the condition or range decides when they happen, and what they assign is
//! carried.

use crate::harness::{both, count, f32s, i32s, int};
use kcc_dsl::ir::OpKind;
use kcc_dsl::prelude::*;

#[kernel]
fn clip(x: &View<f32, 1>, y: &mut View<f32, 1>, limit: Scalar<i32>) {
    let i = program_id(0);
    let mut v = x.get(i);
    let mut kind = Scalar::<f32>::full(0.0);
    if i < limit {
        v *= 10.0;
        kind = Scalar::full(1.0);
    } else if i == limit || i == limit + 1 {
        v = -v;
    }
    y.set(i, v + kind);
}

#[test]
fn a_run_time_if_runs_one_branch_and_carries_what_it_assigns() {
    let out = both(&clip::kernel(), [5, 1, 1], &[f32s(&[1., 2., 3., 4., 5.]), f32s(&[0.; 5]), int(2)]);
    assert_eq!(out[1].to_f32(), [11., 21., -3., -4., 5.]);
    assert_eq!(count(&clip::kernel().trace().unwrap(), |k| *k == OpKind::If), 2);
}

#[kernel]
fn valued(x: &View<i32, 1>, y: &mut View<i32, 1>) {
    let i = program_id(0);
    let v = x.get(i);
    let (a, b) = if v > 0 && v < 10 { (v, v + 1) } else { (0.to_scalar(), -v) };
    y.set(i, a * 100 + b);
}

#[test]
fn an_if_gives_a_value() {
    let out = both(&valued::kernel(), [3, 1, 1], &[i32s(&[4, -3, 12]), i32s(&[0; 3])]);
    assert_eq!(out[1].to_i64(), [405, 3, -12]);
}

#[kernel]
fn unrolled<const N: usize>(x: &View<f32, 1>, y: &mut View<f32, 1>, n: Scalar<i32>) {
    let mut sums = [Scalar::<f32>::zeros(); 2];
    let mut rounds = 0;
    for i in 0..N {
        if i == 2 {
            continue;
        }
        if i >= 4 {
            break;
        }
        sums[i % 2] += x.get(i);
        rounds += 1;
    }
    // A host count of a loop that unrolled is a host value still.
    for j in 0..rounds {
        sums[0] += j;
    }
    for _ in 0..n {
        sums[1] += 1.0;
    }
    y.set(0, sums[0]);
    y.set(1, sums[1]);
}

#[test]
fn a_host_loop_unrolls_and_may_break() {
    let x = f32s(&[1., 2., 4., 8., 16., 32.]);
    let out = both(&unrolled::kernel::<6>(), [1, 1, 1], &[x, f32s(&[0.; 2]), int(3)]);
    // Elements 0, 1 and 3; rounds 0 + 1 + 2; n = 3.
    assert_eq!(out[1].to_f32(), [1. + 3., 2. + 8. + 3.]);
    let k = unrolled::kernel::<6>().trace().unwrap();
    assert_eq!(count(&k, |k| matches!(k, OpKind::For { .. })), 1);
}

/// Greatest common divisor by subtraction: a loop in a helper, through a reference.
#[function]
fn subtract_until_equal(a: &mut Scalar<i32>, b: &mut Scalar<i32>) {
    while *a != *b {
        if *a > *b {
            *a -= *b;
        } else {
            *b -= *a;
        }
    }
}

#[kernel]
fn gcd(x: &View<i32, 1>, y: &View<i32, 1>, z: &mut View<i32, 1>) {
    let i = program_id(0);
    let (mut a, mut b) = (x.get(i), y.get(i));
    subtract_until_equal(&mut a, &mut b);
    z.set(i, a);
}

#[test]
fn a_run_time_while_carries_through_references() {
    let args = [i32s(&[12, 35, 7]), i32s(&[18, 21, 7]), i32s(&[0; 3])];
    let out = both(&gcd::kernel(), [3, 1, 1], &args);
    assert_eq!(out[2].to_i64(), [6, 7, 7]);
    assert_eq!(count(&gcd::kernel().trace().unwrap(), |k| *k == OpKind::While), 1);
}

#[kernel]
fn nested(y: &mut View<i32, 1>, n: Scalar<i32>) {
    let mut total = Scalar::<i32>::zeros();
    let mut last = (Scalar::<i32>::zeros(), Scalar::<i32>::zeros());
    for i in (1..=n).step_by(2).stages(2) {
        for j in i..n {
            total += i * j;
            (last.0, _) = (j, i);
        }
        last.1 = i;
    }
    let mut k = 0;
    while k < 3 {
        total += k;
        k += 1;
    }
    y.set(0, total);
    y.set(1, last.0);
    y.set(2, last.1);
}

#[test]
fn loops_nest_and_carry_fields() {
    let out = both(&nested::kernel(), [1, 1, 1], &[i32s(&[0; 3]), int(5)]);
    let total: i64 = (1..=5).step_by(2).flat_map(|i| (i..5).map(move |j| i * j)).sum::<i64>() + 3;
    assert_eq!(out[0].to_i64(), [total, 4, 5]);
    let k = nested::kernel().trace().unwrap();
    assert_eq!(count(&k, |k| *k == OpKind::For { stages: 2 }), 1);
}

#[function]
fn scaled<const TWICE: bool>(x: Scalar<f32>, n: usize) -> Scalar<f32> {
    if n == 0 {
        return x;
    }
    let name = Some(n);
    let Some(n) = name else { return x };
    if TWICE && n > 1 {
        return x * 2 * n;
    }
    x * n
}

#[kernel]
fn early<const N: usize, const TWICE: bool>(y: &mut View<f32, 1>) {
    y.set(0, scaled::<TWICE>(Scalar::full(3.0), N));
}

#[test]
fn a_host_condition_may_return_early() {
    let run = |k| both(&k, [1, 1, 1], &[f32s(&[0.])])[0].to_f32()[0];
    assert_eq!(run(early::kernel::<0, true>()), 3.0);
    assert_eq!(run(early::kernel::<2, true>()), 12.0);
    assert_eq!(run(early::kernel::<2, false>()), 6.0);
}

#[kernel]
fn shadowed(y: &mut View<i32, 1>, n: Scalar<i32>) {
    let mut a = Scalar::<i32>::full(1);
    let b = Scalar::<i32>::full(5);
    for i in 0..n {
        let mut b = i;
        b += 1;
        a += b;
        let f = |mut a: Scalar<i32>| {
            a += 100;
            a
        };
        if f(b) > 102 {
            let a = 7;
            let _ = a;
        }
    }
    y.set(0, a);
    y.set(1, b);
}

#[test]
fn a_variable_of_the_body_is_not_carried() {
    let out = both(&shadowed::kernel(), [1, 1, 1], &[i32s(&[0; 2]), int(3)]);
    assert_eq!(out[0].to_i64(), [1 + 1 + 2 + 3, 5]);
    let mut carried = 0;
    shadowed::kernel().trace().unwrap().walk(&mut |op| {
        if matches!(op.kind, OpKind::For { .. }) {
            carried = op.results.len();
        }
    });
    assert_eq!(carried, 1);
}

#[kernel]
fn stores_in_both(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let i = program_id(0);
    let v = x.get(i);
    if v >= 0.0 {
        y.set(i, v);
    } else {
        y.set(i, -v);
    }
}

#[test]
fn both_branches_may_write_one_view() {
    let out = both(&stores_in_both::kernel(), [2, 1, 1], &[f32s(&[-3., 4.]), f32s(&[0.; 2])]);
    assert_eq!(out[1].to_f32(), [3., 4.]);
}
