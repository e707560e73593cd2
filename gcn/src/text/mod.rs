//! A line of the disassembler, taken apart.
//!
//! ```text
//! buffer_load_dwordx4 v[2:5], v1, s[4:7], 0 offen offset:16   // 000000001938: E05C1010 80010201
//! mnemonic            operands ─────────────  modifiers         address
//! ```

mod operand;

pub(crate) use operand::{ACCUMULATORS, Kind, Operand};

/// One instruction as text.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) address: u64,
    pub(crate) mnemonic: String,
    pub(crate) operands: Vec<Operand>,
    /// Names with values; of flags the value is empty.
    modifiers: Vec<(String, String)>,
    /// All behind the mnemonic.
    pub(crate) rest: String,
    /// Where a branch goes.
    pub(crate) target: Option<u64>,
    /// The other half of a dual instruction.
    pub(crate) second: Option<Box<Line>>,
}

/// Endings that name an encoding, not an operation; longer ones first.
const ENCODINGS: [&str; 6] = ["_e64_dpp", "_e32", "_e64", "_dpp", "_sdwa", "_vi"];

impl Line {
    /// Reads a line; `None` if it is no instruction. `start` is the address of the symbol that branch targets are relative to.
    pub(crate) fn read(text: &str, start: u64) -> Option<Line> {
        let (code, comment) = text.strip_prefix('\t')?.split_once("//")?;
        let (address, encoding) = comment.trim().split_once(':')?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let mut halves = code.trim().split(" :: ");
        let mut line = Line::parse(halves.next()?, address);
        line.second = halves.next().map(|half| Box::new(Line::parse(half, address)));
        line.target = encoding.split_once('<').and_then(|(_, name)| {
            let offset = name
                .trim_end_matches('>')
                .rsplit_once("+0x")
                .map_or(Some(0), |(_, hex)| u64::from_str_radix(hex, 16).ok());
            Some(start + offset?)
        });
        Some(line)
    }

    fn parse(code: &str, address: u64) -> Line {
        let (mnemonic, rest) = code.trim().split_once(char::is_whitespace).unwrap_or((code.trim(), ""));
        let mut operands = Vec::new();
        let mut modifiers = Vec::new();
        for part in split(rest, |c| c == ',') {
            let mut words = split(part, char::is_whitespace).into_iter().filter(|w| !w.is_empty());
            operands.extend(words.next().map(Operand::parse));
            for word in words {
                let (name, value) = word.split_once(':').unwrap_or((word, ""));
                modifiers.push((name.to_owned(), value.to_owned()));
            }
        }
        let (mnemonic, rest) = (mnemonic.to_owned(), rest.trim().to_owned());
        Line { address, mnemonic, operands, modifiers, rest, target: None, second: None }
    }

    /// The operation's name, without its encoding.
    pub(crate) fn operation(&self) -> &str {
        ENCODINGS.iter().find_map(|e| self.mnemonic.strip_suffix(e)).unwrap_or(&self.mnemonic)
    }

    pub(crate) fn text(&self) -> String {
        let first = format!("{} {}", self.mnemonic, self.rest);
        match &self.second {
            None => first.trim().to_owned(),
            Some(second) => format!("{first} :: {}", second.text()),
        }
    }

    pub(crate) fn modifier(&self, name: &str) -> Option<&str> {
        self.modifiers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.modifier(name).is_some()
    }

    /// A modifier's number, or 0.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.modifier(name).and_then(operand::integer).unwrap_or(0) as i64
    }

    /// Entry `index` of a modifier's list, or the default.
    pub(crate) fn entry(&self, name: &str, index: usize, default: u32) -> u32 {
        let list = self.modifier(name).map(|l| l.trim_matches(['[', ']']));
        list.and_then(|l| l.split(',').nth(index)?.trim().parse().ok()).unwrap_or(default)
    }

    pub(crate) fn operand(&self, index: usize) -> Result<&Operand, String> {
        self.operands.get(index).ok_or_else(|| format!("operand {index} is missing"))
    }
}

/// Pieces between separators that stand outside of brackets and parentheses.
fn split(text: &str, is: impl Fn(char) -> bool) -> Vec<&str> {
    let (mut depth, mut start, mut pieces) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ if depth == 0 && is(c) => {
                pieces.push(text[start..at].trim());
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(text[start..].trim());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::read(&format!("\t{text}"), 0x1900).expect("an instruction")
    }

    #[test]
    fn operands_modifiers_and_targets_are_told_apart() {
        let l = line("v_add_f32_dpp v1, -|v2|, v3 quad_perm:[1,0,3,2] row_mask:0xf // 000000001938: 0");
        assert_eq!((l.operation(), l.address, l.operands.len()), ("v_add_f32", 0x1938, 3));
        assert!(l.operands[1].neg && l.operands[1].abs);
        assert_eq!((l.entry("quad_perm", 2, 9), l.number("row_mask")), (3, 15));
        let l = line("s_cbranch_scc1 44   // 000000001930: BF85002C <add_tile__f32_1024+0xe4>");
        assert_eq!(l.target, Some(0x19e4));
    }

    #[test]
    fn dual_instructions_have_two_halves() {
        let l = line("v_dual_mov_b32 v0, v1 :: v_dual_add_f32 v3, 1.0, v4 // 0000000000F8: 0 1");
        let second = l.second.as_ref().expect("a second half");
        assert_eq!(
            (second.mnemonic.as_str(), &second.operands[1].kind),
            ("v_dual_add_f32", &Kind::Float(1.0))
        );
    }
}
