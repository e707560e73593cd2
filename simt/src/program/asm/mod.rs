//! Inline PTX: the text is cut into statements, and each is translated by the tables of this folder.
//!
//! Registers of the text are names for slots; a statement that writes one gives the name a new slot. What the tables
//! do not have is an error that names the instruction.

mod arithmetic;
mod memory;
mod wgmma;

use std::collections::{HashMap, HashSet};

use super::build::{Builder, Lowered};
use super::inst::{Op, Slot, Un};
use super::llvm::element;
use crate::text::{self, Scalar, Type};

/// An operand as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// A register: `$0`, `p`, `%laneid`.
    Name(String),
    Number(u64),
    /// `{a, b}`
    List(Vec<Operand>),
    /// `[a + 16]`
    Address(Box<Operand>, i64),
    /// `_`
    Sink,
}

/// `@!p opcode.with.parts a, b;`
#[derive(Debug)]
pub(super) struct Statement {
    predicate: Option<(bool, String)>,
    pub(super) opcode: String,
    pub(super) operands: Vec<Operand>,
}

impl Statement {
    /// The parts of the opcode after the first.
    pub(super) fn has(&self, part: &str) -> bool {
        self.opcode.split('.').any(|found| found == part)
    }
}

/// The registers of one block of text.
pub(super) struct Registers {
    slots: HashMap<String, Slot>,
    /// Operands that are predicates.
    predicates: HashSet<String>,
}

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let text = op.text("asm_string").ok_or("no text")?;
    let constraints = op.text("constraints").unwrap_or_default();
    let mut registers = Registers { slots: HashMap::new(), predicates: HashSet::new() };
    let mut count = 0;
    let mut operand = 0;
    for constraint in constraints.split(',').map(str::trim) {
        if constraint.starts_with('~') || constraint.is_empty() {
            continue;
        }
        if constraint.starts_with('=') {
            count += 1;
            continue;
        }
        let [slot] = b.value(op, operand)?.slots[..] else {
            return Err("an operand that is not a scalar".into());
        };
        // A number ties the operand to the register of a result.
        match constraint.parse::<usize>() {
            Ok(tied) => registers.slots.insert(format!("${tied}"), slot),
            Err(_) => None,
        };
        registers.slots.insert(format!("${}", count + operand), slot);
        if constraint == "b" {
            registers.predicates.insert(format!("${}", count + operand));
        }
        operand += 1;
    }
    for statement in statements(text)? {
        translate(b, &mut registers, &statement)
            .map_err(|message| format!("`{}`: {message}", statement.opcode))?;
    }
    if op.results.is_empty() {
        return Ok(());
    }
    let mut slots = Vec::new();
    for index in 0..count {
        slots.push(match registers.slots.get(&format!("${index}")) {
            Some(&slot) => slot,
            None => b.poison(),
        });
    }
    // A result that is a vector comes in one register.
    let ty = op.result_types.first().ok_or("no result")?;
    if let Type::Vector(..) = ty {
        let bits = element(ty)?.bits();
        slots = b.repack(&slots, 32, bits)?;
    }
    if ty.parts().is_none_or(|parts| parts.len() != slots.len()) {
        return Err("results that do not fit the constraints".into());
    }
    b.define_slots(op, 0, slots);
    Ok(())
}

fn translate(b: &mut Builder<'_, '_>, registers: &mut Registers, statement: &Statement) -> Lowered<()> {
    let Some((negated, name)) = &statement.predicate else { return table(b, registers, statement) };
    let mut condition = registers.read(b, &Operand::Name(name.clone()))?;
    if *negated {
        let one = b.constant(1);
        condition = b.emit_new(Op::Bin(super::inst::Bin::Xor, Scalar::Int(1)), &[condition, one]);
    }
    // The statement runs for the lanes that want it; what it writes keeps its old value in the others.
    let before = registers.slots.clone();
    let skip = b.skip_if_not(condition);
    table(b, registers, statement)?;
    b.land(skip);
    for (name, slot) in &mut registers.slots {
        let old = before.get(name).copied();
        if old != Some(*slot) {
            let old = match old {
                Some(old) => old,
                None => b.poison(),
            };
            *slot = b.emit_new(Op::Select, &[condition, *slot, old]);
        }
    }
    Ok(())
}

fn table(b: &mut Builder<'_, '_>, registers: &mut Registers, statement: &Statement) -> Lowered<()> {
    if statement.opcode.starts_with("wgmma.") {
        return wgmma::translate(b, registers, statement);
    }
    if memory::translate(b, registers, statement)? || arithmetic::translate(b, registers, statement)? {
        return Ok(());
    }
    Err("inline PTX that the simulator does not know".into())
}

impl Registers {
    /// Whether an operand is a predicate from outside of the text.
    pub(super) fn is_predicate(&self, operand: &Operand) -> bool {
        matches!(operand, Operand::Name(name) if self.predicates.contains(name))
    }

    pub(super) fn read(&self, b: &mut Builder<'_, '_>, operand: &Operand) -> Lowered<Slot> {
        match operand {
            Operand::Number(bits) => Ok(b.constant(*bits)),
            Operand::Name(name) => {
                let special = match name.as_str() {
                    "%laneid" => Some(super::inst::Special::LaneId),
                    "%warpid" => Some(super::inst::Special::WarpId),
                    "%cluster_ctarank" => Some(super::inst::Special::ClusterCtaRank),
                    _ => None,
                };
                if let Some(special) = special {
                    return Ok(b.emit_new(Op::Special(special), &[]));
                }
                let slot = self.slots.get(name);
                slot.copied().ok_or_else(|| format!("`{name}` has no value"))
            }
            Operand::Address(base, offset) => {
                let base = self.read(b, base)?;
                match offset {
                    0 => Ok(base),
                    _ => Ok(b.emit_new(Op::Gep { offset: *offset, terms: Box::new([]) }, &[base])),
                }
            }
            _ => Err("an operand of an unexpected form".into()),
        }
    }

