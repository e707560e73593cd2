//! A layer of experts: each token goes through the few whose scores are largest.

use crate::Kernels;
use crate::kernels::Argument;
use crate::memory::Memory;
use candle_core::{DType, Layout, Result, Shape, Tensor};

/// The experts' weights.
#[derive(Clone)]
pub struct Experts {
    /// `[experts, hidden, inner]`
    pub gate: Tensor,
    /// `[experts, hidden, inner]`
    pub up: Tensor,
    /// `[experts, inner, hidden]`
    pub down: Tensor,
}

struct Moe {
    kernels: Kernels,
    experts: Experts,
    choices: usize,
}

impl Kernels {
    /// `Σ w · (silu(x · gate) · (x · up)) · down` over the `choices` experts of each token with the largest scores, weighted by the
    /// softmax of these scores. The pack has 2 of at most 8 experts and 8 of at most 64.
    ///
    /// `x`: `[tokens, hidden]`; `scores`: `[tokens, experts]`, `x` times the router's matrix.
    ///
    /// # Errors
    /// Shapes or element types that no variant in the pack takes.
    pub fn moe(&self, x: &Tensor, scores: &Tensor, experts: &Experts, choices: usize) -> Result<Tensor> {
        x.apply_op2_no_bwd(scores, &Moe { kernels: self.clone(), experts: experts.clone(), choices })
    }
}

impl Moe {
    fn run<M: Memory>(&self, x: (&M, &Layout), scores: (&M, &Layout)) -> Result<(M, Shape)> {
        let (tokens, hidden) = x.1.shape().dims2()?;
        let (_, count) = scores.1.shape().dims2()?;
        let (_, _, inner) = self.experts.gate.dims3()?;
        let (dtype, choices) = (x.0.dtype(), self.choices);
        let slots = tokens * choices;
        let held = [&self.experts.gate, &self.experts.up, &self.experts.down].map(Tensor::storage_and_layout);
        let weight = |i: usize| Argument::of(M::of(&held[i].0)?, held[i].1);
        let kernels = &self.kernels.0;

        let mut ids = x.0.zeros(&[tokens, choices], DType::I32)?;
        let mut weights = x.0.zeros(&[tokens, choices], DType::F32)?;
        kernels.launch(
            &kernels.moe_gate,
            &[
                Argument::of(scores.0, scores.1)?,
                Argument::out(&mut ids, &[tokens, choices])?,
                Argument::out(&mut weights, &[tokens, choices])?,
            ],
        )?;

        let mut starts = x.0.zeros(&[count + 1], DType::I32)?;
        let mut order = x.0.zeros(&[slots], DType::I32)?;
        kernels.launch(
            &kernels.moe_permute,
            &[
                Argument::dense(&ids, 0, &[slots])?,
                Argument::out(&mut starts, &[count + 1])?,
                Argument::out(&mut order, &[slots])?,
            ],
        )?;

        let mut h = x.0.zeros(&[slots, inner], dtype)?;
        kernels.launch(
            &kernels.moe_swiglu,
            &[
                Argument::of(x.0, x.1)?,
                weight(0)?,
                weight(1)?,
                Argument::dense(&starts, 0, &[count + 1])?,
                Argument::dense(&order, 0, &[slots])?,
                Argument::out(&mut h, &[slots, inner])?,
                Argument::I32(choices as i32),
            ],
        )?;

        let mut parts = x.0.zeros(&[slots, hidden], dtype)?;
        kernels.launch(
            &kernels.moe_down,
            &[
                Argument::dense(&h, 0, &[slots, inner])?,
                weight(2)?,
                Argument::dense(&starts, 0, &[count + 1])?,
                Argument::dense(&order, 0, &[slots])?,
                Argument::out(&mut parts, &[slots, hidden])?,
            ],
        )?;

        let mut y = x.0.zeros(&[tokens, hidden], dtype)?;
        kernels.launch(
            &kernels.moe_combine,
            &[
                Argument::dense(&parts, 0, &[tokens, choices, hidden])?,
                Argument::dense(&weights, 0, &[tokens, choices])?,
                Argument::out(&mut y, &[tokens, hidden])?,
            ],
        )?;
        Ok((y, Shape::from((tokens, hidden))))
    }
}

custom_op2!(Moe, "kcc-moe");
