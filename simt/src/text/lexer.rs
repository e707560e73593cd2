//! Cuts the text into characters and words; the parser asks for what it expects.

use crate::error::Error;

/// A position in the text, with the few moves that a recursive-descent parser needs.
#[derive(Clone)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Cursor { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        let line = self.text[..self.at].bytes().filter(|&byte| byte == b'\n').count() + 1;
        Error::Parse { line, message: message.into() }
    }

    /// Skips blanks and `//` comments.
    pub(super) fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest().chars().next()
    }

    pub(super) fn done(&mut self) -> bool {
        self.peek().is_none()
    }

    pub(super) fn looks_at(&mut self, token: &str) -> bool {
        self.skip();
        self.rest().starts_with(token)
    }

    /// Takes `token` when it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.looks_at(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes a keyword: `token`, not followed by more of a word.
    pub(super) fn take_word(&mut self, token: &str) -> bool {
        if !self.looks_at(token) {
            return false;
        }
        let after = self.rest()[token.len()..].chars().next();
        let whole = !after.is_some_and(is_word);
        if whole {
            self.at += token.len();
        }
        whole
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), Error> {
        if self.take(token) {
            return Ok(());
        }
        let found: String = self.rest().chars().take(16).collect();
        Err(self.error(format!("expected `{token}`, found `{found}`")))
    }

    /// Letters, digits, `_`, `.` and `$`; may be empty.
    pub(super) fn word(&mut self) -> &'t str {
        self.skip();
        self.take_while(is_word)
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A string in quotes, with MLIR's escapes (`\n`, `\t`, `\"`, `\\`, two hex digits) undone.
    pub(super) fn string(&mut self) -> Result<String, Error> {
        self.expect("\"")?;
        let mut bytes = Vec::new();
        let mut chars = self.rest().char_indices();
        loop {
            let Some((at, c)) = chars.next() else { return Err(self.error("a string without an end")) };
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(String::from_utf8_lossy(&bytes).into_owned());
                }
                '\\' => {
                    let escape = chars.next().map(|(_, c)| c);
                    match escape {
                        Some('n') => bytes.push(b'\n'),
                        Some('t') => bytes.push(b'\t'),
                        Some(c @ ('"' | '\\')) => bytes.push(c as u8),
                        Some(high) => {
                            let low = chars.next().and_then(|(_, c)| c.to_digit(16));
                            let (Some(high), Some(low)) = (high.to_digit(16), low) else {
                                return Err(self.error("an unknown escape in a string"));
                            };
                            bytes.push((high * 16 + low) as u8);
                        }
                        None => return Err(self.error("a string without an end")),
                    }
                }
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// Text between balanced `<` and `>`, without the outer pair; strings inside do not count.
    pub(super) fn balanced(&mut self) -> Result<&'t str, Error> {
        self.expect("<")?;
        let start = self.at;
        let mut depth = 1;
        let mut quoted = false;
        let mut previous = ' ';
        for (at, c) in self.text[start..].char_indices() {
            match c {
                '"' if previous != '\\' => quoted = !quoted,
                '<' if !quoted => depth += 1,
                '>' if !quoted && previous != '-' => depth -= 1,
                _ => {}
            }
            previous = c;
            if depth == 0 {
                self.at = start + at + 1;
                return Ok(&self.text[start..start + at]);
            }
        }
        Err(self.error("`<` without `>`"))
    }
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}
