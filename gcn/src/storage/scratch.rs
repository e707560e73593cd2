//! Scratch: memory of a lane.

use super::{Access, Shape, gather};
use crate::error::{Outcome, Trouble};
use crate::instruction::{Code, Context, step};
use crate::scalar::Input;
use crate::text::Kind;
use crate::wave::{Lanes, Wave};

/// Address in the descriptor of scratch that waves of older chips are started with.
pub(crate) const SCRATCH_BUFFER: u64 = 0x7fff_0000_0000;

/// Loads or stores at each lane's offset.
pub(super) fn access(
    wave: &mut Wave,
    access: Access,
    shape: Shape,
    register: u16,
    at: &Lanes,
    apart: bool,
) -> Outcome {
    let (mask, size) = (wave.exec, wave.scratch.len() / wave.lanes as usize);
    let mut data = match access {
        Access::Load => [[0; 64]; 4],
        Access::Store => gather(wave, register, shape)?,
    };
    for lane in (0..64).filter(|lane| mask >> lane & 1 == 1) {
        let start = at[lane] as usize;
        if start + shape.bytes > size {
            return Err(format!(
                "lane {lane}: {} bytes at {start:#x} of scratch, which has {size:#x}",
                shape.bytes
            ));
        }
        for (word, data) in data.iter_mut().enumerate().take(shape.bytes.div_ceil(4)) {
            let count = (shape.bytes - 4 * word).min(4);
            let bytes = &mut wave.scratch[lane * size + start + 4 * word..][..count];
            if access == Access::Store {
                bytes.copy_from_slice(&data[lane].to_le_bytes()[..count]);
                continue;
            }
            let mut value = [0; 4];
            value[..count].copy_from_slice(bytes);
            data[lane] = u32::from_le_bytes(value);
        }
    }
    if access == Access::Load {
        return wave.begin_load(shape.target(register), mask, shape.bytes, data);
    }
    wave.count_store(apart);
    Ok(())
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, apart) = (context.line, context.chip.counts_stores);
    let (kind, shape) = Access::find(line.operation().strip_prefix("scratch_")?)?;
    let decode = || {
        let (data, vector) = if kind == Access::Load { (0, 1) } else { (1, 0) };
        let (data, vector) = (line.operand(data)?, line.operand(vector)?);
        let (register, shape) = (data.vector()?, shape.of(data));
        let by_lane = if vector.kind == Kind::Nothing { None } else { Some(vector.vector()?) };
        let scalar = Input::narrow(line.operand(2)?)?;
        let offset = line.number("offset") as u32;
        Ok(step(move |wave: &mut Wave, _| {
            let shared = scalar.get(wave)?.wrapping_add(offset);
            let lanes = by_lane.map_or(Ok::<Lanes, Trouble>([0; 64]), |r| wave.vector(r).copied())?;
            access(wave, kind, shape, register, &lanes.map(|x| x.wrapping_add(shared)), apart)
        }))
    };
    Some(decode())
}
