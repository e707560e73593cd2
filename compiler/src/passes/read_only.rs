//! Which views a kernel never writes: their loads may be moved and merged like pure operations.
//!
//! A launch must not bind one buffer to a read-only and to a mutable view; the typed launcher's borrows see to that.

use crate::dialect::{self, effects};
use crate::mlir::handle::{Attr, Op, Value};

/// Whether the operation gives the same results wherever it runs.
pub(super) fn movable(op: Op) -> bool {
    match effects::effect(op.name()) {
        effects::Effect::Pure => true,
        effects::Effect::Read => op.operands().first().is_some_and(|v| read_only(*v)),
        _ => false,
    }
}

/// Whether a view stands for memory that nothing writes while the kernel runs.
fn read_only(mut view: Value) -> bool {
    loop {
        if let Some(op) = view.definition() {
            let ("kt.at", Some(base)) = (op.name(), op.operands().first().copied()) else { return false };
            view = base;
            continue;
        }
        let Some((block, index)) = view.argument_of() else { return false };
        let Some(function) = block.parent().filter(|f| f.attr(dialect::KERNEL).is_some()) else {
            return false;
        };
        let attrs = function.attr("arg_attrs").and_then(Attr::array).and_then(|a| a.get(index).copied());
        let entries = attrs.and_then(Attr::entries).unwrap_or_default();
        return !entries.iter().any(|(name, _)| *name == dialect::MUTABLE);
    }
}
