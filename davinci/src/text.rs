//! Programs as text, for dumps, edits and tests; reading is the inverse of printing.
//!
//! ```text
//! davinci {"name":"add","chip":"ascend910b",…}
//! buffer x ub f32 nd 16384x2 @0
//! loc src/lib.rs:10:5
//! vector {
//!   %0 = block_idx
//!   for %4 = %0 to 64 step %1 {
//!     copy_in dst=b0+0 src=p0+%5 elem=F32 blocks=1 bytes=%6 src_gap=0 dst_gap=0 pad=null # 3
//!     set from=mte2 to=v event=0
//!   }
//! }
//! ```
//! One statement a line: a name and its fields. A field is a word (numbers, names, places, registers) or JSON. A number
//! behind `#` is the source location.

use crate::error::Error;
use crate::ir::{Buffer, Instr, Program, Reg, Scalar, Stmt, Val};
use kcc_dsl::ir::{Loc, LocId, Param};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt::Write as _;

#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    chip: String,
    params: Vec<Param>,
    workspace: u64,
}

/// First word of a text.
pub const WORD: &str = "davinci ";

impl Program {
    /// The program as text.
    pub fn to_text(&self) -> String {
        let header = Header {
            name: self.name.clone(),
            chip: self.chip.clone(),
            params: self.params.clone(),
            workspace: self.workspace,
        };
        let mut out = format!("{WORD}{}\n", json(&header));
        for (i, b) in self.buffers.iter().enumerate() {
            let _ = writeln!(out, "buffer{} # {i}", fields(&value(b)));
        }
        for l in &self.locs {
            let _ = writeln!(out, "loc {l}");
        }
        for (name, body) in [("cube", &self.cube), ("vector", &self.vector)] {
            if let Some(body) = body {
                let _ = writeln!(out, "{name} {{");
                block(body, 1, &mut out);
                out.push_str("}\n");
            }
        }
        out
    }

    /// Reads a text.
    ///
    /// # Errors
    /// The first line that is not understood, with its number.
    pub fn from_text(text: &str) -> Result<Program, Error> {
        let mut lines = Lines { lines: text.lines().enumerate().collect(), at: 0 };
        let first = lines.next().unwrap_or_default();
        let header =
            first.strip_prefix(WORD).ok_or_else(|| lines.error("a program starts with `davinci`"))?;
        let h: Header = serde_json::from_str(header).map_err(|e| lines.error(e))?;
        let mut p = Program {
            name: h.name,
            chip: h.chip,
            params: h.params,
            buffers: Vec::new(),
            workspace: h.workspace,
            cube: None,
            vector: None,
            locs: Vec::new(),
        };
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            if let Some(rest) = line.strip_prefix("buffer ") {
                let (rest, _) = split_loc(rest);
                let b: Buffer = from_fields(rest).map_err(|e| lines.error(e))?;
                p.buffers.push(b);
            } else if let Some(rest) = line.strip_prefix("loc ") {
                p.locs.push(read_loc(rest).ok_or_else(|| lines.error("a location is file:line:column"))?);
            } else if line == "cube {" {
                p.cube = Some(lines.block()?);
            } else if line == "vector {" {
                p.vector = Some(lines.block()?);
            } else {
                return Err(lines.error("expected `buffer`, `loc`, `cube {` or `vector {`"));
            }
        }
        Ok(p)
    }
}

/// Plain data has no reason to fail; if it did, the reader would say so.
fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_else(|e| format!("\"{e}\""))
}

fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// Whether a text can stand as a bare word without being taken for JSON.
fn bare(s: &str) -> bool {
    !s.is_empty()
        && !s.contains(|c: char| c.is_whitespace() || "{}[]\",#=".contains(c))
        && serde_json::from_str::<Value>(s).is_err()
}

fn fields(v: &Value) -> String {
    let mut out = String::new();
    if let Value::Object(o) = v {
        for (k, v) in o {
            let _ = match v {
                Value::String(s) if bare(s) => write!(out, " {k}={s}"),
                other => write!(out, " {k}={other}"),
            };
        }
    }
    out
}

/// A tagged value as `tag field=…`; a unit variant as its tag.
fn tagged(v: &Value) -> String {
    match v {
        Value::String(s) => s.clone(),
        Value::Object(o) => o.iter().map(|(k, v)| format!("{k}{}", fields(v))).collect(),
        other => other.to_string(),
    }
}

fn block(stmts: &[Stmt], depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for s in stmts {
        let _ = match s {
            Stmt::Let { to, value: v, loc } => writeln!(out, "{pad}{to} = {}{}", tagged(&value(v)), at(*loc)),
            Stmt::Issue { instr, loc } => writeln!(out, "{pad}{}{}", tagged(&value(instr)), at(*loc)),
            Stmt::For { counter, from, to, step, body } => {
                let _ = writeln!(out, "{pad}for {counter} = {from} to {to} step {step} {{");
                block(body, depth + 1, out);
                writeln!(out, "{pad}}}")
            }
            Stmt::While { head, condition, body } => {
                let _ = writeln!(out, "{pad}loop {{");
                block(head, depth + 1, out);
                let _ = writeln!(out, "{pad}}} while {condition} {{");
                block(body, depth + 1, out);
                writeln!(out, "{pad}}}")
            }
            Stmt::If { condition, then, otherwise } => {
                let _ = writeln!(out, "{pad}if {condition} {{");
                block(then, depth + 1, out);
                if !otherwise.is_empty() {
                    let _ = writeln!(out, "{pad}}} else {{");
                    block(otherwise, depth + 1, out);
                }
                writeln!(out, "{pad}}}")
            }
        };
    }
}

