//! Everything that a file of kernels needs: `use kcc_dsl::prelude::*;`.

pub use crate::elem::{Bits, DotElem, Elem, F8E4M3, F8E5M2, Float, Int, Literal, Num, bf16, f16};
pub use crate::ir::{Cache, Precision};
pub use crate::kernel::{In, KernelDef, Out, Val};
pub use crate::program::{assume, num_programs, program_id};
pub use crate::shape::{BlockShape, D0, D1, D2, D3, Shape};
pub use crate::stage::loops::LoopOptions;
pub use crate::tile::{
    Col, Combine, Cube, Matrix, Row, Scalar, Tile, ToScalar, Vector, arange, dot, dot_acc, dot_scaled,
    dot_with, fill_where, fma, select,
};
pub use crate::view::{
    AcqRel, Acquire, BlockScope, DeviceScope, Index, Relaxed, Release, SubView, SubViewMut, SystemScope, View,
};
pub use crate::{Carried, function, kassert, kernel, kprint, philox};
