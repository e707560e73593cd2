//! Operations from the author's side: what the DSL's methods compute.

use crate::harness::{Arg, both, count, f32s, i32s, int, matrix};
use kcc_dsl::ir::{Elem, OpKind};
use kcc_dsl::prelude::*;

#[kernel]
fn broadcasting(x: &View<f32, 2>, y: &mut View<f32, 2>, s: Scalar<f32>) {
    let m = x.load::<2, 3>((0, 0));
    let (r, c) = (m.sum_rows(), m.max_cols());
    let mut all = (m - r.col()) * s + c.row() / 2 + r.col() * c.row();
    all += 1.0 - m;
    all -= r.col();
    all *= s;
    y.store((0, 0), (2.0 * all + s).max(0.0) + (3 * c.row()).max_with(r.col()));
}

trait MaxWith {
    fn max_with(self, c: Col<f32, 2>) -> Matrix<f32, 2, 3>;
}
impl MaxWith for Row<f32, 3> {
    fn max_with(self, c: Col<f32, 2>) -> Matrix<f32, 2, 3> {
        self.broadcast::<2>().max(c)
    }
}

#[test]
fn scalars_columns_rows_and_literals_broadcast() {
    let x = [1., -2., 3., 0.5, 4., -1.];
    let out = both(
        &broadcasting::kernel(),
        [1, 1, 1],
        &[matrix(&x, 2, 3), matrix(&[0.; 6], 2, 3), Arg::S(2f32.to_bits().into())],
    );
    let r = [2.0f32, 3.5];
    let c = [1.0f32, 4.0, 3.0];
    let s = 2.0;
    let mut want = Vec::new();
    for i in 0..2 {
        for j in 0..3 {
            let m = x[i * 3 + j];
            let all = ((m - r[i]) * s + c[j] / 2.0 + r[i] * c[j] + (1.0 - m) - r[i]) * s;
            want.push((2.0 * all + s).max(0.0) + (3.0 * c[j]).max(r[i]));
        }
    }
    assert_eq!(out[1].to_f32(), want);
}

#[kernel]
fn integers(x: &View<i32, 1>, y: &mut View<i32, 2>) {
    let v = x.load::<4>(0);
    y.store((0, 0), ((v << 2) | 1).expand_row());
    y.store((1, 0), (!v & 0xff ^ 3).expand_row());
    y.store((2, 0), ((v % 3) / (1 + v.abs())).expand_row());
    y.store((3, 0), select(v >= 2, v.min(7), -v).expand_row());
    y.store((4, 0), v.mul_hi(Vector::full(1 << 30)).expand_row());
}

#[test]
fn integer_operators_are_rusts() {
    let x = [5i64, -7, 2, 1 << 20];
    let out = both(&integers::kernel(), [1, 1, 1], &[i32s(&x), Arg::I(Elem::I32, vec![0; 20], vec![5, 4])]);
    let mut want: Vec<i64> = x.iter().map(|v| (v << 2) | 1).collect();
    want.extend(x.iter().map(|v| !v & 0xff ^ 3));
    want.extend(x.iter().map(|v| (v % 3) / (1 + v.abs())));
    want.extend(x.iter().map(|&v| if v >= 2 { v.min(7) } else { -v }));
    want.extend(x.iter().map(|v| (v * (1 << 30)) >> 32));
    assert_eq!(out[1].to_i64(), want);
}

#[kernel]
fn shapes(x: &View<f32, 2>, y: &mut View<f32, 1>) {
    let m = x.load::<2, 4>((0, 0));
    let t = m.t().flatten::<8>();
    y.store(0, t);
    let (a, b) = m.reshape::<D3<2, 2, 2>>().split();
    y.store(8, a.flatten::<4>());
    y.store(12, b.concat_rows::<2, 4>(a).slice::<1, 0, 2, 2>().flatten::<4>());
    let cube = m.sum_rows().join(m.min_rows()).expand();
    y.store(16, cube.swap_outer().batch(1).flatten::<2>());
    let v: Vector<f32, 3> = m.sum_cols().slice::<1, 2>().concat(x.load::<1, 1>((1, 3)).flatten::<1>());
    y.store(18, v.broadcast_to::<D2<2, 3>>().flatten::<6>());
}

#[test]
fn shapes_rearrange_elements() {
    let x = [0., 1., 2., 3., 4., 5., 6., 7.];
    let out = both(&shapes::kernel(), [1, 1, 1], &[matrix(&x, 2, 4), f32s(&[0.; 24])]);
    let want = [
        0., 4., 1., 5., 2., 6., 3., 7., // transposed
        0., 2., 4., 6., // the even columns
        5., 7., 0., 2., // rows 1 and 2 of odd columns above even columns
        0., 4., // column 1 (the minima) of the joined pairs
        6., 8., 7., 6., 8., 7.,
    ];
    assert_eq!(out[1].to_f32(), want);
}

