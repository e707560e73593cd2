//! Instructions on scalar registers: arithmetic, masks of lanes, control, loads.

pub(crate) mod arithmetic;
pub(crate) mod control;
pub(crate) mod load;
pub(crate) mod masks;
mod table;

use crate::error::Trouble;
use crate::text::{Kind, Operand};
use crate::wave::Wave;

/// Where a scalar operand comes from.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    Register(u8),
    Constant(u64),
    Scc,
}

impl Input {
    /// An operand of 32 bits.
    pub(crate) fn narrow(operand: &Operand) -> Result<Input, Trouble> {
        Input::of(operand, |f| u64::from((f as f32).to_bits()))
    }

    /// An operand of 64 bits.
    pub(crate) fn wide(operand: &Operand) -> Result<Input, Trouble> {
        Input::of(operand, f64::to_bits)
    }

    fn of(operand: &Operand, float: fn(f64) -> u64) -> Result<Input, Trouble> {
        match &operand.kind {
            Kind::Scalar(r) => Ok(Input::Register(*r)),
            Kind::Integer(i) => Ok(Input::Constant(*i as u64)),
            Kind::Float(f) => Ok(Input::Constant(float(*f))),
            Kind::Scc => Ok(Input::Scc),
            Kind::Nothing => Ok(Input::Constant(0)),
            other => Err(format!("{other:?} is no scalar operand")),
        }
    }

    pub(crate) fn get(self, wave: &Wave) -> Result<u32, Trouble> {
        match self {
            Input::Register(r) => wave.scalar(r),
            Input::Constant(c) => Ok(c as u32),
            Input::Scc => Ok(u32::from(wave.scc)),
        }
    }

    pub(crate) fn get64(self, wave: &Wave) -> Result<u64, Trouble> {
        match self {
            Input::Register(r) => wave.scalar64(r),
            Input::Constant(c) => Ok(c),
            Input::Scc => Ok(u64::from(wave.scc)),
        }
    }
}
