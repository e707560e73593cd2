//! From operations to code: values become slots, blocks are laid out, jumps get their copies.

use std::collections::HashMap;

use super::inst::{Edge, Inst, Op, Slot};
use super::order::{reverse_postorder, weak_topological};
use super::symbols::Symbols;
use super::{Code, Constant, Kernel, Module, Param, Site};
use crate::error::Error;
use crate::text::{self, Attr, Scalar, Type};

/// Where `llvm.byval` parameters and local variables appear in the generic address space.
pub(crate) const PARAM_BASE: u64 = 0x5000_0000_0000;
pub(crate) const LOCAL_BASE: u64 = 0x6000_0000_0000;

/// The operations at the top of a module, through `builtin.module` and `gpu.module`.
pub(super) fn top_level(module: &Module) -> impl Iterator<Item = &text::Op> {
    let mut ops: Vec<&text::Op> = Vec::new();
    let mut pending: Vec<&text::Op> = module.ops.iter().rev().collect();
    while let Some(op) = pending.pop() {
        if matches!(op.name.as_str(), "builtin.module" | "gpu.module") {
            let inner = op.regions.iter().flat_map(|region| &region.blocks).flat_map(|block| &block.ops);
            pending.extend(inner.collect::<Vec<_>>().into_iter().rev());
        } else {
            ops.push(op);
        }
    }
    ops.into_iter()
}

pub(super) fn module(
    module: &Module,
    removed: Option<usize>,
    sites: &mut Vec<Site>,
) -> Result<Vec<Kernel>, Error> {
    let symbols = Symbols::collect(module).map_err(|(message, line)| Error::Unsupported {
        op: "llvm.mlir.global".to_owned(),
        loc: None,
        line,
        message,
    })?;
    let mut kernels = Vec::new();
    for op in top_level(module) {
        let is_kernel = op.flag("nvvm.kernel") || op.flag("rocdl.kernel");
        if op.name != "llvm.func" || !is_kernel {
            continue;
        }
        kernels.push(Builder::new(module, &symbols, removed, sites).function(op)?);
    }
    Ok(kernels)
}

/// A value of the module: its slots, one for each scalar, and its type.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) slots: Vec<Slot>,
    pub(super) ty: Type,
}

/// What goes wrong with one operation; becomes [`Error::Unsupported`] with its place.
pub(super) type Lowered<T> = Result<T, String>;

pub(super) struct Builder<'m, 's> {
    module: &'m Module,
    pub(super) symbols: &'m Symbols,
    removed: Option<usize>,
    sites: &'s mut Vec<Site>,
    values: HashMap<&'m str, Value>,
    pub(super) code: Code,
    constants: HashMap<Constant, Slot>,
    known: HashMap<Slot, u64>,
    labels: HashMap<&'m str, usize>,
    block_args: Vec<Vec<Slot>>,
    site: u32,
}

impl<'m, 's> Builder<'m, 's> {
    fn new(
        module: &'m Module,
        symbols: &'m Symbols,
        removed: Option<usize>,
        sites: &'s mut Vec<Site>,
    ) -> Self {
        Builder {
            module,
            symbols,
            removed,
            sites,
            values: HashMap::new(),
            code: Code { data: symbols.data.clone(), ..Code::default() },
            constants: HashMap::new(),
            known: HashMap::new(),
            labels: HashMap::new(),
            block_args: Vec::new(),
            site: 0,
        }
    }

