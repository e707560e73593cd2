//! Every set, wait and barrier of a compiled kernel, deleted in turn: the simulator must notice.
//!
//! What stands in branches that a launch does not take (rows that start outside a view) cannot be noticed, nor can a barrier of all
//! pipes next to another. Their number is pinned.

use super::harness::{execute, program};
use super::kernels::{softmax, view};
use kcc_davinci::ir::{CoreKind, Program, Stmt};
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::Elem;

/// Deletes the `n`th instruction that orders something; its name, if there are so many.
fn without(stmts: &mut Vec<Stmt>, n: &mut usize) -> Option<String> {
    for i in 0..stmts.len() {
        if let Stmt::Issue { instr, .. } = &stmts[i]
            && instr.is_sync()
        {
            if *n == 0 {
                let name = instr.name();
                stmts.remove(i);
                return Some(name);
            }
            *n -= 1;
        }
        for b in stmts[i].blocks_mut() {
            if let Some(name) = without(b, n) {
                return Some(name);
            }
        }
    }
    None
}

#[test]
fn deleted_synchronisation_of_softmax_is_noticed() {
    let kernel = softmax(Elem::F32, 256);
    let args = [view(0, [4, 200], false), view(1, [4, 200], true)];
    let whole = program(&kernel, &args).expect("it compiles");
    let x: Vec<f32> = (0..800).map(|i| (i % 23) as f32).collect();
    let buffers = [EagerBuffer::from_f32(Elem::F32, &x), EagerBuffer::zeros(Elem::F32, 800)];
    let noticed = |p: &Program| {
        (0..4).any(|seed| execute(p, &kernel, [4, 1, 1], &mut buffers.to_vec(), &args, 2, seed).is_err())
    };
    assert!(!noticed(&whole));
    let mut survivors = Vec::new();
    let mut deleted = 0;
    loop {
        let mut p = whole.clone();
        let body = p.body_mut(CoreKind::Vector).expect("vector code");
        let Some(name) = without(body, &mut { deleted }) else { break };
        if !noticed(&p) {
            survivors.push(format!("{deleted}: {name}"));
        }
        deleted += 1;
    }
    eprintln!("noticed {} of {deleted}", deleted - survivors.len());
    assert!(deleted > 10, "{deleted}");
    // 14 of 29 are noticed: the rest stands in branches that this launch does not take.
    assert!(survivors.len() <= 15, "{} of {deleted} survive: {survivors:?}", survivors.len());
}
