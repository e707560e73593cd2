//! The generator makes valid kernels that eager mode runs, that do not depend on the order of programs, and that
//! between them use every family.

use super::*;
use crate::eager::{Data, Instead, Value};
use crate::ir::{BinaryOp, OpKind, ReduceOp, TileType, UnaryOp, validate};
use std::collections::BTreeSet;

fn profiles() -> [Profile; 3] {
    [Profile::default(), Profile::everything(), Profile::basic()]
}

/// How many seeds to try; `KCC_FUZZ_CASES` asks for more.
fn cases(usual: u64) -> u64 {
    std::env::var("KCC_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn every_case_is_valid_and_runs() {
    for profile in profiles() {
        for seed in 0..cases(200) {
            let case = generate(seed, &profile).unwrap();
            if let Err(e) = validate(&case.kernel) {
                panic!("seed {seed}: {:?}", e.first());
            }
            case.expected().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
    }
}

#[test]
fn a_seed_is_a_case() {
    let p = Profile::default();
    assert_eq!(generate(7, &p).unwrap().kernel, generate(7, &p).unwrap().kernel);
    assert_ne!(generate(7, &p).unwrap().kernel, generate(8, &p).unwrap().kernel);
}

#[test]
fn the_order_of_programs_does_not_matter() {
    for seed in 0..100 {
        let case = generate(seed, &Profile::everything()).unwrap();
        let mut buffers = case.buffers.clone();
        let options = &mut Options { strict: false, seed: Some(seed), ..Options::default() };
        interpret(&case.kernel, case.grid, &mut buffers, &case.args, options).unwrap();
        case.check(&buffers).unwrap();
    }
}

#[test]
fn the_seeds_together_use_every_family() {
    let mut seen = BTreeSet::new();
    let mut written = 0;
    for seed in 0..300 {
        let case = generate(seed, &Profile::everything()).unwrap();
        case.kernel.walk(&mut |op| {
            seen.insert(op.kind.name());
        });
        let expected = case.expected().unwrap();
        written +=
            usize::from(case.outputs.iter().any(|o| expected[o.0].bytes() != case.buffers[o.0].bytes()));
    }
    for name in [
        "for",
        "while",
        "if",
        "dot",
        "reduce",
        "scan",
        "arg_reduce",
        "reduce_with",
        "scan_with",
        "sort",
        "top_k",
        "histogram",
        "gather",
        "scatter",
        "load_rows",
        "store_rows",
        "atomic",
        "at",
        "dim",
        "transpose",
        "reshape",
        "slice",
        "concat",
        "join",
        "split",
        "broadcast",
        "cast",
        "bitcast",
        "select",
        "fma",
        "exp",
        "erf",
        "rsqrt",
        "rem",
        "mul_hi",
        "shl",
        "min_nan",
        "program_id",
    ] {
        assert!(seen.contains(name), "no case has `{name}`");
    }
    assert!(written > 280, "only {written} of 300 kernels write something new");
}

#[test]
fn tolerances_stay_small_beside_the_values() {
    let mut loose = 0;
    let mut outputs = 0;
    for seed in 0..300 {
        let case = generate(seed, &Profile::default()).unwrap();
        let expected = case.expected().unwrap();
        for &(i, t) in &case.outputs {
            let largest = expected[i]
                .to_f32()
                .into_iter()
                .filter(|x| x.is_finite())
                .fold(0.0, |m: f32, x| m.max(x.abs()));
            outputs += 1;
            loose += usize::from(t.absolute > 0.1 * f64::from(largest).max(1.0));
        }
    }
    assert!(loose * 10 <= outputs, "{loose} of {outputs} outputs could hardly fail");
}

#[test]
fn compare_sees_a_difference_beyond_the_tolerance_and_misplaced_nan() {
    let b = |v: &[f32]| EagerBuffer::from_f32(Elem::F32, v);
    let t = Tolerance::absolute(0.5);
    assert!(compare(&b(&[1.0, f32::NAN, 0.0]), &b(&[1.5, f32::NAN, -0.0]), t).is_ok());
    let m = compare(&b(&[1.0, 2.0, 3.0]), &b(&[1.6, 4.0, 3.0]), t).unwrap_err();
    assert_eq!((m.index, m.count), (1, 2));
    assert!(compare(&b(&[1.0]), &b(&[f32::NAN]), t).is_err());
    assert!(compare(&b(&[f32::INFINITY]), &b(&[f32::MAX]), t).is_err());
    assert!(compare(&b(&[1.0]), &b(&[1.0, 2.0]), t).is_err());
    let one_ulp = Tolerance::ulps(Elem::F32, 1.0);
    assert!(compare(&b(&[1.0]), &b(&[1.0f32.next_up()]), one_ulp).is_ok());
    assert!(compare(&b(&[1.0]), &b(&[1.0f32.next_up().next_up()]), one_ulp).is_err());
}

/// What a target may do: functions off by 3 units in the last place, narrow types not rounded between operations,
/// division by the reciprocal, sums and dots in f32 from the far end.
fn another_way(kind: &OpKind, x: &[&Value], types: &[TileType]) -> Option<Vec<Value>> {
    let ty = types.first()?;
    if !ty.elem.is_float() {
        return None;
    }
    let a = x.first()?.as_floats().ok()?;
    let both = |f: fn(f32, f32) -> f32| -> Option<Vec<f32>> {
        Some(a.iter().zip(x.get(1)?.as_floats().ok()?).map(|(&a, &b)| f(a, b)).collect())
    };
    let out: Vec<f32> = match kind {
        OpKind::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round) => {
            return None;
        }
        OpKind::Unary(_) => {
            let right = crate::eager::eval::eval(kind, x, types).ok()?;
            let three = 3.0 * (super::bound::ulp(ty.elem, 1.0) / 2.0) as f32;
            right[0].as_floats().ok()?.iter().map(|x| x * (1.0 + three)).collect()
        }
        OpKind::Binary(BinaryOp::Add) => both(|a, b| a + b)?,
        OpKind::Binary(BinaryOp::Sub) => both(|a, b| a - b)?,
        OpKind::Binary(BinaryOp::Mul) => both(|a, b| a * b)?,
        OpKind::Binary(BinaryOp::Div) => both(|a, b| a * (1.0 / b))?,
        OpKind::Reduce { op: ReduceOp::Sum, .. } if x[0].shape().len() == 1 => vec![a.iter().rev().sum()],
        OpKind::Dot { .. } if x[0].shape().len() == 2 => {
            let (b, acc) = (x.get(1)?.as_floats().ok()?, x.get(2)?.as_floats().ok()?);
            let (k, n) = (x[0].shape()[1], ty.shape[1]);
            let at = |i: usize| {
                let (r, c) = (i / n, i % n);
                (0..k).rev().fold(0.0f32, |s, p| a[r * k + p].mul_add(b[p * n + c], s)) + acc[i]
            };
            (0..acc.len()).map(at).collect()
        }
        _ => return None,
    };
    // Infinities may arise in other ways here; that is not what is looked at.
    let finite = out.iter().all(|x| x.is_finite());
    finite.then(|| Value::new(ty.clone(), Data::Float(out)).ok()).flatten().map(|v| vec![v])
}

#[test]
fn a_right_implementation_that_rounds_elsewhere_is_within_the_tolerance() {
    let mut differ = 0;
    for profile in profiles() {
        for seed in 0..cases(250) {
            let case = generate(seed, &profile).unwrap();
            let mut buffers = case.buffers.clone();
            let options = &mut Options { strict: false, instead: Some(another_way), ..Options::default() };
            interpret(&case.kernel, case.grid, &mut buffers, &case.args, options).unwrap();
            let expected = case.expected().unwrap();
            case.check_against(&expected, &buffers).unwrap();
            differ += usize::from(case.outputs.iter().any(|o| expected[o.0].bytes() != buffers[o.0].bytes()));
        }
    }
    assert!(differ > 60, "the other way differs in {differ} cases only");
}

#[test]
fn a_wrong_implementation_is_found() {
    /// A sum that forgets its first element.
    fn wrong_sum(kind: &OpKind, x: &[&Value], types: &[TileType]) -> Option<Vec<Value>> {
        let (OpKind::Reduce { op: ReduceOp::Sum, .. }, [_]) = (kind, types) else { return None };
        let v = x[0].as_floats().ok()?;
        if x[0].shape().len() != 1 || v.len() < 2 {
            return None;
        }
        Some(vec![Value::floats(types[0].elem, &[], &[v[1..].iter().sum()]).ok()?])
    }
    let found = |instead: Instead| {
        (0..300)
            .filter(|&seed| {
                let case = generate(seed, &Profile::default()).unwrap();
                let mut buffers = case.buffers.clone();
                let options = &mut Options { strict: false, instead: Some(instead), ..Options::default() };
                interpret(&case.kernel, case.grid, &mut buffers, &case.args, options).unwrap();
                case.check(&buffers).is_err()
            })
            .count()
    };
    let n = found(wrong_sum);
    assert!(n >= 3, "{n} of 300");
    /// A product that is off by a quarter.
    fn wrong_mul(kind: &OpKind, x: &[&Value], types: &[TileType]) -> Option<Vec<Value>> {
        let OpKind::Binary(BinaryOp::Mul) = kind else { return None };
        let (a, b) = (x[0].as_floats().ok()?, x[1].as_floats().ok()?);
        let v: Vec<f32> = a.iter().zip(b).map(|(a, b)| a * b * 1.25).collect();
        Some(vec![Value::floats(types[0].elem, &types[0].shape, &v).ok()?])
    }
    let n = found(wrong_mul);
    assert!(n >= 30, "{n} of 300");
}

#[test]
fn a_failing_case_is_reduced_to_what_it_needs() {
    let has_exp = |c: &Case| {
        let mut found = false;
        c.kernel.walk(&mut |op| found |= op.kind == OpKind::Unary(UnaryOp::Exp));
        found
    };
    let case = (0..).map(|seed| generate(seed, &Profile::default()).unwrap()).find(has_exp).unwrap();
    let small = reduce(&case, has_exp);
    validate(&small.kernel).unwrap();
    let mut kinds = Vec::new();
    small.kernel.walk(&mut |op| kinds.push(op.kind.name()));
    assert!(kinds.contains(&"exp") && kinds.len() < 12, "{}", listing(&small.kernel));
}
