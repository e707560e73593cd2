//! A kernel's arguments in the order that its code takes them, one 64-bit slot each.

use crate::launch::{Arg, Raw};
use kcc_dsl::ir::Elem;
use smallvec::SmallVec;

/// One slot per parameter of the code but the tensor maps; the value lies in the low bytes.
pub(crate) type Slots = SmallVec<[u64; 128]>;

/// The slots of a launch. `address` gives the device address of view number `i` among the arguments.
pub(crate) fn slots(
    args: &[Arg<'_>],
    grid: [i64; 3],
    status: u64,
    mut address: impl FnMut(usize) -> u64,
) -> Slots {
    let mut slots = Slots::new();
    for (i, arg) in args.iter().enumerate() {
        match &arg.raw {
            Raw::View(v) => {
                slots.push(address(i));
                slots.extend(v.layout.dims.iter().chain(&v.layout.strides).map(|&n| n as u64));
            }
            Raw::Scalar { elem, bits } => slots.push(widened(*elem, *bits)),
        }
    }
    slots.extend(grid.map(|n| u64::from(n as u32)));
    slots.push(status);
    slots
}

/// What narrow numbers are passed as: their value in an i32, the bits of narrow floats in an i32.
fn widened(elem: Elem, bits: u64) -> u64 {
    match elem {
        Elem::Bool => bits & 1,
        Elem::I8 => u64::from(i32::from(bits as i8) as u32),
        Elem::I16 => u64::from(i32::from(bits as i16) as u32),
        Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => bits & 0xff,
        Elem::F16 | Elem::BF16 => bits & 0xffff,
        Elem::I32 | Elem::U32 | Elem::F32 => bits & 0xffff_ffff,
        Elem::I64 => bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn slots_follow_the_parameters_then_grid_and_status() {
        let x = Tensor::<f32>::zeros(&[3, 5]).unwrap();
        let view = x.view().t();
        let args =
            [Arg::view(&view), Arg::scalar(-2i8), Arg::scalar(true), Arg::scalar(1.5f32), Arg::scalar(-1i64)];
        let s = slots(&args, [7, 8, 9], 0x1000, |i| 0x4000 + i as u64);
        let f = u64::from(1.5f32.to_bits());
        assert_eq!(s.as_slice(), [0x4000, 5, 3, 1, 5, 0xffff_fffe, 1, f, u64::MAX, 7, 8, 9, 0x1000]);
    }

    #[test]
    fn narrow_numbers_are_widened_by_their_kind() {
        assert_eq!(widened(Elem::U8, 0xfe), 0xfe);
        assert_eq!(widened(Elem::I16, 0x8000), 0xffff_8000);
        assert_eq!(widened(Elem::BF16, 0x1_ffff), 0xffff);
    }
}
