//! The GPU level: tile operations whose tiles have layouts, with the operations of threads, shared memory and
//! asynchronous copies that passes bring in.
//!
//! ```text
//! tile IR ─ import ─► ktg ─ assign_layouts, select_mma, coalesce, … ─► lower/gpu ─► llvm
//!            load: f32[64, 8]        load: f32[64, 8] in reg=[0,1] lane=[…] warp=[…]
//! ```
//! It is plain Rust data, as the tile IR is: passes are functions on [`Func`]. [`mod@print`] writes it as text, for dumps, edits
//! and tests, and [`read`] is the inverse.
//!
//! | file | what |
//! | --- | --- |
//! | [`ty`] | types of values: tiles with layouts, shared buffers, barriers |
//! | [`op`] | the operations of this level |
//! | [`func`] | functions, blocks, walks and rewriting |
//! | [`access`] | how wide a thread may access a view |
//! | [`axis`] | which powers of two divide uniform integers |
//! | [`sign`] | which uniform integers are no less than 0 |
//! | [`effects`] | what an operation does besides computing its results |
//! | [`import`] | from the tile IR |

pub mod access;
pub mod axis;
pub mod effects;
pub mod func;
pub mod import;
pub mod op;
pub mod print;
pub mod read;
pub mod sign;
pub mod ty;
pub mod verify;

pub use effects::{Effect, effect};
pub use func::{Block, Builder, Func, Op};
pub use op::{GpuOp, Kind};
pub use ty::{Layout, SharedType, Type};

pub use kcc_dsl::ir::{LocId, OpKind, TileType, ValueId};
