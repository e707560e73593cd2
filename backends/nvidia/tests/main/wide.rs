//! Warpgroup products, bulk copies and their barriers are accepted by the assembler, without serialisation.

use super::assemble::{assemble, ptx};
use kcc_compiler::emit::{Emit, K, Portable, Ty, V};
use kcc_dsl::ir::Elem;
use kcc_nvidia::wgmma::{A, Kinds, Multiply, Panels, Start};
use kcc_nvidia::{groups, mbarrier, tma, wgmma};

const SHARED: &str =
    "llvm.mlir.global external @dyn() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>";

/// A kernel of one warpgroup around a body; `%out` is where it writes, `%n` a count, `%map` a tensor map.
fn kernel(threads: u32, e: Emit) -> String {
    format!(
        "module {{ {SHARED}\nllvm.func @k(%out: !llvm.ptr<1>, %n: i32, %map: {}) attributes {{nvvm.kernel, \
         nvvm.reqntid = array<i32: {threads}>, nvvm.minctasm = 1 : i32}} {{\n{}llvm.return }} }}",
        tma::PARAM,
        e.finish()
    )
}

fn shared(e: &mut Emit, offset: i64) -> V {
    let ty = Ty::scalar(K::Shared);
    let base = e.pure(ty, "llvm.mlir.addressof @dyn : !llvm.ptr<3>".into(), &[]);
    e.pure(ty, format!("llvm.getelementptr {base}[{offset}] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8"), &[base])
}

/// Parameters have names of their own; a copy gives each a value of the writer.
fn param(e: &mut Emit, name: &str, ty: Ty) -> V {
    e.here(ty, format!("llvm.freeze {name} : {ty}"))
}

fn store_all(e: &mut Emit, values: &[V]) {
    let ty = Ty::scalar(K::Global);
    let tid = e.here(Ty::scalar(K::I32), "nvvm.read.ptx.sreg.tid.x : i32".into());
    for (i, v) in values.iter().enumerate() {
        let p =
            e.here(ty, format!("llvm.getelementptr %out[{tid}] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32"));
        let p =
            e.here(ty, format!("llvm.getelementptr {p}[{}] : (!llvm.ptr<1>) -> !llvm.ptr<1>, f32", i * 128));
        e.line(format!("llvm.store {v}, {p} : {}, !llvm.ptr<1>", v.ty));
    }
}

/// `acc += a · b` in a loop of `%n` turns, waiting one turn late.
fn product(kinds: Kinds, n: u32, k_inner: bool, from_registers: bool) -> String {
    let mut e = Emit::new(&Portable);
    let bytes = kinds.a.bytes() as u32;
    let steps = 4;
    let k = steps * kinds.k();
    let a_panels = Panels { bytes, lines: 64, swizzle: 128, k_inner: true };
    let inner = if k_inner { k } else { n };
    let swizzle = Panels::widest(inner, bytes).unwrap_or(32);
    let b_panels = Panels { bytes, lines: if k_inner { n } else { k }, swizzle, k_inner };
    let (at_a, at_b) = (shared(&mut e, 0), shared(&mut e, 65536));
    let a = wgmma::descriptor(&mut e, at_a, &a_panels);
    let b = wgmma::descriptor(&mut e, at_b, &b_panels);
    let integer = kinds.accumulator() == Some(Elem::I32);
    let zero = if integer { e.int(K::I32, 0) } else { e.f32(0.0) };
    let turns = param(&mut e, "%n", Ty::scalar(K::I32));
    let turns = e.pure(Ty::i64(), format!("arith.extsi {turns} : i32 to i64"), &[turns]);
    let (lo, one) = (e.i64(0), e.i64(1));
    let words: Vec<V> = (0..4 * steps as usize).map(|_| param(&mut e, "%n", Ty::scalar(K::I32))).collect();
    let (open, _, acc) = e.begin_for(lo, turns, one, &vec![zero; (n / 2) as usize]);
    wgmma::fence(&mut e);
    let a = if from_registers { A::Registers(&words) } else { A::Shared(a, a_panels) };
    let m = Multiply { kinds, n, steps, a, row: 0, b: (b, b_panels), column: 0, start: Start::From };
    let acc = wgmma::multiply(&mut e, &m, &acc);
    wgmma::commit(&mut e);
    wgmma::wait(&mut e, 1);
    let acc = e.end_for(open, &acc);
    wgmma::wait(&mut e, 0);
    store_all(&mut e, &acc);
    kernel(128, e)
}

