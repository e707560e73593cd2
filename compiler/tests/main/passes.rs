//! Passes keep the meaning of every kernel: the interpreter gives the same bits before and after.

use kcc_compiler::{import, mlir, passes, pipeline, read, verify};
use kcc_dsl::eager::{EagerBuffer, Options, interpret};
use kcc_dsl::fuzz::{Profile, generate};
use kcc_dsl::ir::Kernel;

/// The kernel after the named passes.
fn after(kernel: &Kernel, names: &[&str]) -> Kernel {
    let context = mlir::Lease::new().unwrap();
    let text = import::to_text(kernel).unwrap();
    let mut module = mlir::parse(&context, &text, "kt.mlir").unwrap_or_else(|e| panic!("{e}\n{text}"));
    for name in names {
        let before = mlir::print(&module);
        (passes::by_name(name).unwrap().run)(&context, &mut module).unwrap();
        let check = verify::verify(&module, "kt.mlir");
        assert!(check.is_ok(), "{name}: {}\n{before}\nbecomes\n{}", check.unwrap_err(), mlir::print(&module));
    }
    read::to_kernel(&module, "kt.mlir").unwrap()
}

fn everything() -> Profile {
    Profile { steps: 24, ..Profile::everything() }
}

/// Bits of all buffers after a launch of `kernel`; a kernel that fails gives its message.
fn result(kernel: &Kernel, case: &kcc_dsl::fuzz::Case) -> Result<Vec<EagerBuffer>, String> {
    let mut buffers = case.buffers.clone();
    let options = &mut Options { strict: false, ..Options::default() };
    interpret(kernel, case.grid, &mut buffers, &case.args, options).map_err(|e| e.to_string())?;
    Ok(buffers)
}

/// The elements by their bits, every NaN the same: tile IR does not say which NaN comes out.
fn bits(b: &EagerBuffer) -> Vec<u64> {
    if !b.elem().is_float() {
        return b.bytes().iter().map(|x| u64::from(*x)).collect();
    }
    b.to_f32().iter().map(|x| u64::from(if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() })).collect()
}

fn same_meaning(names: &[&str], seeds: std::ops::Range<u64>) {
    let mut changed = 0;
    for seed in seeds {
        let case = generate(seed, &everything()).unwrap();
        let kernel = after(&case.kernel, names);
        changed += usize::from(count(&kernel) < count(&case.kernel));
        let (before, after) = (result(&case.kernel, &case), result(&kernel, &case));
        match (&before, &after) {
            (Ok(b), Ok(a)) => {
                for (i, (b, a)) in b.iter().zip(a).enumerate() {
                    assert_eq!(bits(b), bits(a), "seed {seed}, buffer {i}");
                }
            }
            _ => assert_eq!(before.is_ok(), after.is_ok(), "seed {seed}: {before:?} {after:?}"),
        }
    }
    assert!(changed > 0, "no kernel became smaller: the test shows nothing");
}

fn count(kernel: &Kernel) -> usize {
    let mut n = 0;
    kernel.walk(&mut |_| n += 1);
    n
}

#[test]
fn canonicalize_keeps_every_bit() {
    same_meaning(&["canonicalize", "dce"], 0..150);
}

#[test]
fn cse_keeps_every_bit() {
    same_meaning(&["cse", "dce"], 150..250);
}

#[test]
fn hoist_keeps_every_bit() {
    same_meaning(&["hoist", "dce"], 250..350);
}

#[test]
fn the_pipeline_keeps_every_bit() {
    let all: Vec<&str> = pipeline::STAGES.iter().flat_map(|s| s.passes).map(|p| p.name).collect();
    same_meaning(&all, 350..450);
}
