//! Operand and result types of each operation.

use super::{Checker, LARGE};
use crate::ir::{
    BinaryOp, Block, Const, Elem, Inferred, Op, OpKind, ReduceOp, ScaledFormat, TileType, Type, UnaryOp,
    infer,
};

type Checked = Result<(), String>;

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(message()) }
}

/// The tiles among `types`, or which one is none.
fn tiles(types: &[Type]) -> Result<Vec<&TileType>, String> {
    types
        .iter()
        .enumerate()
        .map(|(i, t)| t.tile().ok_or_else(|| format!("operand {i} is a view, not a tile")))
        .collect()
}

fn same(types: &[&TileType]) -> Checked {
    ensure(types.windows(2).all(|w| w[0] == w[1]), || {
        let list: Vec<String> = types.iter().map(|t| t.to_string()).collect();
        format!("operands differ in type: {}", list.join(", "))
    })
}

fn same_shape(a: &TileType, b: &TileType) -> Checked {
    ensure(a.shape == b.shape, || format!("{a} and {b} differ in shape"))
}

fn elem(t: &TileType, fits: impl Fn(Elem) -> bool, wanted: &str) -> Checked {
    ensure(fits(t.elem), || format!("{t} is not a tile of {wanted}"))
}

fn scalar(t: &Type, e: Elem, what: &str) -> Checked {
    ensure(*t == Type::Tile(TileType::scalar(e)), || format!("{what} is {t}, not a scalar {e}"))
}

fn scalars_i32(types: &[Type], what: &str) -> Checked {
    types.iter().try_for_each(|t| scalar(t, Elem::I32, what))
}

fn count(types: &[Type], n: usize) -> Checked {
    ensure(types.len() == n, || format!("there are {} operands instead of {n}", types.len()))
}

fn constant(c: Const, e: Elem) -> Checked {
    let fits = match c {
        Const::Float(_) => e.is_float(),
        Const::Int(_) => e.is_int(),
        Const::Bool(_) => e == Elem::Bool,
    };
    ensure(fits, || format!("{c:?} is not a constant of {e}"))
}

fn view(types: &[Type]) -> Result<(Elem, usize), String> {
    match types.first() {
        Some(Type::View { elem, rank }) => Ok((*elem, *rank)),
        Some(t) => Err(format!("the first operand is {t}, not a view")),
        None => Err("there is no view among the operands".into()),
    }
}

fn result_tile(results: &[Type]) -> Result<&TileType, String> {
    match results {
        [Type::Tile(t)] => Ok(t),
        _ => Err("the result is not one tile".into()),
    }
}

/// `(view, index tiles, rest…)` of an operation on single elements; the tiles after the indices.
fn indexed(types: &[Type], rest: usize) -> Result<(Elem, Vec<&TileType>), String> {
    let (e, rank) = view(types)?;
    count(types, 1 + rank + rest)?;
    let tiles = tiles(&types[1..])?;
    let (indices, rest) = tiles.split_at(rank);
    for t in &tiles {
        same_shape(tiles[0], t)?;
    }
    for t in indices {
        elem(t, |e| e == Elem::I32, "i32 indices")?;
    }
    elem(rest[0], |e| e == Elem::Bool, "bool (the mask)")?;
    for t in &rest[1..] {
        elem(t, |x| x == e, "the view's element type")?;
    }
    Ok((e, rest.to_vec()))
}

fn numeric(e: Elem) -> bool {
    e != Elem::Bool
}

fn axis_of(t: &TileType, axis: u8) -> Checked {
    ensure(usize::from(axis) < t.rank(), || format!("{t} has no axis {axis}"))
}

fn reducible(op: ReduceOp, t: &TileType) -> Checked {
    match op {
        ReduceOp::And | ReduceOp::Or | ReduceOp::Xor => elem(t, |e| !e.is_float(), "integers or bool"),
        _ => elem(t, numeric, "numbers"),
    }
}

