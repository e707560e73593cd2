//! Module variables: where shared variables lie in a block's window, and the contents of the others.

use std::collections::HashMap;

use super::Module;
use crate::text::{Attr, Op, Type};

/// The first address of a block's shared memory. Not 0, so that a null pointer is never a valid one; the hardware
/// keeps the first KiB to itself, too.
pub const SHARED_BASE: u64 = 1024;

/// Where variables of the module outside shared memory lie.
pub(crate) const MODULE_BASE: u64 = 0x2000_0000_0000;

#[derive(Default)]
pub(super) struct Symbols {
    /// Addresses by name.
    pub(super) addresses: HashMap<String, u64>,
    /// Bytes of shared memory of fixed size, and where the dynamic part begins (both from [`SHARED_BASE`]).
    pub(super) static_shared: u64,
    pub(super) dynamic_at: u64,
    pub(super) data: Vec<u8>,
}

impl Symbols {
    pub(super) fn collect(module: &Module) -> Result<Symbols, (String, usize)> {
        let mut symbols = Symbols::default();
        let mut dynamic = Vec::new();
        let mut dynamic_align = 16;
        let mut shared_at = SHARED_BASE;
        for op in super::build::top_level(module).filter(|op| op.name == "llvm.mlir.global") {
            let fail = |message: &str| (message.to_owned(), op.line);
            let name = op.text("sym_name").ok_or_else(|| fail("a global without a name"))?;
            let Some(Attr::Type(ty)) = op.attr("global_type") else {
                return Err(fail("a global without type"));
            };
            let align = op.int("alignment").unwrap_or(0).max(ty.align() as i64).clamp(1, 1 << 16) as u64;
            if !align.is_power_of_two() {
                return Err(fail("an alignment that is no power of two"));
            }
            if ty.size() > 1 << 30 {
                return Err(fail("a variable larger than 1 GiB"));
            }
            if op.int("addr_space").unwrap_or(0) == 3 {
                if ty.size() == 0 {
                    dynamic.push(name);
                    dynamic_align = dynamic_align.max(align);
                    continue;
                }
                shared_at = shared_at.next_multiple_of(align);
                symbols.addresses.insert(name.to_owned(), shared_at);
                shared_at += ty.size();
            } else {
                let at = symbols.data.len().next_multiple_of(align as usize);
                symbols.data.resize(at + ty.size() as usize, 0);
                initialise(op, ty, &mut symbols.data[at..]);
                symbols.addresses.insert(name.to_owned(), MODULE_BASE + at as u64);
            }
        }
        symbols.static_shared = shared_at - SHARED_BASE;
        let dynamic_at = shared_at.next_multiple_of(dynamic_align);
        symbols.dynamic_at = dynamic_at - SHARED_BASE;
        for name in dynamic {
            symbols.addresses.insert(name.to_owned(), dynamic_at);
        }
        Ok(symbols)
    }
}

/// Writes the initial value that is an attribute; a variable without one starts as zeros.
fn initialise(op: &Op, ty: &Type, bytes: &mut [u8]) {
    match op.attr("value") {
        Some(Attr::Str(text)) => {
            for (to, from) in bytes.iter_mut().zip(text.bytes()) {
                *to = from;
            }
        }
        Some(Attr::Dense(elements, _)) => {
            let Some(parts) = ty.scalars() else { return };
            for (index, (offset, scalar)) in parts.into_iter().enumerate() {
                let element = elements.get(index).or(elements.first().filter(|_| elements.len() == 1));
                if let Some(element) = element {
                    put(bytes, offset, scalar.bytes(), *element);
                }
            }
        }
        Some(Attr::Int(value, _)) => put(bytes, 0, ty.size() as u32, *value as u64),
        Some(Attr::Float(bits, _)) => put(bytes, 0, ty.size() as u32, *bits),
        _ => {}
    }
}

fn put(bytes: &mut [u8], offset: u64, size: u32, value: u64) {
    let size = size.min(8) as usize;
    if let Some(to) = bytes.get_mut(offset as usize..offset as usize + size) {
        to.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}
