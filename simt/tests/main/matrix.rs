//! Matrix instructions of one warp. The fragments are written out as in the figures of the PTX manual, "Matrix
//! Fragments for mma.m16n8k…": `g` is the group (lane / 4), `t` the thread in it (lane mod 4), `i` the element.

use crate::support::{Setup, from_words, load, to_words};
use half::{bf16, f16};
use kcc_simt::{Arg, FaultKind, Memory};

type At = fn(g: usize, t: usize, i: usize) -> (usize, usize);

struct Case {
    m: usize,
    k: usize,
    /// The types in the operation's attributes, and those of the registers of A and B, and of C and D.
    attrs: &'static str,
    word: &'static str,
    acc: &'static str,
    /// Elements of A, B, C of a lane, and bits of each.
    counts: (usize, usize, usize),
    bits: (usize, usize),
    a: At,
    b: At,
    c: At,
    encode: fn(i32) -> u64,
    encode_c: fn(i32) -> u64,
}

fn a_value(m: usize, k: usize) -> i32 {
    ((m * 3 + k * 5) % 7) as i32 - 3
}

fn b_value(k: usize, n: usize) -> i32 {
    ((k * 2 + n * 7) % 5) as i32 - 2
}

fn c_value(m: usize, n: usize) -> i32 {
    ((m + 4 * n) % 9) as i32
}

/// Words of each lane, its elements packed low first.
fn pack(count: usize, bits: usize, at: At, value: impl Fn((usize, usize)) -> u64) -> Vec<u32> {
    let per_word = 32 / bits;
    let mut words = Vec::new();
    for lane in 0..32 {
        for word in 0..count / per_word {
            words.push((0..per_word).fold(0u32, |sum, part| {
                let element = value(at(lane / 4, lane % 4, word * per_word + part));
                sum | (element as u32) << (bits * part % 32)
            }));
        }
    }
    words
}

