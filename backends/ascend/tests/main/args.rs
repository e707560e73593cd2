//! Arguments of launches: views of random numbers, integers, results, scalars.

use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::ir::Elem;

/// Arguments of a launch as they are collected.
#[derive(Clone, Default)]
pub struct Args {
    pub buffers: Vec<EagerBuffer>,
    pub args: Vec<EagerArg>,
}

fn noise(n: usize, seed: u32, range: f32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((s >> 8) as f32 / (1 << 23) as f32 - 1.0) * range
        })
        .collect()
}

impl Args {
    fn add(mut self, b: EagerBuffer, dims: &[i64], mutable: bool) -> Args {
        self.args.push(EagerArg::dense(self.buffers.len(), dims, mutable));
        self.buffers.push(b);
        self
    }

    /// A view of random numbers.
    pub fn floats(self, elem: Elem, dims: &[i64], range: f32) -> Args {
        let n = dims.iter().product::<i64>() as usize;
        let seed = self.args.len() as u32;
        self.add(EagerBuffer::from_f32(elem, &noise(n, seed, range)), dims, false)
    }

    /// The view of that number, of rank 2, is read column by column.
    pub fn columns(mut self, view: usize) -> Args {
        if let EagerArg::View { dims, strides, .. } = &mut self.args[view] {
            *strides = vec![1, dims[0].max(1)];
        }
        self
    }

    /// A view of given numbers, rounded to the type.
    pub fn list(self, elem: Elem, v: &[f32]) -> Args {
        self.add(EagerBuffer::from_f32(elem, v), &[v.len() as i64], false)
    }

    /// A view of given bytes.
    pub fn bytes(self, elem: Elem, bytes: Vec<u8>, dims: &[i64]) -> Args {
        self.add(EagerBuffer::from_bytes(elem, bytes), dims, false)
    }

    /// A view of given integers.
    pub fn ints(self, v: &[i32], dims: &[i64]) -> Args {
        let bytes = v.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.add(EagerBuffer::from_bytes(Elem::I32, bytes), dims, false)
    }

    /// A view to be written.
    pub fn out(self, elem: Elem, dims: &[i64]) -> Args {
        let n = dims.iter().product::<i64>() as usize;
        self.add(EagerBuffer::zeros(elem, n), dims, true)
    }

    pub fn float(mut self, v: f32) -> Args {
        self.args.push(EagerArg::Scalar(v.to_bits().into()));
        self
    }

    pub fn int(mut self, v: i32) -> Args {
        self.args.push(EagerArg::Scalar(v as u32 as u64));
        self
    }
}
