//! Where everything lies, in the file and in memory, and the values that follow from it.
//!
//! Each group of pages with its own rights begins a page on, at the place within it that it has in the file: a loader may map
//! the file as it is.

use super::read::{Home, Object, Relocation, Symbol};
use object::elf;

/// Pages of the host that loads the object.
pub(super) const PAGE: u64 = 4096;
/// Headers of segments: themselves, three loaded, the dynamic table, what becomes read-only, the stack, the notes.
pub(super) const SEGMENTS: u64 = 8;
const FILE_HEADER: u64 = 64;
const SEGMENT_HEADER: u64 = 56;
const SYMBOL: u64 = 24;
/// Entries of the dynamic table, and bytes of one.
pub(super) const DYNAMIC: (u64, u64) = (7, 16);

// "User guide for the AMDGPU backend", table of ELF relocation records.
const ABS32_LO: u32 = 1;
const ABS32_HI: u32 = 2;
const ABS64: u32 = 3;
const REL32: u32 = 4;
const REL64: u32 = 5;
const ABS32: u32 = 6;
const REL32_LO: u32 = 10;
const REL32_HI: u32 = 11;

/// A part of the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub offset: u64,
    pub address: u64,
    pub size: u64,
    pub align: u64,
}

impl Span {
    /// The next one of these bytes, at the same distance from `offset` in memory as in the file.
    fn after(at: (u64, u64), size: u64, align: u64) -> Span {
        let (offset, address) = (at.0.next_multiple_of(align), at.1.next_multiple_of(align));
        Span { offset, address, size, align }
    }

    pub fn end(&self) -> (u64, u64) {
        (self.offset + self.size, self.address + self.size)
    }
}

/// Sections of one home, put together.
pub(super) struct Group {
    pub span: Span,
    pub bytes: Vec<u8>,
}

/// An object with its addresses.
pub(super) struct Placed {
    pub notes: Group,
    pub symbols: Span,
    pub gnu_hash: Span,
    pub hash: Span,
    pub names: Span,
    pub constants: Group,
    pub code: Group,
    pub dynamic: Span,
    /// Those outside of memory, by their numbers among the object's sections.
    pub aside: Vec<(usize, Group)>,
    /// For each of the object's sections where it begins in its group.
    starts: Vec<u64>,
    /// Numbers of the symbols that loaders see, in the order of their buckets.
    pub exported: Vec<usize>,
}

/// Bytes of the table of names of so many symbols.
fn names(symbols: &[&Symbol]) -> u64 {
    1 + symbols.iter().map(|s| s.name.len() as u64 + 1).sum::<u64>()
}

impl Placed {
    pub fn new(input: &Object) -> Placed {
        let mut starts = vec![0; input.sections.len()];
        let mut gather = |home: Home| {
            let (mut bytes, mut align) = (Vec::new(), 1);
            for (start, s) in starts.iter_mut().zip(&input.sections).filter(|(_, s)| s.home == home) {
                bytes.resize(bytes.len().next_multiple_of(s.align as usize), 0);
                *start = bytes.len() as u64;
                bytes.extend_from_slice(s.bytes);
                align = align.max(s.align);
            }
            (bytes, align)
        };
        let [notes, constants, code] = [Home::Notes, Home::Constants, Home::Code].map(&mut gather);
        let sees = |s: &Symbol| !s.is_local() && matches!(s.other & 3, elf::STV_DEFAULT | elf::STV_PROTECTED);
        let mut exported: Vec<usize> =
            (0..input.symbols.len()).filter(|i| sees(&input.symbols[*i])).collect();
        let buckets = buckets(exported.len());
        exported.sort_by_key(|i| elf::gnu_hash(input.symbols[*i].name) % buckets);
        let seen: Vec<&Symbol> = exported.iter().map(|i| &input.symbols[*i]).collect();
        let n = seen.len() as u64;

        let group = |at, (bytes, align): (Vec<u8>, u64)| Group {
            span: Span::after(at, bytes.len() as u64, align),
            bytes,
        };
        let headers = FILE_HEADER + SEGMENTS * SEGMENT_HEADER;
        let notes = group((headers, headers), notes);
        let symbols = Span::after(notes.span.end(), (n + 1) * SYMBOL, 8);
        // A word of the filter of 64 bits and the header; then the buckets and a word for each.
        let words = u64::from(filter_words(exported.len())) * 2;
        let gnu_hash = Span::after(symbols.end(), 4 * (4 + words + u64::from(buckets) + n), 8);
        let hash = Span::after(gnu_hash.end(), 4 * (2 + 2 * (n + 1)), 4);
        let names = Span::after(hash.end(), names(&seen), 1);
        let constants = group(names.end(), constants);
        let next_page =
            |(offset, address): (u64, u64)| (offset, address.next_multiple_of(PAGE) + address % PAGE);
        let code = group(next_page(constants.span.end()), code);
        let dynamic = Span::after(next_page(code.span.end()), DYNAMIC.0 * DYNAMIC.1, 8);
        let mut at = dynamic.offset + dynamic.size;
        let mut aside = Vec::new();
        for (i, s) in input.sections.iter().enumerate().filter(|(_, s)| s.home == Home::Aside) {
            let mut span = Span::after((at, 0), s.bytes.len() as u64, s.align);
            (at, span.address) = (span.end().0, 0);
            aside.push((i, Group { span, bytes: s.bytes.to_vec() }));
        }
        Placed { notes, symbols, gnu_hash, hash, names, constants, code, dynamic, aside, starts, exported }
    }

