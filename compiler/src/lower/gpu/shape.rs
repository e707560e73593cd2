//! Operations that only rename registers: each thread already holds what it needs.
//!
//! ```text
//! broadcast [4] → [4, 8]: register r of the result is the register of the operand that holds the same row
//! ```

use super::{Lower, Val};
use crate::error::{Error, bug};
use crate::ktg::{Layout, Op};
use crate::layout::{Dim, Linear};
use crate::passes::gpu::assign_layouts::operand_layout;
use kcc_dsl::ir::{OpKind, ValueId};

/// For each register of `wanted`, a register of `have` that holds the same element in the same lane and warp; `None` if
/// some element lies elsewhere.
pub fn register_map(have: &Linear, wanted: &Linear) -> Option<Vec<u32>> {
    for dim in [Dim::Lane, Dim::Warp, Dim::Block] {
        let (h, w) = (have.basis(dim), wanted.basis(dim));
        let bits = h.len().max(w.len());
        let zero = [0; 3];
        if (0..bits).any(|b| h.get(b).unwrap_or(&zero) != w.get(b).unwrap_or(&zero)) {
            return None;
        }
    }
    // Registers of `have` by what they add; several may hold the same.
    let mut holder = std::collections::HashMap::new();
    for r in (0..have.registers()).rev() {
        holder.insert(have.part(Dim::Register, r), r);
    }
    (0..wanted.registers()).map(|r| holder.get(&wanted.part(Dim::Register, r)).copied()).collect()
}

impl Lower<'_> {
    /// The layout of a value that has one.
    ///
    /// # Errors
    /// A bug: it has none.
    pub fn layout(&self, v: ValueId) -> Result<Layout, Error> {
        let layout = self.func.ty(v).layout().cloned();
        layout.ok_or_else(|| bug(format!("value {} ({}) has no layout", v.0, self.func.ty(v))))
    }

    /// Shape of a tile.
    pub fn shape_of(&self, v: ValueId) -> Vec<usize> {
        self.func.ty(v).tile().map(|t| t.shape.clone()).unwrap_or_default()
    }

    pub(super) fn shape_op(&mut self, kind: &OpKind, op: &Op) -> Result<(), Error> {
        let (from, to) = (op.operands[0], op.results[0]);
        if let Some(c) = self.constant(from) {
            self.consts.insert(to, c);
        }
        let (own, result) = (self.shape_of(from), self.shape_of(to));
        let regs = self.regs(from)?;
        if own.is_empty() || result.is_empty() {
            if result.is_empty() && !own.is_empty() {
                // One element, held by all or by the first place.
                let value = self.first_element(from)?;
                self.set(to, Val::Regs(vec![value]));
                return Ok(());
            }
            let count = self.func.ty(to).registers();
            self.set(to, Val::Regs(vec![regs[0]; count]));
            return Ok(());
        }
        let (have, layout) = (self.layout(from)?, self.layout(to)?);
        let raw = match kind {
            // The map of coordinates before redundant registers are dropped: registers correspond one to one.
            OpKind::Broadcast { axes } => image(&layout, &own, |c| {
                let mut o = [0; 3];
                for (i, a) in axes.iter().enumerate() {
                    o[i] = if own[i] == 1 { 0 } else { c[usize::from(*a)] };
                }
                o
            })?,
            OpKind::Transpose { perm } => image(&layout, &own, |c| {
                let mut o = [0; 3];
                for (i, p) in perm.iter().enumerate() {
                    o[usize::from(*p)] = c[i];
                }
                o
            })?,
            _ => match operand_layout(kind, 0, &layout, &result, &own)? {
                Some(l) => l,
                None => return self.through_memory(op),
            },
        };
        let Some(map) = register_map(&have, &raw) else { return self.through_memory(op) };
        let moved = map.iter().map(|r| regs[*r as usize]).collect();
        self.set(to, Val::Regs(moved));
        Ok(())
    }
}

/// A layout seen through a map of coordinates, register by register.
fn image(
    layout: &Linear,
    shape: &[usize],
    mut map: impl FnMut([u32; 3]) -> [u32; 3],
) -> Result<Linear, Error> {
    let extents: Vec<u32> = shape.iter().map(|e| (*e as u32).next_power_of_two()).collect();
    let bases: Vec<(Dim, Vec<[u32; 3]>)> = [Dim::Register, Dim::Lane, Dim::Warp, Dim::Block]
        .into_iter()
        .map(|dim| (dim, layout.basis(dim).iter().map(|v| map(*v)).collect()))
        .collect();
    let all = bases.iter().map(|(d, b)| (*d, b.as_slice()));
    Linear::new(&extents, all).map_err(|e| bug(format!("a layout of {shape:?}: {e}")))
}
