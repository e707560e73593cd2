//! Activation functions shared by the element-wise and matmul kernels: staged form and `f64` reference.
//!
//! A kernel takes its activation as a const argument, one of the constants here, so that the choice costs nothing
//! at run time.

use kcc_dsl::prelude::*;

/// The identity.
pub const IDENTITY: usize = 0;
/// `max(x, 0)`; NaN stays NaN.
pub const RELU: usize = 1;
/// `x Φ(x) = x/2 (1 + erf(x/√2))`, as in BERT (Hendrycks and Gimpel, arXiv:1606.08415, section 2).
pub const GELU: usize = 2;
/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the approximation of the same section.
pub const GELU_TANH: usize = 3;
/// `x σ(x)`, also called swish.
pub const SILU: usize = 4;

/// Every activation with its name, for messages and tests.
pub const ALL: [(usize, &str); 5] =
    [(IDENTITY, "identity"), (RELU, "relu"), (GELU, "gelu"), (GELU_TANH, "gelu_tanh"), (SILU, "silu")];

const SQRT_2_OVER_PI: f32 = 0.797_884_6;

/// The activation `ACT` of each element; an unknown number is the identity.
#[track_caller]
pub fn activate<const ACT: usize, S: Shape>(x: Tile<f32, S>) -> Tile<f32, S> {
    match ACT {
        RELU => x.max_nan(Tile::zeros()),
        GELU => x * 0.5 * ((x * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0),
        GELU_TANH => x * 0.5 * (((x + x * x * x * 0.044715) * SQRT_2_OVER_PI).tanh() + 1.0),
        SILU => silu(x),
        _ => x,
    }
}

/// `x σ(x)` of each element; `-inf` gives NaN, as the product of infinity and zero does.
#[track_caller]
pub fn silu<S: Shape>(x: Tile<f32, S>) -> Tile<f32, S> {
    x * x.sigmoid()
}

/// The activation `act` of one number in `f64`; an unknown number is the identity.
pub fn reference(act: usize, x: f64) -> f64 {
    match act {
        RELU => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0)
            }
        }
        GELU => x * 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        GELU_TANH => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x * 0.5 * (1.0 + inner.tanh())
        }
        SILU => x / (1.0 + (-x).exp()),
        _ => x,
    }
}
