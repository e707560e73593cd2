//! Streams and events of a GPU: what runs beside what, and when it is done.
//!
//! ```text
//! copies   ──write──●             event    compute waits for it on the device, the host for nothing
//!                    ╲
//! compute  ───────────●──launch──launch──
//! ```

use super::{Device, Kind};
use crate::drivers::gpu::{self, Moment, OpenStream};
use crate::error::{Error, Result};
use crate::launch::Stream;
use std::sync::Arc;
use std::time::Duration;

/// A stream that is closed when this is dropped, once what was launched into it is done.
pub struct OwnStream {
    device: Device,
    open: Box<dyn OpenStream>,
}

impl OwnStream {
    /// The stream, for launches and copies; not to be used after `self` is dropped.
    pub fn stream(&self) -> Stream {
        // SAFETY: of this device's primary context, and open. Who keeps the handle for longer than `self` breaks the promise
        // above: the driver then says that the handle is not valid.
        unsafe { Stream::from_raw(self.open.raw()) }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// The moment at which all is done that had been put into a stream when the event was made.
pub struct Event {
    device: Device,
    moment: Box<dyn Moment>,
}

impl Event {
    /// Waits for it.
    ///
    /// # Errors
    /// What went wrong in what the event waits for.
    pub fn synchronize(&self) -> Result<()> {
        self.moment.reach()
    }

    /// What is put into the stream (`None`: the device's own) from here on waits for the event. The host does not.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn hold_back(&self, stream: Option<Stream>) -> Result<()> {
        self.moment.hold_back(stream)
    }

    /// The device's time from `start` to here; waits for here.
    ///
    /// # Errors
    /// An event of another device; what went wrong in what the events wait for.
    pub fn since(&self, start: &Event) -> Result<Duration> {
        if !Arc::ptr_eq(&self.device.0, &start.device.0) {
            let reason = "the time between events of two devices is not known".into();
            return Err(Error::Device { device: self.device.describe(), reason });
        }
        let ms = self.moment.since(&*start.moment)?;
        Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
    }
}

impl Device {
    /// A new stream.
    ///
    /// # Errors
    /// A device without streams (all but `cuda` and `hip`); those of the driver.
    pub fn new_stream(&self) -> Result<OwnStream> {
        match &self.0.kind {
            Kind::Gpu(gpu) => Ok(OwnStream { device: self.clone(), open: gpu.driver().open_stream()? }),
            _ => Err(gpu::without(self.describe(), gpu::NO_STREAMS)),
        }
    }

    /// An event behind what was put into the stream (`None`: the device's own) so far.
    ///
    /// # Errors
    /// As [`Device::new_stream`].
    pub fn event(&self, stream: Option<Stream>) -> Result<Event> {
        match &self.0.kind {
            Kind::Gpu(gpu) => Ok(Event { device: self.clone(), moment: gpu.driver().mark(stream)? }),
            _ => Err(gpu::without(self.describe(), gpu::NO_STREAMS)),
        }
    }
}
