//! Atomics and fences: values, and what they order.
//!
//! Ordering follows the C11 rules that the PTX model shares: an acquiring read of a releasing write orders what came
//! before the one before what comes after the other; a fence lends its order to the relaxed atomics around it.

use std::collections::HashMap;

use super::Run;
use super::access::Target;
use super::arith::signed;
use super::race::{ATOMIC, Knowledge};
use super::step::{Flow, Slice};
use super::warp::lanes;
use crate::error::FaultKind;
use crate::float::{decode, encode};
use crate::program::{Access, Inst, Order, RedOp, Slot};
use crate::text::Scalar;

/// What has been released to each atomic location; by the place's kind, number and offset.
pub(crate) type SyncVars = HashMap<(u64, u64), Knowledge>;

pub(super) struct Atomic {
    pub(super) op: RedOp,
    pub(super) ty: Scalar,
    pub(super) space: u8,
    pub(super) order: Order,
    /// Elements at consecutive addresses.
    pub(super) lanes: u8,
}

impl Slice<'_, '_, '_> {
    fn variable(&self, target: Target) -> Option<(u64, u64)> {
        match target {
            Target::Shared(cta, at) => {
                Some((1 << 63 | u64::from(self.cluster.number) << 16 | cta as u64, at as u64))
            }
            Target::Global((buffer, at)) => Some((buffer as u64, at as u64)),
            _ => None,
        }
    }

    fn on_read(&mut self, target: Target, order: Order) {
        let Some(found) = self.variable(target).and_then(|key| self.machine.atomics.get(&key)) else {
            return;
        };
        if order.acquires() {
            self.warp.acquire(found);
        } else {
            let found = found.clone();
            let number = self.cluster.number;
            self.warp.to_acquire.get_or_insert_with(|| Box::new(Knowledge::new(number))).join(&found);
        }
    }

    /// `released` is the warp's knowledge when the order releases.
    fn on_write(&mut self, target: Target, released: Option<&Knowledge>, rmw: bool) {
        let Some(key) = self.variable(target) else { return };
        let publish = released.or(self.warp.released.as_deref());
        match (publish, rmw) {
            (Some(publish), true) => {
                let number = self.cluster.number;
                let publish = publish.clone();
                self.machine.atomics.entry(key).or_insert_with(|| Knowledge::new(number)).join(&publish);
            }
            (Some(publish), false) => {
                let publish = publish.clone();
                self.machine.atomics.insert(key, publish);
            }
            // A read-modify-write continues the release sequence; a plain store ends it.
            (None, true) => {}
            (None, false) => {
                self.machine.atomics.remove(&key);
            }
        }
    }

    pub(super) fn atomic_load(&mut self, access: &Access, address: Slot, mask: u64) {
        for lane in lanes(mask) {
            let address = self.warp.get(address, lane);
            if let Some(target) = self.resolve(access.space, address, access.bytes as usize) {
                self.on_read(target, access.order);
            }
        }
    }

    pub(super) fn atomic_store(&mut self, access: &Access, address: Slot, mask: u64) {
        let released = access.order.releases().then(|| self.warp.release());
        for lane in lanes(mask) {
            let address = self.warp.get(address, lane);
            if let Some(target) = self.resolve(access.space, address, access.bytes as usize) {
                self.on_write(target, released.as_ref(), false);
            }
        }
    }

    pub(super) fn fence(&mut self, order: Order) {
        if order.acquires()
            && let Some(found) = self.warp.to_acquire.take()
        {
            self.warp.acquire(&found);
        }
        if order.releases() {
            let released = self.warp.release();
            self.warp.released = Some(Box::new(released));
        }
    }

    pub(super) fn atomic(&mut self, atomic: &Atomic, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        let mask = self.mask();
        for (index, &slot) in src.iter().enumerate() {
            let what = if index == 0 { "an address" } else { "an operand of an atomic" };
            self.defined(slot, mask, what, inst)?;
        }
        let size = atomic.ty.bytes() as usize;
        let count = usize::from(atomic.lanes);
        let length = size * count;
        let released = atomic.order.releases().then(|| self.warp.release());
        // Lanes go in a random order: nothing may depend on it.
        let mut order: Vec<usize> = lanes(mask).collect();
        for index in (1..order.len()).rev() {
            order.swap(index, self.machine.rng.below(index + 1));
        }
        for lane in order {
            let address = self.warp.get(src[0], lane);
            let align = (length as u64).next_power_of_two();
            let target = self.locate(atomic.space, address, length, align, lane, inst)?;
            if let Target::Local(_) | Target::Param(_) = target {
                return self.fail(FaultKind::OutOfBounds, "an atomic on private memory", inst, 1 << lane);
            }
            self.on_read(target, atomic.order);
            let old = match target {
                Target::Shared(cta, at) => self.cluster.ctas[cta].shared[at..at + length].to_vec(),
                Target::Global(at) => self.machine.memory.slice(at, length).to_vec(),
                Target::Data(at) => self.machine.data[at..at + length].to_vec(),
                _ => Vec::new(),
            };
            if let Target::Shared(cta, at) = target {
                self.check_mbarrier(cta, at, length, inst, lane)?;
                let undefined = self.cluster.ctas[cta].init[at..at + length].contains(&false);
                if undefined && self.machine.options.uninitialised {
                    let message = "an atomic on shared memory that nobody wrote";
                    return self.fail(FaultKind::Uninitialised, message, inst, 1 << lane);
                }
            }
            let mut new = Vec::with_capacity(length);
            for element in 0..count {
                let before = super::read_scalar(&old[element * size..], atomic.ty);
                let operand = self.warp.get(src[1 + element], lane);
                let other =
                    src.get(2).filter(|_| atomic.op == RedOp::Cas).map(|&slot| self.warp.get(slot, lane));
                let after = apply(atomic.op, atomic.ty, before, operand, other);
                new.extend_from_slice(&after.to_le_bytes()[..size]);
                if let Some(&slot) = dst.get(element) {
                    self.warp.set(slot, lane, before);
                    self.warp.poison[slot as usize] &= !(1 << lane);
                }
            }
            self.order(target, length, lane, ATOMIC, Some(&new), inst)?;
            match target {
                Target::Shared(cta, at) => {
                    let block = &mut self.cluster.ctas[cta];
                    block.shared[at..at + length].copy_from_slice(&new);
                }
                Target::Global(at) => match self.machine.memory.slice_mut(at, length) {
                    Some(to) => to.copy_from_slice(&new),
                    None => {
                        let message = "an atomic on a buffer that the launch gave as read-only";
                        return self.fail(FaultKind::OutOfBounds, message, inst, 1 << lane);
                    }
                },
                Target::Data(at) => self.machine.data[at..at + length].copy_from_slice(&new),
                _ => {}
            }
            self.on_write(target, released.as_ref(), true);
        }
        Ok(Flow::Pause)
    }
}

