//! Programs, loops, branches, closures and printing, by the interpreter.

use super::*;
use crate::ir::{CmpOp, Const, ValueId};

#[test]
fn every_program_of_the_grid_runs_once_in_any_order() {
    for seed in [None, Some(1), Some(2)] {
        let mut buffers = vec![EagerBuffer::uninitialized(Elem::I32, 2 * 3 * 4)];
        let build = |b: &mut Builder, v: &[ValueId]| {
            let ids: Vec<ValueId> = (0..3).map(|a| b.program_id(a)).collect();
            let n: Vec<ValueId> = (0..3).map(|a| b.num_programs(a)).collect();
            // (z * ny + y) * nx + x
            let t = b.mul(ids[2], n[1]);
            let t = b.add(t, ids[1]);
            let t = b.mul(t, n[0]);
            let at = b.add(t, ids[0]);
            let value = b.splat(at, &[1]);
            b.store(v[0], &[at], value);
        };
        let options = &mut Options { seed, ..Options::default() };
        let report = launch(build, [2, 3, 4], &mut buffers, options).unwrap();
        assert_eq!(report.programs, 24);
        assert_eq!(buffers[0].to_i64(), (0..24).collect::<Vec<i64>>());
    }
}

#[test]
fn a_seed_changes_the_order_of_programs() {
    let order = |seed| {
        let mut buffers = vec![EagerBuffer::zeros(Elem::I32, 1)];
        let build = |b: &mut Builder, _: &[ValueId]| {
            let pid = b.program_id(0);
            b.print("{}", &[pid]);
        };
        let report =
            launch(build, [16, 1, 1], &mut buffers, &mut Options { seed, ..Options::default() }).unwrap();
        report.prints.iter().map(|p| p.text.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(order(None), (0..16).collect::<Vec<_>>());
    assert_ne!(order(Some(1)), order(None));
    assert_ne!(order(Some(1)), order(Some(2)));
    assert_eq!(order(Some(1)), order(Some(1)));
}

#[test]
fn for_carries_values_and_an_empty_range_gives_them_back() {
    for (lo, hi, step, expected) in [(0, 10, 3, 18), (5, 5, 1, 0), (7, 2, 1, 0), (-2, 3, 1, 0)] {
        let mut buffers = vec![EagerBuffer::zeros(Elem::I32, 1)];
        let build = |b: &mut Builder, v: &[ValueId]| {
            let (zero, range) = (b.i32(0), [b.i32(lo), b.i32(hi), b.i32(step)]);
            let sum = b.for_(range, &[zero], |b, iv, c| vec![b.add(c[0], iv)])[0];
            let sum = b.splat(sum, &[1]);
            b.store(v[0], &[zero], sum);
        };
        launch(build, [1; 3], &mut buffers, &mut Options::default()).unwrap();
        assert_eq!(buffers[0].to_i64(), [expected], "{lo}..{hi} by {step}");
    }
}

#[test]
fn while_runs_until_its_condition_fails() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::I32, 2)];
    let build = |b: &mut Builder, v: &[ValueId]| {
        // Collatz steps from 27: (value, steps)
        let (start, zero) = (b.i32(27), b.i32(0));
        let r = b.while_(
            &[start, zero],
            |b, c| {
                let one = b.i32(1);
                (b.compare(CmpOp::Ne, c[0], one), c.to_vec())
            },
            |b, c| {
                let (one, two, three) = (b.i32(1), b.i32(2), b.i32(3));
                let odd = b.binary(crate::ir::BinaryOp::And, c[0], one);
                let odd = b.compare(CmpOp::Eq, odd, one);
                let next = b.if_(odd, |b| vec![b.fma(c[0], three, one)], |b| vec![b.div(c[0], two)]);
                vec![next[0], b.add(c[1], one)]
            },
        );
        let both = b.op(OpKind::Join, &r)[0];
        b.store(v[0], &[zero], both);
    };
    launch(build, [1; 3], &mut buffers, &mut Options::default()).unwrap();
    assert_eq!(buffers[0].to_i64(), [1, 111]);
}

#[test]
fn only_the_taken_branch_has_effects() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::I32, 2)];
    let build = |b: &mut Builder, v: &[ValueId]| {
        let (pid, one) = (b.program_id(0), b.i32(1));
        let is_one = b.compare(CmpOp::Eq, pid, one);
        let seven = b.full(Elem::I32, &[1], 7.0);
        b.if_(
            is_one,
            |b| {
                b.store(v[0], &[pid], seven);
                vec![]
            },
            |_| vec![],
        );
    };
    launch(build, [2, 1, 1], &mut buffers, &mut Options::default()).unwrap();
    assert_eq!(buffers[0].to_i64(), [0, 7]);
}

