//! Launches: what a kernel is given, how that is checked, and how many programs run.
//!
//! ```text
//! softmax::kernel::<f32, 1024>().launch(&device, rows, (&x, &mut y, 0.5))    typed.rs: checked by rustc
//! device.launch(&kernel_fn, grid, &[Arg::input(&x), …], &options)            check.rs: checked at run time
//! kernel.prepare(&device, &args)                                             prepared.rs: looked up once
//! ```

mod arg;
mod check;
mod grid;
mod options;
mod prepared;
mod typed;

pub use arg::Arg;
pub use grid::{Extent, IntoGrid};
pub use options::{How, LaunchOptions, PrintHandler, Stream, Workspace};
pub use prepared::Prepared;
pub use typed::{Argument, Arguments, Launch};

pub(crate) use arg::{Facts, Label, Place, Raw, RawView, specs};
pub(crate) use check::{check, check_memory, check_specs, check_types, has_layout, has_type, has_unit_axis};
pub(crate) use grid::check_grid;
