//! What can be wrong with a program's text, with a launch, and with what a kernel does while it runs.

use std::fmt;

use crate::text::Loc;

/// The program cannot be loaded, or the launch asked for something impossible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The text is not MLIR in generic form.
    #[error("line {line} of the module: {message}")]
    Parse {
        /// Line of the text, from 1; 0 when unknown.
        line: usize,
        /// What was expected and found.
        message: String,
    },
    /// An operation that the simulator does not know, or whose attributes or types it does not.
    #[error("{}`{op}`: {message}", place(loc, *line))]
    Unsupported {
        /// The operation's name.
        op: String,
        /// Where the author wrote it.
        loc: Option<Loc>,
        /// Line of the module's text.
        line: usize,
        /// What is not supported.
        message: String,
    },
    /// No such kernel, wrong arguments, too much shared memory, a block too large.
    #[error("{0}")]
    Launch(String),
}

fn place(loc: &Option<Loc>, line: usize) -> String {
    match loc {
        Some(loc) => format!("{loc}: "),
        None => format!("line {line} of the module: "),
    }
}

/// The class of a fault, for tests and for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The launch itself was wrong.
    Launch,
    /// An address outside every allocation, or a space that the instruction cannot reach.
    OutOfBounds,
    /// An address that is not a multiple of what the instruction needs.
    Misaligned,
    /// A value that nobody wrote reached a store to global memory, an address, a branch or a matrix operand.
    Uninitialised,
    /// Two accesses to the same bytes, at least one a write, with nothing that orders them.
    Race,
    /// Data written by ordinary stores read by the async proxy (TMA, wgmma) without `fence.proxy.async`.
    ProxyFence,
    /// Registers of a `wgmma` touched before its wait, or without `wgmma.fence`.
    AsyncRegister,
    /// Nothing can make progress.
    Deadlock,
    /// Lanes disagree about a collective: masks, barrier counts, uniform operands.
    Collective,
    /// An mbarrier used before its initialisation, or counted past its limits.
    Mbarrier,
    /// A malformed descriptor (tensor map, shared-memory matrix descriptor).
    Descriptor,
    /// The chip lacks the instruction.
    Chip,
    /// `llvm.unreachable` or a trap was executed.
    Trap,
    /// More instructions than the launch allows.
    Budget,
}

/// One place that took part in a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The author's source line, when the compiler kept it.
    pub loc: Option<Loc>,
    /// The operation.
    pub op: String,
    /// Who was there: block, warp, lanes.
    pub who: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.loc {
            Some(loc) => write!(f, "{loc}: ")?,
            None => write!(f, "(no source line): ")?,
        }
        write!(f, "{}", self.op)?;
        if !self.who.is_empty() {
            write!(f, " by {}", self.who)?;
        }
        Ok(())
    }
}

/// A kernel did something wrong. The first place is where it showed.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its class.
    pub kind: FaultKind,
    /// The fact, in one sentence.
    pub message: String,
    /// The places involved; for a race both accesses, for a deadlock everyone who waits.
    pub places: Vec<Place>,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { kind, message: message.into(), places: Vec::new() })
    }

    /// The source line where the fault showed.
    pub fn loc(&self) -> Option<&Loc> {
        self.places.first()?.loc.as_ref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for place in &self.places {
            write!(f, "\n  at {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl From<Error> for Box<Fault> {
    fn from(error: Error) -> Self {
        Fault::new(FaultKind::Launch, error.to_string())
    }
}