#[test]
fn a_closure_reduces_and_scans_several_tiles_together() {
    let mut buffers =
        vec![EagerBuffer::from_f32(Elem::F32, &[3.0, 9.0, 1.0, 9.0]), EagerBuffer::zeros(Elem::F32, 7)];
    let build = |b: &mut Builder, v: &[ValueId]| {
        let z = b.i32(0);
        let x = b.load(v[0], &[z], &[4]);
        let i = b.arange(4);
        let i = b.cast(i, Elem::F32);
        // (largest, last index of it)
        let later = |b: &mut Builder, acc: &[ValueId], x: &[ValueId]| {
            let take = b.compare(CmpOp::Ge, x[0], acc[0]);
            vec![b.select(take, x[0], acc[0]), b.select(take, x[1], acc[1])]
        };
        let r = b.reduce_with(0, &[x, i], later);
        let both = b.op(OpKind::Join, &r)[0];
        b.store(v[1], &[z], both);
        let s = b.scan_with(0, true, &[x, i], later);
        let at = b.i32(2);
        b.store(v[1], &[at], s[1]);
    };
    launch(build, [1; 3], &mut buffers, &mut Options::default()).unwrap();
    // Backwards from index 3: the largest so far was last met at 1 (ties go to the later met), 1, 3, 3.
    assert_eq!(buffers[1].to_f32(), [9.0, 3.0, 1.0, 1.0, 3.0, 3.0, 0.0]);
}

#[test]
fn print_shows_tiles_by_shape() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::I32, 1)];
    let build = |b: &mut Builder, _: &[ValueId]| {
        let (i, f) = (b.arange(6), b.f32(1.5));
        let m = b.reshape(i, &[2, 3]);
        let t = b.constant(Elem::Bool, &[], Const::Bool(true));
        b.print("f = {}, m = {}", &[f, m, t]);
    };
    let seen = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let sink = seen.clone();
    let on_print: crate::eager::OnPrint = Box::new(move |s| sink.borrow_mut().push_str(s));
    let options = &mut Options { on_print: Some(on_print), ..Options::default() };
    let report = launch(build, [1; 3], &mut buffers, options).unwrap();
    assert_eq!(report.prints[0].text, "f = 1.5, m = [[0, 1, 2],\n [3, 4, 5]] true");
    assert_eq!(*seen.borrow(), report.prints[0].text);
}

#[test]
fn scalar_parameters_arrive_in_their_type() {
    let mut b = Builder::new("scalars");
    let y = b.view_mut("y", Elem::F32, 1);
    let (f, h, i) = (b.scalar("f", Elem::F32), b.scalar("h", Elem::BF16), b.scalar("i", Elem::I8));
    let (h, i) = (b.cast(h, Elem::F32), b.cast(i, Elem::F32));
    let sum = b.add(f, h);
    let sum = b.add(sum, i);
    let (z, sum) = (b.i32(0), b.splat(sum, &[1]));
    b.store(y, &[z], sum);
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let args =
        [EagerArg::dense(0, &[1], true), EagerArg::f32(0.5), EagerArg::Scalar(0x4000), EagerArg::int(-1)];
    interpret(&b.finish().unwrap(), [1; 3], &mut buffers, &args, &mut Options::default()).unwrap();
    assert_eq!(buffers[0].to_f32(), [1.5]);
}

#[test]
fn a_tiled_matmul_agrees_with_the_sum_of_products() {
    const N: usize = 48;
    let (m, k, n) = (40, 37, 45); // no multiple of the tiles
    let mut b = Builder::new("matmul");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view("y", Elem::F32, 2));
    let out = b.view_mut("out", Elem::F32, 2);
    let (r, c, t) = (b.program_id(0), b.program_id(1), b.i32(16));
    let (r, c) = (b.mul(r, t), b.mul(c, t));
    let (zero, end) = (b.i32(0), b.dim(x, 1));
    let acc = b.full(Elem::F32, &[16, 16], 0.0);
    let sum = b.for_([zero, end, t], &[acc], |b, i, acc| {
        let (a, w) = (b.load(x, &[r, i], &[16, 16]), b.load(y, &[i, c], &[16, 16]));
        vec![b.dot(a, w, acc[0])]
    });
    b.store(out, &[r, c], sum[0]);
    let value = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
    let xs: Vec<f32> = (0..m * k).map(value).collect();
    let ys: Vec<f32> = (0..k * n).map(|i| value(i + 7)).collect();
    let mut buffers = vec![
        EagerBuffer::from_f32(Elem::F32, &xs),
        EagerBuffer::from_f32(Elem::F32, &ys),
        EagerBuffer::uninitialized(Elem::F32, m * n),
    ];
    let [m_, k_, n_] = [m, k, n].map(|d| d as i64);
    let args = [
        EagerArg::dense(0, &[m_, k_], false),
        EagerArg::dense(1, &[k_, n_], false),
        EagerArg::dense(2, &[m_, n_], true),
    ];
    let grid = [N as u32 / 16; 3].map(|g| g.max(1));
    interpret(&b.finish().unwrap(), [grid[0], grid[1], 1], &mut buffers, &args, &mut Options::default())
        .unwrap();
    let got = buffers[2].to_f32();
    for i in 0..m {
        for j in 0..n {
            let exact: f64 = (0..k).map(|p| f64::from(xs[i * k + p]) * f64::from(ys[p * n + j])).sum();
            // Three roundings to f32, one per block along k, of partial sums below 16.
            let error = (f64::from(got[i * n + j]) - exact).abs();
            assert!(error <= 3.0 * 16.0 * 2f64.powi(-24), "[{i}, {j}]: {error}");
        }
    }
}
