//! A kt module as a kernel of the tile IR: the inverse of [`crate::import`], for backends, the interpreter and our
//! verifier. It takes hand-edited text too, so it refuses, with the place, whatever the tile IR cannot say.

mod attributes;
mod control;

use crate::dialect::{self, elementwise, types};
use crate::error::{Error, Place, at, nowhere};
use crate::mlir::diagnostics::loc;
use crate::mlir::handle::{self, Attr, Ty, Value};
use attributes::Attrs;
use kcc_dsl::ir::{
    Block, CmpOp, Elem, Kernel, Loc, LocId, Op, OpKind, Param, ParamKind, TileType, Type, ValueId,
};
use melior::ir::{Location, Module};
use std::collections::HashMap;

/// Closures within closures, at most.
const MAX_CLOSURES: usize = 8;

/// Reads the kernel of a kt module. `file` stands for the text in the places of operations that state none.
///
/// # Errors
/// What in the module is not a tile kernel. Types of operations are checked by [`crate::verify`], not here.
pub fn to_kernel(module: &Module, file: &str) -> Result<Kernel, Error> {
    let mut functions = HashMap::new();
    let mut kernels = Vec::new();
    for op in handle::top(module) {
        if op.name() != "func.func" {
            let help = "keep one kernel function and the functions that its reductions and scans name";
            return Err(place(op, file)
                .invalid(format!("`{}` at the top of a kt module", op.name()))
                .help(help));
        }
        match op.attr(dialect::KERNEL) {
            Some(_) => kernels.push(op),
            None => {
                let name = op.attr("sym_name").and_then(Attr::str).unwrap_or_default();
                functions.insert(name, op);
            }
        }
    }
    match kernels[..] {
        [kernel] => {
            let empty = Kernel {
                name: String::new(),
                generics: String::new(),
                params: Vec::new(),
                values: Vec::new(),
                locs: Vec::new(),
                body: Block::default(),
            };
            let mut r = Reader {
                file,
                kernel: empty,
                values: HashMap::new(),
                locs: HashMap::new(),
                types: HashMap::new(),
                functions,
                depth: 0,
            };
            r.kernel(kernel)?;
            Ok(r.kernel)
        }
        [] => {
            let what = format!("{file} holds no kernel");
            Err(nowhere()
                .invalid(what)
                .help(format!("mark one function with `attributes {{{}}}`", dialect::KERNEL)))
        }
        [_, second, ..] => Err(place(second, file)
            .invalid("a second kernel in one module")
            .help("give each kernel a file of its own")),
    }
}

fn mlir_loc(op: handle::Op, file: &str) -> Option<Loc> {
    // SAFETY: the operation is live, and so is its location.
    let mut l = loc(unsafe { Location::from_raw(op.location()) })?;
    if l.file == crate::mlir::UNNAMED {
        l.file = file.to_owned();
    }
    Some(l)
}

fn place(op: handle::Op, file: &str) -> Place {
    mlir_loc(op, file).map_or_else(nowhere, |l| at(&l))
}

struct Reader<'m> {
    file: &'m str,
    kernel: Kernel,
    values: HashMap<Value, ValueId>,
    locs: HashMap<Loc, LocId>,
    types: HashMap<Ty, Type>,
    functions: HashMap<&'m str, handle::Op>,
    depth: usize,
}

