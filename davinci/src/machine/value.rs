//! Elements as numbers, and back, as the cores round.

use crate::ir::Rounding;
use half::{bf16, f16};
use kcc_dsl::ir::Elem;

/// A float element as an `f32`.
pub(super) fn float(elem: Elem, b: &[u8]) -> f32 {
    match elem {
        Elem::F16 => f16::from_le_bytes([b[0], b[1]]).to_f32(),
        Elem::BF16 => bf16::from_le_bytes([b[0], b[1]]).to_f32(),
        _ => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
    }
}

/// An integer element.
pub(super) fn int(elem: Elem, b: &[u8]) -> i64 {
    match elem {
        Elem::I8 => i64::from(b[0] as i8),
        Elem::U8 | Elem::Bool => i64::from(b[0]),
        Elem::I16 => i64::from(i16::from_le_bytes([b[0], b[1]])),
        Elem::U32 => i64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Elem::I64 => i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
        _ => i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])),
    }
}

/// The bytes of an element, at most eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    b: [u8; 8],
    n: usize,
}

impl Bytes {
    pub fn new(b: &[u8]) -> Bytes {
        let mut out = Bytes { b: [0; 8], n: b.len() };
        out.b[..b.len()].copy_from_slice(b);
        out
    }

    pub fn get(&self) -> &[u8] {
        &self.b[..self.n]
    }
}

/// An `f32` as an element, rounded to nearest even.
pub(super) fn of_float(elem: Elem, v: f32) -> Bytes {
    match elem {
        Elem::F16 => Bytes::new(&f16::from_f32(v).to_le_bytes()),
        Elem::BF16 => Bytes::new(&bf16::from_f32(v).to_le_bytes()),
        _ => Bytes::new(&v.to_le_bytes()),
    }
}

/// An integer as an element, wrapped.
pub(super) fn of_int(elem: Elem, v: i64) -> Bytes {
    Bytes::new(&v.to_le_bytes()[..elem.bytes()])
}

/// An integer as an element, saturated.
pub(super) fn saturate(elem: Elem, v: i128) -> i64 {
    let (lo, hi) = match elem {
        Elem::I8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        Elem::U8 => (0, 255),
        Elem::I16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        Elem::U32 => (0, i128::from(u32::MAX)),
        Elem::I64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => (i128::from(i32::MIN), i128::from(i32::MAX)),
    };
    v.clamp(lo, hi) as i64
}

/// A float rounded to an integer value.
pub(super) fn to_whole(r: Rounding, v: f64) -> f64 {
    match r {
        Rounding::None | Rounding::Rint => v.round_ties_even(),
        Rounding::Round => v.round(),
        Rounding::Floor => v.floor(),
        Rounding::Ceil => v.ceil(),
        Rounding::Trunc => v.trunc(),
    }
}

/// A conversion between element types.
pub(super) fn convert(to: Elem, from: Elem, r: Rounding, b: &[u8]) -> Bytes {
    match (from.is_float(), to.is_float()) {
        (true, true) if to == Elem::F32 && from == Elem::F32 => {
            Bytes::new(&(to_whole(r, f64::from(float(from, b))) as f32).to_le_bytes())
        }
        (true, true) => directed(to, float(from, b), r),
        (true, false) => {
            let v = float(from, b);
            let w = to_whole(r, f64::from(v));
            // Saturating; not-a-number gives 0.
            let i = if v.is_nan() { 0 } else { w.clamp(-1e30, 1e30) as i128 };
            of_int(to, saturate(to, i))
        }
        (false, true) => of_float(to, int(from, b) as f32),
        (false, false) => of_int(to, saturate(to, i128::from(int(from, b)))),
    }
}

/// An `f32` as a narrower float, with a direction.
fn directed(to: Elem, v: f32, r: Rounding) -> Bytes {
    let near = of_float(to, v);
    let got = float(to, near.get());
    if matches!(r, Rounding::None | Rounding::Rint) || !v.is_finite() || got == v {
        return near;
    }
    let away_ties = |next: Bytes| {
        let other = float(to, next.get());
        (f64::from(v) - f64::from(got)).abs() == (f64::from(v) - f64::from(other)).abs()
    };
    let want_up = match r {
        Rounding::Floor => false,
        Rounding::Ceil => true,
        Rounding::Trunc => v < 0.0,
        _ => {
            // Nearest, ties away: only a tie differs, and then if even lay nearer to zero.
            let next = step(to, near, v > 0.0);
            return if got.abs() < v.abs() && away_ties(next) { next } else { near };
        }
    };
    match (want_up, got < v) {
        (true, true) => step(to, near, true),
        (false, false) => step(to, near, false),
        _ => near,
    }
}

/// The next 16-bit float up or down.
fn step(to: Elem, b: Bytes, up: bool) -> Bytes {
    let bits = u16::from_le_bytes([b.b[0], b.b[1]]);
    let negative = bits & 0x8000 != 0;
    let next = match (negative, up) {
        _ if bits & 0x7fff == 0 => {
            if up {
                1
            } else {
                0x8001
            }
        }
        (false, true) | (true, false) => bits + 1,
        _ => bits - 1,
    };
    let _ = to;
    Bytes::new(&next.to_le_bytes())
}
