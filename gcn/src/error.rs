//! What can go wrong: before a run, and while an instruction runs.

use thiserror::Error;

/// Why a code object cannot be run at all.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The bytes are no code object of a known chip.
    #[error("not a code object that can be emulated: {0}")]
    Object(String),
    /// LLVM's disassembler is missing, or refuses.
    #[error(
        "{0}; the emulator reads machine code by LLVM's `llvm-objdump` (22 or newer): install LLVM's tools, or name their prefix in \
             LLVM_SYS_221_PREFIX"
    )]
    Disassembler(String),
}

/// What an instruction may not do, without the place.
pub(crate) type Trouble = String;
/// Whether an instruction did what it should.
pub(crate) type Outcome = Result<(), Trouble>;

/// Why a launch was ended, and by which instruction.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}, at {address:#x} `{instruction}`{}", place(*.group, *.wave))]
pub struct Fault {
    /// The fact.
    pub message: String,
    /// Address of the instruction in the code object; 0 if no instruction is at fault.
    pub address: u64,
    /// Its text.
    pub instruction: String,
    /// Work group on each axis.
    pub group: [u32; 3],
    /// Wave of the group.
    pub wave: u32,
}

fn place([x, y, z]: [u32; 3], wave: u32) -> String {
    format!(" (group {x},{y},{z}, wave {wave})")
}

impl Fault {
    /// A launch that is wrong before the first instruction.
    pub(crate) fn launch(message: impl Into<String>) -> Fault {
        Fault {
            message: message.into(),
            address: 0,
            instruction: "the launch".into(),
            group: [0; 3],
            wave: 0,
        }
    }
}
