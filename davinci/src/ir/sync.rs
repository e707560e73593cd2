//! Pipes, and what orders them.

use super::instr::instructions;
use super::place::Val;
use super::vals::Vals;
use serde::{Deserialize, Serialize};

/// A queue of a core. Instructions of a pipe start in order; pipes run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pipe {
    /// The scalar unit, which issues to the others.
    S,
    /// First-level buffer to operands of products.
    Mte1,
    /// Global memory to a core's buffers.
    Mte2,
    /// Unified buffer to global memory.
    Mte3,
    /// Matrix products.
    M,
    /// Vector operations.
    V,
    /// Accumulators to global memory or the first-level buffer.
    Fix,
}

impl Pipe {
    /// All of them, in the order of their indices.
    pub const ALL: [Pipe; 7] = [Pipe::S, Pipe::Mte1, Pipe::Mte2, Pipe::Mte3, Pipe::M, Pipe::V, Pipe::Fix];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Pipe::S => "s",
            Pipe::Mte1 => "mte1",
            Pipe::Mte2 => "mte2",
            Pipe::Mte3 => "mte3",
            Pipe::M => "m",
            Pipe::V => "v",
            Pipe::Fix => "fix",
        }
    }
}

/// One pipe, or all of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pipes {
    /// All pipes: the scalar unit waits too.
    All,
    /// The one.
    #[serde(untagged)]
    One(Pipe),
}

/// Whom a flag between cores joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Mode 0: all cores of the same kind wait for each other.
    All,
    /// Mode 1: the vector cores of a group wait for each other.
    Pair,
    /// Mode 2: a cube core releases all its vector cores; all vector cores of a group together release the cube core.
    Group,
}

instructions! {
    /// An event is raised once everything issued before it to pipe `from` is done.
    Set => None {
        /// The pipe that raises it.
        from: Pipe,
        /// The pipe that will wait.
        to: Pipe,
        /// Event number, one for each pair of pipes.
        event: Val,
    }
    /// Pipe `to` starts nothing issued after this before the event was raised; lowers it.
    Wait => None {
        /// The pipe that raises it.
        from: Pipe,
        /// The pipe that waits.
        to: Pipe,
        /// Event number.
        event: Val,
    }
    /// What is issued to a pipe afterwards starts after what was issued to it before is done.
    Barrier => None {
        /// The pipe.
        pipe: Pipes,
    }
    /// Raises a flag of other cores once everything issued before it to the pipe is done.
    CrossSet => None {
        /// Whom it releases.
        mode: Mode,
        /// The pipe whose work it follows.
        pipe: Pipe,
        /// Flag number.
        flag: u8,
    }
    /// The scalar unit waits for a flag and lowers it by one.
    CrossWait => None {
        /// Flag number.
        flag: u8,
    }
}
