//! Warpgroup products and bulk copies on the simulator against eager mode, for shapes that fill no tile.

use super::open;
use kcc_backend_tests::kernels::{attention, matmul};
use kcc_backend_tests::simulate::{How, numbers, run_with};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::{Elem, Kernel};

fn check(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &[EagerBuffer],
    args: &[EagerArg],
    knobs: &[(&str, &str)],
    tolerance: f32,
) {
    let mut expected = buffers.to_vec();
    interpret(kernel, grid, &mut expected, args, &mut Options::default()).expect("eager mode runs it");
    let target = open("sim:sm_90a");
    for seed in 0..2 {
        let mut got = buffers.to_vec();
        let ran = run_with(kernel, grid, &mut got, args, &target, How { knobs, bulk: true, seed });
        let (_, meta) = ran.unwrap_or_else(|e| panic!("{e}"));
        assert!(!meta.tensor_maps.is_empty(), "no bulk copy was used");
        let last = buffers.len() - 1;
        let (want, have) = (expected[last].to_f32(), got[last].to_f32());
        for (i, (w, h)) in want.iter().zip(&have).enumerate() {
            assert!((w - h).abs() <= tolerance * w.abs().max(1.0), "element {i}: {h}, eager mode says {w}");
        }
    }
}

fn product(elem: Elem, (m, n, k): (i64, i64, i64), block: (usize, usize, usize), knobs: &[(&str, &str)]) {
    let kernel = matmul(elem, block.0, block.1, block.2);
    let buffers = [
        EagerBuffer::from_f32(elem, &numbers((m * k) as usize, 1)),
        EagerBuffer::from_f32(elem, &numbers((k * n) as usize, 2)),
        EagerBuffer::zeros(if elem == Elem::I8 { Elem::I32 } else { Elem::F32 }, (m * n) as usize),
    ];
    let args = [
        EagerArg::dense(0, &[m, k], false),
        EagerArg::dense(1, &[k, n], false),
        EagerArg::dense(2, &[m, n], true),
    ];
    let grid = [(m as usize).div_ceil(block.0) as u32, (n as usize).div_ceil(block.1) as u32, 1];
    // Multiples of 1/64 below 64: every product and every sum is exact in f32.
    check(&kernel, grid, &buffers, &args, knobs, 0.0);
}

#[test]
fn products_of_one_group_of_warps() {
    product(Elem::BF16, (100, 72, 200), (64, 64, 64), &[("warps", "4")]);
}

#[test]
fn products_without_roles_are_the_same() {
    product(Elem::F16, (70, 136, 104), (64, 128, 32), &[("warps", "4"), ("specialise", "0")]);
}

#[test]
fn products_of_two_groups_hand_over_registers() {
    product(Elem::BF16, (150, 264, 136), (128, 256, 64), &[("warps", "8")]);
    product(Elem::F16, (64, 136, 72), (64, 128, 64), &[("warps", "8")]);
}

#[test]
fn products_of_narrow_and_reduced_operands() {
    // Eighths from -1 to 1 are exact in tf32 and f8e4m3 (f8e5m2 rounds them first); as i8 they are -1, 0 and 1.
    for elem in [Elem::F32, Elem::F8E4M3, Elem::F8E5M2, Elem::I8] {
        product(elem, (100, 80, 208), (64, 64, 64), &[("warps", "4")]);
        product(elem, (130, 144, 96), (128, 64, 32), &[("warps", "8")]);
    }
}

#[test]
fn persistent_products_take_one_tile_after_another() {
    let knobs = [("warps", "4"), ("persistent", "1")];
    product(Elem::BF16, (200, 136, 136), (64, 64, 64), &knobs);
    let knobs = [("warps", "8"), ("persistent", "1")];
    product(Elem::BF16, (300, 136, 72), (128, 128, 64), &knobs);
    let knobs = [("warps", "4"), ("persistent", "1"), ("specialise", "0")];
    product(Elem::F16, (130, 72, 104), (64, 64, 32), &knobs);
}

#[test]
fn attention_of_awkward_lengths() {
    // Two groups of warps take turns at the products.
    for (len, rows, width, warps) in
        [(130, 64, 64, "4"), (77, 64, 128, "4"), (300, 128, 64, "8"), (40, 128, 128, "8")]
    {
        let kernel = attention(Elem::BF16, rows, 64, width);
        let n = len * width;
        let mut buffers: Vec<EagerBuffer> =
            (0..3).map(|i| EagerBuffer::from_f32(Elem::BF16, &numbers(n, 20 + i))).collect();
        buffers.push(EagerBuffer::zeros(Elem::F32, n));
        let d = [len as i64, width as i64];
        let args: Vec<EagerArg> = (0..4).map(|i| EagerArg::dense(i, &d, i == 3)).collect();
        // Weights are rounded to bf16 (2^-9 relative) on both sides, from scores whose exponentials differ by a few ulp:
        // one step of bf16 at worst.
        check(&kernel, [len.div_ceil(rows) as u32, 1, 1], &buffers, &args, &[("warps", warps)], 1.0 / 128.0);
    }
}

#[test]
fn an_operand_that_the_engine_cannot_read_is_stored_by_threads() {
    // Rows of `b` are 62 and 140 bytes apart: no multiple of 16.
    product(Elem::F16, (17, 31, 200), (64, 64, 64), &[("warps", "4")]);
    product(Elem::BF16, (33, 70, 96), (64, 64, 64), &[("warps", "4")]);
}
