//! Compiled kernels on the simulator, against sums in `f64`.

use super::dots::matmul;
use super::open;
use kcc_backend_tests::kernels::attention_to;
use kcc_backend_tests::simulate::compile;
use kcc_dsl::exchange::Artifact;
use kcc_dsl::ir::{Elem, Kernel};
use kcc_simt::{Arg, Chip, Launch, Memory, Options, Program, Stats};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A row-major matrix in memory form, with what its elements are.
#[derive(Clone)]
pub struct Matrix {
    pub elem: Elem,
    pub dims: [usize; 2],
    /// Elements between rows; 0 stands for the dense one.
    pub pitch: usize,
    pub values: Vec<f64>,
}

/// A small float's value by its bits: 1 sign, `e` exponent and `m` mantissa bits.
fn small_float(bits: u16, e: u32, m: u32) -> f64 {
    let sign = if bits >> (e + m) & 1 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> m & ((1 << e) - 1));
    let mantissa = f64::from(bits & ((1 << m) - 1)) / f64::from(1u32 << m);
    let bias = (1 << (e - 1)) - 1;
    if exponent == 0 {
        sign * mantissa * 2f64.powi(1 - bias)
    } else {
        sign * (1.0 + mantissa) * 2f64.powi(exponent - bias)
    }
}

/// The f16 of each value, to be found without a search.
fn halves() -> &'static HashMap<u64, u16> {
    static TABLE: OnceLock<HashMap<u64, u16>> = OnceLock::new();
    TABLE.get_or_init(|| (0..=u16::MAX).map(|b| (small_float(b, 5, 10).to_bits(), b)).collect())
}

/// Bits of an element type that holds the value exactly.
fn bits(elem: Elem, v: f64) -> Vec<u8> {
    let search = |e, m, width: u32| {
        let all = 0..=((1u32 << width) - 1) as u16;
        all.into_iter().find(|b| small_float(*b, e, m) == v).expect("a value of the type")
    };
    match elem {
        Elem::F32 => (v as f32).to_le_bytes().to_vec(),
        Elem::I32 => (v as i32).to_le_bytes().to_vec(),
        Elem::BF16 => (((v as f32).to_bits() >> 16) as u16).to_le_bytes().to_vec(),
        Elem::F16 => halves().get(&(v + 0.0).to_bits()).expect("a value of the type").to_le_bytes().to_vec(),
        Elem::I8 => vec![(v as i8) as u8],
        Elem::F8E4M3 => vec![search(4, 3, 8) as u8],
        Elem::F8E5M2 => vec![search(5, 2, 8) as u8],
        other => panic!("no matrices of {other}"),
    }
}

fn value(elem: Elem, b: &[u8]) -> f64 {
    match elem {
        Elem::F32 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Elem::I32 => f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Elem::BF16 => f64::from(f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)),
        Elem::F16 => small_float(u16::from_le_bytes([b[0], b[1]]), 5, 10),
        other => panic!("no results of {other}"),
    }
}

impl Matrix {
    /// Small multiples of 1/4 (whole numbers of integers): exact in every type, and so are their short sums.
    pub fn numbers(elem: Elem, dims: [usize; 2], seed: u64) -> Matrix {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let values = (0..dims[0] * dims[1]).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let n = (state >> 33) as i64 % 9 - 4;
            if elem == Elem::I8 { n as f64 } else { n as f64 / 4.0 }
        });
        Matrix { elem, dims, pitch: 0, values: values.collect() }
    }

    pub fn zeros(elem: Elem, dims: [usize; 2]) -> Matrix {
        Matrix { elem, dims, pitch: 0, values: vec![0.0; dims[0] * dims[1]] }
    }

    fn pitch(&self) -> usize {
        if self.pitch == 0 { self.dims[1] } else { self.pitch }
    }

    fn bytes(&self) -> Vec<u8> {
        let size = self.elem.bytes();
        let mut all = vec![0xff; (self.dims[0] * self.pitch()).max(1) * size];
        for (i, v) in self.values.iter().enumerate() {
            let at = (i / self.dims[1] * self.pitch() + i % self.dims[1]) * size;
            all[at..at + size].copy_from_slice(&bits(self.elem, *v));
        }
        all
    }
}

