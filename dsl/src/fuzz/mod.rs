//! Random kernels with random inputs, and how far apart two right implementations of them may be.
//!
//! ```text
//! seed ─► generate ─► Case { kernel, grid, buffers, args, outputs }
//!                        ├─► expected()          eager mode, the oracle
//!                        └─► the backend under test ─► check(its buffers)
//! ```
//! Every kernel is valid, in bounds of its element types, and free of races; what legitimately differs between
//! targets is avoided (a comparison of values that were rounded, functions of huge numbers) or bounded (`bound.rs`).

mod bound;
mod compare;
mod control;
mod corrupt;
mod elementwise;
mod generate;
mod memory;
mod movement;
mod reduce;
mod rng;
#[cfg(test)]
mod tests;

pub use compare::{Mismatch, Tolerance, compare};
pub use corrupt::corrupt;
pub use generate::generate;
pub use reduce::{listing, reduce};
pub use rng::Rng;

use crate::eager::{EagerArg, EagerBuffer, EagerError, Options, interpret};
use crate::exchange::ArgSpec;
use crate::ir::{Elem, Kernel};

/// Which families of operations a case may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Element types of values and views, `i32` and `bool` apart, which every kernel may use.
    pub elems: Vec<Elem>,
    /// Infinities, NaN, -0.0 and denormals among the inputs.
    pub specials: bool,
    /// `for`, `while`, `if`.
    pub control: bool,
    /// `dot`.
    pub dot: bool,
    /// `reduce`, `arg_reduce`, `scan`.
    pub reduce: bool,
    /// `reduce_with`, `scan_with`.
    pub closures: bool,
    /// `sort`, `top_k`, `histogram`.
    pub sort: bool,
    /// `gather`, `scatter`, `load_rows`, `store_rows`.
    pub indexed: bool,
    /// Integer atomics.
    pub atomics: bool,
    /// `exp`, `sin`, `erf`, …
    pub functions: bool,
    /// Views with strides that are not row-major; else every last axis has stride 1.
    pub strides: bool,
    /// Tile extents that are not powers of two.
    pub odd_tiles: bool,
    /// About how many operations.
    pub steps: usize,
}

impl Default for Profile {
    /// Everything but special values, with f32, f16, bf16, i8, i32, i64 and u32.
    fn default() -> Profile {
        use Elem::{BF16, F16, F32, I8, I32, I64, U32};
        Profile {
            elems: vec![F32, F32, F32, BF16, F16, I8, I32, I64, U32],
            specials: false,
            control: true,
            dot: true,
            reduce: true,
            closures: true,
            sort: true,
            indexed: true,
            atomics: true,
            functions: true,
            strides: true,
            odd_tiles: true,
            steps: 14,
        }
    }
}

impl Profile {
    /// Every family, every element type, special values among the inputs.
    pub fn everything() -> Profile {
        Profile { elems: Elem::ALL.to_vec(), specials: true, ..Profile::default() }
    }

    /// Element-wise operations, loads and stores in f32 and i32 only.
    pub fn basic() -> Profile {
        Profile {
            elems: vec![Elem::F32, Elem::I32],
            specials: false,
            control: false,
            dot: false,
            reduce: false,
            closures: false,
            sort: false,
            indexed: false,
            atomics: false,
            functions: false,
            strides: false,
            odd_tiles: false,
            steps: 8,
        }
    }
}

/// A random kernel with what it takes to launch it and to judge the result.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed it came from.
    pub seed: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// Programs along each axis.
    pub grid: [u32; 3],
    /// Buffers before the launch.
    pub buffers: Vec<EagerBuffer>,
    /// One argument per parameter.
    pub args: Vec<EagerArg>,
    /// The buffers that the kernel writes, each with its tolerance.
    pub outputs: Vec<(usize, Tolerance)>,
}

impl Case {
    /// The buffers after the launch, by eager mode.
    pub fn expected(&self) -> Result<Vec<EagerBuffer>, EagerError> {
        let mut buffers = self.buffers.clone();
        let options = &mut Options { strict: false, ..Options::default() };
        interpret(&self.kernel, self.grid, &mut buffers, &self.args, options)?;
        Ok(buffers)
    }

    /// Compares the buffers after a launch elsewhere with eager mode's.
    pub fn check(&self, actual: &[EagerBuffer]) -> Result<(), String> {
        let expected = self.expected().map_err(|e| format!("seed {}: eager mode fails: {e}", self.seed))?;
        self.check_against(&expected, actual)
    }

    /// [`Case::check`] with what [`Case::expected`] gave before.
    pub fn check_against(&self, expected: &[EagerBuffer], actual: &[EagerBuffer]) -> Result<(), String> {
        for (i, e) in expected.iter().enumerate() {
            let tolerance = self.outputs.iter().find(|o| o.0 == i).map_or(Tolerance::EXACT, |o| o.1);
            let a = actual.get(i).ok_or_else(|| format!("seed {}: buffer {i} is missing", self.seed))?;
            compare(e, a, tolerance).map_err(|m| {
                let name = self.param_of(i).unwrap_or("an unused buffer");
                format!(
                    "seed {}: `{name}` (buffer {i}, {}), tolerance {tolerance:?}: {m}",
                    self.seed,
                    e.elem()
                )
            })?;
        }
        Ok(())
    }

    /// What a compiler may rely on: for each view, the last axis of stride 1.
    pub fn arg_specs(&self) -> Vec<ArgSpec> {
        let unit_axis = |a: &EagerArg| match a {
            EagerArg::View { strides, .. } => strides.iter().rposition(|&s| s == 1).map(|i| i as u8),
            EagerArg::Scalar(_) => None,
        };
        self.args.iter().map(|a| ArgSpec { unit_axis: unit_axis(a), ..ArgSpec::default() }).collect()
    }

    fn param_of(&self, buffer: usize) -> Option<&str> {
        let names = |a: &EagerArg| matches!(a, EagerArg::View { buffer: b, .. } if *b == buffer);
        let i = self.args.iter().position(names)?;
        Some(&self.kernel.params.get(i)?.name)
    }
}
