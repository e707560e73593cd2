//! Elementary functions.

use super::native::{Case, Native, variants};
use super::samples::{all, distance, ulps};
use kcc_dsl::eager::Value;
use kcc_dsl::eager::eval::eval;
use kcc_dsl::ir::{Elem, OpKind, TileType, UnaryOp};

/// One bit pattern in this many; odd, so that all exponents and all low bits occur.
const STRIDE: usize = 9973;

type Reference = fn(f64) -> f64;

/// A function, its reference, and the largest error allowed in ulp: the measured maximum of its doc comment in the
/// backend, rounded up.
const FUNCTIONS: [(UnaryOp, Reference, f64); 14] = [
    (UnaryOp::Exp2, f64::exp2, 1.6),
    (UnaryOp::Exp, f64::exp, 0.9),
    (UnaryOp::Log, f64::ln, 1.15),
    (UnaryOp::Log2, f64::log2, 1.2),
    (UnaryOp::Sin, f64::sin, 1.5),
    (UnaryOp::Cos, f64::cos, 1.5),
    (UnaryOp::Tanh, f64::tanh, 1.7),
    (UnaryOp::Erf, libm::erf, 1.25),
    (UnaryOp::Sqrt, f64::sqrt, 0.5),
    (UnaryOp::Rsqrt, |x| 1.0 / x.sqrt(), 1.5),
    (UnaryOp::Floor, f64::floor, 0.0),
    (UnaryOp::Ceil, f64::ceil, 0.0),
    (UnaryOp::Round, f64::round_ties_even, 0.0),
    (UnaryOp::Abs, f64::abs, 0.0),
];

fn case(op: UnaryOp, elem: Elem) -> Case {
    Case {
        name: format!("{}_{elem}", op.name()),
        ins: vec![elem],
        out: elem,
        folds: false,
        body: Box::new(move |e, x| e.unary(op, elem, x[0])),
    }
}

#[test]
fn functions_stay_within_their_errors() {
    let mut bits: Vec<u32> = (0..=u32::MAX).step_by(STRIDE).collect();
    let edges =
        [0.0, 1.0, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN, 1e-45, 0.5, 2.0, 150.0, 0.625, 0.92];
    for edge in edges.into_iter().flat_map(|x: f32| [x, -x]) {
        bits.extend([edge.to_bits(), edge.to_bits().wrapping_add(1), edge.to_bits().wrapping_sub(1)]);
    }
    bits.resize(bits.len().next_multiple_of(16), 0);
    let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
    for (chip, width) in variants() {
        let cases: Vec<Case> = FUNCTIONS.iter().map(|f| case(f.0, Elem::F32)).collect();
        let native = Native::new(chip, width, &cases);
        for (case, (_, reference, bound)) in cases.iter().zip(FUNCTIONS) {
            let out = native.run(case, &[&bytes], bits.len());
            for (x, y) in bits.iter().zip(out.chunks_exact(4)) {
                let (x, y) =
                    (f32::from_bits(*x), f32::from_bits(u32::from_le_bytes([y[0], y[1], y[2], y[3]])));
                let want = reference(f64::from(x));
                let error = ulps(y, want);
                assert!(
                    error <= bound,
                    "{} on {chip} {width:?}: {x:e} gives {y:e}, not {want:e}: {error:.2} ulp",
                    case.name
                );
            }
        }
    }
}

/// An answer computed in `f32` to some 2^-18 and rounded to at most 11 bits is at most the neighbour of the value
/// nearest to the exact one.
#[test]
fn narrow_functions_give_the_nearest_value_or_its_neighbour() {
    let types = [Elem::F16, Elem::BF16, Elem::F8E4M3, Elem::F8E5M2];
    for (chip, width) in variants() {
        let pairs: Vec<(Elem, UnaryOp)> =
            types.into_iter().flat_map(|e| FUNCTIONS.iter().map(move |f| (e, f.0))).collect();
        let cases: Vec<Case> = pairs.iter().map(|(e, op)| case(*op, *e)).collect();
        let native = Native::new(chip, width, &cases);
        for (case, (elem, op)) in cases.iter().zip(pairs) {
            let bytes = all(elem);
            let n = bytes.len() / elem.bytes();
            let ty = TileType::new(elem, &[n]);
            let x = Value::from_bytes(&ty, &bytes).expect("a tile");
            let want = eval(&OpKind::Unary(op), &[&x], &[ty]).expect("eager mode knows it")[0].to_bytes();
            let got = native.run(case, &[&bytes], n);
            let size = elem.bytes();
            let mut off = 0;
            for i in 0..n {
                let at = i * size..(i + 1) * size;
                let x = x.data().get(i);
                let d = distance(elem, &got[at.clone()], &want[at.clone()]);
                assert!(
                    d <= 1,
                    "{} on {chip} {width:?}: {x:?} gives {:?}, not {:?}",
                    case.name,
                    &got[at.clone()],
                    &want[at]
                );
                off += usize::from(d != 0);
            }
            // An error of 2^-18 decides a tie of 11 bits wrongly for about one argument in 2^7 at worst.
            assert!(off * 100 <= n, "{} on {chip} {width:?}: {off} of {n} are not the nearest", case.name);
        }
    }
}
