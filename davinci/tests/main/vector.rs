//! Vector cores.

use crate::build::*;
use kcc_davinci::ir::*;
use kcc_davinci::{Arg, Launch, Options, run};
use kcc_dsl::ir::Elem;

#[test]
fn two_slots_add() {
    let p = add_twice(640);
    let x: Vec<f32> = (0..640).map(|i| i as f32 * 0.5).collect();
    for seed in 0..20 {
        let mut y = vec![0; 2560];
        let report = launch(&p, &floats(&x), &mut y, seed).expect("a correct program");
        assert_eq!(to_floats(&y), x.iter().map(|v| v + v).collect::<Vec<_>>(), "seed {seed}");
        assert!(report.cycles > 0);
    }
}

/// What time a run takes does not depend on the seed, and double buffering overlaps copies.
#[test]
fn the_cost_model_sees_overlap() {
    let x = floats(&[1.0; 64 * 64]);
    let cycles = |p: &Program, seed| launch(p, &x, &mut vec![0; 64 * 64 * 4], seed).expect("correct").cycles;
    let p = add_twice(64 * 64);
    assert_eq!(cycles(&p, 1), cycles(&p, 2));
    // The same with everything in order.
    let mut slow = p.clone();
    if let Some(Stmt::For { body, .. }) =
        slow.vector.as_mut().and_then(|v| v.iter_mut().find(|s| matches!(s, Stmt::For { .. })))
    {
        body.push(barrier(Pipes::All));
    }
    assert!(cycles(&slow, 1) > cycles(&p, 1) * 3 / 2, "{} {}", cycles(&slow, 1), cycles(&p, 1));
}

/// One vector instruction between a copy in and a copy out, with everything in order.
fn one(elem_in: Elem, elem_out: Elem, bytes_in: i64, bytes_out: i64, body: Vec<Stmt>) -> Program {
    let copy_in = at(10, copy_in(elem_in, Local::new(0, 0), Global::of(0, 0), bytes_in, None));
    let copy_out = at(12, copy_out(elem_out, Global::of(1, 0), Local::new(1, 0), bytes_out));
    let mut vector = vec![copy_in, barrier(Pipes::All)];
    for s in body {
        vector.push(s);
        vector.push(barrier(Pipes::All));
    }
    vector.extend([copy_out, barrier(Pipes::All)]);
    Program {
        name: "one".into(),
        chip: "ascend910b".into(),
        params: vec![view("x", elem_in, 1, false), view("y", elem_out, 1, true)],
        buffers: vec![
            buffer("a", Space::Ub, elem_in, Layout::Nd, 8192, 1, 0),
            buffer("b", Space::Ub, elem_out, Layout::Nd, 8192, 1, 8192),
            buffer("c", Space::Ub, Elem::U32, Layout::Nd, 8192, 1, 16384),
        ],
        workspace: 0,
        cube: None,
        vector: Some(vector),
        locs: locs(),
    }
}

fn dense(n: i64) -> Span {
    Span::Count { n: n.into() }
}

