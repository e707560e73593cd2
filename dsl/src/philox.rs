//! Random numbers by Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): a pure function
//! of a seed and an offset, equal on every target.
//!
//! ```text
//! counter = (offset, 0, 0, 0)   key = (seed low, seed high)   ten rounds   → four words per offset
//! ```

use crate::elem::Float;
use crate::ir::BinaryOp;
use crate::ir::{Const, OpKind, ValueId};
use crate::shape::{D0, Shape};
use crate::stage::{constant, emit1, tile_type};
use crate::tile::Tile;

/// Multipliers and key increments of the paper, section 3.3.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

type Words<S> = Tile<u32, S>;

#[track_caller]
fn word<S: Shape>(v: u32) -> Words<S> {
    Tile::from_id(constant::<u32, S>(Const::Int(v.into())))
}

#[track_caller]
fn op<S: Shape>(op: BinaryOp, a: Words<S>, b: Words<S>) -> Words<S> {
    let operands: [ValueId; 2] = [a.id(), b.id()];
    Tile::from_id(emit1(OpKind::Binary(op), &operands, tile_type::<u32, S>()))
}

/// Four random words per offset. The key is the seed's two halves.
#[track_caller]
fn words<S: Shape>(key: [Words<S>; 2], offset: Words<S>) -> [Words<S>; 4] {
    let zero = word::<S>(0);
    let (mut c, mut k) = ([offset, zero, zero, zero], key);
    for round in 0..10 {
        if round > 0 {
            k = [0, 1].map(|i| op(BinaryOp::Add, k[i], word(INCREMENTS[i])));
        }
        let [m0, m1] = MULTIPLIERS.map(word::<S>);
        let (hi0, lo0) = (op(BinaryOp::MulHi, c[0], m0), op(BinaryOp::Mul, c[0], m0));
        let (hi1, lo1) = (op(BinaryOp::MulHi, c[2], m1), op(BinaryOp::Mul, c[2], m1));
        let x = |a, b, c| op(BinaryOp::Xor, op(BinaryOp::Xor, a, b), c);
        c = [x(hi1, c[1], k[0]), lo1, x(hi0, c[3], k[1]), lo0];
    }
    c
}

/// A seed: a host `u64`, or a `Scalar<i32>` given at launch.
pub trait Seed: Copy {
    #[doc(hidden)]
    #[track_caller]
    fn key<S: Shape>(self) -> [Words<S>; 2];
}

impl Seed for u64 {
    #[track_caller]
    fn key<S: Shape>(self) -> [Words<S>; 2] {
        [word(self as u32), word((self >> 32) as u32)]
    }
}

impl Seed for Tile<i32, D0> {
    #[track_caller]
    fn key<S: Shape>(self) -> [Words<S>; 2] {
        let low = self.bitcast::<u32>();
        let kind = OpKind::Broadcast { axes: Vec::new() };
        let low = if S::DIMS.is_empty() { low.id() } else { emit1(kind, &[low.id()], tile_type::<u32, S>()) };
        [Tile::from_id(low), word(0)]
    }
}

/// Four random words per offset, each uniform over all of `u32`.
#[track_caller]
pub fn int4<S: Shape>(seed: impl Seed, offset: Tile<i32, S>) -> [Tile<u32, S>; 4] {
    words(seed.key(), offset.bitcast::<u32>())
}

/// One random word per offset, uniform over all of `u32`.
#[track_caller]
pub fn int<S: Shape>(seed: impl Seed, offset: Tile<i32, S>) -> Tile<u32, S> {
    int4(seed, offset)[0]
}

/// 24 bits of a word as a number in `[0, 1)`: exact, so that every target gives the same.
#[track_caller]
fn unit<S: Shape>(w: Words<S>) -> Tile<f32, S> {
    op(BinaryOp::Shr, w, word(8)).bitcast::<i32>().to::<f32>() * (1.0 / 16_777_216.0)
}

/// A number in `[0, 1)` per offset, a multiple of 2⁻²⁴.
#[track_caller]
pub fn uniform<S: Shape>(seed: impl Seed, offset: Tile<i32, S>) -> Tile<f32, S> {
    unit(int(seed, offset))
}

/// A number of mean 0 and variance 1 per offset, by the method of Box and Muller. Equal on every target to within the
/// error of `log`, `sqrt` and `cos`.
#[track_caller]
pub fn normal<S: Shape>(seed: impl Seed, offset: Tile<i32, S>) -> Tile<f32, S> {
    let [a, b, ..] = int4(seed, offset);
    // In (0, 1], so that the logarithm is finite.
    let radius = (1.0 - unit(a)).log() * -2.0;
    radius.sqrt() * (unit(b) * std::f32::consts::TAU).cos()
}

/// [`uniform`] in another floating-point type, rounded.
#[track_caller]
pub fn uniform_as<T: Float, S: Shape>(seed: impl Seed, offset: Tile<i32, S>) -> Tile<T, S> {
    uniform(seed, offset).to()
}
