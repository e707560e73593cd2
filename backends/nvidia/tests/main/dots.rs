//! Products end to end: kernels of the tile IR to code that the assembler takes, without spills.

use super::assemble::assemble_for;
use super::open;
use kcc_backend_tests::kernels::attention_to;
use kcc_backend_tests::simulate::compile_ideal;
use kcc_dsl::ir::{Builder, Elem, Kernel};

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

/// Code of a kernel whose views are contiguous and aligned.
pub fn compile(kernel: &Kernel, target: &str, knobs: &[(&str, &str)]) -> String {
    let artifact = compile_ideal(kernel, &open(target), knobs);
    let artifact = artifact.unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
    String::from_utf8(artifact.bytes).expect("code is text")
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
    let ptx = compile(&attention_to(Elem::BF16, Elem::BF16, 64, 64, 64), "nvidia:sm_80", &[("warps", "4")]);
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
