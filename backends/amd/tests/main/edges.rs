//! The edges of views that descriptors bound: offsets before and behind them, strides of any sign, single elements.

use super::open;
use kcc_amd::chips::CHIPS;
use kcc_backend_tests::simulate::run;
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::{Builder, Const, Elem, Kernel, ParamKind};

const ROWS: usize = 8;
const COLUMNS: usize = 16;

/// `y = Σ x[row + i.., col..]` over steps of `i`, with 7 outside; `y` is written at (`row`, 0).
fn kernel() -> Kernel {
    let mut b = Builder::new("edges");
    let x = b.view("x", Elem::F32, 2);
    let y = b.view_mut("y", Elem::F32, 2);
    let (row, col) = (b.scalar("row", Elem::I32), b.scalar("col", Elem::I32));
    let (zero, step) = (b.i32(0), b.i32(ROWS as i32));
    let end = b.dim(x, 0);
    let none = b.full(Elem::F32, &[ROWS, COLUMNS], 0.0);
    let first = b.load_or(x, &[row, col], &[ROWS, COLUMNS], Const::float(7.0));
    let sum = b.for_([zero, end, step], &[none], |b, i, c| {
        let tile = b.load(x, &[i, col], &[ROWS, COLUMNS]);
        vec![b.add(c[0], tile)]
    });
    let all = b.add(first, sum[0]);
    b.store(y, &[row, zero], all);
    b.finish().expect("valid")
}

struct View {
    dims: [i64; 2],
    strides: [i64; 2],
    offset: i64,
}

#[test]
fn what_lies_outside_is_neither_read_nor_written() {
    let kernel = kernel();
    assert!(matches!(kernel.params[2].kind, ParamKind::Scalar(Elem::I32)));
    let data: Vec<f32> = (0..600).map(|i| (i % 37) as f32 + 1.0).collect();
    let views = [
        View { dims: [19, 21], strides: [21, 1], offset: 3 },
        View { dims: [19, 21], strides: [-24, 1], offset: 500 },
        View { dims: [5, 3], strides: [-3, -1], offset: 400 },
        View { dims: [9, 17], strides: [0, 1], offset: 11 },
        View { dims: [9, 17], strides: [1, 30], offset: 0 },
        View { dims: [1, 1], strides: [1 << 20, 1 << 20], offset: 599 },
        View { dims: [0, 4], strides: [4, 1], offset: 0 },
    ];
    for (chip, view) in CHIPS.iter().cycle().zip(views.iter().chain(&views)) {
        for (row, col) in [(0i64, 0i64), (-3, 2), (4, -5), (17, 9), (-8, 0), (1 << 30, 0)] {
            let at = |i: i64, j: i64, outside: f32| {
                let inside = (0..view.dims[0]).contains(&i) && (0..view.dims[1]).contains(&j);
                let place = || view.offset + i * view.strides[0] + j * view.strides[1];
                if inside { data[place() as usize] } else { outside }
            };
            let mut buffers = [EagerBuffer::from_f32(Elem::F32, &data), EagerBuffer::zeros(Elem::F32, 400)];
            // Written from its end on, row by row.
            let (height, width) = (11i64, 13i64);
            let [dims, strides] = [view.dims.to_vec(), view.strides.to_vec()];
            let args = [
                EagerArg::View { buffer: 0, offset: view.offset, dims, strides, mutable: false },
                EagerArg::View {
                    buffer: 1,
                    offset: 300,
                    dims: vec![height, width],
                    strides: vec![-20, 1],
                    mutable: true,
                },
                EagerArg::Scalar(row as u64 & 0xffff_ffff),
                EagerArg::Scalar(col as u64 & 0xffff_ffff),
            ];
            let target = open(&format!("sim:{}", chip.name));
            let name = format!("{} {:?} {:?} at {row}, {col}", chip.name, view.dims, view.strides);
            run(&kernel, [1, 1, 1], &mut buffers, &args, &target, 0)
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut wanted = vec![0.0f32; 400];
            for i in 0..ROWS as i64 {
                for j in (0..COLUMNS as i64).filter(|j| *j < width) {
                    let rows = (0..view.dims[0]).step_by(ROWS);
                    let sum: f32 = rows.map(|r| at(r + i, col + j, 0.0)).sum();
                    if (0..height).contains(&(row + i)) {
                        wanted[(300 - 20 * (row + i) + j) as usize] = at(row + i, col + j, 7.0) + sum;
                    }
                }
            }
            assert_eq!(buffers[1].to_f32(), wanted, "{name}");
        }
    }
}
