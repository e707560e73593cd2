//! Programs in another order than the grid's, or several in one group: each is made once.

use super::open;
use kcc_amd::chips::CHIPS;
use kcc_backend_tests::emulate::{self, Run};
use kcc_backend_tests::simulate::{How, compile_ideal, run_with};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{Builder, Elem, Kernel};
use kcc_gcn::Object;

/// Each program adds 1 to its own element, and says its number there.
fn number() -> Kernel {
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
    b.finish().expect("valid")
}

#[test]
fn each_program_runs_once_on_several_dies() {
    let kernel = number();
    for grid in [[5, 2, 1], [1, 1, 1], [3, 1, 1], [8, 3, 1]] {
        let n = i64::from(grid[0] * grid[1]);
        let mut buffers = [EagerBuffer::zeros(Elem::I32, n as usize)];
        let view = EagerArg::dense(0, &[n], true);
        let how = How { knobs: &[("dies", "4"), ("warps", "1")], ..How::default() };
        run_with(&kernel, grid, &mut buffers, &[view], &open("sim:gfx942"), how).expect("runs");
        assert_eq!(buffers[0].to_i64(), (1..=n).collect::<Vec<_>>(), "{grid:?}");
    }
}

#[test]
fn persistent_programs_learn_the_number_of_groups_from_declared_arguments() {
    let kernel = number();
    let knobs = [("persistent", "1"), ("warps", "1")];
    for chip in CHIPS {
        let target = open(&format!("amd:{}", chip.name));
        let artifact = compile_ideal(&kernel, &target, &knobs).expect("compiles");
        let object = Object::load(&artifact.bytes, &artifact.symbol).expect("a code object");
        let (registers, hidden) = object.asks_for();
        assert!(registers.is_empty() && hidden.contains(&"hidden_block_count_x"), "{}", chip.name);
        for grid in [[5, 2, 1], [1, 1, 1], [3, 1, 1]] {
            let n = i64::from(grid[0] * grid[1]);
            let mut buffers = [EagerBuffer::zeros(Elem::I32, n as usize)];
            let view = EagerArg::dense(0, &[n], true);
            let run = Run { kernel: &kernel, grid, args: &[view], seed: 1 };
            emulate::run(run, &mut buffers, &target, &knobs).unwrap_or_else(|e| panic!("{}: {e}", chip.name));
            assert_eq!(buffers[0].to_i64(), (1..=n).collect::<Vec<_>>(), "{} {grid:?}", chip.name);
        }
    }
}
