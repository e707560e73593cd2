//! Whether the tiles of a kernel fit a block of the chip, and what does where they do not.
//!
//! ```text
//! compile ─ too much? ─ fewer stages, buffers that share memory, more warps ─ fits ─┬─ nobody asked for the number: taken
//!                                                                                   └─ somebody did: the error names what fits
//!                                                                   └─ nothing fits: the error names smaller tiles
//! ```

mod registers;
mod shared;

pub use registers::held;
pub use shared::Buffer;

use super::{Facts, GpuOptions, GpuTarget, Reuse};
use crate::error::{Error, at};
use crate::ktg::{Func, GpuOp, Kind};
use kcc_dsl::ir::Loc;

/// Registers that an asynchronous product takes at least besides its sums, which cannot be kept in memory meanwhile: descriptors,
/// barriers, counters. With fewer the assembler refuses the code.
const BESIDE_SUMS: u32 = 16;

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of a block.
    Shared,
    /// Registers of a thread.
    Registers,
}

/// What a kernel needs and its chip does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub resource: Resource,
    /// How much is needed, at least.
    pub needed: u32,
    /// How much there is.
    pub limit: u32,
    kernel: String,
    arch: String,
    loc: Loc,
    stages: u32,
    warps: u32,
    /// Registers that were asked for, and that a thread could have.
    asked: Option<u32>,
    most: u32,
    /// The tiles that take it: extents and amounts.
    parts: Vec<(Vec<usize>, u32)>,
}

/// Stages of the function's rings.
fn stages(func: &Func) -> u32 {
    shared::buffers(func).iter().map(|b| b.stages).max().unwrap_or(1)
}

/// What of a function, whose passes have run, does not fit. `shared` is what its blocks take, its lowering's own part
/// included.
pub fn excess(func: &Func, shared: u32, target: &dyn GpuTarget) -> Option<Excess> {
    let facts = target.facts();
    let make = |resource, (needed, limit), loc, parts| Excess {
        resource,
        needed,
        limit,
        kernel: func.name.clone(),
        arch: facts.arch.clone(),
        loc: func.loc(loc).clone(),
        stages: stages(func),
        warps: func.warps,
        asked: func.max_registers,
        most: registers::hardware_limit(func.threads(facts.lanes), facts),
        parts,
    };
    if shared > facts.shared_bytes {
        let buffers = shared::buffers(func);
        let loc = buffers.iter().max_by_key(|b| b.bytes).map(|b| b.loc).unwrap_or_default();
        let mut parts: Vec<_> = buffers.into_iter().map(|b| (b.shape, b.bytes)).collect();
        let named: u32 = parts.iter().map(|p| p.1).sum();
        // Conversions between layouts: as large as the largest tile.
        if let Some(shape) = parts.iter().max_by_key(|p| p.1).map(|p| p.0.clone()) {
            parts.push((shape, shared.saturating_sub(named)));
        }
        return Some(make(Resource::Shared, (shared, facts.shared_bytes), loc, parts));
    }
    let mut held = held(func, facts);
    let mut wide = false;
    func.walk(&mut |op| wide |= matches!(op.kind, Kind::Gpu(GpuOp::MmaAsync { .. })));
    if wide && held.registers > 0 {
        // What has no extents does not shrink.
        held.registers += BESIDE_SUMS;
        held.tiles.push((Vec::new(), BESIDE_SUMS));
    }
    let least = registers::at_least(func, target);
    if least.registers.max(held.registers) > held.limit && least.registers >= held.registers {
        held = least;
    }
    (held.registers > held.limit)
        .then(|| make(Resource::Registers, (held.registers, held.limit), held.loc, held.tiles))
}

/// Twice as many warps, where nobody asked for a number and operands lie twice in a warp, for a function whose threads hold more than half of
/// their registers all the time: the rest is too little for operands, so that the generator keeps tiles in memory, or nearly so, and takes long.
pub fn less_crowded(func: &Func, options: &GpuOptions, facts: &Facts) -> Option<GpuOptions> {
    let held = held(func, facts);
    let crowded = facts.twin_operands && options.warps.is_none() && held.registers > held.limit / 2;
    crowded.then(|| GpuOptions { warps: Some(2 * func.warps), ..options.clone() })
}

impl Excess {
    /// The error, with a configuration that is known to fit, if there is one.
    fn error(&self, fits: Option<&str>) -> Error {
        let (what, whose) = match self.resource {
            Resource::Shared => ("bytes of shared memory", "a block"),
            Resource::Registers => ("registers of a thread at once", "a thread"),
        };
        let has = match self.resource {
            Resource::Shared => format!("{whose} of {} has {}", self.arch, self.limit),
            Resource::Registers => match self.asked.filter(|asked| *asked <= self.limit) {
                Some(asked) => format!("option registers={asked} gives it no more"),
                None => format!("{whose} of {} has {} with {} warps", self.arch, self.limit, self.warps),
            },
        };
        let message = format!("the tiles of `{}` need {} {what}, {has}", self.kernel, self.needed);
        let help = fits.map_or_else(|| self.smaller(), |f| format!("{f} fits"));
        at(&self.loc).invalid(message).help(help)
    }

