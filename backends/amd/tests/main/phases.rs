//! Groups of waves that alternate between products and the rest: results, instructions, barriers.

use super::disassembly::{Instruction, count, disassemble};
use super::open;
use kcc_backend_tests::emulate::{self, Run};
use kcc_backend_tests::kernels::matmul;
use kcc_backend_tests::mutate::Subject;
use kcc_backend_tests::simulate::{How, compile_ideal, numbers, run_with};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::Elem;

const ALTERNATE: &[(&str, &str)] = &[("warps", "8"), ("ping_pong", "1")];

/// Rows, columns and depth: no turn, one, an odd number with a last one of a part of a tile, more than the tile.
const SHAPES: [(usize, usize, usize); 4] = [(5, 7, 0), (64, 64, 64), (61, 59, 150), (64, 33, 321)];

#[test]
fn products_in_phases_agree_with_eager_mode_as_modules_and_as_machine_code() {
    for (chip, elem) in [
        ("gfx90a", Elem::F16),
        ("gfx942", Elem::BF16),
        ("gfx942", Elem::I8),
        ("gfx950", Elem::BF16),
        ("gfx950", Elem::F8E4M3),
    ] {
        let bk = if elem == Elem::F8E4M3 { 256 } else { 64 };
        let kernel = matmul(elem, 64, 64, bk);
        let (sim, device) = (open(&format!("sim:{chip}")), open(&format!("amd:{chip}")));
        let artifact = compile_ideal(&kernel, &sim, ALTERNATE).expect("compiles");
        let counters = &artifact.gpu.as_ref().expect("launch facts").counters;
        assert!(counters.iter().any(|(name, n)| name == "phases" && *n == 1), "{chip} {elem}: {counters:?}");
        for (m, n, k) in SHAPES {
            let sums = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
            let mut wanted = vec![
                EagerBuffer::from_f32(elem, &numbers(m * k, 1)),
                EagerBuffer::from_f32(elem, &numbers(k * n, 2)),
                EagerBuffer::zeros(sums, m * n),
            ];
            let before = wanted.clone();
            let dims = [[m, k], [k, n], [m, n]].map(|d| d.map(|e| e as i64));
            let args: Vec<EagerArg> = (0..3).map(|i| EagerArg::dense(i, &dims[i], i == 2)).collect();
            interpret(&kernel, [1; 3], &mut wanted, &args, &mut Options::default()).expect("eager mode");
            for seed in 0..3 {
                let mut got = before.clone();
                let how = How { knobs: ALTERNATE, seed, ..How::default() };
                run_with(&kernel, [1; 3], &mut got, &args, &sim, how)
                    .unwrap_or_else(|e| panic!("{chip} {elem} {m} {n} {k}: {e}"));
                assert_eq!(wanted[2].to_f32(), got[2].to_f32(), "{chip} {elem} {m} {n} {k}");
                let mut got = before.clone();
                let run = Run { kernel: &kernel, grid: [1; 3], args: &args, seed };
                emulate::run(run, &mut got, &device, ALTERNATE)
                    .unwrap_or_else(|e| panic!("machine code, {chip} {elem} {m} {n} {k}: {e}"));
                assert_eq!(wanted[2].to_f32(), got[2].to_f32(), "machine code, {chip} {elem} {m} {n} {k}");
            }
        }
    }
}

#[test]
fn large_products_of_eight_waves_alternate_unasked_and_others_are_served_first() {
    for (chip, tile, warps, options, priorities, barriers) in [
        // Two halves, each raised and lowered; a barrier before the loop and four in it, one more for either group.
        ("gfx942", (256, 128, 64), "8", "", 4, 7),
        ("gfx942", (128, 256, 64), "8", "", 4, 7),
        ("gfx942", (128, 128, 64), "8", "", 0, 2),
        ("gfx942", (256, 128, 64), "8", "0", 0, 2),
        ("gfx942", (128, 128, 64), "4", "", 2, 2),
        ("gfx942", (128, 128, 64), "4", "0", 0, 2),
        ("gfx1100", (64, 64, 64), "8", "1", 0, 2),
    ] {
        let mut knobs = vec![("warps", warps)];
        knobs.extend((!options.is_empty()).then_some(("ping_pong", options)));
        let (m, n, k) = tile;
        let kernel = matmul(Elem::BF16, m, n, k);
        let all =
            disassemble(&compile_ideal(&kernel, &open(&format!("amd:{chip}")), &knobs).expect("compiles"));
        let found = (count(&all, "s_setprio"), count(&all, "s_barrier"));
        assert_eq!(found, (priorities, barriers), "{chip} {tile:?} {warps} {options}");
    }
}

#[test]
fn interleaved_products_stand_between_the_reads_of_their_operands() {
    for (chip, elem) in [("gfx90a", Elem::F16), ("gfx942", Elem::BF16), ("gfx950", Elem::BF16)] {
        let target = open(&format!("amd:{chip}"));
        // How often a product of the loop follows a read of LDS.
        let turns = |knobs: &[(&str, &str)]| {
            let all =
                disassemble(&compile_ideal(&matmul(elem, 128, 128, 64), &target, knobs).expect("compiles"));
            let of = |i: &&Instruction| i.mnemonic.starts_with("v_mfma") || i.mnemonic.starts_with("ds_read");
            let order: Vec<bool> = all.iter().filter(of).map(|i| i.mnemonic.starts_with("v_mfma")).collect();
            order.windows(2).filter(|pair| pair == &[false, true]).count()
        };
        let (plain, interleaved) = (turns(&[("warps", "4")]), turns(&[("warps", "4"), ("interleave", "1")]));
        assert!(interleaved > plain, "{chip}: {interleaved} and {plain}");
    }
}

#[test]
fn deleted_ends_of_phases_are_noticed() {
    // The two barriers of single groups put them one phase apart, and together again: without one there is no harm but to the pace.
    for chip in ["sim:gfx90a", "sim:gfx942"] {
        Subject::product(&open(chip), Elem::BF16, 200, (64, 64, 64), ALTERNATE).check(chip, 2);
    }
}
