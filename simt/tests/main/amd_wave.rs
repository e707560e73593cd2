//! Operations among the lanes of a wave, and conversions, against the ISA guides' text.

use crate::support::{Setup, load};
use kcc_simt::FaultKind;

/// `%tid`, some constants, and `%mine`, the address of word `%tid` of `%out`.
pub const MINE: &str = "%tid = rocdl.workitem.id.x() : () -> i32
%mine = llvm.getelementptr(%out, %tid) {elem_type = i32, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
%c0 = llvm.mlir.constant() {value = 0 : i32} : () -> i32
%c1 = llvm.mlir.constant() {value = 1 : i32} : () -> i32
%c4 = llvm.mlir.constant() {value = 4 : i32} : () -> i32
%hundred = llvm.mlir.constant() {value = 100 : i32} : () -> i32";

fn on(chip: &str, threads: u32, lines: &str) -> Vec<u32> {
    let body = format!("{MINE}\n{lines}\nllvm.store(%r, %mine) : (i32, !llvm.ptr<1>)\nllvm.return()");
    let setup = Setup { chip, threads, ..Setup::default() };
    setup.words(&load("%out: !llvm.ptr<1>", "", &body), &[], threads as usize)
}

fn expect(lanes: u32, value: impl Fn(u32) -> u32) -> Vec<u32> {
    (0..lanes).map(value).collect()
}

fn dpp(chip: &str, threads: u32, control: u32, rows: u32, banks: u32, zero: bool) -> Vec<u32> {
    on(
        chip,
        threads,
        &format!(
            "%r = rocdl.update.dpp(%hundred, %tid) {{bankMask = {banks} : i32, boundCtrl = {zero}, dppCtrl = {control} : i32, \
             rowMask = {rows} : i32}} : (i32, i32) -> i32"
        ),
    )
}

#[test]
fn dpp_controls() {
    let all = |control| dpp("gfx942", 64, control, 15, 15, false);
    let e = |f: fn(u32) -> u32| expect(64, f);
    assert_eq!(all(0xb1), e(|t| t ^ 1)); // quad_perm [1,0,3,2]
    assert_eq!(all(0x4e), e(|t| t ^ 2)); // quad_perm [2,3,0,1]
    assert_eq!(all(0x00), e(|t| t / 4 * 4));
    assert_eq!(all(0x101), e(|t| if t % 16 < 15 { t + 1 } else { 100 })); // row_shl:1
    assert_eq!(all(0x118), e(|t| if t % 16 >= 8 { t - 8 } else { 100 })); // row_shr:8
    assert_eq!(all(0x124), e(|t| t / 16 * 16 + (t + 12) % 16)); // row_ror:4
    assert_eq!(all(0x140), e(|t| t ^ 15));
    assert_eq!(all(0x141), e(|t| t ^ 7));
    assert_eq!(all(0x142), e(|t| if t < 16 { 100 } else { t / 16 * 16 - 1 })); // row_bcast:15
    assert_eq!(all(0x143), e(|t| if t < 32 { 100 } else { 31 })); // row_bcast:31
    assert_eq!(all(0x130), e(|t| if t == 63 { 100 } else { t + 1 })); // wave_shl:1
    assert_eq!(all(0x13c), e(|t| (t + 63) % 64)); // wave_ror:1
    assert_eq!(all(0x153), e(|t| t / 16 * 16 + 3)); // row_newbcast:3
    assert_eq!(dpp("gfx1100", 32, 0x165, 15, 15, false), expect(32, |t| t ^ 5)); // row_xmask:5
}

#[test]
fn dpp_masks_and_bounds() {
    // Rows 1 and 3, banks 0 and 2; lanes beyond the row give 0.
    let got = dpp("gfx90a", 64, 0x101, 0b1010, 0b0101, true);
    let enabled = |t: u32| t / 16 % 2 == 1 && t & 4 == 0;
    assert_eq!(got, expect(64, |t| if enabled(t) { t + 1 } else { 100 }));
    let got = dpp("gfx90a", 64, 0x104, 15, 15, true);
    assert_eq!(got, expect(64, |t| if t % 16 < 12 { t + 4 } else { 0 }));
}

#[test]
fn gfx11_has_no_broadcast_of_rows() {
    let body = format!(
        "{MINE}\n%r = rocdl.update.dpp(%tid, %tid) {{bankMask = 15 : i32, boundCtrl = true, dppCtrl = 322 : i32, rowMask = 15 : i32}} : (i32, i32) -> i32
        llvm.return()"
    );
    let setup = Setup { chip: "gfx1100", ..Setup::default() };
    let (fault, _) = setup.fault(&load("%out: !llvm.ptr<1>", "", &body), &[], 32);
    assert_eq!(fault.kind, FaultKind::Chip);
}

#[test]
fn permutations() {
    let body = "%x = llvm.add(%tid, %c4) : (i32, i32) -> i32
        %i = llvm.mul(%x, %c4) : (i32, i32) -> i32";
    let got = on("gfx942", 64, &format!("{body}\n%r = rocdl.ds_bpermute(%i, %tid) : (i32, i32) -> i32"));
    assert_eq!(got, expect(64, |t| (t + 4) % 64));
    let got = on("gfx1100", 32, &format!("{body}\n%r = rocdl.ds_bpermute(%i, %tid) : (i32, i32) -> i32"));
    assert_eq!(got, expect(32, |t| (t + 4) % 32));
    let swizzle = |pattern: u32| {
        on(
            "gfx90a",
            64,
            &format!(
                "%p = llvm.mlir.constant() {{value = {pattern} : i32}} : () -> i32
                %r = rocdl.ds_swizzle(%tid, %p) : (i32, i32) -> i32"
            ),
        )
    };
    assert_eq!(swizzle(0x401f), expect(64, |t| t ^ 16)); // xor 16
    assert_eq!(swizzle(0x0018), expect(64, |t| t & !7)); // and 24: the first of eight
    assert_eq!(swizzle(0x80b1), expect(64, |t| t ^ 1));
    // Selectors 0x76543210, 0xfedcba98 are the identity; the other row of the pair.
    let x16 = "%lo = llvm.mlir.constant() {value = 1985229328 : i32} : () -> i32
        %hi = llvm.mlir.constant() {value = -19088744 : i32} : () -> i32
        %r = rocdl.permlanex16(%c0, %tid, %lo, %hi) {boundControl = false, fi = true} : (i32, i32, i32, i32) -> i32";
    assert_eq!(on("gfx1100", 32, x16), expect(32, |t| t ^ 16));
}

#[test]
fn swaps_of_rows() {
    let swap = |distance: u32, part: u32| {
        on(
            "gfx950",
            64,
            &format!(
                "%b = llvm.add(%tid, %hundred) : (i32, i32) -> i32
                %s = rocdl.permlane{distance}.swap(%tid, %b) {{boundControl = false, fi = false}} : (i32, i32) -> !llvm.struct<(i32, i32)>
                %r = llvm.extractvalue(%s) {{position = array<i64: {part}>}} : (!llvm.struct<(i32, i32)>) -> i32"
            ),
        )
    };
    // Lanes 32 to 63 of the first and lanes 0 to 31 of the second change places.
    assert_eq!(swap(32, 0), expect(64, |t| if t < 32 { t } else { 100 + t - 32 }));
    assert_eq!(swap(32, 1), expect(64, |t| if t < 32 { t + 32 } else { 100 + t }));
    assert_eq!(swap(16, 0), expect(64, |t| if t / 16 % 2 == 0 { t } else { 100 + t - 16 }));
    assert_eq!(swap(16, 1), expect(64, |t| if t / 16 % 2 == 0 { t + 16 } else { 100 + t }));
}

#[test]
fn uniform_values_ballots_and_counts() {
    let five = "%five = llvm.mlir.constant() {value = 5 : i32} : () -> i32
        %x = llvm.add(%tid, %five) : (i32, i32) -> i32";
    assert_eq!(on("gfx942", 64, &format!("{five}\n%r = rocdl.readfirstlane(%x) : (i32) -> i32")), [5; 64]);
    assert_eq!(
        on("gfx942", 64, &format!("{five}\n%r = rocdl.readlane(%x, %five) : (i32, i32) -> i32")),
        [10; 64]
    );
    let odd = "%o = llvm.and(%tid, %c1) : (i32, i32) -> i32
        %p = llvm.trunc(%o) : (i32) -> i1";
    let upper = "%w = rocdl.ballot(%p) : (i1) -> i64
        %s = llvm.mlir.constant() {value = 36 : i64} : () -> i64
        %h = llvm.lshr(%w, %s) : (i64, i64) -> i64
        %r = llvm.trunc(%h) : (i64) -> i32";
    assert_eq!(on("gfx90a", 64, &format!("{odd}\n{upper}")), [0x0aaa_aaaa; 64]);
    assert_eq!(on("gfx1100", 32, &format!("{odd}\n%r = rocdl.ballot(%p) : (i1) -> i32")), [0xaaaa_aaaa; 32]);
    let lane = "%m = llvm.mlir.constant() {value = -1 : i32} : () -> i32
        %l = rocdl.mbcnt.lo(%m, %c0) : (i32, i32) -> i32
        %r = rocdl.mbcnt.hi(%m, %l) : (i32, i32) -> i32";
    assert_eq!(on("gfx942", 64, lane), expect(64, |t| t));
}

#[test]
fn packed_conversions_mean_the_chips_formats() {
    let convert = "%f = llvm.uitofp(%c1) : (i32) -> f32
        %g = llvm.uitofp(%c4) : (i32) -> f32
        %a = rocdl.cvt.pk.fp8.f32(%f, %g, %hundred) {wordSel = false} : (f32, f32, i32) -> i32
        %r = rocdl.cvt.pk.fp8.f32(%g, %f, %a) {wordSel = true} : (f32, f32, i32) -> i32";
    // 1 and 4 are 0x38 and 0x48 in e4m3, 0x40 and 0x50 in its FNUZ form.
    assert_eq!(on("gfx950", 64, convert)[0], 0x3848_4838);
    assert_eq!(on("gfx942", 64, convert)[0], 0x4050_5040);
    let back = "%w = llvm.mlir.constant() {value = 1211120712 : i32} : () -> i32
        %v = rocdl.cvt.f32.fp8(%w) {byteSel = 3 : i32} : (i32) -> f32
        %r = llvm.bitcast(%v) : (f32) -> i32";
    assert_eq!(on("gfx950", 64, back)[0], 4f32.to_bits()); // 0x48 is the top byte
    let scaled = "%f = llvm.uitofp(%c4) : (i32) -> f32
        %o = llvm.mlir.zero() : () -> vector<2xi16>
        %v = rocdl.cvt.scalef32.pk.fp8.f32(%o, %f, %f, %f) {dstLoHiSel = true} : (vector<2xi16>, f32, f32, f32) -> vector<2xi16>
        %r = llvm.bitcast(%v) : (vector<2xi16>) -> i32";
    assert_eq!(on("gfx950", 64, scaled)[0], 0x3838_0000); // 4 / 4
    let halves = "%x = llvm.mlir.constant() {value = 1.0009 : f32} : () -> f32
        %v = rocdl.cvt.pkrtz(%x, %x) : (f32, f32) -> vector<2xf16>
        %r = llvm.bitcast(%v) : (vector<2xf16>) -> i32";
    assert_eq!(on("gfx942", 64, halves)[0], 0x3c00_3c00); // 1.00098 would be the nearer
}

#[test]
fn math_instructions_know_no_subnormals() {
    let bits = |lines: &str| on("gfx942", 64, &format!("{lines}\n%r = llvm.bitcast(%y) : (f32) -> i32"))[0];
    let exp2 = |x: f32| {
        bits(&format!(
            "%x = llvm.mlir.constant() {{value = {x:.1} : f32}} : () -> f32\n%y = rocdl.exp2(%x) : (f32) -> f32"
        ))
    };
    assert_eq!(exp2(3.0), 8f32.to_bits());
    assert_eq!(exp2(-126.0), f32::MIN_POSITIVE.to_bits());
    assert_eq!(exp2(-127.0), 0);
    let med = "%a = llvm.mlir.constant() {value = 3.0 : f32} : () -> f32
        %b = llvm.mlir.constant() {value = -1.0 : f32} : () -> f32
        %c = llvm.mlir.constant() {value = 2.0 : f32} : () -> f32
        %y = llvm.call_intrinsic(%a, %b, %c) {intrin = \"llvm.amdgcn.fmed3.f32\"} : (f32, f32, f32) -> f32";
    assert_eq!(bits(med), 2f32.to_bits());
}

#[test]
fn the_whole_wave_executes_what_works_across_lanes() {
    let body = format!(
        "{MINE}
        %p = llvm.icmp(%tid, %c4) {{predicate = 6 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%p)[^bb1, ^bb2] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1) -> ()
        ^bb1:
        %r = rocdl.ds_bpermute(%c0, %tid) : (i32, i32) -> i32
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.return()
        ^bb2:
        llvm.return()"
    );
    let setup = Setup { chip: "gfx942", threads: 64, ..Setup::default() };
    let (fault, _) = setup.fault(&load("%out: !llvm.ptr<1>", "", &body), &[], 64);
    assert!(matches!(fault.kind, FaultKind::Collective | FaultKind::Deadlock), "{fault}");
}

#[test]
fn the_packet_of_the_dispatch_says_how_large_the_grid_is() {
    let body = format!(
        "{MINE}
        %p = llvm.call_intrinsic() {{intrin = \"llvm.amdgcn.dispatch.ptr\"}} : () -> !llvm.ptr<4>
        %at = llvm.getelementptr(%p) {{elem_type = i8, rawConstantIndices = array<i32: 12>}} : (!llvm.ptr<4>) -> !llvm.ptr<4>
        %items = llvm.load(%at) : (!llvm.ptr<4>) -> i32
        %gp = llvm.getelementptr(%p) {{elem_type = i8, rawConstantIndices = array<i32: 4>}} : (!llvm.ptr<4>) -> !llvm.ptr<4>
        %s = llvm.load(%gp) : (!llvm.ptr<4>) -> i16
        %size = llvm.zext(%s) : (i16) -> i32
        %x = llvm.mul(%size, %hundred) : (i32, i32) -> i32
        %r = llvm.add(%x, %items) : (i32, i32) -> i32
        %b = rocdl.workgroup.id.x() : () -> i32
        %first = llvm.icmp(%b, %c0) {{predicate = 0 : i64}} : (i32, i32) -> i1
        llvm.cond_br(%first)[^bb1, ^bb2] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1) -> ()
        ^bb1:
        llvm.store(%r, %mine) : (i32, !llvm.ptr<1>)
        llvm.br()[^bb2] : () -> ()
        ^bb2:
        llvm.return()"
    );
    let setup = Setup { chip: "gfx942", threads: 64, grid: 5, ..Setup::default() };
    assert_eq!(setup.words(&load("%out: !llvm.ptr<1>", "", &body), &[], 64), [6400 + 5 * 64; 64]);
}

/// Operations with too few operands, or of other types, are refused or faults, never panics.
#[test]
fn malformed_operations_do_not_panic() {
    const NAMES: [&str; 34] = [
        "update.dpp",
        "ds_bpermute",
        "ds_permute",
        "ds_swizzle",
        "permlanex16",
        "permlane16.swap",
        "permlane32.swap",
        "readfirstlane",
        "readlane",
        "writelane",
        "ballot",
        "mbcnt.lo",
        "mbcnt.hi",
        "make.buffer.rsrc",
        "raw.ptr.buffer.load",
        "raw.ptr.buffer.store",
        "raw.ptr.buffer.load.lds",
        "raw.ptr.buffer.atomic.fadd",
        "raw.ptr.buffer.atomic.cmpswap",
        "global.load.lds",
        "load.to.lds",
        "ds.read.tr16.b64",
        "cvt.pk.fp8.f32",
        "cvt.pk.f32.fp8",
        "cvt.f32.bf8",
        "cvt.pkrtz",
        "cvt.scalef32.pk.fp8.f32",
        "cvt.scalef32.pk.f32.fp4",
        "mfma.f32.32x32x8f16",
        "mfma.f32.4x4x4f16",
        "mfma.scale.f32.16x16x128.f8f6f4",
        "wmma.f16.16x16x16.f16",
        "fmed3",
        "s.waitcnt",
    ];
    const VALUES: [(&str, &str); 7] = [
        ("%tid", "i32"),
        ("%f", "f32"),
        ("%b", "i1"),
        ("%v", "vector<4xf16>"),
        ("%w", "vector<16xf32>"),
        ("%g", "!llvm.ptr<1>"),
        ("%r", "!llvm.ptr<8>"),
    ];
    let results = [
        "",
        "i32",
        "i1",
        "f32",
        "vector<2xf32>",
        "vector<4xf32>",
        "vector<16xf32>",
        "!llvm.struct<(i32, i32)>",
    ];
    let mut seed = 1u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    for name in NAMES {
        for _ in 0..60 {
            let operands: Vec<_> = (0..next(7)).map(|_| VALUES[next(VALUES.len())]).collect();
            let names: Vec<&str> = operands.iter().map(|operand| operand.0).collect();
            let types: Vec<&str> = operands.iter().map(|operand| operand.1).collect();
            let (result, ty) = match results[next(results.len())] {
                "" => ("", "()"),
                ty => ("%o = ", ty),
            };
            let body = format!(
                "{MINE}
                %f = llvm.uitofp(%tid) : (i32) -> f32
                %b = llvm.trunc(%tid) : (i32) -> i1
                %v = llvm.mlir.zero() : () -> vector<4xf16>
                %w = llvm.mlir.zero() : () -> vector<16xf32>
                %g = llvm.getelementptr(%out) {{elem_type = i32, rawConstantIndices = array<i32: 1>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
                %r = llvm.mlir.zero() : () -> !llvm.ptr<8>
                {result}rocdl.{name}({}) : ({}) -> {ty}
                llvm.return()",
                names.join(", "),
                types.join(", ")
            );
            let text = crate::support::module("%out: !llvm.ptr<1>", "", &body);
            let Ok(program) = kcc_simt::Program::load(&text) else { continue };
            let mut memory = kcc_simt::Memory::new();
            let out = memory.alloc(4096);
            let setup = Setup { chip: "gfx950", threads: 64, shared: 1024, ..Setup::default() };
            let _ = setup.run(&program, &mut memory, &[kcc_simt::Arg::Bits(out)]);
        }
    }
}
