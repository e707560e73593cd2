//! Cases of the element-wise kernels and softmax.

use super::compare::{F32, close};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::activation::{self, ALL};
use crate::elementwise as e;
use crate::softmax;
use kcc_runtime::{Device, TensorView, TensorViewMut};

const SHAPES: [(usize, usize); 6] = [(1, 1), (3, 17), (2, 1024), (5, 1031), (0, 7), (7, 0)];

pub(super) fn cases<T: Value>(all: &mut Vec<Case>) {
    for (rows, columns) in SHAPES {
        let name = |kernel: &str| format!("{kernel} {} {rows}x{columns}", T::ELEM);
        // One f32 operation on exact operands: half a unit of f32 in the last place.
        let once = |want: f64| F32 * want.abs();
        all.push(binary::<T>(name("add"), (rows, columns), e::add, e::add_reference, once));
        all.push(binary::<T>(name("mul"), (rows, columns), e::mul, e::mul_reference, once));
        // The logistic function within 8 units, and two products.
        all.push(binary::<T>(
            name("silu_mul"),
            (rows, columns),
            e::silu_mul,
            e::silu_mul_reference,
            |want| 10.0 * F32 * want.abs(),
        ));
        all.push(activation_case::<T, { activation::RELU }>((rows, columns)));
        all.push(activation_case::<T, { activation::GELU }>((rows, columns)));
        all.push(activation_case::<T, { activation::GELU_TANH }>((rows, columns)));
        all.push(activation_case::<T, { activation::SILU }>((rows, columns)));
    }
    for (rows, width) in [(1, 1), (3, 17), (2, 64), (4, 1000), (0, 5), (5, 0), (2, 8200), (1, 12289)] {
        all.push(softmax_case::<T>(rows, width));
    }
    all.push(softmax_specials::<T>(7));
    all.push(softmax_specials::<T>(8200));
}

type Binary<T> =
    fn(&Device, &TensorView<'_, T>, &TensorView<'_, T>, &mut TensorViewMut<'_, T>) -> crate::Result;

fn binary<T: Value>(
    name: String,
    (rows, columns): (usize, usize),
    launch: Binary<T>,
    reference: fn(&[f64], &[f64]) -> Vec<f64>,
    bound: impl Fn(f64) -> f64 + Send + Sync + 'static,
) -> Case {
    Case::new(name, move |device| {
        let mut random = Random::new(1);
        let mut a: Vec<T> = random.values(rows * columns, 4.0);
        let b: Vec<T> = random.values(rows * columns, 4.0);
        let specials = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0, -0.0];
        for (a, v) in a.iter_mut().skip(10).zip(specials) {
            *a = T::from_f32(v);
        }
        let dims = [rows, columns];
        let mut y = untouched::<T>(&dims)?;
        launch(device, &tensor(&a, &dims)?.view(), &tensor(&b, &dims)?.view(), &mut y.view_mut())
            .map_err(text)?;
        let want = reference(&exact(&a), &exact(&b));
        close(y.as_slice(), &want, |i| bound(want[i]))
    })
}

fn activation_case<T: Value, const ACT: usize>((rows, columns): (usize, usize)) -> Case {
    let kind = ALL.iter().find(|(act, _)| *act == ACT).map_or("?", |(_, name)| name);
    Case::new(format!("activation {kind} {} {rows}x{columns}", T::ELEM), move |device| {
        let mut x: Vec<T> = Random::new(2).values(rows * columns, 6.0);
        for (x, v) in x.iter_mut().skip(10).zip([f32::INFINITY, f32::NAN, 0.0, -0.0, 30.0, -30.0]) {
            *x = T::from_f32(v);
        }
        let dims = [rows, columns];
        let mut y = untouched::<T>(&dims)?;
        e::activation::<T, ACT>(device, &tensor(&x, &dims)?.view(), &mut y.view_mut()).map_err(text)?;
        let x = exact(&x);
        // Each form is x times a factor of at most 1 that is known within about 8 units of 1 (the sums 1 + erf and
        // 1 + tanh cancel for negative x, so the error is relative to x, not to the result); tanh's argument is
        // known within 4 units of up to 8, which its slope of at most 1 passes on.
        let want = e::activation_reference(ACT, &x);
        close(y.as_slice(), &want, |i| if x[i].is_finite() { 40.0 * F32 * x[i].abs() } else { 0.0 })
    })
}

fn softmax_case<T: Value>(rows: usize, width: usize) -> Case {
    Case::new(format!("softmax {} {rows}x{width}", T::ELEM), move |device| {
        let x: Vec<T> = Random::new(3).values(rows * width, 8.0);
        run_softmax(device, &x, rows, width)
    })
}

fn softmax_specials<T: Value>(width: usize) -> Case {
    Case::new(format!("softmax specials {} 6x{width}", T::ELEM), move |device| {
        let mut x: Vec<T> = Random::new(4).values(6 * width, 8.0);
        let mut set = |row: usize, range: std::ops::Range<usize>, v: f32| {
            x[row * width..(row + 1) * width][range].fill(T::from_f32(v));
        };
        set(0, 0..width, f32::NEG_INFINITY);
        set(1, 0..width - 1, f32::NEG_INFINITY);
        set(2, 2..3, f32::NEG_INFINITY);
        set(3, 3..4, f32::INFINITY);
        set(4, 4..5, f32::NAN);
        set(5, 0..width, 60000.0);
        run_softmax(device, &x, 6, width)
    })
}

fn run_softmax<T: Value>(device: &Device, x: &[T], rows: usize, width: usize) -> super::Outcome {
    let dims = [rows, width];
    let mut y = untouched::<T>(&dims)?;
    softmax::softmax(device, &tensor(x, &dims)?.view(), &mut y.view_mut()).map_err(text)?;
    let want = softmax::reference(&exact(x), rows, width);
    // exp2's argument (x - max) · log2(e), at most 16 · 1.45 = 23.1, carries two roundings: 46 units, in numerator and
    // denominator, and ln 2 of that in the result; exp2 4 units, twice; a sum of up to `width` terms in any order;
    // the online form rescales once per block of 4096. All relative.
    let units = 2.0 * (0.7 * 46.0 + 4.0) + width as f64 + 4.0 * (width as f64 / 4096.0).ceil() + 4.0;
    close(y.as_slice(), &want, |i| units * F32 * want[i].abs())
}
