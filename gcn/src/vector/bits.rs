//! `v_bitop3`: any function of three bits, given by its truth table.

use super::elementwise::Destination;
use super::integers::by_truth_table;
use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let ty = match line.operation() {
        "v_bitop3_b32" => Type::B32,
        "v_bitop3_b16" => Type::B16,
        _ => return None,
    };
    let decode = || {
        let to = Destination::new(line, ty, true, 3, context.chip)?;
        let source = |number: usize| Source::new(line, number + 1, number, ty);
        let sources = [source(0)?, source(1)?, source(2)?];
        let table = line.number("bitop3") as u32;
        Ok(step(move |wave, _| {
            let [a, b, c] = [sources[0].get(wave)?, sources[1].get(wave)?, sources[2].get(wave)?];
            let mask = wave.exec;
            to.set(wave, mask, std::array::from_fn(|l| by_truth_table(table, a[l], b[l], c[l])))
        }))
    };
    Some(decode())
}
