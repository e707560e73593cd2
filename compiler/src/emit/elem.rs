//! The two forms of an element: in memory and in a register.
//!
//! | element       | memory            | register                          |
//! |---------------|-------------------|-----------------------------------|
//! | integers      | own width         | own width                         |
//! | `bool`        | `i8`, 0 or 1      | `i1`                              |
//! | `f8…`         | `i8` bits         | `f32`, always a value of the type |
//! | `bf16`        | `i16` bits        | `f32`, always a value of the type |
//! | `f16`         | `f16`             | `f32`, always a value of the type |
//! | `f32`         | `f32`             | `f32`                             |
//!
//! Everything between a load and a store works on the register form; [`Emit::round`] is what keeps a narrow float
//! a value of its type after an operation.

use super::{Emit, K, Ty, V};
use kcc_dsl::ir::{Const, Elem};

/// Low seven bits of an `f8e4m3` NaN.
const E4M3_NAN: i64 = 0x7f;

impl Emit {
    /// Kind of an element in a register.
    pub fn reg(elem: Elem) -> K {
        match elem {
            Elem::Bool => K::I1,
            Elem::I8 | Elem::U8 => K::I8,
            Elem::I16 => K::I16,
            Elem::I32 | Elem::U32 => K::I32,
            Elem::I64 => K::I64,
            Elem::F8E4M3 | Elem::F8E5M2 | Elem::F16 | Elem::BF16 | Elem::F32 => K::F32,
        }
    }

    /// Kind of an element in memory.
    pub fn mem(elem: Elem) -> K {
        match elem {
            Elem::Bool | Elem::F8E4M3 | Elem::F8E5M2 => K::I8,
            Elem::BF16 => K::I16,
            Elem::F16 => K::F16,
            _ => Emit::reg(elem),
        }
    }

    /// Reads one element (`lanes` 0) or a vector at `p`, no further out than scope `floor`, and gives its register
    /// form. With `mask = (mask, other)` only lanes where `mask` holds touch memory; the rest are `other`, which is
    /// in register form.
    pub fn read_elem(&mut self, floor: u16, p: V, elem: Elem, lanes: usize, mask: Option<(V, V)>) -> V {
        let k = Emit::mem(elem);
        let raw = match mask {
            None => self.load(floor, p, Ty { k, lanes: lanes as u16 }),
            Some((mask, other)) => {
                let other = self.to_mem(other, elem);
                let width = lanes.max(1);
                let (mask, other) = (self.splat(mask, width), self.splat(other, width));
                let read = self.masked_load(floor, p, mask, other);
                if lanes == 0 { self.extract(read, 0) } else { read }
            }
        };
        self.from_mem(raw, elem)
    }

    /// Writes a value in register form to `p`; with a mask only the lanes where it holds. `streaming` writes around
    /// the caches and needs a whole vector, aligned to its size, and no mask.
    pub fn write_elem(&mut self, v: V, p: V, elem: Elem, mask: Option<V>, streaming: bool) {
        let raw = self.to_mem(v, elem);
        match mask {
            Some(mask) => {
                let width = mask.ty.lanes.max(raw.ty.lanes).max(1) as usize;
                let (mask, raw) = (self.splat(mask, width), self.splat(raw, width));
                self.masked_store(raw, p, mask);
            }
            None if streaming && raw.ty.is_vector() => self.store_streaming(raw, p),
            None => self.store(raw, p),
        }
    }

    /// Memory form to register form.
    pub fn from_mem(&mut self, v: V, elem: Elem) -> V {
        match elem {
            Elem::Bool => {
                let zero = self.int_like(v.ty, 0);
                self.cmpi("ne", v, zero)
            }
            Elem::F16 => self.conv("arith.extf", v, K::F32),
            Elem::BF16 => {
                let wide = self.conv("arith.extui", v, K::I32);
                let bits = self.int2("arith.shli", wide, 16);
                self.bits(bits, K::F32)
            }
            Elem::F8E5M2 => {
                // The upper byte of an f16.
                let wide = self.conv("arith.extui", v, K::I16);
                let bits = self.int2("arith.shli", wide, 8);
                let half = self.bits(bits, K::F16);
                self.conv("arith.extf", half, K::F32)
            }
            Elem::F8E4M3 => self.e4m3_to_f32(v),
            _ => v,
        }
    }

