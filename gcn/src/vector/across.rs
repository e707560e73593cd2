//! What crosses lanes: single lanes to and from scalar registers, permutations, swaps, counts of lanes below.

use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, Nothing, step};
use crate::scalar::Input;
use crate::text::Line;

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    Some(match line.operation() {
        "v_nop" => Ok(Box::new(Nothing)),
        "v_readfirstlane_b32" => read_first(line),
        "v_readlane_b32" => read(line),
        "v_writelane_b32" => write(line),
        "v_permlane16_b32" => permute_rows(line, 0),
        "v_permlanex16_b32" => permute_rows(line, 16),
        "v_permlane16_swap_b32" => swap_rows(line, 16),
        "v_permlane32_swap_b32" => swap_rows(line, 32),
        "v_permlane64_b32" => move_halves(line),
        "v_swap_b32" => swap(line),
        "v_mbcnt_lo_u32_b32" => count_below(line, 0),
        "v_mbcnt_hi_u32_b32" => count_below(line, 32),
        _ => return None,
    })
}

fn source(line: &Line, index: usize) -> Result<Source, Trouble> {
    Source::plain(line.operand(index)?, Type::B32)
}

fn read_first(line: &Line) -> Result<Code, Trouble> {
    let (to, from) = (line.operand(0)?.scalar()?, source(line, 1)?);
    Ok(step(move |wave, _| {
        // With no lane active, lane 0.
        let lane = if wave.exec == 0 { 0 } else { wave.exec.trailing_zeros() };
        let value = from.get(wave)?[lane as usize];
        wave.set_scalar(to, value)
    }))
}

fn read(line: &Line) -> Result<Code, Trouble> {
    let (to, from, lane) = (line.operand(0)?.scalar()?, source(line, 1)?, Input::narrow(line.operand(2)?)?);
    Ok(step(move |wave, _| {
        let lane = lane.get(wave)? % wave.lanes;
        let value = from.get(wave)?[lane as usize];
        wave.set_scalar(to, value)
    }))
}

fn write(line: &Line) -> Result<Code, Trouble> {
    let to = line.operand(0)?.vector()?;
    let (value, lane) = (Input::narrow(line.operand(1)?)?, Input::narrow(line.operand(2)?)?);
    Ok(step(move |wave, _| {
        let lane = lane.get(wave)? % wave.lanes;
        let value = [value.get(wave)?; 64];
        wave.set_lanes(to, 1 << lane, &value)
    }))
}

/// Each lane reads the lane of its row, or of the row beside, that 4 bits of a scalar name.
fn permute_rows(line: &Line, beside: usize) -> Result<Code, Trouble> {
    let (to, from) = (line.operand(0)?.vector()?, source(line, 1)?);
    let (low, high) = (Input::narrow(line.operand(2)?)?, Input::narrow(line.operand(3)?)?);
    let fetch_inactive = line.entry("op_sel", 0, 0) == 1;
    let zero = line.entry("op_sel", 1, 0) == 1;
    Ok(step(move |wave, _| {
        let lanes = u64::from(low.get(wave)?) | u64::from(high.get(wave)?) << 32;
        let values = from.get(wave)?;
        let (mut out, mut valid) = ([0; 64], 0u64);
        for (lane, out) in out.iter_mut().enumerate() {
            let at = (lane & !15 | (lanes >> (4 * (lane & 15)) & 15) as usize) ^ beside;
            if fetch_inactive || wave.exec >> at & 1 == 1 {
                *out = values[at];
                valid |= 1 << lane;
            }
        }
        let mask = wave.exec & if zero { u64::MAX } else { valid };
        wave.set_lanes(to, mask, &out)
    }))
}

/// Odd groups of lanes of the first register and even ones of the second change places.
fn swap_rows(line: &Line, group: usize) -> Result<Code, Trouble> {
    let (first, second) = (line.operand(0)?.vector()?, line.operand(1)?.vector()?);
    Ok(step(move |wave, _| {
        let (mut x, mut y) = (*wave.vector(first)?, *wave.vector(second)?);
        for lane in (0..64).filter(|lane| lane / group % 2 == 1) {
            std::mem::swap(&mut x[lane], &mut y[lane - group]);
        }
        wave.set_vector(first, &x)?;
        wave.set_vector(second, &y)
    }))
}

fn move_halves(line: &Line) -> Result<Code, Trouble> {
    let (to, from) = (line.operand(0)?.vector()?, source(line, 1)?);
    Ok(step(move |wave, _| {
        let values = from.get(wave)?;
        let out = std::array::from_fn(|lane| values[(lane + 32) % wave.lanes as usize]);
        wave.set_vector(to, &out)
    }))
}

fn swap(line: &Line) -> Result<Code, Trouble> {
    let (first, second) = (line.operand(0)?.vector()?, line.operand(1)?.vector()?);
    Ok(step(move |wave, _| {
        let (x, y) = (*wave.vector(first)?, *wave.vector(second)?);
        wave.set_vector(first, &y)?;
        wave.set_vector(second, &x)
    }))
}

/// Bits of a mask's half that stand for lanes below, added to a number.
fn count_below(line: &Line, start: u32) -> Result<Code, Trouble> {
    let (to, mask, add) = (line.operand(0)?.vector()?, source(line, 1)?, source(line, 2)?);
    Ok(step(move |wave, _| {
        let (mask, add) = (mask.get(wave)?, add.get(wave)?);
        let out = std::array::from_fn(|lane| {
            let below = ((1u64 << lane) - 1) >> start;
            (mask[lane] & below as u32).count_ones().wrapping_add(add[lane])
        });
        wave.set_vector(to, &out)
    }))
}
