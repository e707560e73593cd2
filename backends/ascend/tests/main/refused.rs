//! What the NPU lacks is said, with what to write instead.

use kcc_davinci::Chip;
use kcc_dsl::ir::{BinaryOp, Builder, CmpOp, Elem, Kernel, OpKind, ScaledFormat, ValueId};
use kcc_dsl::prelude::{DeviceScope, Relaxed, Vector, View, arange, kassert, kernel};

fn of((elem, out): (Elem, Elem), f: &dyn Fn(&mut Builder, ValueId) -> ValueId) -> Kernel {
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
            "products of f8e4m3 on Ascend",
            "cast the operands to f16",
            Elem::F8E4M3,
            Box::new(|b, x| {
                let (t, acc) = (b.transpose(x, &[1, 0]), b.full(Elem::F32, &[16, 16], 0.0));
                b.dot(x, t, acc)
            }),
        ),
        (
            "arithmetic on tiles of i64 on Ascend",
            "convert to i32 first",
            Elem::I64,
            Box::new(|b, x| b.binary(BinaryOp::Add, x, x)),
        ),
        (
            "a comparison of tiles of i64 on Ascend",
            "convert to i32 first",
            Elem::I64,
            Box::new(|b, x| {
                let m = b.compare(CmpOp::Lt, x, x);
                b.cast(m, Elem::F32)
            }),
        ),
        (
            "a conversion from u32 to i64 on Ascend",
            "go by i32",
            Elem::U32,
            Box::new(|b, x| b.cast(x, Elem::I64)),
        ),
        (
            "tiles of f8e4m3 on Ascend",
            "this chip has no 8-bit floats: use f16 or bf16",
            Elem::F8E4M3,
            Box::new(|b, x| b.cast(x, Elem::F32)),
        ),
        (
            "tiles of f8e4m3 on Ascend",
            "this chip has no 8-bit floats: use f16 or bf16",
            Elem::F8E4M3,
            Box::new(|b, x| {
                let one = b.slice(x, &[3, 5], &[1, 1]);
                let one = b.cast(one, Elem::F32);
                b.broadcast(one, &[0, 1], &[16, 32])
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
        // Sums of `i64` are that, everything else here is `f32`.
        let out = if fact.contains("i64 on") && !fact.contains("comparison") { Elem::I64 } else { Elem::F32 };
        let e = kcc_ascend::compile(&of((elem, out), &*f), &[], chip).expect_err(fact);
        let text = e.to_string();
        assert!(text.contains(fact), "want `{fact}`: {text}");
        assert!(format!("{e:?}").contains(help), "want `{help}`: {e:?}");
    }
}

#[test]
fn too_large_a_tile_names_the_memory_and_what_to_divide() {
    let mut b = Builder::new("large");
    let (x, y, zero) = (b.view("x", Elem::F32, 2), b.view_mut("y", Elem::F32, 2), b.i32(0));
    let t = b.load(x, &[zero, zero], &[256, 128]);
    // Rows could be computed in parts, columns that become rows cannot.
    let t = b.transpose(t, &[1, 0]);
    b.store(y, &[zero, zero], t);
    let k = b.finish().expect("valid");
    let e = kcc_ascend::compile(&k, &[], Chip::find("ascend910b").expect("a chip")).expect_err("256 KiB");
    let text = e.to_string();
    assert!(text.contains("bytes of the ub memory, a core of ascend910b has 188416"), "{text}");
    assert!(format!("{e:?}").contains("divide a block size of the kernel by 2"), "{e:?}");
}

/// Compares and swaps.
#[kernel]
fn swaps(x: &View<f32, 1>, y: &mut View<i32, 1>) {
    let (i, one) = (arange::<8>(), Vector::<i32, 8>::full(1));
    let _ = x;
    y.atomic_cas(i, i >= 0, (i, one), Relaxed, DeviceScope);
}

/// Uses the value before a sum.
#[kernel]
fn before(x: &View<f32, 1>, y: &mut View<i32, 1>) {
    let i = arange::<8>();
    let _ = x;
    let old = y.atomic_add(i, i >= 0, i, Relaxed, DeviceScope);
    y.store(8, old);
}

/// Exchanges.
#[kernel]
fn exchanges(x: &View<f32, 1>, y: &mut View<i32, 1>) {
    let i = arange::<8>();
    let _ = x;
    y.atomic_xchg(i, i >= 0, i, Relaxed, DeviceScope);
}

/// The largest of floats in memory.
#[kernel]
fn largest(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let i = arange::<8>();
    y.atomic_max(i, i >= 0, x.load::<8>(0), Relaxed, DeviceScope);
}

/// Asserts.
#[kernel]
fn asserts(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let v = x.load::<8>(0);
    kassert!(v >= 0.0, "not negative");
    y.store(0, v);
}

#[test]
fn what_an_npu_cannot_do_at_all_has_another_way() {
    let parts = "write each program's own part to memory";
    let cases = [
        (swaps::kernel().trace(), "on Ascend is not supported", parts),
        (before::kernel().trace(), "the value before an atomic update", parts),
        (exchanges::kernel().trace(), "an atomic update that is no sum, `min` or `max`", parts),
        (largest::kernel().trace(), "an atomic `Max` of f32", parts),
        (asserts::kernel().trace(), "`assert` on Ascend", "run the kernel on the device `eager`"),
    ];
    for (kernel, fact, help) in cases {
        let kernel = kernel.expect("traces");
        let e = kcc_ascend::compile(&kernel, &[], Chip::find("ascend910b").expect("a chip")).expect_err(fact);
        assert!(e.to_string().contains(fact) && e.to_string().contains("refused.rs"), "want `{fact}`: {e}");
        assert!(format!("{e:?}").contains(help), "want `{help}`: {e:?}");
    }
}
