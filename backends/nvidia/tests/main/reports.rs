//! Assertions and prints through the status buffer, on the simulator.

use super::open;
use kcc_backend_tests::simulate;
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::exchange::{ArgSpec, gpu::STATUS_BYTES};
use kcc_dsl::ir::{Builder, Elem, Kernel};
use kcc_simt::{Arg, Chip, Launch, Memory, Options, Program};

/// Runs one block with a status buffer of so many bytes of records; gives the buffer.
fn status(kernel: &Kernel, x: &mut EagerBuffer, extent: i64, records: usize) -> Vec<u8> {
    let artifact =
        simulate::compile(kernel, &[ArgSpec::ideal(1)], &open("sim:sm_80"), &[]).expect("compiles");
    let meta = artifact.gpu.expect("launch facts");
    let program = Program::load(std::str::from_utf8(&artifact.bytes).expect("text")).expect("loads");
    let mut buffer = vec![0u8; STATUS_BYTES as usize + records];
    buffer[8..12].copy_from_slice(&(records as u32).to_le_bytes());
    let mut memory = Memory::new();
    let home = memory.borrow(x.bytes_mut());
    let at = memory.borrow(&mut buffer);
    let args = [home, extent as u64, 1, 1, 1, 1, at].map(Arg::Bits);
    program
        .run(Launch {
            kernel: &artifact.symbol,
            grid: [1, 1, 1],
            block: [meta.threads, 1, 1],
            dynamic_shared: meta.shared_bytes,
            args: &args,
            memory: &mut memory,
            chip: Chip::find("sm_80").expect("a row"),
            options: Options::seeded(3),
        })
        .expect("runs");
    drop(memory);
    buffer
}

fn word(buffer: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(buffer[at..at + 4].try_into().expect("four bytes"))
}

/// 0, 1, 2, …
fn ramp(n: usize) -> EagerBuffer {
    let mut b = EagerBuffer::zeros(Elem::I32, n);
    for (i, bytes) in b.bytes_mut().chunks_mut(4).enumerate() {
        bytes.copy_from_slice(&(i as i32).to_le_bytes());
    }
    b
}

#[test]
fn a_failed_assertion_leaves_its_number() {
    let build = |limit: i32| {
        let mut b = Builder::new("check");
        let x = b.view("x", Elem::I32, 1);
        let zero = b.i32(0);
        let v = b.load(x, &[zero], &[100]);
        for bound in [1000, limit] {
            let c = b.constant(Elem::I32, &[100], kcc_dsl::ir::Const::Int(bound.into()));
            let ok = b.compare(kcc_dsl::ir::CmpOp::Lt, v, c);
            b.op(kcc_dsl::ir::OpKind::Assert { message: format!("below {bound}") }, &[ok]);
        }
        b.finish().expect("valid")
    };
    let failed = |limit| word(&status(&build(limit), &mut ramp(100), 100, 0), 0);
    assert_eq!(failed(100), 0);
    assert_eq!(failed(99), 2, "the second assertion");
}

#[test]
fn a_print_is_a_record_if_there_is_room() {
    let mut b = Builder::new("show");
    let x = b.view("x", Elem::I32, 1);
    let zero = b.i32(0);
    let v = b.load(x, &[zero], &[40]);
    b.op(kcc_dsl::ir::OpKind::Print { format: "{} {}".into() }, &[zero, v]);
    let kernel = b.finish().expect("valid");
    // Header, one scalar, forty numbers: 64 + 64 + 192 bytes.
    let buffer = status(&kernel, &mut ramp(40), 40, 320);
    let record = STATUS_BYTES as usize;
    assert_eq!([word(&buffer, 4), word(&buffer, record), word(&buffer, record + 4)], [320, 0, 320]);
    let values: Vec<u32> = (0..40).map(|i| word(&buffer, record + 128 + 4 * i)).collect();
    assert_eq!(values, (0..40).collect::<Vec<u32>>());
    let tight = status(&kernel, &mut ramp(40), 40, 256);
    assert_eq!(word(&tight, 4), 320, "what was asked for");
    assert!(tight[record..].iter().all(|b| *b == 0), "nothing is written past the end");
}
