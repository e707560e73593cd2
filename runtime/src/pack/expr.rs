//! Formulas over a kernel's arguments: conditions, costs, grids, workspace sizes.
//!
//! ```text
//! "ceil_div(x.dim(0), 64)"  ── parse, once ──►  [Dim 0 0] [Int 64] [CeilDiv]  ── eval, per launch ──►  16
//! ```
//!
//! Integers of 64 bits, booleans as 0 and 1. From loosest to tightest: `||`, `&&`, comparisons (not chained), `+ -`,
//! `* / %`, unary `- !`. Division rounds towards minus infinity. Functions: `ceil_div(a, b)`, `min(a, b)`,
//! `max(a, b)`, `round_up(a, b)`. Of a view `x`: `x.dim(i)`, `x.stride(i)` (elements), `x.align` (the largest power of
//! two in bytes, at most 256, that divides its address). An integer or boolean scalar `n` is its value.
//! Overflow and division by zero make the whole formula undefined: a condition then does not hold, a size cannot be had.

use kcc_dsl::ir::{Elem, Param, ParamKind};

/// Deepest stack that a formula may need: evaluation uses a fixed array.
const DEPTH: usize = 16;
/// Longest text of a formula.
const MAX_TEXT: usize = 4096;

/// What a formula reads of one argument.
#[derive(Clone, Copy, Debug)]
pub enum ArgFacts<'a> {
    /// A view: address, dims, strides in elements.
    View {
        /// Address of element (0, …, 0).
        address: u64,
        /// Extent of each axis.
        dims: &'a [i64],
        /// Stride of each axis, in elements.
        strides: &'a [i64],
    },
    /// An integer or boolean by its value; `None` for a float.
    Scalar(Option<i64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Int(i64),
    Dim(u16, u16),
    Stride(u16, u16),
    Align(u16),
    Scalar(u16),
    Neg,
    Not,
    Two(Two),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Two {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
    CeilDiv,
    Min,
    Max,
    RoundUp,
}

/// A parsed formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    steps: Box<[Step]>,
}

/// What is wrong with a formula's text, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {at} of `{text}`")]
pub struct ExprError {
    /// The formula.
    pub text: String,
    /// Offset in bytes.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl Expr {
    /// A formula that is always this number.
    pub fn constant(value: i64) -> Expr {
        Expr { steps: Box::new([Step::Int(value)]) }
    }

    /// Parses a formula over these parameters.
    ///
    /// # Errors
    /// A text that is no formula, or names what the kernel does not have.
    pub fn parse(text: &str, params: &[Param]) -> Result<Expr, ExprError> {
        let mut p = Parser { text, at: 0, params, steps: Vec::new(), nesting: 0 };
        if text.len() > MAX_TEXT {
            let text = text.chars().take(40).chain("…".chars()).collect();
            return Err(ExprError { text, at: MAX_TEXT, message: format!("longer than {MAX_TEXT} bytes") });
        }
        p.either(0)?;
        p.space();
        if p.at < text.len() {
            return Err(p.wrong("nothing may follow here"));
        }
        let (mut depth, mut deepest) = (0usize, 0usize);
        for step in &p.steps {
            match step {
                Step::Neg | Step::Not => {}
                Step::Two(_) => depth -= 1,
                _ => depth += 1,
            }
            deepest = deepest.max(depth);
        }
        if deepest > DEPTH {
            p.at = 0;
            return Err(p.wrong(format!("needs more than {DEPTH} intermediate results")));
        }
        Ok(Expr { steps: p.steps.into() })
    }

