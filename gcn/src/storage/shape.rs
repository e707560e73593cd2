//! What an access moves: bytes of a lane, and how a narrow value fits a register.

use crate::error::{Outcome, Trouble};
use crate::launch::Group;
use crate::text::Operand;
use crate::wave::{Lanes, Part, Target, Transfer, Wave};

/// The shape of an access, from its name.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a lane.
    pub(crate) bytes: usize,
    pub(crate) signed: bool,
    pub(crate) part: Part,
}

const WHOLE: Shape = Shape { bytes: 4, signed: false, part: Part::Whole };
const LOW: Shape = Shape { part: Part::Low, ..WHOLE };
const HIGH: Shape = Shape { part: Part::High, ..WHOLE };

/// Endings of names of loads and stores.
const SHAPES: [(&str, Shape); 42] = [
    ("ubyte", Shape { bytes: 1, ..WHOLE }),
    ("sbyte", Shape { bytes: 1, signed: true, ..WHOLE }),
    ("byte", Shape { bytes: 1, ..WHOLE }),
    ("u8", Shape { bytes: 1, ..WHOLE }),
    ("i8", Shape { bytes: 1, signed: true, ..WHOLE }),
    ("b8", Shape { bytes: 1, ..WHOLE }),
    ("ushort", Shape { bytes: 2, ..WHOLE }),
    ("sshort", Shape { bytes: 2, signed: true, ..WHOLE }),
    ("short", Shape { bytes: 2, ..WHOLE }),
    ("u16", Shape { bytes: 2, ..WHOLE }),
    ("i16", Shape { bytes: 2, signed: true, ..WHOLE }),
    ("b16", Shape { bytes: 2, ..WHOLE }),
    ("dword", WHOLE),
    ("b32", WHOLE),
    ("dwordx2", Shape { bytes: 8, ..WHOLE }),
    ("b64", Shape { bytes: 8, ..WHOLE }),
    ("dwordx3", Shape { bytes: 12, ..WHOLE }),
    ("b96", Shape { bytes: 12, ..WHOLE }),
    ("dwordx4", Shape { bytes: 16, ..WHOLE }),
    ("b128", Shape { bytes: 16, ..WHOLE }),
    ("short_d16", Shape { bytes: 2, ..LOW }),
    ("short_d16_hi", Shape { bytes: 2, ..HIGH }),
    ("d16_b16", Shape { bytes: 2, ..LOW }),
    ("d16_hi_b16", Shape { bytes: 2, ..HIGH }),
    ("u16_d16", Shape { bytes: 2, ..LOW }),
    ("u16_d16_hi", Shape { bytes: 2, ..HIGH }),
    ("b16_d16_hi", Shape { bytes: 2, ..HIGH }),
    ("u8_d16", Shape { bytes: 1, ..LOW }),
    ("u8_d16_hi", Shape { bytes: 1, ..HIGH }),
    ("i8_d16", Shape { bytes: 1, signed: true, ..LOW }),
    ("i8_d16_hi", Shape { bytes: 1, signed: true, ..HIGH }),
    ("ubyte_d16", Shape { bytes: 1, ..LOW }),
    ("ubyte_d16_hi", Shape { bytes: 1, ..HIGH }),
    ("sbyte_d16", Shape { bytes: 1, signed: true, ..LOW }),
    ("sbyte_d16_hi", Shape { bytes: 1, signed: true, ..HIGH }),
    ("byte_d16_hi", Shape { bytes: 1, ..HIGH }),
    ("d16_u8", Shape { bytes: 1, ..LOW }),
    ("d16_hi_u8", Shape { bytes: 1, ..HIGH }),
    ("d16_i8", Shape { bytes: 1, signed: true, ..LOW }),
    ("d16_hi_i8", Shape { bytes: 1, signed: true, ..HIGH }),
    ("d16_hi_b8", Shape { bytes: 1, ..HIGH }),
    ("b8_d16_hi", Shape { bytes: 1, ..HIGH }),
];

impl Shape {
    /// The shape that a name's ending says.
    pub(crate) fn find(name: &str) -> Option<Shape> {
        SHAPES.iter().find(|(n, _)| *n == name).map(|(_, shape)| *shape)
    }

    pub(crate) fn words(self) -> u16 {
        self.bytes.div_ceil(4) as u16
    }

