//! Operations with regions; each region is built by a closure.

use super::Builder;
use crate::ir::{OpKind, Type, ValueId};

/// What a closure that builds a region returns: the values that the region yields.
type Yields = Vec<ValueId>;

impl Builder {
    /// `for iv in (lo..hi).step_by(step)`: `body(b, iv, carried)` returns the next carried values.
    #[track_caller]
    pub fn for_(
        &mut self,
        [lo, hi, step]: [ValueId; 3],
        carried: &[ValueId],
        body: impl FnOnce(&mut Builder, ValueId, &[ValueId]) -> Yields,
    ) -> Vec<ValueId> {
        let types: Vec<Type> = carried.iter().map(|&v| self.ty(v)).collect();
        let mut args = vec![self.ty(lo)];
        args.extend(types.iter().cloned());
        let args = self.begin(&args);
        let yields = body(self, args[0], &args[1..]);
        let block = self.end(yields);
        let operands: Vec<ValueId> = [lo, hi, step].into_iter().chain(carried.iter().copied()).collect();
        self.push(OpKind::For { stages: 0 }, &operands, &types, vec![block])
    }

    /// `while`: `condition(b, carried)` returns the `bool` and the values handed to `body`.
    #[track_caller]
    pub fn while_(
        &mut self,
        carried: &[ValueId],
        condition: impl FnOnce(&mut Builder, &[ValueId]) -> (ValueId, Yields),
        body: impl FnOnce(&mut Builder, &[ValueId]) -> Yields,
    ) -> Vec<ValueId> {
        let types: Vec<Type> = carried.iter().map(|&v| self.ty(v)).collect();
        let args = self.begin(&types);
        let (holds, values) = condition(self, &args);
        let before = self.end([vec![holds], values].concat());
        let args = self.begin(&types);
        let yields = body(self, &args);
        let after = self.end(yields);
        self.push(OpKind::While, carried, &types, vec![before, after])
    }

    /// `if`: both closures return values of the same types.
    #[track_caller]
    pub fn if_(
        &mut self,
        condition: ValueId,
        then: impl FnOnce(&mut Builder) -> Yields,
        otherwise: impl FnOnce(&mut Builder) -> Yields,
    ) -> Vec<ValueId> {
        self.begin(&[]);
        let yields = then(self);
        let types: Vec<Type> = yields.iter().map(|&v| self.ty(v)).collect();
        let then = self.end(yields);
        self.begin(&[]);
        let yields = otherwise(self);
        if !yields.iter().map(|&v| self.ty(v)).eq(types.iter().cloned()) {
            self.fail("the two regions of `if` yield different types".into());
        }
        let otherwise = self.end(yields);
        self.push(OpKind::If, &[condition], &types, vec![then, otherwise])
    }

    /// Reduces tiles of one shape together; `combine(b, acc, x)` takes and returns scalars.
    #[track_caller]
    pub fn reduce_with(
        &mut self,
        axis: u8,
        tiles: &[ValueId],
        combine: impl FnOnce(&mut Builder, &[ValueId], &[ValueId]) -> Yields,
    ) -> Vec<ValueId> {
        let kind = OpKind::ReduceWith { axis };
        let types = self.infer(&kind, tiles);
        let block = self.combiner(tiles, combine);
        self.push(kind, tiles, &types, vec![block])
    }

    /// Inclusive scan of tiles of one shape together; `combine` as in [`Builder::reduce_with`].
    #[track_caller]
    pub fn scan_with(
        &mut self,
        axis: u8,
        reverse: bool,
        tiles: &[ValueId],
        combine: impl FnOnce(&mut Builder, &[ValueId], &[ValueId]) -> Yields,
    ) -> Vec<ValueId> {
        let types: Vec<Type> = tiles.iter().map(|&v| self.ty(v)).collect();
        let block = self.combiner(tiles, combine);
        self.push(OpKind::ScanWith { axis, reverse }, tiles, &types, vec![block])
    }

    fn combiner(
        &mut self,
        tiles: &[ValueId],
        combine: impl FnOnce(&mut Builder, &[ValueId], &[ValueId]) -> Yields,
    ) -> crate::ir::Block {
        let scalars: Vec<Type> =
            tiles.iter().map(|&v| Type::Tile(crate::ir::TileType::scalar(self.ty(v).elem()))).collect();
        let args = self.begin(&[scalars.clone(), scalars].concat());
        let (acc, x) = args.split_at(tiles.len());
        let yields = combine(self, acc, x);
        self.end(yields)
    }
}