impl Reader<'_> {
    fn place(&self, op: handle::Op) -> Place {
        place(op, self.file)
    }

    fn loc(&mut self, op: handle::Op) -> LocId {
        let l =
            mlir_loc(op, self.file).unwrap_or_else(|| Loc { file: self.file.to_owned(), line: 0, column: 0 });
        *self.locs.entry(l).or_insert_with_key(|l| {
            self.kernel.locs.push(l.clone());
            LocId(self.kernel.locs.len() as u32 - 1)
        })
    }

    fn ty(&mut self, op: handle::Op, ty: Ty) -> Result<Type, Error> {
        if let Some(t) = self.types.get(&ty) {
            return Ok(t.clone());
        }
        let t = types::parse(&ty.to_string()).map_err(|e| {
            self.place(op)
                .invalid(e)
                .help("write a tile as `tensor<64x32xf32>`, a view as `!kt.view<f32, 2>`")
        })?;
        self.types.insert(ty, t.clone());
        Ok(t)
    }

    fn new_value(&mut self, ty: Type) -> ValueId {
        self.kernel.values.push(ty);
        ValueId(self.kernel.values.len() as u32 - 1)
    }

    /// Names a value that `op` defines.
    fn define(&mut self, op: handle::Op, v: Value) -> Result<ValueId, Error> {
        let ty = self.ty(op, v.ty())?;
        let id = self.new_value(ty);
        self.values.insert(v, id);
        Ok(id)
    }

    fn define_all(&mut self, op: handle::Op, all: &[Value]) -> Result<Vec<ValueId>, Error> {
        all.iter().map(|v| self.define(op, *v)).collect()
    }

    fn uses(&self, op: handle::Op, all: &[Value]) -> Result<Vec<ValueId>, Error> {
        let id = |v: &Value| self.values.get(v).copied();
        all.iter()
            .map(id)
            .collect::<Option<_>>()
            .ok_or_else(|| self.place(op).invalid("use of a value from elsewhere"))
    }

    fn kernel(&mut self, op: handle::Op) -> Result<(), Error> {
        self.loc(op);
        let mut attrs = Attrs::new(op, self.place(op));
        self.kernel.name = attrs.str("sym_name")?.to_owned();
        self.kernel.generics = attrs.optional_str(dialect::GENERICS)?.unwrap_or_default().to_owned();
        let arg_attrs = attrs.take("arg_attrs").and_then(Attr::array).unwrap_or_default();
        for known in [dialect::KERNEL, "function_type", "sym_visibility"] {
            attrs.take(known);
        }
        attrs.finish()?;
        let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.kernel.name.is_empty() || !self.kernel.name.chars().all(identifier) {
            let what = format!("`{}` is not a kernel's name", self.kernel.name);
            return Err(self.place(op).invalid(what).help("use letters, digits and `_`"));
        }
        let block = self.only_block(op, op.regions().first())?;
        for (i, v) in block.args().into_iter().enumerate() {
            let entries = arg_attrs.get(i).and_then(|a| a.entries()).unwrap_or_default();
            let param = self.param(op, i, v, &entries)?;
            self.kernel.params.push(param);
            self.define(op, v)?;
        }
        let (ops, terminator) = self.body(op, block)?;
        if terminator.name() != "func.return" || !terminator.operands().is_empty() {
            return Err(self
                .place(terminator)
                .invalid("a kernel returns nothing")
                .help("store results into a view"));
        }
        self.kernel.body = Block { args: Vec::new(), ops, yields: Vec::new() };
        Ok(())
    }

    fn param(&mut self, op: handle::Op, i: usize, v: Value, attrs: &[(&str, Attr)]) -> Result<Param, Error> {
        let mut name = format!("arg{i}");
        let mut mutable = false;
        for (key, value) in attrs {
            match (*key, value.str()) {
                (dialect::NAME, Some(n)) => name = n.to_owned(),
                (dialect::MUTABLE, _) => mutable = true,
                _ => {
                    return Err(self
                        .place(op)
                        .invalid(format!("unknown attribute `{key}` of parameter {i}")));
                }
            }
        }
        let kind = match self.ty(op, v.ty())? {
            Type::View { elem, rank } => ParamKind::View { elem, rank, mutable },
            Type::Tile(t) if t.rank() == 0 && !mutable => ParamKind::Scalar(t.elem),
            t => {
                let what = format!("parameter `{name}` is {t}");
                return Err(self.place(op).invalid(what).help("a parameter is a view or a scalar"));
            }
        };
        Ok(Param { name, kind })
    }

    fn only_block(
        &self,
        op: handle::Op,
        region: Option<&Vec<handle::Block>>,
    ) -> Result<handle::Block, Error> {
        match region.map(Vec::as_slice) {
            Some([block]) => Ok(*block),
            Some([]) | None => Err(self.place(op).invalid(format!("`{}` without a body", op.name()))),
            Some(_) => Err(self
                .place(op)
                .invalid("branches between blocks")
                .help("write scf.if, scf.for, scf.while")),
        }
    }

    /// Operations of a block, and its terminator.
    fn body(&mut self, parent: handle::Op, block: handle::Block) -> Result<(Vec<Op>, handle::Op), Error> {
        let ops = block.ops();
        let Some((terminator, ops)) = ops.split_last() else {
            return Err(self.place(parent).invalid("an empty block"));
        };
        let ops: Result<Vec<Op>, Error> = ops.iter().map(|o| self.op(*o)).collect();
        Ok((ops?, *terminator))
    }

    fn op(&mut self, op: handle::Op) -> Result<Op, Error> {
        let name = op.name();
        let loc = self.loc(op);
        let operands = self.uses(op, &op.operands())?;
        match name {
            "scf.for" | "scf.while" | "scf.if" => return self.control(op, operands, loc),
            "kt.reduce_with" | "kt.scan_with" => return self.closure(op, operands, loc),
            _ => {}
        }
        let results = op.results();
        let types: Result<Vec<Type>, Error> = results.iter().map(|v| self.ty(op, v.ty())).collect();
        let types = types?;
        let from = value_operand(name, &operands).map(|v| self.kernel.ty(*v).elem());
        let mut attrs = Attrs::new(op, self.place(op));
        let kind = kind(op, from, types.first(), &mut attrs, &self.place(op))?;
        attrs.finish()?;
        let results = self.define_all(op, &results)?;
        Ok(Op { kind, operands, results, regions: Vec::new(), loc })
    }
}

