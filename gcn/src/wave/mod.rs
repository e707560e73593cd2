//! A wave: registers, what is under way, and where it stands.

mod registers;
mod transfer;

pub(crate) use transfer::{Action, Part, ScalarLoad, Target, Transfer};

use std::collections::VecDeque;

/// A vector register: a word for each lane.
pub(crate) type Lanes = [u32; 64];

pub(crate) const VCC: u8 = 106;
pub(crate) const M0: u8 = 124;
pub(crate) const EXEC: u8 = 126;

/// Why a wave does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    AtBarrier,
    Ended,
}

/// The state of one wave.
pub(crate) struct Wave {
    pub(crate) lanes: u32,
    /// Index of the next instruction.
    pub(crate) pc: usize,
    pub(crate) state: State,
    pub(crate) exec: u64,
    pub(crate) scc: bool,
    /// Subnormals become zeros: of 32 bits; of 16 and 64 bits.
    pub(crate) flushes: [bool; 2],
    /// Vector registers that the descriptor asks for, and accumulators.
    pub(crate) allocated: (u16, u16),
    pub(crate) vectors: Box<[Lanes]>,
    pub(crate) scalars: [u32; 128],
    /// Loads under way to each register, and how many registers that are.
    vectors_pending: Box<[u8]>,
    scalars_pending: [u8; 128],
    pending: [usize; 2],
    /// Vector memory operations under way; a store of a chip that counts stores apart is none.
    pub(crate) vector_memory: VecDeque<Transfer>,
    /// LDS operations under way, in order.
    pub(crate) local: VecDeque<Transfer>,
    pub(crate) scalar_memory: Vec<ScalarLoad>,
    /// Bytes of scratch, lane by lane.
    pub(crate) scratch: Vec<u8>,
    /// Instructions run.
    pub(crate) steps: u64,
}

impl Wave {
    /// A wave with nothing under way; registers are the caller's to fill.
    pub(crate) fn new(lanes: u32, allocated: (u16, u16)) -> Wave {
        let registers = usize::from(crate::text::ACCUMULATORS) + usize::from(allocated.1);
        Wave {
            lanes,
            pc: 0,
            state: State::Ready,
            exec: 0,
            scc: false,
            flushes: [false; 2],
            allocated,
            vectors: vec![[0; 64]; registers].into(),
            scalars: [0; 128],
            vectors_pending: vec![0; registers].into(),
            scalars_pending: [0; 128],
            pending: [0; 2],
            vector_memory: VecDeque::new(),
            local: VecDeque::new(),
            scalar_memory: Vec::new(),
            scratch: Vec::new(),
            steps: 0,
        }
    }

    /// All lanes.
    pub(crate) fn full(&self) -> u64 {
        u64::MAX >> (64 - self.lanes)
    }
}
