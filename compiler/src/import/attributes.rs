//! Attributes of each operation, as text. `read/attributes.rs` is its inverse.

use crate::dialect::{constant, elementwise, types};
use crate::error::{Error, bug};
use kcc_dsl::ir::{Cache, Const, Elem, OpKind, Type};

fn int(name: &str, v: impl std::fmt::Display) -> String {
    format!("{name} = {v} : i64")
}

fn word(name: &str, v: &str) -> String {
    format!("{name} = \"{v}\"")
}

fn ints<T: std::fmt::Display>(name: &str, all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    match all.is_empty() {
        true => format!("{name} = array<i64>"),
        false => format!("{name} = array<i64: {}>", all.join(", ")),
    }
}

fn scalar(name: &str, elem: Elem, c: Const) -> Result<String, Error> {
    let bits = constant::bits(elem, c).ok_or_else(|| bug(format!("{c:?} is no {elem}")))?;
    Ok(format!("{name} = {}", constant::attribute(elem, bits)))
}

fn hint(cache: Cache) -> Option<String> {
    (cache != Cache::Default).then(|| word("cache", cache.name()))
}

/// Attributes of an operation: `from` is the element type of its value operands, `result` the type of its first result.
pub(crate) fn of(kind: &OpKind, from: Option<Elem>, result: Option<&Type>) -> Result<Vec<String>, Error> {
    let result_elem =
        || result.map(Type::elem).ok_or_else(|| bug(format!("`{}` without a result", kind.name())));
    let mut hints = None;
    let mut attrs = match kind {
        OpKind::ProgramId(axis) | OpKind::NumPrograms(axis) | OpKind::Dim(axis) => vec![int("axis", axis)],
        OpKind::Constant(c) => {
            let elem = result_elem()?;
            let bits = constant::bits(elem, *c).ok_or_else(|| bug(format!("{c:?} is no {elem}")))?;
            vec![match result {
                Some(Type::Tile(t)) if t.rank() > 0 => {
                    format!("value = dense<{}> : {}", constant::literal(elem, bits), types::tile_text(t))
                }
                _ => format!("value = {}", constant::attribute(elem, bits)),
            }]
        }
        OpKind::Compare(op) => {
            let elem = from.ok_or_else(|| bug("a comparison without operands"))?;
            vec![match elementwise::predicate(*op, elem) {
                Some(number) => int("predicate", number),
                None => word("op", op.name()),
            }]
        }
        OpKind::Broadcast { axes } => vec![ints("axes", axes)],
        OpKind::Transpose { perm } => vec![ints("perm", perm)],
        OpKind::Slice { offsets } => vec![ints("offsets", offsets)],
        OpKind::Concat { axis } => vec![int("axis", axis)],
        OpKind::Load { padding, cache } | OpKind::LoadRows { padding, cache } => {
            hints = hint(*cache);
            vec![scalar("padding", result_elem()?, *padding)?]
        }
        OpKind::Store { cache } | OpKind::StoreRows { cache } => {
            hints = hint(*cache);
            vec![]
        }
        OpKind::Atomic { op, ordering, scope } => {
            vec![word("op", op.name()), word("ordering", ordering.name()), word("scope", scope.name())]
        }
        OpKind::AtomicCas { ordering, scope } => {
            vec![word("ordering", ordering.name()), word("scope", scope.name())]
        }
        OpKind::Reduce { axis, op } => vec![int("axis", axis), word("op", op.name())],
        OpKind::ArgReduce { axis, max } => vec![int("axis", axis), format!("max = {max}")],
        OpKind::ReduceWith { axis } => vec![int("axis", axis)],
        OpKind::Scan { axis, op, reverse } => {
            vec![int("axis", axis), word("op", op.name()), format!("reverse = {reverse}")]
        }
        OpKind::ScanWith { axis, reverse } => vec![int("axis", axis), format!("reverse = {reverse}")],
        OpKind::Sort { descending } => vec![format!("descending = {descending}")],
        OpKind::TopK { k } => vec![int("k", k)],
        OpKind::Histogram { bins } => vec![int("bins", bins)],
        OpKind::Dot { precision } => vec![word("precision", precision.name())],
        OpKind::DotScaled { a, b } => vec![word("a_format", a.name()), word("b_format", b.name())],
        OpKind::For { stages } if *stages > 0 => vec![int(crate::dialect::STAGES, stages)],
        OpKind::Assert { message } => vec![format!("message = {}", super::quoted(message))],
        OpKind::Print { format } => vec![format!("format = {}", super::quoted(format))],
        OpKind::Arange
        | OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Fma
        | OpKind::Cast
        | OpKind::Bitcast
        | OpKind::Reshape
        | OpKind::Join
        | OpKind::Split
        | OpKind::At
        | OpKind::Gather
        | OpKind::Scatter
        | OpKind::For { .. }
        | OpKind::While
        | OpKind::If
        | OpKind::Assume => vec![],
    };
    attrs.extend(hints);
    Ok(attrs)
}
