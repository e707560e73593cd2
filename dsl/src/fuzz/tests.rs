//! The generator makes valid kernels that eager mode runs, that do not depend on the order of programs, and that
//! between them use every family.

use super::*;
use crate::ir::validate;
use std::collections::BTreeSet;

fn profiles() -> [Profile; 3] {
    [Profile::default(), Profile::everything(), Profile::basic()]
}

#[test]
fn every_case_is_valid_and_runs() {
    for profile in profiles() {
        for seed in 0..300 {
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
