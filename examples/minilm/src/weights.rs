//! The model's weights: read from `model.safetensors`, converted to the element type of the run, laid out for the
//! kernels.
//!
//! The file holds each linear layer as `[out, in]`; a product of tokens and weights reads `[in, out]`, so weights are
//! transposed once, here. Query, key and value become one layer of three times the width.

use crate::Element;
use anyhow::{Context, Result, bail};
use kcc_runtime::{Frozen, Tensor};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// Number of transformer layers.
pub const LAYERS: usize = 6;
/// Length of a token's vector.
pub const HIDDEN: usize = 384;
/// Attention heads, of `HIDDEN / HEADS` elements.
pub const HEADS: usize = 12;
/// Length of the vector between the two linear layers of a feed-forward block.
pub const INNER: usize = 1536;

/// A linear layer: `x · weight + bias`.
pub(crate) struct Linear<T> {
    /// `[in, out]`
    pub weight: Frozen<T>,
    /// `[out]`
    pub bias: Tensor<T>,
}

/// Factors and offsets of a layer norm, `[HIDDEN]`.
pub(crate) struct Norm<T> {
    pub gamma: Tensor<T>,
    pub beta: Tensor<T>,
}

/// One transformer layer.
pub(crate) struct Layer<T> {
    pub qkv: Linear<T>,
    pub output: Linear<T>,
    pub output_norm: Norm<T>,
    pub up: Linear<T>,
    pub down: Linear<T>,
    pub down_norm: Norm<T>,
}

/// The whole model.
pub(crate) struct Weights<T> {
    pub words: Tensor<T>,
    pub positions: Tensor<T>,
    pub types: Tensor<T>,
    pub norm: Norm<T>,
    pub layers: Vec<Layer<T>>,
}

impl<T: Element> Weights<T> {
    /// Reads `model.safetensors`.
    ///
    /// # Errors
    /// The file is missing, damaged, or another model's: the message names the file and the tensor.
    pub fn open(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let read = || -> Result<Self> {
            let source = Source(SafeTensors::deserialize(&bytes)?);
            Ok(Weights {
                words: source.matrix("embeddings.word_embeddings.weight", HIDDEN)?,
                positions: source.matrix("embeddings.position_embeddings.weight", HIDDEN)?,
                types: source.matrix("embeddings.token_type_embeddings.weight", HIDDEN)?,
                norm: source.norm("embeddings.LayerNorm")?,
                layers: (0..LAYERS)
                    .map(|i| source.layer(&format!("encoder.layer.{i}")))
                    .collect::<Result<_>>()?,
            })
        };
        read().with_context(|| format!("{} is not the model all-MiniLM-L6-v2", file.display()))
    }
}

struct Source<'a>(SafeTensors<'a>);

impl Source<'_> {
    /// The values of a tensor, which must have these dims.
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.0.tensor(name).with_context(|| format!("tensor {name}"))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != dims {
            bail!("tensor {name} is {:?} {:?}, expected F32 {dims:?}", tensor.dtype(), tensor.shape());
        }
        Ok(bytemuck::pod_collect_to_vec(tensor.data()))
    }

    /// A matrix with any number of rows.
    fn matrix<T: Element>(&self, name: &str, columns: usize) -> Result<Tensor<T>> {
        let rows = self.0.tensor(name).with_context(|| format!("tensor {name}"))?.shape().first().copied();
        let dims = [rows.unwrap_or(0), columns];
        tensor(&self.values(name, &dims)?, &dims)
    }

    fn norm<T: Element>(&self, name: &str) -> Result<Norm<T>> {
        let part = |part: &str| tensor(&self.values(&format!("{name}.{part}"), &[HIDDEN])?, &[HIDDEN]);
        Ok(Norm { gamma: part("weight")?, beta: part("bias")? })
    }

    /// Linear layers of one input side by side.
    fn linear<T: Element>(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Linear<T>> {
        let width = outputs * names.len();
        let (mut weight, mut bias) = (vec![0.0; inputs * width], Vec::with_capacity(width));
        for (at, name) in names.iter().enumerate() {
            let values = self.values(&format!("{name}.weight"), &[outputs, inputs])?;
            for (out, row) in values.chunks(inputs).enumerate() {
                for (i, w) in row.iter().enumerate() {
                    weight[i * width + at * outputs + out] = *w;
                }
            }
            bias.extend(self.values(&format!("{name}.bias"), &[outputs])?);
        }
        let weight = tensor(&weight, &[inputs, width])?.freeze();
        Ok(Linear { weight, bias: tensor(&bias, &[width])? })
    }

    fn layer<T: Element>(&self, name: &str) -> Result<Layer<T>> {
        let qkv = ["query", "key", "value"].map(|part| format!("{name}.attention.self.{part}"));
        let one = |part: &str, inputs, outputs| self.linear(&[format!("{name}.{part}")], inputs, outputs);
        Ok(Layer {
            qkv: self.linear(&qkv, HIDDEN, HIDDEN)?,
            output: one("attention.output.dense", HIDDEN, HIDDEN)?,
            output_norm: self.norm(&format!("{name}.attention.output.LayerNorm"))?,
            up: one("intermediate.dense", HIDDEN, INNER)?,
            down: one("output.dense", INNER, HIDDEN)?,
            down_norm: self.norm(&format!("{name}.output.LayerNorm"))?,
        })
    }
}

/// A tensor of these values rounded to `T`.
fn tensor<T: Element>(values: &[f32], dims: &[usize]) -> Result<Tensor<T>> {
    let values: Vec<T> = values.iter().map(|&v| T::from_f32(v)).collect();
    Ok(Tensor::from_slice(&values, dims)?)
}
