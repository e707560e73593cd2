//! A small loader of ELF relocatable objects: places sections, applies relocations, protects pages.
//!
//! ```text
//! | .text…  stubs | .rodata…  GOT | .data…  .bss |     one mapping, parts on page boundaries
//!   read+execute       read           read+write
//! ```
//! Only `memcpy`, `memmove` and `memset` are resolved from outside. Relocations: System V ABI, AMD64 supplement, 4.4.

use super::exec::Entry;
use super::pages::{Pages, Protection, page_size};
use object::elf;
use object::read::elf::ElfFile64;
use object::{
    Object as _, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags, SectionIndex,
};
use std::collections::HashMap;

/// Largest image that a kernel may have; a corrupt file is refused before memory is asked for.
const MAX_IMAGE: u64 = 1 << 28;

/// A loaded object.
pub(super) struct Object {
    _pages: Pages,
    entry: Entry,
    code: std::ops::Range<usize>,
}

unsafe extern "C" {
    fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8;
    fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8;
    fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8;
}

/// Address of a function that objects may call.
fn external(name: &str) -> Option<u64> {
    Some(match name {
        "memcpy" => memcpy as *const () as u64,
        "memmove" => memmove as *const () as u64,
        "memset" => memset as *const () as u64,
        _ => return None,
    })
}

/// `jmp *0(%rip)` and eight bytes of address.
const STUB: usize = 16;

/// Offsets in the image.
struct Image {
    len: usize,
    /// Start of each part: execute, read, write; then the end.
    parts: [usize; 4],
    sections: HashMap<SectionIndex, usize>,
    stubs: HashMap<String, usize>,
    got: HashMap<object::SymbolIndex, usize>,
}

fn part_of(flags: SectionFlags) -> Option<Protection> {
    let SectionFlags::Elf { sh_flags } = flags else { return None };
    let is = |f: u32| sh_flags & u64::from(f) != 0;
    if !is(elf::SHF_ALLOC) {
        None
    } else if is(elf::SHF_EXECINSTR) {
        Some(Protection::Execute)
    } else if is(elf::SHF_WRITE) {
        Some(Protection::Write)
    } else {
        Some(Protection::Read)
    }
}

/// Unwind tables are for unwinders; kernels do not unwind.
fn skipped(name: &str) -> bool {
    name == ".eh_frame" || name.starts_with(".note")
}

fn plan(file: &ElfFile64<'_>) -> Result<(Image, bool), String> {
    let mut image =
        Image { len: 0, parts: [0; 4], sections: HashMap::new(), stubs: HashMap::new(), got: HashMap::new() };
    let mut low = false;
    for section in file.sections() {
        if part_of(section.flags()).is_none() || section.name().is_ok_and(skipped) {
            continue;
        }
        for (_, r) in section.relocations() {
            let RelocationFlags::Elf { r_type } = r.flags() else { continue };
            low |= matches!(r_type, elf::R_X86_64_32 | elf::R_X86_64_32S);
            let RelocationTarget::Symbol(index) = r.target() else { continue };
            let symbol = file.symbol_by_index(index).map_err(|e| e.to_string())?;
            if symbol.is_undefined() {
                let name = symbol.name().map_err(|e| e.to_string())?;
                if external(name).is_none() {
                    return Err(format!("it calls `{name}`, which kernels may not call"));
                }
                let next = image.stubs.len() * STUB;
                image.stubs.entry(name.to_owned()).or_insert(next);
            }
            if matches!(
                r_type,
                elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX
            ) {
                let next = image.got.len() * 8;
                image.got.entry(index).or_insert(next);
            }
        }
    }
    let mut at = 0u64;
    for (i, part) in [Protection::Execute, Protection::Read, Protection::Write].into_iter().enumerate() {
        at = at.next_multiple_of(page_size() as u64);
        image.parts[i] = at as usize;
        for section in file.sections() {
            if part_of(section.flags()) != Some(part) || section.name().is_ok_and(skipped) {
                continue;
            }
            let align = section.align().max(1);
            if !align.is_power_of_two() || align > page_size() as u64 || section.size() > MAX_IMAGE {
                return Err("a section has an impossible size or alignment".into());
            }
            at = at.next_multiple_of(align);
            image.sections.insert(section.index(), at as usize);
            at += section.size();
            if at > MAX_IMAGE {
                return Err(format!("its sections exceed {MAX_IMAGE} bytes"));
            }
        }
        at = at.next_multiple_of(16);
        if part == Protection::Execute {
            image.stubs.values_mut().for_each(|s| *s += at as usize);
            at += (image.stubs.len() * STUB) as u64;
        } else if part == Protection::Read {
            image.got.values_mut().for_each(|s| *s += at as usize);
            at += (image.got.len() * 8) as u64;
        }
    }
    image.len = at.next_multiple_of(page_size() as u64).max(page_size() as u64) as usize;
    image.parts[3] = image.len;
    Ok((image, low))
}