fn binary(op: BinaryOp, t: &TileType) -> Checked {
    use BinaryOp::*;
    match op {
        And | Or | Xor => elem(t, |e| !e.is_float(), "integers or bool"),
        Shl | Shr | MulHi => elem(t, Elem::is_int, "integers"),
        MinNan | MaxNan => elem(t, Elem::is_float, "floats"),
        _ => elem(t, numeric, "numbers"),
    }
}

fn unary(op: UnaryOp, t: &TileType) -> Checked {
    match op {
        UnaryOp::Not => elem(t, |e| !e.is_float(), "integers or bool"),
        UnaryOp::Neg | UnaryOp::Abs => elem(t, numeric, "numbers"),
        _ => elem(t, Elem::is_float, "floats"),
    }
}

fn broadcast(axes: &[u8], from: &TileType, to: &TileType) -> Checked {
    let bad = || format!("{from} does not broadcast to {to} by the axes {axes:?}");
    ensure(from.elem == to.elem && axes.len() == from.rank() && axes.windows(2).all(|w| w[0] < w[1]), bad)?;
    let fits = |(&a, &n): (&u8, &usize)| to.shape.get(usize::from(a)).is_some_and(|&m| m == n || n == 1);
    ensure(axes.iter().zip(&from.shape).all(fits), bad)
}

fn dot(types: &[Type]) -> Checked {
    count(types, 3)?;
    let t = tiles(types)?;
    let (a, b, c) = (t[0], t[1], t[2]);
    let shapes = match (&a.shape[..], &b.shape[..], &c.shape[..]) {
        ([m, k], [k2, n], [m2, n2]) => m == m2 && k == k2 && n == n2,
        ([x, m, k], [y, k2, n], [z, m2, n2]) => x == y && x == z && m == m2 && k == k2 && n == n2,
        _ => false,
    };
    ensure(shapes, || format!("{a} times {b} does not give {c}"))?;
    let acc = if a.elem.is_float() { Elem::F32 } else { Elem::I32 };
    let fits = a.elem == b.elem && (a.elem.is_float() || a.elem == Elem::I8) && c.elem == acc;
    ensure(fits, || format!("there is no product of {} by {} summed in {}", a.elem, b.elem, c.elem))
}

fn dot_scaled(_: (ScaledFormat, ScaledFormat), types: &[Type]) -> Checked {
    count(types, 5)?;
    let t = tiles(types)?;
    let bad = || "operands of `dot_scaled` do not fit".to_owned();
    ensure(t.iter().all(|t| t.rank() == 2), bad)?;
    let (m, k, n) = (t[0].shape[0], t[0].shape[1], t[2].shape[1]);
    let wanted = [[m, k], [m, k / 32], [k, n], [k / 32, n], [m, n]];
    let shapes = t.iter().zip(wanted).all(|(t, w)| t.shape == w);
    let elems = t[..4].iter().all(|t| t.elem == Elem::U8) && t[4].elem == Elem::F32;
    ensure(shapes && elems && k % 32 == 0, bad)
}

fn split_slice(offsets: &[usize], from: &TileType, to: &TileType) -> Checked {
    let inside = offsets.len() == from.rank()
        && to.rank() == from.rank()
        && (0..from.rank())
            .all(|i| offsets[i].checked_add(to.shape[i]).is_some_and(|end| end <= from.shape[i]));
    ensure(inside && from.elem == to.elem, || format!("a slice {to} from {offsets:?} ends outside {from}"))
}

