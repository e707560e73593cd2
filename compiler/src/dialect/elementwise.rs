//! Which upstream operation, if any, means exactly what an element-wise operation of the tile IR means.
//!
//! Where upstream says less (integer division by zero, shifts by the width or more, float-to-int overflow), means
//! something else (f8 conversions do not saturate) or refuses the type (unsigned integers), the operation is
//! `kt.<name>`. The reader accepts one spelling of each operation, so that a text has one meaning.

use kcc_dsl::ir::{BinaryOp, CmpOp, Elem, OpKind, UnaryOp};
use std::borrow::Cow;

/// Classes of element types that upstream treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Float,
    Signed,
    Bool,
    Unsigned,
}

fn class(elem: Elem) -> On {
    match elem {
        Elem::Bool => On::Bool,
        e if e.is_float() => On::Float,
        e if e.is_signed() => On::Signed,
        _ => On::Unsigned,
    }
}

const UNARY: [(UnaryOp, On, &str); 16] = [
    (UnaryOp::Neg, On::Float, "arith.negf"),
    (UnaryOp::Abs, On::Float, "math.absf"),
    (UnaryOp::Abs, On::Signed, "math.absi"),
    (UnaryOp::Exp, On::Float, "math.exp"),
    (UnaryOp::Exp2, On::Float, "math.exp2"),
    (UnaryOp::Log, On::Float, "math.log"),
    (UnaryOp::Log2, On::Float, "math.log2"),
    (UnaryOp::Sin, On::Float, "math.sin"),
    (UnaryOp::Cos, On::Float, "math.cos"),
    (UnaryOp::Tanh, On::Float, "math.tanh"),
    (UnaryOp::Erf, On::Float, "math.erf"),
    (UnaryOp::Sqrt, On::Float, "math.sqrt"),
    (UnaryOp::Rsqrt, On::Float, "math.rsqrt"),
    (UnaryOp::Floor, On::Float, "math.floor"),
    (UnaryOp::Ceil, On::Float, "math.ceil"),
    (UnaryOp::Round, On::Float, "math.roundeven"),
];

const BINARY: [(BinaryOp, On, &str); 20] = [
    (BinaryOp::Add, On::Float, "arith.addf"),
    (BinaryOp::Add, On::Signed, "arith.addi"),
    (BinaryOp::Sub, On::Float, "arith.subf"),
    (BinaryOp::Sub, On::Signed, "arith.subi"),
    (BinaryOp::Mul, On::Float, "arith.mulf"),
    (BinaryOp::Mul, On::Signed, "arith.muli"),
    (BinaryOp::Div, On::Float, "arith.divf"),
    (BinaryOp::Rem, On::Float, "arith.remf"),
    (BinaryOp::And, On::Signed, "arith.andi"),
    (BinaryOp::And, On::Bool, "arith.andi"),
    (BinaryOp::Or, On::Signed, "arith.ori"),
    (BinaryOp::Or, On::Bool, "arith.ori"),
    (BinaryOp::Xor, On::Signed, "arith.xori"),
    (BinaryOp::Xor, On::Bool, "arith.xori"),
    (BinaryOp::Min, On::Float, "arith.minnumf"),
    (BinaryOp::Min, On::Signed, "arith.minsi"),
    (BinaryOp::Max, On::Float, "arith.maxnumf"),
    (BinaryOp::Max, On::Signed, "arith.maxsi"),
    (BinaryOp::MinNan, On::Float, "arith.minimumf"),
    (BinaryOp::MaxNan, On::Float, "arith.maximumf"),
];

/// Comparison, and the number of its predicate in `arith.cmpi` (signed) and `arith.cmpf` (ordered; `ne` unordered).
const COMPARE: [(CmpOp, i64, i64); 6] = [
    (CmpOp::Eq, 0, 1),
    (CmpOp::Ne, 1, 13),
    (CmpOp::Lt, 2, 4),
    (CmpOp::Le, 3, 5),
    (CmpOp::Gt, 4, 2),
    (CmpOp::Ge, 5, 3),
];

/// The predicate of a comparison of elements of this type, in the operation that [`spell`] names.
pub fn predicate(op: CmpOp, elem: Elem) -> Option<i64> {
    let (_, int, float) = COMPARE.iter().find(|(o, ..)| *o == op)?;
    match class(elem) {
        On::Float => Some(*float),
        On::Signed => Some(*int),
        On::Bool | On::Unsigned => None,
    }
}

/// The comparison that a predicate of `arith.cmpi` (or `arith.cmpf`) states, if the tile IR has it.
pub fn from_predicate(float: bool, number: i64) -> Option<CmpOp> {
    COMPARE.iter().find(|(_, i, f)| number == if float { *f } else { *i }).map(|(o, ..)| *o)
}

