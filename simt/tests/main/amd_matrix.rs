//! MFMA and WMMA against sums in integers. Where an element lies is stated the other way round than in the simulator: from
//! the element to its lane and place, as AMD's ISA guides print it.

use crate::support::{Setup, load};
use half::{bf16, f16};
use kcc_simt::FaultKind;

/// How small whole numbers are written in a type, and its bits.
#[derive(Clone, Copy)]
enum Ty {
    F16,
    BF16,
    F32,
    I8,
    /// Codes of 0, 1, 2, 3; the sign in the top bit.
    Small(u32, [u64; 4]),
}

const E4M3: Ty = Ty::Small(8, [0, 0x38, 0x40, 0x44]);
const E5M2: Ty = Ty::Small(8, [0, 0x3c, 0x40, 0x42]);
const FNUZ4: Ty = Ty::Small(8, [0, 0x40, 0x48, 0x4c]);
const FNUZ5: Ty = Ty::Small(8, [0, 0x40, 0x44, 0x46]);
const E2M3: Ty = Ty::Small(6, [0, 0x08, 0x10, 0x14]);
const E2M1: Ty = Ty::Small(4, [0, 2, 4, 5]);

impl Ty {
    fn bits(self) -> usize {
        match self {
            Ty::F16 | Ty::BF16 => 16,
            Ty::F32 => 32,
            Ty::I8 => 8,
            Ty::Small(bits, _) => bits as usize,
        }
    }

    fn code(self, value: i32) -> u64 {
        match self {
            Ty::F16 => u64::from(f16::from_f32(value as f32).to_bits()),
            Ty::BF16 => u64::from(bf16::from_f32(value as f32).to_bits()),
            Ty::F32 => u64::from((value as f32).to_bits()),
            Ty::I8 => value as u64 & 0xff,
            Ty::Small(bits, codes) => {
                // FNUZ has no negative zero.
                let sign = u64::from(value < 0) << (bits - 1);
                sign | codes[value.unsigned_abs() as usize]
            }
        }
    }
}

/// Writes `width` bits at place `index` of a lane that has `lane_bits` bits.
fn put(bytes: &mut [u8], lane_bits: usize, lane: usize, index: usize, width: usize, code: u64) {
    for bit in 0..width {
        let at = lane * lane_bits + index * width + bit;
        bytes[at / 8] |= ((code >> bit & 1) as u8) << (at % 8);
    }
}

fn value(seed: usize, row: usize, k: usize, block: usize) -> i32 {
    ((row * 3 + k * 5 + block * 2 + seed + row * k) % 7) as i32 - 3
}

