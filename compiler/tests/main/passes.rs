//! Passes keep the meaning of every kernel: the interpreter gives the same bits before and after.

use kcc_compiler::{import, mlir, passes, pipeline, read, verify};
use kcc_dsl::eager::{EagerArg, EagerBuffer, Options, interpret};
use kcc_dsl::fuzz::{Profile, generate};
use kcc_dsl::ir::*;

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

/// Each float operation with each constant that might look neutral, on values where it is not.
#[test]
fn identities_hold_for_special_values() {
    let specials =
        [0.0, -0.0, 1.0, -1.5, 1e-40, -1e-40, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let n = specials.len();
    let constants = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NAN];
    let ints = [0, 1, -1, 7, 31, 32, i64::from(i32::MIN), i64::from(i32::MAX), 255, -128];
    use kcc_dsl::ir::BinaryOp::*;
    for elem in [Elem::F32, Elem::BF16, Elem::I32, Elem::U8] {
        let mut b = Builder::new("identities");
        let x = b.view("x", elem, 1);
        let y = b.view_mut("y", elem, 2);
        let zero = b.i32(0);
        let a = b.load(x, &[zero], &[n]);
        let mut results = Vec::new();
        let float = elem.is_float();
        let values: Vec<Const> =
            if float { constants.map(Const::float).to_vec() } else { [0, 1, -1].map(Const::Int).to_vec() };
        let ops: &[kcc_dsl::ir::BinaryOp] = if float {
            &[Add, Sub, Mul, Div, Min, Max, MinNan, MaxNan]
        } else {
            &[Add, Sub, Mul, Div, Rem, And, Or, Xor, Shl, Shr]
        };
        for op in ops {
            results.push(b.binary(*op, a, a));
            for c in &values {
                let c = b.constant(elem, &[n], *c);
                results.push(b.binary(*op, a, c));
                results.push(b.binary(*op, c, a));
            }
        }
        for v in &results {
            let neg = b.unary(UnaryOp::Neg, *v);
            let twice = b.unary(UnaryOp::Neg, neg);
            let there = b.cast(twice, if float { Elem::F32 } else { Elem::I64 });
            let back = b.cast(there, elem);
            let v = b.reshape(back, &[1, n]);
            b.store(y, &[zero, zero], v);
        }
        // One row per result, so that none is overwritten.
        let mut kernel = b.finish().unwrap();
        spread_rows(&mut kernel);
        let input =
            if float { EagerBuffer::from_f32(elem, &specials) } else { EagerBuffer::from_i64(elem, &ints) };
        let rows = results.len();
        let case = kcc_dsl::fuzz::Case {
            seed: 0,
            kernel: kernel.clone(),
            grid: [1; 3],
            buffers: vec![input, EagerBuffer::zeros(elem, rows * n)],
            args: vec![view(0, &[n]), view(1, &[rows, n])],
            outputs: Vec::new(),
        };
        let simpler = after(&kernel, &["canonicalize", "dce"]);
        assert!(count(&simpler) < count(&kernel));
        let (before, after) = (result(&kernel, &case).unwrap(), result(&simpler, &case).unwrap());
        assert_eq!(bits(&before[1]), bits(&after[1]), "{elem}");
    }
}

/// Gives the i-th store of the kernel row i.
fn spread_rows(kernel: &mut Kernel) {
    let mut row = 0;
    let ops = std::mem::take(&mut kernel.body.ops);
    for mut op in ops {
        if matches!(op.kind, OpKind::Store { .. }) {
            kernel.values.push(Type::Tile(TileType::scalar(Elem::I32)));
            let id = ValueId(kernel.values.len() as u32 - 1);
            kernel.body.ops.push(Op {
                kind: OpKind::Constant(Const::Int(row)),
                operands: Vec::new(),
                results: vec![id],
                regions: Vec::new(),
                loc: op.loc,
            });
            op.operands[1] = id;
            row += 1;
        }
        kernel.body.ops.push(op);
    }
}

/// A dense row-major view of a buffer.
fn view(buffer: usize, dims: &[usize]) -> EagerArg {
    let dims: Vec<i64> = dims.iter().map(|d| *d as i64).collect();
    let strides = (0..dims.len()).map(|i| dims[i + 1..].iter().product()).collect();
    EagerArg::View { buffer, offset: 0, dims, strides, mutable: buffer == 1 }
}
