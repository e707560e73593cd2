//! Tensor maps: the simulator's own record in the 128 opaque bytes that TMA instructions take.
//!
//! The real one is encoded by the CUDA driver from the same recipe; its bits are not documented. The rules checked
//! here are those of `cuTensorMapEncodeTiled`.

use crate::error::Error;
use crate::text::Scalar;

/// How 16-byte units change places in shared memory, so that columns spread over the banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swizzle {
    /// They stay.
    None,
    /// Within 32 bytes.
    B32,
    /// Within 64 bytes.
    B64,
    /// Within 128 bytes.
    B128,
}

impl Swizzle {
    /// Bytes of a row that is permuted; 16 stands for none.
    pub fn bytes(self) -> u32 {
        match self {
            Swizzle::None => 16,
            Swizzle::B32 => 32,
            Swizzle::B64 => 64,
            Swizzle::B128 => 128,
        }
    }

    /// Where the byte at `address` of the plain layout lies: PTX ISA, tensor swizzling modes. Address bits 4, 5, 6
    /// are combined with bits 7, 8, 9, as many as the mode has.
    pub(crate) fn apply(self, address: u64) -> u64 {
        let units = u64::from(self.bytes() / 16) - 1;
        address ^ (address >> 7 & units) << 4
    }
}

/// What a tensor map describes: a tensor in global memory, and the box that one copy moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMap {
    /// Address of the first element; a multiple of 16.
    pub address: u64,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub element: u32,
    /// Whether elements are floats (for reductions, and for a fill with NaN); bf16 when `bfloat` is also set.
    pub float: bool,
    /// Whether 2-byte floats are bf16.
    pub bfloat: bool,
    /// Extent of each dimension in elements, innermost first; 1 to 5 of them.
    pub dims: Vec<u64>,
    /// Bytes from one index to the next, for each dimension but the innermost; multiples of 16.
    pub strides: Vec<u64>,
    /// Extent of the box in each dimension, at most 256.
    pub box_dims: Vec<u32>,
    /// The permutation in shared memory; the box's inner row must fit it.
    pub swizzle: Swizzle,
    /// Fill with NaN instead of zero beyond the edges.
    pub fill_nan: bool,
}

const MAGIC: [u8; 4] = *b"KTMA";

impl TensorMap {
    /// The bytes to pass as the kernel's argument. Fails where the driver would.
    pub fn encode(&self) -> Result<[u8; 128], Error> {
        self.check().map_err(|message| Error::Launch(format!("tensor map: {message}")))?;
        let mut out = [0; 128];
        let swizzle = match self.swizzle {
            Swizzle::None => 0,
            Swizzle::B32 => 1,
            Swizzle::B64 => 2,
            Swizzle::B128 => 3,
        };
        out[..4].copy_from_slice(&MAGIC);
        out[4] = self.element as u8;
        out[5] = self.dims.len() as u8;
        out[6] = swizzle;
        out[7] = u8::from(self.fill_nan) | u8::from(self.float) << 1 | u8::from(self.bfloat) << 2;
        out[8..16].copy_from_slice(&self.address.to_le_bytes());
        for (index, dim) in self.dims.iter().enumerate() {
            out[16 + 8 * index..][..8].copy_from_slice(&dim.to_le_bytes());
        }
        for (index, stride) in self.strides.iter().enumerate() {
            out[56 + 8 * index..][..8].copy_from_slice(&stride.to_le_bytes());
        }
        for (index, extent) in self.box_dims.iter().enumerate() {
            out[88 + 4 * index..][..4].copy_from_slice(&extent.to_le_bytes());
        }
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<TensorMap, String> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        if bytes.len() != 128 || bytes[..4] != MAGIC {
            return Err("these 128 bytes are no tensor map".into());
        }
        let rank = usize::from(bytes[5]).min(5);
        let map = TensorMap {
            address: word(8),
            element: u32::from(bytes[4]),
            float: bytes[7] & 2 != 0,
            bfloat: bytes[7] & 4 != 0,
            dims: (0..rank).map(|index| word(16 + 8 * index)).collect(),
            strides: (1..rank).map(|index| word(48 + 8 * index)).collect(),
            box_dims: (0..rank).map(|index| (word(88 + 4 * index) & 0xffff_ffff) as u32).collect(),
            swizzle: [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128][usize::from(bytes[6] & 3)],
            fill_nan: bytes[7] & 1 != 0,
        };
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), String> {
        let rank = self.dims.len();
        if !(1..=5).contains(&rank) || self.strides.len() + 1 != rank || self.box_dims.len() != rank {
            return Err(format!(
                "{rank} dimensions, {} strides, {} box extents",
                self.strides.len(),
                self.box_dims.len()
            ));
        }
        if !matches!(self.element, 1 | 2 | 4 | 8) {
            return Err(format!("elements of {} bytes", self.element));
        }
        if !self.address.is_multiple_of(16) {
            return Err(format!("address {:#x} is not a multiple of 16", self.address));
        }
        if let Some(dim) = self.dims.iter().find(|dim| **dim == 0 || **dim > 1 << 32) {
            return Err(format!("a dimension of {dim} elements"));
        }
        if let Some(stride) =
            self.strides.iter().find(|stride| !stride.is_multiple_of(16) || **stride >= 1 << 40)
        {
            return Err(format!("a stride of {stride} bytes, which is not a multiple of 16 below 2^40"));
        }
        if let Some(extent) = self.box_dims.iter().find(|extent| !(1..=256).contains(*extent)) {
            return Err(format!("a box extent of {extent}; 1 to 256"));
        }
        let row = self.box_dims[0] * self.element;
        if !row.is_multiple_of(16) {
            return Err(format!("an inner box row of {row} bytes, which is not a multiple of 16"));
        }
        if self.swizzle != Swizzle::None && row > self.swizzle.bytes() {
            return Err(format!(
                "an inner box row of {row} bytes with a swizzle of {}",
                self.swizzle.bytes()
            ));
        }
        Ok(())
    }

