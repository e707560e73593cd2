//! Axis analysis: which power of two divides each uniform integer, so that accesses may be wide.
//!
//! ```text
//! %o = program_id * 64     6 zero bits        %i in 0..n step 32 (from 0)     5 zero bits
//! ```

use super::{Block, Func, Kind};
use kcc_dsl::ir::{BinaryOp, Const, OpKind, ValueId};

/// Zero is divisible by everything; this many low bits are enough to know.
const ALL: u32 = 31;

/// Per value: how many low bits are surely zero (0 for what is no uniform `i32`).
#[derive(Clone, Debug, Default)]
pub struct Divisibility {
    bits: Vec<u32>,
}

impl Divisibility {
    /// Analyses a function.
    pub fn of(func: &Func) -> Divisibility {
        let mut d = Divisibility { bits: vec![0; func.values.len()] };
        d.block(&func.body);
        d
    }

    /// Log2 of a number that divides the value.
    pub fn log2(&self, v: ValueId) -> u32 {
        self.bits.get(v.0 as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, v: ValueId, bits: u32) {
        self.bits[v.0 as usize] = bits.min(ALL);
    }

    fn block(&mut self, block: &Block) {
        for op in &block.ops {
            let of = |i: usize| op.operands.get(i).map_or(0, |v| self.log2(*v));
            match &op.kind {
                Kind::Tile(OpKind::Constant(Const::Int(c))) => {
                    let bits = if *c == 0 { ALL } else { c.trailing_zeros() };
                    self.set(op.results[0], bits);
                }
                Kind::Tile(OpKind::Binary(b)) => {
                    let (x, y) = (of(0), of(1));
                    let bits = match b {
                        BinaryOp::Mul => x + y,
                        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Or | BinaryOp::Xor => x.min(y),
                        BinaryOp::Min | BinaryOp::Max => x.min(y),
                        BinaryOp::And => x.max(y),
                        _ => 0,
                    };
                    self.set(op.results[0], bits);
                }
                Kind::Tile(OpKind::Select) => {
                    let bits = of(1).min(of(2));
                    self.set(op.results[0], bits);
                }
                Kind::Tile(OpKind::For { .. }) => self.for_loop(op),
                Kind::Tile(OpKind::If) => {
                    for r in &op.regions {
                        self.block(r);
                    }
                    for (i, r) in op.results.iter().enumerate() {
                        let bits = op.regions.iter().map(|b| b.yields.get(i).map_or(0, |y| self.log2(*y)));
                        let bits = bits.min().unwrap_or(0);
                        self.set(*r, bits);
                    }
                }
                _ => {
                    for r in &op.regions {
                        self.block(r);
                    }
                }
            }
        }
    }

    /// Carried values start as their initial values suggest and lose bits until the body agrees.
    fn for_loop(&mut self, op: &super::Op) {
        let Some(body) = op.regions.first() else { return };
        let (Some(iv), Some(inits)) = (body.args.first(), op.operands.get(3..)) else { return };
        let bits = self.log2(op.operands[0]).min(self.log2(op.operands[2]));
        self.set(*iv, bits);
        for (arg, init) in body.args[1..].iter().zip(inits) {
            let bits = self.log2(*init);
            self.set(*arg, bits);
        }
        // Each round lowers at least one of the carried values or ends.
        loop {
            self.block(body);
            let mut changed = false;
            for (arg, y) in body.args[1..].iter().zip(&body.yields) {
                let bits = self.log2(*arg).min(self.log2(*y));
                changed |= bits != self.log2(*arg);
                self.set(*arg, bits);
            }
            if !changed {
                break;
            }
        }
        for (r, arg) in op.results.iter().zip(&body.args[1..]) {
            let bits = self.log2(*arg);
            self.set(*r, bits);
        }
    }
}
