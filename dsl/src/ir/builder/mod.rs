//! Builds tile IR by hand: for tests, for the random generator, and for front ends other than the tracer.
//!
//! ```
//! use kcc_dsl::ir::{Builder, Elem};
//! // y[i * 8 ..] = x[i * 8 ..] + 1
//! let mut b = Builder::new("add_one");
//! let x = b.view("x", Elem::F32, 1);
//! let y = b.view_mut("y", Elem::F32, 1);
//! let (pid, eight) = (b.program_id(0), b.i32(8));
//! let at = b.mul(pid, eight);
//! let t = b.load(x, &[at], &[8]);
//! let one = b.full(Elem::F32, &[8], 1.0);
//! let sum = b.add(t, one);
//! b.store(y, &[at], sum);
//! let kernel = b.finish().unwrap();
//! assert_eq!(kernel.body.ops.len(), 7);
//! ```
//!
//! No method panics: the first mistake is kept, later operations go on with placeholder values, and
//! [`Builder::finish`] returns it. Every operation carries the place in the caller's source that built it.

mod control;
mod ops;

use super::infer::{Inferred, infer};
use super::kernel::{Block, Kernel, Loc, LocId, Op, Param, ParamKind, ValueId};
use super::op::OpKind;
use super::types::{Elem, TileType, Type};
use std::collections::{HashMap, HashSet};
use std::panic::Location;

/// Builds one [`Kernel`]; see the module's example.
#[derive(Debug)]
pub struct Builder {
    kernel: Kernel,
    /// Innermost block last; the first is the body.
    blocks: Vec<Block>,
    locs: HashMap<Loc, LocId>,
    error: Option<String>,
    /// Values that an operation takes or a region yields.
    used: HashSet<ValueId>,
}

impl Builder {
    /// An empty kernel of that name.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let here = loc(Location::caller());
        Builder {
            kernel: Kernel {
                name: name.to_string(),
                generics: String::new(),
                params: Vec::new(),
                values: Vec::new(),
                locs: vec![here.clone()],
                body: Block::default(),
            },
            blocks: vec![Block::default()],
            locs: HashMap::from([(here, LocId(0))]),
            error: None,
            used: HashSet::new(),
        }
    }

    /// Sets the text of the generic arguments.
    pub fn generics(&mut self, text: &str) {
        self.kernel.generics = text.to_string();
    }

    /// A read-only view parameter. Parameters come before the first operation.
    pub fn view(&mut self, name: &str, elem: Elem, rank: usize) -> ValueId {
        self.param(name, ParamKind::View { elem, rank, mutable: false })
    }

    /// A view parameter that the kernel may write.
    pub fn view_mut(&mut self, name: &str, elem: Elem, rank: usize) -> ValueId {
        self.param(name, ParamKind::View { elem, rank, mutable: true })
    }

    /// A scalar parameter.
    pub fn scalar(&mut self, name: &str, elem: Elem) -> ValueId {
        self.param(name, ParamKind::Scalar(elem))
    }

    fn param(&mut self, name: &str, kind: ParamKind) -> ValueId {
        if self.kernel.params.len() != self.kernel.values.len() {
            self.fail(format!("parameter `{name}` comes after the first operation"));
        }
        self.kernel.params.push(Param { name: name.to_string(), kind });
        self.value(kind.ty())
    }

    /// Type of a value; a `bool` scalar for an id that does not exist.
    pub fn ty(&self, v: ValueId) -> Type {
        self.kernel.values.get(v.0 as usize).cloned().unwrap_or(Type::Tile(TileType::scalar(Elem::Bool)))
    }

    /// Tile type of a value; that of a `bool` scalar if it is not a tile.
    pub fn tile_ty(&self, v: ValueId) -> TileType {
        self.ty(v).tile().cloned().unwrap_or_else(|| TileType::scalar(Elem::Bool))
    }

    /// Whether an operation takes the value or a region yields it.
    pub fn is_used(&self, v: ValueId) -> bool {
        self.used.contains(&v)
    }

    /// Appends an operation whose result types follow from its operands.
    #[track_caller]
    pub fn op(&mut self, kind: OpKind, operands: &[ValueId]) -> Vec<ValueId> {
        let types = self.infer(&kind, operands);
        self.op_typed(kind, operands, &types)
    }

    /// Appends an operation with stated result types.
    #[track_caller]
    pub fn op_typed(&mut self, kind: OpKind, operands: &[ValueId], results: &[Type]) -> Vec<ValueId> {
        self.push(kind, operands, results, Vec::new())
    }

    /// Ends the kernel; the error is the first mistake made while building.
    pub fn finish(mut self) -> Result<Kernel, String> {
        if let Some(e) = self.error {
            return Err(e);
        }
        self.kernel.body = self.blocks.pop().unwrap_or_default();
        Ok(self.kernel)
    }

    fn infer(&mut self, kind: &OpKind, operands: &[ValueId]) -> Vec<Type> {
        let types: Vec<Type> = operands.iter().map(|&v| self.ty(v)).collect();
        match infer(kind, &types) {
            Ok(Inferred::Types(t)) => t,
            Ok(Inferred::Stated) => {
                self.fail(format!("the result type of `{}` must be stated", kind.name()));
                Vec::new()
            }
            Err(e) => {
                self.fail(e);
                Vec::new()
            }
        }
    }

    #[track_caller]
    fn push(
        &mut self,
        kind: OpKind,
        operands: &[ValueId],
        results: &[Type],
        regions: Vec<Block>,
    ) -> Vec<ValueId> {
        if let Some(v) = operands.iter().find(|v| v.0 as usize >= self.kernel.values.len()) {
            self.fail(format!("`{}` takes value {}, which does not exist", kind.name(), v.0));
        }
        self.used.extend(operands);
        let loc = self.loc(Location::caller());
        let results: Vec<ValueId> = results.iter().map(|t| self.value(t.clone())).collect();
        let op = Op { kind, operands: operands.to_vec(), results: results.clone(), regions, loc };
        if let Some(block) = self.blocks.last_mut() {
            block.ops.push(op);
        }
        results
    }

    /// The only result of an operation, or a placeholder after a mistake.
    fn single(&mut self, results: Vec<ValueId>) -> ValueId {
        results.first().copied().unwrap_or_else(|| self.value(Type::Tile(TileType::scalar(Elem::Bool))))
    }

    fn value(&mut self, ty: Type) -> ValueId {
        self.kernel.values.push(ty);
        ValueId((self.kernel.values.len() - 1) as u32)
    }

    fn loc(&mut self, at: &'static Location<'static>) -> LocId {
        let next = LocId(self.kernel.locs.len() as u32);
        let l = loc(at);
        *self.locs.entry(l.clone()).or_insert_with(|| {
            self.kernel.locs.push(l);
            next
        })
    }

    fn fail(&mut self, message: String) {
        self.error.get_or_insert(message);
    }

    fn begin(&mut self, args: &[Type]) -> Vec<ValueId> {
        let args: Vec<ValueId> = args.iter().map(|t| self.value(t.clone())).collect();
        self.blocks.push(Block { args: args.clone(), ..Block::default() });
        args
    }

    fn end(&mut self, yields: Vec<ValueId>) -> Block {
        let mut block = self.blocks.pop().unwrap_or_default();
        self.used.extend(&yields);
        block.yields = yields;
        block
    }
}

fn loc(at: &Location<'_>) -> Loc {
    Loc { file: at.file().to_string(), line: at.line(), column: at.column() }
}
