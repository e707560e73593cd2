//! Operations with regions: `scf.for`, `scf.while`, `scf.if`, and reductions and scans by a function.

use super::attributes::Attrs;
use super::{MAX_CLOSURES, Reader};
use crate::dialect;
use crate::error::Error;
use crate::mlir::handle::{self, Attr};
use kcc_dsl::ir::{Block, LocId, Op, OpKind, ValueId};

impl Reader<'_> {
    pub(super) fn control(
        &mut self,
        op: handle::Op,
        operands: Vec<ValueId>,
        loc: LocId,
    ) -> Result<Op, Error> {
        let regions = op.regions();
        let mut attrs = Attrs::new(op, self.place(op));
        let kind = match op.name() {
            "scf.for" => {
                let stages = attrs.optional_int(dialect::STAGES)?.unwrap_or(0);
                let stages = u8::try_from(stages).map_err(|_| {
                    self.place(op).invalid(format!("{stages} stages")).help("a loop has 0 to 255 stages")
                })?;
                OpKind::For { stages }
            }
            "scf.while" => OpKind::While,
            _ => OpKind::If,
        };
        attrs.finish()?;
        let mut blocks = Vec::new();
        for (i, region) in regions.iter().enumerate() {
            if region.is_empty() && matches!(kind, OpKind::If) {
                blocks.push(Block::default()); // an `if` without `else`
                continue;
            }
            let block = self.only_block(op, Some(region))?;
            let args = self.define_all(op, &block.args())?;
            let (ops, terminator) = self.body(op, block)?;
            let wanted = if matches!(kind, OpKind::While) && i == 0 { "scf.condition" } else { "scf.yield" };
            if terminator.name() != wanted {
                let what = format!("`{}` ends a region of `{}`", terminator.name(), op.name());
                return Err(self.place(terminator).invalid(what).help(format!("end it with `{wanted}`")));
            }
            let yields = self.uses(terminator, &terminator.operands())?;
            blocks.push(Block { args, ops, yields });
        }
        let results = self.define_all(op, &op.results())?;
        Ok(Op { kind, operands, results, regions: blocks, loc })
    }

    pub(super) fn closure(
        &mut self,
        op: handle::Op,
        operands: Vec<ValueId>,
        loc: LocId,
    ) -> Result<Op, Error> {
        let mut attrs = Attrs::new(op, self.place(op));
        let axis = attrs.axis("axis")?;
        let captured = attrs.int("captured")?;
        let symbol = attrs.take("combine").and_then(Attr::symbol);
        let kind = match op.name() {
            "kt.reduce_with" => OpKind::ReduceWith { axis },
            _ => OpKind::ScanWith { axis, reverse: attrs.bool("reverse")? },
        };
        attrs.finish()?;
        let Some((symbol, function)) = symbol.and_then(|s| self.functions.get(s).map(|f| (s, *f))) else {
            let help = "give `combine` the name of a function of this module";
            return Err(self.place(op).invalid(format!("`{}` names no function", op.name())).help(help));
        };
        let split = usize::try_from(captured).ok().and_then(|c| operands.len().checked_sub(c));
        let Some(split) = split else {
            return Err(self
                .place(op)
                .invalid(format!("{captured} captured values of {} operands", operands.len())));
        };
        let (tiles, captured) = operands.split_at(split);
        if self.depth == MAX_CLOSURES {
            return Err(self.place(op).invalid(format!("@{symbol} calls itself, or closures nest too deep")));
        }
        self.depth += 1;
        let block = self.inline(op, function, tiles.len(), captured)?;
        self.depth -= 1;
        let results = self.define_all(op, &op.results())?;
        Ok(Op { kind, operands: tiles.to_vec(), results, regions: vec![block], loc })
    }

    /// The body of a function as a region: its last arguments become the captured values.
    fn inline(
        &mut self,
        op: handle::Op,
        function: handle::Op,
        tiles: usize,
        captured: &[ValueId],
    ) -> Result<Block, Error> {
        let block = self.only_block(function, function.regions().first())?;
        let all = block.args();
        if all.len() != 2 * tiles + captured.len() {
            let what = format!(
                "the function of `{}` takes {} arguments, not two per tile ({}) and {} captured",
                op.name(),
                all.len(),
                2 * tiles,
                captured.len()
            );
            return Err(self
                .place(op)
                .invalid(what)
                .help("arguments are: accumulators, elements, captured values"));
        }
        let (own, outer) = all.split_at(2 * tiles);
        let args = self.define_all(function, own)?;
        for (v, id) in outer.iter().zip(captured) {
            if &self.ty(function, v.ty())? != self.kernel.ty(*id) {
                let what = format!("captured value of type {} as {}", self.kernel.ty(*id), v.ty());
                return Err(self.place(op).invalid(what));
            }
            self.values.insert(*v, *id);
        }
        let (ops, terminator) = self.body(function, block)?;
        let yields = self.uses(terminator, &terminator.operands())?;
        Ok(Block { args, ops, yields })
    }
}
