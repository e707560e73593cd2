//! A recorded kernel as a kt module: text, which MLIR then parses and verifies.
//!
//! Text, because every mistake in it becomes a message with a line; MLIR's builders abort instead. Operations are
//! written in MLIR's generic form: one shape for all of them.
//!
//! ```text
//! func.func @axpy(%0: !kt.view<f32, 1> {kt.name = "x"}, …) attributes {kt.kernel} {
//!   %2 = "kt.load"(%0, %1) {padding = 0x00000000 : f32} : (!kt.view<f32, 1>, i32) -> tensor<64xf32> loc("k.rs":3:9)
//! ```

pub(crate) mod attributes;

use crate::dialect::{self, types};
use crate::error::{Error, at, bug, nowhere};
use kcc_dsl::ir::{Block, Elem, Kernel, LocId, Op, OpKind, ParamKind, Type, ValueId};
use std::collections::HashSet;
use std::fmt::Write as _;

/// The kernel as the text of a kt module.
///
/// # Errors
/// A kernel that the validator of the tile IR would refuse.
pub fn to_text(kernel: &Kernel) -> Result<String, Error> {
    let mut w = Writer { kernel, names: Vec::new(), functions: Vec::new(), out: String::new() };
    w.names = (0..kernel.values.len()).map(|i| format!("%{i}")).collect();
    w.kernel()?;
    let functions = w.functions.concat();
    Ok(format!("module {{\n{functions}{}}}\n", w.out))
}

/// A string as MLIR writes it, quotes included.
pub(crate) fn quoted(s: &str) -> String {
    let mut q = String::from("\"");
    for b in s.bytes() {
        match b {
            b' '..=b'~' if b != b'"' && b != b'\\' => q.push(char::from(b)),
            b => {
                let _ = write!(q, "\\{b:02X}");
            }
        }
    }
    q.push('"');
    q
}

struct Writer<'k> {
    kernel: &'k Kernel,
    /// Spelling of each value; results of an operation with several are `%7#1`.
    names: Vec<String>,
    /// Functions that stand for the closures of reductions and scans.
    functions: Vec<String>,
    out: String,
}