    /// Register form to memory form. Narrow floats must be values of their type: see [`Emit::round`].
    pub fn to_mem(&mut self, v: V, elem: Elem) -> V {
        match elem {
            Elem::Bool => self.conv("arith.extui", v, K::I8),
            Elem::F16 => self.conv("arith.truncf", v, K::F16),
            Elem::BF16 => {
                let bits = self.bits(v, K::I32);
                let high = self.int2("arith.shrui", bits, 16);
                self.conv("arith.trunci", high, K::I16)
            }
            Elem::F8E5M2 => {
                let half = self.conv("arith.truncf", v, K::F16);
                let bits = self.bits(half, K::I16);
                let high = self.int2("arith.shrui", bits, 8);
                self.conv("arith.trunci", high, K::I8)
            }
            Elem::F8E4M3 => self.f32_to_e4m3(v),
            _ => v,
        }
    }

    /// `seee emmm` placed in an f16 (`seee eemm mmmm mmmm`, bias 15 instead of 7) is the value / 256, denormals
    /// included; 480, which the format does not have, stands for NaN.
    fn e4m3_to_f32(&mut self, v: V) -> V {
        let wide = self.conv("arith.extsi", v, K::I16);
        let shifted = self.int2("arith.shli", wide, 7);
        let bits = self.int2("arith.andi", shifted, 0xbf80u16 as i16 as i64);
        let half = self.bits(bits, K::F16);
        let scaled = self.conv("arith.extf", half, K::F32);
        let scale = self.f32_like(scaled.ty, 256.0);
        let value = self.op2("arith.mulf", scaled, scale);
        let low = self.int2("arith.andi", v, E4M3_NAN);
        let ones = self.int_like(v.ty, E4M3_NAN);
        let is_nan = self.cmpi("eq", low, ones);
        let nan = self.f32_like(value.ty, f32::NAN);
        self.select(is_nan, nan, value)
    }

    fn f32_to_e4m3(&mut self, v: V) -> V {
        let scale = self.f32_like(v.ty, 1.0 / 256.0);
        let scaled = self.op2("arith.mulf", v, scale);
        let half = self.conv("arith.truncf", scaled, K::F16);
        let bits = self.bits(half, K::I16);
        let sign = self.int2("arith.shrui", bits, 8);
        let sign = self.int2("arith.andi", sign, 0x80);
        let low = self.int2("arith.shrui", bits, 7);
        let low = self.int2("arith.andi", low, 0x7f);
        let is_nan = self.cmpf("uno", v, v);
        let nan = self.int_like(low.ty, E4M3_NAN);
        let low = self.select(is_nan, nan, low);
        let byte = self.op2("arith.ori", sign, low);
        self.conv("arith.trunci", byte, K::I8)
    }

    /// A scalar constant in register form, rounded or wrapped to the element type.
    pub fn constant(&mut self, elem: Elem, c: Const) -> V {
        if elem.is_float() {
            let value = match c {
                Const::Float(bits) => f32::from_bits(bits),
                Const::Int(i) => i as f32,
                Const::Bool(b) => b as u8 as f32,
            };
            return self.f32(super::round::round_to(elem, value));
        }
        let value = match c {
            Const::Float(bits) => f32::from_bits(bits) as i64,
            Const::Int(i) => i,
            Const::Bool(b) => b as i64,
        };
        let value = match Emit::reg(elem) {
            K::I1 => (value != 0) as i64,
            K::I8 => value as i8 as i64,
            K::I16 => value as i16 as i64,
            K::I32 => value as i32 as i64,
            _ => value,
        };
        self.int(Emit::reg(elem), value)
    }

    /// Integer operation with a constant second operand.
    pub(super) fn int2(&mut self, name: &str, a: V, c: i64) -> V {
        let c = self.int_like(a.ty, c);
        self.op2(name, a, c)
    }
}
