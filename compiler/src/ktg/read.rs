//! Text of the GPU level, read back: the inverse of [`super::print`]. It takes hand-edited text, so it refuses, with the line,
//! whatever it does not understand.

use super::print::{Header, WORD};
use super::{Block, Func, Kind, Op, SharedType, Type};
use crate::error::{Error, at};
use crate::layout::Linear;
use kcc_dsl::ir::{Elem, Loc, LocId, TileType, ValueId};
use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Lines;
use std::sync::Arc;

/// Values that a text may name: more is a slip of the pen.
const MOST_VALUES: u32 = 1 << 24;
/// Regions within regions.
const MOST_DEPTH: usize = 64;

/// Reads a function. `file` stands for the text in places.
///
/// # Errors
/// The first line that is not understood.
pub fn from_text(text: &str, file: &str) -> Result<Func, Error> {
    let mut r = Reader { lines: text.lines().peekable(), line: 0, file, types: HashMap::new(), locs: 0 };
    let first = r.next().unwrap_or_default();
    let header = first.strip_prefix(WORD).ok_or_else(|| r.wrong("the first line is `ktg {…}`"))?;
    let h: Header = serde_json::from_str(header).map_err(|e| r.wrong(&e.to_string()))?;
    if h.locs.is_empty() || h.args.len() != h.params.len() {
        return Err(r.wrong("a place of the kernel, and facts of each argument, are needed"));
    }
    r.locs = h.locs.len();
    for (i, p) in h.params.iter().enumerate() {
        r.types.insert(ValueId(i as u32), Type::from(&p.kind.ty()));
    }
    let body = Block { args: Vec::new(), ops: r.ops(0)?, yields: Vec::new() };
    if r.lines.peek().is_some() {
        r.next();
        return Err(r.wrong("nothing may follow the body"));
    }
    let most = r.types.keys().map(|v| v.0).max().map_or(0, |v| v as usize + 1);
    // Numbers that nothing defines have some type: nothing uses them.
    let unused = Type::scalar(Elem::I32);
    let mut values = vec![unused; most];
    for (v, ty) in r.types {
        values[v.0 as usize] = ty;
    }
    Ok(Func {
        name: h.name,
        generics: h.generics,
        symbol: h.symbol,
        params: h.params,
        args: h.args,
        values,
        locs: h.locs,
        body,
        warps: h.warps,
        cluster: h.cluster,
        grid: h.grid,
        tensor_maps: h.tensor_maps,
        shared_bytes: h.shared_bytes,
        scratch: h.scratch,
        max_registers: h.max_registers,
        counters: h.counters,
    })
}