/// Address that a symbol has once loaded.
fn address(
    file: &ElfFile64<'_>,
    image: &Image,
    base: u64,
    index: object::SymbolIndex,
) -> Result<u64, String> {
    let symbol = file.symbol_by_index(index).map_err(|e| e.to_string())?;
    if symbol.is_undefined() {
        let name = symbol.name().map_err(|e| e.to_string())?;
        return image
            .stubs
            .get(name)
            .map(|&s| base + s as u64)
            .ok_or_else(|| format!("it refers to `{name}`, which is not defined"));
    }
    let section = symbol.section_index().ok_or("a symbol without a section")?;
    let start = image.sections.get(&section).ok_or("a symbol in a section that is not loaded")?;
    let size = file.section_by_index(section).map_err(|e| e.to_string())?.size();
    if symbol.address() > size {
        return Err("a symbol outside its section".into());
    }
    Ok(base + *start as u64 + symbol.address())
}

impl Object {
    /// Loads an object and finds its entry point.
    pub(super) fn load(bytes: &[u8], symbol: &str) -> Result<Object, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("compiled objects run on x86-64 only".into());
        }
        let file =
            ElfFile64::<object::Endianness>::parse(bytes).map_err(|e| format!("not an ELF object: {e}"))?;
        if file.architecture() != object::Architecture::X86_64
            || file.kind() != object::ObjectKind::Relocatable
        {
            return Err("not a relocatable ELF object for x86-64".into());
        }
        let (image, low) = plan(&file)?;
        let mut pages = Pages::new(image.len, low)?;
        let base = pages.base() as u64;
        let out = pages.bytes_mut();
        for section in file.sections() {
            let Some(&at) = image.sections.get(&section.index()) else { continue };
            let data = section.data().map_err(|e| e.to_string())?; // empty for .bss
            out.get_mut(at..at + data.len()).ok_or("a section outside the image")?.copy_from_slice(data);
        }
        for (name, &at) in &image.stubs {
            let to = external(name).ok_or("an unknown external")?;
            out[at..at + 6].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0]);
            out[at + 6..at + 14].copy_from_slice(&to.to_le_bytes());
        }
        for (&index, &at) in &image.got {
            let to = address(&file, &image, base, index)?;
            out[at..at + 8].copy_from_slice(&to.to_le_bytes());
        }
        for section in file.sections() {
            let Some(&start) = image.sections.get(&section.index()) else { continue };
            for (offset, r) in section.relocations() {
                let inside = offset.checked_add(4).is_some_and(|end| end <= section.size());
                if !inside || section.data().is_ok_and(<[u8]>::is_empty) {
                    return Err("a relocation outside its section".into());
                }
                relocate(&file, &image, base, out, start + offset as usize, &r)?;
            }
        }
        let entry = file
            .symbols()
            .find(|s| s.name() == Ok(symbol) && s.is_definition())
            .ok_or_else(|| format!("it has no function `{symbol}`"))?;
        let section = entry.section_index().and_then(|i| file.section_by_index(i).ok());
        if section.and_then(|s| part_of(s.flags())) != Some(Protection::Execute) {
            return Err(format!("`{symbol}` is not code"));
        }
        let entry = address(&file, &image, base, entry.index())?;
        for (i, to) in [Protection::Execute, Protection::Read, Protection::Write].into_iter().enumerate() {
            pages.protect(image.parts[i], image.parts[i + 1] - image.parts[i], to)?;
        }
        // SAFETY: `entry` is the address of the exported function in pages that are now executable; its type is the
        // contract of `CpuMeta`. The pages live as long as the object.
        let entry = unsafe { std::mem::transmute::<usize, Entry>(entry as usize) };
        let base = base as usize;
        Ok(Object { _pages: pages, entry, code: base..base + image.parts[1] })
    }

    pub(super) fn entry(&self) -> Entry {
        self.entry
    }

    /// Addresses of the code.
    pub(super) fn code(&self) -> std::ops::Range<usize> {
        self.code.clone()
    }
}

