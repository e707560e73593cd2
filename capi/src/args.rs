//! Launch arguments as C gives them: tensors, numbers, DLPack.
//!
//! ```text
//! kcc_arg { kind, value }   KCC_ARG_TENSOR ─ kcc_tensor      KCC_ARG_SCALAR ─ kcc_scalar      KCC_ARG_DLPACK ─ DLTensor *
//! ```
//! Nothing is believed before it is checked, but that memory is there: codes, ranks, devices, alignments.

use crate::device::{DL_CPU, Memory};
use crate::error::Failure;
use kcc_dsl::ir::{Elem, Param, ParamKind};
use runtime::{Arg, Device, MAX_RANK};
use smallvec::SmallVec;
use std::ffi::c_void;

/// One byte, 0 or 1.
pub const KCC_BOOL: i32 = 0;
/// Signed, 8 bits.
pub const KCC_I8: i32 = 1;
/// Signed, 16 bits.
pub const KCC_I16: i32 = 2;
/// Signed, 32 bits.
pub const KCC_I32: i32 = 3;
/// Signed, 64 bits.
pub const KCC_I64: i32 = 4;
/// Unsigned, 8 bits.
pub const KCC_U8: i32 = 5;
/// Unsigned, 32 bits.
pub const KCC_U32: i32 = 6;
/// OCP float, 4 bits of exponent and 3 of mantissa, no infinity.
pub const KCC_F8E4M3: i32 = 7;
/// OCP float, 5 bits of exponent and 2 of mantissa.
pub const KCC_F8E5M2: i32 = 8;
/// IEEE binary16.
pub const KCC_F16: i32 = 9;
/// bfloat16.
pub const KCC_BF16: i32 = 10;
/// IEEE binary32.
pub const KCC_F32: i32 = 11;

/// The argument is a `kcc_tensor`.
pub const KCC_ARG_TENSOR: i32 = 0;
/// The argument is a `kcc_scalar`.
pub const KCC_ARG_SCALAR: i32 = 1;
/// The argument is a pointer to DLPack's `DLTensor`.
pub const KCC_ARG_DLPACK: i32 = 2;

/// Most axes of a tensor.
pub const KCC_MAX_RANK: i32 = 6;
const _: () = assert!(KCC_MAX_RANK as usize == MAX_RANK);

/// Memory that somebody else owns, of the device that the kernel runs on, as a tensor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kcc_tensor {
    /// Element (0, …, 0). Of a tensor without elements it may be NULL.
    pub data: *mut c_void,
    /// `KCC_F32`, …
    pub dtype: i32,
    /// Number of axes, at most `KCC_MAX_RANK`.
    pub rank: i32,
    /// `rank` extents.
    pub dims: *const i64,
    /// `rank` strides in elements; NULL: row-major without gaps.
    pub strides: *const i64,
}

/// A number.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kcc_scalar {
    /// Its bits, in the low bytes.
    pub bits: u64,
    /// `KCC_F32`, …
    pub dtype: i32,
}

/// One of the three forms of an argument.
#[repr(C)]
#[derive(Clone, Copy)]
pub union kcc_value {
    /// For `KCC_ARG_TENSOR`.
    pub tensor: kcc_tensor,
    /// For `KCC_ARG_SCALAR`.
    pub scalar: kcc_scalar,
    /// For `KCC_ARG_DLPACK`: a `DLTensor *`; the first member of `DLManagedTensor`.
    pub dlpack: *const c_void,
}

/// An argument of a launch. Whether a tensor is read or written is up to the kernel's parameter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kcc_arg {
    /// `KCC_ARG_TENSOR`, `KCC_ARG_SCALAR` or `KCC_ARG_DLPACK`.
    pub kind: i32,
    /// The argument.
    pub value: kcc_value,
}

/// DLPack's `DLTensor`, the same in all versions so far.
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// Codes of element types.
const TYPES: [(i32, Elem); 12] = [
    (KCC_BOOL, Elem::Bool),
    (KCC_I8, Elem::I8),
    (KCC_I16, Elem::I16),
    (KCC_I32, Elem::I32),
    (KCC_I64, Elem::I64),
    (KCC_U8, Elem::U8),
    (KCC_U32, Elem::U32),
    (KCC_F8E4M3, Elem::F8E4M3),
    (KCC_F8E5M2, Elem::F8E5M2),
    (KCC_F16, Elem::F16),
    (KCC_BF16, Elem::BF16),
    (KCC_F32, Elem::F32),
];

fn elem(code: i32) -> Result<Elem, Failure> {
    let row = TYPES.iter().find(|(c, _)| *c == code);
    row.map(|r| r.1).ok_or_else(|| Failure::invalid(format!("{code} is no element type")))
}

/// DLPack, `DLDataTypeCode`: type code and bits.
const DL_TYPES: [(u8, u8, Elem); 12] = [
    (6, 8, Elem::Bool),
    (0, 8, Elem::I8),
    (0, 16, Elem::I16),
    (0, 32, Elem::I32),
    (0, 64, Elem::I64),
    (1, 8, Elem::U8),
    (1, 32, Elem::U32),
    (10, 8, Elem::F8E4M3),
    (12, 8, Elem::F8E5M2),
    (2, 16, Elem::F16),
    (4, 16, Elem::BF16),
    (2, 32, Elem::F32),
];

/// DLPack's devices whose memory the host reads like its own: pinned memory of CUDA and of ROCm, managed memory of CUDA.
const DL_HOST_LIKE: [i32; 3] = [3, 11, 13];

/// Dims, or strides.
type Axes = SmallVec<[i64; MAX_RANK]>;

