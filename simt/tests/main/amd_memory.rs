//! Buffer resources, LDS, barriers and direct copies; and the planted mistakes about them.

use crate::amd_wave::MINE;
use crate::support::{Setup, from_words, load};
use kcc_simt::{FaultKind, Program};

/// `%rsrc` for the buffer `%p` of `%bytes` bytes, with the flags of gfx9.
fn resource(pointer: &str, bytes: u32) -> String {
    format!(
        "%stride = llvm.mlir.constant() {{value = 0 : i16}} : () -> i16
        %flags = llvm.mlir.constant() {{value = 159744 : i32}} : () -> i32
        %bytes = llvm.mlir.constant() {{value = {bytes} : i64}} : () -> i64
        %rsrc = rocdl.make.buffer.rsrc({pointer}, %stride, %bytes, %flags) : (!llvm.ptr<1>, i16, i64, i32) -> !llvm.ptr<8>
        %c16 = llvm.mlir.constant() {{value = 16 : i32}} : () -> i32
        %c8 = llvm.mlir.constant() {{value = 8 : i32}} : () -> i32"
    )
}

fn setup(chip: &str, threads: u32) -> Setup<'_> {
    Setup { chip, threads, ..Setup::default() }
}

#[test]
fn buffer_loads_give_zero_beyond_the_end_word_by_word() {
    // 16 bytes a lane from byte 8·lane; the buffer ends after 20 words.
    let body = format!(
        "{MINE}\n{}
        %o = llvm.mul(%tid, %c8) : (i32, i32) -> i32
        %v = rocdl.raw.ptr.buffer.load(%rsrc, %o, %c0, %c0) : (!llvm.ptr<8>, i32, i32, i32) -> vector<4xi32>
        %i = llvm.mlir.constant() {{value = 3 : i32}} : () -> i32
        %r = llvm.extractelement(%v, %i) : (vector<4xi32>, i32) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()",
        resource("%p", 80)
    );
    let program = load("%p: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body);
    let input = from_words((0..64).map(|word| word + 1000));
    let out = setup("gfx942", 64).words(&program, &[input], 64);
    let expected: Vec<u32> =
        (0..64).map(|lane| if 2 * lane + 3 < 20 { 2 * lane + 1003 } else { 0 }).collect();
    assert_eq!(out, expected);
}

#[test]
fn the_waves_offset_counts_and_a_masked_lane_reads_zero() {
    // Lanes from 4 on get the offset 2³¹.
    let body = format!(
        "{MINE}\n{}
        %far = llvm.mlir.constant() {{value = -2147483648 : i32}} : () -> i32
        %near = llvm.icmp(%tid, %c4) {{predicate = 6 : i64}} : (i32, i32) -> i1
        %o4 = llvm.mul(%tid, %c4) : (i32, i32) -> i32
        %o = llvm.select(%near, %o4, %far) : (i1, i32, i32) -> i32
        %r = rocdl.raw.ptr.buffer.load(%rsrc, %o, %c16, %c0) : (!llvm.ptr<8>, i32, i32, i32) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()",
        resource("%p", 28)
    );
    let program = load("%p: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body);
    let out = setup("gfx90a", 64).words(&program, &[from_words(0..64)], 64);
    let expected: Vec<u32> = (0..64).map(|lane| if lane < 3 { lane + 4 } else { 0 }).collect();
    assert_eq!(out, expected);
}

#[test]
fn buffer_stores_beyond_the_end_are_dropped_and_atomics_too() {
    let body = format!(
        "{MINE}\n{}
        %o = llvm.mul(%tid, %c8) : (i32, i32) -> i32
        %u = llvm.mlir.undef() : () -> vector<2xi32>
        %a = llvm.insertelement(%u, %tid, %c0) : (vector<2xi32>, i32, i32) -> vector<2xi32>
        %v = llvm.insertelement(%a, %hundred, %c1) : (vector<2xi32>, i32, i32) -> vector<2xi32>
        rocdl.raw.ptr.buffer.store(%v, %rsrc, %o, %c0, %c0) : (vector<2xi32>, !llvm.ptr<8>, i32, i32, i32) -> ()
        rocdl.barrier()
        rocdl.raw.ptr.buffer.atomic.umin(%c1, %rsrc, %c16, %c0, %c0) : (i32, !llvm.ptr<8>, i32, i32, i32) -> ()
        rocdl.raw.ptr.buffer.atomic.umin(%c0, %rsrc, %bad, %c0, %c0) : (i32, !llvm.ptr<8>, i32, i32, i32) -> ()
        llvm.return()",
        resource("%out", 36)
    )
    .replace("%u = llvm", "%bad = llvm.mlir.constant() {value = 36 : i32} : () -> i32\n%u = llvm");
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let out = setup("gfx942", 64).words(&program, &[], 16);
    assert_eq!(out[..11], [0, 100, 1, 100, 1, 100, 3, 100, 4, 0, 0]);
}

#[test]
fn a_word_that_only_begins_in_the_buffer_must_not_be_stored() {
    let body = format!(
        "{MINE}\n{}
        %o = llvm.mul(%tid, %c4) : (i32, i32) -> i32
        rocdl.raw.ptr.buffer.store(%tid, %rsrc, %o, %c0, %c0) : (i32, !llvm.ptr<8>, i32, i32, i32) -> ()
        llvm.return()",
        resource("%out", 34)
    );
    let line = body.lines().position(|line| line.contains("buffer.store")).expect("a line") as u32;
    let program = load("%out: !llvm.ptr<1>", "", &body);
    let (fault, lines) = setup("gfx942", 64).fault(&program, &[], 64);
    assert_eq!((fault.kind, lines[0]), (FaultKind::OutOfBounds, line));
}

#[test]
fn a_resource_without_a_format_is_named() {
    let body = format!(
        "{MINE}\n{}
        %r = rocdl.raw.ptr.buffer.load(%rsrc, %c0, %c0, %c0) : (!llvm.ptr<8>, i32, i32, i32) -> i32
        llvm.return()",
        resource("%out", 64).replace("159744", "0")
    );
    let (fault, _) = setup("gfx942", 64).fault(&load("%out: !llvm.ptr<1>", "", &body), &[], 64);
    assert_eq!(fault.kind, FaultKind::Descriptor);
}

/// Each thread writes a word of LDS and reads that of the thread 64 further; `before` and `after` stand around the barrier.
fn exchange(before: &str, barrier: &str, after: &str) -> (Program, u32, u32) {
    let body = format!(
        "{MINE}
        %base = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %to = llvm.getelementptr(%base, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        llvm.store(%tid, %to) : (i32, !llvm.ptr<3>)
        {before}
        {barrier}
        {after}
        %c64 = llvm.mlir.constant() {{value = 64 : i32}} : () -> i32
        %other = llvm.xor(%tid, %c64) : (i32, i32) -> i32
        %from = llvm.getelementptr(%base, %other) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %r = llvm.load(%from) : (!llvm.ptr<3>) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    );
    let line = |text: &str| body.lines().position(|line| line.contains(text)).expect("a line") as u32;
    (load("%out: !llvm.ptr<1>", "", &body), line("llvm.load"), line("%to)"))
}

const RELEASE: &str = "llvm.fence() {ordering = 5 : i64, syncscope = \"workgroup\"}";
const ACQUIRE: &str = "llvm.fence() {ordering = 4 : i64, syncscope = \"workgroup\"}";
/// `lgkmcnt(0)` alone.
const WAIT_LDS: &str = "rocdl.s.waitcnt() {bitfield = 49279 : i32}";

#[test]
fn a_barrier_with_fences_or_waits_orders_local_memory() {
    for (before, barrier, after) in [
        ("", "rocdl.barrier()", ""),
        (RELEASE, "rocdl.s.barrier()", ACQUIRE),
        (WAIT_LDS, "rocdl.s.barrier()", ""),
    ] {
        let (program, ..) = exchange(before, barrier, after);
        let out = Setup { shared: 1024, ..setup("gfx942", 256) }.words(&program, &[], 256);
        assert_eq!(out, (0..256).map(|thread| thread ^ 64).collect::<Vec<u32>>());
    }
}

#[test]
fn a_missing_barrier_fence_or_wait_is_a_race_between_waves() {
    for (before, barrier) in [("", ""), ("", "rocdl.s.barrier()"), (RELEASE, "")] {
        let (program, load, store) = exchange(before, barrier, ACQUIRE);
        let (fault, lines) = Setup { shared: 1024, ..setup("gfx942", 256) }.fault(&program, &[], 256);
        // Undefined when the other wave has not written yet, a race in any case.
        assert!(matches!(fault.kind, FaultKind::Race | FaultKind::Uninitialised), "{fault}");
        assert!(lines.contains(&load) || lines.contains(&store), "{fault}");
    }
}

#[test]
fn deleting_what_orders_is_noticed() {
    let (program, ..) = exchange(RELEASE, "rocdl.s.barrier()", "");
    let sites = program.sync_sites();
    assert_eq!(sites.len(), 2);
    for site in sites {
        let broken = program.without(site.index).expect("a program");
        Setup { shared: 1024, ..setup("gfx90a", 128) }.fault(&broken, &[], 128);
    }
}

#[test]
fn lanes_of_a_wave_exchange_through_local_memory_behind_a_fence() {
    // Within a wave; 64 lanes, so that `xor 64` is replaced by 1.
    let make = |between: &str| {
        let body = format!(
            "{MINE}
            %base = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %to = llvm.getelementptr(%base, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            llvm.store(%tid, %to) : (i32, !llvm.ptr<3>)
            {between}
            %other = llvm.xor(%tid, %c1) : (i32, i32) -> i32
            %from = llvm.getelementptr(%base, %other) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            %r = llvm.load(%from) : (!llvm.ptr<3>) -> i32
            llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", "", &body)
    };
    let setup = Setup { shared: 256, ..setup("gfx942", 64) };
    let out = setup.words(&make(RELEASE), &[], 64);
    assert_eq!(out, (0..64).map(|lane| lane ^ 1).collect::<Vec<u32>>());
    let (fault, _) = setup.fault(&make(""), &[], 64);
    assert_eq!(fault.kind, FaultKind::Race);
}

/// Two direct copies of a word (or 16 bytes) a lane, a wait, and a read of the first by another wave.
fn direct(bytes: u32, wait: &str, sync: &str) -> (Program, u32) {
    let words = bytes / 4;
    let body = format!(
        "{MINE}\n{}
        %lanes = llvm.mlir.constant() {{value = 63 : i32}} : () -> i32
        %lane = llvm.and(%tid, %lanes) : (i32, i32) -> i32
        %six = llvm.mlir.constant() {{value = 6 : i32}} : () -> i32
        %w = llvm.lshr(%tid, %six) : (i32, i32) -> i32
        %wave = rocdl.readfirstlane(%w) : (i32) -> i32
        %each = llvm.mlir.constant() {{value = {bytes} : i32}} : () -> i32
        %size = llvm.mlir.constant() {{value = {wave_bytes} : i32}} : () -> i32
        %half = llvm.mlir.constant() {{value = {half} : i32}} : () -> i32
        %lds = llvm.mul(%wave, %size) : (i32, i32) -> i32
        %base = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %first = llvm.getelementptr(%base, %lds) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %second = llvm.getelementptr(%first, %half) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %o = llvm.mul(%tid, %each) : (i32, i32) -> i32
        rocdl.raw.ptr.buffer.load.lds(%rsrc, %first, %each, %o, %c0, %c0, %c0) : (!llvm.ptr<8>, !llvm.ptr<3>, i32, i32, i32, i32, i32) -> ()
        rocdl.raw.ptr.buffer.load.lds(%rsrc, %second, %each, %o, %c0, %c0, %c0) : (!llvm.ptr<8>, !llvm.ptr<3>, i32, i32, i32, i32, i32) -> ()
        {wait}
        {sync}
        %c64 = llvm.mlir.constant() {{value = 64 : i32}} : () -> i32
        %x = llvm.xor(%tid, %c64) : (i32, i32) -> i32
        %at = llvm.mul(%x, %each) : (i32, i32) -> i32
        %from = llvm.getelementptr(%base, %at) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %r = llvm.load(%from) : (!llvm.ptr<3>) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()",
        resource("%p", 100 * words * 4),
        wave_bytes = 64 * bytes,
        half = 128 * bytes,
    );
    let line = body.lines().position(|line| line.contains("llvm.load")).expect("a line") as u32;
    (load("%p: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body), line)
}

/// `vmcnt(n)` in gfx9's encoding, the other counters unbounded.
fn wait(pending: u32) -> String {
    format!("rocdl.s.waitcnt() {{bitfield = {} : i32}}", 0xf70 + pending)
}

#[test]
fn a_direct_copy_lands_where_the_wait_says() {
    for (chip, bytes) in [("gfx942", 4), ("gfx950", 16)] {
        // The first copy is done when all but one are.
        let (program, _) = direct(bytes, &wait(1), "rocdl.s.barrier()");
        let words = bytes / 4;
        let input = from_words((0..128 * words).map(|word| word / words + 7));
        let setup = Setup { shared: u64::from(256 * bytes), ..setup(chip, 128) };
        let out = setup.words(&program, &[input], 128);
        // Lanes from 100 on read beyond the buffer: zeros.
        let other = |lane: u32| lane ^ 64;
        let expected: Vec<u32> =
            (0..128).map(|lane| if other(lane) < 100 { other(lane) + 7 } else { 0 }).collect();
        assert_eq!(out, expected, "{chip}");
    }
}

#[test]
fn a_direct_copy_that_nobody_waited_for_is_a_race() {
    for (wait, sync) in [
        (String::new(), "rocdl.s.barrier()"),
        (String::new(), "rocdl.barrier()"),
        (wait(2), "rocdl.s.barrier()"),
        (wait(0), ""),
    ] {
        let (program, line) = direct(4, &wait, sync);
        let input = from_words(0..128);
        let setup = Setup { shared: 1024, ..setup("gfx942", 128) };
        let (fault, lines) = setup.fault(&program, &[input], 128);
        // Without a barrier the other wave's copy may not even have been issued.
        let undefined = sync.is_empty() && fault.kind == FaultKind::Uninitialised;
        assert!(fault.kind == FaultKind::Race || undefined, "{wait} {sync}: {fault}");
        assert!(lines.contains(&line), "{fault}");
    }
}

#[test]
fn sixteen_bytes_a_lane_are_for_gfx950() {
    let (program, _) = direct(16, &wait(0), "rocdl.s.barrier()");
    let setup = Setup { shared: 4096, ..setup("gfx942", 128) };
    let (fault, _) = setup.fault(&program, &[vec![0; 4096]], 128);
    assert_eq!(fault.kind, FaultKind::Chip);
}

#[test]
fn transposed_reads_give_columns() {
    // LDS word w holds the halves 2w and 2w + 1; lane l asks for 8 bytes from 8·l: in each row of lanes a matrix of 4 × 16.
    let body = format!(
        "{MINE}
        %c8 = llvm.mlir.constant() {{value = 8 : i32}} : () -> i32
        %base = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
        %o = llvm.mul(%tid, %c8) : (i32, i32) -> i32
        %at = llvm.getelementptr(%base, %o) {{elem_type = i8, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %s = llvm.shl(%tid, %two) : (i32, i32) -> i32
        %x1 = llvm.add(%s, %c1) : (i32, i32) -> i32
        %x2 = llvm.add(%s, %two) : (i32, i32) -> i32
        %x3 = llvm.add(%x2, %c1) : (i32, i32) -> i32
        %h0 = llvm.trunc(%s) : (i32) -> i16
        %h1 = llvm.trunc(%x1) : (i32) -> i16
        %h2 = llvm.trunc(%x2) : (i32) -> i16
        %h3 = llvm.trunc(%x3) : (i32) -> i16
        %three = llvm.add(%two, %c1) : (i32, i32) -> i32
        %u = llvm.mlir.undef() : () -> vector<4xi16>
        %v0 = llvm.insertelement(%u, %h0, %c0) : (vector<4xi16>, i16, i32) -> vector<4xi16>
        %v1 = llvm.insertelement(%v0, %h1, %c1) : (vector<4xi16>, i16, i32) -> vector<4xi16>
        %v2 = llvm.insertelement(%v1, %h2, %two) : (vector<4xi16>, i16, i32) -> vector<4xi16>
        %v3 = llvm.insertelement(%v2, %h3, %three0) : (vector<4xi16>, i16, i32) -> vector<4xi16>
        llvm.store(%v3, %at) {{ordering = 0 : i64, alignment = 8 : i64}} : (vector<4xi16>, !llvm.ptr<3>) -> ()
        rocdl.barrier()
        %t = rocdl.ds.read.tr16.b64(%at) : (!llvm.ptr<3>) -> vector<4xi16>
        %e = llvm.extractelement(%t, %two) : (vector<4xi16>, i32) -> i16
        %r = llvm.zext(%e) : (i16) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()"
    )
    .replace(
        "%base = llvm",
        "%two = llvm.mlir.constant() {value = 2 : i32} : () -> i32\n\
         %three0 = llvm.mlir.constant() {value = 3 : i32} : () -> i32\n%base = llvm",
    );
    let out =
        Setup { shared: 512, ..setup("gfx950", 64) }.words(&load("%out: !llvm.ptr<1>", "", &body), &[], 64);
    // Row 2 of the matrix begins at half 32; lane l of the row of lanes gets column l.
    assert_eq!(out, (0..64).map(|lane| lane / 16 * 64 + 32 + lane % 16).collect::<Vec<u32>>());
}
