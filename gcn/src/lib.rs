//! An emulator of AMD machine code: runs the bytes that are shipped, as a device would, or worse.
//!
//! [`Object::load`] reads a linked code object (descriptor, metadata, instructions through LLVM's disassembler), [`Object::run`] runs the
//! work groups of a launch, wave by wave. What a wave may not rely on is adverse: registers, LDS, scratch and gaps between arguments
//! begin as junk, loads arrive as late as their wait allows, waves take turns at random. All of it is decided by a seed.
//!
//! A launch ends with a [`Fault`] that names the instruction: a register used while a load to it is under way, accesses outside of
//! every buffer, of LDS or of the registers that the descriptor asks for, misaligned accesses, unknown instructions.
//!
//! Instructions mean what AMD's instruction set documents for CDNA 2, 3, 4 and RDNA 3 say, stated here a third time: no table is shared with
//! the compiler or with the simulator of modules. Not modelled: cycles, the wait states between dependent instructions that `s_nop`
//! provides, caches, order of global memory between waves.

mod chip;
mod error;
mod instruction;
mod launch;
mod matrix;
mod memory;
mod object;
mod rng;
mod scalar;
mod storage;
mod text;
mod vector;
mod wave;

pub use chip::Chip;
pub use error::{Error, Fault};
pub use launch::{Launch, Stats};
pub use memory::Memory;
pub use object::Object;
