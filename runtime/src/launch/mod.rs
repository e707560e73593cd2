//! Launches: what a kernel is given, how that is checked, and how many programs run.
//!
//! ```text
//! softmax::kernel::<f32, 1024>().launch(&device, rows, (&x, &mut y, 0.5))    typed.rs: checked by rustc
//! device.launch(&kernel_fn, grid, &[Arg::input(&x), …], &options)            arg.rs: checked at run time
//! kernel.prepare(&device, &args)                                             prepared.rs: looked up once
//! ```

mod arg;
mod grid;
mod options;
mod prepared;
mod typed;

pub use arg::Arg;
pub use grid::{Extent, IntoGrid};
pub use options::{LaunchOptions, PrintHandler, Stream};
pub use prepared::Prepared;
pub use typed::{Argument, Arguments, Launch};

pub(crate) use arg::{Facts, Label, Place, Raw, RawView, check, check_specs, specs};
pub(crate) use grid::check_grid;