fn check(name: &str, case: &Case) {
    let (na, nb, nc) = (
        case.counts.0 * case.bits.0 / 32,
        case.counts.1 * case.bits.0 / 32,
        case.counts.2 * case.bits.1 / 32,
    );
    let mut body = String::from("%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32\n");
    let mut names = Vec::new();
    for (buffer, count, ty) in [("a", na, case.word), ("b", nb, case.word), ("c", nc, case.acc)] {
        body += &format!(
            "%{buffer}p = llvm.getelementptr(%{buffer}, %tid) {{elem_type = !llvm.array<{count} x i32>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>\n"
        );
        for i in 0..count {
            body += &format!(
                "%{buffer}q{i} = llvm.getelementptr(%{buffer}p) {{elem_type = i32, rawConstantIndices = array<i32: {i}>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
                %{buffer}{i} = llvm.load(%{buffer}q{i}) : (!llvm.ptr<1>) -> {ty}\n"
            );
            names.push((format!("%{buffer}{i}"), ty));
        }
    }
    let list: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let types: Vec<&str> = names.iter().map(|(_, ty)| *ty).collect();
    let results = vec![case.acc; nc].join(", ");
    body += &format!(
        "%d = nvvm.mma.sync({}) {{layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, {}, operandSegmentSizes = array<i32: {na}, {nb}, {nc}>, shape = #nvvm.shape<m = {}, n = 8, k = {}>}} : ({}) -> !llvm.struct<({results})>
        %dp = llvm.getelementptr(%out, %tid) {{elem_type = !llvm.array<{nc} x i32>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%d, %dp) : (!llvm.struct<({results})>, !llvm.ptr<1>)
        llvm.return()",
        list.join(", "),
        case.attrs,
        case.m,
        case.k,
        types.join(", ")
    );
    let params = "%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %out: !llvm.ptr<1>";
    let program = load(params, "", &body);
    let a = pack(case.counts.0, case.bits.0, case.a, |(m, k)| (case.encode)(a_value(m, k)));
    let b = pack(case.counts.1, case.bits.0, case.b, |(k, n)| (case.encode)(b_value(k, n)));
    let c = pack(case.counts.2, case.bits.1, case.c, |(m, n)| (case.encode_c)(c_value(m, n)));
    let expected = pack(case.counts.2, case.bits.1, case.c, |(m, n)| {
        let sum: i32 = (0..case.k).map(|k| a_value(m, k) * b_value(k, n)).sum();
        (case.encode_c)(sum + c_value(m, n))
    });
    let mut memory = Memory::new();
    let mut args: Vec<Arg> = [a, b, c].map(|words| Arg::Bits(memory.add(from_words(words)))).into();
    let out = memory.alloc(expected.len() * 4);
    args.push(Arg::Bits(out));
    Setup::default().run(&program, &mut memory, &args).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert_eq!(to_words(memory.bytes(out).unwrap()), expected, "{name}");
}

fn f32_code(value: i32) -> u64 {
    u64::from((value as f32).to_bits())
}

fn f16_code(value: i32) -> u64 {
    u64::from(f16::from_f32(value as f32).to_bits())
}

const C16: At = |g, t, i| (if i < 2 { g } else { g + 8 }, t * 2 + i % 2);

#[test]
fn half_precision_fragments_lie_as_in_the_manual() {
    let k16 = Case {
        m: 16,
        k: 16,
        attrs: "multiplicandAPtxType = #nvvm.mma_type<f16>, multiplicandBPtxType = #nvvm.mma_type<f16>",
        word: "vector<2xf16>",
        acc: "f32",
        counts: (8, 4, 4),
        bits: (16, 32),
        a: |g, t, i| {
            let row = if matches!(i, 0 | 1 | 4 | 5) { g } else { g + 8 };
            (row, t * 2 + i % 2 + if i < 4 { 0 } else { 8 })
        },
        b: |g, t, i| (t * 2 + i % 2 + if i < 2 { 0 } else { 8 }, g),
        c: C16,
        encode: f16_code,
        encode_c: f32_code,
    };
    check("f16, f32", &k16);
    check("f16, f16", &Case { acc: "vector<2xf16>", bits: (16, 16), encode_c: f16_code, ..k16 });
    let bf16_case = Case {
        attrs: "multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>",
        word: "i32",
        encode: |value| u64::from(bf16::from_f32(value as f32).to_bits()),
        ..k16
    };
    check("bf16", &bf16_case);
    let k8 = Case {
        k: 8,
        counts: (4, 2, 4),
        a: |g, t, i| (if i < 2 { g } else { g + 8 }, t * 2 + i % 2),
        b: |g, t, i| (t * 2 + i, g),
        ..k16
    };
    check("f16 k8", &k8);
}

#[test]
fn tf32_and_byte_fragments_lie_as_in_the_manual() {
    check(
        "tf32",
        &Case {
            m: 16,
            k: 8,
            attrs: "multiplicandAPtxType = #nvvm.mma_type<tf32>, multiplicandBPtxType = #nvvm.mma_type<tf32>",
            word: "i32",
            acc: "f32",
            counts: (4, 2, 4),
            bits: (32, 32),
            a: |g, t, i| (if i % 2 == 0 { g } else { g + 8 }, if i < 2 { t } else { t + 4 }),
            b: |g, t, i| (if i == 0 { t } else { t + 4 }, g),
            c: C16,
            encode: f32_code,
            encode_c: f32_code,
        },
    );
    check(
        "s8",
        &Case {
            m: 16,
            k: 32,
            attrs: "intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, multiplicandAPtxType = #nvvm.mma_type<s8>, multiplicandBPtxType = #nvvm.mma_type<s8>",
            word: "i32",
            acc: "i32",
            counts: (16, 8, 4),
            bits: (8, 32),
            a: |g, t, i| {
                let row = if i < 4 || (8..12).contains(&i) { g } else { g + 8 };
                (row, t * 4 + i % 4 + if i < 8 { 0 } else { 16 })
            },
            b: |g, t, i| (t * 4 + i % 4 + if i < 4 { 0 } else { 16 }, g),
            c: C16,
            encode: |value| value as u8 as u64,
            encode_c: |value| value as u32 as u64,
        },
    );
}

/// Fills shared memory with the numbers of its halves, then one matrix load of four matrices.
fn matrix_load(layout: &str, barrier: &str) -> String {
    let mut body = String::from(
        "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
        %full = llvm.mlir.constant() {value = -1 : i32} : () -> i32
        %s = llvm.mlir.addressof() {global_name = @dyn} : () -> !llvm.ptr<3>
        %row = llvm.getelementptr(%s, %tid) {elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %from = llvm.getelementptr(%in, %tid) {elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        %v = llvm.load(%from) : (!llvm.ptr<1>) -> vector<4xi32>
        llvm.store(%v, %row) : (vector<4xi32>, !llvm.ptr<3>)\n",
    );
    body += barrier;
    body += &format!(
        "
        %d = nvvm.ldmatrix(%row) {{eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<{layout}>, num = 4 : i32, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>}} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
        %to = llvm.getelementptr(%out, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%d, %to) : (!llvm.struct<(i32, i32, i32, i32)>, !llvm.ptr<1>)
        llvm.return()"
    );
    body
}

#[test]
fn matrix_loads_deal_out_rows_or_columns() {
    let halves: Vec<u8> = (0..256u16).flat_map(u16::to_le_bytes).collect();
    let setup = Setup { shared: 512, ..Setup::default() };
    for (layout, transposed) in [("row", false), ("col", true)] {
        let body = matrix_load(layout, "nvvm.bar.warp.sync(%full) : (i32)");
        let program = load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body);
        let words = setup.words(&program, std::slice::from_ref(&halves), 128);
        for lane in 0..32u32 {
            for matrix in 0..4u32 {
                let element = |i: u32| {
                    let (row, column) = (lane / 4, 2 * (lane % 4) + i);
                    matrix * 64 + if transposed { column * 8 + row } else { row * 8 + column }
                };
                assert_eq!(words[(lane * 4 + matrix) as usize], element(0) | element(1) << 16);
            }
        }
    }
}

#[test]
fn a_matrix_load_reads_what_other_lanes_must_have_published() {
    // Each lane names the row that it wrote itself, so only a shifted address crosses lanes.
    let body = matrix_load("row", "").replace("nvvm.ldmatrix(%row)", "nvvm.ldmatrix(%next)").replace(
        "%d = nvvm",
        "%c1 = llvm.mlir.constant() {value = 1 : i32} : () -> i32
        %n = llvm.xor(%tid, %c1) : (i32, i32) -> i32
        %next = llvm.getelementptr(%s, %n) {elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %d = nvvm",
    );
    let program = load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body);
    let setup = Setup { shared: 512, ..Setup::default() };
    let (fault, _) = setup.fault(&program, &[vec![0; 512]], 128);
    assert_eq!(fault.kind, FaultKind::Race, "{fault}");
}

#[test]
fn a_conflict_free_matrix_load_takes_four_wavefronts() {
    let body = matrix_load("row", "nvvm.bar.warp.sync(%full) : (i32)");
    let program = load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body);
    let mut memory = Memory::new();
    let args = [Arg::Bits(memory.alloc(512)), Arg::Bits(memory.alloc(512))];
    let stats = Setup { shared: 512, ..Setup::default() }.run(&program, &mut memory, &args).unwrap();
    let (_, access) = stats.shared.iter().find(|((_, op), _)| op == "nvvm.ldmatrix").unwrap();
    assert_eq!((access.wavefronts, access.ideal), (4, 4));
}

#[test]
fn an_undefined_element_spoils_the_results_made_from_it() {
    // Lane 31 leaves its row unwritten, so the last row of the last matrix is undefined; as A of an mma it spoils
    // rows of D that only group 7 holds.
    let program = |last: u32| {
        let body = format!(
            "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
            %full = llvm.mlir.constant() {{value = -1 : i32}} : () -> i32
            %last = llvm.mlir.constant() {{value = {last} : i32}} : () -> i32
            %zero = llvm.mlir.constant() {{value = 0.0 : f32}} : () -> f32
            %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %row = llvm.getelementptr(%s, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            %v = llvm.mlir.constant() {{value = dense<0> : vector<4xi32>}} : () -> vector<4xi32>
            %some = llvm.icmp(%tid, %last) {{predicate = 2 : i64}} : (i32, i32) -> i1
            llvm.cond_br(%some)[^a, ^b] {{operandSegmentSizes = array<i32: 1, 0, 0>}} : (i1)
            ^a:
            llvm.store(%v, %row) : (vector<4xi32>, !llvm.ptr<3>)
            llvm.br()[^b]
            ^b:
            nvvm.bar.warp.sync(%full) : (i32)
            %m = nvvm.ldmatrix(%row) {{eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<row>, num = 4 : i32, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>}} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
            %a0 = llvm.extractvalue(%m) {{position = array<i64: 0>}} : (!llvm.struct<(i32, i32, i32, i32)>) -> i32
            %a3 = llvm.extractvalue(%m) {{position = array<i64: 3>}} : (!llvm.struct<(i32, i32, i32, i32)>) -> i32
            %d = nvvm.mma.sync(%a0, %a3, %a0, %a3, %c0, %c0, %zero, %zero, %zero, %zero) {{layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, operandSegmentSizes = array<i32: 4, 2, 4>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}} : (i32, i32, i32, i32, i32, i32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
            %d0 = llvm.extractvalue(%d) {{position = array<i64: 0>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            llvm.store(%d0, %out) : (f32, !llvm.ptr<1>)
            %d2 = llvm.extractvalue(%d) {{position = array<i64: 2>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            llvm.store(%d2, %out) : (f32, !llvm.ptr<1>)
            llvm.return()"
        );
        load("%out: !llvm.ptr<1>", "", &body)
    };
    let setup = Setup { shared: 512, ..Setup::default() };
    assert_eq!(setup.words(&program(32), &[], 1), [0]);
    // Rows 0 to 7 are whole (the first store passes), row 15 is not.
    let (fault, lines) = setup.fault(&program(31), &[], 1);
    assert_eq!(fault.kind, FaultKind::Uninitialised, "{fault}");
    assert_eq!(lines[0], 22, "{fault}");
}
