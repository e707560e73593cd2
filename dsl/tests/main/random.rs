//! Philox against the paper's own numbers.

use crate::harness::{Arg, both, f32s, i32s};
use kcc_dsl::ir::Elem;
use kcc_dsl::prelude::*;

#[kernel]
fn words(at: &View<i32, 1>, y: &mut View<u32, 2>, key: &View<i32, 1>) {
    let offsets = at.load::<2>(0);
    for (i, w) in philox::int4(key.get(0), offsets).into_iter().enumerate() {
        y.store((i, 0), w.expand_row());
    }
}

/// Philox4x32-10 in plain Rust.
fn reference(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        let p0 = u64::from(c[0]) * 0xD251_1F53;
        let p1 = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
    }
    c
}

#[test]
fn philox_gives_the_known_answers() {
    // Known-answer vectors of the Random123 distribution, philox4x32 10.
    assert_eq!(reference([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    for seed in [0, 12345] {
        let args = [i32s(&[0, -5]), Arg::I(Elem::U32, vec![0; 8], vec![4, 2]), i32s(&[seed])];
        let got = both(&words::kernel(), [1, 1, 1], &args)[1].to_i64();
        for (lane, offset) in [0u32, -5i32 as u32].into_iter().enumerate() {
            let want = reference([offset, 0, 0, 0], [seed as u32, 0]);
            for i in 0..4 {
                assert_eq!(got[i * 2 + lane], i64::from(want[i]));
            }
        }
    }
}

#[kernel]
fn distributions<const N: usize>(u: &mut View<f32, 1>, n: &mut View<f32, 1>) {
    let at = arange::<N>();
    u.store(0, philox::uniform(42u64, at));
    n.store(0, philox::normal(42u64, at));
}

#[test]
fn uniform_and_normal_have_their_moments() {
    const N: usize = 4096;
    let zero = f32s(&[0.; N]);
    let out = both(&distributions::kernel::<N>(), [1, 1, 1], &[zero.clone(), zero]);
    let moments = |v: &[f32]| {
        let mean = v.iter().map(|x| f64::from(*x)).sum::<f64>() / N as f64;
        (mean, v.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / N as f64)
    };
    let (u, n) = (out[0].to_f32(), out[1].to_f32());
    assert!(u.iter().all(|x| (0.0..1.0).contains(x)));
    // Five standard errors: of a mean sd/√N, of a variance about sd²·√(2/N).
    let (mean, var) = moments(&u);
    assert!((mean - 0.5).abs() < 5.0 * 0.2887 / 64.0 && (var - 1.0 / 12.0).abs() < 5.0 * 0.0833 * 0.0221);
    let (mean, var) = moments(&n);
    assert!(mean.abs() < 5.0 / 64.0 && (var - 1.0).abs() < 5.0 * 0.0221, "{mean} {var}");
}