    /// The value for these arguments; `None` where it is undefined.
    pub fn eval(&self, args: &[ArgFacts<'_>]) -> Option<i64> {
        let mut stack = [0i64; DEPTH];
        let mut top = 0usize;
        for step in &self.steps {
            let value = match *step {
                Step::Neg | Step::Not => {
                    top = top.checked_sub(1)?;
                    let a = *stack.get(top)?;
                    if *step == Step::Neg { a.checked_neg()? } else { i64::from(a == 0) }
                }
                Step::Two(op) => {
                    top = top.checked_sub(2)?;
                    apply(op, *stack.get(top)?, *stack.get(top + 1)?)?
                }
                Step::Int(i) => i,
                Step::Dim(a, axis) => match args.get(usize::from(a))? {
                    ArgFacts::View { dims, .. } => *dims.get(usize::from(axis))?,
                    ArgFacts::Scalar(_) => return None,
                },
                Step::Stride(a, axis) => match args.get(usize::from(a))? {
                    ArgFacts::View { strides, .. } => *strides.get(usize::from(axis))?,
                    ArgFacts::Scalar(_) => return None,
                },
                Step::Align(a) => match args.get(usize::from(a))? {
                    ArgFacts::View { address, .. } => 1 << address.trailing_zeros().min(8),
                    ArgFacts::Scalar(_) => return None,
                },
                Step::Scalar(a) => match args.get(usize::from(a))? {
                    ArgFacts::Scalar(v) => (*v)?,
                    ArgFacts::View { .. } => return None,
                },
            };
            *stack.get_mut(top)? = value;
            top += 1;
        }
        (top == 1).then_some(stack[0])
    }

    /// Whether the condition holds.
    pub fn holds(&self, args: &[ArgFacts<'_>]) -> bool {
        self.eval(args).is_some_and(|v| v != 0)
    }
}

fn apply(op: Two, a: i64, b: i64) -> Option<i64> {
    let floor = |a: i64, b: i64| {
        let (q, r) = (a.checked_div(b)?, a.checked_rem(b)?);
        Some(if r != 0 && (r < 0) != (b < 0) { q - 1 } else { q })
    };
    let ceil = |a: i64, b: i64| {
        let q = floor(a, b)?;
        q.checked_add(i64::from(q.checked_mul(b)? != a))
    };
    match op {
        Two::Add => a.checked_add(b),
        Two::Sub => a.checked_sub(b),
        Two::Mul => a.checked_mul(b),
        Two::Div => floor(a, b),
        Two::Rem => a.checked_sub(floor(a, b)?.checked_mul(b)?),
        Two::Lt => Some(i64::from(a < b)),
        Two::Le => Some(i64::from(a <= b)),
        Two::Gt => Some(i64::from(a > b)),
        Two::Ge => Some(i64::from(a >= b)),
        Two::Eq => Some(i64::from(a == b)),
        Two::Ne => Some(i64::from(a != b)),
        Two::And => Some(i64::from(a != 0 && b != 0)),
        Two::Or => Some(i64::from(a != 0 || b != 0)),
        Two::CeilDiv => ceil(a, b),
        Two::Min => Some(a.min(b)),
        Two::Max => Some(a.max(b)),
        Two::RoundUp => ceil(a, b)?.checked_mul(b),
    }
}

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

struct Parser<'t> {
    text: &'t str,
    at: usize,
    params: &'t [Param],
    steps: Vec<Step>,
    nesting: usize,
}

impl Parser<'_> {
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

    fn either(&mut self, level: usize) -> Result<(), ExprError> {
        let Some(operators) = LEVELS.get(level) else { return self.signed() };
        self.either(level + 1)?;
        loop {
            self.space();
            let Some((token, op)) = operators.iter().find(|(t, _)| self.rest().starts_with(t)) else {
                return Ok(());
            };
            self.at += token.len();
            self.either(level + 1)?;
            self.steps.push(Step::Two(*op));
            if level == COMPARISONS {
                return Ok(());
            }
        }
    }