#[test]
fn conversions_round_as_they_say() {
    use half::f16;
    let x = [0.5f32, 1.5, 2.5, -0.5, -1.5, 1e9, f32::NAN, -3.7];
    let run = |to: Elem, rounding| {
        let cast = at(
            11,
            Cast {
                to,
                from: Elem::F32,
                rounding,
                dst: Local::new(1, 0),
                src: Local::new(0, 0),
                span: dense(8),
                dst_stride: Stride::DENSE,
                src_stride: Stride::DENSE,
            },
        );
        let mut out = vec![0; 8 * to.bytes()];
        let p = one(Elem::F32, to, 32, out.len() as i64, vec![cast]);
        launch(&p, &floats(&x), &mut out, 0).expect("correct");
        out
    };
    let ints = |r| -> Vec<i32> {
        run(Elem::I32, r).chunks_exact(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
    };
    assert_eq!(ints(Rounding::Rint), [0, 2, 2, 0, -2, 1_000_000_000, 0, -4]);
    assert_eq!(ints(Rounding::Trunc), [0, 1, 2, 0, -1, 1_000_000_000, 0, -3]);
    assert_eq!(ints(Rounding::Floor), [0, 1, 2, -1, -2, 1_000_000_000, 0, -4]);
    assert_eq!(ints(Rounding::Round), [1, 2, 3, -1, -2, 1_000_000_000, 0, -4]);
    let halves: Vec<f16> =
        run(Elem::F16, Rounding::Rint).chunks_exact(2).map(|c| f16::from_le_bytes([c[0], c[1]])).collect();
    assert_eq!(halves[5], f16::INFINITY);
    assert!(halves[6].is_nan());
    assert_eq!(halves[7].to_f32(), -3.699_218_8);
}

#[test]
fn a_row_is_reduced_and_spread() {
    // 8 rows of 64: sums, each then repeated over a block of 32 bytes.
    let reduce = at(
        20,
        Reduce {
            op: Reduction::Sum,
            elem: Elem::F32,
            dst: Local::new(2, 0),
            src: Local::new(0, 0),
            lanes: 64.into(),
            times: 8.into(),
            dst_step: 1,
            src_stride: Stride::DENSE,
        },
    );
    let spread = at(
        21,
        BlockBroadcast {
            elem: Elem::F32,
            dst: Local::new(1, 0),
            src: Local::new(2, 0),
            times: 1.into(),
            dst_stride: Stride::DENSE,
        },
    );
    let p = one(Elem::F32, Elem::F32, 2048, 256, vec![reduce, spread]);
    let x: Vec<f32> = (0..512).map(|i| (i % 64) as f32 + (i / 64) as f32).collect();
    let mut out = vec![0; 256];
    launch(&p, &floats(&x), &mut out, 3).expect("correct");
    let want: Vec<f32> = (0..64).map(|k| 2016.0 + 64.0 * (k / 8) as f32).collect();
    assert_eq!(to_floats(&out), want);
}

#[test]
fn strides_take_every_second_row() {
    // Rows of 64 f32 (8 blocks): the second operand repeats row 0.
    let add = at(
        20,
        VBinary {
            op: Binary::Mul,
            elem: Elem::F32,
            dst: Local::new(1, 0),
            a: Local::new(0, 0),
            b: Local::new(0, 0),
            span: Span::Repeat { lanes: 10.into(), times: 2.into() },
            dst_stride: Stride::DENSE,
            a_stride: Stride { block: 1, repeat: 16 },
            b_stride: Stride { block: 1, repeat: 0 },
        },
    );
    let fill = at(
        19,
        Duplicate {
            elem: Elem::F32,
            dst: Local::new(1, 0),
            scalar: 0.into(),
            span: dense(128),
            dst_stride: Stride::DENSE,
        },
    );
    let p = one(Elem::F32, Elem::F32, 2048, 512, vec![fill, add]);
    let x: Vec<f32> = (0..512).map(|i| i as f32).collect();
    let mut out = vec![0; 512];
    launch(&p, &floats(&x), &mut out, 3).expect("correct");
    for (k, v) in to_floats(&out).iter().enumerate() {
        let (r, c) = (k / 64, k % 64);
        let want = if c < 10 { x[r * 128 + c] * x[c] } else { 0.0 };
        assert_eq!(*v, want, "row {r} column {c}");
    }
}

#[test]
fn comparisons_select() {
    let cmp = at(
        20,
        CompareScalar {
            op: Compare::Gt,
            elem: Elem::F32,
            dst: Local::new(2, 0),
            a: Local::new(0, 0),
            scalar: i64::from(3.0f32.to_bits()).into(),
            n: 64.into(),
        },
    );
    let select = at(
        21,
        SelectScalar {
            elem: Elem::F32,
            dst: Local::new(1, 0),
            mask: Local::new(2, 0),
            a: Local::new(0, 0),
            scalar: i64::from((-1.0f32).to_bits()).into(),
            n: 64.into(),
        },
    );
    let p = one(Elem::F32, Elem::F32, 256, 256, vec![cmp, select]);
    let mut x: Vec<f32> = (0..64).map(|i| (i % 7) as f32).collect();
    x[5] = f32::NAN;
    let mut out = vec![0; 256];
    launch(&p, &floats(&x), &mut out, 3).expect("correct");
    let want: Vec<f32> = x.iter().map(|v| if *v > 3.0 { *v } else { -1.0 }).collect();
    assert_eq!(to_floats(&out), want);
}

#[test]
fn gathers_and_sorts() {
    let steps = vec![
        at(20, Iota { elem: Elem::I32, dst: Local::new(2, 0), first: 0.into(), n: 32.into() }),
        at(
            21,
            Sort32 {
                elem: Elem::F32,
                dst: Local::new(1, 0),
                values: Local::new(0, 0),
                indices: Local::new(2, 0),
                times: 1.into(),
            },
        ),
    ];
    let p = one(Elem::F32, Elem::F32, 128, 256, steps);
    let x: Vec<f32> = (0..32).map(|i| ((i * 13) % 32) as f32).collect();
    let mut out = vec![0; 256];
    launch(&p, &floats(&x), &mut out, 3).expect("correct");
    for (k, pair) in out.chunks_exact(8).enumerate() {
        let v = f32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]);
        let i = u32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]]);
        assert_eq!(v, 31.0 - k as f32);
        assert_eq!(x[i as usize], v);
    }
}

