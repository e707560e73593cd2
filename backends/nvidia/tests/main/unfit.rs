//! Kernels that do not fit their chip: what is done about it unasked, and the whole message where nothing can be.

use super::dots::matmul;
use super::{assemble::assemble_for, open};
use kcc_compiler::Target;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::{Builder, Elem, Kernel, ReduceOp};

/// Compiles; a failure is its message and its remedy.
fn compile(kernel: &Kernel, target: &str, knobs: &[(&str, &str)]) -> Result<Artifact, String> {
    let target = open(target);
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.name().into(),
        args: kernel.params.iter().map(|_| ArgSpec::ideal(2)).collect(),
        options: knobs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    Session::new().compile(&request, &target, &Options::default()).map_err(|all| {
        let d = &all[0];
        let place = d.loc.as_ref().expect("a place");
        assert!(place.file.ends_with("unfit.rs") || place.file.ends_with("dots.rs"), "{place}");
        format!("{}\nhelp: {}", d.message, d.help.as_deref().unwrap_or_default())
    })
}

fn stages(artifact: &Artifact) -> u64 {
    let meta = artifact.gpu.as_ref().expect("facts of the launch");
    meta.counters.iter().find(|(n, _)| n == "stages").map_or(1, |(_, n)| *n)
}

/// `y = x / sum of its columns`, of a tile that must wait whole for the sum.
fn columns(rows: usize, cols: usize) -> Kernel {
    let mut b = Builder::new("columns");
    let (x, y) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2));
    let zero = b.i32(0);
    let v = b.load(x, &[zero, zero], &[rows, cols]);
    let sum = b.reduce(ReduceOp::Sum, v, 0);
    let sum = b.broadcast(sum, &[1], &[rows, cols]);
    let out = b.div(v, sum);
    b.store(y, &[zero, zero], out);
    b.finish().expect("valid")
}

/// `c = (aᵀ · bᵀ)ᵀ`: the result is turned over on its way out, which takes memory of its own.
fn turned(bm: usize, bn: usize, bk: usize) -> Kernel {
    let mut b = Builder::new("turned");
    let (x, y) = (b.view("a", Elem::BF16, 2), b.view("b", Elem::BF16, 2));
    let c = b.view_mut("c", Elem::BF16, 2);
    let (zero, step, len) = (b.i32(0), b.i32(bk as i32), b.dim(x, 0));
    let acc = b.full(Elem::F32, &[bm, bn], 0.0);
    let sum = b.for_([zero, len, step], &[acc], |b, k, carried| {
        let left = b.load(x, &[k, zero], &[bk, bm]);
        let right = b.load(y, &[zero, k], &[bn, bk]);
        let (left, right) = (b.transpose(left, &[1, 0]), b.transpose(right, &[1, 0]));
        vec![b.dot(left, right, carried[0])]
    });
    let out = b.transpose(sum[0], &[1, 0]);
    let out = b.cast(out, Elem::BF16);
    b.store(c, &[zero, zero], out);
    b.finish().expect("valid")
}

#[test]
fn stages_that_nobody_asked_for_give_way_to_what_fits() {
    let kernel = turned(128, 64, 64);
    let artifact = compile(&kernel, "nvidia:sm_89", &[]).expect("fits with fewer stages");
    assert_eq!(stages(&artifact), 2);
    assert!(artifact.gpu.expect("facts of the launch").shared_bytes <= 99 << 10);
    assert!(compile(&kernel, "nvidia:sm_89", &[("stages", "3")]).is_err(), "else nothing had to give way");
}

#[test]
fn stages_that_were_asked_for_are_refused_with_a_number_that_fits() {
    let kernel = matmul(Elem::BF16, (128, 128, 64));
    let error = compile(&kernel, "nvidia:sm_89", &[("stages", "4")]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `matmul` need 131072 bytes of shared memory, a block of sm_89 has 101376\nhelp: stages=3 fits"
    );
    assert!(compile(&kernel, "nvidia:sm_89", &[("stages", "3")]).is_ok());
}

#[test]
fn tiles_that_never_fit_are_refused_with_extents_that_do() {
    let kernel = matmul(Elem::BF16, (256, 256, 256));
    let error = compile(&kernel, "nvidia:sm_80", &[]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `matmul` need 262144 bytes of shared memory, a block of sm_80 has 166912\nhelp: give tiles smaller \
         extents: with 128 in place of 256 they take about 65536"
    );
    assert!(compile(&matmul(Elem::BF16, (128, 128, 128)), "nvidia:sm_80", &[]).is_ok());
}

