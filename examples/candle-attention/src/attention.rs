//! Scaled dot-product attention, grouped heads and causal masks included.

use crate::Kernels;
use crate::kernels::Argument;
use crate::memory::Memory;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::f32::consts::LOG2_E;

struct Attention {
    kernels: Kernels,
    scale: f32,
    causal: bool,
}

impl Kernels {
    /// `softmax(q · kᵀ · scale) · v`, each row over its keys; `causal`: query `i` sees keys up to `i + keys − queries`.
    ///
    /// `q`: `[batch, heads, queries, head]`; `k`, `v`: `[batch, kv heads, keys, head]`, of which `kv heads` divides `heads`. The last axes
    /// have stride 1; the others may have any, so that a transposed `[batch, sequence, heads, head]` needs no copy.
    ///
    /// # Errors
    /// Shapes, strides or element types that no variant in the pack takes; a scale that is not positive.
    pub fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor, scale: f32, causal: bool) -> Result<Tensor> {
        q.apply_op3_no_bwd(k, v, &Attention { kernels: self.clone(), scale, causal })
    }
}

impl Attention {
    fn run<M: Memory>(&self, [q, k, v]: [(&M, &Layout); 3]) -> Result<(M, Shape)> {
        let dims = q.1.dims();
        let (&[batch, ..], &[_, _, keys, _]) = (dims, k.1.dims()) else {
            candle_core::bail!("attention takes q, k and v of rank 4, q is {dims:?}");
        };
        let lengths = q.0.integers(vec![keys as i32; batch])?;
        let mut o = q.0.zeros(dims, q.0.dtype())?;
        let kernels = &self.kernels.0;
        let kernel = if self.causal { &kernels.attention_causal } else { &kernels.attention };
        // The kernels take powers of two.
        let scale = Argument::F32(self.scale * LOG2_E);
        let [q, k, v] = [q, k, v].map(|(memory, layout)| Argument::of(memory, layout));
        let lengths = Argument::dense(&lengths, 0, &[batch])?;
        kernels.launch(kernel, &[q?, k?, v?, lengths, Argument::out(&mut o, dims)?, scale])?;
        Ok((o, Shape::from(dims)))
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "kcc-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run([(q, ql), (k, kl), (v, vl)])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        ql: &Layout,
        k: &CudaStorage,
        kl: &Layout,
        v: &CudaStorage,
        vl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.run([(q, ql), (k, kl), (v, vl)])
    }
}
