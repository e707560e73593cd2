//! What is under way: vector memory, LDS and scalar loads, and the waits that let it arrive.
//!
//! ```text
//! issue ──▶ queue ──▶ performed (LDS is read or written: late, or earlier by chance) ──▶ waited for: registers may be read
//! ```

use super::{Lanes, Wave};
use crate::error::{Outcome, Trouble};

/// What a transfer does to LDS when it is performed.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// The data is there, or there is none.
    Done,
    Read,
    /// Reads 8 bytes, then exchanges elements of so many bits among 16 lanes.
    ReadColumns(u32),
    Write,
    /// Old and new word to what is left there.
    Update(fn(u32, u32) -> u32),
}

/// Which part of a register a load of less than a word writes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    Whole,
    Low,
    High,
}

/// Registers that a load writes.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) register: u16,
    pub(crate) count: u16,
    pub(crate) part: Part,
    /// Narrow values are widened by their sign.
    pub(crate) signed: bool,
}

/// An operation of a wave on memory that is not known to be complete.
pub(crate) struct Transfer {
    pub(crate) action: Action,
    pub(crate) address: Lanes,
    /// Bytes from the address to each piece, and how many pieces there are.
    pub(crate) offsets: [u32; 2],
    pub(crate) pieces: usize,
    /// Bytes of a piece.
    pub(crate) bytes: usize,
    pub(crate) mask: u64,
    pub(crate) data: [Lanes; 4],
    pub(crate) target: Option<Target>,
}

/// A scalar load under way.
pub(crate) struct ScalarLoad {
    pub(crate) register: u8,
    pub(crate) count: u8,
    pub(crate) values: [u32; 16],
}

impl Transfer {
    /// One that only counts.
    pub(crate) fn done(mask: u64) -> Transfer {
        Transfer {
            action: Action::Done,
            address: [0; 64],
            offsets: [0; 2],
            pieces: 1,
            bytes: 4,
            mask,
            data: [[0; 64]; 4],
            target: None,
        }
    }

    /// Bounds and alignment in LDS: each piece lies at a multiple of its size, 12 bytes at one of 16. HSA's runtimes set a mode that allows
    /// more; code that is to run anywhere does not count on it.
    pub(crate) fn check(&self, lds: &[u8]) -> Outcome {
        let alignment = self.bytes.next_power_of_two() as u32;
        for lane in (0..64).filter(|lane| self.mask >> lane & 1 == 1) {
            for piece in 0..self.pieces {
                let at = self.address[lane].wrapping_add(self.offsets[piece]);
                if at as usize + self.bytes > lds.len() {
                    let (bytes, most) = (self.bytes, lds.len());
                    return Err(format!("lane {lane}: {bytes} bytes at {at:#x} of LDS, which has {most:#x}"));
                }
                if !at.is_multiple_of(alignment) {
                    return Err(format!("lane {lane}: {at:#x} of LDS is no multiple of {alignment}"));
                }
            }
        }
        Ok(())
    }

    /// Reads or writes LDS, once.
    pub(crate) fn perform(&mut self, lds: &mut [u8]) {
        let action = std::mem::replace(&mut self.action, Action::Done);
        if matches!(action, Action::Done) {
            return;
        }
        let words = self.bytes.div_ceil(4);
        for lane in (0..64).filter(|lane| self.mask >> lane & 1 == 1) {
            for piece in 0..self.pieces {
                let at = self.address[lane].wrapping_add(self.offsets[piece]) as usize;
                for word in 0..words {
                    let size = (self.bytes - 4 * word).min(4);
                    let place = &mut lds[at + 4 * word..][..size];
                    let data = &mut self.data[piece * words + word][lane];
                    let mut old = [0; 4];
                    old[..size].copy_from_slice(place);
                    let old = u32::from_le_bytes(old);
                    let new = match action {
                        Action::Write => *data,
                        Action::Update(f) => f(old, *data),
                        Action::Read | Action::ReadColumns(_) | Action::Done => old,
                    };
                    *data = if matches!(action, Action::Write) { *data } else { old };
                    place.copy_from_slice(&new.to_le_bytes()[..size]);
                }
            }
        }
        if let Action::ReadColumns(bits) = action {
            self.exchange(bits);
        }
    }

