//! Every limit that the verifier knows, at the limit and one past it; and texts of random programs, which read back.

use crate::build::*;
use kcc_davinci::ir::*;
use kcc_davinci::verify;
use kcc_dsl::ir::Elem;

/// An instruction of each kind whose parameters are all in order. `b0` … lie in the unified buffer, `b4` in L1, `b5` to `b7` in the
/// memories of products.
const VECTOR: &[&str] = &[
    r#"copy_in blocks=1 bytes=64 dst=b0+0 dst_gap=0 elem=F32 pad={"left":0,"right":0,"value":0} src=p0+0 src_gap=0"#,
    "copy_out atomic=none blocks=1 bytes=64 dst=p1+0 dst_gap=0 elem=F32 src=b0+0 src_gap=0",
    r#"v_unary dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F32 op=exp span={"repeat":{"lanes":64,"times":2}} src=b1+0 src_stride={"block":1,"repeat":8}"#,
    r#"v_binary a=b1+0 a_stride={"block":1,"repeat":8} b=b2+0 b_stride={"block":1,"repeat":8} dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F16 op=add span={"repeat":{"lanes":64,"times":2}}"#,
    r#"v_scalar dst=b0+0 dst_stride={"block":1,"repeat":8} elem=I32 op=shiftleft scalar=3 span={"count":{"n":64}} src=b1+0 src_stride={"block":1,"repeat":8}"#,
    r#"mul_add a=b1+0 a_stride={"block":1,"repeat":8} b=b2+0 b_stride={"block":1,"repeat":8} dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F32 span={"repeat":{"lanes":64,"times":2}}"#,
    r#"fused_mul_add a=b1+0 a_stride={"block":1,"repeat":0} b=b2+0 b_stride={"block":0,"repeat":1} dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F32 span={"repeat":{"lanes":64,"times":2}}"#,
    r#"cast dst=b0+0 dst_stride={"block":1,"repeat":8} from=F32 rounding=rint span={"repeat":{"lanes":64,"times":2}} src=b1+0 src_stride={"block":1,"repeat":8} to=F16"#,
    "compare_to a=b1+0 b=b2+0 dst=b0+0 elem=F32 n=64 op=lt",
    "compare_scalar a=b1+0 dst=b0+0 elem=F16 n=128 op=ge scalar=0",
    "select a=b1+0 b=b2+0 dst=b0+0 elem=F32 mask=b3+0 n=64",
    "select_scalar a=b1+0 dst=b0+0 elem=F32 mask=b3+0 n=64 scalar=0",
    r#"duplicate dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F32 scalar=0 span={"repeat":{"lanes":64,"times":2}}"#,
    r#"reduce dst=b0+0 dst_step=1 elem=F32 lanes=64 op=max src=b1+0 src_stride={"block":1,"repeat":8} times=2"#,
    r#"block_broadcast dst=b0+0 dst_stride={"block":1,"repeat":8} elem=F32 src=b1+0 times=2"#,
    "gather base=0 dst=b0+0 elem=F32 n=64 offsets=b2+0 src=b1+0",
    "iota dst=b0+0 elem=I32 first=0 n=64",
    "transpose16 dst=b0+0 src=b1+0",
    "sort32 dst=b0+0 elem=F32 indices=b2+0 times=2 values=b1+0",
    "merge_sort dst=b0+0 elem=F32 length=32 lists=2 src=b1+0",
    "store_scalar dst=b0+0 elem=F32 value=0",
    "set event=0 from=v to=mte2",
    "wait event=0 from=v to=mte2",
    "barrier pipe=v",
    "cross_set flag=0 mode=group pipe=mte3",
    "cross_wait flag=0",
];

const CUBE: &[&str] = &[
    "copy_l1 blocks=1 dst=b4+0 dst_gap=0 length=4 src=p0+0 src_gap=0",
    "nd_to_nz columns=16 dst=b4+0 dst_column=16 dst_matrix=1 dst_row=1 elem=F16 matrices=1 rows=16 src=p0+0 src_matrix=0 src_row=16",
    "fill_l1 blocks=1 dst=b4+0 elem=F16 gap=0 times=1 value=0",
    "load_data dst=b5+0 dst_gap=0 elem=F16 src=b4+0 src_stride=1 start=0 times=1 transpose=true",
    "mmad a=b5+0 b=b6+0 dst=b7+0 elem=F16 init=true k=16 m=16 n=16",
    "fixpipe atomic=none dst=p1+0 dst_stride=16 elem=F32 m=16 n=16 quant=none relu=false src=b7+0 src_stride=16",
];

