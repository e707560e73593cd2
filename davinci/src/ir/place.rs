//! Values of the scalar unit, and where data lies: buffers of a core's memories, and global memory.

use kcc_dsl::ir::Elem;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A scalar register of a core (`%3`): 64 bits wide, assigned by [`super::Stmt::Let`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reg(pub u32);

/// A number that an instruction takes: known when the kernel is compiled, or in a register when it is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Val {
    /// A constant. Where a float is meant, the bits of an `f32`.
    Const(i64),
    /// A register's value at the time of issue.
    Reg(Reg),
}

impl Val {
    /// The constant, if it is one.
    pub fn known(self) -> Option<i64> {
        match self {
            Val::Const(c) => Some(c),
            Val::Reg(_) => None,
        }
    }
}

impl From<i64> for Val {
    fn from(c: i64) -> Val {
        Val::Const(c)
    }
}

impl From<Reg> for Val {
    fn from(r: Reg) -> Val {
        Val::Reg(r)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Val::Const(c) => c.fmt(f),
            Val::Reg(r) => r.fmt(f),
        }
    }
}

impl Serialize for Val {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Val::Const(c) => s.serialize_i64(*c),
            Val::Reg(r) => s.collect_str(r),
        }
    }
}

impl<'de> Deserialize<'de> for Val {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Val, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(i64),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::Number(c) => Ok(Val::Const(c)),
            Form::Text(t) => {
                parse_val(&t).ok_or_else(|| D::Error::custom(format!("`{t}` is no number or register")))
            }
        }
    }
}

fn parse_val(text: &str) -> Option<Val> {
    match text.strip_prefix('%') {
        Some(r) => r.parse().ok().map(|r| Val::Reg(Reg(r))),
        None => text.parse().ok().map(Val::Const),
    }
}

/// A memory of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Unified buffer of a vector core.
    Ub,
    /// First-level buffer of a cube core.
    L1,
    /// Left operand of products.
    L0a,
    /// Right operand of products.
    L0b,
    /// Accumulators.
    L0c,
}

impl Space {
    /// All of them.
    pub const ALL: [Space; 5] = [Space::Ub, Space::L1, Space::L0a, Space::L0b, Space::L0c];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Space::Ub => "ub",
            Space::L1 => "l1",
            Space::L0a => "l0a",
            Space::L0b => "l0b",
            Space::L0c => "l0c",
        }
    }

    /// The kind of core that has it.
    pub fn core(self) -> CoreKind {
        if self == Space::Ub { CoreKind::Vector } else { CoreKind::Cube }
    }
}

/// The two kinds of core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoreKind {
    /// Matrix products.
    Cube,
    /// Everything else.
    Vector,
}

/// How a buffer's bytes hold a matrix. A fractal is 16 rows of 32 bytes (512 bytes); accumulators have fractals of 16 × 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Row after row.
    Nd,
    /// Columns of fractals, rows inside a fractal.
    Nz,
    /// Rows of fractals, rows inside a fractal.
    Zz,
    /// Rows of fractals, columns inside a fractal.
    Zn,
}

/// A buffer in a core's memory: `slots` pieces of `bytes` bytes each, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Name, unique in the program.
    pub name: String,
    /// The memory it lies in.
    pub space: Space,
    /// What it holds.
    pub elem: Elem,
    /// How matrices lie in it.
    pub layout: Layout,
    /// Bytes of a slot.
    pub bytes: u32,
    /// Slots, for double buffering.
    pub slots: u32,
    /// Address of the first byte; `None` until addresses are assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u32>,
}

impl Buffer {
    /// Bytes of all slots.
    pub fn total(&self) -> u64 {
        u64::from(self.bytes) * u64::from(self.slots)
    }
}

/// A place in a buffer: `name+offset`, offset in bytes from the first slot's start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// Index into the program's buffers.
    pub buffer: u32,
    /// Bytes from the buffer's start.
    pub offset: Val,
}

impl Local {
    /// A place in a buffer.
    pub fn new(buffer: u32, offset: impl Into<Val>) -> Local {
        Local { buffer, offset: offset.into() }
    }
}

/// A place in global memory: a parameter's pointer, or the workspace, and an offset in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Global {
    /// Index of the parameter; `None` for the workspace.
    pub param: Option<u32>,
    /// Bytes from the base; may be negative under negative strides.
    pub offset: Val,
}

impl Global {
    /// A place in a parameter's memory.
    pub fn of(param: u32, offset: impl Into<Val>) -> Global {
        Global { param: Some(param), offset: offset.into() }
    }

    /// A place in the workspace.
    pub fn workspace(offset: impl Into<Val>) -> Global {
        Global { param: None, offset: offset.into() }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}+{}", self.buffer, self.offset)
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.param {
            Some(p) => write!(f, "p{p}+{}", self.offset),
            None => write!(f, "ws+{}", self.offset),
        }
    }
}

impl Serialize for Local {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Global {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Local {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Local, D::Error> {
        let text = String::deserialize(d)?;
        let parse = || {
            let (base, offset) = text.split_once('+')?;
            Some(Local { buffer: base.strip_prefix('b')?.parse().ok()?, offset: parse_val(offset)? })
        };
        parse().ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no place in a buffer; one is written b0+64"))
        })
    }
}

impl<'de> Deserialize<'de> for Global {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Global, D::Error> {
        let text = String::deserialize(d)?;
        let parse = || {
            let (base, offset) = text.split_once('+')?;
            let param = if base == "ws" { None } else { Some(base.strip_prefix('p')?.parse().ok()?) };
            Some(Global { param, offset: parse_val(offset)? })
        };
        parse().ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no place in global memory; one is written p0+64 or ws+0"))
        })
    }
}
