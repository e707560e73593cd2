//! Code objects made in process are what `ld.lld` makes: headers, segments, sections, symbols, lines.

use super::disassembly::disassemble;
use super::open;
use kcc_amd::chips::CHIPS;
use kcc_amd::code_object;
use kcc_backend_tests::kernels::{attention, matmul};
use kcc_compiler::Target;
use kcc_compiler::link::foreign_object;
use kcc_compiler::llvm::{Output, Way, emit_by};
use kcc_compiler::session::{Options, Session};
use kcc_compiler::timings::Timings;
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest};
use kcc_dsl::ir::{Elem, Kernel, ParamKind};
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};
use std::collections::{BTreeMap, BTreeSet};

const ENDIAN: LittleEndian = LittleEndian;

/// LLVM's object of a kernel, and the artifact that is made of it.
fn object(kernel: &Kernel, target: &dyn Target) -> (Vec<u8>, Artifact) {
    let args = kernel.params.iter().map(|p| match p.kind {
        ParamKind::View { rank, .. } => ArgSpec::ideal(rank),
        ParamKind::Scalar(_) => ArgSpec::default(),
    });
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.name().into(),
        args: args.collect(),
        options: BTreeMap::from([("warps".into(), "4".into())]),
    };
    let compile = |options: &Options| Session::new().compile(&request, target, options).expect("compiles");
    let lowered = compile(&Options { stop_after: Some("lower".into()), ..Options::default() });
    let text = String::from_utf8(lowered.bytes).expect("text");
    let way = Way {
        mlir_passes: target.mlir_passes(),
        machine: &target.machine(&text),
        llvm_passes: target.llvm_passes(&text),
        prepare: &|context| target.prepare(context),
    };
    let bytes = emit_by(&text, &way, Output::Object, &mut Timings::default()).expect("LLVM takes it");
    (bytes, compile(&Options::default()))
}

/// Type, flags, address, size, alignment, size of an entry, section that it refers to; contents of those in memory.
type Section = (u32, u64, [u64; 4], String, Vec<u8>);

/// What of a file is the same whoever linked it.
#[derive(Debug, PartialEq)]
struct File {
    header: (u8, u8, u16, u16, u32, u64),
    /// Type, flags, offset, addresses, sizes, alignment.
    segments: Vec<(u32, u32, [u64; 6])>,
    sections: BTreeMap<String, Section>,
    /// Of both tables: table, name, info, other, section, value, size.
    symbols: BTreeSet<(bool, String, u8, u8, String, u64, u64)>,
}

/// Sections whose contents say where a linker put names, or who it was.
const OF_THE_LINKER: [&str; 6] = [".comment", ".symtab", ".strtab", ".shstrtab", ".dynstr", ".dynsym"];

fn read(data: &[u8]) -> File {
    let header = FileHeader64::<LittleEndian>::parse(data).expect("ELF");
    let ident = header.e_ident();
    let table = header.sections(ENDIAN, data).expect("sections");
    let name = |index: usize| -> String {
        let Ok(section) = table.section(object::SectionIndex(index)) else { return format!("{index:#x}") };
        String::from_utf8_lossy(table.section_name(ENDIAN, section).expect("a name")).into_owned()
    };
    let segments = header.program_headers(ENDIAN, data).expect("segments").iter().map(|s| {
        let places = [s.p_offset(ENDIAN), s.p_vaddr(ENDIAN), s.p_paddr(ENDIAN)];
        let sizes = [s.p_filesz(ENDIAN), s.p_memsz(ENDIAN), s.p_align(ENDIAN)];
        let all = [places, sizes].concat().try_into().expect("six");
        (s.p_type(ENDIAN), s.p_flags(ENDIAN), all)
    });
    let sections = table.enumerate().filter(|(i, _)| !OF_THE_LINKER[..4].contains(&name(i.0).as_str()));
    let sections = sections.map(|(i, s)| {
        let in_memory = s.sh_flags(ENDIAN) & u64::from(elf::SHF_ALLOC) != 0;
        let compared = in_memory && !OF_THE_LINKER.contains(&name(i.0).as_str());
        let bytes = if compared { s.data(ENDIAN, data).expect("contents").to_vec() } else { Vec::new() };
        let sizes = [s.sh_addr(ENDIAN), s.sh_size(ENDIAN), s.sh_addralign(ENDIAN), s.sh_entsize(ENDIAN)];
        let link = if s.sh_link(ENDIAN) > 0 { name(s.sh_link(ENDIAN) as usize) } else { String::new() };
        (name(i.0), (s.sh_type(ENDIAN), s.sh_flags(ENDIAN), sizes, link, bytes))
    });
    let mut symbols = BTreeSet::new();
    for ty in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        let all = table.symbols(ENDIAN, data, ty).expect("symbols");
        for s in all.iter() {
            let own = String::from_utf8_lossy(all.symbol_name(ENDIAN, s).expect("a name")).into_owned();
            let section = name(usize::from(s.st_shndx(ENDIAN)));
            let (value, size) = (s.st_value(ENDIAN), s.st_size(ENDIAN));
            symbols.insert((ty == elf::SHT_DYNSYM, own, s.st_info(), s.st_other(), section, value, size));
        }
    }
    File {
        header: (
            ident.os_abi,
            ident.abi_version,
            header.e_type(ENDIAN),
            header.e_machine(ENDIAN),
            header.e_flags(ENDIAN),
            header.e_entry(ENDIAN),
        ),
        segments: segments.collect(),
        sections: sections.collect(),
        symbols,
    }
}

