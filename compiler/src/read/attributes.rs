//! Attributes of each operation, read and used up: one that nobody reads is an error, not a silent default.

use crate::dialect::constant;
use crate::error::{Error, Place};
use crate::mlir::handle::{Attr, Op};
use kcc_dsl::ir::{
    AtomicOp, Cache, Const, Elem, OpKind, Ordering, Precision, ReduceOp, ScaledFormat, Scope, Type,
};

/// The attributes of one operation.
pub(super) struct Attrs<'m> {
    left: Vec<(&'m str, Attr)>,
    name: &'m str,
    place: Place,
}

impl<'m> Attrs<'m> {
    pub(super) fn new(op: Op, place: Place) -> Self {
        // MLIR checks the sizes of segments.
        let left = op.attrs().into_iter().filter(|(n, _)| !n.ends_with("SegmentSizes")).collect();
        Attrs { left, name: op.name(), place }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Attr> {
        let i = self.left.iter().position(|(n, _)| *n == name)?;
        Some(self.left.swap_remove(i).1)
    }

    pub(super) fn peek(&self, name: &str) -> Option<Attr> {
        self.left.iter().find(|(n, _)| *n == name).map(|(_, a)| *a)
    }

    fn bad(&self, name: &str, want: &str) -> Error {
        let what = format!("attribute `{name}` of `{}` is missing or no {want}", self.name);
        self.place.clone().invalid(what).help(format!("give it {want}"))
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                let what = format!("unknown attribute `{name}` of `{}`", self.name);
                Err(self.place.invalid(what).help("remove it"))
            }
        }
    }

    pub(super) fn str(&mut self, name: &str) -> Result<&'m str, Error> {
        self.take(name).and_then(Attr::str).ok_or_else(|| self.bad(name, "string"))
    }

    pub(super) fn optional_str(&mut self, name: &str) -> Result<Option<&'m str>, Error> {
        self.peek(name).map(|_| self.str(name)).transpose()
    }

    pub(super) fn int(&mut self, name: &str) -> Result<i64, Error> {
        self.take(name).and_then(Attr::int).ok_or_else(|| self.bad(name, "integer"))
    }

    pub(super) fn optional_int(&mut self, name: &str) -> Result<Option<i64>, Error> {
        self.peek(name).map(|_| self.int(name)).transpose()
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<bool, Error> {
        self.take(name).and_then(Attr::bool).ok_or_else(|| self.bad(name, "bool"))
    }

    pub(super) fn axis(&mut self, name: &str) -> Result<u8, Error> {
        u8::try_from(self.int(name)?).map_err(|_| self.bad(name, "axis"))
    }

    fn size(&mut self, name: &str) -> Result<usize, Error> {
        usize::try_from(self.int(name)?).map_err(|_| self.bad(name, "size"))
    }

    fn list<T: TryFrom<i64>>(&mut self, name: &str) -> Result<Vec<T>, Error> {
        let all = self.take(name).and_then(Attr::ints);
        let all = all.and_then(|l| l.into_iter().map(|i| T::try_from(i).ok()).collect());
        all.ok_or_else(|| self.bad(name, "list of small numbers (`array<i64: 0, 1>`)"))
    }

    pub(super) fn word<T>(
        &mut self,
        name: &str,
        parse: fn(&str) -> Option<T>,
        want: &str,
    ) -> Result<T, Error> {
        self.take(name).and_then(Attr::str).and_then(parse).ok_or_else(|| self.bad(name, want))
    }

    fn cache(&mut self) -> Result<Cache, Error> {
        match self.peek("cache") {
            None => Ok(Cache::Default),
            Some(_) => self.word("cache", Cache::parse, "cache hint (\"stream\", \"keep\")"),
        }
    }

    /// A constant for a tile of type `ty`: a scalar attribute of its element type, or a tensor that repeats one.
    pub(super) fn constant(&mut self, name: &str, ty: &Type) -> Result<Const, Error> {
        let want = format!("constant of type {ty} with equal elements");
        let attr = self.take(name).ok_or_else(|| self.bad(name, &want))?;
        let scalar = attr.splat().unwrap_or(attr);
        scalar_const(scalar, ty.elem()).ok_or_else(|| self.bad(name, &want))
    }

    fn padding(&mut self, ty: &Type) -> Result<Const, Error> {
        let attr = self.take("padding");
        attr.and_then(|a| scalar_const(a, ty.elem()))
            .ok_or_else(|| self.bad("padding", "constant of the element type"))
    }
}

