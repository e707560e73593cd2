//! LDS: operations of a wave take effect in order, when they are waited for or earlier.

use super::atomic::update;
use super::{Shape, gather};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::Line;
use crate::wave::{Action, Lanes, Part, Target, Transfer};

/// Words before the size in names of accesses: how many pieces, and elements between an offset's units.
const PREFIXES: [(&str, bool, usize, u32); 12] = [
    ("read2st64_", true, 2, 64),
    ("read2_", true, 2, 1),
    ("read_", true, 1, 0),
    ("load_2addr_stride64_", true, 2, 64),
    ("load_2addr_", true, 2, 1),
    ("load_", true, 1, 0),
    ("write2st64_", false, 2, 64),
    ("write2_", false, 2, 1),
    ("write_", false, 1, 0),
    ("store_2addr_stride64_", false, 2, 64),
    ("store_2addr_", false, 2, 1),
    ("store_", false, 1, 0),
];

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let name = line.operation().strip_prefix("ds_")?;
    match name {
        "bpermute_b32" | "permute_b32" => return Some(permute(line, name == "bpermute_b32")),
        "swizzle_b32" => return Some(swizzle(line)),
        "read_b64_tr_b16" => return Some(columns(line, 16)),
        "read_b64_tr_b8" => return Some(columns(line, 8)),
        _ => {}
    }
    for (prefix, loads, pieces, unit) in PREFIXES {
        if let Some(shape) = name.strip_prefix(prefix).and_then(Shape::find) {
            return Some(if loads {
                load(line, shape, pieces, unit)
            } else {
                store(line, shape, pieces, unit)
            });
        }
    }
    update(name).map(|f| atomic(line, f, name.contains("_rtn")))
}

/// Offsets of the pieces: in bytes, or in units of elements.
fn offsets(line: &Line, bytes: usize, unit: u32) -> [u32; 2] {
    if unit == 0 {
        return [line.number("offset") as u32, 0];
    }
    ["offset0", "offset1"].map(|name| line.number(name) as u32 * bytes as u32 * unit)
}

/// CDNA 4, "MFMA Transpose Load from LDS": 16 lanes read 8 bytes each, and give each other elements, so that each has a column.
fn columns(line: &Line, bits: u32) -> Result<Code, Trouble> {
    let Some(shape) = Shape::find("b64") else { return Err("no shape of 64 bits".into()) };
    let read = load_by(line, shape, 1, 0, Action::ReadColumns(bits))?;
    Ok(step(move |wave, group| {
        let on = |row: u32| wave.exec >> (16 * row) & 0xffff;
        if (0..4).any(|row| !matches!(on(row), 0 | 0xffff)) {
            return Err("some lanes of 16 that exchange elements are off".into());
        }
        read.execute(wave, group)
    }))
}

fn load(line: &Line, shape: Shape, pieces: usize, unit: u32) -> Result<Code, Trouble> {
    load_by(line, shape, pieces, unit, Action::Read)
}

fn load_by(line: &Line, shape: Shape, pieces: usize, unit: u32, action: Action) -> Result<Code, Trouble> {
    let (to, address) = (line.operand(0)?.vector()?, line.operand(1)?.vector()?);
    let shape = shape.of(line.operand(0)?);
    let offsets = offsets(line, shape.bytes, unit);
    let target = Target { count: shape.words() * pieces as u16, ..shape.target(to) };
    Ok(step(move |wave, group| {
        let transfer = Transfer {
            action,
            address: *wave.vector(address)?,
            offsets,
            pieces,
            bytes: shape.bytes,
            target: Some(target),
            ..Transfer::done(wave.exec)
        };
        transfer.check(&group.lds)?;
        wave.expect(target.register, target.count)?;
        wave.local.push_back(transfer);
        Ok(())
    }))
}

