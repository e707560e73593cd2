//! A linked code object: the descriptor, the arguments and the decoded instructions of one kernel.
//!
//! ```text
//! ELF ─ flags ────────────▶ chip
//!     ─ NAME.kd ──────────▶ descriptor       what the hardware sets up
//!     ─ note, MessagePack ▶ arguments        what a launch writes
//!     ─ .text ─ objdump ──▶ lines ─▶ code    decoded once
//! ```

mod descriptor;
mod listing;
mod metadata;

pub(crate) use descriptor::{Descriptor, USER_REGISTERS, User};
pub(crate) use metadata::Metadata;

use crate::chip::{CHIPS, Chip};
use crate::error::{Error, Fault};
use crate::instruction::Instruction;
use crate::launch::{self, Launch, Stats};
use object::{Object as _, ObjectSection, ObjectSymbol};

/// A kernel of a code object, ready to run.
pub struct Object {
    pub(crate) chip: &'static Chip,
    pub(crate) descriptor: Descriptor,
    pub(crate) metadata: Metadata,
    pub(crate) code: Vec<Instruction>,
    /// The first instruction's place in `code`.
    pub(crate) entry: usize,
}

impl Object {
    /// Reads the kernel called `symbol` from a linked code object.
    ///
    /// # Errors
    /// Bytes that are no code object of a chip of [`Chip::all`], or that have no such kernel; no disassembler.
    pub fn load(bytes: &[u8], symbol: &str) -> Result<Object, Error> {
        let fail = |what: &str| Error::Object(format!("{what} (kernel `{symbol}`)"));
        let file = object::File::parse(bytes).map_err(|e| Error::Object(e.to_string()))?;
        let object::FileFlags::Elf { e_flags, .. } = file.flags() else { return Err(fail("no ELF file")) };
        let chip = CHIPS.iter().find(|chip| chip.machine == e_flags & 0xff);
        let chip = chip.ok_or_else(|| fail(&format!("machine {:#x} is unknown", e_flags & 0xff)))?;
        let name = format!("{symbol}.kd");
        let address = |name: &str| {
            let found = file.symbols().chain(file.dynamic_symbols()).find(|s| s.name() == Ok(name));
            found.map(|s| s.address()).ok_or_else(|| fail(&format!("there is no symbol `{name}`")))
        };
        let at = address(&name)?;
        let contents = file.sections().find_map(|s| s.data_range(at, 64).ok().flatten());
        let descriptor = contents.and_then(Descriptor::read).ok_or_else(|| fail("no kernel descriptor"))?;
        if descriptor.wave32() != (chip.lanes == 32) {
            return Err(fail(&format!("waves are not of {} lanes", chip.lanes)));
        }
        let note = file.section_by_name(".note").and_then(|s| s.data().ok());
        let metadata = note.and_then(metadata::note).and_then(|n| metadata::kernel(n, &name));
        let metadata = metadata.ok_or_else(|| fail("no metadata"))?;
        let sizes = [descriptor.arguments, descriptor.lds, descriptor.scratch, chip.lanes].map(u64::from);
        for ((name, said), size) in metadata.sizes.iter().zip(sizes) {
            if *said != size {
                return Err(fail(&format!("metadata says `{name}: {said}`, the descriptor {size}")));
            }
        }
        let start = at.wrapping_add_signed(descriptor.entry);
        let lines = listing::disassemble(bytes, symbol, address(symbol)?)?;
        let entry = lines.binary_search_by_key(&start, |l| l.address);
        let entry = entry.map_err(|_| fail("the descriptor's entry is no instruction"))?;
        let code = lines.iter().map(|line| Instruction::decode(line, &lines, chip)).collect();
        Ok(Object { chip, descriptor, metadata, code, entry })
    }

    /// The chip that the code is for.
    pub fn chip(&self) -> &'static Chip {
        self.chip
    }

    /// Offset and bytes of each argument of a launch of HIP, in the segment that the hardware gets.
    pub fn argument_places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.metadata.arguments.iter().filter(|a| !a.is_hidden()).map(|a| (a.offset, a.size))
    }

    /// What the kernel asks for beside the arguments of a launch: values in registers that are not modelled and stay undefined, and the
    /// hidden arguments, by their names in the metadata.
    pub fn asks_for(&self) -> (Vec<&'static str>, Vec<&str>) {
        let hidden = self.metadata.arguments.iter().filter(|a| a.is_hidden());
        (self.descriptor.unmodelled().collect(), hidden.map(|a| a.kind.as_str()).collect())
    }

    /// Texts of the instructions, in order.
    pub fn listing(&self) -> impl Iterator<Item = &str> {
        self.code.iter().map(|i| i.text.as_str())
    }

    /// Texts of the instructions that cannot be run: a launch that comes upon one is a fault.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.code.iter().filter(|i| i.code.is_err()).map(|i| i.text.as_str())
    }

    /// The same kernel with the instruction of that index doing nothing: a test deletes a wait, and sees that it is missed.
    pub fn drop_instruction(&mut self, index: usize) {
        self.code[index].omit();
    }

    /// Runs all work groups of a launch.
    ///
    /// # Errors
    /// The first thing that a device would not have done, or not surely.
    pub fn run(&self, launch: Launch<'_, '_>) -> Result<Stats, Fault> {
        launch::run(self, launch)
    }
}
