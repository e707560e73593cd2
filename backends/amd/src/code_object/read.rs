//! LLVM's object: what of it goes into a code object.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _};

const ENDIAN: LittleEndian = LittleEndian;

/// Where a section goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The notes: what the driver must know of the kernel.
    Notes,
    /// With what is read: the kernel's descriptor, constants.
    Constants,
    /// With what is run.
    Code,
    /// Not into memory: for debuggers.
    Aside,
}

/// A section that is kept.
pub(super) struct Section<'d> {
    /// Its number in the object.
    pub index: usize,
    pub name: &'d [u8],
    pub home: Home,
    pub ty: u32,
    pub flags: u64,
    pub align: u64,
    pub entry: u64,
    pub bytes: &'d [u8],
}

/// A place in a section that depends on addresses.
pub(super) struct Relocation {
    /// The section's number in the object, and the place in it.
    pub section: usize,
    pub offset: usize,
    pub ty: u32,
    pub symbol: usize,
    pub addend: i64,
}

/// A symbol: `section` is its section's number in the object, `None` for a number that is no address.
pub(super) struct Symbol<'d> {
    pub name: &'d [u8],
    pub info: u8,
    pub other: u8,
    pub section: Option<usize>,
    pub value: u64,
    pub size: u64,
}

impl Symbol<'_> {
    pub fn is_local(&self) -> bool {
        self.info >> 4 == elf::STB_LOCAL
    }

    /// Whether it only stands for a section.
    pub fn is_section(&self) -> bool {
        self.info & 0xf == elf::STT_SECTION
    }
}

/// An object.
pub(super) struct Object<'d> {
    pub abi: (u8, u8),
    pub flags: u32,
    pub sections: Vec<Section<'d>>,
    pub relocations: Vec<Relocation>,
    /// Without the table's empty first one: relocations count from 1.
    pub symbols: Vec<Symbol<'d>>,
}

/// Where a section goes by its type and flags; `None` for what is unknown here.
fn home(name: &[u8], ty: u32, flags: u32) -> Option<Home> {
    let text = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
    let merged = elf::SHF_MERGE | elf::SHF_STRINGS;
    match (ty, flags & !merged) {
        (elf::SHT_NOTE, elf::SHF_ALLOC) => Some(Home::Notes),
        (elf::SHT_PROGBITS, elf::SHF_ALLOC) if name.starts_with(b".rodata") => Some(Home::Constants),
        (elf::SHT_PROGBITS, f) if f == text && name == b".text" => Some(Home::Code),
        (elf::SHT_PROGBITS, 0) => Some(Home::Aside),
        _ => None,
    }
}

impl<'d> Object<'d> {
    pub fn read(data: &'d [u8]) -> Option<Self> {
        let header = FileHeader64::<LittleEndian>::parse(data).ok()?;
        if header.e_type(ENDIAN) != elf::ET_REL || header.e_machine(ENDIAN) != elf::EM_AMDGPU {
            return None;
        }
        let table = header.sections(ENDIAN, data).ok()?;
        let (mut sections, mut relocations) = (Vec::new(), Vec::new());
        for (index, section) in table.enumerate().skip(1) {
            let name = table.section_name(ENDIAN, section).ok()?;
            let (ty, flags) = (section.sh_type(ENDIAN), section.sh_flags(ENDIAN));
            match ty {
                elf::SHT_STRTAB | elf::SHT_SYMTAB => continue,
                elf::SHT_RELA => {
                    let target = section.sh_info(ENDIAN) as usize;
                    for r in section.rela(ENDIAN, data).ok()??.0 {
                        relocations.push(Relocation {
                            section: target,
                            offset: usize::try_from(r.r_offset(ENDIAN)).ok()?,
                            ty: r.r_type(ENDIAN, false),
                            symbol: r.r_sym(ENDIAN, false) as usize,
                            addend: r.r_addend(ENDIAN),
                        });
                    }
                    continue;
                }
                _ if name == b".note.GNU-stack" => continue,
                _ => {}
            }
            sections.push(Section {
                index: index.0,
                name,
                home: home(name, ty, u32::try_from(flags).ok()?)?,
                ty,
                flags,
                align: section.sh_addralign(ENDIAN).max(1),
                entry: section.sh_entsize(ENDIAN),
                bytes: section.data(ENDIAN, data).ok()?,
            });
        }
        let table = table.symbols(ENDIAN, data, elf::SHT_SYMTAB).ok()?;
        let mut symbols = Vec::new();
        for symbol in table.iter().skip(1) {
            let section = match symbol.st_shndx(ENDIAN) {
                elf::SHN_ABS => None,
                // Of elsewhere, or of LDS that nobody has placed.
                elf::SHN_UNDEF | elf::SHN_LORESERVE.. => return None,
                n => Some(usize::from(n)),
            };
            symbols.push(Symbol {
                name: table.symbol_name(ENDIAN, symbol).ok()?,
                info: symbol.st_info(),
                other: symbol.st_other(),
                section,
                value: symbol.st_value(ENDIAN),
                size: symbol.st_size(ENDIAN),
            });
        }
        let ident = header.e_ident();
        let abi = (ident.os_abi, ident.abi_version);
        Some(Object { abi, flags: header.e_flags(ENDIAN), sections, relocations, symbols })
    }
}
