//! Masks of lanes: EXEC saved and narrowed.

use super::Input;
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};

/// The operand and the old EXEC to the new one.
type Narrow = fn(u64, u64) -> u64;

const TABLE: [(&str, Narrow); 9] = [
    ("s_and_saveexec", |a, e| a & e),
    ("s_or_saveexec", |a, e| a | e),
    ("s_xor_saveexec", |a, e| a ^ e),
    ("s_andn2_saveexec", |a, e| a & !e),
    ("s_and_not1_saveexec", |a, e| a & !e),
    ("s_orn2_saveexec", |a, e| a | !e),
    ("s_or_not1_saveexec", |a, e| a | !e),
    ("s_andn1_saveexec", |a, e| !a & e),
    ("s_and_not0_saveexec", |a, e| !a & e),
];

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, lanes) = (context.line, context.chip.lanes);
    let name = line.operation().strip_suffix(if lanes == 32 { "_b32" } else { "_b64" })?;
    let f = TABLE.iter().find(|(n, _)| *n == name)?.1;
    let decode = || {
        let to = line.operand(0)?.scalar()?;
        let a = Input::wide(line.operand(1)?)?;
        Ok(step(move |wave, _| {
            let a = if lanes == 32 { a.get(wave)?.into() } else { a.get64(wave)? };
            let old = wave.exec;
            wave.set_mask(to, old)?;
            wave.exec = f(a, old) & wave.full();
            wave.scc = wave.exec != 0;
            Ok(())
        }))
    };
    Some(decode())
}