impl Writer<'_> {
    fn ty(&self, v: ValueId) -> Result<&Type, Error> {
        self.kernel.values.get(v.0 as usize).ok_or_else(|| bug(format!("value {} has no type", v.0)))
    }

    fn elem(&self, v: ValueId) -> Result<Elem, Error> {
        self.ty(v).map(Type::elem)
    }

    fn name(&self, v: ValueId) -> Result<&str, Error> {
        self.names
            .get(v.0 as usize)
            .map(String::as_str)
            .ok_or_else(|| bug(format!("value {} has no type", v.0)))
    }

    fn list(&self, values: &[ValueId]) -> Result<String, Error> {
        let names: Result<Vec<&str>, Error> = values.iter().map(|v| self.name(*v)).collect();
        Ok(names?.join(", "))
    }

    fn types(&self, values: &[ValueId]) -> Result<String, Error> {
        let types: Result<Vec<String>, Error> = values.iter().map(|v| self.ty(*v).map(types::text)).collect();
        Ok(types?.join(", "))
    }

    fn typed(&self, values: &[ValueId]) -> Result<String, Error> {
        let all: Result<Vec<String>, Error> =
            values.iter().map(|v| Ok(format!("{}: {}", self.name(*v)?, types::text(self.ty(*v)?)))).collect();
        Ok(all?.join(", "))
    }

    fn loc(&self, id: LocId) -> String {
        match self.kernel.locs.get(id.0 as usize) {
            Some(l) => format!(" loc({}:{}:{})", quoted(&l.file), l.line, l.column),
            None => String::new(),
        }
    }

    fn kernel(&mut self) -> Result<(), Error> {
        let k = self.kernel;
        let mut params = Vec::new();
        for (i, p) in k.params.iter().enumerate() {
            let id = ValueId(i as u32);
            if self.ty(id)? != &p.kind.ty() {
                return Err(bug(format!("parameter `{}` is not value {i}", p.name)));
            }
            let mutable = match p.kind {
                ParamKind::View { mutable: true, .. } => format!(", {}", dialect::MUTABLE),
                _ => String::new(),
            };
            let attrs = format!("{} = {}{mutable}", dialect::NAME, quoted(&p.name));
            params.push(format!("{} {{{attrs}}}{}", self.typed(&[id])?, self.loc(LocId(0))));
        }
        let generics = match k.generics.as_str() {
            "" => String::new(),
            g => format!(", {} = {}", dialect::GENERICS, quoted(g)),
        };
        let symbol = quoted(&k.name);
        let params = params.join(", ");
        let _ = writeln!(
            self.out,
            "func.func @{symbol}({params}) attributes {{{}{generics}}} {{",
            dialect::KERNEL
        );
        for op in &k.body.ops {
            self.op(op)?;
        }
        let place = self.loc(LocId(0));
        let _ = writeln!(self.out, "\"func.return\"() : () -> (){place}\n}}{place}");
        Ok(())
    }

    /// One operation, in generic form.
    fn op(&mut self, op: &Op) -> Result<(), Error> {
        let from = match op.kind {
            OpKind::Select => op.operands.get(1),
            _ => op.operands.first(),
        };
        let to = op.results.first().map(|v| self.elem(*v)).transpose()?;
        let from = from.map(|v| self.elem(*v)).transpose()?;
        let name =
            dialect::elementwise::spell(&op.kind, from.or(to).unwrap_or(Elem::I32), to.unwrap_or(Elem::Bool))
                .map_or_else(|| self.structural(&op.kind), std::borrow::Cow::into_owned);
        let mut operands = op.operands.clone();
        let mut attrs = attributes::of(&op.kind, from, op.results.first().map(|v| self.ty(*v)).transpose()?)?;
        let mut regions = String::new();
        match op.kind {
            OpKind::ReduceWith { .. } | OpKind::ScanWith { .. } => {
                let [region] = &op.regions[..] else { return Err(bug("a closure without its region")) };
                let (symbol, captured) = self.function(region)?;
                attrs.push(format!("captured = {} : i64", captured.len()));
                attrs.push(format!("combine = @{symbol}"));
                operands.extend(captured);
            }
            OpKind::For { .. } | OpKind::While | OpKind::If => {
                let blocks: Result<Vec<String>, Error> =
                    op.regions.iter().enumerate().map(|(i, b)| self.region(op, i, b)).collect();
                regions = format!(" ({})", blocks?.join(", "));
            }
            _ => {}
        }
        if let Some(slots) = dialect::slots(&name) {
            attrs.extend(slots.attributes(operands.len(), op.results.len()).ok_or_else(|| {
                let what = format!("`{}` of {} values", op.kind.name(), operands.len());
                let place = self.kernel.locs.get(op.loc.0 as usize).map_or_else(nowhere, at);
                let help = format!("use at most {} tiles and captured values together", slots.operands);
                place.unsupported(what).help(help)
            })?);
        }
        self.define(&op.results)?;
        let results = match &op.results[..] {
            [] => String::new(),
            [v] => format!("{} = ", self.name(*v)?),
            [v, ..] => format!("%{}:{} = ", v.0, op.results.len()),
        };
        let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
        let (args, ins, outs) = (self.list(&operands)?, self.types(&operands)?, self.types(&op.results)?);
        let loc = self.loc(op.loc);
        let _ = writeln!(self.out, "{results}\"{name}\"({args}){regions}{attrs} : ({ins}) -> ({outs}){loc}");
        Ok(())
    }

    fn define(&mut self, results: &[ValueId]) -> Result<(), Error> {
        if let [first, _, ..] = results {
            for (i, v) in results.iter().enumerate() {
                self.name(*v)?;
                self.names[v.0 as usize] = format!("%{}#{i}", first.0);
            }
        }
        Ok(())
    }

    /// Name of an operation that is not element-wise.
    fn structural(&self, kind: &OpKind) -> String {
        match kind {
            OpKind::For { .. } | OpKind::While | OpKind::If => format!("scf.{}", kind.name()),
            kind => format!("kt.{}", kind.name()),
        }
    }

    /// A region of a control operation: `({ ^bb0(args): ops, terminator })`.
    fn region(&mut self, op: &Op, index: usize, block: &Block) -> Result<String, Error> {
        let outer = std::mem::take(&mut self.out);
        for op in &block.ops {
            self.op(op)?;
        }
        let body = std::mem::replace(&mut self.out, outer);
        let header = match &block.args[..] {
            [] => String::new(),
            args => format!("^bb0({}):\n", self.typed(args)?),
        };
        let terminator =
            if matches!(op.kind, OpKind::While) && index == 0 { "scf.condition" } else { "scf.yield" };
        let (args, ins) = (self.list(&block.yields)?, self.types(&block.yields)?);
        let loc = self.loc(op.loc);
        Ok(format!("{{\n{header}{body}\"{terminator}\"({args}) : ({ins}) -> (){loc}\n}}"))
    }

    /// A closure as a function of the module; its captured values become further arguments.
    fn function(&mut self, block: &Block) -> Result<(String, Vec<ValueId>), Error> {
        let mut captured = Vec::new();
        captures(block, &mut HashSet::new(), &mut captured);
        let outer_names = self.names.clone();
        let args: Vec<ValueId> = block.args.iter().chain(&captured).copied().collect();
        for v in &args {
            self.name(*v)?;
            self.names[v.0 as usize] = format!("%{}", v.0);
        }
        let params = self.typed(&args)?;
        let outer = std::mem::take(&mut self.out);
        for op in &block.ops {
            self.op(op)?;
        }
        let body = std::mem::replace(&mut self.out, outer);
        let (values, types) = (self.list(&block.yields)?, self.types(&block.yields)?);
        self.names = outer_names;
        let symbol = format!("combine{}", self.functions.len());
        self.functions.push(format!(
            "func.func private @{symbol}({params}) -> ({types}) {{\n{body}\"func.return\"({values}) : ({types}) -> ()\n}}\n"
        ));
        Ok((symbol, captured))
    }
}

/// Values that a block uses and that nothing in it defines, in order of first use.
fn captures(block: &Block, defined: &mut HashSet<ValueId>, out: &mut Vec<ValueId>) {
    defined.extend(&block.args);
    for op in &block.ops {
        for v in &op.operands {
            if !defined.contains(v) && !out.contains(v) {
                out.push(*v);
            }
        }
        for r in &op.regions {
            captures(r, defined, out);
        }
        defined.extend(&op.results);
    }
    for v in &block.yields {
        if !defined.contains(v) && !out.contains(v) {
            out.push(*v);
        }
    }
}
