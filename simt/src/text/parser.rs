//! Operations, blocks and regions.

use super::attr::{Attr, Attrs, parse_dict};
use super::lexer::Cursor;
use super::loc::{LocTable, RawLoc, skip_parentheses};
use super::types::{Type, parse_type};
use crate::error::Error;

/// An operation in generic form. Values are named as in the text, without `%`.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) name: String,
    pub(crate) results: Vec<String>,
    pub(crate) operands: Vec<String>,
    pub(crate) successors: Vec<String>,
    pub(crate) regions: Vec<Region>,
    /// Properties and discardable attributes in one map.
    pub(crate) attrs: Attrs,
    pub(crate) result_types: Vec<Type>,
    pub(crate) loc: RawLoc,
    /// The line of the module's text, for errors about operations without a location.
    pub(crate) line: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(crate) struct Block {
    /// Its label without `^`; the entry block may have none.
    pub(crate) label: String,
    pub(crate) args: Vec<(String, Type)>,
    pub(crate) ops: Vec<Op>,
}

impl Op {
    pub(crate) fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.get(name)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attr(name)?.int()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.attr(name) {
            None | Some(Attr::Bool(false)) => false,
            Some(Attr::Int(value, _)) => *value != 0,
            Some(_) => true,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.attr(name)?.text()
    }

    pub(crate) fn case(&self, name: &str) -> Option<&str> {
        self.attr(name)?.case()
    }

    /// The operands cut by `operandSegmentSizes`.
    pub(crate) fn segments(&self) -> Option<Vec<std::ops::Range<usize>>> {
        let sizes = self.attr("operandSegmentSizes")?.ints()?;
        let mut at = 0usize;
        let mut out = Vec::with_capacity(sizes.len());
        for &size in sizes {
            let end = at.checked_add(usize::try_from(size).ok()?)?;
            out.push(at..end);
            at = end;
        }
        (at == self.operands.len()).then_some(out)
    }
}

/// Reads a module: its top-level operations and location aliases.
pub(crate) fn parse(text: &str) -> Result<(Vec<Op>, LocTable), Error> {
    let mut parser = Parser { cursor: Cursor::new(text), locs: LocTable::default(), seen: 0, lines: 1 };
    let mut ops = Vec::new();
    while !parser.cursor.done() {
        if parser.cursor.looks_at("#") || parser.cursor.looks_at("!") {
            parser.alias()?;
        } else if parser.cursor.take("{-#") {
            let rest = parser.cursor.rest();
            let end = rest.find("#-}").ok_or_else(|| parser.cursor.error("resources without an end"))?;
            let target = parser.cursor.position() + end + 3;
            while parser.cursor.position() < target {
                parser.cursor.take_while(|c| c != '}');
                parser.cursor.take("}");
            }
        } else {
            ops.push(parser.op(0)?);
        }
    }
    Ok((ops, parser.locs))
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    locs: LocTable,
    /// Up to where lines have been counted, and how many.
    seen: usize,
    lines: usize,
}

const DEEPEST: u32 = 24;

