//! Computations of the scalar unit as expressions of C++. Integers are 64 bits wide and wrap; floats are IEEE.

use super::Writer;
use super::prelude::Helper;
use super::registers::SIGN;
use kcc_compiler::{Error, bug};
use kcc_davinci::ir::{CoreKind, FloatOp, Global, IntOp, Reg, Scalar, Val};
use kcc_dsl::ir::Elem;

/// An expression, and how tightly it binds.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub text: String,
    pub bind: Bind,
    /// The same as a condition, where the number is 1 or 0.
    truth: Option<String>,
}

/// From the tightest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bind {
    Atom,
    Product,
    Sum,
    Other,
}

impl Text {
    pub fn atom(text: impl Into<String>) -> Text {
        Text { text: text.into(), bind: Bind::Atom, truth: None }
    }

    fn new(text: String, bind: Bind) -> Text {
        Text { text, bind, truth: None }
    }

    /// What is true or not, as a number.
    fn test(truth: String) -> Text {
        Text { text: format!("int64_t({truth})"), bind: Bind::Atom, truth: Some(truth) }
    }

    /// The condition that it is not 0.
    pub fn truth(&self) -> String {
        self.truth.clone().unwrap_or_else(|| format!("{} != 0", self.within(Bind::Sum)))
    }

    /// As an operand of something that binds so tightly.
    fn within(&self, bind: Bind) -> String {
        if self.bind <= bind { self.text.clone() } else { format!("({})", self.text) }
    }
}

/// The type of elements in the source.
pub(super) fn ctype(e: Elem) -> &'static str {
    match e {
        Elem::Bool | Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => "uint8_t",
        Elem::I8 => "int8_t",
        Elem::I16 => "int16_t",
        Elem::I32 => "int32_t",
        Elem::I64 => "int64_t",
        Elem::U32 => "uint32_t",
        Elem::F16 => "half",
        Elem::BF16 => "bfloat16_t",
        Elem::F32 => "float",
    }
}

/// The type under which elements are moved: those of `bf16` as integers, since the scalar unit holds them as bits.
pub(super) fn moved(e: Elem) -> &'static str {
    if e == Elem::BF16 { "uint16_t" } else { ctype(e) }
}

/// A computation without memory, which may be written where its result is used, or left out if nothing does.
pub(super) fn is_pure(s: &Scalar) -> bool {
    !matches!(s, Scalar::LoadGlobal { .. } | Scalar::LoadLocal { .. })
}

/// Longer expressions get a line of their own.
const INLINE: usize = 48;

