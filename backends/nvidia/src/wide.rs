//! The compiler's view of `wgmma`, TMA and mbarriers: the traits of the GPU level in terms of this crate's instructions.

use crate::wgmma::{self, A, Kinds, Multiply, Panels, Start};
use crate::{groups, mbarrier, tma};
use kcc_compiler::emit::{Emit, K, V};
use kcc_compiler::error::{Error, bug};
use kcc_compiler::gpu::wide::{BulkCopy, WideA, WideMma, WideProduct, WideShared};
use kcc_compiler::gpu::{MmaKind, MmaRow};
use kcc_compiler::layout::Linear;
use kcc_dsl::ir::Elem;
use std::sync::Arc;

/// sm_90a's warpgroup products.
pub struct Wgmma;

/// sm_90's tensor memory accelerator.
pub struct Tma;

/// `wgmma.n128.bf16.bf16`
fn name(kinds: Kinds, n: u32) -> String {
    format!("wgmma.n{n}.{}.{}", kinds.a, kinds.b)
}

fn make(kinds: Kinds, acc: Elem, n: u32) -> Option<MmaRow> {
    if kinds.accumulator() != Some(acc) || !kinds.columns(n) {
        return None;
    }
    let bytes = kinds.a.bytes() as u32;
    // B always comes from shared memory: nobody holds a fragment of it.
    let b = Linear::row_major(&[kinds.k(), n.next_power_of_two()]).ok()?;
    Some(MmaRow {
        name: name(kinds, n),
        m: wgmma::ROWS,
        n,
        k: kinds.k(),
        a: kinds.a,
        b: kinds.b,
        acc,
        reduced: kinds.a == Elem::F32,
        kind: MmaKind::Async,
        issues: 1,
        warps: 4,
        a_layout: Arc::new(wgmma::a_layout(bytes).ok()?),
        b_layout: Arc::new(b),
        acc_layout: Arc::new(wgmma::accumulator_layout(n).ok()?),
        scales: None,
    })
}

fn panels(s: &WideShared, bytes: u32) -> Panels {
    Panels { bytes, lines: s.rows, swizzle: s.row_bytes, k_inner: s.k_inner }
}

impl WideMma for Wgmma {
    fn row(&self, a: Elem, b: Elem, acc: Elem, n: u32) -> Option<MmaRow> {
        make(Kinds { a, b }, acc, n)
    }

    fn named(&self, wanted: &str) -> Option<MmaRow> {
        let n = wanted.strip_prefix("wgmma.n")?.split('.').next()?.parse().ok()?;
        let kinds = Kinds::all().find(|k| name(*k, n) == wanted)?;
        make(kinds, kinds.accumulator()?, n)
    }

    fn transposes(&self, elem: Elem) -> bool {
        elem.bytes() == 2
    }

    fn coarse(&self, elem: Elem) -> bool {
        matches!(elem, Elem::F8E4M3 | Elem::F8E5M2)
    }

    fn fence(&self, e: &mut Emit) {
        wgmma::fence(e);
    }

    fn multiply(&self, e: &mut Emit, row: &MmaRow, p: &WideProduct, acc: &[V]) -> Result<Vec<V>, Error> {
        let kinds = Kinds { a: row.a, b: row.b };
        if kinds.accumulator() != Some(row.acc) {
            return Err(bug(format!("`{}` is no wgmma", row.name)));
        }
        let bytes = row.a.bytes() as u32;
        let (a, first) = match p.a {
            WideA::Shared(s) => {
                let panels = panels(&s, bytes);
                (A::Shared(wgmma::descriptor(e, s.address, &panels), panels), s.first)
            }
            WideA::Registers(words) => (A::Registers(words), 0),
        };
        let b = panels(&p.b, bytes);
        let start = match p.use_acc {
            _ if p.fresh => Start::Zero,
            None => Start::From,
            Some(flag) => Start::FromIf(flag),
        };
        let m = Multiply {
            kinds,
            n: row.n,
            steps: p.steps,
            a,
            row: first,
            b: (wgmma::descriptor(e, p.b.address, &b), b),
            column: p.b.first,
            start,
        };
        Ok(wgmma::multiply(e, &m, acc))
    }

    fn commit(&self, e: &mut Emit) {
        wgmma::commit(e);
    }

    fn wait(&self, e: &mut Emit, pending: u32) {
        wgmma::wait(e, pending);
    }
}

impl BulkCopy for Tma {
    fn barrier_bytes(&self) -> u32 {
        mbarrier::BYTES
    }

    fn barrier_init(&self, e: &mut Emit, barrier: V, arrivals: u32) {
        let arrivals = e.int(K::I32, i64::from(arrivals));
        mbarrier::init(e, barrier, arrivals);
    }

    fn barrier_init_fence(&self, e: &mut Emit) {
        mbarrier::fence_init(e);
    }

    fn barrier_arrive(&self, e: &mut Emit, barrier: V) {
        mbarrier::arrive(e, barrier);
    }

    fn barrier_arrive_at(&self, e: &mut Emit, barrier: V, rank: V) {
        mbarrier::arrive_at(e, barrier, rank);
    }

    fn barrier_expect(&self, e: &mut Emit, barrier: V, bytes: u32) {
        let bytes = e.int(K::I32, i64::from(bytes));
        mbarrier::arrive_expect(e, barrier, bytes);
    }

    fn barrier_wait(&self, e: &mut Emit, barrier: V, parity: V) {
        mbarrier::wait(e, barrier, parity);
    }

    fn load(&self, e: &mut Emit, to: V, map: V, barrier: V, coords: &[V], multicast: u16) {
        let mut options = tma::Options::default();
        if multicast != 0 {
            options.multicast = Some(e.int(K::I16, i64::from(multicast)));
        }
        tma::load(e, to, map, barrier, coords, options);
    }

    fn store(&self, e: &mut Emit, map: V, from: V, coords: &[V]) {
        tma::store(e, map, from, coords);
    }

    fn commit(&self, e: &mut Emit) {
        tma::commit(e);
    }

    fn wait(&self, e: &mut Emit, pending: u32, read: bool) {
        tma::wait(e, pending, read);
    }

    fn fence(&self, e: &mut Emit) {
        groups::fence_async(e);
    }

    fn warp_barrier(&self, e: &mut Emit) {
        groups::warp_barrier(e);
    }

    fn set_registers(&self, e: &mut Emit, registers: u32, more: bool) {
        if more {
            groups::registers_up(e, registers);
        } else {
            groups::registers_down(e, registers);
        }
    }

    fn turn(&self, e: &mut Emit, id: V, threads: u32, pass: bool) {
        let threads = e.int(K::I32, i64::from(threads));
        if pass {
            groups::barrier_arrive(e, id, threads);
        } else {
            groups::barrier(e, id, threads);
        }
    }

    fn cluster_rank(&self, e: &mut Emit) -> V {
        groups::cluster_rank(e)
    }

    fn cluster_barrier(&self, e: &mut Emit) {
        groups::cluster_barrier(e);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_names() {
        let row = Wgmma.row(Elem::BF16, Elem::BF16, Elem::F32, 176).unwrap();
        assert_eq!(Wgmma.named(&row.name), Some(row));
        assert_eq!(Wgmma.row(Elem::BF16, Elem::F16, Elem::F32, 64), None);
        assert_eq!(Wgmma.row(Elem::I8, Elem::I8, Elem::I32, 40), None);
        assert_eq!(Wgmma.named("wgmma.n512.bf16.bf16"), None);
    }
}
