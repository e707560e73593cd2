//! Asynchronous copies: `cp.async`, bulk copies, tensor maps, mbarriers.

use crate::support::{MINE, Setup, from_words, load, timings, to_words};
use kcc_simt::{Arg, FaultKind, Memory, Options, Program, Swizzle, TensorMap};

/// Each thread copies 16 bytes with `cp.async` and reads what its neighbour in the other warp copied.
fn cp_async(bytes: &str, wait: &str, barrier: &str) -> Program {
    let body = format!(
        "{MINE}
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %c32 = llvm.mlir.constant() {{value = 32 : i32}} : () -> i32
        %size = llvm.mlir.constant() {{value = {bytes} : i32}} : () -> i32
        %other = llvm.xor(%tid, %c32) : (i32, i32) -> i32
        %to = llvm.getelementptr(%s, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %from = llvm.getelementptr(%in, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        %read = llvm.getelementptr(%s, %other) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        nvvm.cp.async.shared.global(%to, %from, %size) {{modifier = #nvvm<load_cache_modifier cg>, size = 16 : i32}} : (!llvm.ptr<3>, !llvm.ptr<1>, i32)
        nvvm.cp.async.commit.group()
        {wait}
        {barrier}
        %v = llvm.load(%read) : (!llvm.ptr<3>) -> vector<4xi32>
        %o = llvm.getelementptr(%out, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%v, %o) : (vector<4xi32>, !llvm.ptr<1>)
        llvm.return()"
    );
    load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body)
}

const WAIT: &str = "nvvm.cp.async.wait.group() {n = 0 : i32}";

fn copy_setup() -> Setup<'static> {
    Setup { chip: "sm_80", threads: 64, shared: 1024, ..Setup::default() }
}

#[test]
fn asynchronous_copies_arrive_and_fill_with_zeros() {
    let input = from_words(1..257);
    let words =
        copy_setup().words(&cp_async("16", WAIT, "nvvm.barrier0()"), std::slice::from_ref(&input), 256);
    assert_eq!(words, (0..256u32).map(|w| (w ^ 128) + 1).collect::<Vec<_>>());
    let words = copy_setup().words(&cp_async("8", WAIT, "nvvm.barrier0()"), &[input], 256);
    assert_eq!(words, (0..256u32).map(|w| if w % 4 < 2 { (w ^ 128) + 1 } else { 0 }).collect::<Vec<_>>());
}

#[test]
fn a_copy_without_its_wait_or_barrier_is_a_race() {
    let input = from_words(1..257);
    for program in [
        cp_async("16", "nvvm.cp.async.wait.group() {n = 1 : i32}", "nvvm.barrier0()"),
        cp_async("16", "", "nvvm.barrier0()"),
        cp_async("16", WAIT, ""),
    ] {
        // Where the reader comes first, it finds bytes that nobody wrote; here only the order is asked for.
        let options = Options { uninitialised: false, ..Options::default() };
        let setup = Setup { options, ..copy_setup() };
        let (fault, mut lines) = setup.fault(&program, std::slice::from_ref(&input), 256);
        lines.sort_unstable();
        assert_eq!(fault.kind, FaultKind::Race, "{fault}");
        assert_eq!(lines, [9, 13], "{fault}");
    }
}

#[test]
fn a_wait_speaks_for_the_lane_that_waited() {
    // One warp: lane t reads what lane t xor 1 copied.
    let program = |sync: &str| {
        let text = format!(
            "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
            %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
            %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %other = llvm.xor(%tid, %c1) : (i32, i32) -> i32
            %to = llvm.getelementptr(%s, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            %from = llvm.getelementptr(%in, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %read = llvm.getelementptr(%s, %other) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            nvvm.cp.async.shared.global(%to, %from) {{modifier = #nvvm<load_cache_modifier ca>, size = 4 : i32}} : (!llvm.ptr<3>, !llvm.ptr<1>)
            nvvm.cp.async.commit.group()
            {WAIT}
            {sync}
            %v = llvm.load(%read) : (!llvm.ptr<3>) -> i32
            %o = llvm.getelementptr(%out, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            llvm.store(%v, %o) : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &text)
    };
    let setup = Setup { chip: "sm_80", shared: 128, ..Setup::default() };
    let input = from_words(0..32);
    let words = setup.words(&program("nvvm.bar.warp.sync(%full) : (i32)"), std::slice::from_ref(&input), 32);
    assert_eq!(words, (0..32).map(|t| t ^ 1).collect::<Vec<u32>>());
    let (fault, lines) = setup.fault(&program(""), &[input], 32);
    assert_eq!((fault.kind, lines), (FaultKind::Race, vec![12, 8]), "{fault}");
}

/// Elements of 2 bytes, 48 × 20 of them, rows of 128 bytes; boxes of 32 × 8.
fn map(address: u64, swizzle: Swizzle) -> TensorMap {
    TensorMap {
        address,
        element: 2,
        float: true,
        bfloat: false,
        dims: vec![48, 20],
        strides: vec![128],
        box_dims: vec![32, 8],
        swizzle,
        fill_nan: false,
    }
}

/// Thread 0 loads one box by TMA; all threads wait, then copy shared memory to the output word by word.
fn tma(init_fence: &str, expect: &str, wait: &str) -> String {
    format!(
        "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %bar = llvm.getelementptr(%s) {{elem_type = i8, rawConstantIndices = array<i32: 512>}} : (!llvm.ptr<3>) -> !llvm.ptr<3>
        %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
        %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
        %bytes = llvm.mlir.constant() {{value = 512 : i32}} : () -> i32
        %first = llvm.icmp(%tid, %c0) {{predicate = 0 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%first)[^init, ^ready] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^init:
        nvvm.mbarrier.init(%bar, %c1) : (!llvm.ptr<3>, i32)
        {init_fence}
        llvm.br()[^ready]
        ^ready:
        nvvm.barrier0()
        llvm.cond_br(%first)[^load, ^spin] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^load:
        {expect}
        nvvm.cp.async.bulk.tensor.shared.cluster.global(%s, %map, %x, %y, %bar) {{isCTAOnly = true, mode = #nvvm.tma_load_mode<tile>, operandSegmentSizes = array<i32: 1, 1, 2, 1, 0, 0, 0, 0>}} : (!llvm.ptr<3>, !llvm.ptr, i32, i32, !llvm.ptr<3>)
        llvm.br()[^spin]
        ^spin:
        {wait}
        ^done:
        %at = llvm.getelementptr(%s, %tid) {{elem_type = i64, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %v = llvm.load(%at) : (!llvm.ptr<3>) -> i64
        %o = llvm.getelementptr(%out, %tid) {{elem_type = i64, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%v, %o) : (i64, !llvm.ptr<1>)
        llvm.return()"
    )
}

const TMA_PARAMS: &str = "%map: map, %x: i32, %y: i32, %out: !llvm.ptr<1>";
const INIT_FENCE: &str = "nvvm.fence.mbarrier.init()";
const EXPECT: &str = "nvvm.mbarrier.arrive.expect_tx(%bar, %bytes) : (!llvm.ptr<3>, i32)";
const SPIN: &str = "%ok = nvvm.mbarrier.try_wait(%bar, %c0) : (!llvm.ptr<3>, i32) -> i1
        llvm.cond_br(%ok)[^done, ^spin] {operandSegmentSizes = array<i32: 1, 0, 0>} : (i1)";

fn run_tma(
    body: &str,
    swizzle: Swizzle,
    at: (i32, i32),
) -> Result<Vec<u16>, (Box<kcc_simt::Fault>, Vec<u32>)> {
    let program = load(TMA_PARAMS, "", body);
    let mut result = Vec::new();
    for (seed, timing) in timings() {
        let mut memory = Memory::new();
        // Element (row, column) is 100·row + column + 1.
        let tensor = (0..20u32).flat_map(|row| (0..64u32).map(move |column| (100 * row + column + 1) as u16));
        let tensor: Vec<u8> = tensor.flat_map(u16::to_le_bytes).collect();
        let address = memory.add(tensor);
        let out = memory.alloc(512);
        let descriptor = map(address, swizzle).encode().unwrap();
        let args = [
            Arg::Bytes(descriptor.to_vec()),
            Arg::Bits(at.0 as u32 as u64),
            Arg::Bits(at.1 as u32 as u64),
            Arg::Bits(out),
        ];
        let options = Options { seed, timing: Some(timing), ..Options::default() };
        let setup = Setup { threads: 64, shared: 520, options, ..Setup::default() };
        if let Err(fault) = setup.run(&program, &mut memory, &args) {
            let lines =
                fault.places.iter().filter_map(|place| place.loc.as_ref()).map(|loc| loc.line).collect();
            return Err((fault, lines));
        }
        let words = to_words(memory.bytes(out).unwrap());
        result = words.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]).collect();
    }
    Ok(result)
}

#[test]
fn a_tensor_map_moves_boxes_with_zeros_beyond_the_edges() {
    let good = tma(INIT_FENCE, EXPECT, SPIN);
    for at in [(0, 0), (16, 4), (32, 16), (-8, -3), (40, 19)] {
        for (swizzle, units) in [(Swizzle::None, 1), (Swizzle::B64, 4)] {
            let halves = run_tma(&good, swizzle, at).unwrap_or_else(|(fault, _)| panic!("{at:?}: {fault}"));
            for row in 0..8i32 {
                for column in 0..32i32 {
                    let (y, x) = (at.1 + row, at.0 + column);
                    let inside = (0..20).contains(&y) && (0..48).contains(&x);
                    let expected = if inside { (100 * y + x + 1) as u16 } else { 0 };
                    // Rows of 64 bytes; two rows make 128. With the 64-byte swizzle the 16-byte unit of a row is
                    // combined with the number of the 128-byte line, modulo 4.
                    let unit = (column as usize / 8) ^ (row as usize / 2 % units);
                    let place = row as usize * 32 + unit * 8 + column as usize % 8;
                    assert_eq!(halves[place], expected, "{at:?} {swizzle:?} row {row} column {column}");
                }
            }
        }
    }
}

#[test]
fn mistakes_around_a_bulk_copy_are_found_at_their_lines() {
    let find = |body: &str| run_tma(body, Swizzle::None, (0, 0)).expect_err("a fault");
    let (fault, lines) = find(&tma("", EXPECT, SPIN));
    assert_eq!((fault.kind, &lines[..]), (FaultKind::ProxyFence, &[17, 9][..]), "{fault}");
    // Without the expectation nobody ever arrives.
    let (fault, _) = find(&tma(INIT_FENCE, "", SPIN));
    assert_eq!(fault.kind, FaultKind::Deadlock, "{fault}");
    assert!(fault.to_string().contains("1 of 1 arrivals"), "{fault}");
    // An arrival alone lets the phase end before the bytes are there.
    let arrive = "nvvm.mbarrier.arrive(%bar) : (!llvm.ptr<3>)";
    let (fault, _) = find(&tma(INIT_FENCE, arrive, SPIN));
    assert!(
        matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised | FaultKind::Mbarrier),
        "{fault}"
    );
    // A wait whose answer nobody reads.
    let once = "%ok = nvvm.mbarrier.try_wait(%bar, %c0) : (!llvm.ptr<3>, i32) -> i1\nllvm.br()[^done]";
    let (fault, _) = find(&tma(INIT_FENCE, EXPECT, once));
    assert!(matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised), "{fault}");
    let (fault, lines) = find(&tma(INIT_FENCE, EXPECT, "llvm.br()[^done]"));
    assert!(matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised), "{fault}");
    assert_eq!(lines[0], if fault.kind == FaultKind::Race { 23 } else { 25 }, "{fault}");
}

/// Threads fill shared memory, thread 0 stores it as a box.
fn store(fence: &str, wait: &str) -> Program {
    let body = format!(
        "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
        %wide = llvm.zext(%tid) : (i32) -> i64
        %at = llvm.getelementptr(%s, %tid) {{elem_type = i64, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        llvm.store(%wide, %at) : (i64, !llvm.ptr<3>)
        {fence}
        nvvm.barrier0()
        %first = llvm.icmp(%tid, %c0) {{predicate = 0 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%first)[^a, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^a:
        nvvm.cp.async.bulk.tensor.global.shared.cta(%map, %s, %x, %y) {{mode = #nvvm.tma_store_mode<tile>, operandSegmentSizes = array<i32: 1, 1, 2, 0, 0>}} : (!llvm.ptr, !llvm.ptr<3>, i32, i32)
        nvvm.cp.async.bulk.commit.group()
        {wait}
        llvm.store(%wide, %at) : (i64, !llvm.ptr<3>)
        llvm.br()[^b]
        ^b:
        llvm.return()"
    );
    load(TMA_PARAMS, "", &body)
}

#[test]
fn a_store_needs_its_fence_and_its_wait() {
    let fence = "nvvm.fence.proxy() {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}";
    let wait = "nvvm.cp.async.bulk.wait_group() {group = 0 : i32, read}";
    let run = |program: &Program| {
        let mut memory = Memory::new();
        let address = memory.alloc(20 * 128);
        let descriptor = map(address, Swizzle::None).encode().unwrap();
        let args = [Arg::Bytes(descriptor.to_vec()), Arg::Bits(40), Arg::Bits(15), Arg::Bits(address)];
        let setup = Setup { threads: 64, shared: 512, ..Setup::default() };
        setup.run(program, &mut memory, &args).map(|_| memory.bytes(address).unwrap().to_vec())
    };
    let bytes = run(&store(fence, wait)).unwrap_or_else(|fault| panic!("{fault}"));
    // Thread t wrote the four halves t, 0, 0, 0; a row of the box has 8 threads. Columns from 48 on are outside.
    for row in 0..20usize {
        for column in 0..64usize {
            let half = bytes[row * 128 + 2 * column];
            let inside = row >= 15 && (40..48).contains(&column) && column % 4 == 0;
            let expected = if inside { (row - 15) * 8 + (column - 40) / 4 } else { 0 };
            assert_eq!(usize::from(half), expected, "row {row} column {column}");
        }
    }
    let fault = run(&store("", wait)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ProxyFence, "{fault}");
    assert_eq!(fault.loc().map(|loc| loc.line), Some(11));
    let fault = run(&store(fence, "")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Race, "{fault}");
    assert_eq!(fault.loc().map(|loc| loc.line), Some(14));
}

#[test]
fn a_cluster_shares_memory_after_its_barrier() {
    // Each block writes its rank, and reads the other's through mapa.
    let program = |barrier: &str| {
        let body = format!(
            "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
            %rank = nvvm.read.ptx.sreg.cluster.ctarank() : () -> i32
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %other = llvm.xor(%rank, %c1) : (i32, i32) -> i32
            %at = llvm.getelementptr(%s, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            llvm.store(%rank, %at) : (i32, !llvm.ptr<3>)
            {barrier}
            %there = nvvm.mapa(%at, %other) : (!llvm.ptr<3>, i32) -> !llvm.ptr<7>
            %v = llvm.load(%there) : (!llvm.ptr<7>) -> i32
            {barrier}
            %o = llvm.getelementptr(%out, %rank) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            llvm.store(%v, %o) : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", ", nvvm.cluster_dim = array<i32: 2, 1, 1>", &body)
    };
    let setup = Setup { grid: 2, threads: 32, shared: 128, ..Setup::default() };
    let both = "nvvm.cluster.arrive()\nnvvm.cluster.wait()";
    assert_eq!(setup.words(&program(both), &[], 2), [1, 0]);
    let (fault, _) = setup.fault(&program("nvvm.cluster.arrive.relaxed()\nnvvm.cluster.wait()"), &[], 2);
    assert_eq!(fault.kind, FaultKind::Race, "{fault}");
}

/// Two blocks: each copies half of a row of 64 bytes to both, waits until the whole row has come, and tells both that it has read.
fn pair(ready: &str, arrive: &str, end: &str) -> Program {
    let body = format!(
        "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
        %rank = nvvm.read.ptx.sreg.cluster.ctarank() : () -> i32
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %full = llvm.getelementptr(%s) {{elem_type = i8, rawConstantIndices = array<i32: 512>}} : (!llvm.ptr<3>) -> !llvm.ptr<3>
        %empty = llvm.getelementptr(%s) {{elem_type = i8, rawConstantIndices = array<i32: 520>}} : (!llvm.ptr<3>) -> !llvm.ptr<3>
        %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
        %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
        %c2 = llvm.mlir.constant() {{value = 2 : i32}} : () -> i32
        %c32 = llvm.mlir.constant() {{value = 32 : i32}} : () -> i32
        %bytes = llvm.mlir.constant() {{value = 64 : i32}} : () -> i32
        %mask = llvm.mlir.constant() {{value = 3 : i16}} : () -> i16
        %first = llvm.icmp(%tid, %c0) {{predicate = 0 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%first)[^init, ^ready] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^init:
        nvvm.mbarrier.init(%full, %c1) : (!llvm.ptr<3>, i32)
        nvvm.mbarrier.init(%empty, %c2) : (!llvm.ptr<3>, i32)
        nvvm.fence.mbarrier.init()
        llvm.br()[^ready]
        ^ready:
        {ready}
        llvm.cond_br(%first)[^load, ^spin] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^load:
        nvvm.mbarrier.arrive.expect_tx(%full, %bytes) : (!llvm.ptr<3>, i32)
        %half = llvm.mul(%rank, %c32) : (i32, i32) -> i32
        %mine = llvm.getelementptr(%s, %half) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %bits = llvm.ptrtoint(%mine) : (!llvm.ptr<3>) -> i32
        %to = llvm.inttoptr(%bits) : (i32) -> !llvm.ptr<7>
        %from = llvm.getelementptr(%in, %half) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        nvvm.cp.async.bulk.shared.cluster.global(%to, %from, %full, %c32, %mask) {{operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0>}} : (!llvm.ptr<7>, !llvm.ptr<1>, !llvm.ptr<3>, i32, i16)
        llvm.br()[^spin]
        ^spin:
        %ok = nvvm.mbarrier.try_wait(%full, %c0) : (!llvm.ptr<3>, i32) -> i1
        llvm.cond_br(%ok)[^use, ^spin] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^use:
        %at = llvm.getelementptr(%s, %tid) {{elem_type = i16, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %v = llvm.load(%at) : (!llvm.ptr<3>) -> i16
        %place = llvm.mul(%rank, %c32) : (i32, i32) -> i32
        %own = llvm.add(%place, %tid) : (i32, i32) -> i32
        %o = llvm.getelementptr(%out, %own) {{elem_type = i16, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%v, %o) : (i16, !llvm.ptr<1>)
        %two = llvm.icmp(%tid, %c2) {{predicate = 6 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%two)[^tell, ^told] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^tell:
        %there = nvvm.mapa(%empty, %tid) : (!llvm.ptr<3>, i32) -> !llvm.ptr<7>
        {arrive}
        llvm.br()[^told]
        ^told:
        {end}
        llvm.return()"
    );
    load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", ", nvvm.cluster_dim = array<i32: 2, 1, 1>", &body)
}

#[test]
fn copies_to_all_blocks_of_a_cluster_need_its_barriers() {
    let both = "nvvm.cluster.arrive()\nnvvm.cluster.wait()";
    let arrive = "nvvm.mbarrier.arrive(%there) : (!llvm.ptr<7>) -> ()";
    let setup = Setup { grid: 2, threads: 32, shared: 528, ..Setup::default() };
    let input: Vec<u8> = (0..64).collect();
    let told = "%all = nvvm.mbarrier.try_wait(%empty, %c0) : (!llvm.ptr<3>, i32) -> i1
        llvm.cond_br(%all)[^end, ^told] {operandSegmentSizes = array<i32: 1, 0, 0>} : (i1)
        ^end:";
    let words = setup.words(&pair(both, arrive, both), std::slice::from_ref(&input), 32);
    assert_eq!(setup.words(&pair(both, arrive, told), std::slice::from_ref(&input), 32), words);
    let wanted: Vec<u32> = input.chunks(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    assert_eq!(words, [wanted.clone(), wanted].concat());
    // The other's barriers are not made yet.
    let fault = |program: &Program| setup.fault(program, std::slice::from_ref(&input), 32).0;
    let early = fault(&pair("nvvm.barrier0()", arrive, both));
    assert!(matches!(early.kind, FaultKind::Mbarrier | FaultKind::Race | FaultKind::ProxyFence), "{early}");
    // Each waits for the other's arrival.
    assert_eq!(fault(&pair(both, "", told)).kind, FaultKind::Deadlock);
    // One has ended when the other arrives there.
    let late = fault(&pair(both, arrive, ""));
    assert!(late.to_string().contains("has ended"), "{late}");
}
