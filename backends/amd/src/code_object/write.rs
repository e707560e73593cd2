//! The file: headers, tables and contents in the order in which they were placed.

use super::place::{DYNAMIC, PAGE, Placed, SEGMENTS, Span, buckets, filter_words};
use super::read::{Home, Object, Symbol};
use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, SectionIndex, Sym, Writer};

/// How many bits of a name's hash the second bit of the filter is away from the first.
const FILTER_SHIFT: u32 = 26;
/// The stack's segment says that it is not run.
const READ_WRITE: u32 = elf::PF_R | elf::PF_W;

/// Sections in memory, in order.
#[derive(Clone, Copy)]
struct Numbers {
    notes: SectionIndex,
    constants: SectionIndex,
    code: SectionIndex,
}

pub(super) fn write(input: &Object, placed: &Placed) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(Endianness::Little, true, &mut bytes);
    let exported: Vec<&Symbol> = placed.exported.iter().map(|i| &input.symbols[*i]).collect();
    let n = exported.len() as u32;

    // First what there will be.
    w.reserve_file_header();
    w.reserve_program_headers(SEGMENTS as u32);
    w.reserve_null_section_index();
    let name =
        |w: &mut Writer<'_>, name: &'static [u8]| (w.add_section_name(name), w.reserve_section_index());
    let (notes_name, notes) = name(&mut w, b".note");
    w.reserve_dynsym_section_index();
    w.reserve_gnu_hash_section_index();
    w.reserve_hash_section_index();
    w.reserve_dynstr_section_index();
    let (constants_name, constants) = name(&mut w, b".rodata");
    let (code_name, code) = name(&mut w, b".text");
    let dynamic = w.reserve_dynamic_section_index();
    let (padding_name, _) = name(&mut w, b".relro_padding");
    let aside: Vec<_> = (placed.aside.iter())
        .map(|(i, _)| (w.add_section_name(input.sections[*i].name), w.reserve_section_index()))
        .collect();
    let numbers = Numbers { notes, constants, code };
    w.reserve_symtab_section_index();
    w.reserve_shstrtab_section_index();
    w.reserve_strtab_section_index();

    let dynamic_names: Vec<_> = exported.iter().map(|s| w.add_dynamic_string(s.name)).collect();
    w.reserve_null_dynamic_symbol_index();
    for _ in &exported {
        w.reserve_dynamic_symbol_index();
    }
    let own_name = w.add_string(b"_DYNAMIC");
    let kept = |s: &&Symbol| !(s.is_section() || s.is_local() && s.name.is_empty());
    let (locals, globals): (Vec<&Symbol>, Vec<&Symbol>) =
        input.symbols.iter().filter(kept).partition(|s| s.is_local());
    let names: Vec<_> = locals.iter().chain(&globals).map(|s| w.add_string(s.name)).collect();
    w.reserve_null_symbol_index();
    for _ in 0..=names.len() {
        w.reserve_symbol_index(None);
    }

    w.reserve_until(placed.notes.span.offset as usize);
    w.reserve(placed.notes.bytes.len(), 1);
    w.reserve_dynsym();
    w.reserve_gnu_hash(filter_words(n as usize), buckets(n as usize), n);
    w.reserve_hash(n + 1, n + 1);
    w.reserve_dynstr();
    for group in [&placed.constants, &placed.code] {
        w.reserve_until(group.span.offset as usize);
        w.reserve(group.bytes.len(), 1);
    }
    w.reserve_until(placed.dynamic.offset as usize);
    w.reserve_dynamic(DYNAMIC.0 as usize);
    for (_, group) in &placed.aside {
        w.reserve_until(group.span.offset as usize);
        w.reserve(group.bytes.len(), 1);
    }
    w.reserve_symtab();
    w.reserve_shstrtab();
    w.reserve_strtab();
    w.reserve_section_headers();

    // Then what it is.
    let header = FileHeader {
        os_abi: input.abi.0,
        abi_version: input.abi.1,
        e_type: elf::ET_DYN,
        e_machine: elf::EM_AMDGPU,
        e_entry: 0,
        e_flags: input.flags,
    };
    w.write_file_header(&header).ok()?;
    let segments = segments(placed);
    w.write_align_program_headers();
    segments.iter().for_each(|s| w.write_program_header(s));
    w.pad_until(placed.notes.span.offset as usize);
    w.write(&placed.notes.bytes);
    w.write_null_dynamic_symbol();
    for (s, name) in exported.iter().zip(dynamic_names) {
        let sym = symbol(input, placed, s, numbers)?;
        w.write_dynamic_symbol(&Sym { name: Some(name), ..sym });
    }
    let hashes = |hash: fn(&[u8]) -> u32| -> Vec<u32> { exported.iter().map(|s| hash(s.name)).collect() };
    let (gnu, plain) = (hashes(elf::gnu_hash), hashes(elf::hash));
    let (words, lists) = (filter_words(n as usize), buckets(n as usize));
    w.write_gnu_hash(1, FILTER_SHIFT, words, lists, n, |i| gnu[i as usize]);
    w.write_hash(n + 1, n + 1, |i| Some(plain[i.checked_sub(1)? as usize]));
    w.write_dynstr();
    for group in [&placed.constants, &placed.code] {
        w.pad_until(group.span.offset as usize);
        w.write(&group.bytes);
    }
    w.pad_until(placed.dynamic.offset as usize);
    w.write_align_dynamic();
    for (tag, value) in [
        (elf::DT_SYMTAB, placed.symbols.address),
        (elf::DT_SYMENT, 24),
        (elf::DT_STRTAB, placed.names.address),
        (elf::DT_STRSZ, placed.names.size),
        (elf::DT_GNU_HASH, placed.gnu_hash.address),
        (elf::DT_HASH, placed.hash.address),
        (elf::DT_NULL, 0),
    ] {
        w.write_dynamic(tag, value);
    }
    for (_, group) in &placed.aside {
        w.pad_until(group.span.offset as usize);
        w.write(&group.bytes);
    }
    w.write_null_symbol();
    let mut names = names.into_iter();
    for s in &locals {
        let sym = symbol(input, placed, s, numbers)?;
        w.write_symbol(&Sym { name: names.next(), ..sym });
    }
    w.write_symbol(&Sym {
        name: Some(own_name),
        section: Some(dynamic),
        st_info: elf::STB_LOCAL << 4 | elf::STT_NOTYPE,
        st_other: elf::STV_HIDDEN,
        st_shndx: 0,
        st_value: placed.dynamic.address,
        st_size: 0,
    });
    for s in &globals {
        let sym = symbol(input, placed, s, numbers)?;
        w.write_symbol(&Sym { name: names.next(), ..sym });
    }
    w.write_shstrtab();
    w.write_strtab();

    let section = |name, ty, flags: u32, span: Span| SectionHeader {
        name: Some(name),
        sh_type: ty,
        sh_flags: flags.into(),
        sh_addr: span.address,
        sh_offset: span.offset,
        sh_size: span.size,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: span.align,
        sh_entsize: 0,
    };
    w.write_null_section_header();
    w.write_section_header(&section(notes_name, elf::SHT_NOTE, elf::SHF_ALLOC, placed.notes.span));
    w.write_dynsym_section_header(placed.symbols.address, 1);
    w.write_gnu_hash_section_header(placed.gnu_hash.address);
    w.write_hash_section_header(placed.hash.address);
    w.write_dynstr_section_header(placed.names.address);
    w.write_section_header(&section(
        constants_name,
        elf::SHT_PROGBITS,
        elf::SHF_ALLOC,
        placed.constants.span,
    ));
    let run = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
    w.write_section_header(&section(code_name, elf::SHT_PROGBITS, run, placed.code.span));
    w.write_dynamic_section_header(placed.dynamic.address);
    let (offset, address) = placed.dynamic.end();
    let padding = Span { offset, address, size: protected(placed.dynamic) - placed.dynamic.size, align: 1 };
    w.write_section_header(&section(padding_name, elf::SHT_NOBITS, elf::SHF_ALLOC | elf::SHF_WRITE, padding));
    for ((i, group), (name, _)) in placed.aside.iter().zip(&aside) {
        let own = &input.sections[*i];
        let header = section(*name, own.ty, own.flags as u32, group.span);
        w.write_section_header(&SectionHeader { sh_entsize: own.entry, ..header });
    }
    w.write_symtab_section_header(locals.len() as u32 + 2);
    w.write_shstrtab_section_header();
    w.write_strtab_section_header();
    Some(bytes)
}