    fn group(&mut self, home: Home, section: usize) -> Option<&mut Group> {
        match home {
            Home::Notes => Some(&mut self.notes),
            Home::Constants => Some(&mut self.constants),
            Home::Code => Some(&mut self.code),
            Home::Aside => self.aside.iter_mut().find(|(i, _)| *i == section).map(|(_, g)| g),
        }
    }

    /// The address at which one of the object's sections begins.
    fn address(&self, input: &Object, section: usize) -> u64 {
        let group = match input.sections[section].home {
            Home::Notes => self.notes.span.address,
            Home::Constants => self.constants.span.address,
            Home::Code => self.code.span.address,
            Home::Aside => 0,
        };
        group + self.starts[section]
    }

    /// A symbol's value.
    pub fn value(&self, input: &Object, symbol: &Symbol) -> Option<u64> {
        let Some(section) = symbol.section else { return Some(symbol.value) };
        let section = input.sections.iter().position(|s| s.index == section)?;
        Some(self.address(input, section) + symbol.value)
    }

    /// Writes what depends on addresses.
    pub fn relocate(&mut self, input: &Object) -> Option<()> {
        input.relocations.iter().try_for_each(|r| self.relocate_one(input, r))
    }

    fn relocate_one(&mut self, input: &Object, r: &Relocation) -> Option<()> {
        let section = input.sections.iter().position(|s| s.index == r.section)?;
        let home = input.sections[section].home;
        let symbol = input.symbols.get(r.symbol.checked_sub(1)?)?;
        let to = self.value(input, symbol)?.wrapping_add_signed(r.addend);
        let from = self.address(input, section) + r.offset as u64;
        let distance = to.wrapping_sub(from);
        let signed = |v: u64| i32::try_from(v as i64).ok().map(|v| v as u32 as u64);
        // Addresses are known to the loader only, outside of memory they are numbers.
        let absolute = home == Home::Aside || symbol.section.is_none();
        let (value, bytes) = match r.ty {
            REL32_LO => (distance & 0xffff_ffff, 4),
            REL32_HI => (distance >> 32, 4),
            REL32 => (signed(distance)?, 4),
            REL64 => (distance, 8),
            ABS32_LO if absolute => (to & 0xffff_ffff, 4),
            ABS32_HI if absolute => (to >> 32, 4),
            ABS32 if absolute => (u64::from(u32::try_from(to).ok()?), 4),
            ABS64 if absolute => (to, 8),
            _ => return None,
        };
        let at = usize::try_from(self.starts[section]).ok()? + r.offset;
        let group = self.group(home, section)?;
        group.bytes.get_mut(at..at + bytes)?.copy_from_slice(&value.to_le_bytes()[..bytes]);
        Some(())
    }
}

/// Buckets of the table by which loaders find so many symbols.
pub(super) fn buckets(symbols: usize) -> u32 {
    (symbols as u32 / 4).max(1)
}

/// Words of 64 bits of its filter: about twelve bits for each.
pub(super) fn filter_words(symbols: usize) -> u32 {
    (symbols as u32 * 12 / 64 + 1).next_power_of_two()
}
