//! Tensors in the memory of a device: what launches that copy nothing work on.
//!
//! ```text
//! Tensor ── device.upload ──▶ DeviceTensor ── view() ──▶ DeviceView    launches take both
//!        ◀── download ──                   a caller's own pointers ──▶ DeviceView::from_raw
//! ```
//! On devices that work in host memory (`cpu`, `eager`, `sim:…`) a device tensor is host memory, so that one program
//! runs on all.

use super::layout::{Layout, to_axes};
use super::{Memory, Tensor};
use crate::drivers::gpu::DeviceMemory;
use crate::error::{Error, Result, ViewError};
use crate::launch::{Arg, Argument, Place, Raw, RawView, Stream};
use kcc_dsl::elem::Elem;
use kcc_dsl::{In, Out};
use std::marker::PhantomData;
use std::sync::Arc;

/// A row-major tensor in the memory of a device.
pub struct DeviceTensor<T> {
    home: Home,
    place: Place,
    layout: Layout,
    element: PhantomData<T>,
}

enum Home {
    Host(Memory),
    Device { memory: Arc<dyn DeviceMemory>, address: u64 },
}

impl<T: Elem> DeviceTensor<T> {
    /// A tensor of zeros in `memory`, or in the host's.
    pub(crate) fn zeros(
        memory: Option<Arc<dyn DeviceMemory>>,
        place: Place,
        dims: &[usize],
    ) -> Result<DeviceTensor<T>> {
        let layout = Layout::contiguous(&to_axes(dims))?;
        let bytes = layout.count() * size_of::<T>();
        let home = match memory {
            None => Home::Host(Memory::zeroed(bytes)?),
            Some(memory) => {
                let address = memory.alloc(bytes)?;
                // Waited for: the first launch may be in another stream than the device's own.
                // SAFETY: allocated just now with this size.
                unsafe { memory.zero(address, bytes) }.and_then(|()| memory.settle(None)).inspect_err(
                    |_| {
                        // SAFETY: nothing uses it.
                        unsafe { memory.free(address) }
                    },
                )?;
                Home::Device { memory, address }
            }
        };
        Ok(DeviceTensor { home, place, layout, element: PhantomData })
    }

