//! Kernels as values: what `#[kernel]` makes of a function.
//!
//! ```text
//! softmax::kernel::<f32, 1024>() : KernelDef<(In<f32, 2>, Out<f32, 2>, Val<f32>)>
//!    .trace()  → ir::Kernel                    .erased() → &KernelFn, for eager mode and caches
//! ```

use crate::exchange::{Diagnostic, Severity};
use crate::ir::{self, Loc, Param, validate};
use crate::stage::fail::quietly;
use crate::stage::tracer::Tracer;
use crate::stage::{Mode, with_mode};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

/// An argument that the kernel reads: a view of `T` of rank `R`.
pub struct In<T, const R: usize>(PhantomData<T>);
/// An argument that the kernel writes (and may read): a view of `T` of rank `R`.
pub struct Out<T, const R: usize>(PhantomData<T>);
/// A number given at launch.
pub struct Val<T>(PhantomData<T>);

/// A kernel with its generic arguments, without the types of its parameters.
#[derive(Clone, Debug)]
pub struct KernelFn {
    /// The function's name.
    pub name: &'static str,
    /// Generic arguments as the author would write them: `f32, 64, true`.
    pub generics: String,
    /// Path of the module that defines it.
    pub module_path: &'static str,
    /// Where it is defined.
    pub loc: Loc,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Calls the author's function with parameter `i` bound to value `i`. It works only while something listens:
    /// [`KernelFn::trace`], or [`crate::stage::with_engine`].
    pub body: fn(),
}

impl KernelFn {
    /// Records the kernel as tile IR.
    ///
    /// # Errors
    /// What the author's function did wrong, each with its line: a panic, a host index out of range, a value that
    /// leaves its loop, an ill-typed operation.
    pub fn trace(&self) -> Result<ir::Kernel, Vec<Diagnostic>> {
        let tracer = Rc::new(RefCell::new(Tracer::new(&self.params, self.loc.clone())));
        let ran = quietly(|| with_mode(Mode::Trace(tracer.clone()), self.body));
        if let Err(error) = ran {
            return Err(vec![error.unwrap_or_else(|_| Diagnostic {
                severity: Severity::Error,
                loc: Some(self.loc.clone()),
                message: format!("`{}` was left by unwinding", self.name),
                help: None,
            })]);
        }
        let tracer = tracer.replace(Tracer::new(&[], self.loc.clone()));
        let kernel = tracer.finish(self.name, &self.generics, self.params.clone());
        validate(&kernel)?;
        Ok(kernel)
    }
}

/// A kernel whose arguments have the types `A`: a tuple of [`In`], [`Out`] and [`Val`].
pub struct KernelDef<A> {
    kernel: KernelFn,
    args: PhantomData<fn() -> A>,
}

impl<A> KernelDef<A> {
    /// Used by the expansion of `#[kernel]`, which knows that `A` describes `kernel.params`.
    #[doc(hidden)]
    pub fn new(kernel: KernelFn) -> Self {
        KernelDef { kernel, args: PhantomData }
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.kernel.name
    }

    /// Generic arguments as the author would write them; empty if none.
    pub fn generics(&self) -> &str {
        &self.kernel.generics
    }

    /// Parameters in order.
    pub fn params(&self) -> &[Param] {
        &self.kernel.params
    }

    /// Records the kernel as tile IR; see [`KernelFn::trace`].
    ///
    /// # Errors
    /// What the author's function did wrong, each with its line.
    pub fn trace(&self) -> Result<ir::Kernel, Vec<Diagnostic>> {
        self.kernel.trace()
    }

    /// The kernel without the types of its parameters.
    pub fn erased(&self) -> &KernelFn {
        &self.kernel
    }

    /// The kernel without the types of its parameters.
    pub fn into_erased(self) -> KernelFn {
        self.kernel
    }
}

impl<A> Clone for KernelDef<A> {
    fn clone(&self) -> Self {
        KernelDef { kernel: self.kernel.clone(), args: PhantomData }
    }
}

/// An instance listed by `#[kernel(instances(<f32, 1024>))]`.
pub struct Registered {
    /// The function's name.
    pub name: &'static str,
    /// Path of the module that defines it.
    pub module_path: &'static str,
    /// Listed by `candidates(..)`: for the tuner to try, not for tools that compile a crate's kernels.
    pub candidate: bool,
    /// The kernel.
    pub def: fn() -> KernelFn,
}
inventory::collect!(Registered);

/// Every instance that the program's crates list, in no particular order.
pub fn registered() -> impl Iterator<Item = &'static Registered> {
    inventory::iter::<Registered>.into_iter()
}

/// How a generic argument is written: the last segment of a type's path.
#[doc(hidden)]
pub fn type_label<T: ?Sized>() -> String {
    let full = std::any::type_name::<T>();
    let head = full.split('<').next().unwrap_or(full);
    head.rsplit("::").next().unwrap_or(head).to_owned()
}
