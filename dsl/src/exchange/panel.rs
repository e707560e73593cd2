//! Packed operands that a CPU kernel finds again at later launches, where the argument never changes.
//!
//! ```text
//! view [.., K, N] or [.., N, K]      panel = `columns` of N by up to `chunk` of K, for every leading index
//!
//! panel    strip 0 [rows][lanes] | strip 1 | …      four bytes a lane, `depth` elements along K in each
//! ```
//! Compiler and runtime must agree on every number here: the one writes panels, the other makes room for them.

use serde::{Deserialize, Serialize};

/// A packed operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Which parameter is packed: a view of at least two axes.
    pub param: u32,
    /// How.
    pub form: PanelForm,
}

/// What, beside the view, decides the bytes of its panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PanelForm {
    /// Which of the view's last two axes runs along K: 0 or 1.
    pub k_axis: u8,
    /// Elements along K that a lane holds.
    pub depth: u8,
    /// The rows of a strip that hold something come in multiples of this; the rest of the last are zeros.
    pub whole: u8,
    /// Lanes of the widest strip.
    pub strip: u32,
    /// Lanes of all strips.
    pub width: u32,
    /// Elements of the other axis in a panel.
    pub columns: u32,
    /// Most elements along K in a panel.
    pub chunk: u32,
}

/// Bytes of a lane.
const LANE: u64 = 4;
/// Lanes that a vector may read past a panel's end.
const SLACK: u64 = 16;
/// Panels begin at multiples of this many bytes.
const LINE: u64 = 64;

impl PanelForm {
    /// Rows from one strip to the next for `k` elements along K: an odd number, so that strips lie in different sets of the caches.
    pub fn rows(&self, k: u64) -> u64 {
        k.div_ceil(u64::from(self.depth)).next_multiple_of(u64::from(self.whole)) | 1
    }

    /// Bytes from one panel of a view to the next, and the number of its panels; `None` if it has no elements, or if there is no
    /// such form.
    pub fn room(&self, dims: &[i64]) -> Option<(u64, u64)> {
        let sizes = [u64::from(self.depth), u64::from(self.whole), u64::from(self.strip)];
        let extents = [u64::from(self.width), u64::from(self.columns), u64::from(self.chunk)];
        if sizes.iter().chain(&extents).any(|s| *s == 0) || self.k_axis > 1 {
            return None;
        }
        let (leading, last) = dims.split_at_checked(dims.len().checked_sub(2)?)?;
        let extent = |d: &i64| u64::try_from(*d).ok().filter(|d| *d > 0);
        let (k, n) = (extent(&last[usize::from(self.k_axis)])?, extent(&last[usize::from(1 - self.k_axis)])?);
        let lanes = self.rows(k.min(extents[2])).checked_mul(extents[0])?.checked_add(SLACK)?;
        let stride = lanes.checked_mul(LANE)?.checked_next_multiple_of(LINE)?;
        let mut count = k.div_ceil(extents[2]).checked_mul(n.div_ceil(extents[1]))?;
        for d in leading {
            count = count.checked_mul(extent(d)?)?;
        }
        Some((stride, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: PanelForm =
        PanelForm { k_axis: 0, depth: 2, whole: 16, strip: 32, width: 64, columns: 60, chunk: 256 };

    #[test]
    fn room_is_for_every_block_of_every_leading_index() {
        // 300 along K: two chunks, the longer of 256; 130 columns: three blocks. 128 rows of pairs, and one more.
        assert_eq!(FORM.room(&[5, 300, 130]), Some(((129 * 64 + 16) * 4, 5 * 2 * 3)));
        assert_eq!(PanelForm { k_axis: 1, ..FORM }.room(&[130, 300]), Some(((129 * 64 + 16) * 4, 6)));
        // 3 along K: 2 pairs, a whole tile of 16 rows.
        assert_eq!(FORM.room(&[3, 1]), Some(((17 * 64 + 16) * 4, 1)));
    }

    #[test]
    fn nonsense_has_no_room() {
        for dims in [&[][..], &[4], &[0, 4], &[4, 0], &[0, 4, 4], &[i64::MAX, i64::MAX, i64::MAX], &[-1, 4]] {
            assert_eq!(FORM.room(dims), None, "{dims:?}");
        }
        assert_eq!(PanelForm { depth: 0, ..FORM }.room(&[4, 4]), None);
        assert_eq!(PanelForm { columns: 0, ..FORM }.room(&[4, 4]), None);
        assert_eq!(PanelForm { k_axis: 2, ..FORM }.room(&[4, 4]), None);
    }
}