    /// The shape with the half that an operand names.
    pub(crate) fn of(self, operand: &Operand) -> Shape {
        match operand.half {
            Some(0) => Shape { part: Part::Low, ..self },
            Some(_) => Shape { part: Part::High, ..self },
            None => self,
        }
    }

    /// Where a load goes.
    pub(crate) fn target(self, register: u16) -> Target {
        Target { register, count: self.words(), part: self.part, signed: self.signed }
    }
}

/// Load or store, and the shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Load,
    Store,
}

impl Access {
    /// `load_dwordx4`, `store_b32`.
    pub(crate) fn find(name: &str) -> Option<(Access, Shape)> {
        let (access, shape) = match (name.strip_prefix("load_"), name.strip_prefix("store_")) {
            (Some(rest), _) => (Access::Load, rest),
            (_, Some(rest)) => (Access::Store, rest),
            _ => return None,
        };
        Some((access, Shape::find(shape)?))
    }
}

/// The words that a store takes from registers; a high half is shifted down.
pub(crate) fn gather(wave: &Wave, register: u16, shape: Shape) -> Result<[Lanes; 4], Trouble> {
    let mut data = [[0; 64]; 4];
    for (i, words) in (0..shape.words()).zip(&mut data) {
        *words = *wave.vector(register + i)?;
        if shape.part == Part::High {
            words.iter_mut().for_each(|x| *x >>= 16);
        }
    }
    Ok(data)
}

/// The address of each lane's piece, in bounds that the caller has checked; `None` for what is out of a buffer's bounds.
pub(crate) type Place<'p> = &'p dyn Fn(usize, usize) -> Option<u64>;

/// A piece of global memory lies at a multiple of its size: HSA's runtimes allow more, code that is to run anywhere does not count on it.
fn aligned(lane: usize, address: u64, size: usize) -> Outcome {
    if address.is_multiple_of(size as u64) {
        return Ok(());
    }
    Err(format!("lane {lane}: {size} bytes at {address:#x}, which is no multiple of that"))
}

/// Reads pieces of at most 4 bytes; those out of bounds are 0.
pub(crate) fn read_lanes(
    group: &mut Group<'_, '_>,
    mask: u64,
    bytes: usize,
    place: Place<'_>,
) -> Result<[Lanes; 4], Trouble> {
    let mut data = [[0; 64]; 4];
    for lane in (0..64).filter(|lane| mask >> lane & 1 == 1) {
        for (word, data) in data.iter_mut().enumerate().take(bytes.div_ceil(4)) {
            let Some(address) = place(lane, word) else { continue };
            let size = (bytes - 4 * word).min(4);
            aligned(lane, address, size)?;
            let mut value = [0; 4];
            let from = group.memory.read(address, size).map_err(|e| format!("lane {lane}: {e}"))?;
            value[..size].copy_from_slice(from);
            data[lane] = u32::from_le_bytes(value);
        }
    }
    Ok(data)
}

/// Writes pieces of at most 4 bytes; those out of bounds are dropped.
pub(crate) fn scatter(
    group: &mut Group<'_, '_>,
    mask: u64,
    bytes: usize,
    data: &[Lanes; 4],
    place: Place<'_>,
) -> Outcome {
    for lane in (0..64).filter(|lane| mask >> lane & 1 == 1) {
        for (word, data) in data.iter().enumerate().take(bytes.div_ceil(4)) {
            let Some(address) = place(lane, word) else { continue };
            let size = (bytes - 4 * word).min(4);
            aligned(lane, address, size)?;
            let to = group.memory.write(address, size).map_err(|e| format!("lane {lane}: {e}"))?;
            to.copy_from_slice(&data[lane].to_le_bytes()[..size]);
        }
    }
    Ok(())
}

impl Wave {
    /// A load whose data has been read; the registers get it when it is waited for.
    pub(crate) fn begin_load(
        &mut self,
        target: Target,
        mask: u64,
        bytes: usize,
        data: [Lanes; 4],
    ) -> Outcome {
        self.expect(target.register, target.count)?;
        self.vector_memory.push_back(Transfer { bytes, data, target: Some(target), ..Transfer::done(mask) });
        Ok(())
    }

    /// A store, counted where stores and loads share a counter.
    pub(crate) fn count_store(&mut self, apart: bool) {
        if !apart {
            self.vector_memory.push_back(Transfer::done(0));
        }
    }
}