fn scalar_const(attr: Attr, elem: Elem) -> Option<Const> {
    if attr.ty().to_string() != crate::dialect::types::elem_text(elem) {
        return None;
    }
    let c = match elem {
        Elem::Bool => Const::Bool(attr.bool()?),
        e if e.is_float() => Const::float(attr.float()? as f32),
        _ => Const::Int(attr.int()?),
    };
    constant::canonical(elem, c)
}

pub(super) const OP: &str = "name of an operation";

/// What an operation of `kt` that is not element-wise is.
pub(super) fn kind(
    op: Op,
    name: &str,
    result: &Type,
    attrs: &mut Attrs,
    place: &Place,
) -> Result<OpKind, Error> {
    let own = name.strip_prefix("kt.").unwrap_or_default();
    Ok(match own {
        "program_id" => OpKind::ProgramId(attrs.axis("axis")?),
        "num_programs" => OpKind::NumPrograms(attrs.axis("axis")?),
        "arange" => OpKind::Arange,
        "broadcast" => OpKind::Broadcast { axes: attrs.list("axes")? },
        "reshape" => OpKind::Reshape,
        "transpose" => OpKind::Transpose { perm: attrs.list("perm")? },
        "join" => OpKind::Join,
        "split" => OpKind::Split,
        "slice" => OpKind::Slice { offsets: attrs.list("offsets")? },
        "concat" => OpKind::Concat { axis: attrs.axis("axis")? },
        "dim" => OpKind::Dim(attrs.axis("axis")?),
        "at" => OpKind::At,
        "load" => OpKind::Load { padding: attrs.padding(result)?, cache: attrs.cache()? },
        "store" => OpKind::Store { cache: attrs.cache()? },
        "load_rows" => OpKind::LoadRows { padding: attrs.padding(result)?, cache: attrs.cache()? },
        "store_rows" => OpKind::StoreRows { cache: attrs.cache()? },
        "gather" => OpKind::Gather,
        "scatter" => OpKind::Scatter,
        "atomic" => OpKind::Atomic {
            op: attrs.word("op", AtomicOp::parse, OP)?,
            ordering: attrs.word("ordering", Ordering::parse, "memory ordering")?,
            scope: attrs.word("scope", Scope::parse, "scope")?,
        },
        "atomic_cas" => OpKind::AtomicCas {
            ordering: attrs.word("ordering", Ordering::parse, "memory ordering")?,
            scope: attrs.word("scope", Scope::parse, "scope")?,
        },
        "reduce" => OpKind::Reduce { axis: attrs.axis("axis")?, op: attrs.word("op", ReduceOp::parse, OP)? },
        "arg_reduce" => OpKind::ArgReduce { axis: attrs.axis("axis")?, max: attrs.bool("max")? },
        "scan" => OpKind::Scan {
            axis: attrs.axis("axis")?,
            op: attrs.word("op", ReduceOp::parse, OP)?,
            reverse: attrs.bool("reverse")?,
        },
        "sort" => OpKind::Sort { descending: attrs.bool("descending")? },
        "top_k" => OpKind::TopK { k: attrs.size("k")? },
        "histogram" => OpKind::Histogram { bins: attrs.size("bins")? },
        "dot" => OpKind::Dot { precision: attrs.word("precision", Precision::parse, "precision")? },
        "dot_scaled" => OpKind::DotScaled {
            a: attrs.word("a_format", ScaledFormat::parse, "format")?,
            b: attrs.word("b_format", ScaledFormat::parse, "format")?,
        },
        "assume" => OpKind::Assume,
        "assert" => OpKind::Assert { message: attrs.str("message")?.to_owned() },
        "print" => OpKind::Print { format: attrs.str("format")?.to_owned() },
        _ => {
            let what = format!("`{}` in a kt module", op.name());
            return Err(place
                .clone()
                .unsupported(what)
                .help("use kt, and the arith, math and scf that import writes"));
        }
    })
}
