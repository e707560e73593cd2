//! Types of the tile IR as MLIR types, and back.

use kcc_dsl::ir::{Elem, TileType, Type};

/// Element types and their MLIR spelling. Unsigned integers are told from signed ones by type.
const ELEMS: [(Elem, &str); 12] = [
    (Elem::Bool, "i1"),
    (Elem::I8, "i8"),
    (Elem::I16, "i16"),
    (Elem::I32, "i32"),
    (Elem::I64, "i64"),
    (Elem::U8, "ui8"),
    (Elem::U32, "ui32"),
    (Elem::F8E4M3, "f8E4M3FN"),
    (Elem::F8E5M2, "f8E5M2"),
    (Elem::F16, "f16"),
    (Elem::BF16, "bf16"),
    (Elem::F32, "f32"),
];

/// More elements than this in one tile is a mistake, and no target could hold it.
const MAX_ELEMENTS: usize = 1 << 28;

/// MLIR spelling of an element type.
pub fn elem_text(elem: Elem) -> &'static str {
    ELEMS.iter().find(|(e, _)| *e == elem).map_or("none", |(_, t)| t)
}

fn elem_parse(text: &str) -> Option<Elem> {
    ELEMS.iter().find(|(_, t)| *t == text).map(|(e, _)| *e)
}

/// MLIR spelling of a tile type: a scalar stands for rank 0.
pub fn tile_text(t: &TileType) -> String {
    if t.shape.is_empty() {
        return elem_text(t.elem).to_owned();
    }
    let dims: String = t.shape.iter().map(|d| format!("{d}x")).collect();
    format!("tensor<{dims}{}>", elem_text(t.elem))
}

/// MLIR spelling of a type.
pub fn text(t: &Type) -> String {
    match t {
        Type::Tile(t) => tile_text(t),
        Type::View { elem, rank } => format!("!kt.view<{}, {rank}>", elem_text(*elem)),
    }
}

/// The type that MLIR prints as `text`.
///
/// # Errors
/// Why it is no type of a tile kernel.
pub fn parse(text: &str) -> Result<Type, String> {
    if let Some(inner) = text.strip_prefix("!kt.view<").and_then(|r| r.strip_suffix('>')) {
        let (elem, rank) = inner.split_once(',').ok_or_else(|| format!("`{text}` has no rank"))?;
        let rank = rank.trim().trim_end_matches(": i64").trim();
        let rank = rank.parse::<usize>().ok().filter(|r| *r <= 8);
        let rank = rank.ok_or_else(|| format!("the rank of `{text}` is not a small number"))?;
        let elem = elem_parse(elem.trim()).ok_or_else(|| format!("`{}` is no element type", elem.trim()))?;
        return Ok(Type::View { elem, rank });
    }
    if let Some(inner) = text.strip_prefix("tensor<").and_then(|r| r.strip_suffix('>')) {
        let mut rest = inner;
        let mut shape = Vec::new();
        let mut len = 1usize;
        while let Some((dim, after)) = rest.split_once('x') {
            let Ok(extent) = dim.parse::<usize>() else { break };
            len = len.checked_mul(extent.max(1)).filter(|n| *n <= MAX_ELEMENTS).ok_or_else(|| {
                format!("a tile of type `{text}` is too large: at most {MAX_ELEMENTS} elements")
            })?;
            shape.push(extent);
            rest = after;
        }
        let elem = elem_parse(rest)
            .ok_or_else(|| format!("`{text}` is no tile: static extents and a known element type"))?;
        if shape.is_empty() {
            return Err(format!("`{text}`: a tile of rank 0 is written as a scalar, `{rest}`"));
        }
        return Ok(Type::Tile(TileType { elem, shape }));
    }
    let elem = elem_parse(text).ok_or_else(|| format!("`{text}` is no tile, scalar or view"))?;
    Ok(Type::Tile(TileType::scalar(elem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back() {
        for elem in Elem::ALL {
            for shape in [&[][..], &[7], &[64, 8], &[2, 3, 5]] {
                let t = Type::Tile(TileType::new(elem, shape));
                assert_eq!(parse(&text(&t)), Ok(t));
            }
            let v = Type::View { elem, rank: 3 };
            assert_eq!(parse(&text(&v)), Ok(v.clone()));
            assert_eq!(parse(&text(&v).replace(", 3", ", 3 : i64")), Ok(v));
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for bad in [
            "tensor<?xf32>",
            "tensor<*xf32>",
            "tensor<f32>",
            "tensor<4xf64>",
            "index",
            "!kt.view<f32, -1>",
            "!kt.view<f32>",
            "tensor<99999999999999999999xf32>",
            "tensor<1048576x1048576xi8>",
            "memref<4xf32>",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
