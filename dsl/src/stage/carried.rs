//! Variables that a run-time loop or branch assigns: the values that it takes and gives.

use crate::elem::Elem;
use crate::ir::{Type, ValueId};
use crate::shape::{D1, Shape};
use crate::stage::tile_type;
use crate::tile::{Col, Row, Tile};

/// What a run-time loop or branch can carry: tiles, tuples and arrays of them, and structs with [`#[derive(Carried)]`](crate::Carried).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a compile-time value and cannot change inside a run-time loop or branch",
    label = "a variable that is assigned under a run-time `for`, `while` or `if` must be a tile",
    note = "make it a run-time value with `Scalar::full(value)`, or loop over a compile-time range such as `0..4`"
)]
pub trait Carried: Clone {
    /// Appends the values.
    #[doc(hidden)]
    fn ids(&self, out: &mut Vec<ValueId>);
    /// Appends the values' types.
    #[doc(hidden)]
    fn types(&self, out: &mut Vec<Type>);
    /// The same structure with other values.
    #[doc(hidden)]
    fn rebuild(&self, ids: &mut dyn Iterator<Item = ValueId>) -> Self;
}

/// The values of `c` and their types.
pub(crate) fn flatten<C: Carried>(c: &C) -> (Vec<ValueId>, Vec<Type>) {
    let (mut ids, mut types) = (Vec::new(), Vec::new());
    c.ids(&mut ids);
    c.types(&mut types);
    (ids, types)
}

/// `like` with these values.
pub(crate) fn rebuild<C: Carried>(like: &C, ids: &[ValueId]) -> C {
    like.rebuild(&mut ids.iter().copied())
}

#[diagnostic::do_not_recommend]
impl<T: Elem, S: Shape> Carried for Tile<T, S> {
    fn ids(&self, out: &mut Vec<ValueId>) {
        out.push(self.id());
    }
    fn types(&self, out: &mut Vec<Type>) {
        out.push(tile_type::<T, S>());
    }
    fn rebuild(&self, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
        Tile::from_id(ids.next().unwrap_or(self.id()))
    }
}

macro_rules! oriented {
    ($($t:ident),*) => {$(
        impl<T: Elem, const N: usize> Carried for $t<T, N> {
            fn ids(&self, out: &mut Vec<ValueId>) {
                out.push(self.vector().id());
            }
            fn types(&self, out: &mut Vec<Type>) {
                out.push(tile_type::<T, D1<N>>());
            }
            fn rebuild(&self, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
                $t::new(self.vector().rebuild(ids))
            }
        }
    )*};
}
oriented!(Col, Row);

impl<C: Carried, const N: usize> Carried for [C; N] {
    fn ids(&self, out: &mut Vec<ValueId>) {
        self.iter().for_each(|c| c.ids(out));
    }
    fn types(&self, out: &mut Vec<Type>) {
        self.iter().for_each(|c| c.types(out));
    }
    fn rebuild(&self, ids: &mut dyn Iterator<Item = ValueId>) -> Self {
        std::array::from_fn(|i| self[i].rebuild(ids))
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),*))*) => {$(
        impl<$($t: Carried),*> Carried for ($($t,)*) {
            fn ids(&self, _out: &mut Vec<ValueId>) {
                $(self.$i.ids(_out);)*
            }
            fn types(&self, _out: &mut Vec<Type>) {
                $(self.$i.types(_out);)*
            }
            #[allow(clippy::unused_unit)]
            fn rebuild(&self, _ids: &mut dyn Iterator<Item = ValueId>) -> Self {
                ($(self.$i.rebuild(_ids),)*)
            }
        }
    )*};
}
tuples! {
    () (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5) (A 0, B 1, C 2, D 3, E 4, F 5, G 6) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}