/// Applies one relocation at image offset `at`.
fn relocate(
    file: &ElfFile64<'_>,
    image: &Image,
    base: u64,
    out: &mut [u8],
    at: usize,
    r: &object::Relocation,
) -> Result<(), String> {
    let RelocationFlags::Elf { r_type } = r.flags() else {
        return Err("a relocation that is not ELF's".into());
    };
    let RelocationTarget::Symbol(index) = r.target() else {
        return Err("a relocation without a symbol".into());
    };
    let place = base.wrapping_add(at as u64);
    let with_addend = |v: u64| v.wrapping_add(r.addend() as u64);
    let symbol = || address(file, image, base, index).map(with_addend);
    let far = || format!("relocation {r_type} does not reach its symbol");
    let signed = |v: u64| i32::try_from(v as i64).map(|v| v as u32).map_err(|_| far());
    let word = match r_type {
        elf::R_X86_64_NONE => return Ok(()),
        elf::R_X86_64_64 => {
            let v = symbol()?;
            out.get_mut(at..at + 8).ok_or_else(far)?.copy_from_slice(&v.to_le_bytes());
            return Ok(());
        }
        elf::R_X86_64_PC64 => {
            let v = symbol()?.wrapping_sub(place);
            out.get_mut(at..at + 8).ok_or_else(far)?.copy_from_slice(&v.to_le_bytes());
            return Ok(());
        }
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => signed(symbol()?.wrapping_sub(place))?,
        elf::R_X86_64_32 => u32::try_from(symbol()?).map_err(|_| far())?,
        elf::R_X86_64_32S => signed(symbol()?)?,
        elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX => {
            let slot = image.got.get(&index).ok_or_else(far)?;
            signed(with_addend(base.wrapping_add(*slot as u64)).wrapping_sub(place))?
        }
        other => return Err(format!("relocation type {other} is not supported")),
    };
    out.get_mut(at..at + 4).ok_or_else(far)?.copy_from_slice(&word.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use object::write::{Object as Writer, Relocation, StandardSegment, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

    fn symbol(name: &str, section: SymbolSection, kind: SymbolKind) -> Symbol {
        Symbol {
            name: name.into(),
            value: 0,
            size: 0,
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        }
    }

    /// Copies eight bytes from `args` to `scratch` with `memcpy`, then returns `**pointer`, where `pointer` is data
    /// that holds the address of a constant, 42. Calls `callee` for `memcpy`.
    fn sample(callee: &str) -> Vec<u8> {
        let mut w = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = w.section_id(object::write::StandardSection::Text);
        let data = w.section_id(object::write::StandardSection::Data);
        let constant = w.add_section(vec![], b".rodata.cst8".to_vec(), SectionKind::ReadOnlyData);
        let _ = w.segment_name(StandardSegment::Text);
        let code = [
            &[0x48, 0x89, 0xfe][..],         // mov rsi, rdi
            &[0x4c, 0x89, 0xc7],             // mov rdi, r8
            &[0xba, 8, 0, 0, 0],             // mov edx, 8
            &[0x48, 0x83, 0xec, 8],          // sub rsp, 8
            &[0xe8, 0, 0, 0, 0],             // call callee
            &[0x48, 0x8b, 0x05, 0, 0, 0, 0], // mov rax, [rip + GOT slot of pointer]
            &[0x48, 0x8b, 0x00],             // mov rax, [rax]
            &[0x48, 0x8b, 0x00],             // mov rax, [rax]
            &[0x48, 0x83, 0xc4, 8, 0xc3],    // add rsp, 8; ret
        ]
        .concat();
        w.append_section_data(text, &code, 16);
        w.append_section_data(data, &[0; 8], 8);
        w.append_section_data(constant, &[0; 64], 64);
        w.append_section_data(constant, &42u64.to_le_bytes(), 8);
        w.add_symbol(symbol("entry", SymbolSection::Section(text), SymbolKind::Text));
        let callee = w.add_symbol(symbol(callee, SymbolSection::Undefined, SymbolKind::Text));
        let pointer = w.add_symbol(symbol("pointer", SymbolSection::Section(data), SymbolKind::Data));
        let base = w.section_symbol(constant);
        let elf = |r_type| RelocationFlags::Elf { r_type };
        for (section, offset, symbol, addend, r_type) in [
            (text, 16, callee, -4, elf::R_X86_64_PLT32),
            (text, 23, pointer, -4, elf::R_X86_64_REX_GOTPCRELX),
            (data, 0, base, 64, elf::R_X86_64_64),
        ] {
            w.add_relocation(section, Relocation { offset, symbol, addend, flags: elf(r_type) }).unwrap();
        }
        w.write().unwrap()
    }

    #[test]
    fn relocations_reach_functions_data_and_constants() {
        let object = Object::load(&sample("memcpy"), "entry").unwrap();
        let (args, mut scratch) = ([0x1122_3344_5566_7788i64], [0u8; 64]);
        // SAFETY: the sample reads eight bytes of `args` and writes eight of `scratch`.
        let result = unsafe { (object.entry())(args.as_ptr(), args.as_ptr(), 0, 1, scratch.as_mut_ptr()) };
        assert_eq!(result, 42);
        assert_eq!(scratch[..8], args[0].to_le_bytes());
    }

    #[test]
    fn no_page_is_writable_and_executable() {
        let object = Object::load(&sample("memcpy"), "entry").unwrap();
        let entry = object.entry() as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let holds = |line: &&str| {
            let range = line.split(' ').next().and_then(|r| r.split_once('-'));
            let hex = |s| usize::from_str_radix(s, 16).ok();
            range.and_then(|(a, b)| Some((hex(a)?..hex(b)?).contains(&entry))).unwrap_or(false)
        };
        let line = maps.lines().find(holds).expect("the code is mapped");
        assert!(line.contains(" r-xp "), "{line}");
        assert!(!maps.lines().any(|l| l.contains("rwx")), "{maps}");
    }

    #[test]
    fn other_functions_and_other_symbols_are_refused_by_name() {
        let refused = |bytes: &[u8], symbol| Object::load(bytes, symbol).err().expect("refused");
        assert!(refused(&sample("system"), "entry").contains("`system`"));
        assert!(refused(&sample("memset"), "start").contains("`start`"));
        assert!(refused(&sample("memset"), "pointer").contains("not code"));
    }

    #[test]
    fn a_damaged_object_loads_or_is_refused_but_never_panics() {
        let whole = sample("memcpy");
        for n in 0..whole.len() {
            let _ = Object::load(&whole[..n], "entry");
            for bit in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[n] ^= bit;
                let _ = Object::load(&damaged, "entry");
            }
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic() {
        for bytes in [&b""[..], b"\x7fELF", &[0u8; 64], &[0xff; 4096]] {
            assert!(Object::load(bytes, "f").is_err());
        }
    }
}
