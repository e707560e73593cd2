//! Masked accesses of global memory: one predicated instruction, where LLVM would write a branch.
//!
//! ```text
//! mov.b32 $0, 0; … @$5 ld.global.v4.b32 {$0, $1, $2, $3}, [$4];
//! ```

use crate::asm::Asm;
use kcc_compiler::emit::{Emit, K, Ty, V};

/// Constraint, type in PTX, and the kind that travels in such a register. `None` for single bytes, which have no register
/// of their own.
fn carrier(k: K) -> Option<(&'static str, &'static str, K)> {
    Some(match k {
        K::I32 => ("r", "b32", K::I32),
        K::F32 => ("f", "f32", K::F32),
        K::I64 => ("l", "b64", K::I64),
        K::I16 | K::F16 | K::BF16 => ("h", "b16", K::I16),
        _ => return None,
    })
}

fn group(names: &[String]) -> (String, String) {
    match names {
        [one] => (String::new(), one.clone()),
        all => (format!(".v{}", all.len()), format!("{{{}}}", all.join(", "))),
    }
}

/// Reads a scalar or vector at an aligned pointer where the predicate holds, zero elsewhere; `None` for kinds without a
/// register.
pub fn load(e: &mut Emit, p: V, ty: Ty, predicate: V) -> Option<V> {
    let (constraint, suffix, k) = carrier(ty.k)?;
    let count = usize::from(ty.lanes.max(1));
    let mut asm = Asm::new(&format!("={constraint}"), Ty::scalar(k), count);
    let names: Vec<String> = (0..count).map(|i| asm.result(i)).collect();
    let (address, holds) = (asm.operand("l", p), asm.operand("b", predicate));
    let zero = if k == K::F32 { "0f00000000" } else { "0" };
    for name in &names {
        asm.line(format!("mov.{suffix} {name}, {zero};"));
    }
    let (vector, list) = group(&names);
    asm.line(format!("@{holds} ld.global{vector}.{suffix} {list}, [{address}];"));
    let parts: Vec<V> = asm.emit(e).into_iter().map(|v| e.bits(v, ty.k)).collect();
    Some(if ty.is_vector() { e.vector(&parts) } else { parts[0] })
}

/// Writes a scalar or vector to an aligned pointer where the predicate holds; false for kinds without a register.
pub fn store(e: &mut Emit, value: V, p: V, predicate: V) -> bool {
    let Some((constraint, suffix, k)) = carrier(value.ty.k) else { return false };
    let count = usize::from(value.ty.lanes);
    let parts: Vec<V> =
        if count == 0 { vec![value] } else { (0..count).map(|i| e.extract(value, i)).collect() };
    let mut asm = Asm::new("", Ty::scalar(k), 0);
    let (address, holds) = (asm.operand("l", p), asm.operand("b", predicate));
    let mut names = Vec::new();
    for part in parts {
        let bits = e.bits(part, k);
        names.push(asm.operand(constraint, bits));
    }
    let (vector, list) = group(&names);
    asm.line(format!("@{holds} st.global{vector}.{suffix} [{address}], {list};"));
    asm.emit(e);
    true
}
