//! Types of an operation's results, where its kind and operands determine them.
//!
//! The results of a constant, a cast, a reshape, … are the author's choice: for those the answer is
//! [`Inferred::Stated`], and whoever records the operation states the type. This is inference, not validation:
//! an ill-typed operation may get a type here and is still refused by the validator.

use super::op::OpKind;
use super::types::{Elem, TileType, Type};

/// What is known of an operation's result types.
#[derive(Clone, Debug, PartialEq)]
pub enum Inferred {
    /// Exactly these.
    Types(Vec<Type>),
    /// They cannot be derived from the operands: the recorder states them.
    Stated,
}

fn tile<'a>(kind: &OpKind, operands: &'a [Type], i: usize) -> Result<&'a TileType, String> {
    match operands.get(i) {
        Some(Type::Tile(t)) => Ok(t),
        Some(Type::View { .. }) => Err(format!("operand {i} of `{}` is a view, not a tile", kind.name())),
        None => Err(format!("`{}` lacks operand {i}", kind.name())),
    }
}

fn view(kind: &OpKind, operands: &[Type]) -> Result<(Elem, usize), String> {
    match operands.first() {
        Some(Type::View { elem, rank }) => Ok((*elem, *rank)),
        _ => Err(format!("the first operand of `{}` is not a view", kind.name())),
    }
}

fn without_axis(kind: &OpKind, t: &TileType, axis: u8, elem: Elem) -> Result<Type, String> {
    let axis = usize::from(axis);
    if axis >= t.rank() {
        return Err(format!("`{}` along axis {axis} of {t}", kind.name()));
    }
    let mut shape = t.shape.clone();
    shape.remove(axis);
    Ok(Type::Tile(TileType { elem, shape }))
}

/// Result types of an operation; an error names the operand that makes it meaningless.
pub fn infer(kind: &OpKind, operands: &[Type]) -> Result<Inferred, String> {
    let scalar = |e| Type::Tile(TileType::scalar(e));
    let t = |i| tile(kind, operands, i);
    let types: Vec<Type> = match kind {
        OpKind::ProgramId(_) | OpKind::NumPrograms(_) | OpKind::Dim(_) => vec![scalar(Elem::I32)],
        OpKind::Constant(_)
        | OpKind::Arange
        | OpKind::Cast
        | OpKind::Bitcast
        | OpKind::Broadcast { .. }
        | OpKind::Reshape
        | OpKind::Slice { .. }
        | OpKind::Load { .. }
        | OpKind::LoadRows { .. }
        | OpKind::If => return Ok(Inferred::Stated),
        OpKind::Unary(_) | OpKind::Binary(_) | OpKind::Fma | OpKind::Scan { .. } => {
            vec![Type::Tile(t(0)?.clone())]
        }
        OpKind::Compare(_) => vec![Type::Tile(t(0)?.with_elem(Elem::Bool))],
        OpKind::Select => vec![Type::Tile(t(1)?.clone())],
        OpKind::Transpose { perm } => {
            let a = t(0)?;
            let extent = |&p: &u8| a.shape.get(usize::from(p)).copied();
            let shape: Option<Vec<usize>> = perm.iter().map(extent).collect();
            let shape = shape.ok_or_else(|| format!("`transpose` by {perm:?} of {a}"))?;
            vec![Type::Tile(TileType { elem: a.elem, shape })]
        }
        OpKind::Join => {
            let mut r = t(0)?.clone();
            r.shape.push(2);
            vec![Type::Tile(r)]
        }
        OpKind::Split => {
            let mut r = t(0)?.clone();
            if r.shape.pop() != Some(2) {
                return Err("`split` of a tile whose last axis is not 2".into());
            }
            vec![Type::Tile(r); 2]
        }
        OpKind::Concat { axis } => {
            let (mut r, b, axis) = (t(0)?.clone(), t(1)?, usize::from(*axis));
            if axis >= r.rank() || b.rank() != r.rank() {
                return Err(format!("`concat` of {r} and {b} along axis {axis}"));
            }
            r.shape[axis] = r.shape[axis].saturating_add(b.shape[axis]);
            vec![Type::Tile(r)]
        }
        OpKind::At => {
            let (elem, rank) = view(kind, operands)?;
            let fixed = operands.len() - 1;
            let rank = rank.checked_sub(fixed).ok_or_else(|| format!("`at` fixes {fixed} axes of {rank}"))?;
            vec![Type::View { elem, rank }]
        }
        OpKind::Gather | OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => {
            let (_, rank) = view(kind, operands)?;
            vec![Type::Tile(t(rank + 2)?.clone())]
        }
        OpKind::Store { .. }
        | OpKind::StoreRows { .. }
        | OpKind::Scatter
        | OpKind::Assume
        | OpKind::Assert { .. }
        | OpKind::Print { .. } => vec![],
        OpKind::Reduce { axis, .. } => {
            let a = t(0)?;
            vec![without_axis(kind, a, *axis, a.elem)?]
        }
        OpKind::ArgReduce { axis, .. } => vec![without_axis(kind, t(0)?, *axis, Elem::I32)?],
        OpKind::ReduceWith { axis } => (0..operands.len())
            .map(|i| t(i).and_then(|a| without_axis(kind, a, *axis, a.elem)))
            .collect::<Result<_, _>>()?,
        OpKind::ScanWith { .. } => operands.to_vec(),
        OpKind::Sort { .. } => {
            let a = t(0)?;
            vec![Type::Tile(a.clone()), Type::Tile(a.with_elem(Elem::I32))]
        }
        OpKind::TopK { k } => {
            let mut a = t(0)?.clone();
            *a.shape.last_mut().ok_or("`top_k` of a scalar")? = *k;
            let indices = a.with_elem(Elem::I32);
            vec![Type::Tile(a), Type::Tile(indices)]
        }
        OpKind::Histogram { bins } => vec![Type::Tile(TileType::new(Elem::I32, &[*bins]))],
        OpKind::Dot { .. } => vec![Type::Tile(t(2)?.clone())],
        OpKind::DotScaled { .. } => vec![Type::Tile(t(4)?.clone())],
        OpKind::For { .. } => operands.get(3..).ok_or("`for` lacks its bounds")?.to_vec(),
        OpKind::While => operands.to_vec(),
    };
    Ok(Inferred::Types(types))
}
