//! Where operations go: every operation of the DSL ends in `emit`, which hands it to whatever is listening on this
//! thread.
//!
//! ```text
//! a + b  →  emit(Binary(Add), [a, b])  →  Tracer   (records the tile IR)
//!                                      →  Engine   (executes at once: eager mode)
//!                                      →  nobody   (panics: a kernel is launched or traced, not called)
//! ```

pub mod carried;
pub mod compare;
pub mod control;
pub mod engine;
pub mod fail;
pub mod logic;
pub mod loops;
pub mod params;
pub mod range;
pub mod tracer;

pub use carried::Carried;
pub use engine::{Engine, with_engine};

use crate::elem::Elem;
use crate::ir::{Const, OpKind, TileType, Type, ValueId};
use crate::shape::Shape;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use tracer::Tracer;

/// What listens on this thread.
#[derive(Clone, Default)]
pub(crate) enum Mode {
    /// Nothing: no kernel is being traced or run.
    #[default]
    None,
    /// Operations are recorded.
    Trace(Rc<RefCell<Tracer>>),
    /// Operations are executed.
    Run(Rc<RefCell<dyn Engine>>),
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::None) };
}

/// Runs `f` with `mode` listening, and restores what listened before, also when `f` unwinds.
pub(crate) fn with_mode<R>(mode: Mode, f: impl FnOnce() -> R) -> R {
    struct Restore(Mode);
    impl Drop for Restore {
        fn drop(&mut self) {
            MODE.with(|m| std::mem::swap(&mut *m.borrow_mut(), &mut self.0));
        }
    }
    let _restore = Restore(MODE.with(|m| m.replace(mode)));
    f()
}

/// What listens on this thread, or a panic that says how kernels are run.
#[track_caller]
pub(crate) fn mode() -> Mode {
    let mode = MODE.with(|m| m.borrow().clone());
    if matches!(mode, Mode::None) {
        panic!(
            "tiles exist only while a kernel is traced or run: launch the kernel on a device, or record it with \
             `name::kernel().trace()`"
        );
    }
    mode
}

/// Records or executes one operation without regions.
#[track_caller]
pub(crate) fn emit(kind: OpKind, operands: &[ValueId], results: &[Type]) -> Vec<ValueId> {
    let loc = Location::caller();
    match mode() {
        Mode::Trace(t) => t.borrow_mut().op(kind, operands, results, loc),
        Mode::Run(e) => e.borrow_mut().op(kind, operands, results, loc),
        Mode::None => Vec::new(),
    }
}

/// [`emit`] for operations of one result.
#[track_caller]
pub(crate) fn emit1(kind: OpKind, operands: &[ValueId], result: Type) -> ValueId {
    emit(kind, operands, &[result])[0]
}

/// The IR type of a tile.
pub(crate) fn tile_type<T: Elem, S: Shape>() -> Type {
    Type::Tile(TileType::new(T::ELEM, S::DIMS))
}

/// A tile with every element the same constant.
#[track_caller]
pub(crate) fn constant<T: Elem, S: Shape>(value: Const) -> ValueId {
    emit1(OpKind::Constant(value), &[], tile_type::<T, S>())
}
