//! What a device offers beside launches: tensors in its memory, waiting, time, and launches recorded for later.

use super::{Device, Kind};
use crate::drivers::gpu::{self, Recording};
use crate::error::Result;
use crate::launch::{Arg, Stream};
use crate::tensor::{DeviceTensor, DeviceView, DeviceViewMut, Tensor};
use kcc_dsl::elem::Elem;
use std::time::Duration;

/// Launches that were recorded, to run again with one call. They work on the tensors that they were recorded with.
pub struct Recorded {
    device: Device,
    recording: Box<dyn Recording>,
}

impl Recorded {
    /// Runs the launches once more, in a stream (`None`: the device's own).
    ///
    /// # Safety
    /// Every tensor that the recorded launches name still exists, and nothing else reads or writes what they write until they
    /// are done.
    ///
    /// # Errors
    /// An error of the device, which may be one of an earlier launch.
    pub unsafe fn launch(&self, stream: Option<Stream>) -> Result<()> {
        self.recording.launch(stream)
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Device {
    /// A tensor of zeros in this device's memory.
    ///
    /// # Errors
    /// Impossible dims, no memory.
    pub fn zeros<T: Elem>(&self, dims: &[usize]) -> Result<DeviceTensor<T>> {
        let memory = match &self.0.kind {
            Kind::Gpu(gpu) => gpu.driver().memory(),
            _ => None,
        };
        DeviceTensor::zeros(memory, self.place(), dims)
    }

    /// A copy of a tensor in this device's memory.
    ///
    /// # Errors
    /// No memory.
    pub fn upload<T: Elem>(&self, tensor: &Tensor<T>) -> Result<DeviceTensor<T>> {
        let mut there = self.zeros(&tensor.dims())?;
        there.copy_from(tensor)?;
        Ok(there)
    }

    /// A view of memory of this device that somebody else owns; launches read it.
    ///
    /// # Safety
    /// Every element that dims and strides (in elements) name must be readable by this device and unchanged for `'a`,
    /// which must last until the launches that take it are done.
    ///
    /// # Errors
    /// A null or unaligned address, impossible dims.
    pub unsafe fn view<'a, T: Elem>(
        &self,
        address: u64,
        dims: &[usize],
        strides: &[i64],
    ) -> Result<DeviceView<'a, T>> {
        Ok(DeviceView::over(address, self.place(), dims, strides)?)
    }

    /// A view of memory of this device that somebody else owns; launches write it.
    ///
    /// # Safety
    /// As [`Device::view`], and nothing else may read or write the elements for `'a`.
    ///
    /// # Errors
    /// As [`Device::view`]; strides under which two indices name one element.
    pub unsafe fn view_mut<'a, T: Elem>(
        &self,
        address: u64,
        dims: &[usize],
        strides: &[i64],
    ) -> Result<DeviceViewMut<'a, T>> {
        Ok(DeviceViewMut::over(address, self.place(), dims, strides)?)
    }

    /// A launch argument over memory of this device that somebody else owns, its element type known at run time only. Without
    /// strides it is row-major without gaps.
    ///
    /// # Safety
    /// As [`Device::view`]; if `mutable`, as [`Device::view_mut`].
    ///
    /// # Errors
    /// A null address (of a view with elements), an unaligned one, impossible dims; a mutable view of which two indices name
    /// one element.
    pub unsafe fn argument<'a>(
        &self,
        address: u64,
        elem: kcc_dsl::ir::Elem,
        dims: &[i64],
        strides: Option<&[i64]>,
        mutable: bool,
    ) -> Result<Arg<'a>> {
        Ok(Arg::over(address, elem, dims, strides, mutable, self.place())?)
    }

    /// Waits for what was launched into a stream (`None`: the device's own). Other devices than `cuda` and `hip` have nothing to
    /// wait for.
    ///
    /// # Errors
    /// What went wrong in a launch.
    pub fn synchronize(&self, stream: Option<Stream>) -> Result<()> {
        match &self.0.kind {
            Kind::Gpu(gpu) => gpu.driver().synchronize(stream),
            _ => Ok(()),
        }
    }

    /// How long what `f` launches into a stream takes: on a `cuda` or `hip` device between two events, elsewhere by the clock.
    ///
    /// # Errors
    /// Those of `f`; what went wrong in a launch.
    pub fn time(&self, stream: Option<Stream>, mut f: impl FnMut() -> Result<()>) -> Result<Duration> {
        match &self.0.kind {
            Kind::Gpu(gpu) => {
                let ms = gpu.driver().time(stream, &mut f)?;
                Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
            }
            _ => {
                let start = std::time::Instant::now();
                f()?;
                Ok(start.elapsed())
            }
        }
    }

    /// Records what `f` launches into a stream, instead of running it (a CUDA graph). Kernels must have been launched or
    /// prepared before, views must lie on the device.
    ///
    /// # Errors
    /// Those of `f`; a device that records nothing (all but `cuda` and `hip`).
    pub fn record(&self, stream: Option<Stream>, mut f: impl FnMut() -> Result<()>) -> Result<Recorded> {
        match &self.0.kind {
            Kind::Gpu(gpu) => {
                let recording = gpu.driver().record(stream, &mut f)?;
                Ok(Recorded { device: self.clone(), recording })
            }
            _ => Err(gpu::without(self.describe(), gpu::NO_RECORDINGS)),
        }
    }
}
