//! Tensors that no longer change, and what kernels keep of them from launch to launch.
//!
//! ```text
//! Tensor ── freeze ──▶ Frozen ── view ──▶ TensorView ── launch on a CPU ──▶ packed operands are found again
//!            ◀── thaw ──┘  owns what is kept: it is freed with the tensor, and when the tensor may change again
//! ```
//! What is kept is named by the view (address, dims, strides) and the form it was packed in, so that any number of kernels and views
//! of one tensor go side by side. Other devices take the view for what it is.

use super::{Layout, Memory, Tensor, TensorView};
use kcc_dsl::elem::Elem;
use kcc_dsl::exchange::PanelForm;
use kcc_dsl::ir;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes that may be kept for a byte of the tensor: a wide form and a narrow one of its narrowest type.
const KEPT_PER_BYTE: usize = 4;
/// What may be kept of the smallest tensor: rows of few elements are padded.
const KEPT_AT_LEAST: usize = 4 << 20;
/// Where panels begin behind the words that say which are there.
const PAGE: u64 = 4096;

/// A tensor that no longer changes: weights. A CPU packs it for its products at the first launch, and later launches read what
/// was packed; at most four times the tensor's own memory (and 4 MiB) is held for that. Everything that reads a [`Tensor`] reads a
/// frozen one too; nothing writes it.
///
/// ```
/// use kcc_runtime::Tensor;
/// let weights = Tensor::from_slice(&[1.0f32, 2.0], &[2])?.freeze();
/// assert_eq!((weights.as_slice(), weights.view().len()), (&[1.0, 2.0][..], 2));
/// let mut weights = weights.thaw();
/// weights.as_mut_slice()[0] = 3.0;
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
///
/// ```compile_fail
/// # use kcc_runtime::Tensor;
/// let mut weights = Tensor::from_slice(&[1.0f32, 2.0], &[2]).unwrap().freeze();
/// weights.as_mut_slice()[0] = 3.0;
/// ```
pub struct Frozen<T> {
    tensor: Tensor<T>,
    kept: Kept,
}

impl<T: Elem> Tensor<T> {
    /// From now on the tensor does not change.
    pub fn freeze(self) -> Frozen<T> {
        let bytes = self.bytes().len();
        let limit = bytes.saturating_mul(KEPT_PER_BYTE).saturating_add(KEPT_AT_LEAST);
        Frozen { tensor: self, kept: Kept { limit, stores: RwLock::default(), clock: AtomicU64::new(0) } }
    }
}

impl<T: Elem> Frozen<T> {
    /// A view of the whole tensor, of which launches may keep what they pack.
    pub fn view(&self) -> TensorView<'_, T> {
        self.tensor.view().keeping(&self.kept)
    }

    /// The tensor, free to change again. What was kept is freed.
    pub fn thaw(self) -> Tensor<T> {
        self.tensor
    }

    /// Bytes that are held of the tensor's packed forms.
    pub fn kept_bytes(&self) -> usize {
        self.kept.read().iter().map(|s| s.memory.len()).sum()
    }
}

impl<T> Deref for Frozen<T> {
    type Target = Tensor<T>;

    fn deref(&self) -> &Tensor<T> {
        &self.tensor
    }
}

impl<T: Elem> std::fmt::Debug for Frozen<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frozen({:?})", self.tensor)
    }
}

/// Packed forms of a tensor.
pub(crate) struct Kept {
    limit: usize,
    stores: RwLock<Vec<Arc<Store>>>,
    clock: AtomicU64,
}

/// The panels of one view in one form. Kernels fill them, each panel once, under a word that says whether it is there.
pub(crate) struct Store {
    ptr: usize,
    elem: ir::Elem,
    layout: Layout,
    form: PanelForm,
    /// Words, then panels.
    memory: Memory,
    words: u64,
    stride: u64,
    /// When it was last asked for.
    used: AtomicU64,
}

