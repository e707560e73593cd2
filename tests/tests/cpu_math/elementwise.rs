//! Everything that has one right answer, against eager mode.

use super::native::{Case, Native, variants};
use super::samples::{distance, elements};
use kcc_compiler::emit::{Emit, V};
use kcc_dsl::eager::Value;
use kcc_dsl::eager::eval::eval;
use kcc_dsl::eager::round::{Lane, round_int, write};
use kcc_dsl::ir::{BinaryOp, CmpOp, Const, Elem, OpKind, ReduceOp, TileType, UnaryOp};

/// Elements per case: enough for each pair of special values to meet.
const N: usize = 4096;

/// Compiles the cases for every variant and compares each with what eager mode gives for `kind`.
fn agree(cases: Vec<(Case, OpKind)>) {
    let (cases, kinds): (Vec<Case>, Vec<OpKind>) = cases.into_iter().unzip();
    for (chip, width) in variants() {
        let native = Native::new(chip, width, &cases);
        for (case, kind) in cases.iter().zip(&kinds) {
            let inputs: Vec<Vec<u8>> =
                case.ins.iter().enumerate().map(|(i, e)| elements(*e, N, 7 + i as u64)).collect();
            let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            let got = native.run(case, &inputs, N);
            let want = expected(kind, case, &inputs);
            let size = case.out.bytes();
            for (i, (g, w)) in got.chunks_exact(size).zip(want.chunks_exact(size)).enumerate() {
                if distance(case.out, g, w) == 0 {
                    continue;
                }
                let args: Vec<&[u8]> =
                    inputs.iter().zip(&case.ins).map(|(b, e)| &b[i * e.bytes()..][..e.bytes()]).collect();
                panic!("{} on {chip} {width:?}: {args:02x?} gives {g:02x?}, not {w:02x?}", case.name);
            }
        }
    }
}

fn expected(kind: &OpKind, case: &Case, inputs: &[&[u8]]) -> Vec<u8> {
    let tile = |elem| TileType::new(elem, &[N]);
    let mut values: Vec<Value> =
        inputs.iter().zip(&case.ins).map(|(b, e)| Value::from_bytes(&tile(*e), b).expect("a tile")).collect();
    if let (OpKind::Binary(_), [x]) = (kind, values.as_slice()) {
        // The second operand is the constant in the case's name.
        let elem = x.elem();
        let c: i64 =
            case.name.rsplit('_').next().and_then(|c| c.replace('m', "-").parse().ok()).expect("a constant");
        let lane = if elem.is_float() { Lane::Float(round_int(elem, c)) } else { Lane::Int(c) };
        values.push(Value::repeat(tile(elem), lane));
    }
    let values: Vec<&Value> = values.iter().collect();
    eval(kind, &values, &[tile(case.out)]).expect("eager mode knows it")[0].to_bytes()
}

fn case(name: String, ins: &[Elem], out: Elem, body: impl Fn(&mut Emit, &[V]) -> V + 'static) -> Case {
    Case { name, ins: ins.to_vec(), out, folds: false, body: Box::new(body) }
}

fn numbers() -> impl Iterator<Item = Elem> {
    Elem::ALL.into_iter().filter(|e| *e != Elem::Bool)
}

#[test]
fn conversions() {
    let mut cases = Vec::new();
    for from in Elem::ALL {
        for to in Elem::ALL {
            let name = format!("cast_{from}_{to}");
            cases.push((case(name, &[from], to, move |e, x| e.cast(from, to, x[0])), OpKind::Cast));
            if from.bytes() == to.bytes() && from != Elem::Bool && to != Elem::Bool {
                let name = format!("bitcast_{from}_{to}");
                cases.push((case(name, &[from], to, move |e, x| e.bitcast(from, to, x[0])), OpKind::Bitcast));
            }
        }
    }
    // A NaN of a float type may come back with another payload.
    cases.retain(|(c, kind)| *kind != OpKind::Bitcast || !c.ins[0].is_float());
    agree(cases);
}

#[test]
fn float_arithmetic() {
    use BinaryOp::{Add, Div, Max, MaxNan, Min, MinNan, Mul, Rem, Sub};
    let mut cases = Vec::new();
    for t in Elem::ALL.into_iter().filter(|e| e.is_float()) {
        for op in [Add, Sub, Mul, Div, Rem, Min, Max, MinNan, MaxNan] {
            let body = move |e: &mut Emit, x: &[V]| e.binary(op, t, x[0], x[1], None);
            cases.push((case(format!("{}_{t}", op.name()), &[t, t], t, body), OpKind::Binary(op)));
        }
        for op in [Min, Max] {
            for (text, c) in [("0", 0.0), ("1", 1.0)] {
                let body = move |e: &mut Emit, x: &[V]| {
                    let b = e.constant(t, Const::float(c));
                    e.binary(op, t, x[0], b, Some(Const::float(c)))
                };
                cases.push((case(format!("{}_{t}_{text}", op.name()), &[t], t, body), OpKind::Binary(op)));
            }
        }
        for op in [UnaryOp::Neg, UnaryOp::Abs] {
            let body = move |e: &mut Emit, x: &[V]| e.unary(op, t, x[0]);
            cases.push((case(format!("{}_{t}", op.name()), &[t], t, body), OpKind::Unary(op)));
        }
        let body = move |e: &mut Emit, x: &[V]| e.fma_elem(t, x[0], x[1], x[2]);
        cases.push((case(format!("fma_{t}"), &[t, t, t], t, body), OpKind::Fma));
    }
    agree(cases);
}

