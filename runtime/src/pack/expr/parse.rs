//! From the text of a formula to its steps: a descent over the levels of operators.

use super::{ExprError, Step, Two};
use kcc_dsl::ir::{Param, ParamKind};

/// Operators by how tightly they bind, the loosest first; longer spellings before their prefixes.
const LEVELS: [&[(&str, Two)]; 5] = [
    &[("||", Two::Or)],
    &[("&&", Two::And)],
    &[("<=", Two::Le), (">=", Two::Ge), ("==", Two::Eq), ("!=", Two::Ne), ("<", Two::Lt), (">", Two::Gt)],
    &[("+", Two::Add), ("-", Two::Sub)],
    &[("*", Two::Mul), ("/", Two::Div), ("%", Two::Rem)],
];
/// Index of the comparisons in [`LEVELS`].
const COMPARISONS: usize = 2;
const FUNCTIONS: [(&str, Two); 4] =
    [("ceil_div", Two::CeilDiv), ("min", Two::Min), ("max", Two::Max), ("round_up", Two::RoundUp)];
/// Brackets and signs within each other.
const MAX_NESTING: usize = 32;

/// What a part of a formula yields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Real,
}

pub(super) struct Parser<'t> {
    text: &'t str,
    at: usize,
    params: &'t [Param],
    steps: Vec<Step>,
    nesting: usize,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, params: &'t [Param]) -> Self {
        Parser { text, at: 0, params, steps: Vec::new(), nesting: 0 }
    }

    /// The steps of the whole text.
    pub(super) fn parse(mut self) -> Result<Vec<Step>, ExprError> {
        let kind = self.either(0)?;
        self.space();
        if self.at < self.text.len() {
            return Err(self.wrong("nothing may follow here"));
        }
        self.integral(kind)?;
        Ok(self.steps)
    }

    /// That a part is no float.
    fn integral(&self, kind: Kind) -> Result<(), ExprError> {
        match kind {
            Kind::Int => Ok(()),
            Kind::Real => Err(self.wrong("floats are only compared: `scale > 0`, `eps <= 1e-3`")),
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn wrong(&self, message: impl Into<String>) -> ExprError {
        ExprError { text: self.text.to_owned(), at: self.at, message: message.into() }
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), ExprError> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(format!("`{token}` is missing"))) }
    }

    fn either(&mut self, level: usize) -> Result<Kind, ExprError> {
        let Some(operators) = LEVELS.get(level) else { return self.signed() };
        let mut kind = self.either(level + 1)?;
        loop {
            self.space();
            let Some((token, op)) = operators.iter().find(|(t, _)| self.rest().starts_with(t)) else {
                return Ok(kind);
            };
            self.at += token.len();
            let middle = self.steps.len();
            let right = self.either(level + 1)?;
            if level != COMPARISONS {
                self.integral(kind)?;
                self.integral(right)?;
                self.steps.push(Step::Two(*op));
                continue;
            }
            match (kind, right) {
                (Kind::Int, Kind::Int) => self.steps.push(Step::Two(*op)),
                (left, right) => {
                    if right == Kind::Int {
                        self.steps.push(Step::ToReal);
                    }
                    if left == Kind::Int {
                        self.steps.insert(middle, Step::ToReal);
                    }
                    self.steps.push(Step::RealTwo(*op));
                    kind = Kind::Int;
                }
            }
            return Ok(kind);
        }
    }

    fn nested(&mut self, f: impl FnOnce(&mut Self) -> Result<Kind, ExprError>) -> Result<Kind, ExprError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.wrong(format!("more than {MAX_NESTING} brackets within each other")));
        }
        let kind = f(self)?;
        self.nesting -= 1;
        Ok(kind)
    }

    fn signed(&mut self) -> Result<Kind, ExprError> {
        if self.take("-") {
            let kind = self.nested(Self::signed)?;
            self.steps.push(if kind == Kind::Int { Step::Neg } else { Step::RealNeg });
            return Ok(kind);
        }
        if self.take("!") {
            let kind = self.nested(Self::signed)?;
            self.integral(kind)?;
            self.steps.push(Step::Not);
            return Ok(kind);
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Kind, ExprError> {
        if self.take("(") {
            let kind = self.nested(|p| p.either(0))?;
            self.expect(")")?;
            return Ok(kind);
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.number();
        }
        let start = self.at;
        let name = self.word();
        if name.is_empty() {
            return Err(self.wrong("a number, an argument or a function is missing"));
        }
        if let Some((_, op)) = FUNCTIONS.iter().find(|(n, _)| *n == name) {
            self.expect("(")?;
            let first = self.nested(|p| p.either(0))?;
            self.integral(first)?;
            self.expect(",")?;
            let second = self.nested(|p| p.either(0))?;
            self.integral(second)?;
            self.expect(")")?;
            self.steps.push(Step::Two(*op));
            return Ok(Kind::Int);
        }
        let Some(index) = self.params.iter().position(|p| p.name == name) else {
            self.at = start;
            return Err(self.wrong(format!("the kernel has no argument `{name}`")));
        };
        let step = self.argument(index as u16, &name)?;
        self.steps.push(step);
        Ok(if let Step::RealScalar(_) = step { Kind::Real } else { Kind::Int })
    }

    fn argument(&mut self, index: u16, name: &str) -> Result<Step, ExprError> {
        match self.params[usize::from(index)].kind {
            ParamKind::Scalar(elem) => {
                Ok(if elem.is_float() { Step::RealScalar(index) } else { Step::Scalar(index) })
            }
            ParamKind::View { rank, .. } => {
                self.expect(".")?;
                let field = self.word();
                match field.as_str() {
                    "align" => Ok(Step::Align(index)),
                    "dim" | "stride" => {
                        self.expect("(")?;
                        self.space();
                        let axis = self.integer()?;
                        if usize::try_from(axis).map_or(true, |a| a >= rank) {
                            return Err(
                                self.wrong(format!("`{name}` has {rank} axes, there is no axis {axis}"))
                            );
                        }
                        self.expect(")")?;
                        let axis = axis as u16;
                        Ok(if field == "dim" { Step::Dim(index, axis) } else { Step::Stride(index, axis) })
                    }
                    _ => {
                        Err(self
                            .wrong(format!("a view has `dim(i)`, `stride(i)` and `align`, not `{field}`")))
                    }
                }
            }
        }
    }

    fn word(&mut self) -> String {
        self.space();
        let word: String =
            self.rest().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        self.at += word.len();
        word
    }

    /// An integer, or a decimal number: `2.5`, `1e-6`.
    fn number(&mut self) -> Result<Kind, ExprError> {
        let rest = self.rest();
        let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(0);
        let mut end = whole;
        if rest[end..].starts_with('.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            if digits(end + 1 + sign) > 0 {
                end += 1 + sign + digits(end + 1 + sign);
            }
        }
        if end == whole {
            let value = self.integer()?;
            self.steps.push(Step::Int(value));
            return Ok(Kind::Int);
        }
        let value = rest[..end].parse::<f64>().ok().filter(|v| v.is_finite());
        let value = value.ok_or_else(|| self.wrong("no number of 64 bits"))?;
        self.at += end;
        self.steps.push(Step::Real(value.to_bits()));
        Ok(Kind::Real)
    }

    fn integer(&mut self) -> Result<i64, ExprError> {
        let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
        let value = digits.parse().map_err(|_| self.wrong("no integer of 64 bits"))?;
        self.at += digits.len();
        Ok(value)
    }
}
