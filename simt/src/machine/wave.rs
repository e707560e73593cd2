//! Waves in lockstep: waits, and what a barrier hands on.
//!
//! `s_barrier` only lets waves meet. What a wave did before is known to the others when a fence of the workgroup or a wait
//! for the counters came before it: a wait for `lgkmcnt(0)` covers its accesses, a wait for `vmcnt(n)` its direct copies to
//! LDS but the last `n`. Other vector memory operations count there, too, but how many the machine code has of them is for
//! LLVM to choose, so no program may build on them. An acquiring fence is no instruction within a workgroup and asked of
//! nobody.

use super::Run;
use super::race::Knowledge;
use super::step::{Flow, Slice};
use crate::error::FaultKind;
use crate::program::{Inst, Order, Slot, WaveOp};

impl Slice<'_, '_, '_> {
    pub(super) fn wave(&mut self, op: &WaveOp, src: &[Slot], dst: &[Slot], inst: &Inst) -> Run<Flow> {
        if self.machine.chip.waves.is_none() {
            let message = format!("{} has no such instruction", self.machine.chip.name);
            return self.fail(FaultKind::Chip, message, inst, self.mask());
        }
        let (sources, results) = op.arity();
        if src.len() < sources || dst.len() < results {
            let message = "operands or results of the instruction are missing";
            return self.fail(FaultKind::Trap, message, inst, self.mask());
        }
        match op {
            WaveOp::WaitCount(bits) => self.wait_count(*bits),
            WaveOp::FencedBarrier => {
                if self.warp.groups[self.group].arrived.is_none() && self.mask() == self.warp.live {
                    self.fence(Order::Release);
                }
                let flow = self.barrier(false, false, false, None, &[], &[], inst)?;
                if matches!(flow, Flow::Next) {
                    self.lanes_meet();
                }
                Ok(flow)
            }
            WaveOp::WaveBarrier => {
                self.lanes_meet();
                Ok(Flow::Next)
            }
            WaveOp::BufferLoad(buffer) => self.buffer_load(buffer, src, dst, inst),
            WaveOp::BufferStore(buffer) => self.buffer_store(buffer, src, inst),
            WaveOp::BufferAtomic { op, buffer } => self.buffer_atomic(*op, buffer, src, dst, inst),
            WaveOp::DirectGlobal { bytes, offset } => self.direct_global(*bytes, *offset, src, inst),
            WaveOp::DirectBuffer { bytes, offset } => self.direct_buffer(*bytes, *offset, src, inst),
            WaveOp::ReadTransposed(bits) => self.read_transposed(*bits, src, dst, inst),
            WaveOp::Matrix(matrix) => self.matrix(matrix, src, dst, inst),
            WaveOp::MakeBuffer => self.make_buffer(src, dst, inst),
            other => self.across(other, src, dst, inst),
        }
    }

    /// The lanes of a wave run in lockstep: where the compiler keeps the order, each sees what the others did.
    pub(super) fn lanes_meet(&mut self) {
        if self.mask() == self.warp.live {
            self.warp.release();
            self.warp.lanes_since = self.warp.own_count();
        }
    }

    /// What a barrier hands on: on chips with independent lanes all that came before.
    pub(super) fn published(&mut self) -> Knowledge {
        if self.machine.chip.waves.is_none() {
            return self.warp.release();
        }
        let number = self.cluster.number;
        self.warp.released.as_deref().cloned().unwrap_or_else(|| Knowledge::new(number))
    }

    /// ISA guides, S_WAITCNT: fields of gfx9 and of gfx11.
    fn wait_count(&mut self, bits: u32) -> Run<Flow> {
        let old = self.machine.chip.waves.is_some_and(|waves| waves.old_counters);
        let (vector, local) = if old {
            (bits & 0xf | bits >> 14 << 4 & 0x30, bits >> 8 & 0xf)
        } else {
            (bits >> 10 & 0x3f, bits >> 4 & 0x3f)
        };
        if local == 0 {
            self.lanes_meet();
            let released = self.warp.release();
            self.keep_released(&released);
        }
        if vector < 63 {
            self.cp_async_wait(vector)?;
            let agent = self.warp.copy_agent;
            let done = self.warp.known.seen.get(agent);
            self.warp.copies_shared = done;
            let mut released = Knowledge::new(self.cluster.number);
            released.seen.raise(agent, done);
            self.keep_released(&released);
        }
        Ok(Flow::Pause)
    }

    fn keep_released(&mut self, more: &Knowledge) {
        let number = self.cluster.number;
        self.warp.released.get_or_insert_with(|| Box::new(Knowledge::new(number))).join(more);
    }
}