    /// Bytes that one copy moves into shared memory.
    pub fn box_bytes(&self) -> usize {
        self.box_dims.iter().map(|&extent| extent as usize).product::<usize>() * self.element as usize
    }

    /// The type that a reduction computes in.
    pub(crate) fn scalar(&self) -> Scalar {
        match (self.element, self.float, self.bfloat) {
            (2, true, true) => Scalar::BF16,
            (2, true, false) => Scalar::F16,
            (4, true, _) => Scalar::F32,
            (8, true, _) => Scalar::F64,
            (bytes, ..) => Scalar::Int(bytes as u8 * 8),
        }
    }

    /// What lies beyond the edges, as the bits of one element.
    pub(crate) fn fill(&self) -> u64 {
        match self.scalar() {
            scalar if self.fill_nan && scalar.is_float() => crate::float::encode(scalar, f64::NAN),
            _ => 0,
        }
    }

    /// Visits the box at `start` in units of at most 16 bytes: the offset of a unit within the box, its length, and
    /// its global address when it lies inside the tensor.
    pub(crate) fn units(&self, start: &[i32], mut visit: impl FnMut(usize, usize, Option<u64>)) {
        let row = self.box_dims[0] as usize * self.element as usize;
        let rows: usize = self.box_dims[1..].iter().map(|&extent| extent as usize).product();
        let element = self.element as usize;
        for index in 0..rows {
            let mut rest = index;
            let mut address = Some(self.address);
            for (axis, &first) in start.iter().enumerate().take(self.dims.len()).skip(1) {
                let extent = self.box_dims[axis] as usize;
                let at = i64::from(first) + (rest % extent) as i64;
                rest /= extent;
                let inside = at >= 0 && (at as u64) < self.dims[axis];
                address = address
                    .filter(|_| inside)
                    .map(|address| address.wrapping_add((at as u64).wrapping_mul(self.strides[axis - 1])));
            }
            // Units do not cross the edge of the tensor, so that each is inside or outside as a whole.
            let first = i64::from(start[0]);
            let mut column = 0usize;
            while column < row / element {
                let at = first + column as i64;
                let to_unit_end = (16 - column * element % 16) / element;
                let mut count = to_unit_end.max(1);
                let inside = at >= 0 && (at as u64) < self.dims[0];
                if at < 0 {
                    count = count.min(at.unsigned_abs() as usize);
                } else if inside {
                    count = count.min((self.dims[0] - at as u64) as usize);
                }
                let place =
                    address.filter(|_| inside).map(|base| base.wrapping_add(at as u64 * element as u64));
                visit(index * row + column * element, count * element, place);
                column += count;
            }
        }
    }
}