    /// Extents to halve, largest gain first, until what is left is within the limit.
    fn smaller(&self) -> String {
        let mut parts = self.parts.clone();
        let total = |parts: &[(Vec<usize>, u32)]| parts.iter().map(|p| p.1).sum::<u32>();
        let halved = |parts: &[(Vec<usize>, u32)], extent: usize| -> Vec<(Vec<usize>, u32)> {
            let part = |(shape, amount): &(Vec<usize>, u32)| {
                let times = shape.iter().filter(|e| **e == extent).count() as u32;
                let shape = shape.iter().map(|e| if *e == extent { e.div_ceil(2) } else { *e }).collect();
                (shape, amount >> times)
            };
            parts.iter().map(part).collect()
        };
        let mut said: Vec<(usize, usize)> = Vec::new();
        while total(&parts) > self.limit {
            let mut extents: Vec<usize> = parts.iter().flat_map(|p| p.0.iter().copied()).collect();
            extents.sort_unstable();
            extents.dedup();
            let best =
                extents.into_iter().filter(|e| *e > 1).min_by_key(|e| (total(&halved(&parts, *e)), *e));
            let Some(best) = best else { break };
            parts = halved(&parts, best);
            match said.iter_mut().find(|(_, now)| *now == best) {
                Some((_, now)) => *now = best.div_ceil(2),
                None => said.push((best, best.div_ceil(2))),
            }
        }
        let said: Vec<String> = said.iter().map(|(from, to)| format!("{to} in place of {from}")).collect();
        format!("give tiles smaller extents: with {} they take about {}", said.join(" and "), total(&parts))
    }
}

/// Other options to try after an excess, with what to call them and whether they may be taken unasked.
fn others(asked: &GpuOptions, first: &Excess) -> Vec<(GpuOptions, String, bool)> {
    match first.resource {
        Resource::Shared => {
            let fewer = |from: u32, reuse: Reuse| {
                (1..=from).rev().map(move |n| {
                    let options = GpuOptions { most_stages: Some(n), reuse, ..asked.clone() };
                    (options, format!("stages={n}"), asked.stages.is_none() || n == first.stages)
                })
            };
            let [some, all, most] =
                [Reuse::Conversions, Reuse::Stores, Reuse::Scratch].map(|r| fewer(first.stages, r));
            let plain = fewer(first.stages.saturating_sub(1), Reuse::Plain);
            if asked.stages.is_some() {
                // What was asked for, if there is a way.
                let (whole, less): (Vec<_>, Vec<_>) =
                    some.chain(all).chain(most).partition(|(o, ..)| o.most_stages == Some(first.stages));
                return whole.into_iter().chain(plain).chain(less).collect();
            }
            plain.chain(some).chain(all).chain(most).collect()
        }
        Resource::Registers => {
            let more = first.asked.into_iter().flat_map(|_| {
                let enough = [first.needed, first.needed + BESIDE_SUMS, first.most];
                enough
                    .map(|n| n.next_multiple_of(8))
                    .into_iter()
                    .filter(|n| *n <= first.most.next_multiple_of(8))
            });
            let more = more.map(|n| {
                (
                    asked.with("registers", n.min(first.most)),
                    format!("registers={}", n.min(first.most)),
                    false,
                )
            });
            let warps = (1..6).map(|bit| 1 << bit).filter(|n| *n > first.warps).map(|n| {
                let options = GpuOptions { warps: Some(n), ..asked.clone() };
                (options, format!("warps={n}"), asked.warps.is_none())
            });
            more.chain(warps).collect()
        }
    }
}

/// Compiles with the options as given; where that does not fit, with fewer stages or more warps, as long as nobody asked for
/// another number.
///
/// # Errors
/// Those of an attempt; what does not fit, with what would.
#[allow(clippy::type_complexity)] // the two errors are of two kinds
pub fn search<T, E: From<Error>>(
    options: &GpuOptions,
    attempt: &mut dyn FnMut(&GpuOptions) -> Result<Result<T, Excess>, E>,
) -> Result<T, E> {
    let first = match attempt(options)? {
        Ok(done) => return Ok(done),
        Err(excess) => excess,
    };
    let mut last = first.clone();
    for (options, name, unasked) in others(options, &first) {
        match attempt(&options)? {
            Ok(done) if unasked => return Ok(done),
            Ok(_) => return Err(first.error(Some(&name)).into()),
            Err(excess) if excess.resource == first.resource => last = excess,
            Err(_) => {}
        }
    }
    Err(last.error(None).into())
}
