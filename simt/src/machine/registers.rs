//! Registers that change hands within a block (`setmaxnreg`).
//!
//! ```text
//! a warp that asks for fewer ──▶ the block's free registers ──▶ a warp that asks for more; it waits until there are enough
//! ```
//! A block has in all what its threads start with: all of a multiprocessor's registers, or as many as the kernel says
//! (PTX ISA, `setmaxnreg` and `.maxnreg`). Who asks for more than that waits forever.

use super::Machine;
use super::step::{Flow, Slice};

/// 32-bit registers of a multiprocessor. (CUDA C++ Programming Guide, technical specifications.)
const ALL: u32 = 65_536;
/// Registers of a thread, at most, and the steps in which they are handed out.
const MOST: u32 = 255;
const STEP: u32 = 8;

impl Machine<'_, '_> {
    /// Registers that a thread starts with.
    pub(super) fn registers_at_first(&self) -> u32 {
        let threads: u32 = self.block.iter().product();
        let most = (ALL / threads.max(1)).min(MOST);
        self.kernel.max_registers.map_or(most, |n| n.min(most)) / STEP * STEP
    }
}

impl Slice<'_, '_, '_> {
    /// The whole warp has so many registers a thread from here on, or waits for them.
    pub(super) fn set_registers(&mut self, registers: u32) -> Flow {
        if !self.whole_warp() {
            return Flow::Block;
        }
        let width = self.warp.width as u32;
        let free = &mut self.cluster.ctas[self.warp.cta].free_registers;
        let (more, fewer) =
            (registers.saturating_sub(self.warp.registers), self.warp.registers.saturating_sub(registers));
        if more * width > *free {
            return Flow::Block;
        }
        *free = *free - more * width + fewer * width;
        self.warp.registers = registers;
        self.machine.events += 1;
        Flow::Pause
    }
}