/// Bytes from the dynamic table to the end of its page, which a loader makes read-only as a whole.
fn protected(dynamic: Span) -> u64 {
    dynamic.end().1.next_multiple_of(PAGE) - dynamic.address
}

fn segments(placed: &Placed) -> [ProgramHeader; SEGMENTS as usize] {
    let segment = |ty, flags, (from, to): (Span, Span), align| {
        let size = to.end().0 - from.offset;
        ProgramHeader {
            p_type: ty,
            p_flags: flags,
            p_offset: from.offset,
            p_vaddr: from.address,
            p_paddr: from.address,
            p_filesz: size,
            p_memsz: size,
            p_align: align,
        }
    };
    let at = |offset, size| Span { offset, address: offset, size, align: 1 };
    let headers = at(64, SEGMENTS * 56);
    let (notes, code, dynamic) = (placed.notes.span, placed.code.span, placed.dynamic);
    let all = protected(dynamic);
    let read = elf::PF_R;
    [
        segment(elf::PT_PHDR, read, (headers, headers), 8),
        segment(elf::PT_LOAD, read, (at(0, 0), placed.constants.span), PAGE),
        segment(elf::PT_LOAD, read | elf::PF_X, (code, code), PAGE),
        ProgramHeader { p_memsz: all, ..segment(elf::PT_LOAD, READ_WRITE, (dynamic, dynamic), PAGE) },
        segment(elf::PT_DYNAMIC, READ_WRITE, (dynamic, dynamic), 8),
        ProgramHeader { p_memsz: all, ..segment(elf::PT_GNU_RELRO, read, (dynamic, dynamic), 1) },
        segment(elf::PT_GNU_STACK, READ_WRITE, (at(0, 0), at(0, 0)), 0),
        segment(elf::PT_NOTE, read, (notes, notes), 4),
    ]
}

/// A symbol without its name.
fn symbol(input: &Object, placed: &Placed, s: &Symbol, numbers: Numbers) -> Option<Sym> {
    let section = match s.section {
        None => None,
        Some(index) => Some(match input.sections.iter().find(|own| own.index == index)?.home {
            Home::Notes => numbers.notes,
            Home::Constants => numbers.constants,
            Home::Code => numbers.code,
            Home::Aside => return None,
        }),
    };
    Some(Sym {
        name: None,
        section,
        st_info: s.info,
        st_other: s.other,
        st_shndx: elf::SHN_ABS,
        st_value: placed.value(input, s)?,
        st_size: s.size,
    })
}
