//! The text form of a layout, stable because dumps hold it: `reg=[0,1;1,0] lane=[0,2;0,4] warp=[8,0] shape=16x8`.
//!
//! Inputs come in the order `reg lane warp block offset`; one without bits is left out (`warp=[]` is read, too). Each
//! lists the moves of its bits, lowest first, divided by `;`. A move of a tile without axes is `0`, its shape `scalar`.

use super::error::LayoutError;
use super::linear::{Coord, Dim, Linear};
use std::fmt;
use std::str::FromStr;

const NAMES: [(Dim, &str); 5] = [
    (Dim::Register, "reg"),
    (Dim::Lane, "lane"),
    (Dim::Warp, "warp"),
    (Dim::Block, "block"),
    (Dim::Offset, "offset"),
];

impl Dim {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }
}

impl fmt::Display for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rank = self.rank();
        for (dim, name) in NAMES {
            if self.bits(dim) == 0 {
                continue;
            }
            let moves: Vec<String> = self.basis(dim).iter().map(|v| list(&v[..rank.max(1)], ",")).collect();
            write!(f, "{name}=[{}] ", moves.join(";"))?;
        }
        match rank {
            0 => f.write_str("shape=scalar"),
            _ => write!(f, "shape={}", list(self.extents(), "x")),
        }
    }
}

fn list(numbers: &[u32], divider: &str) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(divider)
}

impl FromStr for Linear {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let mut shape = None;
        let mut bases: Vec<(Dim, Vec<Vec<u32>>)> = Vec::new();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| wrong(word, "is no name=value"))?;
            if name == "shape" {
                let extents = match value {
                    "scalar" => Vec::new(),
                    _ => numbers(value, 'x')?,
                };
                if shape.replace(extents).is_some() {
                    return Err(wrong(word, "is a second shape"));
                }
                continue;
            }
            let (dim, _) = NAMES.into_iter().find(|(_, known)| *known == name).ok_or_else(|| {
                wrong(word, "names no input; the inputs are reg, lane, warp, block, offset")
            })?;
            if bases.iter().any(|(seen, _)| *seen == dim) {
                return Err(wrong(word, "names an input again"));
            }
            let inner = value.strip_prefix('[').and_then(|v| v.strip_suffix(']'));
            let inner = inner.ok_or_else(|| wrong(word, "has no list in brackets"))?;
            let moves = inner.split(';').filter(|_| !inner.is_empty()).map(|m| numbers(m, ','));
            bases.push((dim, moves.collect::<Result<_, _>>()?));
        }
        let shape = shape.ok_or_else(|| LayoutError::new(format!("the layout `{text}` has no shape=…")))?;
        let mut layout = Linear::constant(&shape)?;
        for (dim, moves) in bases {
            for numbers in moves {
                if numbers.len() != shape.len().max(1) {
                    let given = list(&numbers, ",");
                    return Err(wrong(&given, &format!("is no move in a tile of {} axes", shape.len())));
                }
                let mut coord: Coord = [0; 3];
                coord[..numbers.len()].copy_from_slice(&numbers);
                layout.push(dim, coord)?;
            }
        }
        Ok(layout)
    }
}

fn numbers(text: &str, divider: char) -> Result<Vec<u32>, LayoutError> {
    text.split(divider).map(|n| n.parse().map_err(|_| wrong(n, "is no number"))).collect()
}

fn wrong(word: &str, why: &str) -> LayoutError {
    LayoutError::new(format!("in a layout, `{word}` {why}"))
}
