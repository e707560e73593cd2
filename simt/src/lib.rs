//! A SIMT simulator: runs the thread-level module that a GPU backend hands to its vendor's passes.
//!
//! [`Program::load`] reads an MLIR module in generic form (dialects `llvm`, `nvvm` and `rocdl`), [`Program::run`] interprets a
//! kernel of it for a grid of blocks, a warp at a time. Nothing of LLVM is linked. A run is decided by its seed:
//! the order of warps, where they are interrupted, and when asynchronous copies and matrix operations land.
//!
//! A kernel that does something wrong ends with a [`Fault`] that names the author's source lines: accesses out of
//! bounds or misaligned, undefined values that matter, races between warps and with asynchronous work, missing proxy
//! fences, registers touched while a `wgmma` owns them, deadlocks.
//!
//! Instructions mean what the PTX manual and AMD's ISA guides say. The simulator shares no table with the compiler, since a shared table
//! would hide a shared mistake.
//!
//! ```
//! use kcc_simt::{Arg, Chip, Fp8Formats, Launch, Matrices, Memory, Options, Program};
//!
//! // out[thread] = thread
//! let text = r#"
//! "builtin.module"() ({
//!   "llvm.func"() <{function_type = !llvm.func<void (ptr<1>)>, sym_name = "iota"}> ({
//!   ^bb0(%out: !llvm.ptr<1>):
//!     %tid = "nvvm.read.ptx.sreg.tid.x"() : () -> i32
//!     %at = "llvm.getelementptr"(%out, %tid)
//!       <{elem_type = i32, rawConstantIndices = array<i32: -2147483648>}> : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>
//!     "llvm.store"(%tid, %at) <{ordering = 0 : i64}> : (i32, !llvm.ptr<1>) -> ()
//!     "llvm.return"() : () -> ()
//!   }) {nvvm.kernel} : () -> ()
//! }) : () -> ()"#;
//! let program = Program::load(text)?;
//! let mut bytes = vec![0u8; 64 * 4];
//! let mut memory = Memory::new();
//! let out = memory.borrow(&mut bytes);
//! let chip = Chip::find("sm_90a").expect("a chip of the table");
//! program.run(Launch {
//!     kernel: "iota",
//!     grid: [1, 1, 1],
//!     block: [64, 1, 1],
//!     dynamic_shared: 0,
//!     args: &[Arg::Bits(out)],
//!     memory: &mut memory,
//!     chip,
//!     options: Options::seeded(1),
//! })?;
//! assert_eq!(bytes[63 * 4], 63);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod float;
mod machine;
mod narrow;
mod program;
mod text;

pub use error::{Error, Fault, FaultKind, Place};
pub use machine::{
    Arg, Chip, Fp8Formats, Launch, Matrices, Memory, Options, SharedAccess, Stats, Swizzle, TensorMap,
    Timing, Waves,
};
pub use program::{Kernel, Param, Program, SHARED_BASE, SyncSite};
pub use text::Loc;