/// Runs a kernel whose parameters are matrices; the last one is the result, which is returned.
pub fn run(artifact: &Artifact, grid: [u32; 3], matrices: &[Matrix], seed: u64) -> (Vec<f64>, Stats) {
    let program = Program::load(std::str::from_utf8(&artifact.bytes).expect("text")).expect("a module");
    let meta = artifact.gpu.as_ref().expect("facts of the launch");
    let mut memory = Memory::new();
    let mut args = Vec::new();
    let mut result = 0;
    for m in matrices {
        result = memory.add(m.bytes());
        args.push(Arg::Bits(result));
        let dims = [m.dims[0], m.dims[1], m.pitch(), 1];
        args.extend(dims.map(|d| Arg::Bits(d as u64)));
    }
    args.extend(grid.map(|g| Arg::Bits(u64::from(g))));
    args.push(Arg::Bits(0));
    let chip = Chip::find(&meta.arch).expect("a chip of the simulator");
    let stats = program.run(Launch {
        kernel: &artifact.symbol,
        grid,
        block: [meta.threads, 1, 1],
        dynamic_shared: meta.shared_bytes as _,
        args: &args,
        memory: &mut memory,
        chip,
        options: Options::seeded(seed),
    });
    let stats = stats.unwrap_or_else(|fault| panic!("{fault}"));
    let last = &matrices[matrices.len() - 1];
    let bytes = memory.bytes(result).expect("the result's memory");
    let size = last.elem.bytes();
    let read = |i: usize| {
        let at = (i / last.dims[1] * last.pitch() + i % last.dims[1]) * size;
        value(last.elem, &bytes[at..at + size])
    };
    ((0..last.values.len()).map(read).collect(), stats)
}

fn product(a: &Matrix, b: &Matrix) -> Vec<f64> {
    let (m, k, n) = (a.dims[0], a.dims[1], b.dims[1]);
    let at = |i: usize| (0..k).map(|p| a.values[i / n * k + p] * b.values[p * n + i % n]).sum();
    (0..m * n).map(at).collect()
}

/// Products of multiples of 1/16, at most 1 in size: sums of 200 are exact in `f32`, so results must be equal.
fn check_matmul(
    elem: Elem,
    target: &str,
    tile: (usize, usize, usize),
    [m, n, k]: [usize; 3],
    knobs: &[(&str, &str)],
) {
    let (a, b) = (Matrix::numbers(elem, [m, k], 1), Matrix::numbers(elem, [k, n], 2));
    let out = if elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
    let c = Matrix::zeros(out, [m, n]);
    let kernel: Kernel = matmul(elem, tile);
    let wanted = product(&a, &b);
    let grid = [m.div_ceil(tile.0) as u32, n.div_ceil(tile.1) as u32, 1];
    let matrices = [a, b, c];
    let artifact = compile(&kernel, &matrices.each_ref().map(Matrix::spec), &open(target), knobs)
        .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
    for seed in 0..3 {
        let (got, _) = run(&artifact, grid, &matrices, seed);
        for (i, (g, w)) in got.iter().zip(&wanted).enumerate() {
            assert_eq!(g, w, "{elem} {tile:?} {m}×{n}×{k} on {target}: element ({}, {})", i / n, i % n);
        }
    }
}

impl Matrix {
    /// What a launch knows of it.
    pub fn spec(&self) -> kcc_dsl::exchange::ArgSpec {
        let dims = self.dims.map(|d| d as i64);
        kcc_dsl::exchange::ArgSpec::for_gpu(1 << 20, self.elem, &dims, &[self.pitch() as i64, 1])
    }
}

