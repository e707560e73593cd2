//! Text of the tiles that a kernel prints; compiled backends use it too, so that `print` reads the same everywhere.

use super::round::Lane;
use super::value::Value;
use crate::ir::TileType;

/// The format with each `{}` replaced by the next tile; tiles left over follow, separated by spaces.
pub fn format(format: &str, tiles: &[&Value]) -> String {
    let mut out = String::new();
    let mut tiles = tiles.iter();
    let mut parts = format.split("{}");
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        out.push_str(&tiles.next().map_or_else(|| "{}".to_string(), |t| tile(t)));
        out.push_str(part);
    }
    for t in tiles {
        out.push(' ');
        out.push_str(&tile(t));
    }
    out
}

/// [`format`](fn@format) for tiles in memory, one after another, each aligned to `align` bytes. Errors: too few bytes.
pub fn format_bytes(text: &str, types: &[TileType], data: &[u8], align: usize) -> Result<String, String> {
    let mut at = 0usize;
    let mut tiles = Vec::new();
    for ty in types {
        at = at.next_multiple_of(align.max(1));
        tiles.push(Value::from_bytes(ty, data.get(at..).unwrap_or(&[]))?);
        at += ty.len() * ty.elem.bytes();
    }
    Ok(format(text, &tiles.iter().collect::<Vec<_>>()))
}

/// `1.5`, `[1, 2, 3]`, or rows of such lists.
pub fn tile(v: &Value) -> String {
    fn go(v: &Value, axis: usize, start: usize, out: &mut String) {
        let Some(&extent) = v.shape().get(axis) else {
            out.push_str(&v.data().get(start).map_or_else(String::new, lane));
            return;
        };
        let inner: usize = v.shape()[axis + 1..].iter().product();
        out.push('[');
        for i in 0..extent {
            if i > 0 {
                let last = axis + 1 == v.shape().len();
                out.push_str(if last { ", " } else { ",\n" });
                out.push_str(&" ".repeat(if last { 0 } else { axis + 1 }));
            }
            go(v, axis + 1, start + i * inner, out);
        }
        out.push(']');
    }
    let mut out = String::new();
    go(v, 0, 0, &mut out);
    out
}

fn lane(lane: Lane) -> String {
    match lane {
        Lane::Float(x) => format!("{x:?}"),
        Lane::Int(x) => x.to_string(),
        Lane::Bool(x) => x.to_string(),
    }
}
