//! The forward pass: packed tokens in, one unit vector per sentence out.
//!
//! ```text
//! ids ─ embedding_sum ─ layer_norm ─┬─ qkv ─ attention ─ output + x ─ layer_norm ─┬─ up, GELU ─ down + x ─ layer_norm ─┐ ×6
//!                                   └────────────────────────────────────────────┘                                     │
//!                                                                          mean over each sentence, unit length ◄──────┘
//! ```
//! Tokens of all sentences lie one after the other, so that no kernel computes on padding; only attention and the
//! mean look at where a sentence begins.

use crate::Element;
use crate::text::Tokens;
use crate::weights::{HEADS, HIDDEN, INNER, Linear, Norm, Weights};
use anyhow::{Result, ensure};
use kcc_kernels::activation::{GELU, IDENTITY};
use kcc_kernels::attention::{Scores, attention_packed};
use kcc_kernels::embedding::embedding_sum;
use kcc_kernels::layer_norm::layer_norm;
use kcc_kernels::matmul::{Epilogue, matmul};
use kcc_kernels::pooling::mean_pool_packed;
use kcc_runtime::{Device, Tensor, TensorView, TensorViewMut};
use std::path::Path;

/// Added to the variance in each layer norm, as in the model's configuration.
const EPSILON: f32 = 1e-12;
const HEAD: usize = HIDDEN / HEADS;

/// The model on a device, in `f32` or `bf16`.
pub struct Model<T> {
    device: Device,
    weights: Weights<T>,
    work: Option<Workspace<T>>,
}

/// What lies between the kernels, for up to `tokens` tokens.
struct Workspace<T> {
    tokens: usize,
    x: Tensor<T>,
    y: Tensor<T>,
    qkv: Tensor<T>,
    mixed: Tensor<T>,
    inner: Tensor<T>,
}

impl<T: Element> Workspace<T> {
    fn new(tokens: usize) -> Result<Self> {
        Ok(Workspace {
            tokens,
            x: Tensor::zeros(&[tokens, HIDDEN])?,
            y: Tensor::zeros(&[tokens, HIDDEN])?,
            qkv: Tensor::zeros(&[tokens, 3 * HIDDEN])?,
            mixed: Tensor::zeros(&[tokens, HIDDEN])?,
            inner: Tensor::zeros(&[tokens, INNER])?,
        })
    }
}

impl<T: Element> Model<T> {
    /// Reads `model.safetensors` of a folder.
    ///
    /// # Errors
    /// The file is missing or not this model.
    pub fn open(device: Device, folder: &Path) -> Result<Self> {
        Ok(Model { device, weights: Weights::open(&folder.join("model.safetensors"))?, work: None })
    }

    /// The device that the model runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Embeddings of the sentences: `[sentences, 384]`, each of length 1.
    ///
    /// # Errors
    /// Token ids without a vector, or a kernel failed.
    pub fn embed(&mut self, tokens: &Tokens) -> Result<Tensor<T>> {
        let n = tokens.ids.len();
        let mut result = Tensor::zeros(&[tokens.sentences(), HIDDEN])?;
        if n == 0 {
            return Ok(result);
        }
        let limits = [self.weights.words.dim(0), self.weights.positions.dim(0)];
        for (ids, limit) in [&tokens.ids, &tokens.positions].into_iter().zip(limits) {
            ensure!(
                ids.iter().all(|&id| usize::try_from(id).is_ok_and(|id| id < limit)),
                "a token id is not below {limit}"
            );
        }
        let mut work = match self.work.take() {
            Some(work) if work.tokens >= n => work,
            _ => Workspace::new(n)?,
        };
        let starts = Tensor::from_slice(&tokens.starts, &[tokens.starts.len()])?;
        self.encode(&mut work, tokens, &starts.view())?;
        let x = work.x.view().slice(0, 0..n)?;
        mean_pool_packed(&self.device, &x, &starts.view(), &mut result.view_mut())?;
        self.work = Some(work);
        Ok(result)
    }

    /// Leaves the last layer's vectors in `work.x`.
    fn encode(&self, work: &mut Workspace<T>, tokens: &Tokens, starts: &TensorView<'_, i32>) -> Result<()> {
        let (device, weights, n) = (&self.device, &self.weights, tokens.ids.len());
        let ids = Tensor::from_slice(&tokens.ids, &[n])?;
        let positions = Tensor::from_slice(&tokens.positions, &[n])?;
        let types = Tensor::zeros(&[n])?;
        let mut x = work.x.view_mut().slice(0, 0..n)?;
        let mut y = work.y.view_mut().slice(0, 0..n)?;
        let mut qkv = work.qkv.view_mut().slice(0, 0..n)?;
        let mut mixed = work.mixed.view_mut().slice(0, 0..n)?;
        let mut inner = work.inner.view_mut().slice(0, 0..n)?;

        let tables = [&weights.words.view(), &weights.positions.view(), &weights.types.view()];
        embedding_sum(device, [&ids.view(), &positions.view(), &types.view()], tables, &mut y)?;
        norm(device, &y.as_view(), &weights.norm, &mut x)?;
        let scores = Scores { scale: 1.0 / (HEAD as f32).sqrt(), causal: false };
        for layer in &weights.layers {
            linear::<T, IDENTITY>(device, &x.as_view(), &layer.qkv, None, &mut qkv)?;
            {
                // [n, 3, heads, head] → three times [heads, n, head], without a copy.
                let parts = qkv.as_view().reshape(&[n, 3, HEADS, HEAD])?.permute(&[1, 2, 0, 3])?;
                let part = |i| parts.clone().index(0, i);
                let (q, k, v) = (part(0)?, part(1)?, part(2)?);
                let heads = mixed.reborrow().reshape(&[n, HEADS, HEAD])?;
                let mut heads = heads.permute(&[1, 0, 2])?;
                attention_packed(device, &q, (&k, &v), (starts, tokens.longest()), &mut heads, scores)?;
            }
            linear::<T, IDENTITY>(device, &mixed.as_view(), &layer.output, Some(&x.as_view()), &mut y)?;
            norm(device, &y.as_view(), &layer.output_norm, &mut x)?;
            linear::<T, GELU>(device, &x.as_view(), &layer.up, None, &mut inner)?;
            linear::<T, IDENTITY>(device, &inner.as_view(), &layer.down, Some(&x.as_view()), &mut y)?;
            norm(device, &y.as_view(), &layer.down_norm, &mut x)?;
        }
        Ok(())
    }
}

fn linear<T: Element, const ACT: usize>(
    device: &Device,
    x: &TensorView<'_, T>,
    layer: &Linear<T>,
    residual: Option<&TensorView<'_, T>>,
    y: &mut TensorViewMut<'_, T>,
) -> Result<()> {
    let bias = layer.bias.view();
    let epilogue = Epilogue { bias: Some(&bias), residual };
    Ok(matmul::<T, ACT>(device, x, &layer.weight.view(), epilogue, y)?)
}

fn norm<T: Element>(
    device: &Device,
    x: &TensorView<'_, T>,
    norm: &Norm<T>,
    y: &mut TensorViewMut<'_, T>,
) -> Result<()> {
    Ok(layer_norm(device, x, None, (&norm.gamma.view(), &norm.beta.view()), y, EPSILON)?)
}
