//! Formulas over a kernel's arguments: conditions, costs, grids, workspace sizes.
//!
//! ```text
//! "ceil_div(x.dim(0), 64)"  ── parse, once ──►  [Dim 0 0] [Int 64] [CeilDiv]  ── eval, per launch ──►  16
//! ```
//!
//! Integers of 64 bits, booleans as 0 and 1. From loosest to tightest: `||`, `&&`, comparisons (not chained), `+ -`,
//! `* / %`, unary `- !`. Division rounds towards minus infinity. Functions: `ceil_div(a, b)`, `min(a, b)`,
//! `max(a, b)`, `round_up(a, b)`. Of a view `x`: `x.dim(i)`, `x.stride(i)` (elements), `x.align` (the largest power of
//! two in bytes, at most 256, that divides its address). A scalar `n` is its value. Floats, those of arguments and decimal numbers such
//! as `1e-6`, are only compared (in 64 bits); with a NaN no comparison but `!=` holds. Overflow and division by zero make the whole formula undefined: a condition then does not hold, a size cannot be had.

mod parse;

use half::{bf16, f16};
use kcc_dsl::elem::{F8E4M3, F8E5M2};
use kcc_dsl::ir::{Elem, Param};
use parse::Parser;

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
    /// An integer or boolean by its value.
    Scalar(i64),
    /// A float by its value.
    Real(f64),
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
    /// Bits of an `f64`. The parser sees to it that floats meet floats only.
    Real(u64),
    RealScalar(u16),
    ToReal,
    RealNeg,
    RealTwo(Two),
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
    text: Box<str>,
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
        Expr { text: value.to_string().into(), steps: Box::new([Step::Int(value)]) }
    }

    /// The formula as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Parses a formula over these parameters.
    ///
    /// # Errors
    /// A text that is no formula, or names what the kernel does not have.
    pub fn parse(text: &str, params: &[Param]) -> Result<Expr, ExprError> {
        if text.len() > MAX_TEXT {
            let text = text.chars().take(40).chain("…".chars()).collect();
            return Err(ExprError { text, at: MAX_TEXT, message: format!("longer than {MAX_TEXT} bytes") });
        }
        let steps = Parser::new(text, params).parse()?;
        let (mut depth, mut deepest) = (0usize, 0usize);
        for step in &steps {
            match step {
                Step::Neg | Step::Not | Step::RealNeg | Step::ToReal => {}
                Step::Two(_) | Step::RealTwo(_) => depth -= 1,
                _ => depth += 1,
            }
            deepest = deepest.max(depth);
        }
        if deepest > DEPTH {
            let message = format!("needs more than {DEPTH} intermediate results");
            return Err(ExprError { text: text.to_owned(), at: 0, message });
        }
        Ok(Expr { text: text.into(), steps: steps.into() })
    }

    /// The value for these arguments; `None` where it is undefined.
    pub fn eval(&self, args: &[ArgFacts<'_>]) -> Option<i64> {
        // Most costs, and two axes of most grids.
        if let [Step::Int(value)] = &self.steps[..] {
            return Some(*value);
        }
        let mut stack = [0i64; DEPTH];
        let mut top = 0usize;
        for step in &self.steps {
            let value = match *step {
                Step::Neg | Step::Not | Step::RealNeg | Step::ToReal => {
                    top = top.checked_sub(1)?;
                    let a = *stack.get(top)?;
                    match step {
                        Step::Neg => a.checked_neg()?,
                        Step::Not => i64::from(a == 0),
                        Step::ToReal => bits(a as f64),
                        _ => bits(-real(a)),
                    }
                }
                Step::Two(op) | Step::RealTwo(op) => {
                    top = top.checked_sub(2)?;
                    let (a, b) = (*stack.get(top)?, *stack.get(top + 1)?);
                    if let Step::Two(_) = step { apply(op, a, b)? } else { compare(op, real(a), real(b))? }
                }
                Step::Int(i) => i,
                Step::Real(r) => r as i64,
                Step::Dim(a, axis) => match args.get(usize::from(a))? {
                    ArgFacts::View { dims, .. } => *dims.get(usize::from(axis))?,
                    _ => return None,
                },
                Step::Stride(a, axis) => match args.get(usize::from(a))? {
                    ArgFacts::View { strides, .. } => *strides.get(usize::from(axis))?,
                    _ => return None,
                },
                Step::Align(a) => match args.get(usize::from(a))? {
                    ArgFacts::View { address, .. } => 1 << address.trailing_zeros().min(8),
                    _ => return None,
                },
                Step::Scalar(a) => match args.get(usize::from(a))? {
                    ArgFacts::Scalar(v) => *v,
                    _ => return None,
                },
                Step::RealScalar(a) => match args.get(usize::from(a))? {
                    ArgFacts::Real(v) => bits(*v),
                    _ => return None,
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

/// A float on the stack.
fn bits(value: f64) -> i64 {
    value.to_bits() as i64
}

fn real(bits: i64) -> f64 {
    f64::from_bits(bits as u64)
}

fn compare(op: Two, a: f64, b: f64) -> Option<i64> {
    Some(i64::from(match op {
        Two::Lt => a < b,
        Two::Le => a <= b,
        Two::Gt => a > b,
        Two::Ge => a >= b,
        Two::Eq => a == b,
        Two::Ne => a != b,
        _ => return None,
    }))
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

impl ArgFacts<'_> {
    /// A scalar by its bits.
    pub(crate) fn scalar(elem: Elem, bits: u64) -> ArgFacts<'static> {
        ArgFacts::Scalar(match elem {
            Elem::Bool => i64::from(bits & 0xff != 0),
            Elem::I8 => i64::from(bits as i8),
            Elem::U8 => i64::from(bits as u8),
            Elem::I16 => i64::from(bits as i16),
            Elem::I32 => i64::from(bits as i32),
            Elem::U32 => i64::from(bits as u32),
            Elem::I64 => bits as i64,
            Elem::F32 => return ArgFacts::Real(f32::from_bits(bits as u32).into()),
            Elem::F16 => return ArgFacts::Real(f16::from_bits(bits as u16).into()),
            Elem::BF16 => return ArgFacts::Real(bf16::from_bits(bits as u16).into()),
            Elem::F8E4M3 => return ArgFacts::Real(F8E4M3::from_bits(bits as u8).to_f32().into()),
            Elem::F8E5M2 => return ArgFacts::Real(F8E5M2::from_bits(bits as u8).to_f32().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kcc_dsl::ir::ParamKind;

    fn params() -> Vec<Param> {
        vec![
            Param { name: "x".into(), kind: ParamKind::View { elem: Elem::F32, rank: 2, mutable: false } },
            Param { name: "n".into(), kind: ParamKind::Scalar(Elem::I32) },
            Param { name: "eps".into(), kind: ParamKind::Scalar(Elem::F32) },
        ]
    }

    fn value(text: &str) -> Option<i64> {
        with(text, 0.5)
    }

    fn with(text: &str, eps: f32) -> Option<i64> {
        let args = [
            ArgFacts::View { address: 48, dims: &[1000, 77], strides: &[80, 1] },
            ArgFacts::scalar(Elem::I32, 0xffff_fff9),
            ArgFacts::scalar(Elem::F32, eps.to_bits().into()),
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
    fn floats_are_compared() {
        assert_eq!(value("eps > 0 && eps <= 0.5 && eps >= 5e-1 && -eps < 0"), Some(1));
        assert_eq!(value("n < eps || eps < n"), Some(1));
        assert_eq!(value("-1.5 < n"), Some(0));
        let positive = "eps > 0 && eps <= 3.4028235e38";
        for (eps, holds) in [
            (1e-45, 1),
            (f32::MAX, 1),
            (0.0, 0),
            (-0.0, 0),
            (-1.0, 0),
            (f32::INFINITY, 0),
            (f32::NEG_INFINITY, 0),
            (f32::NAN, 0),
        ] {
            assert_eq!(with(positive, eps), Some(holds), "{eps}");
        }
        assert_eq!((with("eps == eps", f32::NAN), with("eps != eps", f32::NAN)), (Some(0), Some(1)));
    }

    #[test]
    fn scalars_of_every_type_are_read() {
        for (elem, bits, value) in [
            (Elem::F16, 0x3800, 0.5),
            (Elem::BF16, 0xbf00, -0.5),
            (Elem::F8E4M3, 0x38, 1.0),
            (Elem::F8E5M2, 0x40, 2.0),
        ] {
            assert!(matches!(ArgFacts::scalar(elem, bits), ArgFacts::Real(v) if v == value), "{elem}");
        }
        assert!(matches!(ArgFacts::scalar(Elem::I8, 0xff), ArgFacts::Scalar(-1)));
        assert!(matches!(ArgFacts::scalar(Elem::U8, 0xff), ArgFacts::Scalar(255)));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Expr::parse(text, &params()).unwrap_err().message;
        assert_eq!(message("y.dim(0)"), "the kernel has no argument `y`");
        assert_eq!(message("x.dim(2)"), "`x` has 2 axes, there is no axis 2");
        let compared = "floats are only compared: `scale > 0`, `eps <= 1e-3`";
        for text in ["eps + 1", "1 * 2.5", "!eps", "min(eps, 1)", "eps", "1.5", "eps && 1", "1 < eps + 1"] {
            assert_eq!(message(text), compared, "{text}");
        }
        assert_eq!(message("eps > 1e999"), "no number of 64 bits");
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
