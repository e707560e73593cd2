//! What a kernel's parameters may be, and how the recorder binds them: parameter `i` is value `i`.

use crate::elem::Elem;
use crate::ir::{ParamKind, ValueId};
use crate::kernel::{In, Out, Val};
use crate::shape::D0;
use crate::tile::Tile;
use crate::view::View;

/// A type that a kernel's parameter may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a kernel's parameter",
    label = "not a kernel parameter",
    note = "a kernel takes `&View<T, R>` (read), `&mut View<T, R>` (written) and `Scalar<T>` (a number given at launch); compile-time values are const generics"
)]
pub trait KernelParam {
    /// What a launch passes for it.
    type Marker;
    /// What holds it while the kernel's body runs.
    type Slot;
    /// View or scalar.
    const KIND: ParamKind;
    /// The holder of parameter `i`.
    fn slot(i: u32) -> Self::Slot;
}

impl<T: Elem, const R: usize> KernelParam for &View<T, R> {
    type Marker = In<T, R>;
    type Slot = View<T, R>;
    const KIND: ParamKind = ParamKind::View { elem: T::ELEM, rank: R, mutable: false };
    fn slot(i: u32) -> View<T, R> {
        View::from_id(ValueId(i))
    }
}
impl<T: Elem, const R: usize> KernelParam for &mut View<T, R> {
    type Marker = Out<T, R>;
    type Slot = View<T, R>;
    const KIND: ParamKind = ParamKind::View { elem: T::ELEM, rank: R, mutable: true };
    fn slot(i: u32) -> View<T, R> {
        View::from_id(ValueId(i))
    }
}
impl<T: Elem> KernelParam for Tile<T, D0> {
    type Marker = Val<T>;
    type Slot = Tile<T, D0>;
    const KIND: ParamKind = ParamKind::Scalar(T::ELEM);
    fn slot(i: u32) -> Tile<T, D0> {
        Tile::from_id(ValueId(i))
    }
}
