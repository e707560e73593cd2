//! Scalar loads: they come back in any order.

use super::Input;
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::Kind;
use crate::wave::ScalarLoad;

/// Words that a load brings.
const SIZES: [(&str, u8); 11] = [
    ("dword", 1),
    ("dwordx2", 2),
    ("dwordx4", 4),
    ("dwordx8", 8),
    ("dwordx16", 16),
    ("b32", 1),
    ("b64", 2),
    ("b96", 3),
    ("b128", 4),
    ("b256", 8),
    ("b512", 16),
];

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let size = line.operation().strip_prefix("s_load_")?;
    let count = SIZES.iter().find(|(name, _)| *name == size)?.1;
    let decode = || {
        let register = line.operand(0)?.scalar()?;
        let base = line.operand(1)?.scalar()?;
        let offset = line.operand(2)?;
        // A constant offset is signed, one in a register is not.
        let (offset, constant) = match offset.kind {
            Kind::Integer(i) => (Input::Constant(0), i),
            _ => (Input::narrow(offset)?, 0),
        };
        let constant = constant.wrapping_add(line.number("offset"));
        Ok(step(move |wave, group| {
            let offset = i64::from(offset.get(wave)?).wrapping_add(constant);
            let address = wave.scalar64(base)?.wrapping_add_signed(offset) & !3;
            let mut values = [0; 16];
            for (i, value) in values[..usize::from(count)].iter_mut().enumerate() {
                *value = group.memory.word(address + 4 * i as u64)?;
            }
            let junk = group.rng.next() as u32;
            wave.load_scalars(ScalarLoad { register, count, values }, junk)
        }))
    };
    Some(decode())
}