fn store(line: &Line, shape: Shape, pieces: usize, unit: u32) -> Result<Code, Trouble> {
    let address = line.operand(0)?.vector()?;
    let from = [line.operand(1)?.vector()?, if pieces == 2 { line.operand(2)?.vector()? } else { 0 }];
    let shape = shape.of(line.operand(1)?);
    let offsets = offsets(line, shape.bytes, unit);
    let words = usize::from(shape.words());
    Ok(step(move |wave, group| {
        let mut data = gather(wave, from[0], shape)?;
        if pieces == 2 {
            let second = gather(wave, from[1], shape)?;
            data[words..2 * words].copy_from_slice(&second[..words]);
        }
        let address = *wave.vector(address)?;
        let bytes = shape.bytes;
        let action = Action::Write;
        let transfer =
            Transfer { action, address, offsets, pieces, bytes, data, ..Transfer::done(wave.exec) };
        transfer.check(&group.lds)?;
        wave.local.push_back(transfer);
        Ok(())
    }))
}

fn atomic(line: &Line, f: fn(u32, u32) -> u32, returns: bool) -> Result<Code, Trouble> {
    let first = usize::from(returns);
    let (address, value) = (line.operand(first)?.vector()?, line.operand(first + 1)?.vector()?);
    let target = if returns { Some(word(line.operand(0)?.vector()?)) } else { None };
    let offsets = offsets(line, 4, 0);
    Ok(step(move |wave, group| {
        let (address, value) = (*wave.vector(address)?, *wave.vector(value)?);
        let data = [value, [0; 64], [0; 64], [0; 64]];
        let action = Action::Update(f);
        let transfer = Transfer { action, address, offsets, data, target, ..Transfer::done(wave.exec) };
        transfer.check(&group.lds)?;
        if let Some(target) = target {
            wave.expect(target.register, target.count)?;
        }
        wave.local.push_back(transfer);
        Ok(())
    }))
}

fn word(register: u16) -> Target {
    Target { register, count: 1, part: Part::Whole, signed: false }
}

/// Moves between lanes go through LDS's crossbar and its counter, but touch no memory.
fn crossing(
    to: u16,
    lanes: impl Fn(&crate::wave::Wave) -> Result<Lanes, Trouble> + Send + Sync + 'static,
) -> Code {
    step(move |wave, _| {
        let moved = lanes(wave)?;
        wave.expect(to, 1)?;
        let data = [moved, [0; 64], [0; 64], [0; 64]];
        wave.local.push_back(Transfer { data, target: Some(word(to)), ..Transfer::done(wave.exec) });
        Ok(())
    })
}

fn permute(line: &Line, backward: bool) -> Result<Code, Trouble> {
    let (to, address) = (line.operand(0)?.vector()?, line.operand(1)?.vector()?);
    let (from, offset) = (line.operand(2)?.vector()?, line.number("offset") as u32);
    Ok(crossing(to, move |wave| {
        let (address, values) = (wave.vector(address)?, wave.vector(from)?);
        let mut out = [0; 64];
        for (lane, address) in address.iter().enumerate().take(wave.lanes as usize) {
            let other = (address.wrapping_add(offset) >> 2) as usize % wave.lanes as usize;
            let (to, from) = if backward { (lane, other) } else { (other, lane) };
            if wave.exec >> from & 1 == 1 {
                out[to] = values[from];
            }
        }
        Ok(out)
    }))
}

/// The lane that a swizzle's pattern makes each lane read.
fn swizzled(pattern: usize, lane: usize) -> usize {
    if pattern & 0x8000 != 0 {
        return lane & !3 | pattern >> (2 * (lane & 3)) & 3;
    }
    lane & !31 | ((lane & 31 & pattern) | pattern >> 5 & 31) ^ pattern >> 10 & 31
}

fn swizzle(line: &Line) -> Result<Code, Trouble> {
    let (to, from) = (line.operand(0)?.vector()?, line.operand(1)?.vector()?);
    if line.rest.contains("swizzle(") {
        return Err(format!("a pattern in words: `{}`", line.rest));
    }
    let pattern = line.number("offset") as usize;
    Ok(crossing(to, move |wave| {
        let values = wave.vector(from)?;
        Ok(std::array::from_fn(|lane| {
            let from = swizzled(pattern, lane);
            if wave.exec >> from & 1 == 1 { values[from] } else { 0 }
        }))
    }))
}
