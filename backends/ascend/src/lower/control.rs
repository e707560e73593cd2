//! Loops and branches. Carried values have a home of their own, written before the first turn and at the end of each.

use super::Lower;
use super::assign_cores::{self, Chain};
use super::values::Held;
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::{Op, OpKind, ValueId};

/// Where a carried value lives across turns.
#[derive(Clone, Copy)]
pub(super) enum Home {
    Register(Reg),
    Buffer(u32),
    /// Another kind of core has it, or accumulators do.
    Elsewhere,
}

impl Home {
    fn held(self) -> Option<Held> {
        match self {
            Home::Register(r) => Some(Held::Scalar(r.into())),
            Home::Buffer(b) => Some(Held::Tile(b)),
            Home::Elsewhere => None,
        }
    }
}

impl Lower<'_> {
    pub(super) fn control(&mut self, op: &Op) -> Result<(), Error> {
        if !matches!(op.kind, OpKind::While) {
            self.tell(assign_cores::decisions(op))?;
        }
        let outer = std::mem::take(&mut self.carried);
        let done = match op.kind {
            OpKind::For { .. } => self.loop_for(op),
            OpKind::While => self.loop_while(op),
            _ => self.branch(op),
        };
        self.carried = outer;
        done
    }

    /// The home of a carried value, known inside the region as `v`.
    pub(super) fn home(&mut self, v: ValueId) -> Result<Home, Error> {
        let t = self.tile(v)?.clone();
        if let Some(c) = self.cores {
            let chain = c.chains.values().any(|x| x.arg == v);
            let cube = self.core == CoreKind::Cube;
            if chain || cube && (t.rank() > 0 || c.far.contains(&v)) {
                return Ok(Home::Elsewhere);
            }
        }
        Ok(if t.rank() == 0 { Home::Register(self.reg()) } else { Home::Buffer(self.buffer(&t)) })
    }

    /// Copies a value to its home.
    pub(super) fn settle(&mut self, home: Home, v: ValueId) -> Result<(), Error> {
        match home {
            Home::Elsewhere => {}
            Home::Register(to) => {
                let value = self.scalar(v)?;
                self.assign(to, Scalar::Move { value });
            }
            Home::Buffer(to) => {
                let t = self.tile(v)?.clone();
                let from = self.in_buffer(v)?;
                if from != to {
                    self.copy(to, from, &t);
                }
            }
        }
        Ok(())
    }

    /// Values that are in their homes.
    pub(super) fn dwell(&mut self, values: &[ValueId], homes: &[Home]) {
        for (v, home) in values.iter().zip(homes) {
            if let Some(held) = home.held() {
                self.set(*v, held);
            }
        }
    }

    /// Copies several values at once: each is read before any home is overwritten.
    pub(super) fn settle_all(&mut self, homes: &[Home], values: &[ValueId]) -> Result<(), Error> {
        // A value that is another one's home would change on the way.
        let mut staged = Vec::new();
        for (home, v) in homes.iter().zip(values) {
            if matches!(home, Home::Elsewhere) {
                continue;
            }
            let held = self.get(*v)?;
            let clashes = homes.iter().any(|h| match (h, &held) {
                (Home::Register(r), Held::Scalar(Val::Reg(s))) => r == s,
                (Home::Buffer(b), Held::Tile(c)) => b == c,
                _ => false,
            });
            let same = match (home, &held) {
                (Home::Register(r), Held::Scalar(Val::Reg(s))) => r == s,
                (Home::Buffer(b), Held::Tile(c)) => b == c,
                _ => false,
            };
            if clashes && !same && homes.len() > 1 {
                let copy = match held {
                    Held::Scalar(value) => Held::Scalar(self.let_(Scalar::Move { value })),
                    Held::Tile(b) => {
                        let t = self.tile(*v)?.clone();
                        Held::Tile(self.duplicate(b, &t))
                    }
                    other => other,
                };
                staged.push((*v, std::mem::replace(self.held.entry(*v).or_insert(copy.clone()), copy)));
            }
        }
        for (home, v) in homes.iter().zip(values) {
            self.settle(*home, *v)?;
        }
        for (v, held) in staged {
            self.set(v, held);
        }
        Ok(())
    }

    fn loop_for(&mut self, op: &Op) -> Result<(), Error> {
        if let Some(s) = self.cores.and_then(|c| c.skews.get(&op.regions[0].args[0])) {
            return self.loop_skewed(op, s);
        }
        let bound = |l: &Self, i: usize| l.scalar(op.operands[i]);
        let (from, to, step) = (bound(self, 0)?, bound(self, 1)?, bound(self, 2)?);
        let carried = &op.operands[3..];
        let region = &op.regions[0];
        let homes: Vec<Home> = region.args[1..].iter().map(|v| self.home(*v)).collect::<Result<_, _>>()?;
        self.settle_all(&homes, carried)?;
        let chains: Vec<(ValueId, Chain)> =
            (op.results.iter()).filter_map(|r| Some((*r, self.cores?.chains.get(r)?.clone()))).collect();
        if self.core == CoreKind::Cube {
            chains.iter().try_for_each(|(r, _)| self.start_chain(*r))?;
        }
        let counter = self.reg();
        self.open();
        self.set(region.args[0], Held::Scalar(counter.into()));
        self.dwell(&region.args[1..], &homes);
        self.carried = region.args[1..].iter().copied().collect();
        self.block(region)?;
        self.loc = op.loc;
        self.settle_all(&homes, &region.yields)?;
        let body = self.close();
        self.push(Stmt::For { counter, from, to, step, body });
        self.dwell(&op.results, &homes);
        if chains.is_empty() {
            return Ok(());
        }
        // They leave together: one pair of flags says it of all.
        if self.core == CoreKind::Cube {
            return self.end_chains(&chains);
        }
        self.await_results(chains[0].0);
        chains.into_iter().try_for_each(|(r, c)| self.fetch(r, c.out, c.init))
    }

    fn loop_while(&mut self, op: &Op) -> Result<(), Error> {
        let (head, body) = (&op.regions[0], &op.regions[1]);
        let homes: Vec<Home> = head.args.iter().map(|v| self.home(*v)).collect::<Result<_, _>>()?;
        self.settle_all(&homes, &op.operands)?;
        self.open();
        self.dwell(&head.args, &homes);
        self.block(head)?;
        self.loc = op.loc;
        self.tell(&head.yields[..1])?;
        let condition = self.reg();
        let value = self.scalar(head.yields[0])?;
        self.assign(condition, Scalar::Move { value });
        self.settle_all(&homes, &head.yields[1..])?;
        let first = self.close();
        self.open();
        self.dwell(&body.args, &homes);
        self.block(body)?;
        self.loc = op.loc;
        self.settle_all(&homes, &body.yields)?;
        let turn = self.close();
        self.push(Stmt::While { head: first, condition, body: turn });
        self.dwell(&op.results, &homes);
        Ok(())
    }

    fn branch(&mut self, op: &Op) -> Result<(), Error> {
        let condition = self.scalar(op.operands[0])?;
        let homes: Vec<Home> = op.results.iter().map(|v| self.home(*v)).collect::<Result<_, _>>()?;
        let mut ways = Vec::new();
        for region in &op.regions {
            self.open();
            self.block(region)?;
            self.loc = op.loc;
            self.settle_all(&homes, &region.yields)?;
            ways.push(self.close());
        }
        let otherwise = ways.pop().unwrap_or_default();
        let then = ways.pop().unwrap_or_default();
        self.push(Stmt::If { condition, then, otherwise });
        self.dwell(&op.results, &homes);
        Ok(())
    }
}