impl Parser<'_> {
    fn line(&mut self) -> usize {
        let at = self.cursor.position();
        let start = Cursor::clone(&self.cursor);
        let passed = start.since(self.seen.min(at));
        self.lines += passed.bytes().filter(|&byte| byte == b'\n').count();
        self.seen = at;
        self.lines
    }

    /// `#name = …` and `!name = …`; only locations are kept.
    fn alias(&mut self) -> Result<(), Error> {
        let start = self.cursor.position();
        if !self.cursor.take("#") {
            self.cursor.expect("!")?;
        }
        self.cursor.word();
        let name = self.cursor.since(start).trim().to_owned();
        self.cursor.expect("=")?;
        if self.cursor.take_word("loc") {
            let value = skip_parentheses(&mut self.cursor)?.to_owned();
            self.locs.aliases.insert(name, value);
            return Ok(());
        }
        if self.cursor.take_word("distinct") {
            self.cursor.expect("[")?;
            self.cursor.take_while(|c| c != ']');
            self.cursor.expect("]")?;
            if self.cursor.looks_at("<") {
                self.cursor.balanced()?;
                return Ok(());
            }
        }
        super::attr::parse_attr(&mut self.cursor, 0).map(drop)
    }

    fn op(&mut self, depth: u32) -> Result<Op, Error> {
        if depth > DEEPEST {
            return Err(self.cursor.error("regions nested too deeply"));
        }
        let mut results = Vec::new();
        while self.cursor.looks_at("%") {
            let name = self.value()?;
            if self.cursor.take(":") {
                let count = self.cursor.word();
                let count: usize = count.parse().map_err(|_| self.cursor.error("expected a count"))?;
                if count > 4096 {
                    return Err(self.cursor.error("too many results"));
                }
                results.extend((0..count).map(|index| format!("{name}#{index}")));
            } else {
                results.push(name);
            }
            if !self.cursor.take(",") {
                self.cursor.expect("=")?;
                break;
            }
        }
        let line = self.line();
        if !self.cursor.looks_at("\"") {
            let found: String = self.cursor.rest().chars().take(24).collect();
            return Err(self.cursor.error(format!(
                "expected an operation in generic form (print with --mlir-print-op-generic), found `{found}`"
            )));
        }
        let name = self.cursor.string()?;
        self.cursor.expect("(")?;
        let mut operands = Vec::new();
        while !self.cursor.take(")") {
            if !operands.is_empty() {
                self.cursor.expect(",")?;
            }
            operands.push(self.value()?);
        }
        let mut successors = Vec::new();
        if self.cursor.take("[") {
            while !self.cursor.take("]") {
                if !successors.is_empty() {
                    self.cursor.expect(",")?;
                }
                self.cursor.expect("^")?;
                successors.push(self.cursor.word().to_owned());
            }
        }
        let mut attrs = Attrs::new();
        if self.cursor.take("<{") {
            attrs = parse_dict(&mut self.cursor, "}", 0)?;
            self.cursor.expect(">")?;
        }
        let mut regions = Vec::new();
        if self.cursor.take("(") {
            while !self.cursor.take(")") {
                if !regions.is_empty() {
                    self.cursor.expect(",")?;
                }
                regions.push(self.region(depth)?);
            }
        }
        if self.cursor.take("{") {
            attrs.extend(parse_dict(&mut self.cursor, "}", 0)?);
        }
        self.cursor.expect(":")?;
        self.cursor.expect("(")?;
        let operand_types = self.types()?;
        self.cursor.expect("->")?;
        let result_types =
            if self.cursor.take("(") { self.types()? } else { vec![parse_type(&mut self.cursor)?] };
        let loc = self.loc()?;
        if operand_types.len() != operands.len() || result_types.len() != results.len() && !results.is_empty()
        {
            return Err(self.cursor.error(format!("`{name}`: values and types differ in number")));
        }
        Ok(Op { name, results, operands, successors, regions, attrs, result_types, loc, line })
    }

    fn region(&mut self, depth: u32) -> Result<Region, Error> {
        self.cursor.expect("{")?;
        let mut region = Region::default();
        loop {
            if self.cursor.take("}") {
                return Ok(region);
            }
            if self.cursor.take("^") {
                let label = self.cursor.word().to_owned();
                let mut args = Vec::new();
                if self.cursor.take("(") {
                    while !self.cursor.take(")") {
                        if !args.is_empty() {
                            self.cursor.expect(",")?;
                        }
                        let name = self.value()?;
                        self.cursor.expect(":")?;
                        args.push((name, parse_type(&mut self.cursor)?));
                        self.loc()?;
                    }
                }
                self.cursor.expect(":")?;
                region.blocks.push(Block { label, args, ops: Vec::new() });
                continue;
            }
            if region.blocks.is_empty() {
                region.blocks.push(Block { label: String::new(), args: Vec::new(), ops: Vec::new() });
            }
            let op = self.op(depth + 1)?;
            if let Some(block) = region.blocks.last_mut() {
                block.ops.push(op);
            }
        }
    }

    fn value(&mut self) -> Result<String, Error> {
        self.cursor.expect("%")?;
        let mut name = self.cursor.word().to_owned();
        if self.cursor.rest().starts_with('#') {
            self.cursor.take("#");
            name.push('#');
            name.push_str(self.cursor.word());
        }
        if name.is_empty() {
            return Err(self.cursor.error("expected the name of a value"));
        }
        Ok(name)
    }

    fn types(&mut self) -> Result<Vec<Type>, Error> {
        let mut types = Vec::new();
        while !self.cursor.take(")") {
            if !types.is_empty() {
                self.cursor.expect(",")?;
            }
            types.push(parse_type(&mut self.cursor)?);
        }
        Ok(types)
    }

    fn loc(&mut self) -> Result<RawLoc, Error> {
        if !self.cursor.take_word("loc") {
            return Ok(RawLoc::default());
        }
        Ok(RawLoc(skip_parentheses(&mut self.cursor)?.to_owned()))
    }
}
