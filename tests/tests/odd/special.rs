//! Arithmetic of numbers that are none, have no end, or are barely there, each with each, on a chip of every kind.

use super::*;
use kcc::Launch;

const DEVICES: [&str; 8] = [
    "cpu",
    "sim:sm_90a",
    "sim:gfx942",
    "emu:gfx90a",
    "emu:gfx942",
    "emu:gfx950",
    "emu:gfx1100",
    "sim:ascend910b",
];

#[kernel]
fn pairs<T: Float, const N: usize>(x: &View<T, 1>, w: &View<T, 1>, y: &mut View<T, 2>, m: &mut View<i32, 2>) {
    let at = program_id(0) * N;
    let (a, b) = (x.load::<N>(at), w.load::<N>(at));
    let results = [
        a + b,
        a * b - a,
        a.max(b),
        a.min_nan(b),
        a / b,
        a.exp() + b.tanh(),
        a.floor() + b.round(),
        a.sqrt() * b.abs(),
    ];
    for (row, result) in results.into_iter().enumerate() {
        y.at_mut(row as i32).store(at, result);
    }
    let order = (a < b).to::<i32>() + (a == b).to::<i32>() * 2 + (a != b).to::<i32>() * 4;
    m.at_mut(0).store(at, order);
    m.at_mut(1).store(at, a.to::<f32>().to::<i32>());
}

/// `relative` is what `exp`, `tanh` and `sqrt` may be off, rounded to `T`.
fn check<T: Float>(relative: f32) {
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE / 128.0,
        f32::MAX,
        3.3e38,
        65504.0,
        6e-8,
        2.5,
        -2.5,
        1.5,
        123.456,
    ];
    let n = values.len();
    let x = Tensor::<T>::from_fn(&[n * n], |i| T::from_f32(values[i / n])).unwrap();
    let w = Tensor::<T>::from_fn(&[n * n], |i| T::from_f32(values[i % n])).unwrap();
    let same = |got: f32, wanted: f32| {
        got == wanted || got.is_nan() && wanted.is_nan() || (got - wanted).abs() <= relative * wanted.abs()
    };
    agree_as(&DEVICES, PLAIN, same, |device, options| {
        let mut y = Tensor::<T>::zeros(&[8, n * n]).unwrap();
        let mut m = Tensor::<i32>::zeros(&[2, n * n]).unwrap();
        let args = (&x, &w, &mut y, &mut m);
        pairs::kernel::<T, 64>().launch_with(device, (n * n).div_ceil(64), args, options).unwrap();
        results(&[&y]).into_iter().chain(results(&[&m])).collect()
    });
}

#[test]
fn numbers_at_the_ends_of_the_scale_mean_the_same_everywhere() {
    // A few units in the last place: of f32, 2⁻²¹; of the others, one of theirs.
    check::<f32>(4.8e-7);
    check::<bf16>(7.9e-3);
    check::<f16>(9.8e-4);
}