    /// What 16 lanes have read is a matrix of 16 columns, row after row; each lane keeps its column.
    fn exchange(&mut self, bits: u32) {
        let read = self.data;
        let held = 64 / bits as usize;
        for lane in 0..64 {
            let mut column = 0u64;
            for row in 0..held {
                let at = row * 16 + lane % 16;
                let from = lane & !15 | (at / held);
                let words = u64::from(read[0][from]) | u64::from(read[1][from]) << 32;
                let element = words >> (bits as usize * (at % held)) & (u64::MAX >> (64 - bits));
                column |= element << (bits as usize * row);
            }
            (self.data[0][lane], self.data[1][lane]) = (column as u32, (column >> 32) as u32);
        }
    }

    /// Writes the registers.
    fn deliver(&self, wave: &mut Wave) {
        let Some(target) = self.target else { return };
        for index in 0..target.count {
            let register = target.register + index;
            let mut value = self.data[usize::from(index)];
            if self.bytes < 4 {
                let shift = 32 - 8 * self.bytes as u32;
                let old = &wave.vectors[usize::from(register)];
                for (value, old) in value.iter_mut().zip(old) {
                    let bits = *value << shift;
                    let wide = if target.signed { (bits as i32 >> shift) as u32 } else { bits >> shift };
                    *value = target.part.merge(*old, wide);
                }
            }
            wave.put(register, self.mask, &value);
        }
        wave.arrived(target.register, target.count);
    }
}

impl Part {
    /// The register's new contents.
    pub(crate) fn merge(self, old: u32, new: u32) -> u32 {
        match self {
            Part::Whole => new,
            Part::Low => old & 0xffff_0000 | new & 0xffff,
            Part::High => old & 0xffff | new << 16,
        }
    }
}

impl Wave {
    /// Waits until so many vector memory operations are left.
    pub(crate) fn wait_vector_memory(&mut self, left: usize, lds: &mut [u8]) {
        while self.vector_memory.len() > left {
            let Some(mut transfer) = self.vector_memory.pop_front() else { break };
            transfer.perform(lds);
            transfer.deliver(self);
        }
    }

    /// Waits until so many LDS operations and scalar loads are left. Scalar loads come back in any order, so that only a wait for all
    /// tells that one has.
    pub(crate) fn wait_local(&mut self, left: usize, lds: &mut [u8]) {
        // Scalar loads may have come back first: only LDS operations beyond `left` are surely done.
        while self.local.len() > left {
            let Some(mut transfer) = self.local.pop_front() else { break };
            transfer.perform(lds);
            transfer.deliver(self);
        }
        if left > 0 {
            return;
        }
        while let Some(load) = self.scalar_memory.pop() {
            let first = usize::from(load.register);
            let count = usize::from(load.count);
            self.scalars[first..first + count].copy_from_slice(&load.values[..count]);
            self.scalar_pending(load.register, load.count, false);
        }
    }

    /// LDS operations at the front of the queue may take place before anybody waits for them.
    pub(crate) fn perform_early(&mut self, count: usize, lds: &mut [u8]) {
        self.local.iter_mut().take(count).for_each(|t| t.perform(lds));
    }

    pub(crate) fn load_scalars(&mut self, load: ScalarLoad, junk: u32) -> Outcome {
        for r in load.register..load.register + load.count {
            self.scalar(r).map_err(|e: Trouble| e.replace("read", "loaded"))?;
            self.scalars[usize::from(r)] = junk ^ u32::from(r);
        }
        self.scalar_pending(load.register, load.count, true);
        self.scalar_memory.push(load);
        Ok(())
    }
}
