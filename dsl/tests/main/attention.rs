//! A generic flash attention, written without annotations.

use crate::harness::count;
use kcc_dsl::ir::OpKind;
use kcc_dsl::prelude::*;

#[kernel(instances(<f16, 64, 32, 128, true>))]
fn attention<T: Float, const BM: usize, const BN: usize, const D: usize, const CAUSAL: bool>(
    q: &View<T, 4>,
    k: &View<T, 4>,
    v: &View<T, 4>,
    o: &mut View<T, 4>,
    scale: Scalar<f32>,
) {
    let (b, h) = (program_id(1), program_id(2));
    let row = program_id(0) * BM;
    let qt = q.at((b, h)).load::<BM, D>((row, 0));
    let mut m = Vector::full(f32::NEG_INFINITY);
    let mut l = Vector::zeros();
    let mut acc = Matrix::zeros();
    let rows = row + arange::<BM>();
    for kv in (0..k.dim(2)).step_by(BN) {
        let kt = k.at((b, h)).load::<BN, D>((kv, 0));
        let mut s = dot(qt, kt.t()) * scale;
        if CAUSAL {
            s = fill_where(rows.col() < (kv + arange::<BN>()).row(), s, f32::NEG_INFINITY);
        }
        let m_new = m.max(s.max_rows());
        let p = (s - m_new.col()).exp2();
        let alpha = (m - m_new).exp2();
        l = l * alpha + p.sum_rows();
        acc = acc * alpha.col() + dot(p.to::<T>(), v.at((b, h)).load::<BN, D>((kv, 0)));
        m = m_new;
    }
    o.at_mut((b, h)).store((row, 0), (acc / l.col()).to());
}

#[test]
fn attention_traces_to_one_loop_with_two_products() {
    let k = attention::kernel::<f16, 64, 32, 128, true>().trace().unwrap();
    assert_eq!(k.symbol(), "attention__f16_64_32_128_true");
    assert_eq!(count(&k, |k| matches!(k, OpKind::For { .. })), 1);
    assert_eq!(count(&k, |k| matches!(k, OpKind::Dot { .. })), 2);
    assert_eq!(count(&k, |k| matches!(k, OpKind::Select)), 1);
    let plain = attention::kernel::<f32, 64, 32, 128, false>().trace().unwrap();
    assert_eq!(count(&plain, |k| matches!(k, OpKind::Select | OpKind::Compare(_))), 0);
}

#[test]
fn operations_carry_the_line_and_column_that_the_author_wrote() {
    let k = attention::kernel::<f16, 64, 32, 128, true>().trace().unwrap();
    let source: Vec<&str> = include_str!("attention.rs").lines().collect();
    let mut seen = Vec::new();
    k.walk(&mut |op| {
        let loc = k.loc(op.loc);
        let (line, at) = (source[loc.line as usize - 1], loc.column as usize - 1);
        match &op.kind {
            OpKind::For { .. } => seen.push(("for", line[at..].starts_with("for kv"))),
            OpKind::Compare(_) => seen.push(("<", line[at..].starts_with("< (kv"))),
            OpKind::Dot { .. } => seen.push(("dot", line[at..].starts_with("dot("))),
            OpKind::Reduce { .. } => seen
                .push(("reduce", line[at..].starts_with("max_rows") || line[at..].starts_with("sum_rows"))),
            OpKind::Store { .. } => seen.push(("store", line[at..].starts_with("store("))),
            _ => {}
        }
    });
    let names: Vec<&str> = seen.iter().map(|s| s.0).collect();
    assert_eq!(names, ["for", "dot", "<", "reduce", "reduce", "dot", "store"]);
    assert!(seen.iter().all(|s| s.1), "{seen:?}");
}

#[test]
fn instances_are_registered() {
    let found = kcc_dsl::registered().find(|r| r.name == "attention").unwrap();
    assert_eq!((found.def)().generics, "f16, 64, 32, 128, true");
}
