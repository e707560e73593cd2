//! Host memory for a device that cannot reach it: an image of what each view spans, copied there and back.
//!
//! ```text
//! view, strides [8, 2]     x . x . x . . . x . x . x      elements x are copied, gaps stay zero
//! image                  |pad|x . x . x . . . x . x . x|   pad: so that alignment is that of the host's address
//! ```

use crate::error::{Error, Result};
use crate::launch::{Arg, Place, Raw, RawView};
use crate::tensor::Memory;
use smallvec::SmallVec;

/// Alignment that an image keeps of the host's address: what argument facts speak of.
const KEPT: usize = 16;

/// One view's image.
pub(crate) struct Image {
    /// The bytes to copy.
    pub(crate) memory: Memory,
    /// Where element (0, …, 0) lies in it, in bytes.
    pub(crate) origin: usize,
    /// Whether the kernel may write it.
    pub(crate) mutable: bool,
}

/// The images of a launch: one entry per argument, `None` for numbers and for views that lie on the device.
pub(crate) struct Staged {
    pub(crate) images: SmallVec<[Option<Image>; 8]>,
}

fn image(v: &RawView) -> Result<Image> {
    let size = v.elem.bytes();
    let (low, high) = v.layout.reach();
    let first = (v.ptr as i128 + low * size as i128).rem_euclid(KEPT as i128) as usize;
    let span = (high + 1 - low) * size as i128;
    let bytes = usize::try_from(span).ok().and_then(|n| n.checked_add(first));
    let bytes = bytes.ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
    let memory = Memory::zeroed(bytes.max(1))?;
    let origin = (first as i128 - low * size as i128) as usize;
    Ok(Image { memory, origin, mutable: v.mutable })
}

/// Copies elements between a view and its image. Row-major runs without gaps go at once.
fn copy(v: &RawView, image: &mut Image, out: bool) {
    let size = v.elem.bytes();
    let host = v.ptr;
    // SAFETY: `origin` lies in the image.
    let device = unsafe { image.memory.as_ptr().add(image.origin) };
    let run = |offset: i64, bytes: usize| {
        let at = offset as isize * size as isize;
        // SAFETY: `offset` is that of an element of the view (with `bytes` from there on, of the whole contiguous view):
        // readable, and for `out` writable, while its argument is borrowed; the image spans all of them.
        unsafe {
            let (host, device) = (host.offset(at), device.offset(at));
            let (from, to) = if out { (device, host) } else { (host, device) };
            std::ptr::copy_nonoverlapping(from, to, bytes);
        }
    };
    if v.layout.is_empty() {
    } else if v.layout.is_contiguous() {
        run(0, v.layout.count() * size);
    } else {
        v.layout.for_each(|offset| run(offset, size));
    }
}

impl Staged {
    /// Images of every view in host memory, filled.
    pub(crate) fn new(args: &[Arg<'_>]) -> Result<Staged> {
        let one = |arg: &Arg<'_>| match &arg.raw {
            Raw::View(v) if v.place == Place::Host => {
                let mut image = image(v)?;
                copy(v, &mut image, false);
                Ok(Some(image))
            }
            _ => Ok(None),
        };
        Ok(Staged { images: args.iter().map(one).collect::<Result<_>>()? })
    }

    /// Copies what the kernel may have written back to the views.
    pub(crate) fn finish(&mut self, args: &[Arg<'_>]) {
        for (arg, image) in args.iter().zip(&mut self.images) {
            if let (Raw::View(v), Some(image)) = (&arg.raw, image)
                && image.mutable
            {
                copy(v, image, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn an_image_keeps_alignment_and_gaps_are_neither_read_nor_written() {
        let mut t = Tensor::from_fn(&[4, 6], |i| i as f32).unwrap();
        let mut view = t.view_mut().slice(1, 1..3).unwrap();
        let host = view.as_ptr() as usize;
        let args = [Arg::view_mut(&mut view)];
        let mut staged = Staged::new(&args).unwrap();
        let image = staged.images[0].as_mut().unwrap();
        // The image starts on a multiple of 64.
        assert_eq!((image.memory.as_ptr() as usize + image.origin) % KEPT, host % KEPT);
        let floats: &mut [f32] = bytemuck::cast_slice_mut(&mut image.memory.bytes_mut()[4..]);
        assert_eq!(floats[..8], [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 7.0, 8.0]);
        floats.fill(-1.0);
        staged.finish(&args);
        assert_eq!(t.as_slice()[..8], [0.0, -1.0, -1.0, 3.0, 4.0, 5.0, 6.0, -1.0]);
    }

    #[test]
    fn negative_and_zero_strides_are_spanned() {
        let data = [1i32, 2, 3, 4];
        let view = crate::TensorView::from_slice_strided(&data, 3, &[2, 3], &[-2, 0]).unwrap();
        let staged = Staged::new(&[Arg::view(&view)]).unwrap();
        let image = staged.images[0].as_ref().unwrap();
        let at = |i: usize| i32::from_le_bytes(image.memory.bytes()[i..i + 4].try_into().unwrap());
        assert_eq!((at(image.origin), at(image.origin - 8)), (4, 2));
    }

    #[test]
    fn empty_views_have_an_image_without_elements() {
        let t = Tensor::<f32>::zeros(&[0, 4]).unwrap();
        let staged = Staged::new(&[Arg::input(&t)]).unwrap();
        assert!(staged.images[0].is_some());
    }
}