struct Reader<'t> {
    lines: Peekable<Lines<'t>>,
    line: u32,
    file: &'t str,
    types: HashMap<ValueId, Type>,
    locs: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<&'t str> {
        self.line += 1;
        self.lines.next().map(str::trim)
    }

    fn wrong(&self, why: &str) -> Error {
        let place = Loc { file: self.file.to_owned(), line: self.line, column: 1 };
        at(&place).invalid(format!("not a function of the GPU level: {why}")).help("edit a dumped stage")
    }

    /// Operations up to the end of the region.
    fn ops(&mut self, depth: usize) -> Result<Vec<Op>, Error> {
        if depth > MOST_DEPTH {
            return Err(self.wrong("regions nest too deep"));
        }
        let mut ops = Vec::new();
        while let Some(line) = self.lines.peek().map(|l| l.trim()) {
            if line.starts_with("yield ") {
                break;
            }
            self.next();
            if !line.is_empty() {
                ops.push(self.op(line, depth)?);
            }
        }
        Ok(ops)
    }

    fn op(&mut self, line: &str, depth: usize) -> Result<Op, Error> {
        // The layouts of results hold `=` too, but none before a brace or a quote.
        let start = ["= {", "= \""].iter().filter_map(|p| line.find(p)).min();
        let start = start.ok_or_else(|| self.wrong("an operation is `results = {…} (operands) loc n`"))?;
        let results = self.defined(line[..start].trim())?;
        let rest = &line[start + 2..];
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Kind>();
        let kind = match stream.next() {
            Some(Ok(kind)) => kind,
            Some(Err(e)) => return Err(self.wrong(&e.to_string())),
            None => return Err(self.wrong("no operation")),
        };
        let rest = rest[stream.byte_offset()..].trim();
        let (operands, rest) = rest.split_once(')').ok_or_else(|| self.wrong("operands are `(%1, %2)`"))?;
        let operands = self.list(operands)?;
        let rest = rest.trim().strip_prefix("loc ").ok_or_else(|| self.wrong("no `loc n`"))?;
        let (loc, open) = match rest.strip_suffix('{') {
            Some(loc) => (loc.trim(), true),
            None => (rest, false),
        };
        let loc: u32 = loc.parse().map_err(|_| self.wrong("`loc` names an entry of the places"))?;
        if loc as usize >= self.locs {
            return Err(self.wrong("`loc` names an entry of the places"));
        }
        let regions = if open { self.regions(depth)? } else { Vec::new() };
        Ok(Op { kind, operands, results, regions, loc: LocId(loc) })
    }

    fn regions(&mut self, depth: usize) -> Result<Vec<Block>, Error> {
        let mut regions = Vec::new();
        loop {
            let line = self.next().ok_or_else(|| self.wrong("a region does not end"))?;
            if line == "}" {
                return Ok(regions);
            }
            let args = line.strip_prefix("^(").and_then(|l| l.strip_suffix(')'));
            let args = args.ok_or_else(|| self.wrong("a region starts with `^(arguments)`"))?;
            let args = self.defined(args)?;
            let ops = self.ops(depth + 1)?;
            let line = self.next().unwrap_or_default();
            let yields = line.strip_prefix("yield ").and_then(|l| l.strip_suffix(')'));
            let yields = yields.ok_or_else(|| self.wrong("a region ends with `yield (values)`"))?;
            let yields = self.list(yields)?;
            regions.push(Block { args, ops, yields });
        }
    }

    fn value(&self, text: &str) -> Result<ValueId, Error> {
        let number = text.trim().strip_prefix('%').and_then(|n| n.parse::<u32>().ok());
        let number = number.filter(|n| *n < MOST_VALUES);
        number.map(ValueId).ok_or_else(|| self.wrong(&format!("`{text}` is no value")))
    }

    /// `(%1, %2`, whose values are defined.
    fn list(&self, text: &str) -> Result<Vec<ValueId>, Error> {
        let inner = text.trim().strip_prefix('(').ok_or_else(|| self.wrong("values are `(%1, %2)`"))?;
        let all = inner.split(',').filter(|v| !v.trim().is_empty());
        all.map(|v| {
            let v = self.value(v)?;
            if self.types.contains_key(&v) {
                Ok(v)
            } else {
                Err(self.wrong(&format!("%{} is not defined", v.0)))
            }
        })
        .collect()
    }

    /// `%1: type, %2: type`
    fn defined(&mut self, text: &str) -> Result<Vec<ValueId>, Error> {
        let mut all = Vec::new();
        for (i, part) in text.split(", %").enumerate().filter(|(_, p)| !p.trim().is_empty()) {
            let (name, ty) = part.split_once(':').ok_or_else(|| self.wrong("a result is `%1: type`"))?;
            let name = if i == 0 { name.trim().to_owned() } else { format!("%{}", name.trim()) };
            let v = self.value(&name)?;
            let ty = parse_type(ty.trim()).map_err(|e| self.wrong(&e))?;
            if self.types.insert(v, ty).is_some() {
                return Err(self.wrong(&format!("%{} is defined again", v.0)));
            }
            all.push(v);
        }
        Ok(all)
    }
}

fn parse_tile(text: &str) -> Result<TileType, String> {
    let (elem, shape) = match text.split_once('[') {
        None => (text, Vec::new()),
        Some((elem, rest)) => {
            let dims = rest.strip_suffix(']').ok_or_else(|| format!("`{text}` lacks `]`"))?;
            let dims: Result<Vec<usize>, _> = dims.split(',').map(|d| d.trim().parse()).collect();
            (elem, dims.map_err(|_| format!("`{text}` has an extent that is no number"))?)
        }
    };
    let elem = Elem::parse(elem.trim()).ok_or_else(|| format!("`{elem}` is no element type"))?;
    Ok(TileType { elem, shape })
}

fn parse_layout(text: &str) -> Result<Arc<Linear>, String> {
    text.parse::<Linear>().map(Arc::new).map_err(|e| e.to_string())
}

/// The type that [`Type`] displays as `text`.
fn parse_type(text: &str) -> Result<Type, String> {
    if let Some(count) = text.strip_suffix(" barriers") {
        let count = count.trim().parse().map_err(|_| format!("`{text}` is no type"))?;
        return Ok(Type::Barriers { count });
    }
    if let Some(inner) = text.strip_prefix("view<").and_then(|t| t.strip_suffix('>')) {
        let (elem, rank) = inner.split_once(',').ok_or_else(|| format!("`{text}` is no type"))?;
        let elem = Elem::parse(elem.trim()).ok_or_else(|| format!("`{elem}` is no element type"))?;
        let rank = rank.trim().parse().map_err(|_| format!("`{text}` has no rank"))?;
        return Ok(Type::View { elem, rank });
    }
    if let Some(rest) = text.strip_prefix("shared ") {
        let (stages, rest) = rest.split_once(" × ").ok_or_else(|| format!("`{text}` is no type"))?;
        let (tile, layout) = rest.split_once(" in ").ok_or_else(|| format!("`{text}` has no layout"))?;
        let tile = parse_tile(tile)?;
        let stages = stages.trim().parse().map_err(|_| format!("`{text}` has no number of buffers"))?;
        return Ok(Type::Shared(SharedType {
            elem: tile.elem,
            shape: tile.shape,
            stages,
            layout: parse_layout(layout)?,
        }));
    }
    match text.split_once(" in ") {
        Some((tile, layout)) => Ok(Type::laid_out(parse_tile(tile)?, parse_layout(layout)?)),
        None => Ok(Type::bare(parse_tile(text)?)),
    }
}
