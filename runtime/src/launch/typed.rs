//! Launches that rustc checks: argument types follow from the kernel's signature.

use super::{Arg, IntoGrid, LaunchOptions, Prepared};
use crate::device::Device;
use crate::error::Result;
use crate::tensor::{Frozen, Tensor, TensorView, TensorViewMut};
use kcc_dsl::elem::Elem as Element;
use kcc_dsl::{In, KernelDef, Out, Val};
use smallvec::SmallVec;

/// What may be given for a parameter described by `P`: [`In`], [`Out`] or [`Val`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for this parameter of the kernel",
    note = "a `&View<T, R>` takes `&Tensor<T>`, `&Frozen<T>` or `&TensorView<T>`, a `&mut View<T, R>` takes `&mut Tensor<T>` or `&mut TensorViewMut<T>`, a `Scalar<T>` takes a `T`"
)]
pub trait Argument<P> {
    /// The argument without its type; valid as long as `self` is borrowed.
    fn lower(&mut self) -> Arg<'_>;
}

impl<T: Element, const R: usize> Argument<In<T, R>> for &Tensor<T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::input(self)
    }
}
impl<T: Element, const R: usize> Argument<In<T, R>> for &Frozen<T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::view(&self.view())
    }
}
impl<T: Element, const R: usize> Argument<In<T, R>> for &TensorView<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::view(self)
    }
}
impl<T: Element, const R: usize> Argument<In<T, R>> for TensorView<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::view(self)
    }
}
impl<T: Element, const R: usize> Argument<Out<T, R>> for &mut Tensor<T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::output(self)
    }
}
impl<T: Element, const R: usize> Argument<Out<T, R>> for &mut TensorViewMut<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::view_mut(self)
    }
}
impl<T: Element, const R: usize> Argument<Out<T, R>> for TensorViewMut<'_, T> {
    fn lower(&mut self) -> Arg<'_> {
        Arg::view_mut(self)
    }
}
impl<T: Element> Argument<Val<T>> for T {
    fn lower(&mut self) -> Arg<'_> {
        Arg::scalar(*self)
    }
}

/// A tuple of arguments for a kernel whose parameters are described by the tuple `A`.
#[diagnostic::on_unimplemented(
    message = "these arguments do not fit the kernel's parameters",
    note = "give one tuple with one argument per parameter, in order: `(&x, &mut y, 0.5)`"
)]
pub trait Arguments<A> {
    /// The arguments without their types.
    #[doc(hidden)]
    fn lower(&mut self) -> SmallVec<[Arg<'_>; 8]>;
}

macro_rules! tuples {
    ($($x:ident $p:ident),*) => {
        impl<$($x: Argument<$p>, $p),*> Arguments<($($p,)*)> for ($($x,)*) {
            #[allow(non_snake_case)]
            fn lower(&mut self) -> SmallVec<[Arg<'_>; 8]> {
                let ($($x,)*) = self;
                let mut list = SmallVec::new();
                $(list.push($x.lower());)*
                list
            }
        }
    };
}
tuples!(A PA);
tuples!(A PA, B PB);
tuples!(A PA, B PB, C PC);
tuples!(A PA, B PB, C PC, D PD);
tuples!(A PA, B PB, C PC, D PD, E PE);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL, M PM);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL, M PM, N PN);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL, M PM, N PN, O PO);
tuples!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL, M PM, N PN, O PO, Q PQ);

/// Launching kernels: a method on what `#[kernel]` makes of a function.
///
/// ```
/// use kcc_dsl::prelude::*;
/// use kcc_runtime::{Device, Launch, Tensor};
///
/// /// y = a · x, in blocks of `N`. Grid: (blocks).
/// #[kernel]
/// fn scale<const N: usize>(x: &View<f32, 1>, y: &mut View<f32, 1>, a: Scalar<f32>) {
///     let at = program_id(0) * N;
///     y.store(at, x.load::<N>(at) * a);
/// }
///
/// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], &[3])?;
/// let mut y = Tensor::empty(&[3])?;
/// scale::kernel::<2>().launch(&Device::eager(), 2, (&x, &mut y, 0.5))?;
/// assert_eq!(y.as_slice(), [0.5, 1.0, 1.5]);
/// # Ok::<(), kcc_runtime::Error>(())
/// ```
pub trait Launch<A> {
    /// Runs the kernel on every program of `grid` and waits for its end. Where every view that the kernel writes is
    /// empty, nothing runs.
    ///
    /// # Errors
    /// Arguments that do not fit, a grid without programs, an error of the compiler, a failed assertion.
    fn launch<X: Arguments<A>>(&self, device: &Device, grid: impl IntoGrid, args: X) -> Result<()>;

    /// As [`Launch::launch`], with options.
    ///
    /// # Errors
    /// As [`Launch::launch`].
    fn launch_with<X: Arguments<A>>(
        &self,
        device: &Device,
        grid: impl IntoGrid,
        args: X,
        options: &LaunchOptions,
    ) -> Result<()>;

    /// Compiles the kernel for arguments laid out like these, so that launches of it look nothing up.
    ///
    /// # Errors
    /// As [`Launch::launch`]; nothing runs.
    fn prepare<X: Arguments<A>>(
        &self,
        device: &Device,
        args: X,
        options: &LaunchOptions,
    ) -> Result<Prepared<A>>;
}

impl<A> Launch<A> for KernelDef<A> {
    fn launch<X: Arguments<A>>(&self, device: &Device, grid: impl IntoGrid, args: X) -> Result<()> {
        self.launch_with(device, grid, args, &LaunchOptions::default())
    }

    fn launch_with<X: Arguments<A>>(
        &self,
        device: &Device,
        grid: impl IntoGrid,
        mut args: X,
        options: &LaunchOptions,
    ) -> Result<()> {
        device.launch(self.erased(), grid, &args.lower(), options)
    }

    fn prepare<X: Arguments<A>>(
        &self,
        device: &Device,
        mut args: X,
        options: &LaunchOptions,
    ) -> Result<Prepared<A>> {
        Prepared::new(device, self.erased(), &args.lower(), options)
    }
}
