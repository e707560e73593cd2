//! The pack's kernels, loaded for a device of candle.

use crate::memory::{Memory, Place, Pointer};
use candle_core::{DType, Device, DeviceLocation, Error, Layout, Result};
use kcc_runtime::pack::{Pack, PackKernel};
use kcc_runtime::{Arg, Elem, How, Stream};
use std::path::Path;
use std::sync::Arc;

/// What the operators of this crate launch, for one device. Cheap to clone.
#[derive(Clone)]
pub struct Kernels(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    device: kcc_runtime::Device,
    location: DeviceLocation,
    pub(crate) attention: PackKernel,
    pub(crate) attention_causal: PackKernel,
    pub(crate) rms_norm: PackKernel,
    pub(crate) moe_gate: PackKernel,
    pub(crate) moe_permute: PackKernel,
    pub(crate) moe_swiglu: PackKernel,
    pub(crate) moe_down: PackKernel,
    pub(crate) moe_combine: PackKernel,
}

/// A tensor of a launch.
pub(crate) struct Operand<'m> {
    pointer: Pointer<'m>,
    place: Place,
    dtype: DType,
    /// First element, counted from the memory's start.
    offset: usize,
    dims: Vec<usize>,
    /// In elements; `None`: row-major without gaps.
    strides: Option<Vec<usize>>,
    written: bool,
}

/// An argument of a launch.
pub(crate) enum Argument<'m> {
    Tensor(Operand<'m>),
    F32(f32),
    I32(i32),
}

impl<'m> Argument<'m> {
    /// A tensor that the kernel reads.
    pub(crate) fn of<M: Memory>(memory: &'m M, layout: &Layout) -> Result<Self> {
        let (dims, strides) = (layout.dims().to_vec(), Some(layout.stride().to_vec()));
        let (pointer, place, dtype) = (memory.pointer()?, memory.place(), memory.dtype());
        let offset = layout.start_offset();
        Ok(Argument::Tensor(Operand { pointer, place, dtype, offset, dims, strides, written: false }))
    }

    /// Memory without gaps from an offset on, which the kernel reads with these dims.
    pub(crate) fn dense<M: Memory>(memory: &'m M, offset: usize, dims: &[usize]) -> Result<Self> {
        let layout = Layout::contiguous_with_offset(dims, offset);
        Argument::of(memory, &layout)
    }

    /// New memory, which the kernel writes with these dims.
    pub(crate) fn out<M: Memory>(memory: &'m mut M, dims: &[usize]) -> Result<Self> {
        let (place, dtype) = (memory.place(), memory.dtype());
        let pointer = memory.pointer_mut()?;
        let dims = dims.to_vec();
        Ok(Argument::Tensor(Operand { pointer, place, dtype, offset: 0, dims, strides: None, written: true }))
    }
}

fn elem(dtype: DType) -> Result<Elem> {
    Ok(match dtype {
        DType::U8 => Elem::U8,
        DType::U32 => Elem::U32,
        DType::I16 => Elem::I16,
        DType::I32 => Elem::I32,
        DType::I64 => Elem::I64,
        DType::F16 => Elem::F16,
        DType::BF16 => Elem::BF16,
        DType::F32 => Elem::F32,
        DType::F8E4M3 => Elem::F8E4M3,
        other => candle_core::bail!("kernels have no element type like {other:?}"),
    })
}

impl Kernels {
    /// Opens a pack with the kernels of [`docs/standard-pack.md`] that this crate's operators need, and loads them for a device.
    ///
    /// # Errors
    /// A file that is no whole pack, a kernel that it lacks or has no code of for this device.
    ///
    /// [`docs/standard-pack.md`]: https://example.invalid/kcc/docs/standard-pack.html
    pub fn open(pack: impl AsRef<Path>, device: &Device) -> Result<Kernels> {
        let location = device.location();
        let name = match location {
            DeviceLocation::Cpu => "cpu".to_owned(),
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            other => candle_core::bail!("packs hold no code for {other:?}"),
        };
        let pack = Pack::open(pack).map_err(Error::wrap)?;
        let device = kcc_runtime::Device::open(&name).map_err(Error::wrap)?;
        let load = |name: &str| pack.kernel(name, &device).map_err(Error::wrap);
        Ok(Kernels(Arc::new(Loaded {
            attention: load("attention")?,
            attention_causal: load("attention_causal")?,
            rms_norm: load("rms_norm")?,
            moe_gate: load("moe_gate")?,
            moe_permute: load("moe_permute")?,
            moe_swiglu: load("moe_swiglu")?,
            moe_down: load("moe_down")?,
            moe_combine: load("moe_combine")?,
            device,
            location,
        })))
    }
}

impl Loaded {
    /// Launches a kernel on candle's stream; on the CPU it is done when this returns.
    pub(crate) fn launch(&self, kernel: &PackKernel, args: &[Argument<'_>]) -> Result<()> {
        let mut stream = None;
        let mut list = Vec::with_capacity(args.len());
        for arg in args {
            let tensor = match arg {
                Argument::Tensor(tensor) => tensor,
                Argument::F32(value) => {
                    list.push(Arg::scalar(*value));
                    continue;
                }
                Argument::I32(value) => {
                    list.push(Arg::scalar(*value));
                    continue;
                }
            };
            let (here, there) = (self.location, tensor.place.location);
            if here != there {
                candle_core::bail!("the kernels are for {here:?}, a tensor lies on {there:?}");
            }
            stream = tensor.place.stream;
            let address = tensor.pointer.address + (tensor.offset * tensor.dtype.size_in_bytes()) as u64;
            let axes = |list: &[usize]| list.iter().map(|n| *n as i64).collect::<Vec<_>>();
            let (dims, strides) = (axes(&tensor.dims), tensor.strides.as_deref().map(axes));
            let elem = elem(tensor.dtype)?;
            // SAFETY: candle's layout lies within its storage, which is borrowed until the launch is in the stream and is freed in
            // the stream's order; what is written was made for this launch.
            let arg =
                unsafe { self.device.argument(address, elem, &dims, strides.as_deref(), tensor.written) };
            list.push(arg.map_err(Error::wrap)?);
        }
        // SAFETY: candle's stream, which lives as long as its device.
        let stream = stream.map(|raw| unsafe { Stream::from_raw(raw) });
        kernel.launch_with(&list, How { stream, ..How::default() }).map_err(Error::wrap)
    }
}