#[test]
fn integer_arithmetic() {
    let mut cases = Vec::new();
    for t in numbers().filter(|e| e.is_int()) {
        for &op in BinaryOp::ALL {
            if matches!(op, BinaryOp::MinNan | BinaryOp::MaxNan) {
                continue;
            }
            let body = move |e: &mut Emit, x: &[V]| e.binary(op, t, x[0], x[1], None);
            cases.push((case(format!("{}_{t}", op.name()), &[t, t], t, body), OpKind::Binary(op)));
            let guarded = matches!(op, BinaryOp::Div | BinaryOp::Rem | BinaryOp::Shl | BinaryOp::Shr);
            for c in [7i64, -3, -1, 0, 64] {
                if !guarded || (c < 0 && !t.is_signed()) {
                    continue;
                }
                let text = c.to_string().replace('-', "m");
                let body = move |e: &mut Emit, x: &[V]| {
                    let b = e.constant(t, Const::Int(c));
                    e.binary(op, t, x[0], b, Some(Const::Int(c)))
                };
                cases.push((case(format!("{}_{t}_{text}", op.name()), &[t], t, body), OpKind::Binary(op)));
            }
        }
        for op in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Not] {
            let body = move |e: &mut Emit, x: &[V]| e.unary(op, t, x[0]);
            cases.push((case(format!("{}_{t}", op.name()), &[t], t, body), OpKind::Unary(op)));
        }
        let body = move |e: &mut Emit, x: &[V]| e.fma_elem(t, x[0], x[1], x[2]);
        cases.push((case(format!("fma_{t}"), &[t, t, t], t, body), OpKind::Fma));
    }
    agree(cases);
}

#[test]
fn comparisons_and_logic() {
    let mut cases = Vec::new();
    for t in Elem::ALL {
        for &op in CmpOp::ALL {
            if t == Elem::Bool && !matches!(op, CmpOp::Eq | CmpOp::Ne) {
                continue;
            }
            let body = move |e: &mut Emit, x: &[V]| e.compare(op, t, x[0], x[1]);
            cases.push((case(format!("{}_{t}", op.name()), &[t, t], Elem::Bool, body), OpKind::Compare(op)));
        }
    }
    let t = Elem::Bool;
    for op in [BinaryOp::And, BinaryOp::Or, BinaryOp::Xor] {
        let body = move |e: &mut Emit, x: &[V]| e.binary(op, t, x[0], x[1], None);
        cases.push((case(format!("{}_bool", op.name()), &[t, t], t, body), OpKind::Binary(op)));
    }
    let body = move |e: &mut Emit, x: &[V]| e.unary(UnaryOp::Not, t, x[0]);
    cases.push((case("not_bool".into(), &[t], t, body), OpKind::Unary(UnaryOp::Not)));
    agree(cases);
}

/// Reductions whose answer does not depend on the order: all but sums and products of floats.
#[test]
fn folds_of_a_vector() {
    let mut cases = Vec::new();
    for t in Elem::ALL {
        for &op in ReduceOp::ALL {
            let logic = matches!(op, ReduceOp::And | ReduceOp::Or | ReduceOp::Xor);
            let order = matches!(op, ReduceOp::Min | ReduceOp::Max);
            if (t.is_float() && !order) || (t == Elem::Bool && !logic) {
                continue;
            }
            let body = move |e: &mut Emit, x: &[V]| {
                let first = e.identity(op, t);
                let acc = e.combine(op, t, first, x[0]);
                e.horizontal(op, t, acc)
            };
            cases.push((Case { folds: true, ..case(format!("{}_{t}", op.name()), &[t], t, body) }, op));
        }
    }
    let (cases, ops): (Vec<Case>, Vec<ReduceOp>) = cases.into_iter().unzip();
    for (chip, width) in variants() {
        let native = Native::new(chip, width, &cases);
        for (case, op) in cases.iter().zip(&ops) {
            let (elem, step) = (case.out, native.step);
            let bytes = elements(elem, N, 3);
            let got = native.run(case, &[&bytes], N);
            let x = Value::from_bytes(&TileType::new(elem, &[N / step, step]), &bytes).expect("a tile");
            let ty = TileType::new(elem, &[N / step]);
            let kind = OpKind::Reduce { axis: 1, op: *op };
            let want = eval(&kind, &[&x], &[ty]).expect("eager mode knows it")[0].to_bytes();
            let zero = zero_sign_cleared(elem);
            for (i, (g, w)) in got.chunks_exact(elem.bytes()).zip(want.chunks_exact(elem.bytes())).enumerate()
            {
                // Which zero is the least is not promised.
                let row = &bytes[i * step * elem.bytes()..][..step * elem.bytes()];
                assert!(
                    distance(elem, &zero(g), &zero(w)) == 0,
                    "{} on {chip} {width:?}: {row:02x?} gives {g:02x?}, not {w:02x?}",
                    case.name
                );
            }
        }
    }
}

/// Turns -0 into +0 and leaves everything else.
fn zero_sign_cleared(elem: Elem) -> impl Fn(&[u8]) -> Vec<u8> {
    move |bytes| {
        let mut bytes = bytes.to_vec();
        if elem.is_float() && kcc_dsl::eager::round::read(elem, &bytes) == Some(Lane::Float(-0.0)) {
            write(elem, Lane::Float(0.0), &mut bytes);
        }
        bytes
    }
}