#[kernel]
fn products(a: &View<f32, 3>, y: &mut View<f32, 3>, z: &mut View<i32, 2>) {
    let c = a.load::<2, 2, 3>((0, 0, 0));
    y.store((0, 0, 0), dot(c, c.t()));
    let m = a.at(1).load::<2, 3>((0, 0));
    let q = m.to::<i8>();
    z.store((0, 0), dot_acc(q, q.t(), Matrix::full(100)));
    y.at_mut(0).store((0, 0), dot(m.to::<bf16>(), c.batch(1).t().to()));
}

#[test]
fn dot_multiplies_matrices_cubes_and_bytes() {
    let a: Vec<f32> = (0..12).map(|i| i as f32 - 4.0).collect();
    let args = [
        Arg::F(Elem::F32, a.clone(), vec![2, 2, 3]),
        Arg::F(Elem::F32, vec![0.; 8], vec![2, 2, 2]),
        Arg::I(Elem::I32, vec![0; 4], vec![2, 2]),
    ];
    let out = both(&products::kernel(), [1, 1, 1], &args);
    let row = |b: usize, i: usize| &a[b * 6 + i * 3..][..3];
    let product = |b, i, j| row(b, i).iter().zip(row(b, j)).map(|(x, y)| x * y).sum::<f32>();
    let second: Vec<f32> = (0..4).map(|k| product(1, k / 2, k % 2)).collect();
    // Small integers: exact in bf16.
    assert_eq!(out[1].to_f32(), [second.clone(), second.clone()].concat());
    assert_eq!(out[2].to_i64(), second.iter().map(|v| *v as i64 + 100).collect::<Vec<_>>());
}

#[kernel]
fn reductions(x: &View<f32, 2>, y: &mut View<f32, 1>, z: &mut View<i32, 1>) {
    let m = x.load::<2, 3>((0, 0));
    y.store(0, m.reduce_rows_with(|a, b| select(a.abs() > b.abs(), a, b)));
    y.store(2, m.flatten::<6>().scan_with(|a, b| a * 0.5 + b));
    y.store(8, m.cumsum().flatten::<6>());
    let (s, order) = m.flatten::<6>().sort_descending();
    y.store(14, s);
    z.store(0, order);
    let (top, at) = m.top_k::<2>();
    y.store(20, top.flatten::<4>());
    z.store(6, at.flatten::<4>());
    z.store(10, m.to::<i32>().flatten::<6>().histogram::<4>());
    z.store(14, m.argmax_rows());
    z.set(16, m.any_negative());
}

trait AnyNegative {
    fn any_negative(self) -> Scalar<i32>;
}
impl AnyNegative for Matrix<f32, 2, 3> {
    #[function]
    fn any_negative(self) -> Scalar<i32> {
        (self < 0.0).any().to()
    }
}

#[test]
fn reductions_and_scans_take_closures() {
    let x = [1., -5., 3., 2., 0., 4.];
    let args = [matrix(&x, 2, 3), f32s(&[0.; 24]), i32s(&[0; 17])];
    let out = both(&reductions::kernel(), [1, 1, 1], &args);
    let mut want = vec![-5., 4.];
    let mut acc = None;
    want.extend(x.iter().map(|&v| *acc.insert(acc.map_or(v, |a: f32| a * 0.5 + v))));
    want.extend([1., -4., -1., 2., 2., 6.]);
    want.extend([4., 3., 2., 1., 0., -5.]);
    want.extend([3., 1., 4., 2.]);
    assert_eq!(out[1].to_f32(), want);
    let want = [5, 2, 3, 0, 4, 1, 2, 0, 2, 0, 1, 1, 1, 1, 2, 2, 1];
    assert_eq!(out[2].to_i64(), want);
}

#[kernel]
fn memory<T: Float>(table: &View<T, 2>, ids: &View<i32, 1>, y: &mut View<T, 2>, n: &mut View<i32, 1>) {
    let ids = ids.load_or::<3>(0, -1);
    y.store_rows(arange::<3>() + 1, 0, table.load_rows_or::<3, 2>(ids, 0, 9));
    let inside = ids >= 0;
    let seen = n.atomic_add(ids, inside, Vector::full(1), Relaxed, DeviceScope);
    let picked = table.gather((ids, ids % 2), inside, Vector::full(T::from_f32(-1.0)));
    y.store((0, 0), picked.slice::<0, 2>().expand_row());
    n.scatter(seen + 3, inside, ids);
    let swapped = n.atomic_cas(
        Vector::<i32, 1>::full(2),
        Vector::full(true),
        (Vector::full(0), Vector::full(7)),
        AcqRel,
        SystemScope,
    );
    n.store(5, swapped);
}

#[test]
fn gathers_atomics_and_rows_reach_elements() {
    let args = [
        Arg::F(Elem::BF16, vec![0., 1., 2., 3.], vec![2, 2]),
        i32s(&[1, 0]),
        Arg::F(Elem::BF16, vec![0.; 8], vec![4, 2]),
        i32s(&[0, 5, 0, 0, 0, 0, 0, 0, 0]),
    ];
    // The third row number is padding (-1): its row of the table reads as 9.
    let out = run_loose(&args);
    assert_eq!(out[2].to_f32(), [3., 0., 2., 3., 0., 1., 9., 9.]);
    assert_eq!(out[3].to_i64(), [1, 6, 7, 0, 0, 0, 0, 0, 1]);
}

