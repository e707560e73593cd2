//! Dims and strides: the arithmetic of views, without any memory.
//!
//! ```text
//! dims [2, 3], strides [3, 1]     element (i, j) at 3i + j
//! transposed   [3, 2] [1, 3]      broadcast [2, 3] [0, 1]: both rows are one
//! ```

use crate::error::ViewError;
use smallvec::SmallVec;

/// Most axes that a view may have.
pub const MAX_RANK: usize = 6;

/// Dims or strides, inline.
pub(crate) type Axes = SmallVec<[i64; MAX_RANK]>;

/// Dims and strides of a view, in elements; strides may be 0 or negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) dims: Axes,
    pub(crate) strides: Axes,
}

/// Dims as given by a caller, checked: at most [`MAX_RANK`] axes, none negative, a count that fits.
pub(crate) fn check_dims(dims: &[i64]) -> Result<u64, ViewError> {
    let fail = |reason| ViewError::Dims { dims: dims.to_vec(), reason };
    if dims.len() > MAX_RANK {
        return Err(fail("a view has at most 6 axes"));
    }
    if dims.iter().any(|&d| d < 0) {
        return Err(fail("a dim is negative"));
    }
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.iter()
        .try_fold(1i64, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= isize::MAX as i64 / 8)
        .map(|n| n as u64)
        .ok_or_else(|| fail("the number of elements does not fit the address space"))
}

/// `usize` dims as `i64`; too large ones become an error in [`check_dims`].
pub(crate) fn to_axes(dims: &[usize]) -> Axes {
    dims.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect()
}

impl Layout {
    /// Row-major without gaps.
    pub(crate) fn contiguous(dims: &[i64]) -> Result<Layout, ViewError> {
        check_dims(dims)?;
        let mut strides: Axes = SmallVec::from_elem(1, dims.len());
        for i in (1..dims.len()).rev() {
            strides[i - 1] = strides[i].saturating_mul(dims[i].max(1));
        }
        Ok(Layout { dims: dims.into(), strides })
    }

    /// Any strides.
    pub(crate) fn strided(dims: &[i64], strides: &[i64]) -> Result<Layout, ViewError> {
        if dims.len() != strides.len() {
            return Err(ViewError::StrideCount { dims: dims.len(), strides: strides.len() });
        }
        check_dims(dims)?;
        let layout = Layout { dims: dims.into(), strides: strides.into() };
        let (low, high) = layout.reach();
        if low < i64::MIN as i128 / 16 || high > i64::MAX as i128 / 16 {
            return Err(ViewError::Dims {
                dims: dims.to_vec(),
                reason: "its strides leave the address space",
            });
        }
        Ok(layout)
    }

    pub(crate) fn rank(&self) -> usize {
        self.dims.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Number of elements.
    pub(crate) fn count(&self) -> usize {
        self.dims.iter().map(|&d| d as usize).product()
    }

    /// Lowest and highest element offset from element (0, …, 0); (0, -1) if empty.
    pub(crate) fn reach(&self) -> (i128, i128) {
        if self.is_empty() {
            return (0, -1);
        }
        let (mut low, mut high) = (0i128, 0i128);
        for (&d, &s) in self.dims.iter().zip(&self.strides) {
            let far = (d as i128 - 1) * s as i128;
            if far < 0 { low += far } else { high += far }
        }
        (low, high)
    }

    /// Whether the elements lie row-major without gaps.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expect = 1;
        for (&d, &s) in self.dims.iter().zip(&self.strides).rev() {
            if d == 0 {
                return true;
            }
            if d != 1 {
                if s != expect {
                    return false;
                }
                expect *= d;
            }
        }
        true
    }

    /// Whether the strides show that no two indices name one element. (Sufficient: each stride passes the whole
    /// reach of the smaller ones. Stranger layouts without overlap are refused.)
    pub(crate) fn is_injective(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut axes: SmallVec<[(i128, i128); MAX_RANK]> = self
            .dims
            .iter()
            .zip(&self.strides)
            .filter(|(d, _)| **d > 1)
            .map(|(&d, &s)| ((s as i128).abs(), d as i128))
            .collect();
        axes.sort_unstable();
        let mut reach = 0;
        axes.iter().all(|&(s, d)| {
            let passes = s > reach;
            reach += s * (d - 1);
            passes
        })
    }

