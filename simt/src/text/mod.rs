//! Reads the generic form of an MLIR module, as `mlir-opt --mlir-print-op-generic` prints it.
//!
//! A reader of our own keeps LLVM out of the simulator, and with it out of whatever links the runtime. It takes
//! the whole generic syntax that the `llvm` and vendor dialects use; what an operation means is decided later.

mod attr;
mod lexer;
mod loc;
mod parser;
mod types;

pub(crate) use attr::Attr;
pub use loc::Loc;
pub(crate) use loc::LocTable;
pub(crate) use parser::{Block, Op, parse};
pub(crate) use types::{Scalar, Type};