fn run_loose(args: &[Arg]) -> Vec<kcc_dsl::eager::EagerBuffer> {
    use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, run};
    let (mut buffers, mut eager) = (Vec::new(), Vec::new());
    for a in args {
        let (b, dims) = match a {
            Arg::F(e, v, dims) => (EagerBuffer::from_f32(*e, v), dims),
            Arg::I(e, v, dims) => (EagerBuffer::from_i64(*e, v), dims),
            Arg::S(_) => continue,
        };
        eager.push(EagerArg::dense(buffers.len(), dims, true));
        buffers.push(b);
    }
    let mut options = Options { strict: false, ..Options::default() };
    run(memory::kernel::<bf16>().erased(), [1, 1, 1], &mut buffers, &eager, &mut options).unwrap();
    assert!(memory::kernel::<bf16>().trace().is_ok());
    buffers
}

#[kernel]
fn maths<T: Float>(x: &View<T, 1>, y: &mut View<T, 1>, lo: Scalar<f32>) {
    let v = x.load::<2>(0).to::<f32>();
    let a = v.exp() + v.exp2() + v.abs().log() + v.abs().log2() + v.sin() + v.cos() + v.tanh() + v.erf();
    let b = v.abs().sqrt() + v.abs().rsqrt() + v.floor() + v.ceil() + v.round() + v.sigmoid();
    let c = fma(a, b, v).clamp(-4.0, 4).max_nan(lo).min_nan(1000.0);
    kprint!("c {} of {}", c, program_id(0));
    kassert!(c >= lo);
    assume(lo < 5.0);
    y.store(0, c.to());
}

#[test]
fn mathematics_matches_the_host() {
    let args = [f32s(&[0.3, -2.5]), f32s(&[0.; 2]), Arg::S((-3f32).to_bits().into())];
    let out = both(&maths::kernel::<f32>(), [1, 1, 1], &args);
    let want = |v: f32| {
        let m = v.abs();
        // erf(0.3) and erf(2.5), to six digits.
        let erf = if v > 0.0 { 0.328627 } else { -0.999593 };
        let a = v.exp() + v.exp2() + m.ln() + m.log2() + v.sin() + v.cos() + v.tanh() + erf;
        let b =
            m.sqrt() + 1.0 / m.sqrt() + v.floor() + v.ceil() + v.round_ties_even() + 1.0 / (1.0 + (-v).exp());
        (a * b + v).clamp(-4.0, 4.0).max(-3.0)
    };
    for (got, v) in out[1].to_f32().iter().zip([0.3, -2.5]) {
        // Some twenty operations of at most 4 ulp on values below 8, times 2: 20 · 4 · 2⁻²¹ · 2.
        assert!((got - want(v)).abs() < 1e-4, "{got} for {v}, not {}", want(v));
    }
    let k = maths::kernel::<bf16>().trace().unwrap();
    assert_eq!(count(&k, |k| matches!(k, OpKind::Print { .. } | OpKind::Assert { .. } | OpKind::Assume)), 3);
}

#[kernel]
fn bytes(x: &View<u8, 1>, y: &mut View<u32, 1>, n: Scalar<i32>) {
    let v = x.load::<2>(0);
    let big = v.to::<u32>() << 24;
    y.store(0, select(big.gt_(v.to()), big >> 1, 2 * big) + n.bitcast::<u32>());
    y.store(2, F8E4M3::bits(v));
}

trait F8Bits {
    fn bits(v: Vector<u8, 2>) -> Vector<u32, 2>;
}
impl F8Bits for F8E4M3 {
    fn bits(v: Vector<u8, 2>) -> Vector<u32, 2> {
        v.bitcast::<F8E4M3>().to::<f32>().bitcast::<u32>()
    }
}

#[test]
fn unsigned_and_eight_bit_types_keep_their_rules() {
    let args = [Arg::I(Elem::U8, vec![0x81, 0x38], vec![2]), Arg::I(Elem::U32, vec![0; 4], vec![4]), int(-1)];
    let out = both(&bytes::kernel(), [1, 1, 1], &args);
    let want = [
        0x4080_0000 - 1,
        0x1c00_0000 - 1,
        i64::from((-(2f32.powi(-9))).to_bits()),
        i64::from(1f32.to_bits()),
    ];
    assert_eq!(out[1].to_i64(), want);
}

#[kernel]
fn dead(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let v = x.load::<8>(0);
    let _unused = (v * 2.0).exp();
    let twice = v + v;
    let again = v + v;
    y.store(0, twice * again);
}

#[test]
fn equal_operations_are_recorded_once_and_unused_ones_not_at_all() {
    let k = dead::kernel().trace().unwrap();
    let names: Vec<&str> = k.body.ops.iter().map(|op| op.kind.name()).collect();
    assert_eq!(names, ["constant", "load", "add", "mul", "store"]);
}
