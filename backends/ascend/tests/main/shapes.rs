//! Operations that move elements, against eager mode, and that they do so with vector instructions.

use super::harness::{launch, program};
use super::kernels::view;
use kcc_davinci::ir::{CoreKind, Instr, Stmt};
use kcc_dsl::eager::{EagerBuffer, Options, interpret};
use kcc_dsl::ir::{Builder, Elem, Kernel, ValueId};

const ROWS: usize = 12;
const COLUMNS: usize = 40;

/// `y = f(x)` of a whole block.
fn kernel(elem: Elem, out: [usize; 2], f: &dyn Fn(&mut Builder, ValueId) -> ValueId) -> Kernel {
    let mut b = Builder::new("moved");
    let (x, y, zero) = (b.view("x", elem, 2), b.view_mut("y", elem, 2), b.i32(0));
    let t = b.load(x, &[zero, zero], &[ROWS, COLUMNS]);
    let r = f(&mut b, t);
    assert_eq!(b.tile_ty(r).shape[..], out);
    b.store(y, &[zero, zero], r);
    b.finish().expect("valid")
}

type Case = (&'static str, [usize; 2], Box<dyn Fn(&mut Builder, ValueId) -> ValueId>);

fn cases() -> Vec<Case> {
    vec![
        ("transpose", [COLUMNS, ROWS], Box::new(|b, x| b.transpose(x, &[1, 0]))),
        ("slice at a block", [5, 16], Box::new(|b, x| b.slice(x, &[3, 16], &[5, 16]))),
        ("slice between blocks", [7, 9], Box::new(|b, x| b.slice(x, &[2, 3], &[7, 9]))),
        ("concat of rows", [2 * ROWS, COLUMNS], Box::new(|b, x| b.concat(x, x, 0))),
        ("longer rows", [ROWS / 4, 4 * COLUMNS], Box::new(|b, x| b.reshape(x, &[ROWS / 4, 4 * COLUMNS]))),
        ("shorter rows", [ROWS * 5, COLUMNS / 5], Box::new(|b, x| b.reshape(x, &[ROWS * 5, COLUMNS / 5]))),
    ]
}

#[test]
fn elements_that_move_arrive() {
    for elem in [Elem::F32, Elem::F16, Elem::BF16, Elem::I32] {
        for (name, out, f) in cases() {
            let k = kernel(elem, out, &*f);
            let x: Vec<f32> = (0..ROWS * COLUMNS).map(|i| (i % 251) as f32).collect();
            let dims = |d: [usize; 2]| d.map(|n| n as i64);
            let args = [view(0, dims([ROWS, COLUMNS]), false), view(1, dims(out), true)];
            let buffers = vec![EagerBuffer::from_f32(elem, &x), EagerBuffer::zeros(elem, out[0] * out[1])];
            let mut want = buffers.clone();
            interpret(&k, [1, 1, 1], &mut want, &args, &mut Options::default()).expect("eager");
            for seed in 0..2 {
                let mut got = buffers.clone();
                launch(&k, [1, 1, 1], &mut got, &args, 1, seed)
                    .unwrap_or_else(|e| panic!("{elem} {name}: {e}"));
                assert_eq!(want[1].to_f32(), got[1].to_f32(), "{elem} {name}");
            }
            let p = program(&k, &args).expect("compiles");
            let mut single = 0;
            p.walk(CoreKind::Vector, &mut |s| {
                single += usize::from(matches!(s, Stmt::Issue { instr: Instr::StoreScalar(_), .. }));
            });
            // Rows that would end up between blocks go an element at a time.
            let scalar = name == "longer rows" && elem.bytes() == 2 && !(COLUMNS * 2).is_multiple_of(32);
            // Loads of what begins outside a view keep one such way, which is not taken here.
            let plain = kernel(elem, [ROWS, COLUMNS], &|_, x| x);
            let args = [view(0, dims([ROWS, COLUMNS]), false), view(1, dims([ROWS, COLUMNS]), true)];
            let mut base = 0;
            program(&plain, &args).expect("compiles").walk(CoreKind::Vector, &mut |s| {
                base += usize::from(matches!(s, Stmt::Issue { instr: Instr::StoreScalar(_), .. }));
            });
            assert!(scalar || single <= base, "{elem} {name}: {single} single elements");
        }
    }
}
