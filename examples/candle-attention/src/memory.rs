//! Storage of candle's devices as launches see it.

use candle_core::{CpuStorage, DType, DeviceLocation, Result, Shape, Storage};
use std::ffi::c_void;
use std::marker::PhantomData;

/// Where memory lies, and the stream that orders its use.
pub(crate) struct Place {
    pub(crate) location: DeviceLocation,
    pub(crate) stream: Option<*mut c_void>,
}

/// The address of a storage's first element.
pub(crate) struct Pointer<'s> {
    pub(crate) address: u64,
    #[cfg(feature = "cuda")]
    _in_use: Option<cudarc::driver::SyncOnDrop<'s>>,
    storage: PhantomData<&'s ()>,
}

/// A storage of one of candle's devices.
pub(crate) trait Memory: Sized {
    /// The storage, if it is of this device's kind.
    fn of(storage: &Storage) -> Result<&Self>;

    /// New memory beside this one.
    fn zeros(&self, dims: &[usize], dtype: DType) -> Result<Self>;

    /// Numbers beside this memory.
    fn integers(&self, numbers: Vec<i32>) -> Result<Self>;

    fn dtype(&self) -> DType;

    fn place(&self) -> Place;

    fn pointer(&self) -> Result<Pointer<'_>>;

    fn pointer_mut(&mut self) -> Result<Pointer<'_>>;
}

/// The address of whatever slice there is.
macro_rules! slices {
    ($storage:expr, $pointer:ident) => {{
        let address = match $storage {
            CpuStorage::U8(v) => v.$pointer().expose_provenance(),
            CpuStorage::U32(v) => v.$pointer().expose_provenance(),
            CpuStorage::I16(v) => v.$pointer().expose_provenance(),
            CpuStorage::I32(v) => v.$pointer().expose_provenance(),
            CpuStorage::I64(v) => v.$pointer().expose_provenance(),
            CpuStorage::BF16(v) => v.$pointer().expose_provenance(),
            CpuStorage::F16(v) => v.$pointer().expose_provenance(),
            CpuStorage::F32(v) => v.$pointer().expose_provenance(),
            other => candle_core::bail!("kernels have no element type like {:?}", Memory::dtype(other)),
        };
        Ok(Pointer {
            address: address as u64,
            #[cfg(feature = "cuda")]
            _in_use: None,
            storage: PhantomData,
        })
    }};
}

impl Memory for CpuStorage {
    fn of(storage: &Storage) -> Result<&Self> {
        match storage {
            Storage::Cpu(storage) => Ok(storage),
            _ => candle_core::bail!("a tensor lies on another device than the first"),
        }
    }

    fn zeros(&self, dims: &[usize], dtype: DType) -> Result<Self> {
        use candle_core::backend::BackendDevice as _;
        candle_core::cpu_backend::CpuDevice.zeros_impl(&Shape::from(dims), dtype)
    }

    fn integers(&self, numbers: Vec<i32>) -> Result<Self> {
        Ok(CpuStorage::I32(numbers))
    }

    fn dtype(&self) -> DType {
        candle_core::backend::BackendStorage::dtype(self)
    }

    fn place(&self) -> Place {
        Place { location: DeviceLocation::Cpu, stream: None }
    }

    fn pointer(&self) -> Result<Pointer<'_>> {
        slices!(self, as_ptr)
    }

    fn pointer_mut(&mut self) -> Result<Pointer<'_>> {
        slices!(self, as_mut_ptr)
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::*;
    use candle_core::backend::BackendDevice as _;
    use candle_core::cuda_backend::{CudaStorage, CudaStorageSlice as Slice};
    use cudarc::driver::DevicePtr as _;

    impl Memory for CudaStorage {
        fn of(storage: &Storage) -> Result<&Self> {
            match storage {
                Storage::Cuda(storage) => Ok(storage),
                _ => candle_core::bail!("a tensor lies on another device than the first"),
            }
        }

        fn zeros(&self, dims: &[usize], dtype: DType) -> Result<Self> {
            self.device.zeros_impl(&Shape::from(dims), dtype)
        }

        fn integers(&self, numbers: Vec<i32>) -> Result<Self> {
            let slice = self.device.clone_htod(&numbers)?;
            Ok(CudaStorage::wrap_cuda_slice(slice, self.device.clone()))
        }

        fn dtype(&self) -> DType {
            candle_core::backend::BackendStorage::dtype(self)
        }

        fn place(&self) -> Place {
            let stream = self.device.cuda_stream().cu_stream();
            Place { location: self.device.location(), stream: Some(stream.cast()) }
        }

        fn pointer(&self) -> Result<Pointer<'_>> {
            // The guard tells candle when the launch is in the stream.
            macro_rules! pointer {
                ($($kind:ident),*) => {
                    match &self.slice {
                        $(Slice::$kind(slice) => slice.device_ptr(slice.stream()),)*
                        _ => candle_core::bail!("kernels have no element type like {:?}", Memory::dtype(self)),
                    }
                };
            }
            let (address, in_use) = pointer!(U8, U32, I16, I32, I64, BF16, F16, F32, F8E4M3);
            Ok(Pointer { address, _in_use: Some(in_use), storage: PhantomData })
        }

        fn pointer_mut(&mut self) -> Result<Pointer<'_>> {
            // Made for the launch, in whose stream it is: nothing else has to wait for it.
            let address = self.pointer()?.address;
            Ok(Pointer { address, _in_use: None, storage: PhantomData })
        }
    }
}
