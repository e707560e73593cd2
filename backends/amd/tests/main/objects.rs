//! The machine code of products, attention and sums: the instructions meant, and where they came from.

use super::disassembly::{Instruction, count, disassemble};
use super::open;
use kcc_amd::chips::CHIPS;
use kcc_backend_tests::kernels::{attention, matmul};
use kcc_backend_tests::random::check;
use kcc_backend_tests::simulate::{compile, compile_ideal};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::fuzz::Profile;
use kcc_dsl::ir::{Builder, Elem, Kernel, OpKind};

fn code(kernel: &Kernel, chip: &str) -> Vec<Instruction> {
    let target = open(&format!("amd:{chip}"));
    disassemble(&compile_ideal(kernel, &target, &[("warps", "4")]).expect("compiles"))
}

#[test]
fn products_are_matrix_instructions_fed_from_lds() {
    // A wave's part of 64×64 is 32×32, four tiles of 16×16; 64 along k, in steps of the instruction.
    for (chip, elem, name, steps) in [
        ("gfx90a", Elem::F16, "v_mfma_f32_16x16x16f16", 4),
        ("gfx90a", Elem::BF16, "v_mfma_f32_16x16x16bf16_1k", 4),
        ("gfx90a", Elem::I8, "v_mfma_i32_16x16x16i8", 4),
        ("gfx90a", Elem::F32, "v_mfma_f32_16x16x4f32", 16),
        ("gfx942", Elem::F16, "v_mfma_f32_16x16x16_f16", 4),
        ("gfx942", Elem::BF16, "v_mfma_f32_16x16x16_bf16", 4),
        ("gfx942", Elem::I8, "v_mfma_i32_16x16x32_i8", 2),
        ("gfx942", Elem::F32, "v_mfma_f32_16x16x8_xf32", 8),
        ("gfx950", Elem::F16, "v_mfma_f32_16x16x32_f16", 2),
        ("gfx950", Elem::BF16, "v_mfma_f32_16x16x32_bf16", 2),
        ("gfx950", Elem::F8E4M3, "v_mfma_f32_16x16x32_fp8_fp8", 2),
        ("gfx1100", Elem::F16, "v_wmma_f32_16x16x16_f16", 4),
        ("gfx1100", Elem::BF16, "v_wmma_f32_16x16x16_bf16", 4),
        ("gfx1100", Elem::I8, "v_wmma_i32_16x16x16_iu8", 4),
    ] {
        let all = code(&matmul(elem, 64, 64, 64), chip);
        assert_eq!(count(&all, name), 4 * steps, "{name} on {chip}");
        // Four bytes are all that a lane of gfx90a gives to products of i8 or f32.
        let least = if matches!(elem, Elem::I8 | Elem::F32) { 32 } else { 64 };
        let wide: usize = [32, 64, 128]
            .into_iter()
            .filter(|bits| *bits >= least)
            .flat_map(|bits| {
                ["ds_read_", "ds_read2_", "ds_read2st64_", "ds_load_", "ds_load_2addr_"]
                    .map(|p| format!("{p}b{bits}"))
            })
            .map(|name| count(&all, &name))
            .sum();
        assert!(wide > 0, "{name}: operands are not read from LDS in wide pieces");
        for narrow in ["ds_read_u16", "ds_load_u16", "ds_read_u8", "ds_load_u8"] {
            assert!(elem == Elem::I8 || elem == Elem::F8E4M3 || count(&all, narrow) == 0, "{name}: {narrow}");
        }
    }
}

