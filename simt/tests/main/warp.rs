//! Operations among the lanes of a warp, against the PTX manual's text.

use crate::support::{MINE, Setup, load};
use kcc_simt::FaultKind;

/// The result of one instruction whose operands are computed from `%tid`.
fn lanes(lines: &str) -> Vec<u32> {
    let body = format!(
        "{MINE}
        %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
        {lines}
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    );
    Setup::default().words(&load("%out: !llvm.ptr<1>", "", &body), &[], 32)
}

fn shuffle(mode: &str, offset: u32, clamp: u32) -> Vec<u32> {
    lanes(&format!(
        "%o = llvm.mlir.constant() {{value = {offset} : i32}} : () -> i32
        %c = llvm.mlir.constant() {{value = {clamp} : i32}} : () -> i32
        %r = nvvm.shfl.sync(%full, %tid, %o, %c) {{kind = #nvvm<shfl_kind {mode}>}} : (i32, i32, i32, i32) -> i32"
    ))
}

#[test]
fn shuffles_follow_the_manual() {
    let expect = |f: fn(u32) -> u32| (0..32).map(f).collect::<Vec<u32>>();
    assert_eq!(shuffle("bfly", 5, 31), expect(|t| t ^ 5));
    assert_eq!(shuffle("up", 3, 0), expect(|t| if t >= 3 { t - 3 } else { t }));
    assert_eq!(shuffle("down", 3, 31), expect(|t| if t + 3 < 32 { t + 3 } else { t }));
    assert_eq!(shuffle("idx", 7, 31), expect(|_| 7));
    // Segments of 8 lanes: clamp 31, segment mask 0b11000.
    assert_eq!(shuffle("idx", 3, 0x181f), expect(|t| t / 8 * 8 + 3));
    assert_eq!(shuffle("down", 2, 0x181f), expect(|t| if t % 8 < 6 { t + 2 } else { t }));
    assert_eq!(shuffle("up", 2, 0x1800), expect(|t| if t % 8 >= 2 { t - 2 } else { t }));
}

#[test]
fn votes_reductions_matches_and_election() {
    let odd = "%c1 = llvm.mlir.constant() {value = 1 : i32} : () -> i32
        %b = llvm.and(%tid, %c1) : (i32, i32) -> i32
        %p = llvm.trunc(%b) : (i32) -> i1";
    let vote = |kind: &str| {
        let ballot = kind == "ballot";
        let ty = if ballot { "i32" } else { "i1" };
        let name = if ballot { "%r" } else { "%v" };
        let widen = if ballot { "" } else { "%r = llvm.zext(%v) : (i1) -> i32" };
        lanes(&format!(
            "{odd}\n{name} = nvvm.vote.sync(%full, %p) {{kind = #nvvm<vote_sync_kind {kind}>}} : (i32, i1) -> {ty}\n{widen}"
        ))
    };
    assert_eq!(vote("ballot"), [0xaaaa_aaaa; 32]);
    assert_eq!(vote("any"), [1; 32]);
    assert_eq!(vote("all"), [0; 32]);
    assert_eq!(vote("uni"), [0; 32]);
    let redux = |kind: &str| {
        lanes(&format!(
            "%r = nvvm.redux.sync(%tid, %full) {{kind = #nvvm<redux_kind {kind}>}} : (i32, i32) -> i32"
        ))
    };
    assert_eq!(redux("add"), [496; 32]);
    assert_eq!(redux("umax"), [31; 32]);
    assert_eq!(redux("xor"), [0; 32]);
    let matched = lanes(
        "%c3 = llvm.mlir.constant() {value = 3 : i32} : () -> i32
        %v = llvm.and(%tid, %c3) : (i32, i32) -> i32
        %r = nvvm.match.sync(%full, %v) {kind = #nvvm<match_sync_kind any>} : (i32, i32) -> i32",
    );
    assert_eq!(matched, (0..32).map(|t| 0x1111_1111 << (t % 4)).collect::<Vec<u32>>());
    let elected = lanes("%e = nvvm.elect.sync() : () -> i1\n%r = llvm.zext(%e) : (i1) -> i32");
    assert_eq!(elected.iter().sum::<u32>(), 1);
}

#[test]
fn a_shuffle_waits_for_lanes_on_another_path() {
    // Both halves of the warp shuffle at different lines: with full masks neither can go on.
    let body = format!(
        "{MINE}
        %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
        %c16 = llvm.mlir.constant() {{value = 16 : i32}} : () -> i32
        %c31 = llvm.mlir.constant() {{value = 31 : i32}} : () -> i32
        %low = llvm.icmp(%tid, %c16) {{predicate = 2 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%low)[^a, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
        ^a:
        %x = nvvm.shfl.sync(%full, %tid, %c16, %c31) {{kind = #nvvm<shfl_kind bfly>}} : (i32, i32, i32, i32) -> i32
        llvm.br()[^c]
        ^b:
        %y = nvvm.shfl.sync(%full, %tid, %c16, %c31) {{kind = #nvvm<shfl_kind bfly>}} : (i32, i32, i32, i32) -> i32
        llvm.br()[^c]
        ^c:
        llvm.return()"
    );
    let (fault, mut lines) = Setup::default().fault(&load("%out: !llvm.ptr<1>", "", &body), &[], 32);
    lines.sort_unstable();
    assert_eq!((fault.kind, lines), (FaultKind::Deadlock, vec![8, 11]), "{fault}");
}

#[test]
fn lanes_of_one_warp_need_a_warp_barrier() {
    let program = |sync: &str| {
        let body = format!(
            "{MINE}
            %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %other = llvm.xor(%tid, %c1) : (i32, i32) -> i32
            %to = llvm.getelementptr(%s, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            %from = llvm.getelementptr(%s, %other) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            llvm.store(%tid, %to) : (i32, !llvm.ptr<3>)
            {sync}
            %v = llvm.load(%from) : (!llvm.ptr<3>) -> i32
            llvm.store(%v, %mine) : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", "", &body)
    };
    let setup = Setup { shared: 128, ..Setup::default() };
    let words = setup.words(&program("nvvm.bar.warp.sync(%full) : (i32)"), &[], 32);
    assert_eq!(words, (0..32).map(|t| t ^ 1).collect::<Vec<u32>>());
    let (fault, lines) = setup.fault(&program(""), &[], 32);
    assert_eq!((fault.kind, lines), (FaultKind::Race, vec![10, 8]), "{fault}");
}

#[test]
fn registers_change_hands_within_what_the_block_started_with() {
    let program = |more: u32| {
        let body = format!(
            "{MINE}
            %c32 = llvm.mlir.constant() {{value = 32 : i32}} : () -> i32
            %first = llvm.icmp(%tid, %c32) {{predicate = 6 : i64}} : (i32, i32) -> i1
            llvm.cond_br(%first)[^more, ^fewer] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1) -> ()
            ^more:
            nvvm.setmaxregister() {{action = #nvvm<action increase>, regCount = {more} : i32}}
            llvm.br()[^end]
            ^fewer:
            nvvm.setmaxregister() {{action = #nvvm<action decrease>, regCount = 24 : i32}}
            llvm.br()[^end]
            ^end:
            llvm.store(%tid, %mine) : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", ", nvvm.maxnreg = 40 : i32", &body)
    };
    let setup = Setup { threads: 64, ..Setup::default() };
    assert_eq!(setup.words(&program(56), &[], 64), (0..64).collect::<Vec<u32>>());
    let (fault, lines) = setup.fault(&program(64), &[], 64);
    assert_eq!((fault.kind, lines.contains(&6)), (FaultKind::Deadlock, true), "{fault} {lines:?}");
    assert!(fault.to_string().contains("for 768 registers of a block that has 512 to give"), "{fault}");
}
