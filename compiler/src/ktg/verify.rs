//! Checks a function of the GPU level after each pass.
//!
//! What the operations of the tile IR demand of shapes and element types was checked before the import; here: every use comes
//! after a definition, nothing is defined twice, and layouts fit their tiles.

use super::{Block, Func, Op, Type};
use crate::error::{Error, at, bug};
use kcc_dsl::ir::{LocId, ValueId};
use std::collections::HashSet;

/// Checks a function.
///
/// # Errors
/// [`Error::Bug`]: the first rule that is broken.
pub fn verify(func: &Func) -> Result<(), Error> {
    for (i, ty) in func.values.iter().enumerate() {
        check_type(ty).map_err(|e| bug(format!("value {i}: {e}")))?;
    }
    let mut defined: HashSet<ValueId> = (0..func.params.len()).map(|i| ValueId(i as u32)).collect();
    block(func, &func.body, &mut defined)
}

fn check_type(ty: &Type) -> Result<(), String> {
    match ty {
        Type::Tile { tile, layout: Some(l) } => {
            if tile.rank() == 0 {
                return Err("a scalar with a layout".into());
            }
            let padded: Vec<u32> = tile.shape.iter().map(|e| (*e as u32).next_power_of_two()).collect();
            if l.extents() != padded {
                return Err(format!("{tile} in a layout of extents {:?}", l.extents()));
            }
            if l.is_surjective() { Ok(()) } else { Err(format!("{tile}: its layout misses elements")) }
        }
        Type::Shared(s) => {
            if s.stages == 0 {
                return Err("a ring without buffers".into());
            }
            let padded: Vec<u32> = s.shape.iter().map(|e| (*e as u32).next_power_of_two()).collect();
            if s.layout.extents() == padded { Ok(()) } else { Err(format!("{ty}: extents differ")) }
        }
        _ => Ok(()),
    }
}

fn block(func: &Func, b: &Block, defined: &mut HashSet<ValueId>) -> Result<(), Error> {
    let mut own = Vec::new();
    for a in &b.args {
        define(func, *a, LocId::default(), "a block", defined, &mut own)?;
    }
    for op in &b.ops {
        for v in &op.operands {
            used(func, *v, op, defined)?;
        }
        for r in &op.regions {
            block(func, r, defined)?;
        }
        for r in &op.results {
            define(func, *r, op.loc, op.kind.name(), defined, &mut own)?;
        }
    }
    for y in &b.yields {
        if !defined.contains(y) {
            return Err(bug(format!("a block yields value {}, which is not defined there", y.0)));
        }
    }
    // What a block defines is not seen outside.
    for v in own {
        defined.remove(&v);
    }
    Ok(())
}

fn used(func: &Func, v: ValueId, op: &Op, defined: &HashSet<ValueId>) -> Result<(), Error> {
    if defined.contains(&v) {
        return Ok(());
    }
    let what = format!("`{}` uses value {}, which is not defined there", op.kind.name(), v.0);
    Err(at(func.loc(op.loc)).bug(what))
}

fn define(
    func: &Func,
    v: ValueId,
    loc: LocId,
    by: &str,
    defined: &mut HashSet<ValueId>,
    own: &mut Vec<ValueId>,
) -> Result<(), Error> {
    if v.0 as usize >= func.values.len() {
        return Err(at(func.loc(loc)).bug(format!("`{by}` defines value {}, which has no type", v.0)));
    }
    if !defined.insert(v) {
        return Err(at(func.loc(loc)).bug(format!("`{by}` defines value {} again", v.0)));
    }
    own.push(v);
    Ok(())
}
