//! Warp products, matrix loads and asynchronous copies are accepted by the assembler, and become the instruction meant.

use super::assemble::{assemble_for, ptx_for};
use kcc_compiler::emit::{Emit, K, Portable, Ty, V};
use kcc_dsl::ir::Elem;
use kcc_nvidia::mma;

fn module(e: Emit) -> String {
    format!(
        "module {{ llvm.mlir.global external @dyn() {{addr_space = 3 : i32, alignment = 1024 : i64}} : \
         !llvm.array<0 x i8>\nllvm.func @k(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {{nvvm.kernel, nvvm.reqntid = \
         array<i32: 32>}} {{\n{}llvm.return }} }}",
        e.finish()
    )
}

/// Address of the thread's 16-byte piece `index` of a pointer.
fn piece(e: &mut Emit, base: &str, kind: K, index: usize) -> V {
    let ty = Ty::scalar(kind);
    let tid = e.pure(Ty::scalar(K::I32), "nvvm.read.ptx.sreg.tid.x : i32".into(), &[]);
    let text = format!("llvm.getelementptr {base}[{tid}] : ({ty}, i32) -> {ty}, !llvm.array<16 x i8>");
    let p = e.pure(ty, text, &[tid]);
    e.address(p, K::I8, &[], index as i64 * 512)
}

fn load(e: &mut Emit, index: usize, k: K) -> V {
    let p = piece(e, "%in", K::Global, index);
    e.load_aligned(p, Ty::scalar(k))
}

fn store(e: &mut Emit, index: usize, v: V) {
    let p = piece(e, "%out", K::Global, index);
    e.store_aligned(v, p);
}

#[test]
fn each_row_of_the_table_is_one_instruction() {
    for row in mma::TABLE {
        let mut e = Emit::new(&Portable);
        let word = if row.a == Elem::F32 { K::F32 } else { K::I32 };
        let a: Vec<V> = (0..4).map(|i| load(&mut e, i, word)).collect();
        let b: Vec<V> = (4..6).map(|i| load(&mut e, i, word)).collect();
        let k = if row.acc == Elem::I32 { K::I32 } else { K::F32 };
        let c: Vec<V> = (6..10).map(|i| load(&mut e, i, k)).collect();
        let out = row.emit(&mut e, &a, &b, &c).expect("counts are right");
        out.iter().enumerate().for_each(|(i, v)| store(&mut e, i, *v));
        let arch = format!("sm_{}", row.since);
        let text = ptx_for(&module(e), &arch);
        let name = row.name();
        let kinds: Vec<&str> = name.split('.').skip(2).collect();
        let line = text.lines().find(|l| l.contains("mma.sync")).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(line.contains(&format!("m16n8k{}", row.k)), "{name}: {line}");
        assert!(kinds.iter().all(|k| line.contains(&format!(".{k}"))), "{name}: {line}");
        assemble_for(&text, &arch);
    }
}

#[test]
fn matrices_are_read_four_at_a_time_and_transposed() {
    for (count, transposed) in [(1, false), (2, true), (4, false), (4, true)] {
        let mut e = Emit::new(&Portable);
        let base = e.pure(Ty::scalar(K::Shared), "llvm.mlir.addressof @dyn : !llvm.ptr<3>".into(), &[]);
        let p = piece(&mut e, &base.to_string(), K::Shared, 0);
        let words = mma::ldmatrix(&mut e, p, count, transposed);
        assert_eq!(words.len(), count as usize);
        words.iter().enumerate().for_each(|(i, v)| store(&mut e, i, *v));
        let text = ptx_for(&module(e), "sm_80");
        let trans = if transposed { ".trans" } else { "" };
        assert!(text.contains(&format!("ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16")), "{text}");
        assemble_for(&text, "sm_80");
    }
}

#[test]
fn copies_of_16_bytes_pass_by_the_first_cache_and_fill_with_zeros() {
    let mut e = Emit::new(&Portable);
    let base = e.pure(Ty::scalar(K::Shared), "llvm.mlir.addressof @dyn : !llvm.ptr<3>".into(), &[]);
    let to = piece(&mut e, &base.to_string(), K::Shared, 0);
    let from = piece(&mut e, "%in", K::Global, 0);
    let valid = load(&mut e, 1, K::I32);
    mma::copy_async(&mut e, to, from, 16, Some(valid));
    mma::copy_async(&mut e, to, from, 4, None);
    mma::copy_async_commit(&mut e);
    mma::copy_async_wait(&mut e, 0);
    let v = e.load_aligned(to, Ty::scalar(K::I32));
    store(&mut e, 0, v);
    let text = ptx_for(&module(e), "sm_80");
    assert!(text.contains("cp.async.cg.shared.global"), "{text}");
    assert!(text.contains("cp.async.ca.shared.global"), "{text}");
    assert!(text.contains("cp.async.wait_group"), "{text}");
    assemble_for(&text, "sm_80");
}