    pub(super) fn read_all(&self, b: &mut Builder<'_, '_>, operand: &Operand) -> Lowered<Vec<Slot>> {
        match operand {
            Operand::List(items) => items.iter().map(|item| self.read(b, item)).collect(),
            other => Ok(vec![self.read(b, other)?]),
        }
    }

    pub(super) fn write(&mut self, operand: &Operand, slot: Slot) -> Lowered<()> {
        match operand {
            Operand::Name(name) => {
                self.slots.insert(name.clone(), slot);
                Ok(())
            }
            Operand::Sink => Ok(()),
            _ => Err("a result that is not a register".into()),
        }
    }

    pub(super) fn write_all(&mut self, operand: &Operand, slots: &[Slot]) -> Lowered<()> {
        match operand {
            Operand::List(items) if items.len() == slots.len() => {
                items.iter().zip(slots).try_for_each(|(item, &slot)| self.write(item, slot))
            }
            Operand::List(_) => Err("a list of another length".into()),
            other => match slots {
                [slot] => self.write(other, *slot),
                _ => Err("one register for several results".into()),
            },
        }
    }

    /// A copy that keeps a result apart from its source.
    pub(super) fn copy(&mut self, b: &mut Builder<'_, '_>, to: &Operand, from: Slot) -> Lowered<()> {
        let slot = b.emit_new(Op::Un(Un::Copy, Scalar::Int(64), false), &[from]);
        self.write(to, slot)
    }
}

/// Cuts the text at `;`, leaving out braces around blocks, declarations and comments.
fn statements(text: &str) -> Lowered<Vec<Statement>> {
    let mut clean = String::new();
    for line in text.lines() {
        clean.push_str(line.split("//").next().unwrap_or_default());
        clean.push(' ');
    }
    let mut out = Vec::new();
    for part in clean.split(';') {
        let part = part.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let part = part.trim_start_matches(['{', ' ', '\t']);
        // A closing brace at the start ends a block; elsewhere it ends a list.
        let part = part.trim_start_matches(['}', ' ', '\t']).trim();
        if part.is_empty() || part.starts_with(".reg") {
            continue;
        }
        let (predicate, rest) = match part.strip_prefix('@') {
            None => (None, part),
            Some(rest) => {
                let (name, rest) =
                    rest.split_once(char::is_whitespace).ok_or("a predicate without a statement")?;
                let negated = name.starts_with('!');
                (Some((negated, name.trim_start_matches('!').to_owned())), rest.trim())
            }
        };
        let (opcode, operands) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let operands = split(operands)?.iter().map(|text| parse(text)).collect::<Lowered<Vec<_>>>()?;
        out.push(Statement { predicate, opcode: opcode.to_owned(), operands });
    }
    Ok(out)
}

/// Cuts at commas outside braces and brackets.
fn split(text: &str) -> Lowered<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err("unbalanced braces in inline PTX".into());
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    Ok(parts)
}

fn parse(text: &str) -> Lowered<Operand> {
    if text == "_" {
        return Ok(Operand::Sink);
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return Ok(Operand::List(split(inner)?.into_iter().map(parse).collect::<Lowered<_>>()?));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let (base, offset) = match inner.rsplit_once('+') {
            Some((base, offset)) => {
                (base, number(offset.trim()).ok_or("an offset that is not a number")? as i64)
            }
            None => (inner, 0),
        };
        return Ok(Operand::Address(Box::new(parse(base.trim())?), offset));
    }
    if let Some(bits) = number(text) {
        return Ok(Operand::Number(bits));
    }
    let name = text.strip_prefix("${").and_then(|rest| rest.split([':', '}']).next());
    let name = name.map_or_else(|| text.to_owned(), |digits| format!("${digits}"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%' | '.' | '|');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(format!("an operand `{text}`"));
    }
    Ok(Operand::Name(name))
}

fn number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        return u64::from_str_radix(hex.trim_end_matches('U'), 16).ok();
    }
    if let Some(hex) = text.strip_prefix("0f").or(text.strip_prefix("0F")).filter(|hex| hex.len() == 8) {
        return u64::from_str_radix(hex, 16).ok();
    }
    if text.contains('.') {
        return text.parse::<f32>().ok().map(|value| u64::from(value.to_bits()));
    }
    text.parse::<i64>().ok().map(|value| value as u64)
}

/// The type that a PTX suffix names.
pub(super) fn scalar(name: &str) -> Option<Scalar> {
    Some(match name {
        "pred" => Scalar::Int(1),
        "b8" | "u8" | "s8" => Scalar::Int(8),
        "b16" | "u16" | "s16" => Scalar::Int(16),
        "b32" | "u32" | "s32" => Scalar::Int(32),
        "b64" | "u64" | "s64" => Scalar::Int(64),
        "f16" => Scalar::F16,
        "bf16" => Scalar::BF16,
        "f32" => Scalar::F32,
        "f64" => Scalar::F64,
        _ => return None,
    })
}
