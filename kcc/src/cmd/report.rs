//! Failures as users see them: a message, or the author's source with the place marked.

use ariadne::{Color, Config, IndexType, Label, Report, ReportKind, Source};
use kcc_compiler::Error as CompileError;
use kcc_dsl::exchange::{Diagnostic, Severity};
use kcc_dsl::ir::Loc;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Default)]
pub(super) struct Failure {
    diagnostics: Vec<Diagnostic>,
    /// Where relative source paths start, tried in order.
    roots: Vec<PathBuf>,
}

impl Failure {
    /// Something in the input.
    pub(super) fn input(message: impl Into<String>) -> Failure {
        Failure::from(vec![Diagnostic {
            severity: Severity::Error,
            loc: None,
            message: message.into(),
            help: None,
        }])
    }

    /// Something in the input, and what to do.
    pub(super) fn with_help(message: impl Into<String>, help: impl Into<String>) -> Failure {
        let mut failure = Failure::input(message);
        failure.diagnostics[0].help = Some(help.into());
        failure
    }

    /// A file that cannot be read or written.
    pub(super) fn file(path: &Path, error: &dyn std::fmt::Display) -> Failure {
        Failure::input(format!("{}: {error}", path.display()))
    }

    /// Another failure of the same command; what was said is not said twice.
    pub(super) fn also(&mut self, other: Failure) {
        for d in other.diagnostics {
            if !self.diagnostics.contains(&d) {
                self.diagnostics.push(d);
            }
        }
    }

    /// Whether nothing failed.
    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Source paths may be relative to this folder.
    pub(super) fn rooted(mut self, roots: &[PathBuf]) -> Failure {
        self.roots.extend_from_slice(roots);
        self
    }

    /// What went wrong, without places, unless it is a bug of kcc.
    pub(super) fn refusal(&self) -> Option<String> {
        let bug = self.diagnostics.iter().any(|d| d.severity == Severity::Bug);
        (!bug).then(|| self.diagnostics.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("; "))
    }

    /// Shows what is no failure.
    pub(super) fn warn(&self) {
        self.diagnostics.iter().for_each(|d| self.show(d));
    }

    /// What was found.
    pub(super) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Shows the failure and gives the exit code.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        let bug = self.diagnostics.iter().any(|d| d.severity == Severity::Bug);
        if json {
            let value = serde_json::json!({ "ok": false, "diagnostics": self.diagnostics });
            let _ = writeln!(std::io::stdout(), "{value}");
        } else {
            self.diagnostics.iter().for_each(|d| self.show(d));
        }
        ExitCode::from(if bug { 3 } else { 1 })
    }

    fn source(&self, loc: &Loc) -> Option<String> {
        let here = std::iter::once(PathBuf::new());
        here.chain(self.roots.iter().cloned()).find_map(|r| std::fs::read_to_string(r.join(&loc.file)).ok())
    }

    fn show(&self, d: &Diagnostic) {
        let mut err = stderr().lock();
        let kind = match d.severity {
            Severity::Warning => ReportKind::Warning,
            Severity::Error => ReportKind::Error,
            Severity::Bug => ReportKind::Custom("internal error", Color::Magenta),
        };
        let place = d.loc.as_ref().and_then(|l| Some((l, self.source(l)?)));
        let Some((loc, source)) = place else {
            let at = d.loc.as_ref().map(|l| format!("{l}: ")).unwrap_or_default();
            let name = match d.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
                Severity::Bug => "internal error",
            };
            let _ = writeln!(err, "{name}: {at}{}", d.message);
            if let Some(help) = &d.help {
                let _ = writeln!(err, "  help: {help}");
            }
            return;
        };
        let span = span(&source, loc);
        let color = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut report = Report::build(kind, (loc.file.clone(), span.clone()))
            .with_config(Config::default().with_color(color).with_index_type(IndexType::Byte))
            .with_message(&d.message)
            .with_label(Label::new((loc.file.clone(), span)).with_message("here").with_color(Color::Red));
        if let Some(help) = &d.help {
            report = report.with_help(help);
        }
        let _ = report.finish().write((loc.file.clone(), Source::from(source)), &mut err);
    }
}

/// The token at a place, as bytes; empty at the end of a line.
fn span(source: &str, loc: &Loc) -> std::ops::Range<usize> {
    let line = loc.line.max(1) as usize - 1;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let text = source[start..].lines().next().unwrap_or_default();
    let skip: usize = text.chars().take(loc.column.max(1) as usize - 1).map(char::len_utf8).sum();
    let rest = &text[skip..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let len = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
    start + skip..start + skip + len
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Failure {
        Failure { diagnostics, roots: Vec::new() }
    }
}

impl From<CompileError> for Failure {
    fn from(e: CompileError) -> Failure {
        Failure::from(e.diagnostics())
    }
}

impl From<kcc_runtime::Error> for Failure {
    fn from(e: kcc_runtime::Error) -> Failure {
        match e.diagnostics() {
            [] => Failure::input(e.to_string()),
            list => Failure::from(list.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: u32, column: u32) -> &'static str {
        let source = "let é = dot(a, b);\n\n  x.store(0, y)\n";
        let loc = Loc { file: String::new(), line, column };
        &source[span(source, &loc)]
    }

    #[test]
    fn a_place_marks_its_token_and_nothing_outside_the_source() {
        assert_eq!(text(1, 9), "dot");
        assert_eq!(text(1, 12), "(");
        assert_eq!(text(3, 5), "store");
        for (line, column) in [(0, 0), (2, 1), (3, 99), (99, 1), (1, 20)] {
            assert!(text(line, column).len() <= 3, "{line}:{column}");
        }
    }
}
