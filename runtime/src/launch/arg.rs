//! Arguments without static types.

use crate::error::ViewError;
use crate::tensor::{DynTensor, Kept, Layout, Tensor, TensorView, TensorViewMut};
use kcc_dsl::elem::Elem as Element;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::Elem;
use smallvec::SmallVec;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// One launch argument: a view that is read, a view that is written, or a number. Borrows what it names.
#[derive(Clone)]
pub struct Arg<'a> {
    pub(crate) raw: Raw,
    memory: PhantomData<&'a mut ()>,
}

#[derive(Clone)]
pub(crate) enum Raw {
    View(RawView),
    Scalar { elem: Elem, bits: u64 },
}

/// Whose memory an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The host's.
    Host,
    /// That of the GPU with this number.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    Gpu(u32),
}

/// Which facts about arguments a device's compiler uses; others would only mean more compilations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facts {
    /// The unit axis.
    Cpu,
    /// Alignments and sizes too.
    Gpu,
}

/// A view by address.
#[derive(Clone)]
pub(crate) struct RawView {
    pub(crate) ptr: *mut u8,
    pub(crate) elem: Elem,
    pub(crate) layout: Layout,
    pub(crate) mutable: bool,
    /// Whose memory it is.
    pub(crate) place: Place,
    /// Counts as never written, for eager mode.
    pub(crate) undefined: bool,
    /// What launches may keep of it, if it never changes; borrowed as long as the argument.
    pub(crate) kept: Option<NonNull<Kept>>,
}

impl RawView {
    /// The axis of stride 1, the last one if there are several.
    pub(crate) fn unit_axis(&self) -> Option<u8> {
        self.layout.strides.iter().rposition(|&s| s == 1).map(|a| a as u8)
    }

    /// What a GPU's compiler may rely on.
    pub(super) fn gpu_spec(&self) -> ArgSpec {
        ArgSpec::for_gpu(self.ptr as u64, self.elem, &self.layout.dims, &self.layout.strides)
    }
}

impl<'a> Arg<'a> {
    pub(crate) fn new(raw: Raw) -> Self {
        Arg { raw, memory: PhantomData }
    }

    /// A view that the kernel reads.
    pub fn view<T: Element>(view: &TensorView<'a, T>) -> Arg<'a> {
        Arg::new(Raw::View(RawView {
            ptr: view.as_ptr().cast_mut().cast(),
            elem: T::ELEM,
            layout: view.layout().clone(),
            mutable: false,
            place: Place::Host,
            undefined: view.undefined(),
            kept: view.kept().map(NonNull::from),
        }))
    }

    /// A view that the kernel writes.
    pub fn view_mut<T: Element>(view: &'a mut TensorViewMut<'_, T>) -> Arg<'a> {
        Arg::new(Raw::View(RawView {
            ptr: view.as_ptr().cast(),
            elem: T::ELEM,
            layout: view.layout().clone(),
            mutable: true,
            place: Place::Host,
            undefined: view.undefined(),
            kept: None,
        }))
    }

    /// A tensor that the kernel reads.
    pub fn input<T: Element>(tensor: &'a Tensor<T>) -> Arg<'a> {
        Arg::view(&tensor.view())
    }

    /// A tensor that the kernel writes.
    pub fn output<T: Element>(tensor: &'a mut Tensor<T>) -> Arg<'a> {
        // The temporary view's address and layout are copied; the borrow of the tensor stays.
        let view = tensor.view_mut();
        Arg::new(Raw::View(RawView {
            ptr: view.as_ptr().cast(),
            elem: T::ELEM,
            layout: view.layout().clone(),
            mutable: true,
            place: Place::Host,
            undefined: view.undefined(),
            kept: None,
        }))
    }

    /// A tensor of run-time type that the kernel reads.
    pub fn dyn_input(tensor: &'a DynTensor) -> Arg<'a> {
        Arg::new(Raw::View(RawView {
            ptr: tensor.memory.as_ptr(),
            elem: tensor.elem,
            layout: tensor.layout.clone(),
            mutable: false,
            place: Place::Host,
            undefined: tensor.undefined,
            kept: None,
        }))
    }

    /// A tensor of run-time type that the kernel writes.
    pub fn dyn_output(tensor: &'a mut DynTensor) -> Arg<'a> {
        let undefined = std::mem::take(&mut tensor.undefined);
        Arg::new(Raw::View(RawView {
            ptr: tensor.memory.as_ptr(),
            elem: tensor.elem,
            layout: tensor.layout.clone(),
            mutable: true,
            place: Place::Host,
            undefined,
            kept: None,
        }))
    }

    /// A view by address; who calls vouches for the memory.
    pub(crate) fn over(
        address: u64,
        elem: Elem,
        dims: &[i64],
        strides: Option<&[i64]>,
        mutable: bool,
        place: Place,
    ) -> Result<Arg<'a>, ViewError> {
        let layout = match strides {
            Some(strides) => Layout::strided(dims, strides)?,
            None => Layout::contiguous(dims)?,
        };
        if address == 0 && !layout.is_empty() {
            return Err(ViewError::Null);
        }
        if !address.is_multiple_of(elem.bytes() as u64) {
            return Err(ViewError::Unaligned { address: address as usize, elem });
        }
        if mutable && !layout.is_injective() {
            return Err(ViewError::Overlap { dims: dims.to_vec(), strides: layout.strides.to_vec() });
        }
        Ok(Arg::new(Raw::View(RawView {
            ptr: std::ptr::with_exposed_provenance_mut(address as usize),
            elem,
            layout,
            mutable,
            place,
            undefined: false,
            kept: None,
        })))
    }

    /// What launches may keep of the memory, if it never changes.
    pub(crate) fn kept(&self) -> Option<(&RawView, &Kept)> {
        match &self.raw {
            // SAFETY: it came from a borrow that lasts as long as the argument (`Arg::view`).
            Raw::View(v) => v.kept.map(|kept| (v, unsafe { kept.as_ref() })),
            Raw::Scalar { .. } => None,
        }
    }

    /// A number.
    pub fn scalar<T: Element>(value: T) -> Arg<'a> {
        Arg::new(Raw::Scalar { elem: T::ELEM, bits: value.to_bits64() })
    }

    /// A number by its bits, in the low bytes.
    pub fn scalar_bits(elem: Elem, bits: u64) -> Arg<'a> {
        Arg::new(Raw::Scalar { elem, bits })
    }

    /// What a compiler for the CPU may rely on.
    pub fn spec(&self) -> ArgSpec {
        match &self.raw {
            Raw::View(v) => ArgSpec { unit_axis: v.unit_axis(), ..ArgSpec::default() },
            Raw::Scalar { .. } => ArgSpec::default(),
        }
    }

    /// What a compiler for a GPU may rely on.
    pub fn gpu_spec(&self) -> ArgSpec {
        match &self.raw {
            Raw::View(v) => v.gpu_spec(),
            Raw::Scalar { .. } => ArgSpec::default(),
        }
    }
}

/// A kernel's name with its generic arguments, put together only when shown.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    pub(crate) name: &'a str,
    pub(crate) generics: &'a str,
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.generics.is_empty() { Ok(()) } else { write!(f, "<{}>", self.generics) }
    }
}

/// Facts about each argument, for the compiler.
pub(crate) fn specs(args: &[Arg<'_>], facts: Facts) -> SmallVec<[ArgSpec; 8]> {
    match facts {
        Facts::Cpu => args.iter().map(Arg::spec).collect(),
        Facts::Gpu => args.iter().map(Arg::gpu_spec).collect(),
    }
}
