//! `wgmma`: layouts of operands in shared memory and registers, and the rules about who may touch what when.
//!
//! The host lays the operands out as the manual's figures say ("Asynchronous Warpgroup Level Matrix Shared Memory
//! Layout"), the kernel copies them to shared memory as they are.

use crate::support::{Setup, from_halves, from_words, load};
use half::f16;
use kcc_simt::{FaultKind, Program};

const N: usize = 32;
const K: usize = 64;

fn a_value(m: usize, k: usize) -> f32 {
    ((m * 5 + k * 3) % 11) as f32 - 5.0
}

fn b_value(k: usize, n: usize) -> f32 {
    ((k * 7 + n * 2) % 9) as f32 - 4.0
}

fn product(m: usize, n: usize, k: std::ops::Range<usize>) -> f32 {
    k.map(|k| a_value(m, k) * b_value(k, n)).sum()
}

/// One operand: its bytes, its descriptor apart from the address, and how far each step of 16 along K moves the start.
struct Operand {
    image: Vec<u16>,
    descriptor: u64,
    step: usize,
    transposed: bool,
}

fn code(value: f32) -> u16 {
    f16::from_f32(value).to_bits()
}

/// K-major, 128-byte swizzle: a row of 64 halves is 128 bytes; the 16-byte unit u of row r lies at u xor (r mod 8).
/// Eight rows follow each other, 1024 bytes; stride offset 1024.
fn k_major_128(rows: usize, value: impl Fn(usize, usize) -> f32) -> Operand {
    let mut image = vec![0; rows * K];
    for row in 0..rows {
        for k in 0..K {
            let unit = (k / 8) ^ (row % 8);
            image[row * 64 + unit * 8 + k % 8] = code(value(row, k));
        }
    }
    Operand { image, descriptor: 1 << 62 | (1024 >> 4) << 32 | 1 << 16, step: 32, transposed: false }
}

/// K-major, no swizzle: core matrices of eight rows by 16 bytes, 128 bytes each. Core matrices along K lie `rows · 16`
/// bytes apart (leading offset), those along the rows 128 bytes (stride offset).
fn k_major_plain(rows: usize, value: impl Fn(usize, usize) -> f32) -> Operand {
    let mut image = vec![0; rows * K];
    for row in 0..rows {
        for k in 0..K {
            image[(k / 8) * rows * 8 + (row / 8) * 64 + (row % 8) * 8 + k % 8] = code(value(row, k));
        }
    }
    let leading = ((rows * 16) >> 4) as u64;
    Operand { image, descriptor: (128 >> 4) << 32 | leading << 16, step: 2 * rows * 16, transposed: false }
}

/// Rows innermost (MN-major), 64-byte swizzle: lines along K of 32 rows, 64 bytes; eight lines are 512 bytes, and the
/// unit u of line l lies at u xor (l / 2 mod 4). Panels of 32 rows follow each other (leading offset); the next eight
/// lines lie 512 bytes on (stride offset).
fn row_major_64(rows: usize, value: impl Fn(usize, usize) -> f32) -> Operand {
    let mut image = vec![0; rows * K];
    for row in 0..rows {
        for k in 0..K {
            let unit = (row % 32 / 8) ^ (k / 2 % 4);
            image[(row / 32) * K * 32 + k * 32 + unit * 8 + row % 8] = code(value(row, k));
        }
    }
    let leading = ((K * 64) >> 4) as u64;
    Operand { image, descriptor: 2 << 62 | (512 >> 4) << 32 | leading << 16, step: 16 * 64, transposed: true }
}

struct Parts<'a> {
    proxy: &'a str,
    fence: &'a str,
    between: &'a str,
    wait: &'a str,
}

const GOOD: Parts<'static> = Parts {
    proxy: "nvvm.fence.proxy() {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}",
    fence: "nvvm.wgmma.fence.aligned()",
    between: "",
    wait: "nvvm.wgmma.wait.group.sync.aligned() {group = 0 : i64}",
};

