//! A product as it is written for MI300 and MI350: tiles of A and B copied straight into LDS, a turn ahead, by two waves
//! that read each other's halves. Every wait and barrier of it is deleted in turn.

use crate::support::{Setup, load};
use half::f16;
use kcc_simt::{Arg, Chip, FaultKind, Launch, Memory, Options, Program};

/// Steps of sixteen along K.
const STEPS: usize = 6;
const K: usize = 16 * STEPS;

/// `C = A·B` for A of 32 × K and B, given by columns, of 16 × K; f16 to f32. Wave w computes rows 16·w … 16·w + 15. A step's
/// tile has 48 rows of 32 bytes: those of A, then those of B. A direct copy moves 4 bytes a lane: eight rows. Each wave
/// copies half of the tile, three times eight rows, so that both need both.
fn kernel() -> Program {
    let constant = |name: &str, value: usize| {
        format!("%{name} = llvm.mlir.constant() {{value = {value} : i32}} : () -> i32\n")
    };
    let mut body = String::from("%tid = rocdl.workitem.id.x() : () -> i32\n");
    for (name, value) in [
        ("c0", 0),
        ("c1", 1),
        ("c2", 2),
        ("c3", 3),
        ("c4", 4),
        ("c6", 6),
        ("c7", 7),
        ("c15", 15),
        ("c63", 63),
        ("steps", STEPS),
        ("stage", 48 * 32),
        ("half", 24 * 32),
        ("eight", 8 * 32),
        ("row", 2 * K),
    ] {
        body.push_str(&constant(name, value));
    }
    let gep = |result: &str, base: &str, offset: &str, space: u8| {
        format!(
            "{result} = llvm.getelementptr({base}, {offset}) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<{space}>, i32) -> !llvm.ptr<{space}>\n"
        )
    };
    body.push_str(
        "%lane = llvm.and(%tid, %c63) : (i32, i32) -> i32
        %w0 = llvm.lshr(%tid, %c6) : (i32, i32) -> i32
        %wave = rocdl.readfirstlane(%w0) : (i32) -> i32
        %base = llvm.mlir.addressof() {global_name = @dyn} : () -> !llvm.ptr<3>
        %r0 = llvm.lshr(%lane, %c3) : (i32, i32) -> i32
        %q0 = llvm.and(%lane, %c7) : (i32, i32) -> i32
        %q = llvm.shl(%q0, %c2) : (i32, i32) -> i32
        %mine = llvm.mul(%wave, %half) : (i32, i32) -> i32
        %rows0 = llvm.mul(%r0, %row) : (i32, i32) -> i32
        %from0 = llvm.add(%rows0, %q) : (i32, i32) -> i32
        %w24 = llvm.mul(%wave, %blockrows) : (i32, i32) -> i32
        %from1 = llvm.add(%from0, %w24) : (i32, i32) -> i32
        %i0 = llvm.and(%lane, %c15) : (i32, i32) -> i32
        %g0 = llvm.lshr(%lane, %c4) : (i32, i32) -> i32
        %i32b = llvm.mul(%i0, %thirtytwo) : (i32, i32) -> i32
        %g8 = llvm.shl(%g0, %c3) : (i32, i32) -> i32
        %frag = llvm.add(%i32b, %g8) : (i32, i32) -> i32
        %wrows = llvm.mul(%wave, %sixteenrows) : (i32, i32) -> i32
        %afrag = llvm.add(%frag, %wrows) : (i32, i32) -> i32
        %bfrag = llvm.add(%frag, %brows) : (i32, i32) -> i32
        %zero = llvm.mlir.zero() : () -> vector<4xf32>
        ",
    );
    for (name, value) in [
        ("blockrows", 24 * 2 * K),
        ("thirtytwo", 32),
        ("sixteenrows", 16 * 32),
        ("brows", 32 * 32),
        ("next8", 8 * 2 * K),
    ] {
        body.insert_str(0, &constant(name, value));
    }
    // Copies of step `%s` into stage `%p` (0 or 1): `id` keeps the names apart.
    let copies = |id: &str, step: &str, parity: &str| {
        let mut text = format!(
            "%so{id} = llvm.mul({step}, %thirtytwo) : (i32, i32) -> i32
            %f{id}0 = llvm.add(%from1, %so{id}) : (i32, i32) -> i32
            %po{id} = llvm.mul({parity}, %stage) : (i32, i32) -> i32
            %t{id}0 = llvm.add(%mine, %po{id}) : (i32, i32) -> i32\n"
        );
        for part in 0..3 {
            text.push_str(&gep(&format!("%src{id}{part}"), "%a", &format!("%f{id}{part}"), 1));
            text.push_str(&gep(&format!("%dst{id}{part}"), "%base", &format!("%t{id}{part}"), 3));
            text.push_str(&format!(
                "rocdl.global.load.lds(%src{id}{part}, %dst{id}{part}) {{aux = 0 : i32, offset = 0 : i32, size = 4 : i32}} : (!llvm.ptr<1>, !llvm.ptr<3>) -> ()
                %f{id}{next} = llvm.add(%f{id}{part}, %next8) : (i32, i32) -> i32
                %t{id}{next} = llvm.add(%t{id}{part}, %eight) : (i32, i32) -> i32\n",
                next = part + 1
            ));
        }
        text
    };
    body.push_str(&copies("p", "%c0", "%c0"));
    body.push_str(
        "llvm.br(%c0, %zero)[^bb1] : (i32, vector<4xf32>) -> ()
        ^bb1(%s: i32, %acc: vector<4xf32>):
        %p = llvm.and(%s, %c1) : (i32, i32) -> i32
        %s1 = llvm.add(%s, %c1) : (i32, i32) -> i32
        %p1 = llvm.and(%s1, %c1) : (i32, i32) -> i32
        %more = llvm.icmp(%s1, %steps) {predicate = 6 : i64} : (i32, i32) -> i1
        llvm.cond_br(%more)[^bb2, ^bb3] {operandSegmentSizes = array<i32: 1, 0, 0>} : (i1) -> ()
        ^bb2:\n",
    );
    body.push_str(&copies("n", "%s1", "%p1"));
    // Three copies of the next step may be under way; behind the last step none is.
    body.push_str(
        "rocdl.s.waitcnt() {bitfield = 3955 : i32}
        llvm.br()[^bb4] : () -> ()
        ^bb3:
        rocdl.s.waitcnt() {bitfield = 3952 : i32}
        llvm.br()[^bb4] : () -> ()
        ^bb4:
        rocdl.s.barrier()
        %sp = llvm.mul(%p, %stage) : (i32, i32) -> i32
        %ao = llvm.add(%afrag, %sp) : (i32, i32) -> i32
        %bo = llvm.add(%bfrag, %sp) : (i32, i32) -> i32\n",
    );
    body.push_str(&gep("%ap", "%base", "%ao", 3));
    body.push_str(&gep("%bp", "%base", "%bo", 3));
    body.push_str(
        "%av = llvm.load(%ap) {ordering = 0 : i64, alignment = 8 : i64} : (!llvm.ptr<3>) -> vector<4xf16>
        %bv = llvm.load(%bp) {ordering = 0 : i64, alignment = 8 : i64} : (!llvm.ptr<3>) -> vector<4xf16>
        %sum = rocdl.mfma.f32.16x16x16f16(%av, %bv, %acc, %c0, %c0, %c0) : (vector<4xf16>, vector<4xf16>, vector<4xf32>, i32, i32, i32) -> vector<4xf32>
        rocdl.s.waitcnt() {bitfield = 49279 : i32}
        rocdl.s.barrier()
        llvm.cond_br(%more, %s1, %sum)[^bb1, ^bb5] {operandSegmentSizes = array<i32: 1, 2, 0>} : (i1, i32, vector<4xf32>) -> ()
        ^bb5:
        %each = llvm.shl(%tid, %c4) : (i32, i32) -> i32\n",
    );
    body.push_str(&gep("%to", "%out", "%each", 1));
    body.push_str(
        "llvm.store(%sum, %to) {ordering = 0 : i64, alignment = 16 : i64} : (vector<4xf32>, !llvm.ptr<1>) -> ()
        llvm.return()",
    );
    load("%a: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body)
}

fn element(row: usize, k: usize) -> f32 {
    ((row * 7 + k * 3 + row * k) % 9) as f32 - 4.0
}

/// The results as registers of lanes.
fn run(program: &Program, chip: &str, seed: u64) -> Result<Vec<u32>, FaultKind> {
    let input: Vec<u8> =
        (0..48 * K).flat_map(|at| f16::from_f32(element(at / K, at % K)).to_bits().to_le_bytes()).collect();
    let mut memory = Memory::new();
    let a = memory.add(input);
    let out = memory.alloc(128 * 16);
    let launch = Launch {
        kernel: "k",
        grid: [1; 3],
        block: [128, 1, 1],
        dynamic_shared: 2 * 48 * 32,
        args: &[Arg::Bits(a), Arg::Bits(out)],
        memory: &mut memory,
        chip: Chip::find(chip).expect("a chip"),
        options: Options { max_instructions: 1 << 20, ..Options::seeded(seed) },
    };
    program.run(launch).map_err(|fault| fault.kind)?;
    Ok(crate::support::to_words(memory.bytes(out).expect("the output")))
}

fn expected() -> Vec<u32> {
    let mut words = vec![0; 512];
    for row in 0..32 {
        for column in 0..16 {
            let sum: f32 = (0..K).map(|k| element(row, k) * element(32 + column, k)).sum();
            let lane = 64 * (row / 16) + column + 16 * (row % 16 / 4);
            words[4 * lane + row % 4] = sum.to_bits();
        }
    }
    words
}

#[test]
fn a_pipelined_product_is_right_whenever_its_copies_land() {
    let program = kernel();
    for chip in ["gfx942", "gfx950"] {
        for seed in 0..9 {
            assert_eq!(run(&program, chip, seed).expect("no fault"), expected(), "{chip}, seed {seed}");
        }
    }
}

#[test]
fn every_wait_and_barrier_of_it_is_missed() {
    let program = kernel();
    let sites = program.sync_sites();
    assert_eq!(sites.len(), 5);
    let unnoticed = program.unnoticed(|mutant, seed| run(mutant, "gfx942", seed) != Ok(expected()));
    assert_eq!(unnoticed, []);
}

#[test]
fn a_wait_that_leaves_one_copy_too_many_is_noticed() {
    // The same setup through the helper that names the fault's lines.
    let setup = Setup { chip: "gfx942", threads: 128, shared: 2 * 48 * 32, ..Setup::default() };
    let program = kernel();
    let wait = program.sync_sites().into_iter().find(|site| site.kind.contains("waitcnt")).expect("a wait");
    let broken = program.without(wait.index).expect("a program");
    let (fault, lines) = setup.fault(&broken, &[vec![0; 48 * 2 * K]], 512);
    assert!(matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised), "{fault}");
    assert!(!lines.is_empty());
}