/// The value after the operation. For compare-and-swap `operand` is the value compared with.
pub(super) fn apply(op: RedOp, ty: Scalar, old: u64, operand: u64, other: Option<u64>) -> u64 {
    let bits = ty.bits();
    let fit = |value: u64| if bits == 64 { value } else { value & ((1 << bits) - 1) };
    if ty.is_float() {
        let (a, b) = (decode(ty, old), decode(ty, operand));
        let value = match op {
            RedOp::Add => a + b,
            RedOp::Sub => a - b,
            RedOp::Max => {
                if a.is_nan() {
                    b
                } else if b.is_nan() {
                    a
                } else {
                    a.max(b)
                }
            }
            RedOp::Min => {
                if a.is_nan() {
                    b
                } else if b.is_nan() {
                    a
                } else {
                    a.min(b)
                }
            }
            _ => return operand,
        };
        return encode(ty, value);
    }
    let (sa, sb) = (signed(old, bits), signed(operand, bits));
    fit(match op {
        RedOp::Add => old.wrapping_add(operand),
        RedOp::Sub => old.wrapping_sub(operand),
        RedOp::And => old & operand,
        RedOp::Nand => !(old & operand),
        RedOp::Or => old | operand,
        RedOp::Xor => old ^ operand,
        RedOp::Max => {
            if sa >= sb {
                old
            } else {
                operand
            }
        }
        RedOp::Min => {
            if sa <= sb {
                old
            } else {
                operand
            }
        }
        RedOp::UMax => old.max(operand),
        RedOp::UMin => old.min(operand),
        RedOp::Inc => {
            if old >= operand {
                0
            } else {
                old + 1
            }
        }
        RedOp::Dec => {
            if old == 0 || old > operand {
                operand
            } else {
                old - 1
            }
        }
        RedOp::Xchg => operand,
        RedOp::Cas => {
            if old == operand {
                other.unwrap_or(old)
            } else {
                old
            }
        }
    })
}
