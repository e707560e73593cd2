//! Orders hold whatever turns loops take: runs by chance, in which nothing is assumed but what takes place.

use super::starts::Start;
use super::{Order, Ordered, ordered, replay};
use crate::passes::double_buffer::given;
use crate::pipeline::{compile_by, lowered};
use kcc_compiler::{Timings, bug};
use kcc_davinci::Chip;
use kcc_dsl::KernelFn;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::prelude::*;
use kcc_kernels::attention::attention_packed_tile;
use kcc_kernels::attention_half::attention_half_tile;
use kcc_kernels::matmul::matmul_tile;
use kcc_kernels::moe::grouped::grouped_swiglu_tile;

fn check(def: &KernelFn) {
    let kernel = def.trace().expect("traces");
    let args: Vec<ArgSpec> = kernel.params.iter().map(|p| ArgSpec::dense(p.kind)).collect();
    let chip = Chip::find("ascend910b").expect("a chip");
    let mut placed = None;
    let mut watch = |stage: usize, p: &_| {
        if stage < 3 {
            return Ok(None);
        }
        placed = Some(Clone::clone(p));
        Err(bug("no more is wanted"))
    };
    let _ = compile_by(&kernel, &args, chip, &mut Timings::default(), &mut watch);
    let program = placed.expect("a stage of addresses");
    let slots = given(&program);
    let (_, hints) = lowered(&kernel, &args, chip).expect("it is lowered");
    for Ordered { kind, tree, order } in ordered(&program, &slots, &hints, chip).expect("an order") {
        let answers = hints.answers_of(kind);
        for seed in 0..100 {
            let order = Order { starts: vec![Start::by_chance(&tree, seed)], ..order.clone() };
            let wrong = replay(&tree, &slots, &answers, order, (false, true)).err();
            assert_eq!(wrong, None, "{} on {kind:?} cores, seed {seed}", program.name);
        }
    }
}

#[test]
fn loops_may_take_any_turns() {
    let all: [fn(); 5] = [
        || check(attention_half_tile::kernel::<f32, 64, 64, 64, false, false>().erased()),
        || check(attention_half_tile::kernel::<f16, 128, 256, 128, false, true>().erased()),
        || check(attention_packed_tile::kernel::<f32, 32, 32, 32, false>().erased()),
        || check(grouped_swiglu_tile::kernel::<f16, 16, 32, 32>().erased()),
        || check(matmul_tile::kernel::<f16, 32, 32, 32, 0, false, false>().erased()),
    ];
    std::thread::scope(|s| all.into_iter().for_each(|f| drop(s.spawn(f))));
}
