//! Cube cores: fractals, products, the way out, and flags to vector cores.

use crate::build::*;
use half::f16;
use kcc_davinci::ir::*;
use kcc_davinci::{Error, FaultKind};
use kcc_dsl::ir::Elem;

/// c[m, n] = a[m, k] · b[k, n] with 16-bit operands, all in order; k is filled up to 16 with zeros.
pub fn product(m: i64, n: i64, k: i64) -> Program {
    let up = |x: i64| (x + 15) / 16 * 16;
    let (mu, nu, ku) = (up(m), up(n), up(k));
    let nz = |dst: u32, src: u32, rows: i64, columns: i64, high: i64| {
        at(
            10 + src,
            NdToNz {
                dst: Local::new(dst, 0),
                src: Global::of(src, 0),
                elem: Elem::F16,
                matrices: 1.into(),
                rows: rows.into(),
                columns: columns.into(),
                src_matrix: 0.into(),
                src_row: columns.into(),
                dst_column: high.into(),
                dst_row: 1.into(),
                dst_matrix: 1.into(),
            },
        )
    };
    let zero = |dst: u32, bytes: i64| {
        let blocks = (bytes / 32).into();
        at(
            9,
            FillL1 {
                dst: Local::new(dst, 0),
                elem: Elem::F16,
                times: 1.into(),
                blocks,
                gap: 0.into(),
                value: 0.into(),
            },
        )
    };
    let mut cube = vec![
        zero(0, mu * ku * 2),
        zero(1, ku * nu * 2),
        barrier(Pipes::One(Pipe::Mte2)),
        nz(0, 0, m, k, mu),
        nz(1, 1, k, n, ku),
        set(Pipe::Mte2, Pipe::Mte1, 0),
        wait(Pipe::Mte2, Pipe::Mte1, 0),
    ];
    for r in 0..mu / 16 {
        cube.push(at(
            20,
            LoadData {
                dst: Local::new(2, r * ku / 16 * 512),
                src: Local::new(0, 0),
                elem: Elem::F16,
                start: r.into(),
                times: (ku / 16).into(),
                src_stride: (mu / 16).into(),
                dst_gap: 0.into(),
                transpose: false,
            },
        ));
    }
    for d in 0..ku / 16 {
        // Row-major [k, n] in columns of fractals; the operand wants columns inside a fractal: transposed on the way.
        cube.push(at(
            21,
            LoadData {
                dst: Local::new(3, d * nu / 16 * 512),
                src: Local::new(1, 0),
                elem: Elem::F16,
                start: d.into(),
                times: (nu / 16).into(),
                src_stride: (ku / 16).into(),
                dst_gap: 0.into(),
                transpose: true,
            },
        ));
    }
    cube.extend([
        set(Pipe::Mte1, Pipe::M, 0),
        wait(Pipe::Mte1, Pipe::M, 0),
        at(
            22,
            Mmad {
                dst: Local::new(4, 0),
                a: Local::new(2, 0),
                b: Local::new(3, 0),
                elem: Elem::F16,
                m: mu.into(),
                n: nu.into(),
                k: ku.into(),
                init: true,
            },
        ),
        set(Pipe::M, Pipe::Fix, 0),
        wait(Pipe::M, Pipe::Fix, 0),
        at(
            23,
            Fixpipe {
                dst: Global::of(2, 0),
                src: Local::new(4, 0),
                elem: Elem::F32,
                m: m.into(),
                n: n.into(),
                src_stride: mu.into(),
                dst_stride: n.into(),
                quant: Quant::None,
                relu: false,
                atomic: Atomic::None,
            },
        ),
        barrier(Pipes::All),
    ]);
    Program {
        name: "product".into(),
        chip: "ascend910b".into(),
        params: vec![
            view("a", Elem::F16, 2, false),
            view("b", Elem::F16, 2, false),
            view("c", Elem::F32, 2, true),
        ],
        buffers: vec![
            buffer("a1", Space::L1, Elem::F16, Layout::Nz, 8192, 1, 0),
            buffer("b1", Space::L1, Elem::F16, Layout::Nz, 8192, 1, 8192),
            buffer("a0", Space::L0a, Elem::F16, Layout::Zz, 8192, 1, 0),
            buffer("b0", Space::L0b, Elem::F16, Layout::Zn, 8192, 1, 0),
            buffer("c0", Space::L0c, Elem::F32, Layout::Nz, 16384, 1, 0),
        ],
        workspace: 0,
        cube: Some(cube),
        vector: None,
        locs: locs(),
    }
}

