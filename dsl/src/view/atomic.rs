//! Read-modify-write of elements that several programs touch.
//!
//! Ordering and scope are types: `y.atomic_add(i, mask, v, Relaxed, DeviceScope)`.

use super::{IndexTiles, View};
use crate::elem::{Int, Num};
use crate::ir::{AtomicOp, OpKind, Ordering, Scope};
use crate::shape::Shape;
use crate::stage::{emit1, tile_type};
use crate::tile::{Choice, MaskOf, Tile};

/// A memory ordering.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a memory ordering",
    label = "Relaxed, Acquire, Release or AcqRel"
)]
pub trait MemoryOrder {
    #[doc(hidden)]
    const ORDER: Ordering;
}

/// Who an atomic is visible to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scope of visibility",
    label = "BlockScope, DeviceScope or SystemScope"
)]
pub trait Visibility {
    #[doc(hidden)]
    const SCOPE: Scope;
}

macro_rules! markers {
    ($($trait:ident $const:ident $ty:ident: $($(#[$doc:meta])* $name:ident $variant:ident;)*)*) => {$($(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl $trait for $name {
            const $const: $ty = $ty::$variant;
        }
    )*)*};
}
markers! {
    MemoryOrder ORDER Ordering:
        /// Atomic, without order among other accesses.
        Relaxed Relaxed;
        /// Later accesses stay after it.
        Acquire Acquire;
        /// Earlier accesses stay before it.
        Release Release;
        /// Both.
        AcqRel AcqRel;
}
markers! {
    Visibility SCOPE Scope:
        /// Threads of one program.
        BlockScope Block;
        /// All programs of the device.
        DeviceScope Device;
        /// The device and the host.
        SystemScope System;
}

macro_rules! atomics {
    ($bound:ident: $($(#[$doc:meta])* $f:ident $op:ident;)*) => {
        impl<T: $bound, const R: usize> View<T, R> {
            $($(#[$doc])*
            /// One element per index, where the mask holds and the index is inside the view. Gives the values before,
            /// 0 where nothing was done.
            #[track_caller]
            pub fn $f<S: Shape, O: MemoryOrder, V: Visibility>(
                &mut self,
                index: impl IndexTiles<R, S>,
                mask: impl MaskOf<S>,
                value: impl Choice<T, S>,
                _ordering: O,
                _scope: V,
            ) -> Tile<T, S> {
                let mut operands = vec![self.id()];
                operands.extend(index.indices());
                operands.extend([mask.mask(), value.choice()]);
                let kind = OpKind::Atomic { op: AtomicOp::$op, ordering: O::ORDER, scope: V::SCOPE };
                Tile::from_id(emit1(kind, &operands, tile_type::<T, S>()))
            })*
        }
    };
}
atomics! { Num:
    /// Adds.
    atomic_add Add;
    /// Keeps the larger value.
    atomic_max Max;
    /// Keeps the smaller value.
    atomic_min Min;
    /// Exchanges.
    atomic_xchg Xchg;
}
atomics! { Int:
    /// Bitwise and.
    atomic_and And;
    /// Bitwise or.
    atomic_or Or;
    /// Bitwise exclusive or.
    atomic_xor Xor;
}

impl<T: Int, const R: usize> View<T, R> {
    /// Writes `new` where the element equals `expected`; gives the values before, 0 where nothing was done.
    #[track_caller]
    pub fn atomic_cas<S: Shape, O: MemoryOrder, V: Visibility>(
        &mut self,
        index: impl IndexTiles<R, S>,
        mask: impl MaskOf<S>,
        (expected, new): (impl Choice<T, S>, impl Choice<T, S>),
        _ordering: O,
        _scope: V,
    ) -> Tile<T, S> {
        let mut operands = vec![self.id()];
        operands.extend(index.indices());
        operands.extend([mask.mask(), expected.choice(), new.choice()]);
        let kind = OpKind::AtomicCas { ordering: O::ORDER, scope: V::SCOPE };
        Tile::from_id(emit1(kind, &operands, tile_type::<T, S>()))
    }
}
