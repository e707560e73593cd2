//! `v_bitop3`: any function of three bits, given by its truth table.

use super::integers::by_truth_table;
use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    if line.operation() != "v_bitop3_b32" {
        return None;
    }
    let decode = || {
        let to = line.operand(0)?.vector()?;
        let source = |i: usize| Source::plain(line.operand(i)?, Type::B32);
        let sources = [source(1)?, source(2)?, source(3)?];
        let table = line.number("bitop3") as u32;
        Ok(step(move |wave, _| {
            let [a, b, c] = [sources[0].get(wave)?, sources[1].get(wave)?, sources[2].get(wave)?];
            wave.set_vector(to, &std::array::from_fn(|l| by_truth_table(table, a[l], b[l], c[l])))
        }))
    };
    Some(decode())
}
