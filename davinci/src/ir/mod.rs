//! The `davinci` IR: scalar control flow that issues instructions to the pipes of a core.

mod copies;
mod instr;
mod place;
mod program;
mod scalar;
mod sync;
mod vals;
mod vector;

pub use copies::*;
pub use instr::{Instr, Locals};
pub use place::{Buffer, CoreKind, Global, Layout, Local, Reg, Space, Val};
pub use program::{Program, Stmt};
pub use scalar::{FloatOp, IntOp, Scalar};
pub use sync::*;
pub use vals::Vals;
pub use vector::*;
