//! Inline PTX: placeholder until the table of instructions is in.

use super::build::{Builder, Lowered};
use crate::text;

pub(super) fn lower<'m>(_: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    Err(format!("inline PTX `{}`", op.text("asm_string").unwrap_or_default()))
}