    fn function(mut self, func: &'m text::Op) -> Result<Kernel, Error> {
        let fail = |message: String| self_error(self.module, func, message);
        let name = func.text("sym_name").ok_or_else(|| fail("a function without a name".into()))?.to_owned();
        let blocks = match func.regions.first() {
            Some(region) if !region.blocks.is_empty() => &region.blocks,
            _ => return Err(fail("a kernel without a body".into())),
        };
        let mut successors = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.iter().enumerate() {
            self.labels.insert(&block.label, index);
        }
        for block in blocks {
            let targets = block.ops.last().map(|op| &op.successors[..]).unwrap_or_default();
            let targets: Option<Vec<usize>> =
                targets.iter().map(|label| self.labels.get(label.as_str()).copied()).collect();
            successors.push(targets.ok_or_else(|| fail("a jump to an unknown block".into()))?);
        }
        let params =
            self.params(func, &blocks[0]).map_err(|message| self_error(self.module, func, message))?;
        for (index, block) in blocks.iter().enumerate() {
            let mut slots = Vec::new();
            if index > 0 {
                for (name, ty) in &block.args {
                    let value = self.fresh(ty).map_err(|message| self_error(self.module, func, message))?;
                    slots.extend_from_slice(&value.slots);
                    self.values.insert(name, value);
                }
            }
            self.block_args.push(slots);
        }

        // Values are numbered in an order in which definitions come first, code lies in the other one.
        let mut pieces: Vec<Vec<Inst>> = vec![Vec::new(); blocks.len()];
        for index in reverse_postorder(&successors) {
            for op in &blocks[index].ops {
                self.op(op)?;
            }
            let piece = &mut pieces[index];
            std::mem::swap(piece, &mut self.code.insts);
            if piece.is_empty() {
                return Err(self_error(self.module, func, "a block without a terminator".into()));
            }
        }
        let mut starts = vec![0u32; blocks.len()];
        let order = weak_topological(&successors);
        let mut at = 0;
        for &block in &order {
            starts[block] = at;
            at += pieces[block].len() as u32;
        }
        for block in order {
            let base = self.code.insts.len() as u32;
            for mut inst in std::mem::take(&mut pieces[block]) {
                inst.op.for_each_edge(|edge| {
                    // A jump inside its own block (from inline PTX) is relative, marked by the top bit.
                    edge.target = match edge.target.checked_sub(LOCAL_TARGET) {
                        Some(relative) => base + relative,
                        None => starts[edge.target as usize],
                    };
                });
                self.code.insts.push(inst);
            }
        }
        let triple = |name: &str| {
            let values = func.attr(name)?.ints()?;
            let at = |axis: usize| values.get(axis).map_or(1, |&value| value.clamp(0, 1 << 31) as u32);
            Some([at(0), at(1), at(2)])
        };
        let block = triple("nvvm.reqntid").or(triple("rocdl.reqd_work_group_size"));
        let max_threads =
            block.or(triple("nvvm.maxntid")).map(|[x, y, z]| x.saturating_mul(y).saturating_mul(z));
        Ok(Kernel {
            name,
            params,
            cluster: triple("nvvm.cluster_dim"),
            block,
            max_threads,
            max_registers: func.attr("nvvm.maxnreg").and_then(Attr::int).map(|n| n.clamp(1, 256) as u32),
            static_shared: self.symbols.static_shared,
            dynamic_at: self.symbols.dynamic_at,
            code: self.code,
        })
    }

    fn params(&mut self, func: &'m text::Op, entry: &'m text::Block) -> Lowered<Vec<Param>> {
        let attrs = match func.attr("arg_attrs") {
            Some(Attr::List(list)) => &list[..],
            _ => &[],
        };
        let mut params = Vec::new();
        let mut offset = 0u64;
        for (index, (name, ty)) in entry.args.iter().enumerate() {
            let byval = match attrs.get(index) {
                Some(Attr::Dict(dict)) => match dict.get("llvm.byval") {
                    Some(Attr::Type(ty)) => Some((ty, dict)),
                    _ => None,
                },
                _ => None,
            };
            if let Some((inner, dict)) = byval {
                let align = dict.get("llvm.align").and_then(Attr::int).unwrap_or(1);
                let align = align.max(inner.align() as i64).clamp(1, 4096) as u64;
                offset = offset.next_multiple_of(align.next_power_of_two());
                if !dict.contains_key("nvvm.grid_constant") && inner.size() == 128 {
                    return Err(
                        "a 128-byte `byval` parameter without `nvvm.grid_constant`: the tensor map would \
                                be copied to local memory"
                            .into(),
                    );
                }
                let slot = self.constant(PARAM_BASE + offset);
                self.values.insert(name, Value { slots: vec![slot], ty: ty.clone() });
                params.push(Param { bytes: inner.size(), byval: true, slots: Vec::new(), offset });
                offset += inner.size();
                continue;
            }
            let parts = ty.scalars().ok_or("a parameter of a type that is not a value")?;
            let value = self.fresh(ty)?;
            let slots =
                parts.iter().zip(&value.slots).map(|(&(at, scalar), &slot)| (at, scalar, slot)).collect();
            self.values.insert(name, value);
            params.push(Param { bytes: ty.size(), byval: false, slots, offset });
        }
        if offset > 1 << 20 {
            return Err("too many parameters".into());
        }
        self.code.param_bytes = offset;
        Ok(params)
    }

