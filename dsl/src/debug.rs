//! Printing and checking inside a kernel.

use crate::ir::{OpKind, ValueId};
use crate::shape::Shape;
use crate::stage::emit;
use crate::stage::fail::fail;
use crate::tile::{Staged, Tile};

/// What `kprint!` can show.
#[diagnostic::on_unimplemented(
    message = "`kprint!` cannot show `{Self}`",
    label = "not a tile",
    note = "a host value is known while tracing: print it with `println!`"
)]
pub trait Printable {
    #[doc(hidden)]
    fn printed(self) -> ValueId;
}
impl<V: Staged> Printable for V {
    fn printed(self) -> ValueId {
        self.value()
    }
}

/// The form of `kprint!`.
#[doc(hidden)]
#[track_caller]
pub fn print(format: &str, values: &[ValueId]) {
    let holes = format.matches("{}").count();
    if holes != values.len() {
        fail(
            format!("`kprint!` has {holes} `{{}}` and {} values", values.len()),
            "write one `{}` for each value; other forms such as `{:?}` are not known",
        );
    }
    emit(OpKind::Print { format: format.to_owned() }, values, &[]);
}

/// The form of `kassert!`.
#[doc(hidden)]
#[track_caller]
pub fn assert<S: Shape>(mask: Tile<bool, S>, message: &str) {
    emit(OpKind::Assert { message: message.to_owned() }, &[mask.id()], &[]);
}

/// Prints from inside a kernel when it runs: `kprint!("row {} max {}", row, max)`. Each `{}` shows the next tile.
#[macro_export]
macro_rules! kprint {
    ($format:literal $(, $value:expr)* $(,)?) => {
        $crate::debug::print($format, &[$($crate::debug::Printable::printed($value)),*])
    };
}

/// Stops the launch with the message and the source line if an element of the mask does not hold:
/// `kassert!(length.gt_(0), "empty row")`.
#[macro_export]
macro_rules! kassert {
    ($mask:expr, $message:literal $(,)?) => {
        $crate::debug::assert($mask, $message)
    };
    ($mask:expr $(,)?) => {
        $crate::debug::assert($mask, concat!("assertion failed: ", stringify!($mask)))
    };
}
