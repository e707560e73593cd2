//! Warpgroup products and bulk copies on the simulator against eager mode, for shapes that fill no tile.

use super::sim::compile;
use super::wide_kernels::{attention, matmul};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::exchange::{ArgSpec, GpuMeta, GridMap};
use kcc_dsl::ir::{Elem, Kernel};
use kcc_simt::{Arg, Chip, Launch, Memory, Program, Stats, Swizzle, TensorMap};
use std::collections::BTreeMap;

/// A row-major view of a whole buffer.
pub fn view(buffer: usize, dims: &[i64], mutable: bool) -> EagerArg {
    let mut strides = vec![1; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i] * dims[i];
    }
    EagerArg::View { buffer, offset: 0, dims: dims.to_vec(), strides, mutable }
}

pub fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 16) as i32 % 17 - 8
    };
    (0..n).map(|_| next() as f32 / 8.0).collect()
}

/// The recipe's tensor map for a contiguous view at an address.
pub fn map(meta: &GpuMeta, index: usize, args: &[EagerArg], homes: &[u64]) -> Vec<u8> {
    let recipe = &meta.tensor_maps[index];
    let EagerArg::View { buffer, dims, strides, .. } = &args[recipe.param as usize] else { panic!("a view") };
    let bytes = recipe.elem.bytes() as u64;
    let axes: Vec<usize> = recipe.axes.iter().map(|a| usize::from(*a)).collect();
    let swizzle = match recipe.swizzle {
        32 => Swizzle::B32,
        64 => Swizzle::B64,
        128 => Swizzle::B128,
        _ => Swizzle::None,
    };
    let map = TensorMap {
        address: homes[*buffer],
        element: bytes as u32,
        float: recipe.elem.is_float(),
        bfloat: recipe.elem == Elem::BF16,
        dims: axes.iter().map(|a| dims[*a] as u64).collect(),
        strides: axes[1..].iter().map(|a| strides[*a] as u64 * bytes).collect(),
        box_dims: recipe.box_dims.clone(),
        swizzle,
        fill_nan: false,
    };
    map.encode().expect("a valid tensor map").to_vec()
}

fn run(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    knobs: &[(&str, &str)],
    seed: u64,
) -> (Stats, GpuMeta) {
    let elems: Vec<Elem> = buffers.iter().map(EagerBuffer::elem).collect();
    let mut memory = Memory::new();
    let homes: Vec<u64> = buffers.iter_mut().map(|b| memory.borrow(b.bytes_mut())).collect();
    let specs: Vec<ArgSpec> = args
        .iter()
        .map(|a| match a {
            EagerArg::View { buffer, dims, strides, .. } => {
                ArgSpec::for_gpu(homes[*buffer], elems[*buffer], dims, strides)
            }
            EagerArg::Scalar(_) => ArgSpec::default(),
        })
        .collect();
    let knobs: BTreeMap<String, String> = knobs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let artifact = compile(kernel, &specs, "sim:sm_90a", &knobs).expect("it compiles");
    let text = String::from_utf8(artifact.bytes).expect("the module is text");
    if let Ok(dir) = std::env::var("KCC_TEST_DUMP") {
        std::fs::write(format!("{dir}/{}.mlir", artifact.symbol), &text).expect("the folder is writable");
    }
    let meta = artifact.gpu.expect("launch facts");
    let program = Program::load(&text).unwrap_or_else(|e| panic!("{e}"));
    let mut list = Vec::new();
    for a in args {
        if let EagerArg::View { buffer, dims, strides, .. } = a {
            list.push(Arg::Bits(homes[*buffer]));
            list.extend(dims.iter().chain(strides).map(|d| Arg::Bits(*d as u64)));
        }
    }
    list.extend(grid.iter().map(|g| Arg::Bits(u64::from(*g))));
    list.push(Arg::Bits(0));
    list.extend((0..meta.tensor_maps.len()).map(|i| Arg::Bytes(map(&meta, i, args, &homes))));
    // Persistent programs: fewer blocks than programs, so that each takes several.
    let blocks = match meta.grid {
        GridMap::Persistent { .. } => [grid.iter().product::<u32>().min(2), 1, 1],
        _ => grid,
    };
    let launch = Launch {
        kernel: &artifact.symbol,
        grid: blocks,
        block: [meta.threads, 1, 1],
        dynamic_shared: meta.shared_bytes,
        args: &list,
        memory: &mut memory,
        chip: Chip::find("sm_90a").expect("a known chip"),
        options: kcc_simt::Options::seeded(seed),
    };
    let stats = program.run(launch).unwrap_or_else(|f| panic!("{f}"));
    (stats, meta)
}

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
    for seed in 0..2 {
        let mut got = buffers.to_vec();
        let (_, meta) = run(kernel, grid, &mut got, args, knobs, seed);
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
    let args = [view(0, &[m, k], false), view(1, &[k, n], false), view(2, &[m, n], true)];
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
        let args: Vec<EagerArg> = (0..4).map(|i| view(i, &d, i == 3)).collect();
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
