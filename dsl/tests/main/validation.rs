//! The validator refuses what no back end could lower, and never panics on mangled IR.

use kcc_dsl::ir::{Elem, Kernel, LocId, OpKind, TileType, Type, ValueId, validate};
use kcc_dsl::prelude::*;
use proptest::prelude::*;

#[kernel]
fn sample(x: &View<f32, 2>, ids: &View<i32, 1>, y: &mut View<f32, 2>, n: Scalar<i32>) {
    let mut acc = Matrix::<f32, 4, 8>::zeros();
    for i in 0..n {
        let m = x.load::<4, 8>((i, 0));
        if m.sum() > 0.0 {
            acc += dot(m, m.t().slice::<0, 0, 8, 4>()).sum_rows().col() * 2.0;
        }
    }
    let rows = ids.load::<4>(0);
    let (top, _) = acc.top_k::<2>();
    let folded = acc.reduce_rows_with(|a, b| a * b).expand_col().broadcast_to::<D2<4, 8>>();
    let mut k = n;
    while k > 1 {
        k /= 2;
    }
    kprint!("{} {}", top, k);
    y.store_rows(rows, k, select(acc > folded, acc.cumsum(), folded));
}

fn message(change: impl FnOnce(&mut Kernel)) -> String {
    let mut k = sample::kernel().trace().unwrap();
    change(&mut k);
    validate(&k).map_or_else(|e| e[0].message.clone(), |()| "valid".to_owned())
}

#[test]
fn a_traced_kernel_is_valid() {
    assert_eq!(message(|_| {}), "valid");
}

#[test]
fn a_value_used_before_its_definition_is_refused() {
    let text = message(|k| {
        let last = k.body.ops.len() - 1;
        k.body.ops.swap(0, last);
    });
    assert!(text.ends_with("uses a value that is not defined here"), "{text}");
}

#[test]
fn ill_typed_operations_are_refused() {
    let text = message(|k| {
        let f16 = Type::Tile(TileType::new(Elem::F16, &[4, 8]));
        *k.values.iter_mut().find(|t| **t == Type::Tile(TileType::new(Elem::F32, &[4, 8]))).unwrap() = f16;
    });
    assert!(text.contains("f16[4, 8]") || text.contains("constant of f16"), "{text}");
    let text = message(|k| k.values[3] = Type::Tile(TileType::new(Elem::I32, &[1 << 20, 1 << 20])));
    assert!(text.contains("more than 16777216 elements"), "{text}");
    let text = message(|k| {
        let huge = Type::Tile(TileType::new(Elem::F32, &[usize::MAX, usize::MAX, 2]));
        k.values.iter_mut().skip(4).for_each(|t| *t = huge.clone());
    });
    assert!(text.contains("more than 16777216 elements"), "{text}");
    let text = message(|k| k.body.ops[0].results.clear());
    assert!(text.contains("result"), "{text}");
    let text = message(|k| k.body.ops.iter_mut().for_each(|op| op.loc = LocId(u32::MAX)));
    assert!(text.ends_with("has no place"), "{text}");
}

#[test]
fn deep_nesting_is_refused() {
    let text = message(|k| {
        let condition = ValueId(k.values.len() as u32);
        k.values.push(Type::Tile(TileType::scalar(Elem::Bool)));
        let mut op = k.body.ops[0].clone();
        op.kind = OpKind::Constant(kcc_dsl::ir::Const::Bool(true));
        op.operands.clear();
        op.results = vec![condition];
        let mut nest = op.clone();
        nest.kind = OpKind::If;
        nest.operands = vec![condition];
        nest.results.clear();
        nest.regions = vec![Default::default(), Default::default()];
        for _ in 0..80 {
            let mut outer = nest.clone();
            outer.regions[0].ops = vec![nest.clone()];
            nest = outer;
        }
        k.body.ops.extend([op, nest]);
    });
    assert!(text.contains("nested more than"), "{text}");
}

/// Replaces bytes of the kernel's serialised form; most changes still read back as some kernel.
fn mangled(changes: &[(usize, u8)]) -> Option<Kernel> {
    let mut bytes = postcard::to_stdvec(&sample::kernel().trace().unwrap()).unwrap();
    for &(at, to) in changes {
        let n = bytes.len();
        bytes[at % n] = to;
    }
    postcard::from_bytes(&bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn mangled_kernels_never_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        if let Some(k) = mangled(&changes) {
            let _ = validate(&k);
        }
    }
}