fn cast(from: Elem, to: Elem) -> Option<&'static str> {
    let wider = to.bytes() > from.bytes();
    let narrower = to.bytes() < from.bytes();
    match (class(from), class(to)) {
        (On::Float, On::Float) if wider => Some("arith.extf"),
        (On::Float, On::Float) if narrower && to.bytes() > 1 => Some("arith.truncf"),
        (On::Signed, On::Signed) if wider => Some("arith.extsi"),
        (On::Signed, On::Signed) if narrower => Some("arith.trunci"),
        (On::Signed, On::Float) if to.bytes() > 1 => Some("arith.sitofp"),
        (On::Bool, On::Signed) => Some("arith.extui"),
        (On::Bool, On::Float) if to.bytes() > 1 => Some("arith.uitofp"),
        _ => None,
    }
}

const CASTS: [&str; 7] = [
    "arith.extf",
    "arith.truncf",
    "arith.extsi",
    "arith.trunci",
    "arith.sitofp",
    "arith.extui",
    "arith.uitofp",
];

/// Name of the MLIR operation for an element-wise one (or a constant) whose value operands have element type `from`
/// and whose result has `to`. `None`: not element-wise.
pub fn spell(kind: &OpKind, from: Elem, to: Elem) -> Option<Cow<'static, str>> {
    let upstream = match kind {
        OpKind::Unary(u) => UNARY.iter().find(|(o, on, _)| o == u && *on == class(from)).map(|r| r.2),
        OpKind::Binary(b) => BINARY.iter().find(|(o, on, _)| o == b && *on == class(from)).map(|r| r.2),
        OpKind::Compare(_) => match class(from) {
            On::Float => Some("arith.cmpf"),
            On::Signed => Some("arith.cmpi"),
            On::Bool | On::Unsigned => Some("kt.compare"),
        },
        OpKind::Select => Some("arith.select"),
        OpKind::Fma => (class(from) == On::Float).then_some("math.fma"),
        OpKind::Cast => cast(from, to),
        OpKind::Bitcast => {
            let plain = |e| matches!(class(e), On::Float | On::Signed);
            (plain(from) && plain(to)).then_some("arith.bitcast")
        }
        OpKind::Constant(_) => (class(to) != On::Unsigned).then_some("arith.constant"),
        _ => return None,
    };
    Some(upstream.map_or_else(|| Cow::Owned(format!("kt.{}", kind.name())), Cow::Borrowed))
}

/// What an operation of that name is, comparisons and constants apart. Whether the spelling suits the types is for
/// the caller to check with [`spell`].
pub fn parse(name: &str) -> Option<OpKind> {
    if let Some(row) = UNARY.iter().find(|r| r.2 == name) {
        return Some(OpKind::Unary(row.0));
    }
    if let Some(row) = BINARY.iter().find(|r| r.2 == name) {
        return Some(OpKind::Binary(row.0));
    }
    if CASTS.contains(&name) {
        return Some(OpKind::Cast);
    }
    match name {
        "arith.select" => return Some(OpKind::Select),
        "math.fma" | "kt.fma" => return Some(OpKind::Fma),
        "kt.cast" => return Some(OpKind::Cast),
        "arith.bitcast" | "kt.bitcast" => return Some(OpKind::Bitcast),
        _ => {}
    }
    let own = name.strip_prefix("kt.")?;
    UnaryOp::parse(own).map(OpKind::Unary).or_else(|| BinaryOp::parse(own).map(OpKind::Binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back() {
        let unary = UnaryOp::ALL.iter().map(|u| OpKind::Unary(*u));
        let binary = BinaryOp::ALL.iter().map(|b| OpKind::Binary(*b));
        let rest = [OpKind::Select, OpKind::Fma, OpKind::Cast, OpKind::Bitcast];
        for kind in unary.chain(binary).chain(rest) {
            for from in Elem::ALL {
                for to in Elem::ALL {
                    let name = spell(&kind, from, to).unwrap();
                    assert_eq!(parse(&name).as_ref(), Some(&kind), "{name}");
                }
            }
        }
    }

    #[test]
    fn upstream_is_used_only_where_it_means_the_same() {
        let name = |k, from, to| spell(&k, from, to).unwrap().into_owned();
        let div = OpKind::Binary(BinaryOp::Div);
        assert_eq!(name(div.clone(), Elem::F32, Elem::F32), "arith.divf");
        assert_eq!(name(div, Elem::I32, Elem::I32), "kt.div", "division by zero gives 0 in the tile IR");
        assert_eq!(name(OpKind::Cast, Elem::F32, Elem::F8E4M3), "kt.cast", "f8 saturates");
        assert_eq!(name(OpKind::Cast, Elem::F16, Elem::BF16), "kt.cast", "same width");
        assert_eq!(name(OpKind::Cast, Elem::F32, Elem::I32), "kt.cast", "saturates");
        assert_eq!(name(OpKind::Cast, Elem::U8, Elem::I32), "kt.cast", "upstream has no unsigned types");
    }
}
