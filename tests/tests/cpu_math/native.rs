//! Functions over arrays, written with the CPU backend's emitter, compiled and loaded into this process.

use kcc_compiler::Target;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::llvm::emit;
use kcc_cpu::Cpu;
use kcc_dsl::ir::Elem;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget, SectionFlags};
use std::collections::HashMap;

type Function = unsafe extern "C" fn(*const u8, *const u8, *const u8, *mut u8, i64);
type Body = Box<dyn Fn(&mut Emit, &[V]) -> V>;

/// `out[i] = body(in0[i], in1[i], …)` for arrays in memory form, up to three inputs.
pub struct Case {
    pub name: String,
    pub ins: Vec<Elem>,
    pub out: Elem,
    /// Whether the body folds a vector into a scalar: then `out` has one element per vector.
    pub folds: bool,
    pub body: Body,
}

/// How wide the values of a loaded module are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Scalar,
    Vector,
}

/// A chip that this processor can run, and a width.
pub fn variants() -> Vec<(&'static str, Width)> {
    let mut all = vec![("x86-64-v3", Width::Scalar), ("x86-64-v3", Width::Vector)];
    if kcc_cpu::chips::native().is_some_and(|c| c.isa.avx512) {
        all.push(("x86-64-v4", Width::Vector));
    }
    all
}

/// A compiled module.
pub struct Native {
    functions: HashMap<String, Function>,
    /// Elements per step.
    pub step: usize,
    memory: *mut libc::c_void,
    bytes: usize,
}

impl Native {
    /// Compiles every case for the chip.
    pub fn new(chip: &str, width: Width, cases: &[Case]) -> Native {
        let target = Cpu::open(&format!("cpu:{chip}")).expect("a row of that name");
        let isa = target.chip().isa;
        let lanes = if width == Width::Scalar { 0 } else { isa.lanes };
        let text: String = cases.iter().map(|c| function(c, Emit::new(isa.hooks()), lanes)).collect();
        let (mlir, llvm) = (target.mlir_passes(), target.llvm_passes(&text));
        let object =
            emit(&text, mlir, &target.machine(&text), llvm, target.output(), &mut Default::default());
        Native::load(&object.expect("the text compiles"), lanes.max(1))
    }

    /// Runs a case over `n` elements, a multiple of the step.
    pub fn run(&self, case: &Case, ins: &[&[u8]], n: usize) -> Vec<u8> {
        let count = if case.folds { n / self.step } else { n };
        let mut out = vec![0u8; count * case.out.bytes()];
        for (bytes, elem) in ins.iter().zip(&case.ins) {
            assert!(n.is_multiple_of(self.step) && bytes.len() >= n * elem.bytes());
        }
        let input = |i: usize| ins.get(i).map_or(std::ptr::null(), |b| b.as_ptr());
        // SAFETY: the function reads n elements of each input and writes `count`; checked above.
        unsafe { self.functions[&case.name](input(0), input(1), input(2), out.as_mut_ptr(), n as i64) };
        out
    }

    /// Lays the sections out one after another, applies the relocations, makes the memory executable.
    fn load(object: &[u8], step: usize) -> Native {
        let file: ElfFile64 = ElfFile64::parse(object).expect("an ELF object");
        let kept = |s: &object::read::elf::ElfSection64<'_, '_>| {
            let name = s.name().unwrap_or_default();
            let SectionFlags::Elf { sh_flags } = s.flags() else { return false };
            sh_flags & u64::from(object::elf::SHF_ALLOC) != 0 && name != ".eh_frame"
        };
        let mut image = Vec::new();
        let mut place = HashMap::new();
        for section in file.sections().filter(kept) {
            image.resize(image.len().next_multiple_of(section.align().max(64) as usize), 0);
            place.insert(section.index(), image.len());
            image.extend_from_slice(section.data().expect("section data"));
        }
        let bytes = image.len().next_multiple_of(4096);
        // SAFETY: a fresh anonymous mapping.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED);
        let base = memory as u64;
        for section in file.sections().filter(kept) {
            let start = place[&section.index()];
            for (offset, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else { panic!("{relocation:?}") };
                let symbol = file.symbol_by_index(index).expect("a symbol");
                // No call of a library function may remain in what the emitter writes.
                assert!(!symbol.is_undefined(), "undefined symbol {:?}", symbol.name());
                let in_image = place[&symbol.section_index().expect("a section")] as u64 + symbol.address();
                let at = start + offset as usize;
                let value = (base + in_image).wrapping_add_signed(relocation.addend());
                match (relocation.kind(), relocation.size()) {
                    (RelocationKind::Relative | RelocationKind::PltRelative, 32) => {
                        let distance = value.wrapping_sub(base + at as u64) as u32;
                        image[at..at + 4].copy_from_slice(&distance.to_le_bytes());
                    }
                    (RelocationKind::Absolute, 64) => image[at..at + 8].copy_from_slice(&value.to_le_bytes()),
                    other => panic!("relocation {other:?}"),
                }
            }
        }
        // SAFETY: the mapping holds the image; nothing else uses it yet.
        unsafe {
            std::ptr::copy_nonoverlapping(image.as_ptr(), memory.cast::<u8>(), image.len());
            assert_eq!(libc::mprotect(memory, bytes, libc::PROT_READ | libc::PROT_EXEC), 0);
        }
        let mut functions = HashMap::new();
        for symbol in file.symbols().filter(|s| s.kind() == object::SymbolKind::Text && s.is_global()) {
            let section = symbol.section_index().expect("a section");
            let entry = base + place[&section] as u64 + symbol.address();
            // SAFETY: `function` gave every symbol of the module this signature.
            let entry = unsafe { std::mem::transmute::<u64, Function>(entry) };
            functions.insert(symbol.name().expect("a name").to_string(), entry);
        }
        Native { functions, step, memory, bytes }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: mapped by `load`, and no function outlives `self`.
        unsafe { libc::munmap(self.memory, self.bytes) };
    }
}

/// The MLIR text of a case.
fn function(case: &Case, mut e: Emit, lanes: usize) -> String {
    let pointers: Vec<V> = (0..4).map(|_| e.fresh(Ty::scalar(K::Ptr))).collect();
    let n = e.fresh(Ty::i64());
    let (zero, step) = (e.i64(0), e.i64(lanes.max(1) as i64));
    let (open, i, _) = e.begin_for(zero, n, step, &[]);
    let floor = e.level();
    let mut values = Vec::new();
    for (elem, p) in case.ins.iter().zip(&pointers) {
        let at = e.address(*p, Emit::mem(*elem), &[i], 0);
        values.push(e.read_elem(floor, at, *elem, lanes, None));
    }
    let y = (case.body)(&mut e, &values);
    let place = if case.folds { e.op2("arith.divsi", i, step) } else { i };
    let at = e.address(pointers[3], Emit::mem(case.out), &[place], 0);
    e.write_elem(y, at, case.out, None, false);
    e.end_for(open, &[]);
    let pointers: Vec<String> = pointers.iter().map(|p| format!("{p}: !llvm.ptr")).collect();
    format!("func.func @{}({}, {n}: i64) {{\n{}return\n}}\n", case.name, pointers.join(", "), e.finish())
}
