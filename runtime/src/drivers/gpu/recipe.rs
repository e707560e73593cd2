//! From a tensor map's recipe and a view to the numbers that a descriptor holds.

use crate::error::{ArgumentProblem, Error, Result, ViewError};
use crate::launch::{Label, RawView};
use kcc_dsl::exchange::TensorMap;
use kcc_dsl::ir::Elem;

/// What `cuTensorMapEncodeTiled` takes, innermost axis first; entries from `rank` on are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) elem: Elem,
    pub(crate) rank: u32,
    pub(crate) address: u64,
    pub(crate) dims: [u64; 5],
    /// Bytes between neighbours; that of the innermost axis is the element's size.
    pub(crate) strides: [u64; 5],
    pub(crate) box_dims: [u32; 5],
    pub(crate) swizzle: u32,
    pub(crate) l2_promotion: u32,
}

/// Applies a recipe to a view whose element (0, …, 0) lies at `address` on the device.
///
/// # Errors
/// A view that no tensor map can describe, although the code was compiled for one: of another element type, misaligned, with
/// strides that are negative or no multiples of 16 bytes.
pub(crate) fn encode(
    label: &Label<'_>,
    argument: &str,
    recipe: &TensorMap,
    view: &RawView,
    address: u64,
) -> Result<Encoded> {
    let fail = |reason| {
        let dims = view.layout.dims.to_vec();
        Err(Error::argument(
            label.to_string(),
            argument,
            ArgumentProblem::View(ViewError::Dims { dims, reason }),
        ))
    };
    if recipe.elem.bytes() != view.elem.bytes() {
        return fail("its tensor map is for another element type");
    }
    if !address.is_multiple_of(16) {
        return fail("a tensor map needs an address that is a multiple of 16");
    }
    let bytes = view.elem.bytes() as u64;
    let mut out = Encoded {
        elem: recipe.elem,
        rank: recipe.axes.len() as u32,
        address,
        dims: [1; 5],
        strides: [bytes; 5],
        box_dims: [1; 5],
        swizzle: recipe.swizzle,
        l2_promotion: recipe.l2_promotion,
    };
    for (i, (&axis, &extent)) in recipe.axes.iter().zip(&recipe.box_dims).enumerate().take(5) {
        let axis = usize::from(axis);
        let (Some(&dim), Some(&stride)) = (view.layout.dims.get(axis), view.layout.strides.get(axis)) else {
            return fail("its tensor map names an axis that it lacks");
        };
        if !(1..=1 << 32).contains(&dim) {
            return fail("an axis of a tensor map has 1 to 2^32 elements");
        }
        out.dims[i] = dim as u64;
        out.box_dims[i] = extent;
        if i == 0 {
            if stride != 1 && dim > 1 {
                return fail("the innermost axis of a tensor map has stride 1");
            }
        } else if dim == 1 {
            // Never followed; any legal number does, so take the least that spans the axis before.
            out.strides[i] = (out.strides[i - 1] * out.dims[i - 1]).next_multiple_of(16).min((1 << 40) - 16);
        } else {
            let step = i128::from(stride) * i128::from(bytes);
            if step <= 0 || step % 16 != 0 || step >= 1 << 40 {
                return fail("a stride of a tensor map is a positive multiple of 16 bytes below 2^40");
            }
            out.strides[i] = step as u64;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Arg, Raw};
    use crate::tensor::Tensor;
    use half::f16;

    fn recipe(axes: &[u8], box_dims: &[u32]) -> TensorMap {
        TensorMap {
            param: 0,
            elem: Elem::F16,
            axes: axes.into(),
            box_dims: box_dims.into(),
            swizzle: 128,
            l2_promotion: 256,
        }
    }

    fn of(dims: &[usize], permutation: &[usize], r: &TensorMap) -> Result<Encoded> {
        let t = Tensor::<f16>::zeros(dims).unwrap();
        let view = t.view().permute(permutation).unwrap();
        let arg = Arg::view(&view);
        let Raw::View(v) = &arg.raw else { unreachable!("a view") };
        encode(&Label { name: "k", generics: "" }, "x", r, v, 0x1000)
    }

    #[test]
    fn axes_come_innermost_first_with_strides_in_bytes() {
        let e = of(&[4, 32, 64], &[0, 1, 2], &recipe(&[2, 1, 0], &[64, 16, 1])).unwrap();
        assert_eq!((e.rank, e.dims, e.strides), (3, [64, 32, 4, 1, 1], [2, 128, 4096, 2, 2]));
        assert_eq!((e.box_dims, e.swizzle, e.l2_promotion), ([64, 16, 1, 1, 1], 128, 256));
        let e = of(&[32, 64], &[1, 0], &recipe(&[0, 1], &[64, 16])).unwrap();
        assert_eq!((e.dims, e.strides), ([64, 32, 1, 1, 1], [2, 128, 2, 2, 2]));
    }

    #[test]
    fn an_axis_of_one_element_gets_a_legal_stride() {
        let e = of(&[1, 13], &[0, 1], &recipe(&[1, 0], &[64, 16])).unwrap();
        assert_eq!(e.strides[..2], [2, 32]);
    }

    #[test]
    fn what_a_tensor_map_cannot_say_is_an_error() {
        let e = of(&[4, 13], &[0, 1], &recipe(&[1, 0], &[8, 4])).unwrap_err().to_string();
        assert!(e.contains("`x`") && e.contains("multiple of 16"), "{e}");
        assert!(of(&[4, 16], &[1, 0], &recipe(&[1, 0], &[8, 4])).is_err(), "not innermost");
        assert!(of(&[4, 16], &[0, 1], &recipe(&[1, 7], &[8, 4])).is_err(), "no such axis");
    }
}
