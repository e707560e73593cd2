//! Products end to end: kernels of the tile IR to code that the assembler takes, without spills.

use super::assemble::assemble_for;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::{BinaryOp, Builder, Elem, Kernel, ReduceOp, Type, UnaryOp};
use kcc_nvidia::Nvidia;

/// `c = a · b` in blocks of `bm` by `bn`, steps of `bk`.
pub fn matmul(elem: Elem, (bm, bn, bk): (usize, usize, usize)) -> Kernel {
    let mut b = Builder::new("matmul");
    let (x, y) = (b.view("a", elem, 2), b.view("b", elem, 2));
    let out = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let c = b.view_mut("c", out, 2);
    let (i, j) = (b.program_id(0), b.program_id(1));
    let (sm, sn, zero, step) = (b.i32(bm as i32), b.i32(bn as i32), b.i32(0), b.i32(bk as i32));
    let (m, n) = (b.mul(i, sm), b.mul(j, sn));
    let len = b.dim(x, 1);
    let acc = if out == Elem::I32 {
        b.constant(out, &[bm, bn], kcc_dsl::ir::Const::Int(0))
    } else {
        b.full(out, &[bm, bn], 0.0)
    };
    let sum = b.for_([zero, len, step], &[acc], |b, k, carried| {
        let left = b.load(x, &[m, k], &[bm, bk]);
        let right = b.load(y, &[k, n], &[bk, bn]);
        vec![b.dot(left, right, carried[0])]
    });
    b.store(c, &[m, n], sum[0]);
    b.finish().expect("valid")
}

/// One head of attention: `o = softmax(q · kᵀ) · v`, keys in blocks of `bn`.
pub fn attention(elem: Elem, (bm, bn, width): (usize, usize, usize)) -> Kernel {
    let mut b = Builder::new("attention");
    let (q, k, v) = (b.view("q", elem, 2), b.view("k", elem, 2), b.view("v", elem, 2));
    let o = b.view_mut("o", elem, 2);
    let pid = b.program_id(0);
    let (sm, zero, step) = (b.i32(bm as i32), b.i32(0), b.i32(bn as i32));
    let m = b.mul(pid, sm);
    let len = b.dim(k, 0);
    let queries = b.load(q, &[m, zero], &[bm, width]);
    let most = b.full(Elem::F32, &[bm], -1e30);
    let sum = b.full(Elem::F32, &[bm], 0.0);
    let acc = b.full(Elem::F32, &[bm, width], 0.0);
    let out = b.for_([zero, len, step], &[most, sum, acc], |b, n, c| {
        let keys = b.load(k, &[n, zero], &[bn, width]);
        let keys = b.transpose(keys, &[1, 0]);
        let none = b.full(Elem::F32, &[bm, bn], 0.0);
        let s = b.dot(queries, keys, none);
        let top = b.reduce(ReduceOp::Max, s, 1);
        let top = b.binary(BinaryOp::Max, c[0], top);
        let wide = b.broadcast(top, &[0], &[bm, bn]);
        let p = b.sub(s, wide);
        let p = b.unary(UnaryOp::Exp2, p);
        let scale = b.sub(c[0], top);
        let scale = b.unary(UnaryOp::Exp2, scale);
        let row = b.reduce(ReduceOp::Sum, p, 1);
        let sum = b.fma(c[1], scale, row);
        let scale = b.broadcast(scale, &[0], &[bm, width]);
        let acc = b.mul(c[2], scale);
        let values = b.load(v, &[n, zero], &[bn, width]);
        let p = b.cast(p, elem);
        vec![top, sum, b.dot(p, values, acc)]
    });
    let sum = b.broadcast(out[1], &[0], &[bm, width]);
    let r = b.div(out[2], sum);
    let r = b.cast(r, elem);
    b.store(o, &[m, zero], r);
    b.finish().expect("valid")
}

/// Code of a kernel whose views are contiguous and aligned.
pub fn compile(kernel: &Kernel, target: &str, knobs: &[(&str, &str)]) -> String {
    let args = kernel.params.iter().map(|p| match p.kind.ty() {
        Type::View { rank, .. } => ArgSpec::ideal(rank),
        Type::Tile(_) => ArgSpec::default(),
    });
    let artifact = compile_artifact(kernel, target, knobs, &args.collect::<Vec<_>>());
    String::from_utf8(artifact.bytes).expect("code is text")
}

/// A kernel compiled for arguments of which this is known.
pub fn compile_artifact(kernel: &Kernel, target: &str, knobs: &[(&str, &str)], args: &[ArgSpec]) -> Artifact {
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.into(),
        args: args.to_vec(),
        options: knobs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    let chip = Nvidia::open(target).expect("a known chip");
    let dump = std::env::var_os("KCC_TEST_DUMP").map(Into::into);
    let options = Options { dump, ..Options::default() };
    let artifact = Session::new().compile(&request, &chip, &options);
    artifact.unwrap_or_else(|e| panic!("{}: {e:?}", kernel.name))
}

fn count(text: &str, what: &str) -> usize {
    text.lines().filter(|l| l.contains(what)).count()
}

#[test]
fn a_product_reads_matrices_and_copies_ahead() {
    let ptx = compile(&matmul(Elem::BF16, (64, 64, 64)), "nvidia:sm_80", &[("warps", "4")]);
    // A warp's part is 32×32: 2·4 fragments, 4 steps along k.
    assert_eq!(count(&ptx, "mma.sync"), 2 * 4 * 4, "{ptx}");
    // Per step two loads of a (32 rows) and two of b (32 columns).
    assert_eq!(count(&ptx, "ldmatrix"), 4 * 4, "{ptx}");
    assert!(ptx.contains("cp.async.cg"), "{ptx}");
    assemble_for(&ptx, "sm_80");
}

#[test]
fn attention_keeps_probabilities_in_registers() {
    let ptx = compile(&attention(Elem::BF16, (64, 64, 64)), "nvidia:sm_80", &[("warps", "4")]);
    // 8 columns of fragments by 4 steps, twice.
    assert_eq!(count(&ptx, "mma.sync"), 2 * 8 * 4, "{ptx}");
    assemble_for(&ptx, "sm_80");
}

#[test]
fn operands_of_every_kind_assemble() {
    for (elem, chip) in [
        (Elem::F16, "sm_80"),
        (Elem::I8, "sm_80"),
        (Elem::F8E4M3, "sm_80"),
        (Elem::F8E4M3, "sm_89"),
        (Elem::F8E5M2, "sm_89"),
        (Elem::F32, "sm_80"),
    ] {
        let ptx = compile(&matmul(elem, (64, 64, 64)), &format!("nvidia:{chip}"), &[]);
        assemble_for(&ptx, chip);
    }
}

#[test]
fn tiles_smaller_than_an_instruction_assemble() {
    for shape in [(1, 64, 64), (16, 16, 16), (4, 8, 32), (64, 1, 64), (48, 96, 48)] {
        for elem in [Elem::F16, Elem::F32] {
            let ptx = compile(&matmul(elem, shape), "nvidia:sm_80", &[]);
            assemble_for(&ptx, "sm_80");
        }
    }
}