    fn axis(&self, axis: usize) -> Result<usize, ViewError> {
        if axis < self.rank() { Ok(axis) } else { Err(ViewError::Axis { axis, rank: self.rank() }) }
    }

    /// Elements `start..end` of an axis; also the offset of the new first element.
    pub(crate) fn slice(&self, axis: usize, start: usize, end: usize) -> Result<(Layout, i64), ViewError> {
        let axis = self.axis(axis)?;
        let extent = self.dims[axis];
        let (a, b) = (i64::try_from(start).unwrap_or(i64::MAX), i64::try_from(end).unwrap_or(i64::MAX));
        if a > b || b > extent {
            return Err(ViewError::Range { axis, start: a, end: b, extent });
        }
        let mut out = self.clone();
        out.dims[axis] = b - a;
        // An empty slice keeps the address of the view: one past the end of a buffer may be out of its bounds.
        let offset = if out.is_empty() { 0 } else { a * self.strides[axis] };
        Ok((out, offset))
    }

    /// One index of an axis, which goes away; also the offset of the new first element.
    pub(crate) fn index(&self, axis: usize, at: usize) -> Result<(Layout, i64), ViewError> {
        let (mut out, offset) = self.slice(axis, at, at.saturating_add(1))?;
        out.dims.remove(axis);
        out.strides.remove(axis);
        Ok((out, offset))
    }

    /// An axis backwards; also the offset of the new first element.
    pub(crate) fn flip(&self, axis: usize) -> Result<(Layout, i64), ViewError> {
        let axis = self.axis(axis)?;
        let mut out = self.clone();
        // (The stride of an axis of one element may be anything.)
        out.strides[axis] = out.strides[axis].wrapping_neg();
        let offset = if out.is_empty() { 0 } else { (self.dims[axis] - 1) * self.strides[axis] };
        Ok((out, offset))
    }

    /// Axis `i` of the result is axis `perm[i]`.
    pub(crate) fn permute(&self, perm: &[usize]) -> Result<Layout, ViewError> {
        let fail = || ViewError::Permutation { given: perm.to_vec(), rank: self.rank() };
        if perm.len() != self.rank() || (0..perm.len()).any(|i| !perm.contains(&i)) {
            return Err(fail());
        }
        Ok(Layout {
            dims: perm.iter().map(|&i| self.dims[i]).collect(),
            strides: perm.iter().map(|&i| self.strides[i]).collect(),
        })
    }

    /// The same elements in row-major order under other dims, if strides can say it.
    pub(crate) fn reshape(&self, dims: &[i64]) -> Result<Layout, ViewError> {
        let to_count = check_dims(dims)?;
        let from_count = check_dims(&self.dims)?;
        if to_count != from_count {
            return Err(ViewError::Count {
                from: self.dims.to_vec(),
                to: dims.to_vec(),
                from_count,
                to_count,
            });
        }
        if to_count == 0 || self.is_contiguous() {
            return Layout::contiguous(dims);
        }
        let fail = || ViewError::NeedsCopy {
            from: self.dims.to_vec(),
            strides: self.strides.to_vec(),
            to: dims.to_vec(),
        };
        // Walk both shapes from the right; a group of old axes without gaps between them can be cut anew.
        let mut strides: Axes = SmallVec::from_elem(1, dims.len());
        let mut new = dims.len();
        let mut old = self.rank();
        while old > 0 || new > 0 {
            while old > 0 && self.dims[old - 1] == 1 {
                old -= 1;
            }
            if old == 0 {
                break; // what is left of the new dims is ones
            }
            let unit = self.strides[old - 1];
            let (mut have, mut want) = (self.dims[old - 1], 1);
            old -= 1;
            loop {
                if want < have {
                    new = new.checked_sub(1).ok_or_else(fail)?;
                    strides[new] = unit * want;
                    want *= dims[new];
                } else if have < want {
                    let next = old.checked_sub(1).ok_or_else(fail)?;
                    if self.dims[next] != 1 && self.strides[next] != unit * have {
                        return Err(fail());
                    }
                    have *= self.dims[next];
                    old = next;
                } else {
                    break;
                }
            }
        }
        Ok(Layout { dims: dims.into(), strides })
    }

