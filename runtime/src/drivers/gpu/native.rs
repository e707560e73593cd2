//! A launch on a GPU with memory and streams of its own, the same for each vendor's driver.

use super::{DeviceMemory, Encoded, Staged, Status, blocks, encode, slots};
use crate::device::Launching;
use crate::error::{Error, Result};
use crate::launch::{Arg, Label, Place, Raw, Stream};
use kcc_dsl::exchange::GpuMeta;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

/// A vendor's handle of a stream.
pub(crate) type RawStream = *mut c_void;

/// What a launch asks of a device.
pub(crate) trait Native: DeviceMemory {
    /// Makes the device current on this thread.
    fn enter(&self) -> Result<()>;

    /// Multiprocessors.
    fn processors(&self) -> u32;

    /// The handle of a stream, by default of the device's own.
    fn stream(&self, stream: Option<Stream>) -> RawStream;

    /// Whether work put into the stream is recorded into a graph instead of run.
    fn capturing(&self, stream: RawStream) -> Result<bool>;

    /// Waits for all that was put into the stream.
    fn wait(&self, stream: RawStream) -> Result<()>;
}

/// What a vendor's call of the driver gets: blocks, slots, tensor maps, stream.
pub(crate) struct Call<'a> {
    pub(crate) blocks: [u32; 3],
    pub(crate) slots: &'a [u64],
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    pub(crate) maps: &'a [Encoded],
    pub(crate) stream: RawStream,
}

/// Device memory of one launch, freed at its end.
struct Lent<'c> {
    native: &'c dyn Native,
    addresses: SmallVec<[u64; 8]>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        for &address in &self.addresses {
            // SAFETY: allocated for this launch, which has ended.
            unsafe { self.native.free(address) };
        }
    }
}

/// The views of a launch in a device's memory: those of the host as images, copied there and back.
pub(crate) struct Homes<'n> {
    lent: Lent<'n>,
    staged: Option<Staged>,
    /// Address of the first element of each view; 0 for numbers.
    pub(crate) addresses: SmallVec<[u64; 16]>,
}

impl<'n> Homes<'n> {
    /// Whether any view lies in the host's memory.
    pub(crate) fn are_needed(args: &[Arg<'_>]) -> bool {
        args.iter().any(|a| matches!(&a.raw, Raw::View(v) if v.place == Place::Host))
    }

    /// Copies what lies in the host's memory to the device.
    pub(crate) fn new(native: &'n dyn Native, args: &[Arg<'_>]) -> Result<Homes<'n>> {
        let mut lent = Lent { native, addresses: SmallVec::new() };
        let staged = if Homes::are_needed(args) { Some(Staged::new(args)?) } else { None };
        let mut addresses: SmallVec<[u64; 16]> = SmallVec::from_elem(0, args.len());
        for (i, arg) in args.iter().enumerate() {
            let Raw::View(v) = &arg.raw else { continue };
            addresses[i] = match staged.as_ref().and_then(|s| s.images[i].as_ref()) {
                None => v.ptr as u64,
                Some(image) => {
                    let address = native.alloc(image.memory.len())?;
                    lent.addresses.push(address);
                    // SAFETY: allocated with this size.
                    unsafe { native.write(address, image.memory.bytes())? };
                    address + image.origin as u64
                }
            };
        }
        Ok(Homes { lent, staged, addresses })
    }

    /// Copies what the kernel may have written back; all that was launched is done.
    pub(crate) fn back(&mut self, args: &[Arg<'_>]) -> Result<()> {
        let Some(staged) = &mut self.staged else { return Ok(()) };
        let mut addresses = self.lent.addresses.iter();
        for image in staged.images.iter_mut().flatten() {
            if let Some(&address) = addresses.next().filter(|_| image.mutable) {
                // SAFETY: allocated with this size.
                unsafe { self.lent.native.read(address, image.memory.bytes_mut())? };
            }
        }
        staged.finish(args);
        Ok(())
    }
}

/// Runs checked arguments and waits, unless every view lies on the device and nothing comes back. `status` is the status
/// buffer's address, if the kernel reports anything; it is held for the whole launch. `call` launches once.
pub(crate) fn run(
    native: &dyn Native,
    meta: &GpuMeta,
    status_buffer: &Mutex<Option<u64>>,
    label: &Label<'_>,
    launch: &Launching<'_>,
    call: &mut dyn FnMut(Call<'_>) -> Result<()>,
) -> Result<()> {
    native.enter()?;
    let stream = native.stream(launch.how.stream);
    let blocks = blocks(label, meta, launch.grid, native.processors())?;
    let staging = Homes::are_needed(launch.args);
    let status = Status::of(meta);
    if (staging || status.is_some()) && native.capturing(stream)? {
        let reason = "a recording takes no tensors in host memory, and no kernels that assert or print; copy the tensors to the \
                      device first"
            .into();
        return Err(Error::Limit { kernel: label.to_string(), reason });
    }
    let mut homes = Homes::new(native, launch.args)?;
    let mut maps: SmallVec<[Encoded; 4]> = SmallVec::new();
    for recipe in &meta.tensor_maps {
        let i = recipe.param as usize;
        let Some(Raw::View(v)) = launch.args.get(i).map(|a| &a.raw) else {
            let reason = format!("its tensor map names parameter {i}, which is no view");
            return Err(Error::Load { kernel: label.to_string(), reason });
        };
        maps.push(encode(label, &format!("#{i}"), recipe, v, homes.addresses[i])?);
    }
    let buffer = status_buffer.lock().unwrap_or_else(PoisonError::into_inner);
    let address = buffer.filter(|_| status.is_some()).unwrap_or(0);
    let slots = slots(launch.args, launch.grid, address, |i| homes.addresses[i]);
    if let Some(status) = &status {
        // SAFETY: the status buffer of this kernel, locked.
        unsafe { native.write(address, &status.header())? };
    }
    let ran = call(Call { blocks, slots: &slots, maps: &maps, stream });
    if status.is_none() {
        drop(buffer);
        if !staging {
            return ran;
        }
    }
    ran?;
    native.wait(stream)?;
    homes.back(launch.args)?;
    if let Some(status) = &status {
        let mut bytes = vec![0; status.bytes()];
        // SAFETY: the status buffer has this size.
        unsafe { native.read(address, &mut bytes)? };
        status.read(label, &bytes, launch.print)?;
    }
    Ok(())
}
