//! Cases of the mixture-of-experts layer and its parts.

use super::compare::{F32, close, equal};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::moe::{Experts, Sizes, Workspace, gate, magnitude, moe, permute, reference};
use kcc_dsl::prelude::*;
use kcc_runtime::{Launch as _, Tensor};

/// Cases of the permutation, which knows no element type.
pub(super) fn permutations(all: &mut Vec<Case>) {
    for (slots, experts) in [(1, 1), (6, 3), (300, 8), (1000, 64)] {
        all.push(Case::new(format!("permute {slots} slots {experts} experts"), move |device| {
            let mut random = Random::new(16);
            // The last expert gets nothing, as happens.
            let ids: Vec<i32> = (0..slots).map(|_| random.below((experts - 1).max(1)) as i32).collect();
            let (want_starts, want_order) = permute::reference(&ids, experts);
            let ids = tensor(&ids, &[slots])?;
            let mut starts = tensor(&vec![-7; experts + 1], &[experts + 1])?;
            let mut order = tensor(&vec![-7; slots], &[slots])?;
            permute::permute_tile::kernel::<256>()
                .launch(device, [experts, 1, 1], (&ids.view(), &mut starts.view_mut(), &mut order.view_mut()))
                .map_err(|e| e.to_string())?;
            equal(starts.as_slice(), &want_starts).map_err(|e| format!("starts: {e}"))?;
            equal(order.as_slice(), &want_order).map_err(|e| format!("order: {e}"))
        }));
    }
}

pub(super) fn cases<T: Value + DotElem>(all: &mut Vec<Case>) {
    all.push(gate_case::<T, 8, 2>(5, 8));
    all.push(gate_case::<T, 8, 1>(3, 5));
    all.push(gate_case::<T, 64, 8>(4, 61));
    let size = |hidden, experts, choices, inner| Sizes { hidden, experts, choices, inner };
    all.push(layer_case::<T>(1, size(1, 1, 1, 1)));
    all.push(layer_case::<T>(7, size(40, 3, 2, 70)));
    all.push(layer_case::<T>(70, size(65, 4, 2, 33)));
    all.push(layer_case::<T>(0, size(8, 2, 1, 8)));
}

fn gate_case<T: Value, const E: usize, const K: usize>(tokens: usize, experts: usize) -> Case {
    Case::new(format!("gate {} {tokens}x{experts} top {K} of {E}", T::ELEM), move |device| {
        let scores: Vec<T> = Random::new(17).values(tokens * experts, 4.0);
        let (want_ids, want) = gate::reference(&exact(&scores), experts, K);
        let scores = tensor(&scores, &[tokens, experts])?;
        let mut ids = tensor(&vec![-7; tokens * K], &[tokens, K])?;
        let mut weights = untouched::<f32>(&[tokens, K])?;
        gate::gate_tile::kernel::<T, E, K>()
            .launch(device, [tokens, 1, 1], (&scores.view(), &mut ids.view_mut(), &mut weights.view_mut()))
            .map_err(|e| e.to_string())?;
        equal(ids.as_slice(), &want_ids)?;
        // As in softmax: exponents of at most 8 · 1.45 with two roundings, exp2, a sum of K, a quotient.
        let units = 2.0 * (0.7 * 24.0 + 4.0) + K as f64 + 2.0;
        close(weights.as_slice(), &want, |i| units * F32 * want[i])
    })
}

fn layer_case<T: Value + DotElem>(tokens: usize, z: Sizes) -> Case {
    Case::new(format!("moe {} {tokens} tokens {z:?}", T::ELEM), move |device| {
        let mut random = Random::new(18);
        let (hidden, inner, experts) = (z.hidden, z.inner, z.experts);
        let small = |n: usize| 1.0 / (n as f32).sqrt();
        let x: Vec<T> = random.values(tokens * hidden, 1.0);
        let router: Vec<T> = random.values(hidden * experts, 1.0);
        let gate: Vec<T> = random.values(experts * hidden * inner, small(hidden));
        let up: Vec<T> = random.values(experts * hidden * inner, small(hidden));
        let down: Vec<T> = random.values(experts * inner * hidden, small(inner));
        let (tx, tr) = (tensor(&x, &[tokens, hidden])?, tensor(&router, &[hidden, experts])?);
        let (tg, tu) = (tensor(&gate, &[experts, hidden, inner])?, tensor(&up, &[experts, hidden, inner])?);
        let td: Tensor<T> = tensor(&down, &[experts, inner, hidden])?;
        let mut work = Workspace::new(tokens, hidden, experts, z.choices, inner).map_err(text)?;
        let mut y = untouched::<T>(&[tokens, hidden])?;
        let (router, gates, ups, downs) = (tr.view(), tg.view(), tu.view(), td.view());
        let weights = Experts { router: &router, gate: &gates, up: &ups, down: &downs };
        moe(device, &tx.view(), weights, z.choices, &mut work, &mut y.view_mut()).map_err(text)?;
        // The choice is a jump, so it is taken from the kernels (their own cases check it).
        let (ids, shares) = work.choice();
        let choice = (ids, &exact(shares)[..]);
        let experts = (&exact(&gate)[..], &exact(&up)[..], &exact(&down)[..]);
        let want = reference(z, &exact(&x), choice, experts);
        let sums = magnitude(z, &exact(&x), choice, experts);
        // With weights of 1/√n, gate and up are below √hidden and wrong by `hidden + 12` units of that, so that their
        // product is wrong by twice `hidden · (hidden + 12)` units; `inner` of them with weights below 1/√inner. Then
        // `inner` units for the sum, and two roundings to the element type, of the product and of an expert's part.
        let (h, n) = (hidden as f64, inner as f64);
        let inputs = n.sqrt() * 2.0 * h * (h + 12.0) * F32;
        let bound = |i: usize| inputs + sums[i] * ((n + 2.0) * F32 + 2.0 * T::UNIT);
        close(y.as_slice(), &want, bound)
    })
}
