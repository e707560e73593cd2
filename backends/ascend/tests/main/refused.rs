//! What the NPU lacks is said, with what to write instead.

use kcc_davinci::Chip;
use kcc_dsl::ir::{BinaryOp, Builder, CmpOp, Elem, Kernel, OpKind, ScaledFormat, UnaryOp, ValueId};

fn kernel((elem, out): (Elem, Elem), f: &dyn Fn(&mut Builder, ValueId) -> ValueId) -> Kernel {
    let mut b = Builder::new("refused");
    let (x, y, zero) = (b.view("x", elem, 2), b.view_mut("y", out, 2), b.i32(0));
    let t = b.load(x, &[zero, zero], &[16, 32]);
    let r = f(&mut b, t);
    b.store(y, &[zero, zero], r);
    b.finish().expect("valid")
}

type Case = (&'static str, &'static str, Elem, Box<dyn Fn(&mut Builder, ValueId) -> ValueId>);

#[test]
fn messages_name_the_fact_and_the_remedy() {
    let cases: Vec<Case> = vec![
        (
            "`sin` on Ascend",
            "read sines and cosines from a table that the host computes",
            Elem::F32,
            Box::new(|b, x| b.unary(UnaryOp::Sin, x)),
        ),
        (
            "the remainder of floats on Ascend",
            "use `x - (x / y).floor() * y`",
            Elem::F32,
            Box::new(|b, x| b.binary(BinaryOp::Rem, x, x)),
        ),
        (
            "products of f8e4m3 on Ascend",
            "cast the operands to f16",
            Elem::F8E4M3,
            Box::new(|b, x| {
                let (t, acc) = (b.transpose(x, &[1, 0]), b.full(Elem::F32, &[16, 16], 0.0));
                b.dot(x, t, acc)
            }),
        ),
        (
            "arithmetic on tiles of u8 on Ascend",
            "convert to i32 first",
            Elem::U8,
            Box::new(|b, x| b.binary(BinaryOp::Add, x, x)),
        ),
        (
            "a comparison of tiles of i16 on Ascend",
            "convert to i32 first",
            Elem::I16,
            Box::new(|b, x| {
                let m = b.compare(CmpOp::Lt, x, x);
                b.cast(m, Elem::F32)
            }),
        ),
        (
            "an order of `bool` tiles on Ascend",
            "use `&` and `!`",
            Elem::F32,
            Box::new(|b, x| {
                let m = b.compare(CmpOp::Lt, x, x);
                let m = b.compare(CmpOp::Lt, m, m);
                b.cast(m, Elem::F32)
            }),
        ),
        (
            "`dot_scaled` on Ascend",
            "scale the operands in f32, round them to f16, and use `dot`",
            Elem::U8,
            Box::new(|b, x| {
                let (t, acc) = (b.transpose(x, &[1, 0]), b.full(Elem::F32, &[16, 16], 0.0));
                let (sa, sb) = (b.slice(x, &[0, 0], &[16, 1]), b.slice(x, &[0, 0], &[1, 16]));
                let kind = OpKind::DotScaled { a: ScaledFormat::F8E4M3, b: ScaledFormat::F8E4M3 };
                b.op(kind, &[x, sa, t, sb, acc])[0]
            }),
        ),
    ];
    let chip = Chip::find("ascend910b").expect("a chip");
    for (fact, help, elem, f) in cases {
        // Sums and products of all kinds of floats here are `f32`, other results of their operand's type.
        let out =
            if matches!(elem, Elem::U8) && fact.starts_with("arithmetic") { Elem::U8 } else { Elem::F32 };
        let e = kcc_ascend::compile(&kernel((elem, out), &*f), &[], chip).expect_err(fact);
        let text = e.to_string();
        assert!(text.contains(fact), "want `{fact}`: {text}");
        assert!(format!("{e:?}").contains(help), "want `{help}`: {e:?}");
    }
}

#[test]
fn too_large_a_tile_names_the_memory_and_what_to_divide() {
    let mut b = Builder::new("large");
    let (x, y, zero) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2), b.i32(0));
    let t = b.load(x, &[zero, zero], &[512, 128]);
    b.store(y, &[zero, zero], t);
    let k = b.finish().expect("valid");
    let e = kcc_ascend::compile(&k, &[], Chip::find("ascend910b").expect("a chip")).expect_err("256 KiB");
    let text = e.to_string();
    assert!(text.contains("bytes of the ub memory, a core of ascend910b has 188416"), "{text}");
    assert!(format!("{e:?}").contains("divide a block size of the kernel by 2"), "{e:?}");
}