/// `rank` numbers.
///
/// # Safety
/// `at` is NULL or points to `rank` numbers.
unsafe fn axes(at: *const i64, rank: usize, what: &str) -> Result<Axes, Failure> {
    if rank == 0 {
        return Ok(Axes::new());
    }
    if at.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL, and as the caller vouches.
    Ok(Axes::from_slice(unsafe { std::slice::from_raw_parts(at, rank) }))
}

fn rank(given: i32) -> Result<usize, Failure> {
    let rank = usize::try_from(given).ok().filter(|r| *r <= MAX_RANK);
    rank.ok_or_else(|| Failure::invalid(format!("a rank of {given}: a tensor has 0 to {MAX_RANK} axes")))
}

/// Strides; `None` for NULL.
///
/// # Safety
/// As for [`axes`].
unsafe fn strides(at: *const i64, rank: usize) -> Result<Option<Axes>, Failure> {
    // SAFETY: as the caller vouches.
    if at.is_null() { Ok(None) } else { unsafe { axes(at, rank, "strides") }.map(Some) }
}

/// Where arguments go.
pub(crate) struct Target<'a> {
    pub(crate) device: &'a Device,
    pub(crate) memory: Memory,
    pub(crate) params: &'a [Param],
}

/// The arguments of a launch, inline for most kernels.
pub(crate) type Args<'a> = SmallVec<[Arg<'a>; 12]>;

/// Reads arguments.
///
/// # Safety
/// `args` is NULL or points to `count` arguments; the pointers in them are NULL or point to what their fields say; tensors' memory
/// may be used until the launch is done.
pub(crate) unsafe fn read<'a>(
    target: &Target<'_>,
    args: *const kcc_arg,
    count: usize,
) -> Result<Args<'a>, Failure> {
    if count != target.params.len() {
        let wanted = target.params.len();
        return Err(Failure::argument(format!("the kernel takes {wanted} arguments, {count} were given")));
    }
    if count == 0 {
        return Ok(Args::new());
    }
    if args.is_null() {
        return Err(Failure::null("args"));
    }
    // SAFETY: as the caller vouches.
    let args = unsafe { std::slice::from_raw_parts(args, count) };
    args.iter()
        .zip(target.params)
        // SAFETY: as the caller vouches.
        .map(|(arg, param)| unsafe { one(target, arg, param) }.map_err(|e| e.at(Place(&param.name))))
        .collect()
}

/// The place of a failure.
struct Place<'a>(&'a str);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argument `{}`", self.0)
    }
}

/// # Safety
/// As for [`read`].
unsafe fn one<'a>(target: &Target<'_>, arg: &kcc_arg, param: &Param) -> Result<Arg<'a>, Failure> {
    let mutable = matches!(param.kind, ParamKind::View { mutable: true, .. });
    match arg.kind {
        KCC_ARG_TENSOR => {
            // SAFETY: `kind` says which member is there.
            let t = unsafe { arg.value.tensor };
            let (elem, rank) = (elem(t.dtype)?, rank(t.rank)?);
            // SAFETY: as the caller vouches.
            let (dims, strides) = unsafe { (axes(t.dims, rank, "dims")?, strides(t.strides, rank)?) };
            // SAFETY: as the caller vouches.
            Ok(unsafe { target.device.argument(t.data as u64, elem, &dims, strides.as_deref(), mutable)? })
        }
        KCC_ARG_SCALAR => {
            // SAFETY: `kind` says which member is there.
            let s = unsafe { arg.value.scalar };
            let elem = elem(s.dtype)?;
            // Code reads a boolean as 0 or 1.
            let bits = if elem == Elem::Bool { u64::from(s.bits & 0xff != 0) } else { s.bits };
            Ok(Arg::scalar_bits(elem, bits))
        }
        KCC_ARG_DLPACK => {
            // SAFETY: `kind` says which member is there.
            let t: *const DlTensor = unsafe { arg.value.dlpack }.cast();
            // SAFETY: as the caller vouches.
            unsafe { dlpack(target, t, mutable) }
        }
        other => Err(Failure::invalid(format!("{other} is no kind of argument"))),
    }
}

/// # Safety
/// As for [`read`].
unsafe fn dlpack<'a>(target: &Target<'_>, t: *const DlTensor, mutable: bool) -> Result<Arg<'a>, Failure> {
    // SAFETY: as the caller vouches.
    let t = unsafe { t.as_ref() }.ok_or_else(|| Failure::null("dlpack"))?;
    let home = target.memory;
    let here = if home.kind == DL_CPU {
        t.device_type == DL_CPU || DL_HOST_LIKE.contains(&t.device_type)
    } else {
        t.device_type == home.kind && t.device_id == home.index
    };
    if !here {
        return Err(Failure::argument(format!(
            "the tensor lies on DLPack device {}:{}, the kernel runs on {}:{}",
            t.device_type, t.device_id, home.kind, home.index
        )));
    }
    let row = DL_TYPES.iter().find(|(code, bits, _)| (*code, *bits) == (t.code, t.bits) && t.lanes == 1);
    let Some(&(_, _, elem)) = row else {
        return Err(Failure::argument(format!(
            "kernels have no element type like DLPack's code {}, {} bits, {} lanes",
            t.code, t.bits, t.lanes
        )));
    };
    let rank = rank(t.ndim)?;
    // SAFETY: as the caller vouches.
    let (dims, strides) = unsafe { (axes(t.shape, rank, "shape")?, strides(t.strides, rank)?) };
    let address = (t.data as u64).wrapping_add(t.byte_offset);
    // SAFETY: as the caller vouches.
    Ok(unsafe { target.device.argument(address, elem, &dims, strides.as_deref(), mutable)? })
}
