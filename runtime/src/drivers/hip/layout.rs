//! Where each argument lies in the buffer that a launch hands over: as a C struct would have it, which is what the
//! metadata of a code object says.

use kcc_dsl::exchange::{GpuArg, GpuMeta};
use kcc_dsl::ir::Elem;
use smallvec::SmallVec;

/// The buffer of most kernels fits without an allocation.
pub(super) type Buffer = SmallVec<[u8; 1024]>;

/// Offset and size of each slot.
pub(super) struct Layout {
    places: Vec<(usize, usize)>,
    bytes: usize,
}

impl Layout {
    /// The layout of the parameters: views as address, dims and strides, scalars of up to 32 bits in 32, the grid's three
    /// extents in 32 bits each, the address of the status buffer.
    pub(super) fn of(meta: &GpuMeta) -> Layout {
        let mut layout = Layout { places: Vec::new(), bytes: 0 };
        for arg in &meta.args {
            match arg {
                GpuArg::View { rank, .. } => (0..=2 * usize::from(*rank)).for_each(|_| layout.push(8)),
                GpuArg::Scalar(Elem::I64) => layout.push(8),
                GpuArg::Scalar(_) => layout.push(4),
            }
        }
        (0..3).for_each(|_| layout.push(4));
        layout.push(8);
        layout
    }

    fn push(&mut self, size: usize) {
        let at = self.bytes.next_multiple_of(size);
        self.places.push((at, size));
        self.bytes = at + size;
    }

    /// The buffer with these slots; the value of each lies in its low bytes.
    pub(super) fn pack(&self, slots: &[u64]) -> Buffer {
        let mut buffer = Buffer::from_elem(0, self.bytes);
        for (&(at, size), slot) in self.places.iter().zip(slots) {
            buffer[at..at + size].copy_from_slice(&slot.to_le_bytes()[..size]);
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lie_as_in_a_struct() {
        let view = GpuArg::View { rank: 1, elem: Elem::F16 };
        let args = vec![GpuArg::Scalar(Elem::I8), view, GpuArg::Scalar(Elem::F32), GpuArg::Scalar(Elem::I64)];
        let layout = Layout::of(&GpuMeta { args, ..GpuMeta::default() });
        let at: Vec<usize> = layout.places.iter().map(|place| place.0).collect();
        // i32; padding; address, extent, stride; f32; padding; i64; three i32; padding; address.
        assert_eq!(at, [0, 8, 16, 24, 32, 40, 48, 52, 56, 64]);
        let bytes = layout.pack(&[0xffff_fffe, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(bytes.len(), 72);
        assert_eq!((bytes[0], bytes[4], bytes[8], bytes[52], bytes[64]), (0xfe, 0, 1, 7, 9));
    }
}
