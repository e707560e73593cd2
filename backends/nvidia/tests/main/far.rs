//! Views whose elements lie further apart than 32 bits count, forwards and backwards.

use super::open;
use kcc_backend_tests::simulate::compile;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Builder, Elem, Kernel};
use kcc_simt::{Arg, Chip, Launch, Memory, Options, Program};

const WIDTH: usize = 48;

/// `y = x`, two rows; as a block, or as rows that a list names.
fn copy(by_rows: bool) -> Kernel {
    let mut b = Builder::new("copy");
    let (x, y) = (b.view("x", Elem::I8, 2), b.view_mut("y", Elem::I8, 2));
    let zero = b.i32(0);
    let v = if by_rows {
        let rows = b.arange(2);
        b.load_rows(x, rows, zero, WIDTH)
    } else {
        b.load(x, &[zero, zero], &[2, WIDTH])
    };
    b.store(y, &[zero, zero], v);
    b.finish().expect("valid")
}

#[test]
fn offsets_beyond_32_bits_reach_their_rows() {
    const APART: i64 = (1 << 31) + 64;
    let row = |first: u8| -> Vec<u8> { (0..WIDTH as u8).map(|i| first + i).collect() };
    for (by_rows, target) in [(false, "sim:sm_80"), (true, "sim:sm_80"), (false, "sim:sm_90a")] {
        for stride in [APART, -APART] {
            let specs = [
                ArgSpec::for_gpu(1 << 20, Elem::I8, &[2, WIDTH as i64], &[stride, 1]),
                ArgSpec::for_gpu(1 << 20, Elem::I8, &[2, WIDTH as i64], &[WIDTH as i64, 1]),
            ];
            let artifact =
                compile(&copy(by_rows), &specs, &open(target), &[]).unwrap_or_else(|e| panic!("{e}"));
            let meta = artifact.gpu.as_ref().expect("facts of the launch");
            // Zeros that nobody touches take no memory.
            let mut bytes = vec![0; APART as usize + WIDTH];
            bytes[..WIDTH].copy_from_slice(&row(1));
            bytes[APART as usize..].copy_from_slice(&row(101));
            let mut memory = Memory::new();
            let home = memory.add(bytes);
            let out = memory.alloc(2 * WIDTH);
            let first = if stride < 0 { home + APART as u64 } else { home };
            let mut args = vec![first, 2, WIDTH as u64, stride as u64, 1];
            args.extend([out, 2, WIDTH as u64, WIDTH as u64, 1]);
            args.extend([1, 1, 1, 0]);
            let args: Vec<Arg> = args.into_iter().map(Arg::Bits).collect();
            let program =
                Program::load(std::str::from_utf8(&artifact.bytes).expect("text")).expect("a module");
            let done = program.run(Launch {
                kernel: &artifact.symbol,
                grid: [1, 1, 1],
                block: [meta.threads, 1, 1],
                dynamic_shared: meta.shared_bytes as _,
                args: &args,
                memory: &mut memory,
                chip: Chip::find(&meta.arch).expect("a row"),
                options: Options::seeded(1),
            });
            done.unwrap_or_else(|fault| panic!("{fault}"));
            let wanted = if stride < 0 { [row(101), row(1)] } else { [row(1), row(101)] }.concat();
            assert_eq!(memory.bytes(out), Some(&wanted[..]), "{target}, stride {stride}, rows {by_rows}");
        }
    }
}
