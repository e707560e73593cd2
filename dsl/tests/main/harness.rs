//! Runs a kernel twice, natively and from its recorded IR, and compares what it wrote.

use kcc_dsl::KernelDef;
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret, run};
use kcc_dsl::ir::{Elem, Kernel, OpKind};

/// An argument of a test.
#[derive(Clone)]
pub enum Arg {
    /// A view of floats.
    F(Elem, Vec<f32>, Vec<i64>),
    /// A view of integers.
    I(Elem, Vec<i64>, Vec<i64>),
    /// A scalar.
    S(u64),
}

/// A vector of `f32`.
pub fn f32s(v: &[f32]) -> Arg {
    Arg::F(Elem::F32, v.to_vec(), vec![v.len() as i64])
}

/// A vector of `i32`.
pub fn i32s(v: &[i64]) -> Arg {
    Arg::I(Elem::I32, v.to_vec(), vec![v.len() as i64])
}

/// A matrix of `f32`.
pub fn matrix(v: &[f32], rows: i64, cols: i64) -> Arg {
    Arg::F(Elem::F32, v.to_vec(), vec![rows, cols])
}

/// An integer scalar.
pub fn int(v: i64) -> Arg {
    Arg::S(v as u64)
}

/// Runs the kernel both ways; the buffers of the views afterwards, in order.
pub fn both<A>(kernel: &KernelDef<A>, grid: [u32; 3], args: &[Arg]) -> Vec<EagerBuffer> {
    let mut buffers = Vec::new();
    let mut eager = Vec::new();
    for a in args {
        let (buffer, dims) = match a {
            Arg::S(bits) => {
                eager.push(EagerArg::Scalar(*bits));
                continue;
            }
            Arg::F(e, v, dims) => (EagerBuffer::from_f32(*e, v), dims),
            Arg::I(e, v, dims) => (EagerBuffer::from_i64(*e, v), dims),
        };
        eager.push(EagerArg::dense(buffers.len(), dims, true));
        buffers.push(buffer);
    }
    let traced = kernel.trace().unwrap();
    let mut from_ir = buffers.clone();
    interpret(&traced, grid, &mut from_ir, &eager, &mut Options::default()).unwrap();
    run(kernel.erased(), grid, &mut buffers, &eager, &mut Options::default()).unwrap();
    for (a, b) in buffers.iter().zip(&from_ir) {
        assert_eq!(a.bytes(), b.bytes(), "native and recorded runs differ");
    }
    buffers
}

/// How many operations satisfy `wanted`.
pub fn count(k: &Kernel, wanted: impl Fn(&OpKind) -> bool) -> usize {
    let mut n = 0;
    k.walk(&mut |op| n += usize::from(wanted(&op.kind)));
    n
}
