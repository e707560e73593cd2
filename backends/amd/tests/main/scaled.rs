//! Products of blocks with scales, by the instructions that scale (gfx950) and where there are none.

use super::disassembly::{count, disassemble};
use super::open;
use kcc_backend_tests::emulate::{self, Run};
use kcc_backend_tests::simulate::{compile_ideal, run};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::ir::{Builder, Elem, Kernel, OpKind, ScaledFormat};

const FORMATS: [ScaledFormat; 2] = [ScaledFormat::F8E4M3, ScaledFormat::F8E5M2];

/// `c = (a × scales) · (b × scales)` of `m` by `n` in steps of `k`.
fn kernel(formats: [ScaledFormat; 2], m: usize, n: usize, k: usize) -> Kernel {
    let mut b = Builder::new("scaled");
    let [x, sx, y, sy] = ["a", "scale_a", "b", "scale_b"].map(|name| b.view(name, Elem::U8, 2));
    let c = b.view_mut("c", Elem::F32, 2);
    let (zero, end, step, block) = (b.i32(0), b.dim(x, 1), b.i32(k as i32), b.i32(32));
    let acc = b.full(Elem::F32, &[m, n], 0.0);
    let out = b.for_([zero, end, step], &[acc], |b, i, carried| {
        let run = b.binary(kcc_dsl::ir::BinaryOp::Div, i, block);
        let (left, right) = (b.load(x, &[zero, i], &[m, k]), b.load(y, &[i, zero], &[k, n]));
        let of_left = b.load(sx, &[zero, run], &[m, k / 32]);
        let of_right = b.load(sy, &[run, zero], &[k / 32, n]);
        let kind = OpKind::DotScaled { a: formats[0], b: formats[1] };
        b.op(kind, &[left, of_left, right, of_right, carried[0]])
    });
    b.store(c, &[zero, zero], out[0]);
    b.finish().expect("valid")
}

/// Small whole numbers of a format, of which any sum here is exact.
fn codes(format: ScaledFormat, count: usize, by: usize) -> Vec<i64> {
    // 0, 1, 2, -1, -2, 0.5.
    let all = match format {
        ScaledFormat::F8E4M3 => [0, 0x38, 0x40, 0xb8, 0xc0, 0x30],
        ScaledFormat::F8E5M2 => [0, 0x3c, 0x40, 0xbc, 0xc0, 0x38],
    };
    (0..count).map(|i| all[(i * by + i / 11) % all.len()]).collect()
}

fn buffers(formats: [ScaledFormat; 2], [m, n, k]: [usize; 3], scale: fn(usize) -> i64) -> Vec<EagerBuffer> {
    let bytes = |values: &[i64]| EagerBuffer::from_i64(Elem::U8, values);
    let runs = k.div_ceil(32);
    let scales = |count: usize, by: usize| (0..count).map(|i| scale(i * by)).collect::<Vec<i64>>();
    vec![
        bytes(&codes(formats[0], m * k, 5)),
        bytes(&scales(m * runs, 3)),
        bytes(&codes(formats[1], k * n, 7)),
        bytes(&scales(runs * n, 5)),
        EagerBuffer::zeros(Elem::F32, m * n),
    ]
}

fn agree(chip: &str, formats: [ScaledFormat; 2], bk: usize, [m, n, k]: [usize; 3], scale: fn(usize) -> i64) {
    let kernel = kernel(formats, 32, 64, bk);
    let runs = k.div_ceil(32) as i64;
    let [m_, n_, k_] = [m, n, k].map(|e| e as i64);
    let dims = [[m_, k_], [m_, runs], [k_, n_], [runs, n_], [m_, n_]];
    let args: Vec<EagerArg> = (0..5).map(|i| EagerArg::dense(i, &dims[i], i == 4)).collect();
    let start = buffers(formats, [m, n, k], scale);
    let mut wanted = start.clone();
    interpret(&kernel, [1; 3], &mut wanted, &args, &mut Options::default()).expect("eager mode");
    let name = format!("{chip} {formats:?} {bk}: {m} {n} {k}");
    let bits = |buffer: &EagerBuffer| -> Vec<u32> {
        // Which NaN it is does not matter.
        buffer.to_f32().iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
    };
    for seed in 0..2 {
        let mut got = start.clone();
        run(&kernel, [1; 3], &mut got, &args, &open(&format!("sim:{chip}")), seed)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(bits(&wanted[4]), bits(&got[4]), "{name}");
        let mut got = start.clone();
        let one = Run { kernel: &kernel, grid: [1; 3], args: &args, seed };
        emulate::run(one, &mut got, &open(&format!("amd:{chip}")), &[])
            .unwrap_or_else(|e| panic!("machine code, {name}: {e}"));
        assert_eq!(bits(&wanted[4]), bits(&got[4]), "machine code, {name}");
    }
}

#[test]
fn products_with_scales_agree_with_eager_mode() {
    let near = |i: usize| 124 + (i % 7) as i64;
    for a in FORMATS {
        for b in FORMATS {
            agree("gfx950", [a, b], 128, [32, 64, 128], near);
        }
    }
    // Several turns, less than a tile, more steps than one in a turn.
    agree("gfx950", FORMATS, 128, [19, 37, 384], near);
    agree("gfx950", FORMATS, 256, [31, 64, 288], near);
    // Too shallow for the instruction, and chips without it.
    agree("gfx950", FORMATS, 64, [19, 37, 160], near);
    agree("gfx942", FORMATS, 128, [19, 37, 160], near);
}

#[test]
fn scales_that_are_no_numbers_spoil_their_rows_and_columns() {
    agree("gfx950", FORMATS, 128, [19, 37, 384], |i| if i % 97 == 0 { 255 } else { 126 + (i % 3) as i64 });
}

#[test]
fn deep_products_of_eight_bits_take_the_instruction_at_full_rate() {
    let text = |kernel: &Kernel| {
        disassemble(&compile_ideal(kernel, &open("amd:gfx950"), &[("warps", "4")]).expect("compiles"))
    };
    for (k, wide) in [(128, true), (256, true), (64, false)] {
        let all = text(&kcc_backend_tests::kernels::matmul(Elem::F8E4M3, 64, 64, k));
        let [deep, shallow] =
            ["v_mfma_f32_16x16x128_f8f6f4", "v_mfma_f32_16x16x32_fp8_fp8"].map(|n| count(&all, n));
        // Four tiles of 16 by 16 a wave.
        assert_eq!((deep, shallow), if wide { (4 * k / 128, 0) } else { (0, 4 * k / 32) }, "{k}");
    }
    let all = text(&kernel(FORMATS, 64, 64, 128));
    assert_eq!(count(&all, "v_mfma_scale_f32_16x16x128_f8f6f4"), 4);
}
