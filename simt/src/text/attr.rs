//! Attributes: numbers, strings, lists and types are understood, dialect attributes stay text.

use std::collections::BTreeMap;

use super::lexer::Cursor;
use super::types::{Scalar, Type, parse_type};
use crate::error::Error;

pub(crate) type Attrs = BTreeMap<String, Attr>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attr {
    Unit,
    Bool(bool),
    /// An integer of the given type; two's complement in 64 bits.
    Int(i64, Type),
    /// A float attribute, as the bits of its type.
    Float(u64, Type),
    Str(String),
    Symbol(String),
    Type(Type),
    List(Vec<Attr>),
    Dict(Attrs),
    /// `array<i32: 1, 2>`
    Ints(Vec<i64>),
    /// `dense<…> : type`, elements as bits; one element stands for all.
    Dense(Vec<u64>, Type),
    /// `#dialect.name<…>` or `#dialect<…>` (text without `#`), or a use of an alias.
    Opaque(String),
}

impl Attr {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Attr::Int(value, _) => Some(*value),
            Attr::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    pub(crate) fn ints(&self) -> Option<&[i64]> {
        match self {
            Attr::Ints(values) => Some(values),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Attr::Str(text) | Attr::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// The case of an enum attribute: `bfly` of `#nvvm<shfl_kind bfly>`, `row` of `#nvvm.mma_layout<row>`.
    pub(crate) fn case(&self) -> Option<&str> {
        let Attr::Opaque(text) = self else { return None };
        let inner = text.split_once('<')?.1.strip_suffix('>')?;
        Some(inner.rsplit(' ').next().unwrap_or(inner))
    }
}

const DEEPEST: u32 = 32;

/// `{a = 1 : i32, b}`, the brace already taken.
pub(super) fn parse_dict(cursor: &mut Cursor<'_>, end: &str, depth: u32) -> Result<Attrs, Error> {
    let mut attrs = Attrs::new();
    while !cursor.take(end) {
        if !attrs.is_empty() {
            cursor.expect(",")?;
        }
        let name = if cursor.looks_at("\"") { cursor.string()? } else { cursor.word().to_owned() };
        if name.is_empty() {
            return Err(cursor.error("expected the name of an attribute"));
        }
        let value = if cursor.take("=") { parse_attr(cursor, depth + 1)? } else { Attr::Unit };
        attrs.insert(name, value);
    }
    Ok(attrs)
}

pub(super) fn parse_attr(cursor: &mut Cursor<'_>, depth: u32) -> Result<Attr, Error> {
    if depth > DEEPEST {
        return Err(cursor.error("attributes nested too deeply"));
    }
    match cursor.peek() {
        Some('"') => {
            let text = cursor.string()?;
            if cursor.take(":") {
                parse_type(cursor)?;
            }
            Ok(Attr::Str(text))
        }
        Some('@') => symbol(cursor),
        Some('[') => {
            cursor.expect("[")?;
            let mut items = Vec::new();
            while !cursor.take("]") {
                if !items.is_empty() {
                    cursor.expect(",")?;
                }
                items.push(parse_attr(cursor, depth + 1)?);
            }
            Ok(Attr::List(items))
        }
        Some('{') => {
            cursor.expect("{")?;
            Ok(Attr::Dict(parse_dict(cursor, "}", depth)?))
        }
        Some('#') => {
            cursor.expect("#")?;
            let start = cursor.position();
            cursor.word();
            if cursor.rest().starts_with('<') {
                cursor.balanced()?;
            }
            Ok(Attr::Opaque(cursor.since(start).to_owned()))
        }
        Some(c) if c == '-' || c.is_ascii_digit() => number(cursor),
        _ if cursor.take_word("true") => Ok(Attr::Bool(true)),
        _ if cursor.take_word("false") => Ok(Attr::Bool(false)),
        _ if cursor.take_word("unit") => Ok(Attr::Unit),
        _ if cursor.take_word("loc") => {
            super::loc::skip_parentheses(cursor)?;
            Ok(Attr::Unit)
        }
        _ if cursor.looks_at("array<") => {
            cursor.expect("array")?;
            let inner = cursor.balanced()?;
            Ok(Attr::Ints(array(inner).ok_or_else(|| cursor.error("expected an array of numbers"))?))
        }
        _ if cursor.looks_at("dense<") => {
            cursor.expect("dense")?;
            let inner = cursor.balanced()?;
            cursor.expect(":")?;
            let type_text = cursor.clone();
            let ty = tensor_or_type(cursor)?;
            let element = match &ty {
                Type::Vector(_, scalar) | Type::Scalar(scalar) => *scalar,
                _ => return Err(type_text.error("dense elements of an unknown type")),
            };
            let elements: Option<Vec<u64>> = inner
                .split([',', '[', ']', ' '])
                .filter(|part| !part.is_empty())
                .map(|part| literal(part, element))
                .collect();
            let elements = elements.ok_or_else(|| cursor.error("expected dense numbers"))?;
            Ok(Attr::Dense(elements, ty))
        }
        _ => Ok(Attr::Type(parse_type(cursor)?)),
    }
}

/// The type of dense elements; a tensor counts as a vector.
fn tensor_or_type(cursor: &mut Cursor<'_>) -> Result<Type, Error> {
    if !cursor.looks_at("tensor<") && !cursor.looks_at("vector<") {
        return parse_type(cursor);
    }
    cursor.word();
    let inner = cursor.balanced()?;
    let mut lanes = 1u64;
    let mut rest = inner;
    while let Some((digits, tail)) = rest.split_once('x') {
        let Ok(extent) = digits.trim().parse::<u64>() else { break };
        lanes = lanes.saturating_mul(extent);
        rest = tail;
    }
    match parse_type(&mut Cursor::new(rest))? {
        Type::Scalar(scalar) if lanes < 1 << 24 => Ok(Type::Vector(lanes as u32, scalar)),
        _ => Err(cursor.error("dense elements of an unknown type")),
    }
}

fn symbol(cursor: &mut Cursor<'_>) -> Result<Attr, Error> {
    cursor.expect("@")?;
    let name = if cursor.looks_at("\"") { cursor.string()? } else { cursor.word().to_owned() };
    while cursor.take("::@") {
        if cursor.looks_at("\"") {
            cursor.string()?;
        } else {
            cursor.word();
        }
    }
    Ok(Attr::Symbol(name))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Attr, Error> {
    let start = cursor.position();
    cursor.take("-");
    cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '.');
    if cursor.since(start).ends_with(['e', 'E']) && (cursor.take("+") || cursor.take("-")) {
        cursor.take_while(|c| c.is_ascii_digit());
    }
    let text = cursor.since(start);
    let ty = if cursor.take(":") { parse_type(cursor)? } else { Type::Scalar(Scalar::Int(64)) };
    let bad = || Error::Parse { line: 0, message: format!("`{text}` is not a number") };
    let float = text.contains('.') || text.contains(['e', 'E']) && !text.starts_with("0x");
    match &ty {
        Type::Scalar(scalar) if scalar.is_float() => {
            Ok(Attr::Float(literal(text, *scalar).ok_or_else(bad)?, ty))
        }
        _ if float => Ok(Attr::Float(text.parse::<f64>().map_err(|_| bad())?.to_bits(), ty)),
        _ => Ok(Attr::Int(integer(text).ok_or_else(bad)?, ty)),
    }
}

fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|value| value as i64);
    }
    text.parse::<i64>().ok().or_else(|| text.parse::<u64>().ok().map(|value| value as i64))
}

/// A number of type `scalar` as bits. Hexadecimal text gives a float's bits.
fn literal(text: &str, scalar: Scalar) -> Option<u64> {
    match (text, scalar) {
        ("true", _) => return Some(1),
        ("false", _) => return Some(0),
        _ => {}
    }
    if !scalar.is_float() {
        let bits = scalar.bits();
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        return Some(integer(text)? as u64 & mask);
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let value: f64 = text.parse().ok()?;
    Some(crate::float::encode(scalar, value))
}

fn array(inner: &str) -> Option<Vec<i64>> {
    let Some((_, values)) = inner.split_once(':') else { return Some(Vec::new()) };
    values
        .split(',')
        .map(|value| match value.trim() {
            "true" => Some(1),
            "false" => Some(0),
            text => integer(text),
        })
        .collect()
}
