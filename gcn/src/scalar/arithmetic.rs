//! Scalar arithmetic and comparisons.

use super::Input;
use super::table::{BITS, NARROW, NARROWING, RELATIONS, SHIFTS, WIDE};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::{Kind, Line, Operand};
use std::cmp::Ordering;

fn row<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, name) = (context.line, context.line.operation());
    if !name.starts_with("s_") {
        return None;
    }
    narrow(line, name)
        .or_else(|| wide(line, name))
        .or_else(|| comparison(line, name))
        .or_else(|| conditional(line, name))
}

/// A constant of 16 bits as the instruction means it.
fn immediate(operand: &Operand, signed: bool) -> Result<Input, Trouble> {
    let Kind::Integer(value) = operand.kind else { return Err("no constant".into()) };
    Ok(Input::Constant(if signed { i32::from(value as i16) as u32 } else { u32::from(value as u16) }.into()))
}

fn narrow(line: &Line, name: &str) -> Option<Result<Code, Trouble>> {
    let f = row(NARROW, name)?;
    let decode = || {
        let to = line.operand(0)?.scalar()?;
        let (a, b) = match name {
            "s_addk_i32" | "s_mulk_i32" => (Input::Register(to), immediate(line.operand(1)?, true)?),
            _ => (
                Input::narrow(line.operand(1)?)?,
                line.operands.get(2).map_or(Ok(Input::Constant(0)), Input::narrow)?,
            ),
        };
        Ok(step(move |wave, _| {
            let (value, scc) = f(a.get(wave)?, b.get(wave)?, wave.scc);
            wave.scc = scc.unwrap_or(wave.scc);
            wave.set_scalar(to, value)
        }))
    };
    Some(decode())
}

fn wide(line: &Line, name: &str) -> Option<Result<Code, Trouble>> {
    let tables = [(WIDE, true, true), (SHIFTS, false, true), (NARROWING, true, false)];
    let (f, wide_second, wide_result) =
        tables.iter().find_map(|(table, second, result)| Some((row(table, name)?, *second, *result)))?;
    let decode = || {
        let to = line.operand(0)?.scalar()?;
        let a = Input::wide(line.operand(1)?)?;
        let b = line.operands.get(2).map_or(Ok(Input::Constant(0)), Input::wide)?;
        Ok(step(move |wave, _| {
            let second = if wide_second { b.get64(wave)? } else { b.get(wave)?.into() };
            let (value, scc) = f(a.get64(wave)?, second, wave.scc);
            wave.scc = scc.unwrap_or(wave.scc);
            if wide_result { wave.set_scalar64(to, value) } else { wave.set_scalar(to, value as u32) }
        }))
    };
    Some(decode())
}

fn comparison(line: &Line, name: &str) -> Option<Result<Code, Trouble>> {
    if let Some(test) = row(BITS, name) {
        let decode = || {
            let (a, b) = (Input::narrow(line.operand(0)?)?, Input::narrow(line.operand(1)?)?);
            Ok(step(move |wave, _| {
                wave.scc = test(a.get(wave)?.into(), b.get(wave)?.into());
                Ok(())
            }))
        };
        return Some(decode());
    }
    let (short, rest) = match name.strip_prefix("s_cmpk_") {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix("s_cmp_")?),
    };
    let (relation, ty) = rest.split_once('_')?;
    let accepts = row(RELATIONS, relation)?;
    let order: fn(u64, u64) -> Ordering = match ty {
        "i32" => |a, b| (a as u32 as i32).cmp(&(b as u32 as i32)),
        "u32" => |a, b| (a as u32).cmp(&(b as u32)),
        "u64" => |a, b| a.cmp(&b),
        _ => return None,
    };
    let wide = ty == "u64";
    let decode = || {
        let a = Input::wide(line.operand(0)?)?;
        let b =
            if short { immediate(line.operand(1)?, ty == "i32")? } else { Input::wide(line.operand(1)?)? };
        Ok(step(move |wave, _| {
            let (a, b) = if wide {
                (a.get64(wave)?, b.get64(wave)?)
            } else {
                (a.get(wave)?.into(), b.get(wave)?.into())
            };
            wave.scc = accepts(order(a, b));
            Ok(())
        }))
    };
    Some(decode())
}

/// Moves of constants, moves that SCC decides, and single bits.
fn conditional(line: &Line, name: &str) -> Option<Result<Code, Trouble>> {
    let decode = || {
        let to = line.operand(0)?.scalar()?;
        Ok(match name {
            "s_movk_i32" => {
                let value = immediate(line.operand(1)?, true)?;
                step(move |wave, _| wave.set_scalar(to, value.get(wave)?))
            }
            "s_cmov_b32" | "s_cmovk_i32" => {
                let long = name == "s_cmov_b32";
                let from = line.operand(1)?;
                let value = if long { Input::narrow(from)? } else { immediate(from, true)? };
                step(move |wave, _| if wave.scc { wave.set_scalar(to, value.get(wave)?) } else { Ok(()) })
            }
            _ => {
                let (bit, set) = (Input::narrow(line.operand(1)?)?, name == "s_bitset1_b32");
                step(move |wave, _| {
                    let (old, bit) = (wave.scalar(to)?, 1 << (bit.get(wave)? & 31));
                    wave.set_scalar(to, if set { old | bit } else { old & !bit })
                })
            }
        })
    };
    let known = ["s_movk_i32", "s_cmov_b32", "s_cmovk_i32", "s_bitset0_b32", "s_bitset1_b32"];
    known.contains(&name).then(decode)
}
