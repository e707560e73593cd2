//! The `kt` dialect: what upstream MLIR lacks for tile kernels, defined in IRDL and loaded into each context.
//!
//! ```text
//! tile IR          kt module
//! f32[64, 8]       tensor<64x8xf32>        view<u8, 2>     !kt.view<ui8, 2>
//! add on f32       arith.addf              add on u32      kt.add      (arith knows no unsigned types)
//! for, while, if   scf.for, .while, .if    reduce_with     kt.reduce_with {combine = @f}
//! ```

pub mod constant;
pub mod effects;
pub mod elementwise;
pub mod types;

use crate::error::{Error, bug};
use crate::mlir;
use melior::Context;
use melior::utility::load_irdl_dialects;

/// The definition of the dialect.
pub const DEFINITION: &str = include_str!("kt.irdl.mlir");

/// Attribute of the function that is the kernel.
pub const KERNEL: &str = "kt.kernel";
/// Attribute of the kernel: its generic arguments.
pub const GENERICS: &str = "kt.generics";
/// Attribute of a parameter: the author's name for it.
pub const NAME: &str = "kt.name";
/// Attribute of a view parameter that the kernel may write.
pub const MUTABLE: &str = "kt.mutable";
/// Attribute of `scf.for`: software-pipelining stages asked for.
pub const STAGES: &str = "kt.stages";

/// Room for operands and results of different types: IRDL wants the parts of one variadic list to be of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Operands at most.
    pub operands: usize,
    /// Results at most.
    pub results: usize,
}

/// The slots of an operation that has them.
pub fn slots(name: &str) -> Option<Slots> {
    match name {
        "kt.reduce_with" | "kt.scan_with" => Some(Slots { operands: 24, results: 8 }),
        "kt.print" => Some(Slots { operands: 16, results: 0 }),
        _ => None,
    }
}

impl Slots {
    /// The attributes that say which slots are filled: the first ones; `None` if there are too few.
    pub fn attributes(self, operands: usize, results: usize) -> Option<Vec<String>> {
        if operands > self.operands || results > self.results {
            return None;
        }
        let sizes = |filled: usize, all: usize| -> String {
            let ones: Vec<&str> = (0..all).map(|i| if i < filled { "1" } else { "0" }).collect();
            ones.join(", ")
        };
        let mut attrs = vec![format!("operandSegmentSizes = array<i32: {}>", sizes(operands, self.operands))];
        if self.results > 0 {
            attrs.push(format!("resultSegmentSizes = array<i32: {}>", sizes(results, self.results)));
        }
        Some(attrs)
    }
}

/// Loads the dialect into a context.
///
/// # Errors
/// A bug of ours: the definition does not load.
pub fn load(context: &Context) -> Result<(), Error> {
    // What upstream operations of a kt module belong to; IRDL's own operations hold the definition.
    for name in ["func", "arith", "math", "scf", "irdl"] {
        context.get_or_load_dialect(name);
    }
    let definition =
        mlir::parse(context, DEFINITION, "kt.irdl.mlir").map_err(|e| e.into_bug("the kt dialect"))?;
    if load_irdl_dialects(&definition) { Ok(()) } else { Err(bug("the kt dialect does not load")) }
}
