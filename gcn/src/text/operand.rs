//! Operands: registers, constants, and what stands around them.

/// What an operand names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A vector register; accumulators are those from [`ACCUMULATORS`] on.
    Vector(u16),
    Scalar(u8),
    Integer(i64),
    Float(f64),
    /// SCC as a number.
    Scc,
    /// `off` and `null`.
    Nothing,
    Other(String),
}

/// Number of the first accumulator.
pub(crate) const ACCUMULATORS: u16 = 256;

/// An operand with its modifiers.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) kind: Kind,
    /// Registers.
    pub(crate) count: u8,
    pub(crate) neg: bool,
    pub(crate) abs: bool,
    pub(crate) sext: bool,
    /// The half that `.l` or `.h` names.
    pub(crate) half: Option<u8>,
}

/// Registers with names: their number as scalar registers, and how many 32-bit ones they are.
const NAMED: [(&str, u8, u8); 11] = [
    ("vcc", 106, 2),
    ("vcc_lo", 106, 1),
    ("vcc_hi", 107, 1),
    ("exec", 126, 2),
    ("exec_lo", 126, 1),
    ("exec_hi", 127, 1),
    ("m0", 124, 1),
    ("flat_scratch", 102, 2),
    ("flat_scratch_lo", 102, 1),
    ("flat_scratch_hi", 103, 1),
    ("xnack_mask", 104, 2),
];
/// Number of `ttmp0` among the scalar registers.
const TRAP: u8 = 108;

/// A number as the disassembler writes it.
pub(crate) fn integer(text: &str) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

/// First and count of `v3`, `v[3:6]`, without the letter.
fn range(text: &str) -> Option<(u16, u8)> {
    match text.strip_prefix('[') {
        None => Some((text.parse().ok()?, 1)),
        Some(rest) => {
            let rest = rest.strip_suffix(']')?;
            let (first, last) = rest.split_once(':').unwrap_or((rest, rest));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            Some((first, u8::try_from(last.checked_sub(first)? + 1).ok()?))
        }
    }
}

impl Operand {
    pub(crate) fn parse(text: &str) -> Operand {
        let mut o =
            Operand { kind: Kind::Nothing, count: 1, neg: false, abs: false, sext: false, half: None };
        let mut text = text.trim();
        if let Some(rest) = text.strip_prefix('-').filter(|r| !r.starts_with(|c: char| c.is_ascii_digit())) {
            (o.neg, text) = (true, rest);
        }
        for (name, flag) in [("sext(", &mut o.sext), ("neg(", &mut o.neg), ("abs(", &mut o.abs)] {
            if let Some(rest) = text.strip_prefix(name).and_then(|r| r.strip_suffix(')')) {
                (*flag, text) = (true, rest);
            }
        }
        if let Some(rest) = text.strip_prefix('|').and_then(|r| r.strip_suffix('|')) {
            (o.abs, text) = (true, rest);
        }
        for (half, ending) in [(0, ".l"), (1, ".h")] {
            if let Some(rest) = text.strip_suffix(ending) {
                (o.half, text) = (Some(half), rest);
            }
        }
        (o.kind, o.count) = kind(text);
        o
    }

    /// Number of the vector register.
    pub(crate) fn vector(&self) -> Result<u16, String> {
        match self.kind {
            Kind::Vector(r) => Ok(r),
            _ => Err(format!("{:?} is no vector register", self.kind)),
        }
    }

    /// Number of the scalar register.
    pub(crate) fn scalar(&self) -> Result<u8, String> {
        match self.kind {
            Kind::Scalar(r) => Ok(r),
            _ => Err(format!("{:?} is no scalar register", self.kind)),
        }
    }
}

fn kind(text: &str) -> (Kind, u8) {
    if let Some((_, number, count)) = NAMED.iter().find(|(name, ..)| *name == text) {
        return (Kind::Scalar(*number), *count);
    }
    match text {
        "off" | "null" => return (Kind::Nothing, 1),
        "src_scc" | "scc" => return (Kind::Scc, 1),
        _ => {}
    }
    if let Some((n, count)) = text.strip_prefix("ttmp").and_then(range) {
        return (Kind::Scalar(TRAP + n as u8), count);
    }
    let register = |letter: char| text.strip_prefix(letter).and_then(range);
    if let Some((n, count)) = register('v') {
        return (Kind::Vector(n), count);
    }
    if let Some((n, count)) = register('a') {
        return (Kind::Vector(ACCUMULATORS + n), count);
    }
    if let Some((n, count)) = register('s').filter(|(n, _)| *n < 128) {
        return (Kind::Scalar(n as u8), count);
    }
    if let Some(n) = integer(text) {
        return (Kind::Integer(n as i64), 1);
    }
    match text.parse() {
        Ok(f) => (Kind::Float(f), 1),
        Err(_) => (Kind::Other(text.into()), 1),
    }
}