    /// Extent of each axis.
    pub fn dims(&self) -> Vec<usize> {
        self.layout.dims.iter().map(|&d| d as usize).collect()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.layout.count()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Address of the first element, in the memory that the tensor lies in.
    pub fn address(&self) -> u64 {
        match &self.home {
            Home::Host(memory) => memory.as_ptr() as u64,
            Home::Device { address, .. } => *address,
        }
    }

    fn same_count(&self, other: &Tensor<T>) -> Result<()> {
        if other.len() == self.len() {
            return Ok(());
        }
        Err(Error::View(ViewError::Count {
            from: other.axes().to_vec(),
            to: self.layout.dims.to_vec(),
            from_count: other.len() as u64,
            to_count: self.len() as u64,
        }))
    }

    /// Copies elements in, in row-major order, after all that was launched into the device's own stream.
    ///
    /// # Errors
    /// Another number of elements; an error of the device, which may be one of an earlier launch.
    pub fn copy_from(&mut self, tensor: &Tensor<T>) -> Result<()> {
        self.same_count(tensor)?;
        let from = tensor.bytes();
        match &mut self.home {
            Home::Host(memory) => memory.bytes_mut().copy_from_slice(from),
            // SAFETY: allocated for as many elements.
            Home::Device { memory, address } => unsafe { memory.write(*address, from)? },
        }
        Ok(())
    }

    /// Copies elements out, in row-major order, after all that was launched into the device's own stream.
    ///
    /// # Errors
    /// Another number of elements; an error of the device, which may be one of an earlier launch.
    pub fn copy_to(&self, tensor: &mut Tensor<T>) -> Result<()> {
        self.same_count(tensor)?;
        let to = tensor.bytes_mut();
        match &self.home {
            Home::Host(memory) => to.copy_from_slice(memory.bytes()),
            // SAFETY: allocated for as many elements.
            Home::Device { memory, address } => unsafe { memory.read(*address, to)? },
        }
        Ok(())
    }

    /// Starts copying elements in, in row-major order and in the order of a stream (`None`: the device's own). Whether the
    /// copy runs beside the host is up to the driver: it does from page-locked memory.
    ///
    /// # Safety
    /// Until the stream is waited for, `tensor` stays where and as it is, and nothing in other streams uses this tensor.
    ///
    /// # Errors
    /// As [`DeviceTensor::copy_from`].
    pub unsafe fn copy_from_async(&mut self, tensor: &Tensor<T>, stream: Option<Stream>) -> Result<()> {
        self.same_count(tensor)?;
        let from = tensor.bytes();
        match &mut self.home {
            Home::Host(memory) => memory.bytes_mut().copy_from_slice(from),
            // SAFETY: allocated for as many elements; the caller keeps `tensor`.
            Home::Device { memory, address } => unsafe { memory.start_write(*address, from, stream)? },
        }
        Ok(())
    }

    /// Starts copying elements out, in row-major order and in the order of a stream (`None`: the device's own).
    ///
    /// # Safety
    /// Until the stream is waited for, nobody reads, writes or drops `tensor`, and nothing in other streams writes this tensor.
    ///
    /// # Errors
    /// As [`DeviceTensor::copy_to`].
    pub unsafe fn copy_to_async(&self, tensor: &mut Tensor<T>, stream: Option<Stream>) -> Result<()> {
        self.same_count(tensor)?;
        let to = tensor.bytes_mut();
        match &self.home {
            Home::Host(memory) => to.copy_from_slice(memory.bytes()),
            // SAFETY: allocated for as many elements; the caller keeps `tensor`.
            Home::Device { memory, address } => unsafe { memory.start_read(*address, to, stream)? },
        }
        Ok(())
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// No memory; as [`DeviceTensor::copy_to`].
    pub fn download(&self) -> Result<Tensor<T>> {
        let mut tensor = Tensor::zeros(&self.dims())?;
        self.copy_to(&mut tensor)?;
        Ok(tensor)
    }

    /// A view of the whole tensor.
    pub fn view(&self) -> DeviceView<'_, T> {
        DeviceView {
            address: self.address(),
            layout: self.layout.clone(),
            place: self.place,
            memory: PhantomData,
        }
    }

    /// A mutable view of the whole tensor.
    pub fn view_mut(&mut self) -> DeviceViewMut<'_, T> {
        DeviceViewMut {
            address: self.address(),
            layout: self.layout.clone(),
            place: self.place,
            memory: PhantomData,
        }
    }
}

impl<T> Drop for DeviceTensor<T> {
    fn drop(&mut self) {
        if let Home::Device { memory, address } = &self.home {
            // SAFETY: allocated in `zeros`. The driver frees memory only after the work that was launched before.
            unsafe { memory.free(*address) };
        }
    }
}

impl<T: Elem> std::fmt::Debug for DeviceTensor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceTensor<{}>{:?} at {:#x}", T::ELEM, self.layout.dims.as_slice(), self.address())
    }
}

/// A read-only window on elements of a device.
#[derive(Clone)]
pub struct DeviceView<'a, T> {
    address: u64,
    layout: Layout,
    place: Place,
    memory: PhantomData<&'a [T]>,
}

/// A window on elements of a device that may be written. No two indices name one element.
pub struct DeviceViewMut<'a, T> {
    address: u64,
    layout: Layout,
    place: Place,
    memory: PhantomData<&'a mut [T]>,
}