    /// Axes aligned at the right; an axis of extent 1, or one that is not there, repeats (stride 0).
    pub(crate) fn broadcast(&self, dims: &[i64]) -> Result<Layout, ViewError> {
        check_dims(dims)?;
        let fail = || ViewError::Broadcast { from: self.dims.to_vec(), to: dims.to_vec() };
        let lead = dims.len().checked_sub(self.rank()).ok_or_else(fail)?;
        let mut strides: Axes = SmallVec::from_elem(0, dims.len());
        for (i, (&d, &s)) in self.dims.iter().zip(&self.strides).enumerate() {
            if d == dims[lead + i] {
                strides[lead + i] = s;
            } else if d != 1 {
                return Err(fail());
            }
        }
        Layout::strided(dims, &strides)
    }

    /// Calls `f` with the offset of each element, in row-major order.
    pub(crate) fn for_each(&self, mut f: impl FnMut(i64)) {
        if self.is_empty() {
            return;
        }
        let mut index: Axes = SmallVec::from_elem(0, self.rank());
        let mut offset = 0;
        loop {
            f(offset);
            let mut axis = self.rank();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                offset += self.strides[axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                offset -= self.strides[axis] * self.dims[axis];
                index[axis] = 0;
            }
        }
    }
}

/// Whether two sets of elements of `bytes` bytes, the second one starting `distance` bytes after the first, may share
/// memory. Exact for equal strides (such as two slices of one tensor), else by the span of addresses.
pub(crate) fn may_overlap(a: &Layout, a_bytes: usize, b: &Layout, b_bytes: usize, distance: i128) -> bool {
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let span = |l: &Layout, bytes: usize| {
        let (low, high) = l.reach();
        (low * bytes as i128, (high + 1) * bytes as i128)
    };
    let ((a_low, a_high), (b_low, b_high)) = (span(a, a_bytes), span(b, b_bytes));
    if a_high <= distance + b_low || distance + b_high <= a_low {
        return false;
    }
    if a_bytes != b_bytes || a.strides != b.strides || distance % a_bytes as i128 != 0 {
        return true;
    }
    // Element i of a is element j of b iff sum((i - j) * stride) = distance, with i - j in (-b.dim, a.dim).
    let mut axes: SmallVec<[(i128, i128, i128); MAX_RANK]> =
        (0..a.rank()).map(|k| (a.strides[k] as i128, 1 - b.dims[k] as i128, a.dims[k] as i128 - 1)).collect();
    axes.sort_unstable_by_key(|x| std::cmp::Reverse(x.0.abs()));
    let mut budget = 1 << 12;
    meets(&axes, distance / a_bytes as i128, &mut budget)
}