/// Several products of one left operand, all carried by one loop.
fn products(count: usize) -> Kernel {
    let mut b = Builder::new("products");
    let (x, y) = (b.view("x", Elem::F16, 2), b.view("y", Elem::F16, 2));
    let z = b.view_mut("z", Elem::F32, 2);
    let (zero, step, len) = (b.i32(0), b.i32(32), b.dim(x, 1));
    let acc = b.full(Elem::F32, &[64, 128], 0.0);
    let at: Vec<_> = (0..count).map(|i| b.i32(128 * i as i32)).collect();
    let sums = b.for_([zero, len, step], &vec![acc; count], |b, k, carried| {
        let left = b.load(x, &[zero, k], &[64, 32]);
        let columns = at.iter().zip(carried);
        columns
            .map(|(at, c)| {
                let right = b.load(y, &[k, *at], &[32, 128]);
                b.dot(left, right, *c)
            })
            .collect()
    });
    for (at, sum) in at.iter().zip(sums) {
        b.store(z, &[zero, *at], sum);
    }
    b.finish().expect("valid")
}

#[test]
fn warps_that_nobody_asked_for_grow_until_a_thread_can_hold_its_tiles() {
    let kernel = products(5);
    let error = compile(&kernel, "nvidia:sm_80", &[("warps", "4")]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `products` need 320 registers of a thread at once, a thread of sm_80 has 255 with 4 warps\nhelp: \
         warps=8 fits"
    );
    let artifact = compile(&kernel, "nvidia:sm_80", &[]).expect("fits with more warps");
    assert_eq!(artifact.gpu.expect("facts of the launch").threads, 256);
    // What is let through does not spill.
    let _ = assemble_for(&String::from_utf8(artifact.bytes).expect("PTX is text"), "sm_80");
}

#[test]
fn a_tile_that_waits_for_a_sum_is_held_whole() {
    let kernel = columns(256, 128);
    let error = compile(&kernel, "nvidia:sm_80", &[("warps", "4")]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `columns` need 256 registers of a thread at once, a thread of sm_80 has 255 with 4 warps\nhelp: \
         warps=8 fits"
    );
    assert!(compile(&kernel, "nvidia:sm_80", &[("warps", "8")]).is_ok());
}

#[test]
fn a_tile_that_no_block_can_hold_is_refused_with_one_that_it_can() {
    let error = compile(&columns(1024, 512), "nvidia:sm_80", &[]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `columns` need 512 registers of a thread at once, a thread of sm_80 has 64 with 32 warps\nhelp: \
         give tiles smaller extents: with 64 in place of 512 they take about 64"
    );
    assert!(compile(&columns(1024, 64), "nvidia:sm_80", &[]).is_ok());
}

#[test]
fn carried_sums_count_as_long_as_their_loop() {
    let error = compile(&matmul(Elem::F32, (256, 256, 16)), "nvidia:sm_80", &[("warps", "4")]).unwrap_err();
    assert_eq!(
        error,
        "the tiles of `matmul` need 512 registers of a thread at once, a thread of sm_80 has 255 with 4 warps\nhelp: \
         warps=16 fits"
    );
}

#[test]
fn sums_that_leave_no_register_for_their_product_are_refused() {
    for tile in [(256, 256, 64), (512, 512, 64)] {
        let error = compile(&matmul(Elem::BF16, tile), "nvidia:sm_90a", &[]).unwrap_err();
        assert!(
            error.contains("registers of a thread at once") && error.contains("smaller extents"),
            "{error}"
        );
    }
    assert!(compile(&matmul(Elem::BF16, (128, 256, 64)), "nvidia:sm_90a", &[]).is_ok());
}

#[test]
fn fewer_registers_than_an_instruction_needs_are_refused_with_a_number_that_is_enough() {
    let error = |target, registers| {
        compile(&matmul(Elem::BF16, (64, 64, 64)), target, &[("warps", "4"), ("registers", registers)])
            .unwrap_err()
    };
    assert_eq!(
        error("nvidia:sm_90a", "48"),
        "the tiles of `matmul` need 58 registers of a thread at once, option registers=48 gives it no more\nhelp: \
         registers=64 fits"
    );
    assert_eq!(
        error("nvidia:sm_80", "16"),
        "the tiles of `matmul` need 32 registers of a thread at once, option registers=16 gives it no more\nhelp: \
         registers=32 fits"
    );
    let error = compile(&columns(8, 8), "nvidia:sm_80", &[("registers", "16")]).unwrap_err();
    assert!(error.contains("need 24 registers") && error.ends_with("registers=24 fits"), "{error}");
    // What is said to fit is taken by the assembler.
    for (target, registers) in [("sm_90a", "58"), ("sm_90a", "64"), ("sm_80", "32"), ("sm_80", "999")] {
        let knobs = [("warps", "4"), ("registers", registers)];
        let artifact = compile(&matmul(Elem::BF16, (64, 64, 64)), &format!("nvidia:{target}"), &knobs);
        let text = String::from_utf8(artifact.expect("compiles").bytes).expect("PTX is text");
        if let Ok(ptxas) = kcc_nvidia::ptxas::Ptxas::find() {
            ptxas.assemble(&text, target).unwrap_or_else(|e| panic!("{target} {registers}: {e}"));
        }
    }
}