macro_rules! shared {
    ($name:ident, $mutable:literal) => {
        impl<'a, T: Elem> $name<'a, T> {
            pub(crate) fn over(
                address: u64,
                place: Place,
                dims: &[usize],
                strides: &[i64],
            ) -> Result<Self, ViewError> {
                if address == 0 {
                    return Err(ViewError::Null);
                }
                if address % size_of::<T>() as u64 != 0 {
                    return Err(ViewError::Unaligned { address: address as usize, elem: T::ELEM });
                }
                let layout = Layout::strided(&to_axes(dims), strides)?;
                if $mutable && !layout.is_injective() {
                    let (dims, strides) = (layout.dims.to_vec(), layout.strides.to_vec());
                    return Err(ViewError::Overlap { dims, strides });
                }
                Ok($name { address, layout, place, memory: PhantomData })
            }

            fn moved(self, layout: Layout, offset: i64) -> Self {
                let bytes = offset.wrapping_mul(size_of::<T>() as i64);
                $name { address: self.address.wrapping_add_signed(bytes), layout, ..self }
            }

            /// Extent of each axis.
            pub fn dims(&self) -> Vec<usize> {
                self.layout.dims.iter().map(|&d| d as usize).collect()
            }

            /// Stride of each axis, in elements.
            pub fn strides(&self) -> &[i64] {
                &self.layout.strides
            }

            /// Address of element (0, …, 0).
            pub fn address(&self) -> u64 {
                self.address
            }

            /// Elements `range` of an axis.
            ///
            /// # Errors
            /// No such axis, or a range that leaves it.
            pub fn slice(self, axis: usize, range: std::ops::Range<usize>) -> Result<Self, ViewError> {
                let (layout, offset) = self.layout.slice(axis, range.start, range.end)?;
                Ok(self.moved(layout, offset))
            }

            /// One index of an axis; the axis goes away.
            ///
            /// # Errors
            /// No such axis, or an index outside it.
            pub fn index(self, axis: usize, at: usize) -> Result<Self, ViewError> {
                let (layout, offset) = self.layout.index(axis, at)?;
                Ok(self.moved(layout, offset))
            }

            /// Axis `i` of the result is axis `axes[i]`.
            ///
            /// # Errors
            /// Not a permutation of the axes.
            pub fn permute(self, axes: &[usize]) -> Result<Self, ViewError> {
                let layout = self.layout.permute(axes)?;
                Ok(self.moved(layout, 0))
            }

            /// The same elements, in row-major order, under other dims.
            ///
            /// # Errors
            /// Another number of elements, or strides that would need a copy.
            pub fn reshape(self, dims: &[usize]) -> Result<Self, ViewError> {
                let layout = self.layout.reshape(&to_axes(dims))?;
                Ok(self.moved(layout, 0))
            }

            fn raw(&self) -> Arg<'a> {
                Arg::new(Raw::View(RawView {
                    ptr: self.address as *mut u8,
                    elem: T::ELEM,
                    layout: self.layout.clone(),
                    mutable: $mutable,
                    place: self.place,
                    undefined: false,
                    kept: None,
                }))
            }
        }
    };
}
shared!(DeviceView, false);
shared!(DeviceViewMut, true);

impl<'a> Arg<'a> {
    /// A view on a device that the kernel reads.
    pub fn device_view<T: Elem>(view: &DeviceView<'a, T>) -> Arg<'a> {
        view.raw()
    }

    /// A view on a device that the kernel writes.
    pub fn device_view_mut<T: Elem>(view: &'a mut DeviceViewMut<'_, T>) -> Arg<'a> {
        view.raw()
    }