    fn nested(&mut self, f: impl FnOnce(&mut Self) -> Result<(), ExprError>) -> Result<(), ExprError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.wrong(format!("more than {MAX_NESTING} brackets within each other")));
        }
        f(self)?;
        self.nesting -= 1;
        Ok(())
    }

    fn signed(&mut self) -> Result<(), ExprError> {
        if self.take("-") {
            self.nested(Self::signed)?;
            self.steps.push(Step::Neg);
            return Ok(());
        }
        if self.take("!") {
            self.nested(Self::signed)?;
            self.steps.push(Step::Not);
            return Ok(());
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<(), ExprError> {
        if self.take("(") {
            self.nested(|p| p.either(0))?;
            return self.expect(")");
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            let value = self.integer()?;
            self.steps.push(Step::Int(value));
            return Ok(());
        }
        let start = self.at;
        let name = self.word();
        if name.is_empty() {
            return Err(self.wrong("a number, an argument or a function is missing"));
        }
        if let Some((_, op)) = FUNCTIONS.iter().find(|(n, _)| *n == name) {
            self.expect("(")?;
            self.nested(|p| p.either(0))?;
            self.expect(",")?;
            self.nested(|p| p.either(0))?;
            self.expect(")")?;
            self.steps.push(Step::Two(*op));
            return Ok(());
        }
        let Some(index) = self.params.iter().position(|p| p.name == name) else {
            self.at = start;
            return Err(self.wrong(format!("the kernel has no argument `{name}`")));
        };
        let step = self.argument(index as u16, &name)?;
        self.steps.push(step);
        Ok(())
    }

    fn argument(&mut self, index: u16, name: &str) -> Result<Step, ExprError> {
        match self.params[usize::from(index)].kind {
            ParamKind::Scalar(elem) => {
                if elem.is_float() {
                    return Err(self.wrong(format!("`{name}` is a float: formulas are over integers")));
                }
                Ok(Step::Scalar(index))
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

    fn integer(&mut self) -> Result<i64, ExprError> {
        let digits: String = self.rest().chars().take_while(char::is_ascii_digit).collect();
        let value = digits.parse().map_err(|_| self.wrong("no integer of 64 bits"))?;
        self.at += digits.len();
        Ok(value)
    }
}

/// An integer or boolean scalar by its bits, as formulas see it.
pub(crate) fn scalar_value(elem: Elem, bits: u64) -> Option<i64> {
    Some(match elem {
        Elem::Bool => i64::from(bits & 0xff != 0),
        Elem::I8 => i64::from(bits as i8),
        Elem::U8 => i64::from(bits as u8),
        Elem::I16 => i64::from(bits as i16),
        Elem::I32 => i64::from(bits as i32),
        Elem::U32 => i64::from(bits as u32),
        Elem::I64 => bits as i64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Vec<Param> {
        vec![
            Param { name: "x".into(), kind: ParamKind::View { elem: Elem::F32, rank: 2, mutable: false } },
            Param { name: "n".into(), kind: ParamKind::Scalar(Elem::I32) },
            Param { name: "eps".into(), kind: ParamKind::Scalar(Elem::F32) },
        ]
    }

    fn value(text: &str) -> Option<i64> {
        let args = [
            ArgFacts::View { address: 48, dims: &[1000, 77], strides: &[80, 1] },
            ArgFacts::Scalar(Some(-7)),
            ArgFacts::Scalar(None),
        ];
        Expr::parse(text, &params()).map_err(|e| e.to_string()).unwrap().eval(&args)
    }

    #[test]
    fn operators_bind_as_in_rust() {
        assert_eq!(value("1 + 2 * 3 - 4 / 2"), Some(5));
        assert_eq!(value("(1 + 2) * -3"), Some(-9));
        assert_eq!(value("1 < 2 && 3 != 3 || 2 >= 2"), Some(1));
        assert_eq!(value("!(1 == 1)"), Some(0));
        assert_eq!(value("10 - 3 - 2"), Some(5));
    }

    #[test]
    fn arguments_are_read_by_name() {
        assert_eq!(value("ceil_div(x.dim(0), 64)"), Some(16));
        assert_eq!(value("x.stride(0) % 16 == 0 && x.align >= 16"), Some(1));
        assert_eq!(value("round_up(x.dim(1), 8) + min(n, 3) - max(n, -2)"), Some(75));
    }

    #[test]
    fn division_rounds_down_and_undefined_is_none() {
        assert_eq!(value("n / 2"), Some(-4));
        assert_eq!(value("n % 2"), Some(1));
        assert_eq!(value("ceil_div(n, 2)"), Some(-3));
        assert_eq!(value("1 / (x.dim(0) - 1000)"), None);
        assert_eq!(value("9223372036854775807 + 1"), None);
        assert_eq!(value("(0 - 9223372036854775807 - 1) / -1"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Expr::parse(text, &params()).unwrap_err().message;
        assert_eq!(message("y.dim(0)"), "the kernel has no argument `y`");
        assert_eq!(message("x.dim(2)"), "`x` has 2 axes, there is no axis 2");
        assert_eq!(message("eps + 1"), "`eps` is a float: formulas are over integers");
        assert_eq!(message("x.size"), "a view has `dim(i)`, `stride(i)` and `align`, not `size`");
        assert_eq!(message("1 2"), "nothing may follow here");
        assert_eq!(message("1 < 2 < 3"), "nothing may follow here");
        assert_eq!(message("(1"), "`)` is missing");
        assert_eq!(message(""), "a number, an argument or a function is missing");
        assert_eq!(message("99999999999999999999"), "no integer of 64 bits");
        assert!(message(&"(".repeat(100)).starts_with("more than 32 brackets"));
        let deep = format!("{}1{}", "1 + (".repeat(20), ")".repeat(20));
        assert_eq!(message(&deep), "needs more than 16 intermediate results");
    }
}