impl Kept {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Store>>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a view's panels, with those that are there already; `None` if it is beyond what may be held.
    pub(crate) fn store(
        &self,
        ptr: *const u8,
        elem: ir::Elem,
        layout: &Layout,
        form: &PanelForm,
    ) -> Option<Arc<Store>> {
        let now = self.clock.fetch_add(1, Relaxed);
        let find = |stores: &[Arc<Store>]| {
            let found = stores
                .iter()
                .find(|s| s.ptr == ptr.addr() && s.elem == elem && s.form == *form && s.layout == *layout)?;
            found.used.store(now, Relaxed);
            Some(found.clone())
        };
        if let Some(store) = find(&self.read()) {
            return Some(store);
        }
        let (stride, count) = form.room(&layout.dims)?;
        let words = count.checked_mul(8)?.checked_next_multiple_of(PAGE)?;
        let bytes = usize::try_from(stride.checked_mul(count)?.checked_add(words)?).ok()?;
        if bytes > self.limit {
            return None;
        }
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here meanwhile.
        if let Some(store) = find(&stores) {
            return Some(store);
        }
        let held = |stores: &[Arc<Store>]| stores.iter().map(|s| s.memory.len()).sum::<usize>();
        while held(&stores) + bytes > self.limit {
            let oldest = (0..stores.len()).min_by_key(|i| stores[*i].used.load(Relaxed))?;
            // Launches that use it hold it to their end.
            stores.swap_remove(oldest);
        }
        let memory = Memory::zeroed(bytes).ok()?;
        let (layout, form, used) = (layout.clone(), *form, AtomicU64::new(now));
        let store = Arc::new(Store { ptr: ptr.addr(), elem, layout, form, memory, words, stride, used });
        stores.push(store.clone());
        Some(store)
    }
}

impl Store {
    /// What a kernel is told: where the words are, where the panels are, and the bytes from one to the next.
    pub(crate) fn slots(&self) -> [i64; 3] {
        let words = self.memory.as_ptr().expose_provenance() as i64;
        [words, words + self.words as i64, self.stride as i64]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: PanelForm =
        PanelForm { k_axis: 0, depth: 1, whole: 1, strip: 32, width: 64, columns: 64, chunk: 4096 };

    fn of(kept: &Kept, at: usize, dims: &[i64], form: &PanelForm) -> Option<Arc<Store>> {
        let layout = Layout::contiguous(dims).unwrap();
        kept.store(std::ptr::without_provenance(at), ir::Elem::F32, &layout, form)
    }

    #[test]
    fn a_store_is_named_by_address_layout_and_form() {
        let t = Tensor::<f32>::zeros(&[64, 64]).unwrap().freeze();
        let first = of(&t.kept, 64, &[64, 64], &FORM).unwrap();
        assert!(Arc::ptr_eq(&first, &of(&t.kept, 64, &[64, 64], &FORM).unwrap()));
        let other = PanelForm { k_axis: 1, ..FORM };
        for (at, dims, form) in [(128, [64, 64], FORM), (64, [32, 64], FORM), (64, [64, 64], other)] {
            assert!(!Arc::ptr_eq(&first, &of(&t.kept, at, &dims, &form).unwrap()));
        }
        let layout = Layout::strided(&[64, 64], &[1, 64]).unwrap();
        let turned = t.kept.store(std::ptr::without_provenance(64), ir::Elem::F32, &layout, &FORM).unwrap();
        assert!(!Arc::ptr_eq(&first, &turned));
        let bytes = turned.memory.bytes();
        assert!(bytes.len() >= 64 * 64 * 4 && bytes.iter().all(|b| *b == 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let t = Tensor::<f32>::zeros(&[4]).unwrap().freeze();
        let one = |at| of(&t.kept, at, &[1024, 300], &FORM);
        let first = one(64).unwrap();
        let (second, _) = (one(128).unwrap(), one(64).unwrap());
        // Each takes 1.3 MB: with a fourth it is too much, and the second was asked for least lately.
        let (_, _) = (one(192).unwrap(), one(256).unwrap());
        assert!(t.kept_bytes() <= KEPT_AT_LEAST + 64);
        assert!(Arc::ptr_eq(&first, &one(64).unwrap()) && !Arc::ptr_eq(&second, &one(128).unwrap()));
        assert!(of(&t.kept, 64, &[1 << 20, 1 << 20], &FORM).is_none());
        assert!(of(&t.kept, 64, &[0, 4], &FORM).is_none());
    }
}
