//! How wide a thread may access a view: alignment of the argument, of its strides and extent, and of the offsets.
//!
//! ```text
//! align 16 B ∧ strides 16 B ∧ extent 16 B ∧ offset divisible by 8 elements of 2 B   →  8 elements along the unit axis
//! ```

use super::axis::Divisibility;
use super::{Func, Kind, Op};
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{OpKind, ValueId};
use std::collections::HashMap;

/// What is known of a view value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewFacts {
    /// The kernel parameter that it is a part of.
    pub param: usize,
    /// Facts of that argument.
    pub spec: ArgSpec,
    /// Leading axes of the parameter that are fixed.
    pub fixed: usize,
    /// The axis of this view whose stride is 1.
    pub unit_axis: Option<usize>,
    /// Log2 of the bytes that the address of element (0, …, 0) is aligned to.
    pub align: u32,
}

/// Facts of every view of a function.
#[derive(Clone, Debug, Default)]
pub struct Views {
    facts: HashMap<ValueId, ViewFacts>,
}

impl Views {
    /// Analyses a function.
    pub fn of(func: &Func) -> Views {
        let mut views = Views::default();
        for (i, spec) in func.args.iter().enumerate() {
            let v = ValueId(i as u32);
            if matches!(func.values.get(i), Some(super::Type::View { .. })) {
                let unit_axis = spec.unit_axis.map(usize::from);
                let align = u32::from(spec.align);
                let facts = ViewFacts { param: i, spec: spec.clone(), fixed: 0, unit_axis, align };
                views.facts.insert(v, facts);
            }
        }
        func.walk(&mut |op| {
            if let Kind::Tile(OpKind::At) = op.kind
                && let Some(base) = views.facts.get(&op.operands[0]).cloned()
            {
                let fixed = op.operands.len() - 1;
                let inner = base.unit_axis.and_then(|a| a.checked_sub(fixed));
                // With the unit axis among those fixed, the address moves by single elements.
                let align = match base.unit_axis {
                    Some(a) if a >= fixed => base.align.min(u32::from(base.spec.stride_align)),
                    _ => 0,
                };
                let facts = ViewFacts { fixed: base.fixed + fixed, unit_axis: inner, align, ..base };
                views.facts.insert(op.results[0], facts);
            }
        });
        views
    }

    /// Facts of a view.
    pub fn get(&self, v: ValueId) -> Option<&ViewFacts> {
        self.facts.get(&v)
    }
}

/// How a load or store may touch memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Axis of the tile along which neighbours in memory lie.
    pub axis: usize,
    /// How many of them one access may have: a power of two. A group of so many, aligned in the tile, lies in the view as
    /// a whole or not at all.
    pub elements: u32,
}

/// The access of a load, store, or row-wise load or store; `tile` is the shape of the tile. One element along the last
/// axis where nothing is known.
pub fn access(
    func: &Func,
    views: &Views,
    div: &Divisibility,
    op: &Op,
    tile: &[usize],
    max_bytes: u32,
) -> Access {
    let narrow = Access { axis: tile.len().saturating_sub(1), elements: 1 };
    let Some(facts) = op.operands.first().and_then(|v| views.get(*v)) else { return narrow };
    let Some(elem) = func.ty(op.operands[0]).elem() else { return narrow };
    let Some(axis) = facts.unit_axis.filter(|a| *a < tile.len()) else { return narrow };
    let unit = elem.bytes().trailing_zeros();
    let rows = matches!(op.kind, Kind::Tile(OpKind::LoadRows { .. } | OpKind::StoreRows { .. }))
        || matches!(op.kind, Kind::Gpu(super::GpuOp::AsyncLoadRows { .. }));
    // Operands: view, one offset per axis; of rows: view, row indices, column.
    let offset = if rows { op.operands.get(2) } else { op.operands.get(1 + axis) };
    if rows && axis != 1 {
        return Access { axis, elements: 1 };
    }
    let Some(offset) = offset else { return narrow };
    let strides = if tile.len() > 1 { u32::from(facts.spec.stride_align) } else { u32::MAX };
    let bytes = facts
        .align
        .min(strides)
        .min(u32::from(facts.spec.dim_align))
        .min(div.log2(*offset).saturating_add(unit))
        .min(max_bytes.trailing_zeros());
    let elements = 1u32 << bytes.saturating_sub(unit);
    let within = 1u32 << tile[axis].trailing_zeros().min(24);
    Access { axis, elements: elements.min(within) }
}
