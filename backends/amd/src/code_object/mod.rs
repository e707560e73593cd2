//! Makes a loadable code object of the relocatable one that LLVM writes, as `ld.lld -shared` does, without starting a program:
//! that took a third of the time from kernel to code.
//!
//! ```text
//! LLVM's object                       code object                                        address
//! .text .rodata .note  ─┐  one kernel  headers .note .dynsym .gnu.hash .hash .dynstr .rodata   0       r
//! .debug_…              ├─ no imports  .text                                                next page  rx
//! .rela… .symtab        ┘              .dynamic                                             next page  rw
//!                                      .debug_… .symtab .shstrtab .strtab                   none
//! ```
//! Objects of one kernel need little of a linker: no archives, no imports, no relocations at load. What is not of that kind is
//! none of this module's, and goes to the linker.

mod place;
mod read;
mod write;

/// A code object of LLVM's relocatable object; `None` where it holds what this does not know: sections that are written to,
/// symbols of elsewhere, addresses that only a loader knows.
pub fn link(object: &[u8]) -> Option<Vec<u8>> {
    let input = read::Object::read(object)?;
    let mut placed = place::Placed::new(&input);
    placed.relocate(&input)?;
    write::write(&input, &placed)
}

/// A number in a code object's notes, by its key. They are MessagePack: a key, then a number of one to five bytes.
pub fn note(object: &[u8], key: &str) -> Option<u32> {
    let start = object.windows(key.len()).position(|w| w == key.as_bytes())?;
    let (kind, rest) = object[start + key.len()..].split_first()?;
    let number = |bytes: usize| Some(rest.get(..bytes)?.iter().fold(0, |n, b| n << 8 | u32::from(*b)));
    match kind {
        0..0x80 => Some((*kind).into()),
        0xcc => number(1),
        0xcd => number(2),
        0xce => number(4),
        _ => None,
    }
}