/// The operation's kind, if it is one of the tile IR without regions; `types` are those of its operands and results.
pub(crate) fn plain_kind(op: handle::Op, operands: &[Type], results: &[Type]) -> Option<OpKind> {
    let mut attrs = Attrs::new(op, nowhere());
    let from = value_operand(op.name(), operands).map(Type::elem);
    kind(op, from, results.first(), &mut attrs, &nowhere()).ok()
}

/// The operand whose element type decides how an element-wise operation is spelt.
fn value_operand<'t, T>(name: &str, operands: &'t [T]) -> Option<&'t T> {
    operands.get(usize::from(name == "arith.select"))
}

/// What an operation without regions is, from its name, its attributes, the element type of its value operands and its
/// first result's type.
fn kind(
    op: handle::Op,
    from: Option<Elem>,
    result: Option<&Type>,
    attrs: &mut Attrs,
    place: &Place,
) -> Result<OpKind, Error> {
    let name = op.name();
    let unit = Type::Tile(TileType::scalar(Elem::Bool));
    let result = result.unwrap_or(&unit);
    let kind = match name {
        "arith.constant" | "kt.constant" => OpKind::Constant(attrs.constant("value", result)?),
        "kt.compare" => OpKind::Compare(attrs.word("op", CmpOp::parse, attributes::OP)?),
        "arith.cmpi" | "arith.cmpf" => {
            let number = attrs.int("predicate")?;
            let cmp = elementwise::from_predicate(name == "arith.cmpf", number).ok_or_else(|| {
                let help = "use slt, sle, sgt, sge, eq, ne; for floats olt, ole, ogt, oge, oeq, une";
                place.clone().unsupported(format!("this predicate of `{name}`")).help(help)
            })?;
            OpKind::Compare(cmp)
        }
        _ => match elementwise::parse(name) {
            Some(kind) => kind,
            None => return attributes::kind(op, name, result, attrs, place),
        },
    };
    // Upstream's flags would change the meaning; their defaults do not.
    for (flag, default) in [("fastmath", "#arith.fastmath<none>"), ("overflowFlags", "#arith.overflow<none>")]
    {
        if attrs.peek(flag).is_some_and(|a| a.to_string() == default) {
            attrs.take(flag);
        }
    }
    let from = from.unwrap_or(result.elem());
    match elementwise::spell(&kind, from, result.elem()) {
        Some(own) if own == name => Ok(kind),
        own => {
            let own = own.unwrap_or_default();
            let what = format!("`{name}` from {from} to {}", result.elem());
            Err(place
                .clone()
                .unsupported(what)
                .help(format!("write `{own}`, whose meaning the tile IR states")))
        }
    }
}