#[test]
fn objects_linked_in_process_are_those_of_the_linker() {
    for chip in CHIPS {
        let target = open(&format!("amd:{}", chip.name));
        for kernel in [matmul(Elem::F16, 64, 64, 32), attention(Elem::BF16, 64, 32, 64)] {
            let (object, artifact) = object(&kernel, &target);
            let name = format!("{} on {}", kernel.name, chip.name);
            let ours = code_object::link(&object).unwrap_or_else(|| panic!("{name} is left to the linker"));
            let theirs = foreign_object(&object).expect("ld.lld links");
            assert_eq!(ours, artifact.bytes, "{name}: the compiler links in process");
            let (a, b) = (read(&ours), read(&theirs));
            assert_eq!(a.header, b.header, "{name}");
            assert_eq!(a.segments, b.segments, "{name}");
            assert_eq!(
                a.sections.keys().collect::<Vec<_>>(),
                b.sections.keys().collect::<Vec<_>>(),
                "{name}"
            );
            for (section, own) in &a.sections {
                assert_eq!(own, &b.sections[section], "{section} of {name}");
            }
            assert_eq!(a.symbols, b.symbols, "{name}");
            // Lines come from sections that nobody loads.
            let lines = |bytes: Vec<u8>| -> Vec<String> {
                let all = disassemble(&Artifact { bytes, ..artifact.clone() });
                all.iter().map(|i| format!("{i:?}")).collect()
            };
            assert_eq!(lines(ours), lines(theirs), "{name}");
        }
    }
}

#[test]
fn what_needs_a_linker_is_left_to_it() {
    let text = "llvm.mlir.global internal @counter(7 : i32) {addr_space = 1 : i32} : i32\n\
        llvm.func @count(%p: !llvm.ptr<1>) attributes {rocdl.kernel} {\n\
        %c = llvm.mlir.addressof @counter : !llvm.ptr<1>\n\
        %v = llvm.load %c : !llvm.ptr<1> -> i32\n\
        llvm.store %v, %c : i32, !llvm.ptr<1>\n\
        llvm.store %v, %p : i32, !llvm.ptr<1>\n\
        llvm.return\n}\n";
    let target = open("amd:gfx942");
    let way = Way {
        mlir_passes: "reconcile-unrealized-casts",
        machine: &target.machine(text),
        llvm_passes: "amdgpu-attributor",
        prepare: &|context| target.prepare(context),
    };
    let object = emit_by(text, &way, Output::Object, &mut Timings::default()).expect("LLVM takes it");
    assert_eq!(code_object::link(&object), None);
    assert!(target.link(object).expect("ld.lld links").starts_with(b"\x7fELF"));
    assert_eq!(code_object::link(b"\x7fELF, and no more"), None);
}