    fn op(&mut self, op: &'m text::Op) -> Result<(), Error> {
        self.site = self.sites.len() as u32;
        let sync = super::nvvm::is_sync(op);
        let shown = match op.text("asm_string") {
            Some(text) if op.name == "llvm.inline_asm" => {
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            _ => match op.text("intrin") {
                Some(text) => text.to_owned(),
                None => op.name.clone(),
            },
        };
        self.sites.push(Site { op: shown, loc: self.module.locs.resolve(&op.loc), sync });
        let removed = self.removed == Some(self.site as usize);
        let lowered = if removed { self.remove(op) } else { super::llvm::lower(self, op) };
        lowered.map_err(|message| self_error(self.module, op, message))
    }

    /// An operation that a mutation run deleted.
    fn remove(&mut self, op: &'m text::Op) -> Lowered<()> {
        for index in 0..op.results.len() {
            let parts = op.result_types[index].parts().ok_or("a result that is not a value")?;
            let slots =
                parts.iter().map(|scalar| self.constant(u64::from(*scalar == Scalar::Int(1)))).collect();
            self.define_slots(op, index, slots);
        }
        Ok(())
    }

    pub(super) fn fresh(&mut self, ty: &Type) -> Lowered<Value> {
        let parts = ty.parts().ok_or_else(|| format!("a value of type {ty:?}"))?;
        let slots = self.slots(parts.len());
        Ok(Value { slots, ty: ty.clone() })
    }

    pub(super) fn slots(&mut self, count: usize) -> Vec<Slot> {
        let first = self.code.slots;
        self.code.slots += count as u32;
        (first..self.code.slots).collect()
    }

    pub(super) fn slot(&mut self) -> Slot {
        self.code.slots += 1;
        self.code.slots - 1
    }

    pub(super) fn constant(&mut self, bits: u64) -> Slot {
        self.interned(Constant::Bits(bits))
    }

    pub(super) fn poison(&mut self) -> Slot {
        self.interned(Constant::Poison)
    }

    fn interned(&mut self, constant: Constant) -> Slot {
        if let Some(&slot) = self.constants.get(&constant) {
            return slot;
        }
        let slot = self.slot();
        self.constants.insert(constant, slot);
        self.code.constants.push((slot, constant));
        if let Constant::Bits(bits) = constant {
            self.known.insert(slot, bits);
        }
        slot
    }

    /// The value of a slot that never changes.
    pub(super) fn known(&self, slot: Slot) -> Option<u64> {
        self.known.get(&slot).copied()
    }

    pub(super) fn value(&self, op: &'m text::Op, index: usize) -> Lowered<&Value> {
        let name = op.operands.get(index).ok_or_else(|| format!("operand {index} is missing"))?;
        self.values.get(name.as_str()).ok_or_else(|| format!("%{name} is used before its definition"))
    }

    /// The only slot of an operand, and its type.
    pub(super) fn scalar(&self, op: &'m text::Op, index: usize) -> Lowered<(Slot, Scalar)> {
        let value = self.value(op, index)?;
        match (&value.ty, &value.slots[..]) {
            (Type::Scalar(scalar), [slot]) => Ok((*slot, *scalar)),
            _ => Err(format!("operand {index} is not a scalar")),
        }
    }

    pub(super) fn define_slots(&mut self, op: &'m text::Op, index: usize, slots: Vec<Slot>) {
        let (Some(name), Some(ty)) = (op.results.get(index), op.result_types.get(index)) else { return };
        self.values.insert(name, Value { slots, ty: ty.clone() });
    }

    /// Fresh slots for a result, defined; none where the operation has no such result.
    pub(super) fn result(&mut self, op: &'m text::Op, index: usize) -> Lowered<Vec<Slot>> {
        let Some(ty) = op.result_types.get(index).filter(|_| index < op.results.len()) else {
            return Ok(Vec::new());
        };
        let slots = self.fresh(ty)?.slots;
        self.define_slots(op, index, slots.clone());
        Ok(slots)
    }

    pub(super) fn emit(&mut self, op: Op, src: &[Slot], dst: &[Slot]) {
        let start = self.code.pool.len() as u32;
        self.code.pool.extend_from_slice(src);
        let middle = self.code.pool.len() as u32;
        self.code.pool.extend_from_slice(dst);
        let end = self.code.pool.len() as u32;
        self.code.insts.push(Inst { op, src: start..middle, dst: middle..end, site: self.site });
    }

    /// An instruction with one fresh result.
    pub(super) fn emit_new(&mut self, op: Op, src: &[Slot]) -> Slot {
        let slot = self.slot();
        self.emit(op, src, &[slot]);
        slot
    }

    /// A jump to the successor `index` of `op`, carrying the operands in `range`.
    pub(super) fn edge(
        &self,
        op: &'m text::Op,
        index: usize,
        range: std::ops::Range<usize>,
    ) -> Lowered<Edge> {
        let label = op.successors.get(index).ok_or("a successor is missing")?;
        let target = *self.labels.get(label.as_str()).ok_or("a jump to an unknown block")?;
        let mut from = Vec::new();
        for operand in range {
            from.extend_from_slice(&self.value(op, operand)?.slots);
        }
        let to = &self.block_args[target];
        if to.len() != from.len() || target == 0 {
            return Err(format!("the values do not fit the block ^{label}"));
        }
        let copies: Box<[_]> = to.iter().copied().zip(from).filter(|(to, from)| to != from).collect();
        let written: std::collections::HashSet<Slot> = copies.iter().map(|copy| copy.0).collect();
        let overlaps = copies.iter().any(|copy| written.contains(&copy.1));
        Ok(Edge { target: target as u32, copies, overlaps })
    }

    /// A label at the next instruction of this block, for jumps made by [`Builder::skip_if_not`].
    pub(super) fn here(&self) -> u32 {
        self.code.insts.len() as u32
    }

    /// Emits a jump over what follows, taken by lanes for which `condition` is false; patched by `land`.
    pub(super) fn skip_if_not(&mut self, condition: Slot) -> usize {
        let next = Edge { target: LOCAL_TARGET + self.here() + 1, ..Edge::default() };
        self.emit(Op::Branch { yes: next.clone(), no: next }, &[condition], &[]);
        self.code.insts.len() - 1
    }

    pub(super) fn land(&mut self, skip: usize) {
        let here = LOCAL_TARGET + self.here();
        if let Some(Inst { op: Op::Branch { no, .. }, .. }) = self.code.insts.get_mut(skip) {
            no.target = here;
        }
    }
}

/// Added to the target of a jump within a block until blocks are laid out.
const LOCAL_TARGET: u32 = 1 << 31;

impl Op {
    fn for_each_edge(&mut self, mut visit: impl FnMut(&mut Edge)) {
        match self {
            Op::Jump(edge) => visit(edge),
            Op::Branch { yes, no } => {
                visit(yes);
                visit(no);
            }
            Op::Switch { cases, default } => {
                cases.iter_mut().for_each(|(_, edge)| visit(edge));
                visit(default);
            }
            _ => {}
        }
    }
}

fn self_error(module: &Module, op: &text::Op, message: String) -> Error {
    Error::Unsupported { op: op.name.clone(), loc: module.locs.resolve(&op.loc), line: op.line, message }
}
