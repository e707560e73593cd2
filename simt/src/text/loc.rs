//! Source locations: aliases are collected and resolved once the whole text is read.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::lexer::Cursor;
use crate::error::Error;

/// A line of the kernel author's source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Loc {
    /// The file, as the compiler recorded it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// A location as written: resolved by [`LocTable::resolve`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RawLoc(pub(super) String);

/// The aliases `#loc1 = loc(…)` of a module.
#[derive(Default)]
pub(crate) struct LocTable {
    pub(super) aliases: HashMap<String, String>,
}

impl LocTable {
    /// The innermost file position in a location: through names, fusions (first part) and call sites (callee).
    pub(crate) fn resolve(&self, raw: &RawLoc) -> Option<Loc> {
        self.find(&raw.0, 0)
    }

    fn find(&self, text: &str, depth: u32) -> Option<Loc> {
        let text = text.trim();
        if depth > 32 || text.is_empty() {
            return None;
        }
        if text.starts_with('#') {
            let name: String = text.chars().take_while(|c| !matches!(c, ' ' | ',' | ')' | ']')).collect();
            return self.find(self.aliases.get(&name)?, depth + 1);
        }
        if let Some(rest) = text.strip_prefix("callsite(") {
            return self.find(rest, depth + 1);
        }
        if let Some(rest) = text.strip_prefix("fused") {
            let mut cursor = Cursor::new(rest);
            if cursor.looks_at("<") {
                cursor.balanced().ok()?;
            }
            cursor.expect("[").ok()?;
            return self.find(cursor.rest(), depth + 1);
        }
        if !text.starts_with('"') {
            return None;
        }
        let mut cursor = Cursor::new(text);
        let file = cursor.string().ok()?;
        if cursor.take("(") {
            return self.find(cursor.rest(), depth + 1); // a name with the location it names
        }
        let mut number = || {
            cursor.take(":").then(|| cursor.take_while(|c| c.is_ascii_digit()).parse::<u32>().ok()).flatten()
        };
        let line = number()?;
        let column = number().unwrap_or(0);
        Some(Loc { file: file.into(), line, column })
    }
}

/// `(…)` after `loc`, as text without the outer parentheses.
pub(super) fn skip_parentheses<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, Error> {
    cursor.expect("(")?;
    let start = cursor.position();
    let mut depth = 1;
    while depth > 0 {
        if cursor.looks_at("\"") {
            cursor.string()?;
        } else if cursor.take("(") {
            depth += 1;
        } else if cursor.take(")") {
            depth -= 1;
        } else if cursor.done() {
            return Err(cursor.error("a location without an end"));
        } else {
            let word = cursor.take_while(|c| !matches!(c, '"' | '(' | ')') && !c.is_whitespace());
            if word.is_empty() {
                cursor.skip();
            }
        }
    }
    Ok(cursor.since(start).strip_suffix(')').unwrap_or_default())
}
