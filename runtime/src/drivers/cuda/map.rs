//! Tensor maps, encoded by the driver from what a recipe yields.

use super::library::check;
use crate::drivers::gpu::Encoded;
use cudarc::driver::sys::{
    self, CUtensorMap, CUtensorMapDataType_enum as Data, CUtensorMapFloatOOBfill_enum as Fill,
    CUtensorMapInterleave_enum as Interleave, CUtensorMapL2promotion_enum as Promotion,
    CUtensorMapSwizzle_enum as Swizzle,
};
use kcc_dsl::ir::Elem;

/// A map of zeros, to be encoded.
pub(super) const EMPTY: CUtensorMap = CUtensorMap { opaque: [0; 16] };

/// The driver's data type. Bytes and 8-bit floats are moved as bytes.
fn data(elem: Elem) -> Data {
    match elem {
        Elem::Bool | Elem::I8 | Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => Data::CU_TENSOR_MAP_DATA_TYPE_UINT8,
        Elem::I16 => Data::CU_TENSOR_MAP_DATA_TYPE_UINT16,
        Elem::F16 => Data::CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        Elem::BF16 => Data::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        Elem::I32 => Data::CU_TENSOR_MAP_DATA_TYPE_INT32,
        Elem::U32 => Data::CU_TENSOR_MAP_DATA_TYPE_UINT32,
        Elem::F32 => Data::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        Elem::I64 => Data::CU_TENSOR_MAP_DATA_TYPE_INT64,
    }
}

fn swizzle(bytes: u32) -> Option<Swizzle> {
    match bytes {
        0 => Some(Swizzle::CU_TENSOR_MAP_SWIZZLE_NONE),
        32 => Some(Swizzle::CU_TENSOR_MAP_SWIZZLE_32B),
        64 => Some(Swizzle::CU_TENSOR_MAP_SWIZZLE_64B),
        128 => Some(Swizzle::CU_TENSOR_MAP_SWIZZLE_128B),
        _ => None,
    }
}

fn promotion(bytes: u32) -> Option<Promotion> {
    match bytes {
        0 => Some(Promotion::CU_TENSOR_MAP_L2_PROMOTION_NONE),
        64 => Some(Promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_64B),
        128 => Some(Promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B),
        256 => Some(Promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B),
        _ => None,
    }
}

/// Encodes a map. Reads outside the tensor yield zeros, writes there are dropped.
pub(super) fn encode(e: &Encoded) -> Result<CUtensorMap, String> {
    let swizzle = swizzle(e.swizzle).ok_or_else(|| format!("no swizzle of {} bytes", e.swizzle))?;
    let promotion =
        promotion(e.l2_promotion).ok_or_else(|| format!("no L2 promotion of {} bytes", e.l2_promotion))?;
    let mut map = EMPTY;
    let steps = [1u32; 5];
    // SAFETY: the arrays hold `rank` (at most five) entries each, strides those of all axes but the innermost; the
    // map is aligned to 64 bytes by its type.
    check(unsafe {
        sys::cuTensorMapEncodeTiled(
            &mut map,
            data(e.elem),
            e.rank,
            e.address as *mut _,
            e.dims.as_ptr(),
            e.strides[1..].as_ptr(),
            e.box_dims.as_ptr(),
            steps.as_ptr(),
            Interleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle,
            promotion,
            Fill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    })
    .map_err(|why| {
        let rank = e.rank as usize;
        format!(
            "a tensor map of dims {:?}, strides {:?} bytes, box {:?}, swizzle {}: {why}",
            &e.dims[..rank],
            &e.strides[1..rank.max(1)],
            &e.box_dims[..rank],
            e.swizzle
        )
    })?;
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_what_a_kernel_takes_by_value() {
        assert_eq!(size_of::<CUtensorMap>(), 128);
        assert!(align_of::<CUtensorMap>() >= 64);
    }

    #[test]
    fn element_sizes_agree_with_the_drivers_types() {
        for elem in Elem::ALL {
            let bytes = match data(elem) {
                Data::CU_TENSOR_MAP_DATA_TYPE_UINT8 => 1,
                Data::CU_TENSOR_MAP_DATA_TYPE_UINT16
                | Data::CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                | Data::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 => 2,
                Data::CU_TENSOR_MAP_DATA_TYPE_INT64 => 8,
                _ => 4,
            };
            assert_eq!(bytes, elem.bytes(), "{elem}");
        }
    }

    #[test]
    fn swizzles_and_promotions_are_those_of_the_driver() {
        let known = [0, 32, 64, 128].map(|n| swizzle(n).map(|s| s as u32));
        assert_eq!(known, [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!((swizzle(16), promotion(32)), (None, None));
    }
}
