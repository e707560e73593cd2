//! The eager device: runs a kernel's own function with every access checked, on copies of the arguments.
//!
//! ```text
//! views ── copy in ──▶ EagerBuffer, one per view ── eager::run ──▶ copy out what may be written
//! ```

use crate::error::{Error, Result};
use crate::launch::{Arg, PrintHandler, Raw, RawView};
use kcc_dsl::KernelFn;
use kcc_dsl::eager::{self, EagerArg, EagerBuffer};
use kcc_dsl::ir::Kernel;

/// What runs: the author's function, or recorded IR.
pub(crate) enum Body<'a> {
    Native(&'a KernelFn),
    Recorded(&'a Kernel),
}

/// The elements of a view, row-major.
fn copy_in(v: &RawView) -> EagerBuffer {
    let size = v.elem.bytes();
    if v.undefined {
        return EagerBuffer::uninitialized(v.elem, v.layout.count());
    }
    let mut bytes = Vec::with_capacity(v.layout.count() * size);
    v.layout.for_each(|o| {
        // SAFETY: the view's elements are readable while its argument is borrowed.
        bytes.extend_from_slice(unsafe {
            std::slice::from_raw_parts(v.ptr.offset(o as isize * size as isize), size)
        });
    });
    EagerBuffer::from_bytes(v.elem, bytes)
}

fn copy_out(v: &RawView, buffer: &EagerBuffer) {
    let size = v.elem.bytes();
    let mut from = buffer.bytes().chunks_exact(size);
    v.layout.for_each(|o| {
        if let Some(element) = from.next() {
            // SAFETY: the view is mutable, its elements writable while its argument is borrowed; `element` is ours.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    element.as_ptr(),
                    v.ptr.offset(o as isize * size as isize),
                    size,
                );
            }
        }
    });
}

/// Runs every program; what was written before an error is copied out too, as it would be on any device.
pub(crate) fn run(
    body: &Body<'_>,
    label: &dyn std::fmt::Display,
    grid: [i64; 3],
    args: &[Arg<'_>],
    print: &PrintHandler,
) -> Result<()> {
    let mut buffers = Vec::new();
    let mut eager_args = Vec::with_capacity(args.len());
    for arg in args {
        eager_args.push(match &arg.raw {
            Raw::Scalar { bits, .. } => EagerArg::Scalar(*bits),
            Raw::View(v) => {
                buffers.push(copy_in(v));
                EagerArg::dense(buffers.len() - 1, &v.layout.dims, v.mutable)
            }
        });
    }
    let grid = grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let print = print.clone();
    let mut options =
        eager::Options { on_print: Some(Box::new(move |text| print(text))), ..Default::default() };
    let result = match body {
        Body::Native(kernel) => eager::run(kernel, grid, &mut buffers, &eager_args, &mut options),
        Body::Recorded(kernel) => eager::interpret(kernel, grid, &mut buffers, &eager_args, &mut options),
    };
    let views = args.iter().filter_map(|a| match &a.raw {
        Raw::View(v) => Some(v),
        Raw::Scalar { .. } => None,
    });
    for (v, buffer) in views.zip(&buffers) {
        if v.mutable {
            copy_out(v, buffer);
        }
    }
    result.map(|_| ()).map_err(|e| {
        let mut diagnostic = e.diagnostic;
        if let Some([x, y, z]) = e.program {
            diagnostic.message.push_str(&format!(" (in program ({x}, {y}, {z}))"));
        }
        Error::Stopped { kernel: label.to_string(), diagnostic: Box::new(diagnostic) }
    })
}
