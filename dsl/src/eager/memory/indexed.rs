//! Accesses by an index per lane: `gather`, `scatter` and atomics.

use super::{Memory, ViewRef};
use crate::eager::error::Fault;
use crate::eager::eval::binary_lane;
use crate::eager::round::Lane;
use crate::eager::value::{Data, Value};
use crate::ir::{AtomicOp, BinaryOp, Ordering};

/// The lanes of an indexed access: one index tile per axis, and a mask.
pub(in crate::eager) struct Lanes<'a> {
    axes: Vec<&'a [i64]>,
    mask: &'a [bool],
}

impl<'a> Lanes<'a> {
    /// Index tiles and mask of one shape.
    pub fn new(index: &[&'a Value], mask: &'a Value) -> Result<Lanes<'a>, Fault> {
        if let Some(i) = index.iter().find(|i| i.shape() != mask.shape()) {
            return Err(Fault::from(format!(
                "an index of type {} under a mask of type {}",
                i.ty(),
                mask.ty()
            )));
        }
        let axes: Result<Vec<&[i64]>, String> = index.iter().map(|v| v.as_ints()).collect();
        Ok(Lanes { axes: axes?, mask: mask.as_bools()? })
    }

    fn check(&self, v: &ViewRef, tiles: &[&Value]) -> Result<(), Fault> {
        if self.axes.len() != v.dims.len() || tiles.iter().any(|t| t.len() != self.mask.len()) {
            return Err(Fault::from(format!(
                "{} indices for a view of rank {}",
                self.axes.len(),
                v.dims.len()
            )));
        }
        Ok(())
    }

    /// Index of a lane, and its place; `None` if it is masked off or outside the view.
    fn place(&self, memory: &Memory, v: &ViewRef, n: usize) -> Result<Option<(Vec<i64>, usize)>, Fault> {
        if !self.mask[n] {
            return Ok(None);
        }
        let index: Vec<i64> = self.axes.iter().map(|a| a[n]).collect();
        match v.place(&index)? {
            Some(place) => Ok(Some((index, place))),
            None if memory.strict => {
                let dims: Vec<String> = v.dims.iter().map(i64::to_string).collect();
                Err(Fault::new(format!(
                    "{} is outside the view, whose dims are [{}]",
                    v.element(&index),
                    dims.join(", ")
                ))
                .help(
                    "mask the lane off, or clamp its index; outside of strict mode such a lane does nothing",
                ))
            }
            None => Ok(None),
        }
    }
}

/// What a read-modify-write does with the value before.
pub(in crate::eager) enum Update<'a> {
    /// Combines it with a value.
    Op(AtomicOp, &'a Value),
    /// Replaces it by `new` if it equals `expected`.
    Cas { expected: &'a Value, new: &'a Value },
}

impl Memory {
    /// One element per lane; `other` where the lane is masked off or outside.
    pub fn gather(&self, v: &ViewRef, lanes: &Lanes, other: &Value) -> Result<Value, Fault> {
        lanes.check(v, &[other])?;
        let mut data = Data::with_capacity(other.elem(), other.len());
        for n in 0..other.len() {
            match lanes.place(self, v, n)? {
                Some((index, place)) => data.push(self.read(v, &index, place, false)?),
                None => other.data().get(n).into_iter().for_each(|lane| data.push(lane)),
            }
        }
        Ok(Value::new(other.ty().clone(), data)?)
    }

    /// Writes one element per lane; of two lanes that name one element, the later wins.
    pub fn scatter(&mut self, v: &ViewRef, lanes: &Lanes, value: &Value) -> Result<(), Fault> {
        lanes.check(v, &[value])?;
        for n in 0..value.len() {
            if let (Some((index, place)), Some(lane)) = (lanes.place(self, v, n)?, value.data().get(n)) {
                self.write(v, &index, place, lane, false)?;
            }
        }
        Ok(())
    }

    /// Reads, updates and writes one element per lane, lane after lane; gives the values before, 0 where not done.
    pub fn atomic(
        &mut self,
        v: &ViewRef,
        lanes: &Lanes,
        update: Update,
        ordering: Ordering,
    ) -> Result<Value, Fault> {
        let shape_of = match &update {
            Update::Op(_, value) => *value,
            Update::Cas { new, .. } => *new,
        };
        lanes.check(v, &[shape_of])?;
        if let Update::Cas { expected, .. } = &update {
            lanes.check(v, &[*expected])?;
        }
        if matches!(ordering, Ordering::Acquire | Ordering::AcqRel) {
            self.acquired = true;
        }
        let mut data = Data::with_capacity(shape_of.elem(), shape_of.len());
        for n in 0..shape_of.len() {
            let Some((index, place)) = lanes.place(self, v, n)? else {
                data.push(Lane::Bool(false));
                continue;
            };
            let before = self.read(v, &index, place, true)?;
            data.push(before);
            if let Some(after) = updated(&update, v, n, before)? {
                self.write(v, &index, place, after, true)?;
            }
        }
        Ok(Value::new(shape_of.ty().clone(), data)?)
    }
}

/// The value after, or `None` if the element stays as it is.
fn updated(update: &Update, v: &ViewRef, n: usize, before: Lane) -> Result<Option<Lane>, Fault> {
    let lane = |t: &Value| t.data().get(n).ok_or("a tile with too few elements");
    let (op, value) = match update {
        Update::Cas { expected, new } => {
            return Ok(if before == lane(expected)? { Some(lane(new)?) } else { None });
        }
        Update::Op(AtomicOp::Xchg, value) => return Ok(Some(lane(value)?)),
        Update::Op(op, value) => (op, lane(value)?),
    };
    let op = match op {
        AtomicOp::Add => BinaryOp::Add,
        AtomicOp::Min => BinaryOp::Min,
        AtomicOp::Max => BinaryOp::Max,
        AtomicOp::And => BinaryOp::And,
        AtomicOp::Or => BinaryOp::Or,
        AtomicOp::Xor | AtomicOp::Xchg => BinaryOp::Xor,
    };
    let after = binary_lane(op, v.elem, before, value);
    after.map(Some).ok_or_else(|| Fault::from(format!("atomic `{}` of {}", op.name(), v.elem)))
}