#[test]
fn registers_that_change_hands_are_no_more_than_a_block_starts_with() {
    for (warps, knobs) in [(8, &[][..]), (16, &[]), (8, &[("registers", "128")])] {
        let all = [&[("warps", ["8", "16"][usize::from(warps == 16)])], knobs].concat();
        let artifact = compile(&matmul(Elem::BF16, (256, 128, 64)), "nvidia:sm_90a", &all).expect("compiles");
        let text = String::from_utf8(artifact.bytes).expect("PTX is text");
        let asked = |how: &str| -> u32 {
            let line = text.lines().find(|l| l.contains(&format!("setmaxnreg.{how}"))).expect("roles");
            line.trim_end_matches(';')
                .split_whitespace()
                .last()
                .and_then(|n| n.parse().ok())
                .expect("a number")
        };
        let threads = artifact.gpu.expect("facts of the launch").threads;
        assert_eq!(threads, 32 * (warps + 4), "one group fills");
        let total = asked("inc") * 32 * warps + asked("dec") * 128;
        let most = knobs.first().map_or(65_536 / threads / 8 * 8, |_| 128);
        assert!(total <= most * threads, "{all:?}: {total} of {}", most * threads);
        if let Ok(ptxas) = kcc_nvidia::ptxas::Ptxas::find() {
            let cubin = ptxas.assemble(&text, "sm_90a").unwrap_or_else(|e| panic!("{all:?}: {e}"));
            assert!(
                cubin.usage.registers * threads >= total,
                "{all:?}: starts with {}",
                cubin.usage.registers
            );
        }
    }
}

#[test]
fn text_is_of_the_oldest_version_that_knows_what_it_uses() {
    let version = |elem, target: &str| {
        let artifact = compile(&matmul(elem, (64, 64, 64)), target, &[]).expect("compiles");
        let meta = artifact.gpu.expect("facts of the launch");
        let text = String::from_utf8(artifact.bytes).expect("PTX is text");
        let line = format!(".version {}.{}\n", meta.ptx.0, meta.ptx.1);
        assert!(text.contains(&line), "{target}: no {line}");
        let _ = assemble_for(&text, target.trim_start_matches("nvidia:"));
        meta.ptx
    };
    assert_eq!(version(Elem::BF16, "nvidia:sm_80"), (7, 5));
    assert_eq!(version(Elem::BF16, "nvidia:sm_89"), (7, 8));
    assert_eq!(version(Elem::F8E4M3, "nvidia:sm_89"), (8, 4));
    assert_eq!(version(Elem::F32, "nvidia:sm_100a"), (8, 6));
}

/// `y = x · w0 · w1 · …`, all of 64 by 64.
fn chain(links: usize) -> Kernel {
    let mut b = Builder::new("chain");
    let (x, w) = (b.view("x", Elem::BF16, 2), b.view("w", Elem::BF16, 2));
    let y = b.view_mut("y", Elem::BF16, 2);
    let zero = b.i32(0);
    let mut v = b.load(x, &[zero, zero], &[64, 64]);
    for i in 0..links {
        let row = b.i32(64 * i as i32);
        let link = b.load(w, &[row, zero], &[64, 64]);
        let none = b.full(Elem::F32, &[64, 64], 0.0);
        let product = b.dot(v, link, none);
        v = b.cast(product, Elem::BF16);
    }
    b.store(y, &[zero, zero], v);
    b.finish().expect("valid")
}

#[test]
fn links_of_a_long_chain_share_memory() {
    for target in ["nvidia:sm_80", "nvidia:sm_90a"] {
        let artifact = compile(&chain(32), target, &[]).unwrap_or_else(|e| panic!("{target}: {e}"));
        let bytes = artifact.gpu.expect("facts of the launch").shared_bytes;
        assert!(bytes <= 160 << 10, "{target}: {bytes} bytes");
    }
}