#[test]
fn products_of_bf16_are_exact_on_whole_blocks() {
    check_matmul(Elem::BF16, "sim:sm_80", (64, 64, 64), [64, 64, 128], &[("warps", "4")]);
}

#[test]
fn products_of_awkward_sizes_are_exact() {
    for size in [[65, 70, 200], [1, 8, 64], [130, 64, 24]] {
        check_matmul(Elem::BF16, "sim:sm_80", (64, 64, 64), size, &[]);
    }
}

#[test]
fn products_of_every_operand_are_exact() {
    for (elem, target) in [
        (Elem::F16, "sim:sm_80"),
        (Elem::I8, "sim:sm_80"),
        (Elem::F8E4M3, "sim:sm_80"),
        (Elem::F8E4M3, "sim:sm_89"),
        (Elem::F8E5M2, "sim:sm_89"),
        (Elem::F32, "sim:sm_80"),
    ] {
        check_matmul(elem, target, (64, 64, 64), [70, 72, 160], &[]);
        check_matmul(elem, target, (64, 64, 64), [33, 5, 7], &[]);
    }
}

#[test]
fn tiles_of_every_shape_are_exact() {
    for tile in [(1, 64, 64), (16, 16, 16), (4, 8, 32), (64, 1, 64), (48, 96, 48), (128, 64, 32)] {
        for elem in [Elem::F16, Elem::F32] {
            check_matmul(elem, "sim:sm_80", tile, [tile.0 + 3, tile.1 + 5, 2 * tile.2 + 8], &[]);
        }
    }
}

#[test]
fn every_number_of_stages_and_warps_is_exact() {
    for (stages, warps) in [("1", "1"), ("2", "4"), ("4", "2"), ("5", "8")] {
        let knobs = [("stages", stages), ("warps", warps)];
        check_matmul(Elem::BF16, "sim:sm_80", (64, 32, 32), [64, 40, 200], &knobs);
    }
}

fn softmax_times(q: &Matrix, k: &Matrix, v: &Matrix) -> Vec<f64> {
    let (width, keys) = (q.dims[1], k.dims[0]);
    let mut out = Vec::new();
    for row in q.values.chunks(width) {
        let s: Vec<f64> =
            k.values.chunks(width).map(|k| row.iter().zip(k).map(|(a, b)| a * b).sum()).collect();
        let top = s.iter().copied().fold(f64::MIN, f64::max);
        let p: Vec<f64> = s.iter().map(|s| (s - top).exp2()).collect();
        let sum: f64 = p.iter().sum();
        out.extend((0..width).map(|j| (0..keys).map(|i| p[i] * v.values[i * width + j]).sum::<f64>() / sum));
    }
    out
}

#[test]
fn attention_is_right() {
    for (elem, target, width) in
        [(Elem::BF16, "sim:sm_80", 64), (Elem::F16, "sim:sm_89", 32), (Elem::F32, "sim:sm_80", 32)]
    {
        let kernel = attention_to(elem, elem, 64, 32, width);
        let make = |rows, seed| Matrix::numbers(elem, [rows, width], seed);
        let (q, k, v) = (make(70, 1), make(128, 2), make(128, 3));
        let wanted = softmax_times(&q, &k, &v);
        let matrices = [q, k, v, Matrix::zeros(elem, [70, width])];
        let artifact = compile(&kernel, &matrices.each_ref().map(Matrix::spec), &open(target), &[])
            .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        let (got, _) = run(&artifact, [2, 1, 1], &matrices, 7);
        for (g, w) in got.iter().zip(&wanted) {
            // Probabilities and the result are rounded to the element type: 2^-8 of at most 1 each in bf16; the rest is
            // far below.
            let bound = if elem == Elem::F32 { 1e-5 } else { 2.0 * 2f64.powi(-8) };
            assert!((g - w).abs() <= bound, "{elem}: {g} for {w}");
        }
    }
}
