//! RMS norm over the last axis.

use crate::Kernels;
use crate::kernels::Argument;
use crate::memory::Memory;
use candle_core::{Layout, Result, Shape, Tensor};

struct RmsNorm {
    kernels: Kernels,
    eps: f32,
}

impl Kernels {
    /// `x / √(mean(x²) + eps) · weight` over the last axis; `weight` has its width.
    ///
    /// # Errors
    /// Element types that no variant in the pack takes; an `x` with gaps between its rows.
    pub fn rms_norm(&self, x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
        x.apply_op2_no_bwd(weight, &RmsNorm { kernels: self.clone(), eps })
    }
}

impl RmsNorm {
    fn run<M: Memory>(&self, x: (&M, &Layout), weight: (&M, &Layout)) -> Result<(M, Shape)> {
        let dims = x.1.dims();
        let Some(&width) = dims.last() else { candle_core::bail!("RMS norm is over an axis, x has none") };
        let rows = x.1.shape().elem_count().checked_div(width).unwrap_or(0);
        let input = match dims.len() {
            2 => Argument::of(x.0, x.1)?,
            _ if x.1.is_contiguous() => Argument::dense(x.0, x.1.start_offset(), &[rows, width])?,
            _ => candle_core::bail!("RMS norm of {dims:?} with gaps: use `contiguous()`"),
        };
        let mut y = x.0.zeros(dims, x.0.dtype())?;
        let kernels = &self.kernels.0;
        let (weight, out) = (Argument::of(weight.0, weight.1)?, Argument::out(&mut y, &[rows, width])?);
        kernels.launch(&kernels.rms_norm, &[input, weight, out, Argument::F32(self.eps)])?;
        Ok((y, Shape::from(dims)))
    }
}

custom_op2!(RmsNorm, "kcc-rms-norm");