/// Parameters with the least and the greatest value that each may have. Beyond either, a program is refused.
const RANGES: &[(&str, &str, i64, i64)] = &[
    ("copy_in", "blocks", 1, 4095),
    ("copy_in", "bytes", 1, 2_097_151),
    ("copy_in", "src_gap", 0, u32::MAX as i64),
    ("copy_in", "dst_gap", 0, u32::MAX as i64),
    ("copy_out", "blocks", 1, 4095),
    ("copy_out", "bytes", 1, 2_097_151),
    ("copy_out", "src_gap", 0, u32::MAX as i64),
    ("copy_out", "dst_gap", 0, u32::MAX as i64),
    ("copy_l1", "blocks", 1, 4095),
    ("copy_l1", "length", 1, 65535),
    ("copy_l1", "src_gap", 0, 65535),
    ("copy_l1", "dst_gap", 0, 65535),
    ("nd_to_nz", "matrices", 0, 4095),
    ("nd_to_nz", "rows", 0, 16384),
    ("nd_to_nz", "columns", 0, 65535),
    ("nd_to_nz", "src_matrix", 0, 65535),
    ("nd_to_nz", "src_row", 1, 65535),
    ("nd_to_nz", "dst_column", 1, 16384),
    ("nd_to_nz", "dst_row", 1, 16384),
    ("nd_to_nz", "dst_matrix", 1, 65535),
    ("fill_l1", "times", 1, 32767),
    ("fill_l1", "blocks", 1, 32767),
    ("fill_l1", "gap", 0, 32767),
    ("load_data", "start", 0, 65535),
    ("load_data", "times", 1, 255),
    ("load_data", "src_stride", 0, 65535),
    ("load_data", "dst_gap", 0, 65535),
    ("mmad", "m", 2, 4095),
    ("mmad", "n", 1, 4095),
    ("mmad", "k", 1, 4095),
    ("fixpipe", "m", 1, 8192),
    ("fixpipe", "n", 1, 4095),
    ("fixpipe", "dst_stride", 1, 65535),
    ("v_scalar", "scalar", 0, 31),
    ("select", "n", 1, u32::MAX as i64),
    ("select_scalar", "n", 1, u32::MAX as i64),
    ("reduce", "lanes", 1, 64),
    ("reduce", "times", 1, 255),
    ("block_broadcast", "times", 1, 255),
    ("gather", "base", 0, 184 << 10),
    ("gather", "n", 1, u32::MAX as i64),
    ("iota", "n", 1, u32::MAX as i64),
    ("sort32", "times", 1, 255),
    ("merge_sort", "lists", 2, 4),
    ("merge_sort", "length", 1, 4095),
    ("cross_set", "flag", 0, 10),
    ("cross_wait", "flag", 0, 10),
];

