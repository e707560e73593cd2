//! Reading and writing registers: what is under way to one may be neither read nor overwritten.

use super::{EXEC, Lanes, Wave};
use crate::error::{Outcome, Trouble};
use crate::text::ACCUMULATORS;

fn name(register: u16) -> String {
    if register < ACCUMULATORS { format!("v{register}") } else { format!("a{}", register - ACCUMULATORS) }
}

impl Wave {
    /// A register exists and nothing is under way to it.
    fn settled(&self, register: u16, access: &str) -> Outcome {
        let (index, most) = match register.checked_sub(ACCUMULATORS) {
            None => (register, self.allocated.0),
            Some(index) => (index, self.allocated.1),
        };
        if index >= most {
            return Err(format!(
                "{} is beyond the {most} registers that the descriptor asks for",
                name(register)
            ));
        }
        if self.pending[0] > 0 && self.vectors_pending[usize::from(register)] > 0 {
            return Err(format!("{} is {access} while a load to it is under way", name(register)));
        }
        Ok(())
    }

    pub(crate) fn vector(&self, register: u16) -> Result<&Lanes, Trouble> {
        self.settled(register, "read")?;
        Ok(&self.vectors[usize::from(register)])
    }

    /// Writes the active lanes.
    pub(crate) fn set_vector(&mut self, register: u16, value: &Lanes) -> Outcome {
        self.set_lanes(register, self.exec, value)
    }

    pub(crate) fn set_lanes(&mut self, register: u16, mask: u64, value: &Lanes) -> Outcome {
        self.settled(register, "written")?;
        self.put(register, mask, value);
        Ok(())
    }

    /// Writes without asking.
    pub(crate) fn put(&mut self, register: u16, mask: u64, value: &Lanes) {
        let to = &mut self.vectors[usize::from(register)];
        if mask == u64::MAX {
            *to = *value;
        } else {
            for lane in 0..64 {
                if mask >> lane & 1 == 1 {
                    to[lane] = value[lane];
                }
            }
        }
    }

    /// A load to registers begins.
    pub(crate) fn expect(&mut self, register: u16, count: u16) -> Outcome {
        for r in register..register + count {
            // Loads come back in order: a second one to the same register is no mistake.
            if self.vectors_pending.get(usize::from(r)).is_none_or(|n| *n == 0) {
                self.settled(r, "written")?;
            }
            self.vectors_pending[usize::from(r)] += 1;
            self.pending[0] += 1;
        }
        Ok(())
    }

    pub(super) fn arrived(&mut self, register: u16, count: u16) {
        for r in register..register + count {
            self.vectors_pending[usize::from(r)] -= 1;
            self.pending[0] -= 1;
        }
    }

    pub(crate) fn scalar(&self, register: u8) -> Result<u32, Trouble> {
        if self.pending[1] > 0 && self.scalars_pending[usize::from(register)] > 0 {
            return Err(format!("s{register} is read while a load to it is under way"));
        }
        Ok(match register {
            EXEC => self.exec as u32,
            127 => (self.exec >> 32) as u32,
            _ => self.scalars[usize::from(register)],
        })
    }

    pub(crate) fn scalar64(&self, register: u8) -> Result<u64, Trouble> {
        Ok(u64::from(self.scalar(register)?) | u64::from(self.scalar(register + 1)?) << 32)
    }

    pub(crate) fn set_scalar(&mut self, register: u8, value: u32) -> Outcome {
        if self.pending[1] > 0 && self.scalars_pending[usize::from(register)] > 0 {
            return Err(format!("s{register} is written while a load to it is under way"));
        }
        match register {
            EXEC => self.exec = (self.exec & !0xffff_ffff | u64::from(value)) & self.full(),
            127 => self.exec = (self.exec & 0xffff_ffff | u64::from(value) << 32) & self.full(),
            _ => self.scalars[usize::from(register)] = value,
        }
        Ok(())
    }

    pub(crate) fn set_scalar64(&mut self, register: u8, value: u64) -> Outcome {
        self.set_scalar(register, value as u32)?;
        self.set_scalar(register + 1, (value >> 32) as u32)
    }

    /// A bit for each lane, from one or two scalar registers.
    pub(crate) fn mask(&self, register: u8) -> Result<u64, Trouble> {
        if self.lanes == 32 { self.scalar(register).map(u64::from) } else { self.scalar64(register) }
    }

    pub(crate) fn set_mask(&mut self, register: u8, value: u64) -> Outcome {
        if self.lanes == 32 {
            self.set_scalar(register, value as u32)
        } else {
            self.set_scalar64(register, value)
        }
    }

    /// Counts loads under way to scalar registers up or down.
    pub(super) fn scalar_pending(&mut self, register: u8, count: u8, begins: bool) {
        for r in register..register.saturating_add(count) {
            let n = &mut self.scalars_pending[usize::from(r)];
            if begins {
                *n += 1;
                self.pending[1] += 1;
            } else {
                *n -= 1;
                self.pending[1] -= 1;
            }
        }
    }
}