/// Whether `sum(d * stride) = target` has a solution with each d in its range; `true` when the budget runs out.
fn meets(axes: &[(i128, i128, i128)], target: i128, budget: &mut u32) -> bool {
    let Some((&(stride, low, high), rest)) = axes.split_first() else {
        return target == 0;
    };
    if stride == 0 {
        return meets(rest, target, budget);
    }
    let ends = |s: i128, l: i128, h: i128| (s * l).min(s * h)..=(s * l).max(s * h);
    let (least, most) = rest.iter().fold((0, 0), |(l, m), &(s, a, b)| {
        let r = ends(s, a, b);
        (l + r.start(), m + r.end())
    });
    // target - d * stride must lie in least..=most
    let (x, y) = ((target - most), (target - least));
    let (x, y) = if stride > 0 { (x, y) } else { (-y, -x) };
    let s = stride.abs();
    let first = x.div_euclid(s) + i128::from(x.rem_euclid(s) != 0);
    let last = y.div_euclid(s);
    let mut d = first.max(low);
    while d <= last.min(high) {
        if *budget == 0 {
            return true;
        }
        *budget -= 1;
        if meets(rest, target - d * stride, budget) {
            return true;
        }
        d += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets(l: &Layout) -> Vec<i64> {
        let mut v = vec![];
        l.for_each(|o| v.push(o));
        v
    }

    #[test]
    fn a_reshape_keeps_the_row_major_order_of_elements() {
        let base = Layout::contiguous(&[4, 6, 5]).unwrap();
        let cut = base.slice(2, 1, 4).unwrap().0; // [4, 6, 3] with a gap after axis 2
        for dims in [&[24i64, 3][..], &[2, 12, 3], &[2, 2, 2, 3, 3], &[4, 1, 6, 1, 3]] {
            assert_eq!(offsets(&cut.reshape(dims).unwrap()), offsets(&cut), "{dims:?}");
        }
        assert!(matches!(cut.reshape(&[4, 18]), Err(ViewError::NeedsCopy { .. })));
        assert!(matches!(cut.reshape(&[4, 5, 3]), Err(ViewError::Count { .. })));
        let t = base.permute(&[1, 0, 2]).unwrap();
        assert!(matches!(t.reshape(&[24, 5]), Err(ViewError::NeedsCopy { .. })));
        assert_eq!(offsets(&t.reshape(&[3, 2, 4, 5]).unwrap()), offsets(&t));
    }

    #[test]
    fn impossible_dims_are_named() {
        assert!(matches!(check_dims(&[1; 7]), Err(ViewError::Dims { .. })));
        assert!(matches!(check_dims(&[-1]), Err(ViewError::Dims { .. })));
        assert!(matches!(check_dims(&[i64::MAX, 2]), Err(ViewError::Dims { .. })));
        assert_eq!(check_dims(&[i64::MAX, 2, 0]), Ok(0));
        assert!(matches!(Layout::strided(&[2, 2], &[1]), Err(ViewError::StrideCount { .. })));
        assert!(matches!(Layout::strided(&[1 << 30, 1 << 30], &[i64::MAX, 1]), Err(ViewError::Dims { .. })));
    }

    fn layouts() -> impl Strategy<Value = Layout> {
        prop::collection::vec((0i64..4, -7i64..8), 0..4).prop_map(|v| {
            let (d, s): (Vec<_>, Vec<_>) = v.into_iter().unzip();
            Layout::strided(&d, &s).unwrap()
        })
    }

    proptest! {
        #[test]
        fn injective_layouts_name_no_element_twice(l in layouts()) {
            let mut o = offsets(&l);
            let all = o.len();
            o.sort_unstable();
            o.dedup();
            if l.is_injective() {
                prop_assert_eq!(o.len(), all);
            }
        }

        #[test]
        fn reach_is_the_span_of_the_elements(l in layouts()) {
            let o = offsets(&l);
            if let (Some(&low), Some(&high)) = (o.iter().min(), o.iter().max()) {
                prop_assert_eq!(l.reach(), (low as i128, high as i128));
            }
        }

        #[test]
        fn overlap_of_equal_strides_is_exact(l in layouts(), dims in prop::collection::vec(0i64..4, 3), distance in -40i128..40) {
            let other = Layout::strided(&dims[..l.rank()], &l.strides).unwrap();
            let a = offsets(&l);
            let shared = offsets(&other).iter().any(|o| a.contains(&(o + distance as i64)));
            prop_assert_eq!(may_overlap(&l, 4, &other, 4, distance * 4), shared);
        }

        #[test]
        fn overlap_is_never_missed(l in layouts(), m in layouts(), distance in -40i128..40) {
            let a = offsets(&l);
            let shared = offsets(&m).iter().any(|o| a.contains(&(o + distance as i64)));
            prop_assert!(!shared || may_overlap(&l, 4, &m, 4, distance * 4));
        }
    }
}
