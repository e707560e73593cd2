//! Programs in the order of dies: each is made once.

use super::open;
use kcc_backend_tests::simulate::{How, run_with};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{Builder, Elem};

#[test]
fn each_program_runs_once_on_several_dies() {
    // Each program adds 1 to its own element, and says its number there.
    let mut b = Builder::new("number");
    let y = b.view_mut("y", Elem::I32, 1);
    let (p0, p1, n0) = (b.program_id(0), b.program_id(1), b.num_programs(0));
    let row = b.mul(p1, n0);
    let own = b.add(row, p0);
    let was = b.load(y, &[own], &[1]);
    let wide = b.broadcast(own, &[], &[1]);
    let sum = b.add(was, wide);
    let one = b.full(Elem::I32, &[1], 1.0);
    let sum = b.add(sum, one);
    b.store(y, &[own], sum);
    let kernel = b.finish().expect("valid");
    for grid in [[5, 2, 1], [1, 1, 1], [3, 1, 1], [8, 3, 1]] {
        let n = i64::from(grid[0] * grid[1]);
        let mut buffers = [EagerBuffer::zeros(Elem::I32, n as usize)];
        let view = EagerArg::dense(0, &[n], true);
        let how = How { knobs: &[("dies", "4"), ("warps", "1")], ..How::default() };
        run_with(&kernel, grid, &mut buffers, &[view], &open("sim:gfx942"), how).expect("runs");
        assert_eq!(buffers[0].to_i64(), (1..=n).collect::<Vec<_>>(), "{grid:?}");
    }
}
