//! What a kernel prints, from raw operands to text.

use crate::launch::PrintHandler;
use half::{bf16, f16};
use kcc_dsl::elem::{Elem as Element, F8E4M3, F8E5M2};
use kcc_dsl::exchange::CpuMeta;
use kcc_dsl::ir::{Elem, TileType};
use std::ffi::c_void;
use std::fmt::Write;

/// Turns a kernel's print calls into calls of the host's handler. Its address is the callback's context.
pub(crate) struct Printer<'a> {
    pub(crate) meta: &'a CpuMeta,
    pub(crate) handler: &'a PrintHandler,
}

impl Printer<'_> {
    /// Callback and context, for the header of scratch memory.
    pub(crate) fn slots(&self) -> (usize, usize) {
        (callback as *const () as usize, std::ptr::from_ref(self) as usize)
    }
}

unsafe extern "C" fn callback(context: *mut c_void, print: i64, data: *const u8) {
    // A panic of the handler must not unwind into compiled code; the text is lost then.
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: the context is the address of the launch's printer, which outlives the launch.
        let printer = unsafe { &*context.cast::<Printer<'_>>() };
        let Some((format, types)) = usize::try_from(print).ok().and_then(|i| printer.meta.prints.get(i))
        else {
            return;
        };
        // SAFETY: by the contract of `CpuMeta`, `data` holds the operands of this print.
        let data = unsafe { std::slice::from_raw_parts(data, size(types)) };
        (printer.handler)(&text(format, types, data));
    });
}

/// Bytes of operands of these types one after another, each aligned to 64 bytes.
fn size(types: &[TileType]) -> usize {
    types.iter().fold(0, |at: usize, ty| at.next_multiple_of(64) + ty.len() * ty.elem.bytes())
}

/// The text of one print. `data` holds operands of these types one after another, each row-major and aligned to 64 bytes;
/// an operand that is cut short is left out.
pub(crate) fn text(format: &str, types: &[TileType], data: &[u8]) -> String {
    let mut out = String::new();
    let mut types = types.iter();
    let mut at = 0usize;
    let mut parts = format.split("{}");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        if let Some(ty) = types.next() {
            let bytes = ty.len() * ty.elem.bytes();
            if let Some(data) = data.get(at..at + bytes) {
                tile(&mut out, ty.elem, &ty.shape, data);
            }
            at = (at + bytes).next_multiple_of(64);
        }
        out.push_str(part);
    }
    out
}

/// `[[a, b], [c, d]]`
fn tile(out: &mut String, elem: Elem, shape: &[usize], data: &[u8]) {
    let Some((&n, rest)) = shape.split_first() else {
        element(out, elem, data);
        return;
    };
    out.push('[');
    let each = data.len() / n.max(1);
    for i in 0..n {
        if i > 0 {
            out.push_str(", ");
        }
        tile(out, elem, rest, &data[i * each..(i + 1) * each]);
    }
    out.push(']');
}

fn element(out: &mut String, elem: Elem, data: &[u8]) {
    let mut low = [0u8; 8];
    low[..data.len().min(8)].copy_from_slice(&data[..data.len().min(8)]);
    let bits = u64::from_le_bytes(low);
    let _ = match elem {
        Elem::Bool => write!(out, "{}", bits & 1 == 1),
        Elem::I8 => write!(out, "{}", bits as i8),
        Elem::I16 => write!(out, "{}", bits as i16),
        Elem::I32 => write!(out, "{}", bits as i32),
        Elem::I64 => write!(out, "{}", bits as i64),
        Elem::U8 => write!(out, "{}", bits as u8),
        Elem::U32 => write!(out, "{}", bits as u32),
        Elem::F8E4M3 => write!(out, "{:?}", <F8E4M3 as Element>::from_bits64(bits).to_f32()),
        Elem::F8E5M2 => write!(out, "{:?}", <F8E5M2 as Element>::from_bits64(bits).to_f32()),
        Elem::F16 => write!(out, "{:?}", f16::from_bits(bits as u16).to_f32()),
        Elem::BF16 => write!(out, "{:?}", bf16::from_bits(bits as u16).to_f32()),
        Elem::F32 => write!(out, "{:?}", f32::from_bits(bits as u32)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_found_at_their_alignment_and_printed_row_major() {
        let mut data = [0u8; 128];
        data[..4].copy_from_slice(&7i32.to_le_bytes());
        for i in 0..4 {
            data[64 + 4 * i..68 + 4 * i].copy_from_slice(&(i as f32 / 2.0).to_le_bytes());
        }
        let types = [TileType::scalar(Elem::I32), TileType::new(Elem::F32, &[2, 2])];
        assert_eq!(size(&types), 80);
        let s = text("n={} x={}!", &types, &data);
        assert_eq!(s, "n=7 x=[[0.0, 0.5], [1.0, 1.5]]!");
    }
}
