//! Global memory by descriptors: what lies out of bounds reads as zero and is not written, word by word.

use super::atomic::Atomic;
use super::scratch::{self, SCRATCH_BUFFER};
use super::{Access, gather, read_lanes, scatter};
use crate::error::Trouble;
use crate::instruction::{Code, Context, Nothing, step};
use crate::scalar::Input;
use crate::text::{Kind, Line};
use crate::wave::{Action, Lanes, M0, Transfer, Wave};

/// The address operands of an access.
#[derive(Clone, Copy)]
pub(super) struct Address {
    vector: Option<u16>,
    descriptor: u8,
    scalar: Input,
    offset: i64,
}

/// Offsets of lanes in a buffer.
pub(super) struct Bounds {
    base: u64,
    offsets: [u64; 64],
    /// Bytes of the buffer.
    records: u64,
}

impl Bounds {
    /// Address of a piece; `None` out of bounds.
    fn place(&self, lane: usize, at: u64, size: u64) -> Option<u64> {
        let offset = self.offsets[lane] + at;
        (offset + size <= self.records).then(|| self.base + offset)
    }
}

impl Address {
    fn new(line: &Line, first: usize) -> Result<Address, Trouble> {
        if line.flag("idxen") {
            return Err("an index into a buffer".into());
        }
        let vector = line.operand(first)?;
        let by_lane = line.flag("offen") && vector.kind != Kind::Nothing;
        Ok(Address {
            vector: if by_lane { Some(vector.vector()?) } else { None },
            descriptor: line.operand(first + 1)?.scalar()?,
            scalar: Input::narrow(line.operand(first + 2)?)?,
            offset: line.number("offset"),
        })
    }

    fn bounds(&self, wave: &Wave) -> Result<Bounds, Trouble> {
        let low = wave.scalar64(self.descriptor)?;
        let (stride, base) = (low >> 48 & 0x3fff, low & 0xffff_ffff_ffff);
        if stride != 0 {
            return Err(format!("a buffer with a stride of {stride}"));
        }
        let records = wave.scalar(self.descriptor + 2)?.into();
        wave.scalar(self.descriptor + 3)?;
        let shared = u64::from(self.scalar.get(wave)?).wrapping_add_signed(self.offset);
        let lanes = self.vector.map_or(Ok([0; 64]), |r| wave.vector(r).copied())?;
        let offsets = lanes.map(|x| u64::from(x) + shared);
        // Whether a sum beyond 32 bits wraps is said nowhere: code must not depend on it.
        let wraps = |lane: &usize| offsets[*lane] >> 32 != 0 && u64::from(offsets[*lane] as u32) < records;
        match (0..64).filter(|lane| wave.exec >> lane & 1 == 1).find(wraps) {
            Some(lane) => {
                Err(format!("lane {lane}: {:#x} + {shared:#x} in a buffer, beyond 32 bits", lanes[lane]))
            }
            None => Ok(Bounds { base, offsets, records }),
        }
    }

    /// The offsets of lanes in scratch, if the descriptor is that of scratch.
    fn scratch(&self, wave: &Wave) -> Result<Option<Lanes>, Trouble> {
        if wave.scalar64(self.descriptor)? & 0xffff_ffff_ffff != SCRATCH_BUFFER {
            return Ok(None);
        }
        let shared = self.scalar.get(wave)?.wrapping_add(self.offset as u32);
        let lanes = self.vector.map_or(Ok([0; 64]), |r| wave.vector(r).copied())?;
        Ok(Some(lanes.map(|x| x.wrapping_add(shared))))
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, apart) = (context.line, context.chip.counts_stores);
    let name = line.operation().strip_prefix("buffer_")?;
    if ["gl", "wb", "inv"].iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Ok(Box::new(Nothing)));
    }
    if let Some(name) = name.strip_prefix("atomic_") {
        let operation = Atomic::find(line, name, apart)?;
        let decode = || {
            let (data, address) = (line.operand(0)?.vector()?, Address::new(line, 1)?);
            let atomic = Atomic::new(operation, data, data);
            Ok(step(move |wave, group| {
                let bounds = address.bounds(wave)?;
                atomic.run(wave, group, &|lane| bounds.place(lane, 0, 4))
            }))
        };
        return Some(decode());
    }
    let (access, shape) = Access::find(name)?;
    if line.flag("lds") {
        return Some(
            Address::new(line, 0).map(|address| direct(address, shape.bytes, line.number("offset"))),
        );
    }
    let decode = || {
        let (register, address) = (line.operand(0)?.vector()?, Address::new(line, 1)?);
        let shape = shape.of(line.operand(0)?);
        let piece = shape.bytes.min(4) as u64;
        Ok(step(move |wave, group| {
            let mask = wave.exec;
            if let Some(at) = address.scratch(wave)? {
                return scratch::access(wave, access, shape, register, &at, apart);
            }
            let bounds = address.bounds(wave)?;
            let place = |lane: usize, word: usize| bounds.place(lane, 4 * word as u64, piece);
            if access == Access::Load {
                let data = read_lanes(group, mask, shape.bytes, &place)?;
                return wave.begin_load(shape.target(register), mask, shape.bytes, data);
            }
            let data = gather(wave, register, shape)?;
            scatter(group, mask, shape.bytes, &data, &place)?;
            wave.count_store(apart);
            Ok(())
        }))
    };
    Some(decode())
}

/// A load that goes to LDS: lane after lane from M0 on.
fn direct(address: Address, bytes: usize, offset: i64) -> Code {
    step(move |wave, group| {
        let bounds = address.bounds(wave)?;
        let mask = wave.exec;
        let place = |lane: usize, word: usize| bounds.place(lane, 4 * word as u64, bytes.min(4) as u64);
        let data = read_lanes(group, mask, bytes, &place)?;
        let start = (wave.scalar(M0)? & 0xffff_fffc).wrapping_add(offset as u32);
        let at = std::array::from_fn(|lane| start.wrapping_add((lane * bytes.max(4)) as u32));
        let transfer = Transfer { action: Action::Write, address: at, bytes, data, ..Transfer::done(mask) };
        transfer.check(&group.lds)?;
        wave.vector_memory.push_back(transfer);
        Ok(())
    })
}