/// Values that are taken, and values that are not.
const VALUES: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "copy_in",
        "pad",
        &[r#"{"left":8,"right":8,"value":0}"#],
        &[r#"{"left":9,"right":0,"value":0}"#, r#"{"left":0,"right":9,"value":0}"#],
    ),
    ("copy_in", "dst", &["b0+32"], &["b0+16", "b0+33", "b4+0"]),
    ("copy_out", "dst", &["p1+1"], &["p0+0", "p2+0"]),
    ("copy_out", "src", &["b0+32"], &["b0+31"]),
    (
        "v_unary",
        "span",
        &[r#"{"repeat":{"lanes":64,"times":255}}"#, r#"{"count":{"n":1}}"#],
        &[
            r#"{"repeat":{"lanes":65,"times":2}}"#,
            r#"{"repeat":{"lanes":0,"times":2}}"#,
            r#"{"repeat":{"lanes":64,"times":256}}"#,
            r#"{"repeat":{"lanes":64,"times":0}}"#,
            r#"{"count":{"n":0}}"#,
        ],
    ),
    ("v_unary", "elem", &["F16", "F32"], &["BF16", "I32", "I16"]),
    ("v_unary", "src", &["b1+32"], &["b1+4"]),
    (
        "v_binary",
        "span",
        &[r#"{"repeat":{"lanes":128,"times":1}}"#],
        &[r#"{"repeat":{"lanes":129,"times":1}}"#],
    ),
    ("v_binary", "elem", &["F16", "F32", "I16", "I32"], &["BF16", "I8", "I64"]),
    ("v_scalar", "elem", &["I16", "I32", "U32"], &["F32", "F16"]),
    ("mul_add", "elem", &["F16", "F32"], &["BF16", "I32"]),
    ("fused_mul_add", "elem", &["F16", "F32"], &["BF16", "I32"]),
    (
        "fused_mul_add",
        "span",
        &[r#"{"repeat":{"lanes":64,"times":255}}"#],
        &[r#"{"repeat":{"lanes":65,"times":1}}"#, r#"{"repeat":{"lanes":64,"times":256}}"#],
    ),
    ("fused_mul_add", "b", &["b2+32"], &["b2+8"]),
    ("cast", "rounding", &["rint", "floor", "ceil", "trunc", "round"], &["none"]),
    ("cast", "to", &["F16", "BF16", "F32", "I32"], &["I8", "U8"]),
    ("compare_to", "n", &["64", "128"], &["0", "63", "65", "96"]),
    ("compare_to", "elem", &["F32"], &["BF16", "I32"]),
    ("compare_scalar", "n", &["128"], &["64", "127", "129"]),
    ("duplicate", "elem", &["F16", "F32", "I16", "I32", "BF16"], &["I8", "I64"]),
    ("reduce", "dst_step", &["1", "255"], &["0"]),
    ("reduce", "dst", &["b0+8"], &["b0+4"]),
    ("block_broadcast", "dst", &["b0+32"], &["b0+16"]),
    ("gather", "elem", &["F16", "F32"], &["I8", "I64"]),
    ("iota", "elem", &["I32", "I16", "F32"], &["U32", "BF16"]),
    ("store_scalar", "dst", &["b0+4"], &["b0+2", "b4+0"]),
    ("set", "event", &["0", "5"], &["6", "-1"]),
    ("wait", "event", &["0", "5"], &["6", "-1"]),
    ("set", "to", &["mte3", "s"], &["v", "m"]),
    ("barrier", "pipe", &["all", "mte2", "mte3"], &["m", "fix"]),
    ("copy_l1", "dst", &["b4+32"], &["b4+16", "b0+0"]),
    ("nd_to_nz", "elem", &["I8", "F16", "BF16", "F32", "I32"], &["I64"]),
    ("nd_to_nz", "dst", &["b4+32"], &["b4+16"]),
    ("load_data", "elem", &["F16", "BF16"], &["F32", "I8"]),
    ("load_data", "dst", &["b5+512", "b6+512"], &["b5+256", "b7+0"]),
    ("load_data", "src", &["b4+32"], &["b4+16", "b5+0"]),
    ("mmad", "elem", &["F16", "BF16", "F32", "I8"], &["I32", "F8E4M3"]),
    ("mmad", "dst", &["b7+1024"], &["b7+512"]),
    ("mmad", "a", &["b5+512"], &["b5+256", "b6+0"]),
    ("mmad", "b", &["b6+512"], &["b6+256", "b5+0"]),
    ("fixpipe", "src_stride", &["16", "65520"], &["0", "15", "17", "65536"]),
    ("fixpipe", "src", &["b7+64"], &["b7+32"]),
    ("fixpipe", "elem", &["F32", "I32"], &["F16"]),
    ("fixpipe", "quant", &["none", "f16", "bf16"], &[]),
];

fn skeleton() -> Program {
    let f16 = |name: &str, space, layout, at| buffer(name, space, Elem::F16, layout, 2048, 1, at);
    let mut buffers: Vec<Buffer> = (0..4)
        .map(|i| buffer(&format!("u{i}"), Space::Ub, Elem::F32, Layout::Nd, 2048, 1, 2048 * i))
        .collect();
    buffers.extend([
        f16("l1", Space::L1, Layout::Nz, 0),
        f16("left", Space::L0a, Layout::Zz, 0),
        f16("right", Space::L0b, Layout::Zn, 0),
        buffer("sums", Space::L0c, Elem::F32, Layout::Nz, 2048, 1, 0),
    ]);
    Program {
        name: "one".into(),
        chip: "ascend910b".into(),
        params: vec![view("x", Elem::F32, 1, false), view("y", Elem::F32, 1, true)],
        buffers,
        workspace: 512,
        cube: Some(vec![barrier(Pipes::All)]),
        vector: Some(vec![barrier(Pipes::All)]),
        locs: locs(),
    }
}

/// The skeleton with a line in place of the barrier of vector or cube code.
fn with(line: &str, vector: bool) -> Result<Program, kcc_davinci::Error> {
    let text = skeleton().to_text();
    let (from, n) = ("barrier pipe=all", if vector { 1 } else { 0 });
    let at = text.match_indices(from).nth(n).expect("two barriers").0;
    Program::from_text(&format!("{}{line}{}", &text[..at], &text[at + from.len()..]))
}

fn sample(name: &str) -> (&'static str, bool) {
    let find = |all: &'static [&'static str]| all.iter().find(|l| l.split(' ').next() == Some(name));
    match find(VECTOR) {
        Some(l) => (l, true),
        None => (find(CUBE).expect("a sample"), false),
    }
}

/// A sample with another value of a parameter.
fn altered(line: &str, field: &str, value: &str) -> String {
    let words: Vec<String> = line
        .split(' ')
        .map(|w| match w.split_once('=') {
            Some((f, _)) if f == field => format!("{f}={value}"),
            _ => w.to_string(),
        })
        .collect();
    let new = words.join(" ");
    assert!(new != line || line.contains(&format!("{field}={value}")), "{line} has no {field}");
    new
}

/// Whether the verifier takes a sample with that value; texts that do not even read are not taken.
fn takes(name: &str, field: &str, value: &str) -> bool {
    let (line, vector) = sample(name);
    with(&altered(line, field, value), vector).is_ok_and(|p| one(&p))
}

/// Events of one instruction have no partner, which is another rule.
fn one(p: &Program) -> bool {
    match verify(p) {
        Ok(()) => true,
        Err(e) => e.to_string().contains("is not always"),
    }
}

#[test]
fn samples_are_of_every_instruction_and_in_order() {
    for (lines, vector) in [(VECTOR, true), (CUBE, false)] {
        for line in lines {
            let p = with(line, vector).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(one(&p), "{line}: {:?}", verify(&p));
        }
    }
    // The enumeration's names, by what reading an unknown one says.
    let e = with("no_such_thing x=1", true).expect_err("unknown").to_string();
    let listed = e.matches('`').count() / 2;
    assert!(listed < 2 || listed - 1 == VECTOR.len() + CUBE.len(), "{e}");
}

#[test]
fn ranges_hold_at_both_ends_and_end_there() {
    for (name, field, low, high) in RANGES {
        for (v, taken) in [(*low, true), (*high, true), (low - 1, false), (high + 1, false)] {
            assert_eq!(takes(name, field, &v.to_string()), taken, "{name} {field}={v}");
        }
    }
}

#[test]
fn types_places_and_strides_hold() {
    for (name, field, good, bad) in VALUES {
        good.iter().for_each(|v| assert!(takes(name, field, v), "{name} {field}={v} is refused"));
        bad.iter().for_each(|v| assert!(!takes(name, field, v), "{name} {field}={v} is taken"));
    }
}

#[test]
fn memories_end_where_they_end() {
    let limits = [
        (0, 184 << 10, 32),
        (4, (512 << 10) - 256, 32),
        (5, 64 << 10, 512),
        (6, 64 << 10, 512),
        (7, 128 << 10, 1024),
    ];
    for (b, end, step) in limits {
        let at = |address: u32| {
            let mut p = skeleton();
            p.buffers[b].address = Some(address);
            verify(&p)
        };
        assert!(at(end - 2048).is_ok(), "buffer {b}");
        assert!(at(end - 2048 + step).is_err(), "buffer {b} one past the end");
        assert!(at(step).is_ok() && at(step / 2).is_err(), "buffer {b}: multiples of {step}");
    }
}

#[test]
fn each_memory_has_its_layouts() {
    use Layout::{Nd, Nz, Zn, Zz};
    for (b, good) in [(0, &[Nd, Nz][..]), (4, &[Nd, Nz]), (5, &[Zz]), (6, &[Zn]), (7, &[Nz])] {
        for layout in [Nd, Nz, Zn, Zz] {
            let mut p = skeleton();
            p.buffers[b].layout = layout;
            assert_eq!(verify(&p).is_ok(), good.contains(&layout), "buffer {b} {layout:?}");
        }
    }
}

#[test]
fn events_come_in_pairs() {
    let code = |stmts: Vec<Stmt>| {
        let mut p = skeleton();
        p.vector = Some(stmts);
        verify(&p).map_err(|e| e.to_string())
    };
    let (s, w) = (|| set(Pipe::V, Pipe::Mte2, 0), || wait(Pipe::V, Pipe::Mte2, 0));
    let turns = |body| Stmt::For { counter: Reg(0), from: 0.into(), to: 3.into(), step: 1.into(), body };
    let either = |then, otherwise| Stmt::If { condition: 1.into(), then, otherwise };
    assert_eq!(code(vec![s(), w()]), Ok(()));
    assert_eq!(code(vec![s(), turns(vec![w(), s()]), w()]), Ok(()));
    assert_eq!(code(vec![either(vec![s(), w()], vec![])]), Ok(()));
    assert_eq!(code(vec![s(), either(vec![w()], vec![w()])]), Ok(()));
    for bad in [
        vec![s()],
        vec![w()],
        vec![s(), s(), w()],
        vec![s(), turns(vec![w()])],
        vec![turns(vec![s()]), w()],
        vec![s(), either(vec![w()], vec![])],
        vec![s(), wait(Pipe::V, Pipe::Mte3, 0)],
    ] {
        let e = code(bad.clone()).expect_err("unpaired");
        assert!(e.contains("is not always"), "{bad:?}: {e}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn val(&mut self) -> Val {
        match self.below(3) {
            0 => Reg(self.below(40) as u32).into(),
            1 => Val::Const(self.below(1 << 31) as i64 - (1 << 30)),
            _ => Val::Const([0, 1, -1, i64::MAX, i64::MIN][self.below(5) as usize]),
        }
    }

    fn block(&mut self, depth: u64) -> Vec<Stmt> {
        let all: Vec<&str> = VECTOR.iter().chain(CUBE).copied().collect();
        (0..self.below(4)).map(|_| self.stmt(depth, &all)).collect()
    }

    fn stmt(&mut self, depth: u64, all: &[&str]) -> Stmt {
        let loc = kcc_dsl::ir::LocId(self.below(99) as u32);
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => Stmt::Let { to: Reg(self.below(40) as u32), value: Scalar::Move { value: self.val() }, loc },
            4 => Stmt::For {
                counter: Reg(self.below(40) as u32),
                from: self.val(),
                to: self.val(),
                step: self.val(),
                body: self.block(depth - 1),
            },
            5 => Stmt::While {
                head: self.block(depth - 1),
                condition: Reg(self.below(40) as u32),
                body: self.block(depth - 1),
            },
            6 => Stmt::If {
                condition: self.val(),
                then: self.block(depth - 1),
                otherwise: self.block(depth - 1),
            },
            _ => {
                let line = all[self.below(all.len() as u64) as usize];
                let p = with(line, VECTOR.contains(&line)).expect("a sample");
                let body = if VECTOR.contains(&line) { p.vector } else { p.cube };
                let mut s = body.and_then(|mut b| b.pop()).expect("a statement");
                if let Stmt::Issue { loc: l, .. } = &mut s {
                    *l = loc;
                }
                s.each(&mut |v| *v = self.val());
                s
            }
        }
    }
}

#[test]
fn random_programs_read_back() {
    let mut r = Random(7);
    for _ in 0..300 {
        let mut p = skeleton();
        p.vector = Some(r.block(3));
        p.cube = (r.below(3) > 0).then(|| r.block(3));
        p.workspace = r.below(1 << 40);
        p.buffers.iter_mut().for_each(|b| b.address = (r.below(2) > 0).then(|| r.below(9999) as u32));
        let text = p.to_text();
        match Program::from_text(&text) {
            Ok(q) => assert_eq!(q, p, "{text}"),
            Err(e) => panic!("{e}\n{text}"),
        }
    }
}