fn at(loc: LocId) -> String {
    format!(" # {}", loc.0)
}

fn read_loc(text: &str) -> Option<Loc> {
    let mut parts = text.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some(Loc { file: parts.next()?.to_owned(), line, column })
}

fn split_loc(line: &str) -> (&str, LocId) {
    match line.rsplit_once(" # ") {
        Some((rest, n)) => match n.trim().parse() {
            Ok(n) => (rest, LocId(n)),
            Err(_) => (line, LocId(0)),
        },
        None => (line, LocId(0)),
    }
}

/// The fields of a line. A value is a bare word, or JSON as far as it goes.
fn parse_fields(text: &str) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, tail) =
            rest.split_once('=').ok_or_else(|| format!("`{rest}` is no field; one is name=value"))?;
        let mut stream = serde_json::Deserializer::from_str(tail).into_iter::<Value>();
        let word = tail.find(char::is_whitespace).unwrap_or(tail.len());
        let (v, used) = match stream.next() {
            Some(Ok(v)) if !tail[stream.byte_offset()..].starts_with(|c: char| !c.is_whitespace()) => {
                (v, stream.byte_offset())
            }
            _ => (Value::String(tail[..word].to_owned()), word),
        };
        if out.insert(key.to_owned(), v).is_some() {
            return Err(format!("the field {key} stands twice"));
        }
        rest = tail[used..].trim_start();
    }
    Ok(out)
}

fn from_fields<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::Object(parse_fields(text)?)).map_err(|e| e.to_string())
}

/// A value whose tag is its first word.
fn from_tagged<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let (tag, rest) = text.split_once(' ').unwrap_or((text, ""));
    let map = parse_fields(rest)?;
    let direct = if map.is_empty() {
        Value::String(tag.to_owned())
    } else {
        Value::Object(Map::from_iter([(tag.to_owned(), Value::Object(map))]))
    };
    match serde_json::from_value(direct) {
        Ok(v) => Ok(v),
        // A struct without fields is an object, too.
        Err(e) if rest.is_empty() => {
            let empty = Value::Object(Map::from_iter([(tag.to_owned(), Value::Object(Map::new()))]));
            serde_json::from_value(empty).map_err(|_| e.to_string())
        }
        Err(e) => Err(e.to_string()),
    }
}

struct Lines<'a> {
    lines: Vec<(usize, &'a str)>,
    at: usize,
}

/// Blocks inside blocks, at most: the reader calls itself.
const DEPTH: usize = 64;

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (_, line) = self.lines.get(self.at)?;
        self.at += 1;
        Some(line.trim())
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::Text { line: self.at, what: what.to_string() }
    }

    fn block(&mut self) -> Result<Vec<Stmt>, Error> {
        self.nested(0).map(|(b, _)| b)
    }

    /// Statements up to the line that closes them, and that line.
    fn nested(&mut self, depth: usize) -> Result<(Vec<Stmt>, &'a str), Error> {
        if depth > DEPTH {
            return Err(self.error(format!("blocks are nested deeper than {DEPTH}")));
        }
        let mut out = Vec::new();
        while let Some(line) = self.next() {
            if line.starts_with('}') {
                return Ok((out, line));
            }
            if !line.is_empty() {
                out.push(self.stmt(line, depth)?);
            }
        }
        Err(self.error("the text ends inside a block"))
    }

    fn stmt(&mut self, line: &'a str, depth: usize) -> Result<Stmt, Error> {
        if let Some(rest) = line.strip_prefix("for ").and_then(|r| r.strip_suffix('{')) {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [counter, "=", from, "to", to, "step", step] = words[..] else {
                return Err(self.error("a loop is written: for %0 = 0 to 8 step 1 {"));
            };
            let (counter, from) = (self.reg(counter)?, self.val(from)?);
            let (to, step) = (self.val(to)?, self.val(step)?);
            let (body, _) = self.nested(depth + 1)?;
            return Ok(Stmt::For { counter, from, to, step, body });
        }
        if line == "loop {" {
            let (head, close) = self.nested(depth + 1)?;
            let condition = close.strip_prefix("} while ").and_then(|r| r.strip_suffix('{'));
            let condition = condition
                .ok_or_else(|| self.error("expected `} while %0 {`"))
                .and_then(|c| self.reg(c.trim()))?;
            let (body, _) = self.nested(depth + 1)?;
            return Ok(Stmt::While { head, condition, body });
        }
        if let Some(rest) = line.strip_prefix("if ").and_then(|r| r.strip_suffix('{')) {
            let condition = self.val(rest.trim())?;
            let (then, close) = self.nested(depth + 1)?;
            let otherwise = if close == "} else {" { self.nested(depth + 1)?.0 } else { Vec::new() };
            return Ok(Stmt::If { condition, then, otherwise });
        }
        let (line, loc) = split_loc(line);
        if let Some((to, v)) = line.split_once(" = ").filter(|(to, _)| to.starts_with('%')) {
            let to = self.reg(to)?;
            let value: Scalar = from_tagged(v).map_err(|e| self.error(e))?;
            return Ok(Stmt::Let { to, value, loc });
        }
        let instr: Instr = from_tagged(line).map_err(|e| self.error(e))?;
        Ok(Stmt::Issue { instr, loc })
    }

    fn reg(&self, text: &str) -> Result<Reg, Error> {
        match self.val(text)? {
            Val::Reg(r) => Ok(r),
            Val::Const(_) => Err(self.error(format!("`{text}` is no register"))),
        }
    }

    fn val(&self, text: &str) -> Result<Val, Error> {
        serde_json::from_value(Value::String(text.to_owned())).map_err(|e| self.error(e))
    }
}
