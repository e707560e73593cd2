//! Types of the `llvm` dialect, and how their values lie in memory (NVPTX and AMDGPU agree on these).

use super::lexer::Cursor;
use crate::error::Error;

/// A type that fits one register of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    /// An integer of 1 to 64 bits.
    Int(u8),
    F16,
    BF16,
    F32,
    F64,
    /// A pointer into an address space.
    Ptr(u8),
}

impl Scalar {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Scalar::Int(bits) => u32::from(bits),
            Scalar::F16 | Scalar::BF16 => 16,
            Scalar::F32 => 32,
            Scalar::F64 => 64,
            // Shared pointers are 32 bits wide in value, 64 in the data layout that LLVM uses by default.
            Scalar::Ptr(_) => 64,
        }
    }

    pub(crate) fn bytes(self) -> u32 {
        self.bits().div_ceil(8).next_power_of_two()
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Scalar::F16 | Scalar::BF16 | Scalar::F32 | Scalar::F64)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Scalar(Scalar),
    Vector(u32, Scalar),
    Array(u64, Box<Type>),
    Struct {
        packed: bool,
        fields: Vec<Type>,
    },
    Func {
        params: Vec<Type>,
        result: Box<Type>,
    },
    Void,
    /// Any type that no value of ours has (tokens, metadata, fp8 in attributes): its text.
    Other(String),
}

impl Type {
    /// Bytes from one element of an array of this type to the next.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Type::Scalar(scalar) => u64::from(scalar.bytes()),
            Type::Vector(lanes, scalar) => {
                let bits = u64::from(*lanes) * u64::from(scalar.bits());
                bits.div_ceil(8).next_power_of_two()
            }
            Type::Array(length, element) => length.saturating_mul(element.size()),
            Type::Struct { .. } => self.fields().1,
            Type::Func { .. } | Type::Void | Type::Other(_) => 0,
        }
    }

    pub(crate) fn align(&self) -> u64 {
        match self {
            Type::Scalar(scalar) => u64::from(scalar.bytes()),
            Type::Vector(..) => self.size().clamp(1, 1 << 12),
            Type::Array(_, element) => element.align(),
            Type::Struct { packed: true, .. } => 1,
            Type::Struct { fields, .. } => fields.iter().map(Type::align).max().unwrap_or(1),
            _ => 1,
        }
    }

    /// Byte offsets of a struct's fields, and its size.
    pub(crate) fn fields(&self) -> (Vec<u64>, u64) {
        let Type::Struct { packed, fields } = self else { return (Vec::new(), 0) };
        let mut offsets = Vec::with_capacity(fields.len());
        let mut at = 0u64;
        for field in fields {
            if !packed {
                at = at.next_multiple_of(field.align().max(1));
            }
            offsets.push(at);
            at = at.saturating_add(field.size());
        }
        (offsets, if *packed { at } else { at.next_multiple_of(self.align().max(1)) })
    }

    /// The scalars of a value in order, each with its byte offset; `None` where a part is not a value of ours.
    pub(crate) fn scalars(&self) -> Option<Vec<(u64, Scalar)>> {
        let mut out = Vec::new();
        self.flatten(0, &mut out).then_some(out)
    }

    fn flatten(&self, base: u64, out: &mut Vec<(u64, Scalar)>) -> bool {
        const MOST: usize = 1 << 14;
        match self {
            // A buffer resource has 128 bits: two words.
            Type::Scalar(Scalar::Ptr(8)) => {
                out.extend([(base, Scalar::Int(64)), (base + 8, Scalar::Int(64))])
            }
            Type::Scalar(scalar) => out.push((base, *scalar)),
            Type::Vector(lanes, scalar) => {
                let step = u64::from(scalar.bits().div_ceil(8));
                if scalar.bits() < 8 || *lanes as usize > MOST {
                    return false;
                }
                out.extend((0..u64::from(*lanes)).map(|lane| (base + lane * step, *scalar)));
            }
            Type::Array(length, element) => {
                for index in 0..*length {
                    if out.len() > MOST || !element.flatten(base + index * element.size(), out) {
                        return false;
                    }
                }
            }
            Type::Struct { fields, .. } => {
                let (offsets, _) = self.fields();
                return fields
                    .iter()
                    .zip(offsets)
                    .all(|(field, offset)| out.len() <= MOST && field.flatten(base + offset, out));
            }
            Type::Void => {}
            Type::Func { .. } | Type::Other(_) => return false,
        }
        true
    }

    /// The scalars in order, vectors of `i1` included (those never lie in memory).
    pub(crate) fn parts(&self) -> Option<Vec<Scalar>> {
        match self {
            Type::Vector(lanes, scalar) if scalar.bits() < 8 && *lanes < 4096 => {
                Some(vec![*scalar; *lanes as usize])
            }
            other => Some(other.scalars()?.into_iter().map(|(_, scalar)| scalar).collect()),
        }
    }
}

