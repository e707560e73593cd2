//! Views as memory gives them: strides of any sign and size, and axes without elements.

use crate::harness::{compile, specs};
use crate::smoke::{check, numbers};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{Builder, Elem, Kernel};

/// `y = 2 x`, block by block of a matrix.
fn double(elem: Elem, rows: usize, cols: usize) -> Kernel {
    let mut b = Builder::new("double");
    let (x, y) = (b.view("x", elem, 2), b.view_mut("y", elem, 2));
    let (pm, pn) = (b.program_id(0), b.program_id(1));
    let (sm, sn) = (b.i32(rows as i32), b.i32(cols as i32));
    let (m, n) = (b.mul(pm, sm), b.mul(pn, sn));
    let t = b.load(x, &[m, n], &[rows, cols]);
    let t = b.add(t, t);
    b.store(y, &[m, n], t);
    b.finish().expect("valid")
}

fn strided(buffer: usize, offset: i64, dims: [i64; 2], strides: [i64; 2], mutable: bool) -> EagerArg {
    EagerArg::View { buffer, offset, dims: dims.to_vec(), strides: strides.to_vec(), mutable }
}

#[test]
fn strides_may_be_negative_zero_and_without_a_unit_axis() {
    let k = double(Elem::F32, 4, 20);
    let buffers = [EagerBuffer::from_f32(Elem::F32, &numbers(2000, 5)), EagerBuffer::zeros(Elem::F32, 2000)];
    let dims = [7, 23];
    for (offset, strides) in
        [(0, [-23, 1]), (0, [23, -1]), (0, [-1, -7]), (0, [0, 1]), (0, [1, 0]), (0, [69, 3]), (0, [0, 0])]
    {
        let low: i64 = dims.iter().zip(&strides).map(|(d, s)| (d - 1) * std::cmp::min(*s, 0i64)).sum();
        let x = strided(0, offset - low, dims, strides, false);
        // Every element of the output has a place of its own, reached backwards.
        let y = strided(1, 6 * 50 + 22 * 2, dims, [-50, -2], true);
        check(&k, [2, 2, 1], &buffers, &[x, y], 0.0);
    }
}

#[test]
fn views_without_elements_are_not_touched() {
    let k = double(Elem::BF16, 4, 16);
    let buffers = [EagerBuffer::zeros(Elem::BF16, 1), EagerBuffer::from_f32(Elem::BF16, &[3.0])];
    for dims in [[0, 5], [5, 0], [0, 0]] {
        let args = [strided(0, 0, dims, [5, 1], false), strided(1, 0, dims, [5, 1], true)];
        check(&k, [2, 1, 1], &buffers, &args, 0.0);
    }
}

#[test]
fn offsets_beyond_two_to_the_31_elements_are_reached() {
    // Rows 1 GiB apart; zeroed memory that nobody writes takes no pages.
    let far = (1i64 << 30) + 72;
    let k = double(Elem::U8, 4, 32);
    for (dims, strides) in [([3, 32], [far, 1]), ([32, 3], [1, far]), ([3, 32], [far, 2])] {
        let mut buffers = [EagerBuffer::zeros(Elem::U8, 3 * far as usize), EagerBuffer::zeros(Elem::U8, 96)];
        let at = |i: i64, j: i64| (i * strides[0] + j * strides[1]) as usize;
        let points: Vec<(i64, i64)> = (0..dims[0]).flat_map(|i| (0..dims[1]).map(move |j| (i, j))).collect();
        for (i, j) in &points {
            buffers[0].bytes_mut()[at(*i, *j)] = (i * 40 + j + 1) as u8;
        }
        let args = [strided(0, 0, dims, strides, false), strided(1, 0, dims, [dims[1], 1], true)];
        for target in crate::harness::targets() {
            let loaded = compile(&k, &specs(&k, &args), target).expect("it compiles");
            buffers[1].bytes_mut().fill(0);
            let grid = [dims[0].div_euclid(4) as u32 + 1, dims[1].div_euclid(32) as u32 + 1, 1];
            assert_eq!(loaded.run(grid, &mut buffers, &args), 0);
            for (n, (i, j)) in points.iter().enumerate() {
                assert_eq!(
                    buffers[1].bytes()[n],
                    (2 * (i * 40 + j + 1)) as u8,
                    "{target} {strides:?} ({i}, {j})"
                );
            }
        }
    }
}