impl Writer<'_> {
    pub(super) fn register(&self, r: Reg) -> String {
        format!("r{}", r.0)
    }

    fn raw(&self, r: Reg) -> Text {
        self.inlined.get(&r.0).cloned().unwrap_or_else(|| Text::atom(self.register(r)))
    }

    /// A value as an integer.
    pub(super) fn int(&mut self, v: Val) -> Text {
        match v {
            Val::Const(c) if c < 0 => Text::new(c.to_string(), Bind::Sum),
            Val::Const(c) => Text::atom(c.to_string()),
            Val::Reg(r) if self.registers.float(v) => {
                self.need(Helper::BitsOf);
                Text::atom(format!("int64_t(BitsOf({}))", self.raw(r).text))
            }
            Val::Reg(r) => self.raw(r),
        }
    }

    /// A value as a float; constants and integers are bits.
    pub(super) fn float(&mut self, v: Val) -> Text {
        match v {
            Val::Const(c) => self.literal(f32::from_bits(c as u32)),
            Val::Reg(r) if self.registers.float(v) => self.raw(r),
            Val::Reg(r) => {
                self.need(Helper::FloatOf);
                Text::atom(format!("FloatOf(uint32_t({}))", self.raw(r).text))
            }
        }
    }

    pub(super) fn literal(&mut self, v: f32) -> Text {
        if v.is_finite() {
            let text = format!("{v:?}f");
            return Text::new(text, if v.is_sign_negative() { Bind::Sum } else { Bind::Atom });
        }
        self.need(Helper::FloatOf);
        Text::atom(format!("FloatOf(0x{:08x}u)", v.to_bits()))
    }

    /// A number as an element of that type; `bf16` as its bits.
    pub(super) fn element(&mut self, elem: Elem, v: Val) -> Result<String, Error> {
        Ok(match (elem, v) {
            (Elem::F32, _) => self.float(v).text,
            (Elem::F16, Val::Const(c)) => {
                let h = half::f16::from_f32(f32::from_bits(c as u32));
                if h.is_finite() {
                    format!("half({:?}f)", h.to_f32())
                } else {
                    self.need(Helper::HalfOf);
                    format!("HalfOf(0x{:04x})", h.to_bits())
                }
            }
            (Elem::F16, _) => {
                self.need(Helper::HalfOf);
                self.need(Helper::F16Bits);
                format!("HalfOf(F16Bits({}))", self.float(v).text)
            }
            (Elem::BF16, Val::Const(c)) => {
                format!("uint16_t(0x{:04x})", half::bf16::from_f32(f32::from_bits(c as u32)).to_bits())
            }
            (Elem::BF16, _) => {
                self.need(Helper::Bf16Bits);
                format!("Bf16Bits({})", self.float(v).text)
            }
            (Elem::F8E4M3 | Elem::F8E5M2, _) => return Err(no_form(&format!("a number of {elem}"))),
            _ => format!("{}({})", ctype(elem), self.int(v).text),
        })
    }

    /// Bytes of global memory from a parameter on.
    pub(super) fn global(&mut self, g: &Global, ty: &str) -> String {
        self.need(Helper::Gm);
        let base = match g.param {
            Some(p) => self.names.params[p as usize].clone(),
            None => "workspace".into(),
        };
        format!("Gm<{ty}>({base}, {})", self.int(g.offset).text)
    }

    fn two(&mut self, op: IntOp, a: Val, b: Val) -> Text {
        let known = b.known();
        let (x, y) = (self.int(a), self.int(b));
        let infix = |o: &str, left: Bind, right: Bind, bind: Bind| {
            Text::new(format!("{} {o} {}", x.within(left), y.within(right)), bind)
        };
        let call = |f: &str| Text::atom(format!("{f}({}, {})", x.text, y.text));
        let test = |o: &str| Text::test(format!("{} {o} {}", x.within(Bind::Sum), y.within(Bind::Sum)));
        let bits = |o: &str| {
            let truth = match (o, &x.truth, &y.truth) {
                ("&" | "|", Some(x), Some(y)) => Some(format!("({x}) {o}{o} ({y})")),
                _ => None,
            };
            let text = format!("{} {o} {}", x.within(Bind::Atom), y.within(Bind::Atom));
            Text { text, bind: Bind::Other, truth }
        };
        match (op, a.known(), known) {
            (IntOp::Add | IntOp::Sub, _, Some(0)) | (IntOp::Mul, _, Some(1)) => return x,
            (IntOp::Add, Some(0), _) | (IntOp::Mul, Some(1), _) => return y,
            (IntOp::Lt | IntOp::Le | IntOp::Eq | IntOp::Ne, Some(p), Some(q)) => {
                let holds = match op {
                    IntOp::Lt => p < q,
                    IntOp::Le => p <= q,
                    IntOp::Eq => p == q,
                    _ => p != q,
                };
                return Text::atom(if holds { "1" } else { "0" });
            }
            _ => {}
        }
        match op {
            IntOp::Add => infix("+", Bind::Sum, Bind::Product, Bind::Sum),
            IntOp::Sub => infix("-", Bind::Sum, Bind::Product, Bind::Sum),
            IntOp::Mul => infix("*", Bind::Product, Bind::Atom, Bind::Product),
            // By a positive constant nothing can go wrong.
            IntOp::Div if known.is_some_and(|k| k > 0) => {
                infix("/", Bind::Product, Bind::Atom, Bind::Product)
            }
            IntOp::Rem if known.is_some_and(|k| k > 0) => {
                infix("%", Bind::Product, Bind::Atom, Bind::Product)
            }
            IntOp::Div | IntOp::Rem | IntOp::Min | IntOp::Max => {
                let (h, f) = match op {
                    IntOp::Div => (Helper::DivInt, "DivInt"),
                    IntOp::Rem => (Helper::RemInt, "RemInt"),
                    IntOp::Min => (Helper::MinInt, "MinInt"),
                    _ => (Helper::MaxInt, "MaxInt"),
                };
                self.need(h);
                call(f)
            }
            IntOp::And => bits("&"),
            IntOp::Or => bits("|"),
            IntOp::Xor => bits("^"),
            IntOp::Shl => {
                Text::atom(format!("int64_t(uint64_t({}) << ({} & 63))", x.text, y.within(Bind::Atom)))
            }
            IntOp::Shr => {
                Text::new(format!("{} >> ({} & 63)", x.within(Bind::Atom), y.within(Bind::Atom)), Bind::Other)
            }
            IntOp::Lt => test("<"),
            IntOp::Le => test("<="),
            IntOp::Eq => test("=="),
            IntOp::Ne => test("!="),
        }
    }

    fn two_floats(&mut self, op: FloatOp, a: Val, b: Val) -> Text {
        let (x, y) = (self.float(a), self.float(b));
        let infix = |o: &str, left: Bind, right: Bind, bind: Bind| {
            Text::new(format!("{} {o} {}", x.within(left), y.within(right)), bind)
        };
        let test = |o: &str| Text::test(format!("{} {o} {}", x.within(Bind::Sum), y.within(Bind::Sum)));
        match op {
            FloatOp::Add => infix("+", Bind::Sum, Bind::Product, Bind::Sum),
            FloatOp::Sub => infix("-", Bind::Sum, Bind::Product, Bind::Sum),
            FloatOp::Mul => infix("*", Bind::Product, Bind::Atom, Bind::Product),
            FloatOp::Div => infix("/", Bind::Product, Bind::Atom, Bind::Product),
            FloatOp::Min | FloatOp::Max => {
                let (h, f) = if op == FloatOp::Min {
                    (Helper::MinFloat, "MinFloat")
                } else {
                    (Helper::MaxFloat, "MaxFloat")
                };
                self.need(h);
                Text::atom(format!("{f}({}, {})", x.text, y.text))
            }
            FloatOp::Lt => test("<"),
            FloatOp::Le => test("<="),
            FloatOp::Eq => test("=="),
            FloatOp::Ne => test("!="),
        }
    }

    /// An element that the scalar unit reads, widened.
    fn widen(&mut self, elem: Elem, read: impl FnOnce(&mut Self, &str) -> String) -> Result<Text, Error> {
        Ok(match elem {
            Elem::F32 => Text::atom(read(self, "float")),
            Elem::F16 => {
                self.need(Helper::F16ToFloat);
                let bits = read(self, "uint16_t");
                Text::atom(format!("F16ToFloat({bits})"))
            }
            Elem::BF16 => {
                self.need(Helper::FloatOf);
                let bits = read(self, "uint16_t");
                Text::atom(format!("FloatOf(uint32_t({bits}) << 16)"))
            }
            Elem::F8E4M3 | Elem::F8E5M2 => return Err(no_form(&format!("a scalar of {elem}"))),
            _ => {
                let v = read(self, ctype(elem));
                Text::atom(format!("int64_t({v})"))
            }
        })
    }

    /// A computation; `float` says what its register holds.
    fn scalar(&mut self, s: &Scalar, float: bool) -> Result<Text, Error> {
        let param = |w: &Self, p: u32| w.names.params[p as usize].clone();
        Ok(match s {
            Scalar::BlockIdx if self.kind == CoreKind::Vector && self.program.cube.is_some() => {
                Text::new("AscendC::GetBlockIdx() / AscendC::GetSubBlockNum()".into(), Bind::Product)
            }
            Scalar::BlockIdx => Text::atom("AscendC::GetBlockIdx()"),
            Scalar::BlockNum => Text::atom("AscendC::GetBlockNum()"),
            // Vector cores are numbered over all groups, those of a group one after another.
            Scalar::SubIdx => {
                Text::new("AscendC::GetBlockIdx() % AscendC::GetSubBlockNum()".into(), Bind::Product)
            }
            Scalar::Grid { axis } => Text::atom(["grid_x", "grid_y", "grid_z"][usize::from(*axis).min(2)]),
            Scalar::Arg { param: p } => Text::atom(param(self, *p)),
            Scalar::Dim { param: p, axis } => Text::atom(format!("{}_dim{axis}", param(self, *p))),
            Scalar::Stride { param: p, axis } => Text::atom(format!("{}_stride{axis}", param(self, *p))),
            Scalar::Move { value } => {
                if float {
                    self.float(*value)
                } else {
                    self.int(*value)
                }
            }
            Scalar::Int { op: IntOp::Xor, a, b: Val::Const(SIGN) } if float => {
                Text::new(format!("-{}", self.float(*a).within(Bind::Atom)), Bind::Sum)
            }
            Scalar::Int { op, a, b } => self.two(*op, *a, *b),
            Scalar::Float { op, a, b } => self.two_floats(*op, *a, *b),
            Scalar::Select { c, a, b } => {
                let c = self.int(*c).truth();
                let (a, b) =
                    if float { (self.float(*a), self.float(*b)) } else { (self.int(*a), self.int(*b)) };
                let text = format!("({c}) ? {} : {}", a.within(Bind::Sum), b.within(Bind::Sum));
                Text::new(text, Bind::Other)
            }
            Scalar::Wrap { elem, a } => {
                Text::atom(format!("int64_t({}({}))", ctype(*elem), self.int(*a).text))
            }
            Scalar::ToFloat { a } => Text::atom(format!("float({})", self.int(*a).text)),
            Scalar::ToInt { elem, a } => {
                self.need(Helper::ToInt);
                let (low, high) = match elem {
                    Elem::I8 => ("-128", "127"),
                    Elem::Bool | Elem::U8 => ("0", "255"),
                    Elem::I16 => ("-32768", "32767"),
                    Elem::U32 => ("0", "4294967295"),
                    Elem::I64 => ("INT64_MIN", "INT64_MAX"),
                    _ => ("INT32_MIN", "INT32_MAX"),
                };
                Text::atom(format!("ToInt({}, {low}, {high})", self.float(*a).text))
            }
            Scalar::Round { elem, a } => {
                let a = self.float(*a).text;
                match elem {
                    Elem::F32 => Text::atom(a),
                    Elem::F16 => {
                        self.need(Helper::F16Bits);
                        self.need(Helper::F16ToFloat);
                        Text::atom(format!("F16ToFloat(F16Bits({a}))"))
                    }
                    Elem::BF16 => {
                        self.need(Helper::Bf16Bits);
                        self.need(Helper::FloatOf);
                        Text::atom(format!("FloatOf(uint32_t(Bf16Bits({a})) << 16)"))
                    }
                    _ => return Err(no_form(&format!("a rounding to {elem} of the scalar unit"))),
                }
            }
            Scalar::LoadGlobal { elem, src } => {
                // What other cores may have written is not to come from this core's cache.
                let shared = src.param.is_none_or(|p| {
                    matches!(
                        self.program.params[p as usize].kind,
                        kcc_dsl::ir::ParamKind::View { mutable: true, .. }
                    )
                });
                let read = if shared { Helper::ReadShared } else { Helper::Gm };
                self.need(read);
                self.widen(*elem, |w, ty| {
                    let from = w.global(src, ty);
                    if shared { format!("ReadShared({from})") } else { format!("{from}.GetValue(0)") }
                })?
            }
            Scalar::LoadLocal { elem, src } => {
                let mut failed = None;
                let text = self.widen(*elem, |w, ty| match w.place(src, ty, elem.bytes()) {
                    Ok((tensor, index)) => format!("{tensor}.GetValue({index})"),
                    Err(e) => {
                        failed = Some(e);
                        String::new()
                    }
                })?;
                match failed {
                    Some(e) => return Err(e),
                    None => text,
                }
            }
        })
    }

    /// Whether a computation is written as an expression of floats whatever its register holds.
    fn gives_float(&self, s: &Scalar) -> bool {
        match s {
            Scalar::Float { op, .. } => !matches!(op, FloatOp::Lt | FloatOp::Le | FloatOp::Eq | FloatOp::Ne),
            Scalar::Round { .. } | Scalar::ToFloat { .. } => true,
            Scalar::LoadGlobal { elem, .. } | Scalar::LoadLocal { elem, .. } => elem.is_float(),
            Scalar::Arg { param } => matches!(
                self.program.params[*param as usize].kind,
                kcc_dsl::ir::ParamKind::Scalar(e) if e.is_float()
            ),
            _ => false,
        }
    }

    /// Assigns a register, or keeps the expression for the one place that uses it.
    pub(super) fn assign(&mut self, to: Reg, value: &Scalar, declare: bool) -> Result<(), Error> {
        let r = self.registers.of(to);
        if r.dead {
            return Ok(());
        }
        let mut text = self.scalar(value, r.float)?;
        if !r.float && self.gives_float(value) {
            self.need(Helper::BitsOf);
            text = Text::atom(format!("int64_t(BitsOf({}))", text.text));
        }
        let mut steady = r.defs == 1 && is_pure(value);
        let mut value = value.clone();
        kcc_davinci::ir::Vals::each(&mut value, &mut |v| {
            if let Val::Reg(x) = v {
                steady &= self.registers.of(*x).defs == 1;
            }
        });
        let name = text.bind == Bind::Atom && !text.text.contains('(');
        if steady && (name || (r.near && r.uses == 1 && text.text.len() <= INLINE)) {
            self.inlined.insert(to.0, text);
            return Ok(());
        }
        let ty = if r.float { "float" } else { "int64_t" };
        let name = self.register(to);
        let declaration = match (declare, r.defs) {
            (true, 1) => format!("const {ty} "),
            (true, _) => format!("{ty} "),
            (false, _) => String::new(),
        };
        self.line(format!("{declaration}{name} = {};", text.text));
        Ok(())
    }
}

pub(super) fn no_form(what: &str) -> Error {
    bug(format!("{what} has no form in AscendC"))
}
