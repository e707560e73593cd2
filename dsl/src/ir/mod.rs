//! The tile IR: what tracing a kernel yields, and what eager mode executes one operation at a time.
//!
//! It is plain data (serde), independent of any compiler. `kcc-compiler` imports it into MLIR's `kt` dialect.
//!
//! ```text
//! Kernel { params, values: [Type], locs, body: Block { ops: [Op { kind, operands, results, regions, loc }] } }
//! ```

mod builder;
mod infer;
mod kernel;
mod op;
mod types;
mod validate;

pub use builder::Builder;
pub use infer::{Inferred, infer};
pub use kernel::{Block, Kernel, Loc, LocId, Op, Param, ParamKind, ValueId};
pub use op::{
    AtomicOp, BinaryOp, Cache, CmpOp, OpKind, Ordering, Precision, ReduceOp, ScaledFormat, Scope, UnaryOp,
};
pub use types::{Const, Elem, TileType, Type};
pub use validate::validate;