#[test]
fn views_under_two_gibibytes_go_through_descriptors_and_larger_ones_do_not() {
    for chip in CHIPS {
        let target = open(&format!("amd:{}", chip.name));
        for near in [true, false] {
            let spec = ArgSpec { fits_i32: near, ..ArgSpec::ideal(2) };
            let kernel = matmul(Elem::F16, 64, 64, 32);
            let specs = [(); 3].map(|()| spec.clone());
            let object = compile(&kernel, &specs, &target, &[("warps", "4")]).expect("compiles");
            let all = disassemble(&object);
            let [buffer, plain] = ["buffer_", "global_"]
                .map(|p| count(&all, &format!("{p}load")) + count(&all, &format!("{p}store")));
            assert_eq!((buffer > 0, plain > 0), (near, !near), "{} {near}", chip.name);
            // Word 3 of the descriptor: an untyped buffer of bytes, on gfx11 with bounds by bytes.
            let word = if chip.lanes == 64 { "0x27000" } else { "0x31027000" };
            let is_word = |i: &Instruction| i.mnemonic == "s_mov_b32" && i.operands.ends_with(word);
            assert_eq!(all.iter().any(is_word), near, "{} {near}", chip.name);
            // Lanes agree about descriptors: no loop goes over different ones.
            assert_eq!(count(&all, "s_and_saveexec") > 0, !near, "{} {near}", chip.name);
        }
    }
}

#[test]
fn code_ends_waits_and_keeps_to_registers() {
    for chip in CHIPS {
        for kernel in [matmul(Elem::F16, 64, 64, 32), attention(Elem::F16, 64, 32, 64)] {
            let all = code(&kernel, chip.name);
            let name = format!("{} on {}", kernel.name, chip.name);
            assert_eq!(count(&all, "s_endpgm"), 1, "{name}");
            assert!(count(&all, "s_barrier") > 0, "{name}");
            assert!(count(&all, "s_waitcnt") > 0, "{name}");
            for none in ["scratch_", "s_trap", "s_swappc", "s_setpc", "s_call"] {
                assert_eq!(count(&all, none), 0, "{none} in {name}");
            }
        }
    }
}

#[test]
fn instructions_carry_the_authors_file_and_line() {
    let mut b = Builder::new("add");
    let (x, y) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::F32, 1));
    let (pid, size) = (b.program_id(0), b.i32(1024));
    let offset = b.mul(pid, size);
    let v = b.load(x, &[offset], &[1024]);
    let line_of_load = line!() - 1;
    let sum = b.add(v, v);
    let line_of_sum = line!() - 1;
    b.store(y, &[offset], sum);
    let line_of_store = line!() - 1;
    let kernel = b.finish().expect("valid");
    for chip in CHIPS {
        let all = code(&kernel, chip.name);
        let lines = |prefixes: &[&str]| -> Vec<u32> {
            let of = all.iter().filter(|i| prefixes.iter().any(|p| i.mnemonic.starts_with(p)));
            let mut lines: Vec<u32> = of
                .map(|i| {
                    let (file, line) = i.place.as_ref().unwrap_or_else(|| panic!("no place: {i:?}"));
                    assert!(file.ends_with("objects.rs"), "{i:?}");
                    *line
                })
                .collect();
            lines.dedup();
            lines
        };
        assert_eq!(lines(&["v_add_f32", "v_pk_add_f32", "v_dual_add_f32"]), [line_of_sum], "{}", chip.name);
        assert_eq!(lines(&["global_load", "buffer_load"]), [line_of_load], "{}", chip.name);
        assert_eq!(lines(&["global_store", "buffer_store"]), [line_of_store], "{}", chip.name);
    }
}

#[test]
fn random_kernels_of_every_family_become_machine_code() {
    for chip in ["gfx90a", "gfx1100"] {
        let target = open(&format!("amd:{chip}"));
        check(&Profile::everything(), 0..40, chip, &|case| {
            let artifact = compile_ideal(&case.kernel, &target, &[])?;
            if artifact.bytes.starts_with(b"\x7fELF") { Ok(()) } else { Err("not a code object".into()) }
        });
    }
}

#[test]
fn a_histogram_becomes_machine_code_on_every_chip() {
    let mut b = Builder::new("histogram");
    let (x, y) = (b.view("x", Elem::I32, 1), b.view_mut("y", Elem::I32, 1));
    let zero = b.i32(0);
    let v = b.load(x, &[zero], &[128]);
    let counts = b.op(OpKind::Histogram { bins: 16 }, &[v]);
    b.store(y, &[zero], counts[0]);
    let kernel = b.finish().expect("valid");
    for chip in CHIPS {
        let all = code(&kernel, chip.name);
        assert!(count(&all, "ds_add") > 0, "no LDS atomics on {}", chip.name);
    }
}
