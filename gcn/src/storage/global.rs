//! Global memory by addresses of 64 bits.

use super::atomic::Atomic;
use super::{Access, gather, read_lanes, scatter};
use crate::error::Trouble;
use crate::instruction::{Code, Context, Nothing, step};
use crate::text::{Kind, Line};
use crate::wave::Wave;

/// Where a lane's access is: a pair of vector registers, or a scalar pair and an offset of 32 bits.
#[derive(Clone, Copy)]
struct Address {
    vector: Option<u16>,
    scalar: Option<u8>,
    offset: i64,
}

impl Address {
    fn new(line: &Line, index: usize, scalar: Option<usize>) -> Result<Address, Trouble> {
        let vector = line.operand(index)?;
        let scalar = scalar.and_then(|i| line.operands.get(i)).and_then(|o| o.scalar().ok());
        let vector = if vector.kind == Kind::Nothing { None } else { Some(vector.vector()?) };
        Ok(Address { vector, scalar, offset: line.number("offset") })
    }

    fn lanes(&self, wave: &Wave) -> Result<[u64; 64], Trouble> {
        let base = self.scalar.map_or(Ok(0), |r| wave.scalar64(r))?.wrapping_add_signed(self.offset);
        let Some(register) = self.vector else { return Ok([base; 64]) };
        let low = wave.vector(register)?;
        if self.scalar.is_some() {
            return Ok(low.map(|x| base.wrapping_add(u64::from(x))));
        }
        let high = wave.vector(register + 1)?;
        Ok(std::array::from_fn(|l| base.wrapping_add(u64::from(low[l]) | u64::from(high[l]) << 32)))
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, apart) = (context.line, context.chip.counts_stores);
    let name = line.operation();
    let name = name.strip_prefix("global_").or_else(|| name.strip_prefix("flat_"))?;
    if name.starts_with("wb") || name.starts_with("inv") {
        return Some(Ok(Box::new(Nothing)));
    }
    if let Some(name) = name.strip_prefix("atomic_") {
        let operation = Atomic::find(line, name, apart)?;
        let decode = || {
            let first = usize::from(operation.1);
            let result = if operation.1 { line.operand(0)?.vector()? } else { 0 };
            let address = Address::new(line, first, Some(first + 2))?;
            let atomic = Atomic::new(operation, line.operand(first + 1)?.vector()?, result);
            Ok(step(move |wave, group| {
                let at = address.lanes(wave)?;
                atomic.run(wave, group, &|lane| Some(at[lane]))
            }))
        };
        return Some(decode());
    }
    let (access, shape) = Access::find(name)?;
    let decode = || match access {
        Access::Load => {
            let shape = shape.of(line.operand(0)?);
            let (to, address) = (line.operand(0)?.vector()?, Address::new(line, 1, Some(2))?);
            Ok(step(move |wave, group| {
                let at = address.lanes(wave)?;
                let mask = wave.exec;
                let data = read_lanes(group, mask, shape.bytes, &|l, word| Some(at[l] + 4 * word as u64))?;
                wave.begin_load(shape.target(to), mask, shape.bytes, data)
            }))
        }
        Access::Store => {
            let shape = shape.of(line.operand(1)?);
            let (from, address) = (line.operand(1)?.vector()?, Address::new(line, 0, Some(2))?);
            Ok(step(move |wave, group| {
                let at = address.lanes(wave)?;
                let data = gather(wave, from, shape)?;
                scatter(group, wave.exec, shape.bytes, &data, &|l, word| Some(at[l] + 4 * word as u64))?;
                wave.count_store(apart);
                Ok(())
            }))
        }
    };
    Some(decode())
}
