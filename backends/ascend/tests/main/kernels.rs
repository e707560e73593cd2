//! Softmax, a norm and a residual sum, on awkward widths.

use super::harness::launch;
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::{BinaryOp, Builder, Const, Elem, Kernel, ReduceOp, UnaryOp};

pub fn view(buffer: usize, dims: [i64; 2], mutable: bool) -> EagerArg {
    EagerArg::View { buffer, offset: 0, dims: dims.to_vec(), strides: vec![dims[1], 1], mutable }
}

/// Softmax of rows no wider than `n`. Grid: (rows).
pub fn softmax(elem: Elem, n: usize) -> Kernel {
    let mut b = Builder::new("softmax");
    let (x, y) = (b.view("x", elem, 2), b.view_mut("y", elem, 2));
    let (row, zero) = (b.program_id(0), b.i32(0));
    let (x, y) = (b.at(x, &[row]), b.at(y, &[row]));
    let v = b.load_or(x, &[zero], &[n], Const::float(f32::NEG_INFINITY));
    let v = b.cast(v, Elem::F32);
    let max = b.reduce(ReduceOp::Max, v, 0);
    let max = b.broadcast(max, &[], &[n]);
    let d = b.binary(BinaryOp::Sub, v, max);
    let e = b.unary(UnaryOp::Exp, d);
    let sum = b.reduce(ReduceOp::Sum, e, 0);
    let sum = b.broadcast(sum, &[], &[n]);
    let out = b.binary(BinaryOp::Div, e, sum);
    let out = b.cast(out, elem);
    b.store(y, &[zero], out);
    b.finish().expect("valid")
}

#[test]
fn softmax_of_awkward_widths() {
    for (elem, tolerance) in [(Elem::F32, 1e-6), (Elem::F16, 1e-3), (Elem::BF16, 8e-3)] {
        for (rows, width) in [(1, 1), (3, 17), (7, 64), (2, 131), (5, 256)] {
            let kernel = softmax(elem, 256);
            let x: Vec<f32> = (0..rows * width).map(|i| ((i * 37) % 23) as f32 / 4.0 - 2.0).collect();
            let buffers =
                vec![EagerBuffer::from_f32(elem, &x), EagerBuffer::zeros(elem, (rows * width) as usize)];
            let args = [view(0, [rows, width], false), view(1, [rows, width], true)];
            let grid = [rows as u32, 1, 1];
            let mut want = buffers.clone();
            interpret(&kernel, grid, &mut want, &args, &mut Options::default()).expect("eager mode runs it");
            for seed in 0..3 {
                let mut got = buffers.clone();
                launch(&kernel, grid, &mut got, &args, 2, seed)
                    .unwrap_or_else(|e| panic!("{elem} {width}: {e}"));
                for (i, (w, g)) in want[1].to_f32().iter().zip(got[1].to_f32()).enumerate() {
                    // Exponentials and quotients within an ulp or two of f32; narrow results one step.
                    assert!(
                        (w - g).abs() <= tolerance * w.abs(),
                        "{elem} {rows}x{width} at {i}: {g}, want {w}"
                    );
                }
            }
        }
    }
}