#[test]
fn every_product_is_assembled() {
    for kinds in Kinds::all() {
        for (n, k_inner, registers) in
            [(8, true, false), (176, true, true), (128, false, false), (64, false, true)]
        {
            if kinds.columns(n) && (k_inner || kinds.transposes()) {
                let text = ptx(&product(kinds, n, k_inner, registers));
                assert_eq!(text.matches("wgmma.mma_async").count(), 4, "{text}");
                assemble(&text);
            }
        }
    }
}

#[test]
fn the_widest_product_stays_in_place() {
    let text = ptx(&product(Kinds { a: Elem::BF16, b: Elem::BF16 }, 256, true, false));
    let log = assemble(&text);
    assert!(log.is_none_or(|log| log.contains("0 bytes spill stores")));
}

#[test]
fn a_ring_of_bulk_copies_feeds_products() {
    let mut e = Emit::new(&Portable);
    let i32_ = Ty::scalar(K::I32);
    let (full, empty, buffer) = (shared(&mut e, 65536), shared(&mut e, 65544), shared(&mut e, 0));
    let map = param_map(&mut e);
    let (one, bytes, zero) = (e.int(K::I32, 1), e.int(K::I32, 16384), e.int(K::I32, 0));
    let tid = e.here(i32_, "nvvm.read.ptx.sreg.tid.x : i32".into());
    let first = e.cmpi("eq", tid, zero);
    let open = e.begin_if(first, &[]);
    tma::prefetch_map(&mut e, map);
    mbarrier::init(&mut e, full, one);
    mbarrier::init(&mut e, empty, one);
    mbarrier::fence_init(&mut e);
    e.end_if(open, &[]);
    e.line("nvvm.barrier0".into());
    let split = e.int(K::I32, 256);
    let producer = e.cmpi("sge", tid, split);
    let mut open = e.begin_if(producer, &[]);
    groups::registers_down(&mut e, 24);
    let chosen = groups::elect(&mut e);
    let inner = e.begin_if(chosen, &[]);
    mbarrier::wait(&mut e, empty, one);
    mbarrier::arrive_expect(&mut e, full, bytes);
    tma::load(&mut e, buffer, map, full, &[zero, zero], tma::Options::default());
    e.end_if(inner, &[]);
    e.begin_else(&mut open, &[]);
    groups::registers_up(&mut e, 240);
    mbarrier::wait(&mut e, full, zero);
    let (id, threads) = (e.int(K::I32, 1), e.int(K::I32, 256));
    groups::barrier(&mut e, id, threads);
    groups::barrier_arrive(&mut e, id, threads);
    groups::fence_async(&mut e);
    mbarrier::arrive(&mut e, empty);
    tma::store(&mut e, map, buffer, &[zero, zero]);
    tma::commit(&mut e);
    tma::wait(&mut e, 0, true);
    e.end_if(open, &[]);
    let text = ptx(&kernel(384, e));
    for what in [
        "cp.async.bulk.tensor.2d.shared::cta.global",
        "mbarrier.try_wait.parity",
        "setmaxnreg.dec",
        "setmaxnreg.inc",
        "cp.async.bulk.wait_group.read",
        "fence.proxy.async",
    ] {
        assert!(text.contains(what), "no {what} in {text}");
    }
    assemble(&text);
}

fn param_map(e: &mut Emit) -> V {
    let ty = Ty::scalar(K::Ptr);
    e.pure(ty, "llvm.getelementptr %map[0] : (!llvm.ptr) -> !llvm.ptr, i8".into(), &[])
}