    /// A tensor on a device that the kernel reads.
    pub fn device_input<T: Elem>(tensor: &'a DeviceTensor<T>) -> Arg<'a> {
        tensor.view().raw()
    }

    /// A tensor on a device that the kernel writes.
    pub fn device_output<T: Elem>(tensor: &'a mut DeviceTensor<T>) -> Arg<'a> {
        tensor.view_mut().raw()
    }
}

impl<T: Elem, const R: usize> Argument<In<T, R>> for &DeviceTensor<T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_input(self)
    }
}
impl<T: Elem, const R: usize> Argument<In<T, R>> for &DeviceView<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_view(self)
    }
}
impl<T: Elem, const R: usize> Argument<In<T, R>> for DeviceView<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_view(self)
    }
}
impl<T: Elem, const R: usize> Argument<Out<T, R>> for &mut DeviceTensor<T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_output(self)
    }
}
impl<T: Elem, const R: usize> Argument<Out<T, R>> for &mut DeviceViewMut<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_view_mut(self)
    }
}
impl<T: Elem, const R: usize> Argument<Out<T, R>> for DeviceViewMut<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::device_view_mut(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Launch};
    use kcc_dsl::prelude::*;

    /// y = 2 x. Grid: (blocks of 4).
    #[kernel]
    fn twice(x: &View<f32, 1>, y: &mut View<f32, 1>) {
        let at = program_id(0) * 4;
        y.store(at, x.load::<4>(at) + x.load::<4>(at));
    }

    #[test]
    fn where_the_device_works_in_host_memory_a_device_tensor_is_host_memory() {
        let device = Device::eager();
        let x = device.upload(&Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0], &[5]).unwrap()).unwrap();
        let mut y = device.zeros::<f32>(&[5]).unwrap();
        twice::kernel().launch(&device, 2, (&x, &mut y)).unwrap();
        assert_eq!(y.download().unwrap().as_slice(), [2.0, 4.0, 6.0, 8.0, 10.0]);
        let tail = x.view().slice(0, 3..5).unwrap();
        twice::kernel().launch(&device, 1, (&tail, y.view_mut().slice(0, 0..2).unwrap())).unwrap();
        assert_eq!(y.download().unwrap().as_slice(), [8.0, 10.0, 6.0, 8.0, 10.0]);
        device.synchronize(None).unwrap();
    }

    /// Device memory that is none: a heap, to see what is asked of it.
    struct Fake;
    impl DeviceMemory for Fake {
        fn alloc(&self, bytes: usize) -> Result<u64> {
            Ok(Box::leak(vec![1u64; bytes.div_ceil(8).max(1)].into_boxed_slice()).as_ptr() as u64)
        }
        unsafe fn free(&self, _: u64) {}
        unsafe fn start_write(&self, address: u64, bytes: &[u8], _: Option<Stream>) -> Result<()> {
            // SAFETY: as the caller promises.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
            Ok(())
        }
        unsafe fn start_read(&self, address: u64, bytes: &mut [u8], _: Option<Stream>) -> Result<()> {
            // SAFETY: as the caller promises.
            unsafe { std::ptr::copy_nonoverlapping(address as *const u8, bytes.as_mut_ptr(), bytes.len()) };
            Ok(())
        }
        fn settle(&self, _: Option<Stream>) -> Result<()> {
            Ok(())
        }
        unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
            // SAFETY: as the caller promises.
            unsafe { std::ptr::write_bytes(address as *mut u8, 0, bytes) };
            Ok(())
        }
    }

    #[test]
    fn memory_of_another_device_is_refused_by_name_of_the_argument() {
        let x = DeviceTensor::<f32>::zeros(Some(Arc::new(Fake)), Place::Gpu(0), &[4]).unwrap();
        let mut y = Tensor::<f32>::zeros(&[4]).unwrap();
        let e = twice::kernel().launch(&Device::eager(), 1, (&x, &mut y)).unwrap_err().to_string();
        assert!(e.contains("argument `x`") && e.contains("another device"), "{e}");
    }

    #[test]
    fn elements_go_there_and_back() {
        let host = Tensor::from_fn(&[3, 5], |i| i as i32).unwrap();
        let mut there = DeviceTensor::<i32>::zeros(Some(Arc::new(Fake)), Place::Gpu(0), &[3, 5]).unwrap();
        assert!(there.download().unwrap().as_slice().iter().all(|&x| x == 0));
        there.copy_from(&host).unwrap();
        assert_eq!(there.download().unwrap().as_slice(), host.as_slice());
        assert!(there.copy_from(&Tensor::zeros(&[4]).unwrap()).is_err());
        let v = there.view().slice(0, 1..3).unwrap().permute(&[1, 0]).unwrap();
        assert_eq!((v.dims(), v.strides(), v.address()), (vec![5, 2], &[1, 5][..], there.address() + 20));
    }
}