struct Case<'a> {
    chip: &'a str,
    op: &'a str,
    a: (Ty, &'a str),
    b: (Ty, &'a str),
    d: &'a str,
    /// m (and n), k, blocks.
    shape: (usize, usize, usize),
    /// Operands after the three matrices, properties, further lines.
    more: &'a str,
}

const NONE: &str = ", %z, %z, %z";

impl Case<'_> {
    fn body(&self) -> String {
        let types = self.more.matches('%').count();
        let flags = if self.op.contains("wmma.i32") { " {signA = true, signB = true}" } else { "" };
        format!(
            "%tid = rocdl.workitem.id.x() : () -> i32
            %z = llvm.mlir.constant() {{value = 0 : i32}} : () -> i32
            %one = llvm.mlir.constant() {{value = 1 : i32}} : () -> i32
            %four = llvm.mlir.constant() {{value = 4 : i32}} : () -> i32
            %two = llvm.mlir.constant() {{value = 2 : i32}} : () -> i32
            %pa = llvm.getelementptr(%a, %tid) {{elem_type = {at}, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %pb = llvm.getelementptr(%b, %tid) {{elem_type = {bt}, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %pc = llvm.getelementptr(%c, %tid) {{elem_type = {dt}, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %ps = llvm.getelementptr(%s, %tid) {{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %po = llvm.getelementptr(%out, %tid) {{elem_type = {dt}, rawConstantIndices = array<i32: -2147483648>}} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
            %va = llvm.load(%pa) {{ordering = 0 : i64, alignment = 4 : i64}} : (!llvm.ptr<1>) -> {at}
            %vb = llvm.load(%pb) {{ordering = 0 : i64, alignment = 4 : i64}} : (!llvm.ptr<1>) -> {bt}
            %vc = llvm.load(%pc) {{ordering = 0 : i64, alignment = 4 : i64}} : (!llvm.ptr<1>) -> {dt}
            %vs = llvm.load(%ps) {{ordering = 0 : i64}} : (!llvm.ptr<1>) -> i32
            %r = {op}(%va, %vb, %vc{more}){flags} : ({at}, {bt}, {dt}{ints}) -> {dt}
            llvm.store(%r, %po) {{ordering = 0 : i64, alignment = 4 : i64}} : ({dt}, !llvm.ptr<1>) -> ()
            llvm.return()",
            at = self.a.1,
            bt = self.b.1,
            dt = self.d,
            op = self.op,
            more = self.more,
            ints = ", i32".repeat(types),
        )
    }

    /// Bytes of the operands by lane, and sums by block, row, column. `scale(row, k)` multiplies.
    fn run(&self, registers: usize, scales: &[u32], scale: impl Fn(usize, usize) -> f64) {
        let (m, k, blocks) = self.shape;
        let lanes = if self.op.contains("wmma") { 32 } else { 64 };
        let program = load(
            "%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %s: !llvm.ptr<1>, %out: !llvm.ptr<1>",
            "",
            &self.body(),
        );
        let operand = |seed: usize, (ty, text): (Ty, &str)| {
            let lane_bits = bits_of(text);
            let mut bytes = vec![0u8; lanes * lane_bits / 8];
            for block in 0..blocks {
                for row in 0..m {
                    for at in 0..k {
                        let code = ty.code(value(seed, row, at, block));
                        for (lane, index) in self.place(ty.bits(), row, at, block) {
                            put(&mut bytes, lane_bits, lane, index, ty.bits(), code);
                        }
                    }
                }
            }
            bytes
        };
        let (a, b) = (operand(1, self.a), operand(2, self.b));
        let integer = self.op.contains("i32");
        let start = |lane: usize, register: usize| (lane * 2 + register) as i32 % 11 - 5;
        let encode = |value: f64| if integer { value as i32 as u32 } else { (value as f32).to_bits() };
        let c: Vec<u8> = (0..lanes * registers)
            .flat_map(|at| encode(f64::from(start(at / registers, at % registers))).to_le_bytes())
            .collect();
        let scale_bytes: Vec<u8> = scales.iter().flat_map(|word| word.to_le_bytes()).collect();
        let setup = Setup { chip: self.chip, threads: lanes as u32, ..Setup::default() };
        let out = setup.words(&program, &[a, b, c, scale_bytes], lanes * registers);
        for block in 0..blocks {
            for row in 0..m {
                for column in 0..m {
                    let (lane, register) = self.result(row, column, block);
                    let sum: f64 = (0..k)
                        .map(|at| {
                            let product = value(1, row, at, block) * value(2, column, at, block);
                            f64::from(product) * scale(row, at)
                        })
                        .sum();
                    let expected = encode(sum + f64::from(start(lane, register)));
                    let got = out[lane * registers + register];
                    assert_eq!(got, expected, "{}: block {block} row {row} column {column}", self.op);
                }
            }
        }
    }

    /// Lanes and place of an element of A or B.
    fn place(&self, bits: usize, row: usize, k: usize, block: usize) -> Vec<(usize, usize)> {
        let (m, depth, blocks) = self.shape;
        if self.op.contains("wmma") {
            return vec![(row, k), (row + 16, k)];
        }
        let each = m * depth * blocks / 64;
        if each == 32 && bits == 8 {
            // Two runs of sixteen.
            let half = k / (depth / 2);
            return vec![(row + m * (k % (depth / 2) / 16), 16 * half + k % 16)];
        }
        vec![(row + m * block + m * blocks * (k / each), k % each)]
    }

    /// Lane and register of a result.
    fn result(&self, row: usize, column: usize, block: usize) -> (usize, usize) {
        if self.op.contains("wmma") {
            return (column + 16 * (row % 2), row / 2);
        }
        match self.shape.0 {
            32 => (column + 32 * (row / 4 % 2), 16 * block + row / 8 * 4 + row % 4),
            16 => (column + 16 * (row / 4), 4 * block + row % 4),
            _ => (column + 4 * block, row),
        }
    }
}

/// Bits of a type as it lies in memory.
fn bits_of(text: &str) -> usize {
    let element = |text: &str| match text {
        "f16" | "bf16" | "i16" => 16,
        "f32" | "i32" => 32,
        "i64" => 64,
        other => panic!("{other}"),
    };
    match text.strip_prefix("vector<") {
        Some(rest) => {
            let (count, inner) = rest.trim_end_matches('>').split_once('x').expect("a vector");
            // A vector of six words takes eight in an array.
            (count.parse::<usize>().expect("a length") * element(inner)).next_power_of_two()
        }
        None => element(text),
    }
}

fn mfma(chip: &str, op: &str, a: (Ty, &str), b: (Ty, &str), d: &str, shape: (usize, usize, usize)) {
    let registers = shape.0 * shape.0 * shape.2 / 64;
    let op = format!("rocdl.mfma.{op}");
    Case { chip, op: &op, a, b, d, shape, more: NONE }.run(registers, &[0; 64], |_, _| 1.0);
}

#[test]
fn half_and_single_precision_products_of_each_shape() {
    let (h, s) = ((Ty::F16, "vector<4xf16>"), (Ty::F32, "f32"));
    mfma("gfx90a", "f32.32x32x8f16", h, h, "vector<16xf32>", (32, 8, 1));
    mfma("gfx942", "f32.16x16x16f16", h, h, "vector<4xf32>", (16, 16, 1));
    mfma("gfx942", "f32.32x32x4f16", h, h, "vector<32xf32>", (32, 4, 2));
    mfma("gfx942", "f32.16x16x4f16", h, h, "vector<16xf32>", (16, 4, 4));
    mfma("gfx942", "f32.4x4x4f16", h, h, "vector<4xf32>", (4, 4, 16));
    mfma("gfx90a", "f32.32x32x2f32", s, s, "vector<16xf32>", (32, 2, 1));
    mfma("gfx950", "f32.16x16x4f32", s, s, "vector<4xf32>", (16, 4, 1));
    let b = (Ty::BF16, "vector<4xi16>");
    mfma("gfx90a", "f32.32x32x8bf16.1k", b, b, "vector<16xf32>", (32, 8, 1));
    mfma("gfx942", "f32.16x16x16bf16.1k", b, b, "vector<4xf32>", (16, 16, 1));
    let (h, b) = ((Ty::F16, "vector<8xf16>"), (Ty::BF16, "vector<8xbf16>"));
    mfma("gfx950", "f32.32x32x16.f16", h, h, "vector<16xf32>", (32, 16, 1));
    mfma("gfx950", "f32.16x16x32.bf16", b, b, "vector<4xf32>", (16, 32, 1));
    let x = (Ty::F32, "vector<2xf32>");
    mfma("gfx942", "f32.16x16x8.xf32", x, x, "vector<4xf32>", (16, 8, 1));
    mfma("gfx942", "f32.32x32x4.xf32", x, x, "vector<16xf32>", (32, 4, 1));
}

#[test]
fn integer_and_fp8_products() {
    let old = (Ty::I8, "i32");
    mfma("gfx90a", "i32.32x32x8i8", old, old, "vector<16xi32>", (32, 8, 1));
    let i = (Ty::I8, "i64");
    mfma("gfx942", "i32.32x32x16.i8", i, i, "vector<16xi32>", (32, 16, 1));
    mfma("gfx942", "i32.16x16x32.i8", i, i, "vector<4xi32>", (16, 32, 1));
    let wide = (Ty::I8, "vector<4xi32>");
    mfma("gfx950", "i32.16x16x64.i8", wide, wide, "vector<4xi32>", (16, 64, 1));
    // The same instruction means FNUZ on gfx942 and OCP on gfx950.
    let (f, g) = ((FNUZ4, "i64"), (FNUZ5, "i64"));
    mfma("gfx942", "f32.16x16x32.fp8.fp8", f, f, "vector<4xf32>", (16, 32, 1));
    mfma("gfx942", "f32.32x32x16.fp8.bf8", f, g, "vector<16xf32>", (32, 16, 1));
    let (f, g) = ((E4M3, "i64"), (E5M2, "i64"));
    mfma("gfx950", "f32.16x16x32.bf8.fp8", g, f, "vector<4xf32>", (16, 32, 1));
}

#[test]
fn products_with_a_scale_for_each_32_elements() {
    // Byte 1 of lane l's word is the scale of row l mod m, run l div m; B's are all 1.
    let words: Vec<u32> = (0..64).map(|lane| (126 + lane % 3) << 8 | 127 << 16).collect();
    let scale = |m: usize| move |row: usize, k: usize| 2f64.powi(((row + m * (k / 32)) % 3) as i32 - 1);
    let case = |op: &str, a: (Ty, &str), b: (Ty, &str), d: &str, shape: (usize, usize, usize), more: &str| {
        let registers = shape.0 * shape.0 / 64;
        Case { chip: "gfx950", op, a, b, d, shape, more }.run(registers, &words, scale(shape.0));
    };
    let f8 = (E4M3, "vector<8xi32>");
    let f6 = (E2M3, "vector<6xi32>");
    let f4 = (E2M1, "vector<4xi32>");
    let (small, large) = ("rocdl.mfma.scale.f32.16x16x128.f8f6f4", "rocdl.mfma.scale.f32.32x32x64.f8f6f4");
    // Format of A, of B, byte of A's scale, scales, byte of B's.
    case(small, f8, f8, "vector<4xf32>", (16, 128, 1), ", %z, %z, %one, %vs, %two, %vs");
    case(large, f8, f8, "vector<16xf32>", (32, 64, 1), ", %z, %z, %one, %vs, %two, %vs");
    case(small, f4, f4, "vector<4xf32>", (16, 128, 1), ", %four, %four, %one, %vs, %two, %vs");
    case(large, f4, f8, "vector<16xf32>", (32, 64, 1), ", %four, %z, %one, %vs, %two, %vs");
    case(small, f6, f4, "vector<4xf32>", (16, 128, 1), ", %two, %four, %one, %vs, %two, %vs");
    // Constant zeros are no scales at all.
    Case {
        chip: "gfx950",
        op: small,
        a: f8,
        b: f8,
        d: "vector<4xf32>",
        shape: (16, 128, 1),
        more: ", %z, %z, %z, %z, %z, %z",
    }
    .run(4, &words, |_, _| 1.0);
}

#[test]
fn wmma_of_each_type() {
    let case = |op: &str, ty: (Ty, &str), d: &str| {
        Case { chip: "gfx1100", op, a: ty, b: ty, d, shape: (16, 16, 1), more: "" }.run(
            8,
            &[0; 32],
            |_, _| 1.0,
        );
    };
    case("rocdl.wmma.f32.16x16x16.f16", (Ty::F16, "vector<16xf16>"), "vector<8xf32>");
    case("rocdl.wmma.f32.16x16x16.bf16", (Ty::BF16, "vector<16xi16>"), "vector<8xf32>");
    case("rocdl.wmma.i32.16x16x16.iu8", (Ty::I8, "vector<4xi32>"), "vector<8xi32>");
}

/// The kernel of a case on another chip, or with other bytes.
fn fault(case: &Case<'_>, a: Vec<u8>) -> (FaultKind, String) {
    let program = load(
        "%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %s: !llvm.ptr<1>, %out: !llvm.ptr<1>",
        "",
        &case.body(),
    );
    let threads = if case.op.contains("wmma") { 32 } else { 64 };
    let setup = Setup { chip: case.chip, threads, ..Setup::default() };
    let inputs = [a, vec![0; 4096], vec![0; 8192], vec![0; 256]];
    let (fault, _) = setup.fault(&program, &inputs, 2048);
    (fault.kind, fault.message.clone())
}

#[test]
fn chips_have_their_own_instructions_only() {
    let h = (Ty::F16, "vector<8xf16>");
    let case = |chip| Case {
        chip,
        op: "rocdl.mfma.f32.16x16x32.f16",
        a: h,
        b: h,
        d: "vector<4xf32>",
        shape: (16, 32, 1),
        more: NONE,
    };
    for chip in ["gfx90a", "gfx942", "sm_90a"] {
        let (kind, message) = fault(&case(chip), vec![0; 4096]);
        assert_eq!(kind, FaultKind::Chip, "{chip}: {message}");
    }
}

#[test]
fn wmma_wants_the_same_in_both_halves_of_a_wave() {
    let h = (Ty::F16, "vector<16xf16>");
    let case = Case {
        chip: "gfx1100",
        op: "rocdl.wmma.f32.16x16x16.f16",
        a: h,
        b: h,
        d: "vector<8xf32>",
        shape: (16, 16, 1),
        more: "",
    };
    let mut a = vec![0u8; 4096];
    a[20 * 32 + 1] = 0x3c; // lane 20 alone holds a one
    let (kind, message) = fault(&case, a);
    assert_eq!(kind, FaultKind::Collective);
    assert!(message.contains("lanes 4 and 20"), "{message}");
}