/// Nested types deeper than this are refused instead of overflowing the stack.
const DEEPEST: u32 = 32;

pub(super) fn parse_type(cursor: &mut Cursor<'_>) -> Result<Type, Error> {
    nested(cursor, 0)
}

fn nested(cursor: &mut Cursor<'_>, depth: u32) -> Result<Type, Error> {
    if depth > DEEPEST {
        return Err(cursor.error("types nested too deeply"));
    }
    if cursor.take("!llvm.") {
        return llvm_type(cursor, depth);
    }
    if cursor.take("!") {
        let start = cursor.position();
        cursor.word();
        if cursor.looks_at("<") {
            cursor.balanced()?;
        }
        return Ok(Type::Other(cursor.since(start).to_owned()));
    }
    if cursor.take("(") {
        // A function type; only attributes hold one.
        let params = list(cursor, ")", depth)?;
        cursor.expect("->")?;
        let result = if cursor.take("(") {
            Type::Struct { packed: false, fields: list(cursor, ")", depth)? }
        } else {
            nested(cursor, depth + 1)?
        };
        return Ok(Type::Func { params, result: Box::new(result) });
    }
    llvm_type(cursor, depth)
}

/// What may stand after `!llvm.`, or inside such a type without that prefix.
fn llvm_type(cursor: &mut Cursor<'_>, depth: u32) -> Result<Type, Error> {
    if depth > DEEPEST {
        return Err(cursor.error("types nested too deeply"));
    }
    let word = cursor.word();
    let scalar = |scalar| Ok(Type::Scalar(scalar));
    match word {
        "f16" => return scalar(Scalar::F16),
        "bf16" => return scalar(Scalar::BF16),
        "f32" => return scalar(Scalar::F32),
        "f64" => return scalar(Scalar::F64),
        "index" => return scalar(Scalar::Int(64)),
        "void" => return Ok(Type::Void),
        "ptr" => {
            let space = if cursor.looks_at("<") { cursor.balanced()?.trim() } else { "0" };
            let space = space.parse().map_err(|_| cursor.error("an address space that is not a number"))?;
            return scalar(Scalar::Ptr(space));
        }
        "vec" | "vector" => {
            cursor.expect("<")?;
            let lanes = number(cursor)?;
            expect_times(cursor)?;
            let element = nested(cursor, depth + 1)?;
            cursor.expect(">")?;
            return match (u32::try_from(lanes), element) {
                (Ok(lanes), Type::Scalar(element)) => Ok(Type::Vector(lanes, element)),
                (_, other) => Ok(Type::Other(format!("vector of {other:?}"))),
            };
        }
        "array" => {
            cursor.expect("<")?;
            let length = number(cursor)?;
            expect_times(cursor)?;
            let element = Box::new(nested(cursor, depth + 1)?);
            cursor.expect(">")?;
            return Ok(Type::Array(length, element));
        }
        "struct" => {
            cursor.expect("<")?;
            if cursor.looks_at("\"") {
                cursor.string()?;
                cursor.expect(",")?;
            }
            let packed = cursor.take_word("packed");
            cursor.expect("(")?;
            let fields = list(cursor, ")", depth)?;
            cursor.expect(">")?;
            return Ok(Type::Struct { packed, fields });
        }
        "func" => {
            cursor.expect("<")?;
            let result = Box::new(nested(cursor, depth + 1)?);
            cursor.expect("(")?;
            let params = list(cursor, ")", depth)?;
            cursor.expect(">")?;
            return Ok(Type::Func { params, result });
        }
        "" => return Err(cursor.error("expected a type")),
        _ => {}
    }
    let digits = word.strip_prefix(['i']).or(word.strip_prefix("si")).or(word.strip_prefix("ui"));
    match digits.and_then(|digits| digits.parse::<u8>().ok()) {
        Some(bits @ 1..=64) => scalar(Scalar::Int(bits)),
        _ => {
            if cursor.looks_at("<") {
                cursor.balanced()?;
            }
            Ok(Type::Other(word.to_owned()))
        }
    }
}

fn list(cursor: &mut Cursor<'_>, end: &str, depth: u32) -> Result<Vec<Type>, Error> {
    let mut types = Vec::new();
    while !cursor.take(end) {
        if !types.is_empty() {
            cursor.expect(",")?;
        }
        if cursor.take("...") {
            continue;
        }
        types.push(nested(cursor, depth + 1)?);
    }
    Ok(types)
}

fn number(cursor: &mut Cursor<'_>) -> Result<u64, Error> {
    cursor.skip();
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    digits.parse().map_err(|_| cursor.error("expected a number"))
}

/// The `x` between a length and its element type.
fn expect_times(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    cursor.expect("x")
}