/// A padded copy of an odd row: what is behind it has the padding's value, and the block's rest is nobody's.
#[test]
fn padding_fills_one_side() {
    let mut p = one(Elem::F32, Elem::F32, 4, 24, vec![]);
    let body = p.vector.as_mut().expect("vector code");
    let Stmt::Issue { instr: Instr::CopyIn(c), .. } = &mut body[0] else { panic!("the copy comes first") };
    c.bytes = 12.into();
    c.dst = Local::new(1, 0);
    c.pad = Some(Fill { left: 1.into(), right: 2.into(), value: i64::from(9.0f32.to_bits()).into() });
    let mut out = vec![0; 24];
    launch(&p, &floats(&[1.0, 2.0, 3.0]), &mut out, 0).expect("correct");
    assert_eq!(to_floats(&out), [9.0, 1.0, 2.0, 3.0, 9.0, 9.0]);
    // One element more was never written.
    let body = p.vector.as_mut().expect("vector code");
    let copy = body.iter_mut().find_map(|s| match s {
        Stmt::Issue { instr: Instr::CopyOut(c), .. } => Some(c),
        _ => None,
    });
    copy.expect("a copy out").bytes = 28.into();
    let e = launch(&p, &floats(&[1.0, 2.0, 3.0]), &mut [0; 28], 0).expect_err("undefined");
    assert!(e.to_string().starts_with("kernel.rs:12:1:"), "{e}");
}

/// Two vector cores add into one place atomically; without the atomic it is a race.
#[test]
fn atomic_copies_need_no_order() {
    let mut p = one(Elem::F32, Elem::F32, 256, 256, vec![]);
    let body = p.vector.as_mut().expect("vector code");
    for s in body.iter_mut() {
        match s {
            Stmt::Issue { instr: Instr::CopyIn(c), .. } => c.dst = Local::new(1, 0),
            Stmt::Issue { instr: Instr::CopyOut(c), .. } => c.atomic = Atomic::Add,
            _ => {}
        }
    }
    let x = floats(&[1.5; 64]);
    let go = |p: &Program| {
        let mut out = floats(&[0.25; 64]);
        let one = || (vec![64], vec![1]);
        let args = vec![
            Arg::View { bytes: &x, origin: 0, dims: one().0, strides: one().1 },
            Arg::ViewMut { bytes: &mut out, origin: 0, dims: one().0, strides: one().1 },
        ];
        let r = run(p, Launch { grid: [1; 3], blocks: 5, args, options: Options::default() });
        r.map(|_| to_floats(&out))
    };
    assert_eq!(go(&p).expect("correct"), vec![0.25 + 7.5; 64]);
    for s in p.vector.as_mut().expect("vector code") {
        if let Stmt::Issue { instr: Instr::CopyOut(c), .. } = s {
            c.atomic = Atomic::None;
        }
    }
    let e = go(&p).expect_err("a race").to_string();
    assert!(e.contains("written twice in no order"), "{e}");
}