/// The four warps copy A (16 KiB region from offset 0) and B (from 8192) to shared memory, and multiply in four steps.
/// `a` is `None` for A in registers, read from `%in` after the image of B.
fn program(a: Option<&Operand>, b: &Operand, parts: &Parts<'_>) -> Program {
    let mut body = String::from(
        "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
        %s = llvm.mlir.addressof() {global_name = @dyn} : () -> !llvm.ptr<3>
        %to = llvm.getelementptr(%s, %tid) {elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
        %from = llvm.getelementptr(%in, %tid) {elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>\n",
    );
    for i in 0..(8192 + N * K * 2) / 2048 {
        let offset = i * 2048;
        body += &format!(
            "%f{i} = llvm.getelementptr(%from) {{elem_type = i8, rawConstantIndices = array<i32: {offset}>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
            %t{i} = llvm.getelementptr(%to) {{elem_type = i8, rawConstantIndices = array<i32: {offset}>}} : (!llvm.ptr<3>) -> !llvm.ptr<3>
            %v{i} = llvm.load(%f{i}) : (!llvm.ptr<1>) -> vector<4xi32>
            llvm.store(%v{i}, %t{i}) : (vector<4xi32>, !llvm.ptr<3>)\n"
        );
    }
    body += &format!(
        "{}
        nvvm.barrier0()
        %base = llvm.ptrtoint(%s) : (!llvm.ptr<3>) -> i64
        %c4 = llvm.mlir.constant() {{value = 4 : i64}} : () -> i64
        %start = llvm.lshr(%base, %c4) : (i64, i64) -> i64
        %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
        %zero = llvm.mlir.constant() {{value = 0.0 : f32}} : () -> f32\n",
        parts.proxy
    );
    let count = N / 2;
    let acc: Vec<String> = (0..count).map(|i| format!("${i}")).collect();
    let acc = acc.join(", ");
    let mut asm = String::from("{ .reg .pred p, t; .reg .b64 a, b; ");
    let (a_start, inputs) = (count * 2, count);
    let mut operands = vec!["%zero".to_owned(); inputs];
    let mut constraints: Vec<String> = vec!["=f".into(); count];
    constraints.extend((0..count).map(|i| i.to_string()));
    match a {
        Some(a) => {
            body += &format!(
                "%da0 = llvm.mlir.constant() {{value = {} : i64}} : () -> i64\n%da = llvm.or(%da0, %start) : (i64, i64) -> i64\n",
                a.descriptor as i64
            );
            operands.push("%da".into());
            constraints.push("l".into());
        }
        None => {
            // Sixteen words a lane, four for each step.
            body += "%ap = llvm.getelementptr(%in, %tid) {elem_type = !llvm.array<16 x i32>, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>\n";
            for i in 0..16 {
                body += &format!(
                    "%ap{i} = llvm.getelementptr(%ap) {{elem_type = i32, rawConstantIndices = array<i32: {}>}} : (!llvm.ptr<1>) -> !llvm.ptr<1>
                    %ar{i} = llvm.load(%ap{i}) : (!llvm.ptr<1>) -> i32\n",
                    (8192 + N * K * 2) / 4 + i
                );
                operands.push(format!("%ar{i}"));
                constraints.push("r".into());
            }
        }
    }
    let b_at = constraints.len();
    body += &format!(
        "%db0 = llvm.mlir.constant() {{value = {} : i64}} : () -> i64
        %db1 = llvm.add(%db0, %start) : (i64, i64) -> i64
        {}\n",
        (b.descriptor + (8192 >> 4)) as i64,
        parts.fence
    );
    operands.push("%db1".into());
    constraints.push("l".into());
    constraints.push("r".into());
    operands.push("%c0".into());
    asm += &format!("setp.ne.b32 p, ${}, 0; setp.eq.b32 t, 0, 0; ", b_at + 1);
    for step in 0..4 {
        let predicate = if step == 0 { "p" } else { "t" };
        asm += &format!("add.s64 b, ${b_at}, {}; ", (step * b.step) >> 4);
        let a_text = match a {
            Some(a) => {
                asm += &format!("add.s64 a, ${a_start}, {}; ", (step * a.step) >> 4);
                "a".to_owned()
            }
            None => {
                let names: Vec<String> = (0..4).map(|i| format!("${}", a_start + 4 * step + i)).collect();
                format!("{{{}}}", names.join(", "))
            }
        };
        let flags = match a {
            Some(a) => format!("{}, {}", u8::from(a.transposed), u8::from(b.transposed)),
            None => u8::from(b.transposed).to_string(),
        };
        asm += &format!(
            "wgmma.mma_async.sync.aligned.m64n{N}k16.f32.f16.f16 {{{acc}}}, {a_text}, b, {predicate}, 1, 1, {flags}; "
        );
    }
    asm += "}";
    let types: Vec<&str> = operands
        .iter()
        .map(|name| match name.as_str() {
            "%zero" => "f32",
            "%da" | "%db1" => "i64",
            _ => "i32",
        })
        .collect();
    let results = vec!["f32"; count].join(", ");
    // The helper's braces are for properties, so the text of the assembly keeps clear of it.
    let asm = asm.replace('{', "\\7B").replace('}', "\\7D");
    body += &format!(
        "%d = llvm.inline_asm({}) {{asm_string = \"{asm}\", constraints = \"{}\", has_side_effects}} : ({}) -> !llvm.struct<({results})>
        nvvm.wgmma.commit.group.sync.aligned()
        {}
        {}
        %o = llvm.getelementptr(%out, %tid) {{elem_type = !llvm.array<{count} x f32>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
        llvm.store(%d, %o) : (!llvm.struct<({results})>, !llvm.ptr<1>)
        llvm.return()",
        operands.join(", "),
        constraints.join(","),
        types.join(", "),
        parts.between,
        parts.wait
    );
    load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body)
}

fn setup() -> Setup<'static> {
    Setup { threads: 128, shared: 8192 + (N * K * 2) as u64, ..Setup::default() }
}

fn input(a: Option<&Operand>, b: &Operand) -> Vec<u8> {
    let mut bytes = match a {
        Some(a) => from_halves(a.image.iter().copied()),
        None => vec![0; 8192],
    };
    bytes.extend(from_halves(b.image.iter().copied()));
    if a.is_none() {
        // Register fragments of A, m64k16: warp w holds rows 16·w…; g, t and i as in mma.m16n8k16.
        for thread in 0..128 {
            let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
            for step in 0..4 {
                bytes.extend(from_halves((0..8).map(|i| {
                    let row = if matches!(i, 0 | 1 | 4 | 5) { g } else { g + 8 };
                    let k = t * 2 + i % 2 + if i < 4 { 0 } else { 8 };
                    code(a_value(16 * warp + row, 16 * step + k))
                })));
            }
        }
    }
    bytes
}

/// Accumulator fragments: element i of thread t of group g of warp w lies in row 16·w + g (+ 8 for i/2 odd), column
/// 8·(i/4) + 2·t + i mod 2.
fn expected() -> Vec<u32> {
    let mut words = Vec::new();
    for thread in 0..128 {
        let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
        for i in 0..N / 2 {
            let row = 16 * warp + g + if i / 2 % 2 == 1 { 8 } else { 0 };
            words.push(product(row, 8 * (i / 4) + 2 * t + i % 2, 0..K).to_bits());
        }
    }
    words
}

#[test]
fn operands_lie_in_shared_memory_as_in_the_manual() {
    let b_rows = |n: usize, k: usize| b_value(k, n);
    let kinds: [(&str, Operand, Operand); 4] = [
        ("128-byte swizzle", k_major_128(64, a_value), k_major_128(N, b_rows)),
        ("no swizzle", k_major_plain(64, a_value), k_major_plain(N, b_rows)),
        ("B transposed", k_major_128(64, a_value), row_major_64(N, b_rows)),
        ("A and B transposed", row_major_64(64, a_value), row_major_64(N, b_rows)),
    ];
    for (name, a, b) in &kinds {
        let words = setup().words(&program(Some(a), b, &GOOD), &[input(Some(a), b)], 128 * N / 2);
        assert!(words == expected(), "{name}");
    }
}

#[test]
fn operand_a_may_come_from_registers() {
    let b = k_major_128(N, |n, k| b_value(k, n));
    let words = setup().words(&program(None, &b, &GOOD), &[input(None, &b)], 128 * N / 2);
    assert!(words == expected());
}

#[test]
fn what_a_product_needs_around_it_is_checked() {
    let a = k_major_128(64, a_value);
    let b = k_major_128(N, |n, k| b_value(k, n));
    let find = |parts: Parts<'_>| {
        let (fault, lines) =
            setup().fault(&program(Some(&a), &b, &parts), &[input(Some(&a), &b)], 128 * N / 2);
        assert!(!lines.is_empty(), "{fault}");
        fault
    };
    assert_eq!(find(Parts { proxy: "", ..GOOD }).kind, FaultKind::ProxyFence);
    assert_eq!(find(Parts { fence: "", ..GOOD }).kind, FaultKind::AsyncRegister);
    assert_eq!(find(Parts { wait: "", ..GOOD }).kind, FaultKind::AsyncRegister);
    let one = "nvvm.wgmma.wait.group.sync.aligned() {group = 1 : i64}";
    assert_eq!(find(Parts { wait: one, ..GOOD }).kind, FaultKind::AsyncRegister);
    // Overwriting an operand before the wait.
    let overwrite = "llvm.store(%v0, %t0) : (vector<4xi32>, !llvm.ptr<3>)";
    assert_eq!(find(Parts { between: overwrite, ..GOOD }).kind, FaultKind::Race);
}

#[test]
fn a_register_of_operand_a_stays_until_the_wait() {
    // The same loop body twice: the second turn overwrites %ar0 while the first product may still read it.
    let b = k_major_128(N, |n, k| b_value(k, n));
    let bytes = input(None, &b);
    let looped = |wait: &str| {
        let body = format!(
            "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
            %s = llvm.mlir.addressof() {{global_name = @dyn}} : () -> !llvm.ptr<3>
            %to = llvm.getelementptr(%s, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>
            %from = llvm.getelementptr(%in, %tid) {{elem_type = !llvm.array<16 x i8>, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %v = llvm.load(%from) : (!llvm.ptr<1>) -> vector<4xi32>
            llvm.store(%v, %to) : (vector<4xi32>, !llvm.ptr<3>)
            {}
            nvvm.barrier0()
            %base = llvm.ptrtoint(%s) : (!llvm.ptr<3>) -> i64
            %c4 = llvm.mlir.constant() {{value = 4 : i64}} : () -> i64
            %start = llvm.lshr(%base, %c4) : (i64, i64) -> i64
            %d0 = llvm.mlir.constant() {{value = {} : i64}} : () -> i64
            %d = llvm.or(%d0, %start) : (i64, i64) -> i64
            %c0 = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
            %c1 = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %c2 = llvm.mlir.constant() {{value = 2 : i32}} : () -> i32
            %z = llvm.mlir.constant() {{value = 0.0 : f32}} : () -> f32
            llvm.br(%c0, %z, %z, %z, %z)[^head] : (i32, f32, f32, f32, f32)
            ^head(%i: i32, %a0: f32, %a1: f32, %a2: f32, %a3: f32):
            %r = llvm.add(%i, %tid) : (i32, i32) -> i32
            nvvm.wgmma.fence.aligned()
            %p = llvm.inline_asm(%a0, %a1, %a2, %a3, %r, %d) {{asm_string = \"wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 \\7B$0, $1, $2, $3\\7D, \\7B$8, $8, $8, $8\\7D, $9, 1, 1, 1, 0;\", constraints = \"=f,=f,=f,=f,0,1,2,3,r,l\", has_side_effects}} : (f32, f32, f32, f32, i32, i64) -> !llvm.struct<(f32, f32, f32, f32)>
            nvvm.wgmma.commit.group.sync.aligned()
            {wait}
            %p0 = llvm.extractvalue(%p) {{position = array<i64: 0>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            %p1 = llvm.extractvalue(%p) {{position = array<i64: 1>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            %p2 = llvm.extractvalue(%p) {{position = array<i64: 2>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            %p3 = llvm.extractvalue(%p) {{position = array<i64: 3>}} : (!llvm.struct<(f32, f32, f32, f32)>) -> f32
            %n = llvm.add(%i, %c1) : (i32, i32) -> i32
            %more = llvm.icmp(%n, %c2) {{predicate = 2 : i64}} : (i32, i32) -> i1
            llvm.cond_br(%more, %n, %p0, %p1, %p2, %p3)[^head, ^end] {{operandSegmentSizes = array<i32: 1, 5, 0>}} : (i1, i32, f32, f32, f32, f32)
            ^end:
            nvvm.wgmma.wait.group.sync.aligned() {{group = 0 : i64}}
            %o = llvm.getelementptr(%out, %tid) {{elem_type = f32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            llvm.store(%p0, %o) : (f32, !llvm.ptr<1>)
            llvm.return()",
            GOOD.proxy,
            (1u64 << 62 | (1024 >> 4) << 32 | 1 << 16) as i64
        );
        load("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", "", &body)
    };
    let small = Setup { threads: 128, shared: 2048, ..Setup::default() };
    small.words(&looped(GOOD.wait), &[from_words(vec![0; bytes.len() / 4])], 128);
    let (fault, lines) = small.fault(&looped(""), &[bytes], 128);
    assert_eq!((fault.kind, lines), (FaultKind::AsyncRegister, vec![19]), "{fault}");
}
