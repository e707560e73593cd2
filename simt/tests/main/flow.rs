//! Control flow, memory, and the faults of plain programs.

use crate::support::{MINE, Setup, from_words, load, module};
use kcc_simt::{Arg, FaultKind, Memory, Options, Program};

#[test]
fn lanes_of_a_loop_meet_again_behind_it() {
    // Lane t loops t times; behind the loop all 32 lanes vote together.
    let body = format!(
        "{MINE}
        %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
        %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
        %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
        llvm.br(%c0, %c0)[^head] : (i32, i32)
        ^head(%i: i32, %sum: i32):
        %more = llvm.icmp(%i, %tid) {{predicate = 2 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%more)[^body, ^end] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^body:
        %next = llvm.add(%i, %c1) : (i32, i32) -> i32
        %sum2 = llvm.add(%sum, %i) : (i32, i32) -> i32
        llvm.br(%next, %sum2)[^head] : (i32, i32)
        ^end:
        %all = nvvm.redux.sync(%sum, %full) {{kind = #nvvm<redux_kind add>}} : (i32, i32) -> i32
        %r = llvm.add(%all, %sum) : (i32, i32) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    );
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let words = Setup::default().words(&program, &[], 32);
    let triangle = |t: u32| t * t.saturating_sub(1) / 2;
    let total: u32 = (0..32).map(triangle).sum();
    assert_eq!(words, (0..32).map(|t| total + triangle(t)).collect::<Vec<_>>());
}

/// Each thread writes its word to shared memory and reads its neighbour's in the next warp.
fn exchange(barrier: bool) -> Program {
    let body = format!(
        "{MINE}
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %c32 = llvm.mlir.constant() {{value = 32 : i32}} : () -> i32
        %other = llvm.xor(%tid, %c32) : (i32, i32) -> i32
        %to = llvm.getelementptr(%s, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %from = llvm.getelementptr(%s, %other) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        llvm.store(%tid, %to) : (i32, !llvm.ptr<3>)
        {}
        %v = llvm.load(%from) : (!llvm.ptr<3>) -> i32
        llvm.store(%v, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()",
        if barrier { "nvvm.barrier0()" } else { "" }
    );
    load("%out: !llvm.ptr<1>", "", &body)
}

#[test]
fn a_barrier_orders_shared_memory() {
    let words = Setup { threads: 64, shared: 256, ..Setup::default() }.words(&exchange(true), &[], 64);
    assert_eq!(words, (0..64).map(|t| t ^ 32).collect::<Vec<u32>>());
}

#[test]
fn a_missing_barrier_is_a_race_at_both_lines() {
    let setup = Setup {
        threads: 64,
        shared: 256,
        options: Options { uninitialised: false, ..Options::default() },
        ..Setup::default()
    };
    let (fault, mut lines) = setup.fault(&exchange(false), &[], 64);
    assert_eq!(fault.kind, FaultKind::Race, "{fault}");
    lines.sort_unstable();
    assert_eq!(lines, [7, 9], "{fault}");
}

#[test]
fn every_barrier_can_be_deleted_and_is_missed() {
    let program = exchange(true);
    let sites = program.sync_sites();
    assert_eq!(sites.len(), 1);
    assert_eq!(sites[0].kind, "nvvm.barrier0");
    let mutant = program.without(sites[0].index).expect("a mutant");
    let (fault, _) = Setup { threads: 64, shared: 256, ..Setup::default() }.fault(&mutant, &[], 64);
    assert!(matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised), "{fault}");
}

#[test]
fn shared_memory_that_nobody_wrote_is_reported_where_it_matters() {
    let body = format!(
        "{MINE}
        %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %v = llvm.load(%s) : (!llvm.ptr<3>) -> i32
        %w = llvm.add(%v, %tid) : (i32, i32) -> i32
        llvm.store(%w, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    );
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let (fault, lines) = Setup { shared: 4, ..Setup::default() }.fault(&program, &[], 32);
    assert_eq!(fault.kind, FaultKind::Uninitialised);
    assert_eq!(lines, [5, 3], "the store, and the load that the value comes from: {fault}");
}

#[test]
fn accesses_are_bounded_and_aligned() {
    let store = |offset: u32, align: u32| {
        let body = format!(
            "{MINE}
            %far = llvm.getelementptr(%mine) {{elem_type = i8, rawConstantIndices = array<i32: {offset}>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
            llvm.store(%tid, %far) {{alignment = {align} : i64}} : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        let program = load("%out: !llvm.ptr<1>", "", &body);
        let (fault, lines) = Setup::default().fault(&program, &[], 32);
        assert_eq!(lines, [3], "{fault}");
        fault
    };
    let fault = store(4, 4);
    assert_eq!(fault.kind, FaultKind::OutOfBounds);
    assert!(fault.message.contains("offset 128 of buffer 0, which has 128"), "{fault}");
    assert_eq!(store(2, 4).kind, FaultKind::Misaligned);
    assert_eq!(store(0, 8).kind, FaultKind::Misaligned);
    let body = "%s = llvm.mlir.addressof() {global_name = @dyn} : () -> !llvm.ptr<3>
        %x = llvm.getelementptr(%s) {elem_type = i8, rawConstantIndices = array<i32: 252>} : (!llvm.ptr<3>) -> !llvm.ptr<3>
        %v = llvm.load(%x) : (!llvm.ptr<3>) -> i64
        llvm.return()";
    let program = load("%out: !llvm.ptr<1>", "", &body.replace("-> i64", "-> vector<2xi32>"));
    let (fault, _) = Setup { shared: 252, ..Setup::default() }.fault(&program, &[], 1);
    assert!(matches!(fault.kind, FaultKind::OutOfBounds | FaultKind::Misaligned), "{fault}");
}

#[test]
fn a_read_only_buffer_cannot_be_written() {
    let body = format!("{MINE}\nllvm.store(%tid, %mine) : (i32, !llvm.ptr<1>)\nllvm.return()");
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let bytes = [0u8; 128];
    let mut memory = Memory::new();
    let out = memory.borrow_const(&bytes);
    let fault = Setup::default().run(&program, &mut memory, &[Arg::Bits(out)]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfBounds);
}

#[test]
fn two_blocks_that_write_one_word_race() {
    let body = format!(
        "{MINE}
        %id = nvvm.read.ptx.sreg.ctaid.x() : () -> i32
        llvm.store(%id, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    );
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let (fault, lines) = Setup { grid: 2, ..Setup::default() }.fault(&program, &[], 32);
    assert_eq!(fault.kind, FaultKind::Race);
    assert_eq!(lines, [3, 3]);
    assert!(
        fault.to_string().contains("block [0, 0, 0]") && fault.to_string().contains("block [1, 0, 0]"),
        "{fault}"
    );
}

#[test]
fn half_of_the_warps_at_a_barrier_is_a_deadlock_that_names_it() {
    let body = format!(
        "{MINE}
        %c32 = llvm.mlir.constant() {{value = 32 : i32}} : () -> i32
        %c64 = llvm.mlir.constant() {{value = 64 : i32}} : () -> i32
        %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
        %low = llvm.icmp(%tid, %c32) {{predicate = 2 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%low)[^a, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^a:
        nvvm.barrier(%c1, %c64) {{operandSegmentSizes = array<i32: 1, 1, 0>}} : (i32, i32)
        llvm.br()[^b]
        ^b:
        llvm.return()"
    );
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let (fault, lines) = Setup { threads: 64, ..Setup::default() }.fault(&program, &[], 64);
    assert_eq!(fault.kind, FaultKind::Deadlock);
    assert_eq!(lines, [8]);
    assert!(fault.to_string().contains("barrier 1: 32 of 64 threads have arrived"), "{fault}");
}

#[test]
fn a_release_and_an_acquire_order_two_blocks() {
    // Block 0 writes data and releases a flag; block 1 spins on the flag and reads the data.
    let program = |release: u32, acquire: u32| {
        let body = format!(
            "%id = nvvm.read.ptx.sreg.ctaid.x() : () -> i32
            %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
            %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %c7 = llvm.mlir.constant() {{value = 7 : i32}} : () -> i32
            %flag = llvm.getelementptr(%out) {{elem_type = i32, rawConstantIndices = array<i32: 1>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
            %copy = llvm.getelementptr(%out) {{elem_type = i32, rawConstantIndices = array<i32: 2>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
            %first = llvm.icmp(%id, %c0) {{predicate = 0 : i64}} : (i32, i32) -> i1
            llvm.cond_br(%first)[^a, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
            ^a:
            llvm.store(%c7, %out) : (i32, !llvm.ptr<1>)
            llvm.store(%c1, %flag) {{ordering = {release} : i64, syncscope = \"device\", alignment = 4 : i64}} : (i32, !llvm.ptr<1>)
            llvm.br()[^end]
            ^b:
            %f = llvm.load(%flag) {{ordering = {acquire} : i64, syncscope = \"device\", alignment = 4 : i64}} : (!llvm.ptr<1>) -> i32
            %set = llvm.icmp(%f, %c1) {{predicate = 0 : i64}} : (i32, i32) -> i1
            llvm.cond_br(%set)[^c, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
            ^c:
            %v = llvm.load(%out) : (!llvm.ptr<1>) -> i32
            llvm.store(%v, %copy) : (i32, !llvm.ptr<1>)
            llvm.br()[^end]
            ^end:
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", "", &body)
    };
    let setup = Setup { grid: 2, threads: 1, ..Setup::default() };
    assert_eq!(setup.words(&program(5, 4), &[], 3), [7, 1, 7]);
    for (release, acquire) in [(2, 4), (5, 2)] {
        let (fault, lines) = setup.fault(&program(release, acquire), &[], 3);
        assert_eq!(fault.kind, FaultKind::Race);
        assert_eq!(lines, [17, 9], "{fault}");
    }
}

#[test]
fn an_endless_loop_is_given_up() {
    let program = load("%out: !llvm.ptr<1>", "", "llvm.br()[^a]\n^a:\nllvm.br()[^a]");
    let options = Options { max_instructions: 10_000, ..Options::default() };
    let (fault, _) = Setup { options, ..Setup::default() }.fault(&program, &[], 1);
    assert_eq!(fault.kind, FaultKind::Budget);
}

#[test]
fn bank_conflicts_are_counted() {
    // Word stride 1: none. Stride 32: all lanes in one bank, 31 extra cycles. Stride 2: two words a bank.
    for (stride, extra) in [(1, 0), (32, 31), (2, 1), (33, 0)] {
        let body = format!(
            "{MINE}
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %c = llvm.mlir.constant() {{value = {stride} : i32}} : () -> i32
            %at = llvm.mul(%tid, %c) : (i32, i32) -> i32
            %to = llvm.getelementptr(%s, %at) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            llvm.store(%tid, %to) : (i32, !llvm.ptr<3>)
            llvm.return()"
        );
        let program = load("%out: !llvm.ptr<1>", "", &body);
        let mut memory = Memory::new();
        let out = memory.alloc(128);
        let setup = Setup { shared: 33 * 32 * 4, ..Setup::default() };
        let stats = setup.run(&program, &mut memory, &[Arg::Bits(out)]).unwrap();
        assert_eq!(stats.bank_conflicts(), extra, "stride {stride}");
        assert_eq!(stats.by_kind["llvm.store"], 1);
    }
}

#[test]
fn broken_text_is_an_error_and_never_a_panic() {
    let body = format!("{MINE}\nllvm.store(%tid, %mine) : (i32, !llvm.ptr<1>)\nllvm.return()");
    let text = module("%out: !llvm.ptr<1>", "", &body);
    let bytes = text.as_bytes();
    // Truncations, deletions and replacements at every place.
    for at in 0..bytes.len() {
        let _ = Program::load(&text[..at]);
        for replacement in [&b""[..], b"<", b"\"", b"%", b"9999999999999999999", b"-1", b"^", b"x"] {
            let mut broken = bytes[..at].to_vec();
            broken.extend_from_slice(replacement);
            broken.extend_from_slice(&bytes[at + 1..]);
            if let Ok(text) = std::str::from_utf8(&broken)
                && let Ok(program) = Program::load(text)
            {
                let mut memory = Memory::new();
                let out = memory.add(from_words(0..32));
                let options = Options { max_instructions: 1000, ..Options::default() };
                let _ = Setup { options, ..Setup::default() }.run(&program, &mut memory, &[Arg::Bits(out)]);
            }
        }
    }
}
