//! Arguments for the tests, and how results are compared.

use kcc_dsl::eager::round::{Lane, read, round, write};
use kcc_dsl::ir::Elem;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// `n` elements in memory form: random bit patterns, numbers of ordinary size, and the values at which rules
/// change.
pub fn elements(elem: Elem, n: usize, seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed ^ elem as u64);
    let mut bytes = vec![0u8; n * elem.bytes()];
    rng.fill(&mut bytes[..]);
    for to in bytes.chunks_exact_mut(elem.bytes()) {
        let kind = rng.random_range(0..4);
        if elem == Elem::Bool {
            to[0] &= 1;
        } else if elem.is_float() {
            const EDGES: [f32; 20] = [
                0.0,
                -0.0,
                1.0,
                -1.0,
                0.5,
                1.5,
                2.5,
                -2.5,
                448.0,
                464.0,
                57344.0,
                65504.0,
                65520.0,
                3.4e38,
                1e-45,
                6e-8,
                0.001953125,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
            ];
            match kind {
                0 => write_float(elem, EDGES[rng.random_range(0..EDGES.len())], to),
                1 => write_float(elem, rng.random_range(-8.0..8.0), to),
                _ => {}
            }
        } else {
            let (low, high) = kcc_dsl::eager::round::int_range(elem);
            let edges = [0, -1, 1, low, high, low.wrapping_add(1), 7];
            match kind {
                0 => write(elem, Lane::Int(edges[rng.random_range(0..edges.len())]), to),
                1 => write(elem, Lane::Int(rng.random_range(-9..70)), to),
                _ => {}
            }
        }
    }
    bytes
}

/// Every value of an element of one or two bytes.
pub fn all(elem: Elem) -> Vec<u8> {
    let n = 1usize << (8 * elem.bytes());
    (0..n).flat_map(|i| i.to_le_bytes().into_iter().take(elem.bytes())).collect()
}

fn write_float(elem: Elem, x: f32, to: &mut [u8]) {
    write(elem, Lane::Float(round(elem, x)), to);
}

/// Distance of two elements in steps between neighbouring values; NaN and NaN are equal, NaN and a number are far.
/// `-0` and `+0` are one step apart.
pub fn distance(elem: Elem, a: &[u8], b: &[u8]) -> u64 {
    match (read(elem, a), read(elem, b)) {
        (Some(Lane::Float(x)), Some(Lane::Float(y))) if x.is_nan() || y.is_nan() => {
            if x.is_nan() && y.is_nan() { 0 } else { u64::MAX }
        }
        (Some(Lane::Float(_)), Some(Lane::Float(_))) => rank(elem, a).abs_diff(rank(elem, b)),
        _ => u64::from(a != b),
    }
}

/// Position among all values of a float type, from the lowest.
fn rank(elem: Elem, bytes: &[u8]) -> i64 {
    let mut word = [0u8; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(word);
    let sign = 1u64 << (8 * elem.bytes() - 1);
    let magnitude = (bits & (sign - 1)) as i64;
    if bits & sign == 0 { magnitude } else { -1 - magnitude }
}

/// Error of an `f32` result against an `f64` reference in units in the last place of the reference (2^-149 for
/// denormals); 0 where both are NaN or the same infinity, infinite where only one is.
pub fn ulps(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if rounded.is_nan() || rounded.is_infinite() || !got.is_finite() {
        let same = got == rounded || (got.is_nan() && rounded.is_nan());
        return if same { 0.0 } else { f64::INFINITY };
    }
    if want == 0.0 && (got.to_bits() != rounded.to_bits()) {
        return f64::INFINITY;
    }
    let exponent = if want == 0.0 { -126 } else { ((want.abs().to_bits() >> 52) as i32 - 1023).max(-126) };
    (f64::from(got) - want).abs() / 2f64.powi(exponent - 23)
}
