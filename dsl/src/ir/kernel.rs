//! A recorded kernel: parameters, values, and a tree of blocks of operations.

use super::op::OpKind;
use super::types::{Elem, Type};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::cell::Cell;
use std::fmt;

/// A value: an index into [`Kernel::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// A source location: an index into [`Kernel::locs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocId(pub u32);

/// A place in the author's source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loc {
    /// File as rustc names it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    /// What it does.
    pub kind: OpKind,
    /// Operands, in the order that [`OpKind`] states.
    pub operands: Vec<ValueId>,
    /// Results.
    pub results: Vec<ValueId>,
    /// Regions ([`OpKind::regions`] of them).
    pub regions: Vec<Block>,
    /// Where the author wrote it.
    pub loc: LocId,
}

/// A list of operations with arguments and yielded values. Reading one that is nested more than 128 blocks deep is an error:
/// readers recurse, and validation refuses far less.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Block {
    /// Arguments, defined by this block.
    pub args: Vec<ValueId>,
    /// Operations in order.
    pub ops: Vec<Op>,
    /// What the block yields to the operation that owns it.
    pub yields: Vec<ValueId>,
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Block, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Block")]
        struct Plain {
            args: Vec<ValueId>,
            ops: Vec<Op>,
            yields: Vec<ValueId>,
        }
        let level = Level::enter().ok_or_else(|| D::Error::custom("blocks are nested too deep"))?;
        let Plain { args, ops, yields } = Plain::deserialize(d)?;
        drop(level);
        Ok(Block { args, ops, yields })
    }
}

/// Blocks that this thread is reading, one inside the other.
struct Level;

impl Level {
    const MOST: u32 = 128;

    fn enter() -> Option<Level> {
        DEPTH.with(|d| {
            let deeper = d.get() + 1;
            (deeper <= Level::MOST).then(|| d.set(deeper)).map(|()| Level)
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.with(|d| d.set(d.get() - 1));
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What a kernel parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParamKind {
    /// A view; `mutable` if it is written.
    View {
        /// Element type in memory.
        elem: Elem,
        /// Number of axes.
        rank: usize,
        /// Whether the kernel may write it.
        mutable: bool,
    },
    /// A scalar passed at launch.
    Scalar(Elem),
}

impl ParamKind {
    /// The type of the parameter's value.
    pub fn ty(self) -> Type {
        match self {
            ParamKind::View { elem, rank, .. } => Type::View { elem, rank },
            ParamKind::Scalar(elem) => Type::Tile(super::types::TileType::scalar(elem)),
        }
    }
}

/// A kernel parameter. Parameter `i` is the value `ValueId(i)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Param {
    /// The author's name for it.
    pub name: String,
    /// View or scalar.
    pub kind: ParamKind,
}

/// A recorded kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// Function name, a valid identifier: `softmax`.
    pub name: String,
    /// Its generic arguments as the author would write them: `f32, 64, true`; empty if none.
    pub generics: String,
    /// Parameters; their values come first in `values`.
    pub params: Vec<Param>,
    /// Type of each value.
    pub values: Vec<Type>,
    /// Source locations; entry 0 is the kernel's own.
    pub locs: Vec<Loc>,
    /// The body; takes no arguments and yields nothing.
    pub body: Block,
}

impl Kernel {
    /// Type of a value.
    pub fn ty(&self, v: ValueId) -> &Type {
        &self.values[v.0 as usize]
    }

    /// Place of an operation.
    pub fn loc(&self, id: LocId) -> &Loc {
        &self.locs[id.0 as usize]
    }

    /// A symbol that is unique to the kernel and its generic arguments: letters, digits and `_` only.
    pub fn symbol(&self) -> String {
        let mut s = self.name.clone();
        if !self.generics.is_empty() {
            s.push_str("__");
            for c in self.generics.chars() {
                match c {
                    c if c.is_ascii_alphanumeric() || c == '_' => s.push(c),
                    ',' => s.push('_'),
                    '-' => s.push('m'),
                    _ => {}
                }
            }
        }
        s
    }

    /// Every operation, outer before inner, in order.
    pub fn walk(&self, f: &mut impl FnMut(&Op)) {
        fn go(b: &Block, f: &mut impl FnMut(&Op)) {
            for op in &b.ops {
                f(op);
                for r in &op.regions {
                    go(r, f);
                }
            }
        }
        go(&self.body, f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Block {
        let mut block = Block::default();
        for _ in 0..depth {
            let op = Op {
                kind: OpKind::If,
                operands: vec![],
                results: vec![],
                regions: vec![block],
                loc: LocId(0),
            };
            block = Block { ops: vec![op], ..Block::default() };
        }
        block
    }

    #[test]
    fn blocks_nested_too_deep_are_an_error_and_no_overflow() {
        for (depth, fits) in [(0, true), (64, true), (127, true), (128, false), (2000, false)] {
            let bytes = postcard::to_stdvec(&nested(depth)).unwrap();
            let read = postcard::from_bytes::<Block>(&bytes);
            assert_eq!(read.is_ok(), fits, "{depth}");
            // A failure leaves nothing behind.
            assert!(postcard::from_bytes::<Block>(&postcard::to_stdvec(&nested(100)).unwrap()).is_ok());
        }
    }
}