/// What [`infer`] does not settle: operand types, and results that the recorder states.
fn check(kind: &OpKind, o: &[Type], r: &[Type]) -> Checked {
    use OpKind::*;
    match kind {
        ProgramId(a) | NumPrograms(a) => {
            count(o, 0)?;
            ensure(*a < 3, || format!("a grid has no axis {a}"))
        }
        Constant(c) => {
            count(o, 0)?;
            constant(*c, result_tile(r)?.elem)
        }
        Arange => {
            count(o, 0)?;
            let t = result_tile(r)?;
            ensure(t.elem == Elem::I32 && t.rank() == 1, || format!("`arange` gives {t}"))
        }
        Unary(op) => {
            count(o, 1)?;
            unary(*op, tiles(o)?[0])
        }
        Binary(op) => {
            count(o, 2)?;
            let t = tiles(o)?;
            same(&t)?;
            binary(*op, t[0])
        }
        Compare(_) => {
            count(o, 2)?;
            same(&tiles(o)?)
        }
        Select => {
            count(o, 3)?;
            let t = tiles(o)?;
            elem(t[0], |e| e == Elem::Bool, "bool")?;
            same_shape(t[0], t[1])?;
            same(&t[1..])
        }
        Fma => {
            count(o, 3)?;
            let t = tiles(o)?;
            same(&t)?;
            elem(t[0], Elem::is_float, "floats")
        }
        Cast | Bitcast => {
            count(o, 1)?;
            let (a, b) = (tiles(o)?[0], result_tile(r)?);
            same_shape(a, b)?;
            let fits = !matches!(kind, Bitcast)
                || a.elem.bytes() == b.elem.bytes()
                    && (a.elem == b.elem || (numeric(a.elem) && numeric(b.elem)));
            ensure(fits, || format!("{a} has not the bits of {b}"))
        }
        Broadcast { axes } => {
            count(o, 1)?;
            broadcast(axes, tiles(o)?[0], result_tile(r)?)
        }
        Reshape => {
            count(o, 1)?;
            let (a, b) = (tiles(o)?[0], result_tile(r)?);
            ensure(a.elem == b.elem && a.len() == b.len(), || format!("{a} does not reshape to {b}"))
        }
        Transpose { perm } => {
            count(o, 1)?;
            let a = tiles(o)?[0];
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            let all =
                sorted.iter().enumerate().all(|(i, &p)| i == usize::from(p)) && sorted.len() == a.rank();
            ensure(all, || format!("{perm:?} is not an order of the axes of {a}"))
        }
        Join => {
            count(o, 2)?;
            let t = tiles(o)?;
            same(&t)?;
            ensure(t[0].rank() < 3, || format!("`join` of {}", t[0]))
        }
        Split => count(o, 1),
        Slice { offsets } => {
            count(o, 1)?;
            split_slice(offsets, tiles(o)?[0], result_tile(r)?)
        }
        Concat { axis } => {
            count(o, 2)?;
            let t = tiles(o)?;
            axis_of(t[0], *axis)?;
            let rest = |t: &TileType| {
                let mut s = t.shape.clone();
                s.remove(usize::from(*axis));
                (t.elem, s)
            };
            ensure(t[0].rank() == t[1].rank() && rest(t[0]) == rest(t[1]), || {
                format!("`concat` of {} and {}", t[0], t[1])
            })
        }
        Dim(axis) => {
            count(o, 1)?;
            let (_, rank) = view(o)?;
            ensure(usize::from(*axis) < rank, || format!("a view of rank {rank} has no axis {axis}"))
        }
        At => {
            let (_, rank) = view(o)?;
            ensure(o.len() > 1 && o.len() - 1 < rank, || {
                format!("`at` fixes {} axes of {rank}", o.len() - 1)
            })?;
            scalars_i32(&o[1..], "an index")
        }
        Load { padding, .. } => {
            let (e, rank) = view(o)?;
            count(o, 1 + rank)?;
            scalars_i32(&o[1..], "an offset")?;
            let t = result_tile(r)?;
            ensure(t.elem == e && t.rank() == rank, || {
                format!("a view of {e} of rank {rank} does not give {t}")
            })?;
            constant(*padding, e)
        }
        Store { .. } => {
            let (e, rank) = view(o)?;
            count(o, 2 + rank)?;
            scalars_i32(&o[1..1 + rank], "an offset")?;
            let t = tiles(&o[1 + rank..])?[0];
            ensure(t.elem == e && t.rank() == rank, || {
                format!("a view of {e} of rank {rank} does not take {t}")
            })
        }
        LoadRows { .. } | StoreRows { .. } => rows(kind, o, r),
        Gather => {
            indexed(o, 2)?;
            Ok(())
        }
        Scatter => {
            indexed(o, 2)?;
            Ok(())
        }
        Atomic { op, .. } => {
            let (e, _) = indexed(o, 2)?;
            use crate::ir::AtomicOp::{And, Or, Xor};
            let fits = if matches!(op, And | Or | Xor) { e.is_int() } else { numeric(e) };
            ensure(fits, || format!("there is no atomic `{}` of {e}", op.name()))
        }
        AtomicCas { .. } => {
            let (e, _) = indexed(o, 3)?;
            ensure(e.is_int(), || format!("there is no atomic `cas` of {e}"))
        }
        Reduce { axis, op } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            axis_of(t, *axis)?;
            reducible(*op, t)
        }
        Scan { axis, op, .. } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            axis_of(t, *axis)?;
            reducible(*op, t)
        }
        ArgReduce { axis, .. } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            axis_of(t, *axis)?;
            elem(t, numeric, "numbers")
        }
        ReduceWith { axis } | ScanWith { axis, .. } => {
            let t = tiles(o)?;
            let first = *t.first().ok_or("there is nothing to combine")?;
            axis_of(first, *axis)?;
            t.iter().try_for_each(|t| same_shape(first, t))
        }
        Sort { .. } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            ensure(t.rank() > 0, || "`sort` of a scalar".into())?;
            elem(t, numeric, "numbers")
        }
        TopK { k } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            let last = t.shape.last().copied().unwrap_or(0);
            ensure(*k > 0 && *k <= last, || format!("the {k} largest of {last} elements"))?;
            elem(t, numeric, "numbers")
        }
        Histogram { .. } => {
            count(o, 1)?;
            let t = tiles(o)?[0];
            ensure(t.rank() == 1 && t.elem == Elem::I32, || format!("`histogram` of {t}"))
        }
        Dot { .. } => dot(o),
        DotScaled { a, b } => dot_scaled((*a, *b), o),
        For { .. } => {
            ensure(o.len() >= 3, || "the loop's bounds are missing".into())?;
            scalars_i32(&o[..3], "a loop's bound")?;
            tiles(&o[3..]).map(|_| ())
        }
        While => tiles(o).map(|_| ()),
        If => {
            count(o, 1)?;
            scalar(&o[0], Elem::Bool, "the condition")?;
            tiles(r).map(|_| ())
        }
        Assume => {
            count(o, 1)?;
            scalar(&o[0], Elem::Bool, "the condition")
        }
        Assert { .. } => {
            count(o, 1)?;
            elem(tiles(o)?[0], |e| e == Elem::Bool, "bool")
        }
        Print { format } => {
            let holes = format.matches("{}").count();
            ensure(holes == o.len(), || {
                format!("the format has {holes} `{{}}` and there are {} values", o.len())
            })?;
            tiles(o).map(|_| ())
        }
    }
}

