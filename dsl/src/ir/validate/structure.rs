//! Who defines and who uses a value: every value once, before its uses, in a region around them.

use super::{Checker, DEEP};
use crate::ir::{Block, LocId, Op, OpKind, Param, Type, ValueId};

impl Checker<'_> {
    /// Parameters, then the body.
    pub fn kernel(&mut self) {
        let kernel = self.kernel;
        let identifier = |s: &str| {
            let mut chars = s.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !identifier(&kernel.name) {
            self.error(None, format!("`{}` is not a kernel name", kernel.name), None);
        }
        for (i, ty) in kernel.values.iter().enumerate() {
            self.value_type(i, ty);
        }
        if !self.errors.is_empty() {
            // Sizes may overflow from here on.
            return;
        }
        if kernel.params.len() > kernel.values.len() {
            self.error(None, "there are more parameters than values".into(), None);
            return;
        }
        self.scope.push(Vec::new());
        for (i, p) in kernel.params.iter().enumerate() {
            self.param(i, p);
        }
        if !kernel.body.args.is_empty() || !kernel.body.yields.is_empty() {
            self.error(None, "a kernel's body takes no arguments and yields nothing".into(), None);
        }
        self.ops(&kernel.body, 0);
    }

    fn param(&mut self, i: usize, p: &Param) {
        let v = ValueId(i as u32);
        if self.ty(v) != Some(&p.kind.ty()) {
            self.error(None, format!("parameter `{}` and its value differ in type", p.name), None);
        }
        self.define(v, None);
    }

    fn define(&mut self, v: ValueId, loc: Option<LocId>) {
        match self.defined.get_mut(v.0 as usize) {
            None => self.error(loc, format!("%{} has no type", v.0), None),
            Some(d) if *d => self.error(loc, format!("%{} is defined twice", v.0), None),
            Some(d) => {
                *d = true;
                if let Some(scope) = self.scope.last_mut() {
                    scope.push(v);
                }
                self.visible.insert(v);
            }
        }
    }

    fn used(&mut self, v: ValueId, loc: Option<LocId>, by: &str) {
        if self.visible.contains(&v) {
            return;
        }
        let help = "a value made inside a run-time loop or branch ends with it: assign it to a variable of the function, \
                    which the loop or branch then carries";
        self.error(loc, format!("`{by}` uses a value that is not defined here"), Some(help));
    }

    fn enter(&mut self) {
        self.scope.push(Vec::new());
    }

    fn exit(&mut self) {
        for v in self.scope.pop().unwrap_or_default() {
            self.visible.remove(&v);
        }
    }

    fn ops(&mut self, block: &Block, depth: usize) {
        for op in &block.ops {
            let loc = Some(op.loc);
            if op.loc.0 as usize >= self.kernel.locs.len() {
                self.error(None, format!("`{}` has no place", op.kind.name()), None);
            }
            for &v in &op.operands {
                self.used(v, loc, op.kind.name());
            }
            if op.regions.len() != op.kind.regions() {
                let message = format!(
                    "`{}` has {} regions instead of {}",
                    op.kind.name(),
                    op.regions.len(),
                    op.kind.regions()
                );
                self.error(loc, message, None);
            } else {
                self.op_types(op);
                self.regions(op, depth + 1);
            }
            for &v in &op.results {
                self.define(v, loc);
            }
        }
    }

    fn regions(&mut self, op: &Op, depth: usize) {
        if depth > DEEP {
            self.error(Some(op.loc), format!("loops and branches are nested more than {DEEP} deep"), None);
            return;
        }
        for region in &op.regions {
            self.enter();
            for &v in &region.args {
                self.define(v, Some(op.loc));
            }
            self.ops(region, depth);
            for &v in &region.yields {
                self.used(v, Some(op.loc), op.kind.name());
            }
            if matches!(op.kind, OpKind::ReduceWith { .. } | OpKind::ScanWith { .. }) {
                self.pure(region);
            }
            self.exit();
        }
    }

    /// The closure of a reduction or scan computes scalars from scalars.
    fn pure(&mut self, region: &Block) {
        for op in &region.ops {
            let scalar = |v: &ValueId| matches!(self.ty(*v), Some(Type::Tile(t)) if t.rank() == 0);
            let fine = op.regions.is_empty()
                && !op.kind.has_side_effect()
                && !op.kind.reads_memory()
                && op.operands.iter().chain(&op.results).all(scalar);
            if !fine {
                let message = format!("`{}` cannot be part of a reduction's closure", op.kind.name());
                self.error(
                    Some(op.loc),
                    message,
                    Some("the closure combines scalars by element-wise operations; choose with `select(condition, a, b)`"),
                );
            }
        }
    }
}