pub fn halves(n: i64, f: impl Fn(i64) -> f32) -> Vec<u8> {
    (0..n).flat_map(|i| f16::from_f32(f(i)).to_le_bytes()).collect()
}

#[test]
fn a_product_of_awkward_shapes() {
    for (m, n, k) in [(16, 16, 16), (48, 32, 64), (17, 5, 33), (2, 61, 3)] {
        // Small whole numbers: sums are exact.
        let (fa, fb) = (|i: i64| (i * 7 % 11) as f32 - 5.0, |i: i64| (i * 5 % 13) as f32 - 6.0);
        let mut out = vec![0; (m * n * 4) as usize];
        for seed in 0..4 {
            let r = launch_all(&product(m, n, k), &[&halves(m * k, fa), &halves(k * n, fb)], &mut out, seed);
            r.unwrap_or_else(|e| panic!("{m} {n} {k}: {e}"));
            for (i, v) in to_floats(&out).iter().enumerate() {
                let (r, c) = (i as i64 / n, i as i64 % n);
                let want: f32 = (0..k).map(|d| fa(r * k + d) * fb(d * n + c)).sum();
                assert_eq!(*v, want, "{m} {n} {k} at {r} {c}");
            }
        }
    }
}

/// Leaves out statement `skip` of the cube's code.
fn without(p: &Program, skip: usize) -> Program {
    let mut p = p.clone();
    p.cube.as_mut().expect("cube code").remove(skip);
    p
}

#[test]
fn every_wait_of_a_product_matters() {
    let p = product(32, 32, 32);
    let n = p.cube.as_ref().map_or(0, Vec::len);
    let (a, b) = (halves(1024, |i| (i % 3) as f32), halves(1024, |i| (i % 5) as f32));
    for skip in 0..n - 1 {
        let q = without(&p, skip);
        let Some(Stmt::Issue { instr, .. }) = p.cube.as_ref().map(|c| &c[skip]) else { continue };
        if !instr.is_sync() {
            continue;
        }
        let caught = (0..4).all(|seed| launch_all(&q, &[&a, &b], &mut vec![0; 4096], seed).is_err());
        assert!(caught, "nobody missed statement {skip}: {}", instr.name());
    }
}

#[test]
fn rows_that_nobody_filled_are_undefined() {
    // Without the zeros, k = 17 leaves fractals that no copy wrote.
    let mut p = product(16, 16, 17);
    p.cube.as_mut().expect("cube code").drain(0..3);
    let (a, b) = (halves(16 * 17, |_| 1.0), halves(16 * 17, |_| 1.0));
    let e = launch_all(&p, &[&a, &b], &mut vec![0; 1024], 0).expect_err("undefined");
    assert!(matches!(&e, Error::Fault(f) if f.kind == FaultKind::Undefined), "{e}");
}

#[test]
fn one_row_is_refused() {
    let mut p = product(16, 16, 16);
    for s in p.cube.as_mut().expect("cube code") {
        if let Stmt::Issue { instr: Instr::Mmad(m), .. } = s {
            m.m = 1.into();
        }
    }
    let e = kcc_davinci::verify(&p).expect_err("a vector").to_string();
    assert!(e.contains("m is 1; it must be 2 to 4095"), "{e}");
}