fn rows(kind: &OpKind, o: &[Type], r: &[Type]) -> Checked {
    let (e, rank) = view(o)?;
    ensure(rank == 2, || format!("the view has rank {rank} instead of 2"))?;
    let load = matches!(kind, OpKind::LoadRows { .. });
    count(o, if load { 3 } else { 4 })?;
    if let OpKind::LoadRows { padding, .. } = kind {
        constant(*padding, e)?;
    }
    let index = tiles(&o[1..2])?[0];
    scalar(&o[2], Elem::I32, "the column")?;
    let block = if load { result_tile(r)? } else { tiles(&o[3..])?[0] };
    let fits =
        index.elem == Elem::I32 && block.rank() == 2 && index.shape == [block.shape[0]] && block.elem == e;
    ensure(fits, || format!("rows {index} of a view of {e} do not go with {block}"))
}

fn region(args: &[Type], yields: &[Type], want_args: &[Type], want_yields: &[Type]) -> Checked {
    ensure(args == want_args, || "a region's arguments have other types".into())?;
    ensure(yields == want_yields, || "a region yields other types than it should".into())
}

impl Checker<'_> {
    /// The type of a value.
    pub fn value_type(&mut self, i: usize, ty: &Type) {
        let (rank, len) = match ty {
            Type::Tile(t) => (t.rank(), t.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))),
            Type::View { rank, .. } => {
                if *rank == 0 || *rank > 6 {
                    self.error(
                        None,
                        format!("%{i} is a view of rank {rank}"),
                        Some("views have rank 1 to 6"),
                    );
                }
                return;
            }
        };
        if rank > 3 {
            self.error(None, format!("%{i} is a tile of rank {rank}"), Some("tiles have rank 0 to 3"));
        }
        match len {
            Some(0) => self.error(
                None,
                format!("%{i} is an empty tile"),
                Some("every extent of a tile is at least 1"),
            ),
            Some(n) if n <= LARGE => {}
            _ => self.error(
                None,
                format!("%{i} is a tile of more than {LARGE} elements"),
                Some("use smaller tiles"),
            ),
        }
    }

    /// Types of an operation's operands, results and regions.
    pub fn op_types(&mut self, op: &Op) {
        let (Some(o), Some(r)) = (self.types(&op.operands), self.types(&op.results)) else {
            return self.error(
                Some(op.loc),
                format!("`{}` names a value without type", op.kind.name()),
                None,
            );
        };
        let checked = check(&op.kind, &o, &r)
            .and_then(|()| results(op, &o, &r))
            .and_then(|()| self.op_regions(op, &o, &r));
        if let Err(fact) = checked {
            self.error(Some(op.loc), format!("`{}`: {fact}", op.kind.name()), None);
        }
    }

    fn op_regions(&self, op: &Op, o: &[Type], r: &[Type]) -> Checked {
        let of =
            |b: &Block| self.region_types(b).ok_or_else(|| "a region names a value without type".to_owned());
        let regions = op.regions.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let boolean = Type::Tile(TileType::scalar(Elem::Bool));
        let int = Type::Tile(TileType::scalar(Elem::I32));
        match (&op.kind, &regions[..]) {
            (OpKind::For { .. }, [(args, yields)]) => {
                let want: Vec<Type> = std::iter::once(int).chain(o[3..].iter().cloned()).collect();
                region(args, yields, &want, &o[3..])
            }
            (OpKind::While, [(test, tested), (args, yields)]) => {
                let want: Vec<Type> = std::iter::once(boolean).chain(o.iter().cloned()).collect();
                region(test, tested, o, &want)?;
                region(args, yields, o, o)
            }
            (OpKind::If, [(a, x), (b, y)]) => {
                region(a, x, &[], r)?;
                region(b, y, &[], r)
            }
            (OpKind::ReduceWith { .. } | OpKind::ScanWith { .. }, [(args, yields)]) => {
                let scalars: Vec<Type> = o.iter().map(|t| Type::Tile(TileType::scalar(t.elem()))).collect();
                let twice: Vec<Type> = scalars.iter().chain(&scalars).cloned().collect();
                region(args, yields, &twice, &scalars)
            }
            _ => Ok(()),
        }
    }
}

fn results(op: &Op, o: &[Type], r: &[Type]) -> Checked {
    match infer(&op.kind, o)? {
        Inferred::Types(types) => ensure(types == r, || {
            let list = |t: &[Type]| t.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(", ");
            format!("the result is ({}) instead of ({})", list(r), list(&types))
        }),
        Inferred::Stated => Ok(()),
    }
}
