//! The vector unit.

use super::Writer;
use super::copies::named;
use super::prelude::Helper;
use super::scalars::{ctype, moved, no_form};
use kcc_compiler::Error;
use kcc_davinci::ir::*;
use kcc_dsl::ir::Elem;

fn unary(op: Unary) -> &'static str {
    match op {
        Unary::Abs => "Abs",
        Unary::Exp => "Exp",
        Unary::Ln => "Ln",
        Unary::Sqrt => "Sqrt",
        Unary::Rsqrt => "Rsqrt",
        Unary::Reciprocal => "Reciprocal",
        Unary::Relu => "Relu",
        Unary::Not => "Not",
    }
}

fn binary(op: Binary) -> &'static str {
    match op {
        Binary::Add => "Add",
        Binary::Sub => "Sub",
        Binary::Mul => "Mul",
        Binary::Div => "Div",
        Binary::Max => "Max",
        Binary::Min => "Min",
        Binary::And => "And",
        Binary::Or => "Or",
    }
}

fn with_scalar(op: WithScalar) -> &'static str {
    match op {
        WithScalar::Add => "Adds",
        WithScalar::Mul => "Muls",
        WithScalar::Max => "Maxs",
        WithScalar::Min => "Mins",
        WithScalar::ShiftLeft => "ShiftLeft",
        WithScalar::ShiftRight => "ShiftRight",
    }
}

fn rounding(r: Rounding) -> &'static str {
    match r {
        Rounding::None => "CAST_NONE",
        Rounding::Rint => "CAST_RINT",
        Rounding::Round => "CAST_ROUND",
        Rounding::Floor => "CAST_FLOOR",
        Rounding::Ceil => "CAST_CEIL",
        Rounding::Trunc => "CAST_TRUNC",
    }
}

fn comparison(c: Compare) -> &'static str {
    match c {
        Compare::Lt => "LT",
        Compare::Le => "LE",
        Compare::Gt => "GT",
        Compare::Ge => "GE",
        Compare::Eq => "EQ",
        Compare::Ne => "NE",
    }
}

impl Writer<'_> {
    fn ub(&mut self, l: &Local, e: Elem) -> Result<String, Error> {
        self.tensor(l, ctype(e), e.bytes())
    }

    fn count(&mut self, n: Val) -> String {
        match n {
            Val::Const(c) => c.to_string(),
            reg => format!("int32_t({})", self.int(reg).text),
        }
    }

    /// How far an operation goes: a count, or a mask, repeats, and the strides that `params` gives.
    fn span(&mut self, s: &Span, params: impl FnOnce(&mut Self) -> String) -> Vec<String> {
        match s {
            Span::Count { n } => vec![self.count(*n)],
            Span::Repeat { lanes, times } => {
                let (mask, repeat) = (self.int(*lanes).text, self.int(*times).text);
                let params = params(self);
                vec![
                    named("mask", format!("uint64_t({mask})")),
                    named("repeatTime", format!("uint8_t({repeat})")),
                    params,
                ]
            }
        }
    }

    fn strides(&mut self, dst: Stride, src: Stride) -> String {
        let v = |n: u8| Val::Const(i64::from(n));
        let fields = [
            ("dstBlkStride", v(dst.block)),
            ("srcBlkStride", v(src.block)),
            ("dstRepStride", v(dst.repeat)),
            ("srcRepStride", v(src.repeat)),
        ];
        self.fields(Helper::OneOperand, "OneOperand", &fields)
    }

    fn strides_of_two(&mut self, dst: Stride, a: Stride, b: Stride) -> String {
        let v = |n: u8| Val::Const(i64::from(n));
        let fields = [
            ("dstBlkStride", v(dst.block)),
            ("src0BlkStride", v(a.block)),
            ("src1BlkStride", v(b.block)),
            ("dstRepStride", v(dst.repeat)),
            ("src0RepStride", v(a.repeat)),
            ("src1RepStride", v(b.repeat)),
        ];
        self.fields(Helper::TwoOperands, "TwoOperands", &fields)
    }

    /// Writes a vector instruction, or an access of the scalar unit; `false` if it is none.
    pub(super) fn vector(&mut self, i: &Instr) -> Result<bool, Error> {
        match i {
            Instr::VUnary(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.src, i.elem)?];
                args.extend(self.span(&i.span, |w| w.strides(i.dst_stride, i.src_stride)));
                self.call(unary(i.op), &args);
            }
            Instr::VBinary(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.a, i.elem)?, self.ub(&i.b, i.elem)?];
                args.extend(self.span(&i.span, |w| w.strides_of_two(i.dst_stride, i.a_stride, i.b_stride)));
                self.call(binary(i.op), &args);
            }
            Instr::VScalar(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.src, i.elem)?];
                args.push(self.element(i.elem, i.scalar)?);
                args.extend(self.span(&i.span, |w| w.strides(i.dst_stride, i.src_stride)));
                self.call(with_scalar(i.op), &args);
            }
            Instr::MulAdd(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.a, i.elem)?, self.ub(&i.b, i.elem)?];
                args.extend(self.span(&i.span, |w| w.strides_of_two(i.dst_stride, i.a_stride, i.b_stride)));
                self.call("MulAddDst", &args);
            }
            Instr::FusedMulAdd(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.a, i.elem)?, self.ub(&i.b, i.elem)?];
                args.extend(self.span(&i.span, |w| w.strides_of_two(i.dst_stride, i.a_stride, i.b_stride)));
                self.call("FusedMulAdd", &args);
            }
            Instr::Cast(i) => {
                let mut args = vec![self.ub(&i.dst, i.to)?, self.ub(&i.src, i.from)?];
                args.push(format!("AscendC::RoundMode::{}", rounding(i.rounding)));
                args.extend(self.span(&i.span, |w| w.strides(i.dst_stride, i.src_stride)));
                self.call("Cast", &args);
            }
            Instr::CompareTo(_) | Instr::CompareScalar(_) | Instr::Select(_) | Instr::SelectScalar(_) => {
                self.choices(i)?;
            }
            Instr::Duplicate(i) => {
                let ty = moved(i.elem);
                let mut args =
                    vec![self.tensor(&i.dst, ty, i.elem.bytes())?, self.element(i.elem, i.scalar)?];
                let s = i.dst_stride;
                args.extend(self.span(&i.span, |_| {
                    format!("{}, {}", named("dstBlockStride", s.block), named("dstRepeatStride", s.repeat))
                }));
                self.call("Duplicate", &args);
            }
            Instr::Reduce(i) => {
                let mut args = vec![self.ub(&i.dst, i.elem)?, self.ub(&i.src, i.elem)?];
                args.push(named("mask", self.count(i.lanes)));
                args.push(named("repeatTime", self.count(i.times)));
                args.push(named("dstRepStride", i.dst_step));
                args.push(named("srcBlkStride", i.src_stride.block));
                args.push(named("srcRepStride", i.src_stride.repeat));
                let name = match i.op {
                    Reduction::Sum => "WholeReduceSum",
                    Reduction::Max => "WholeReduceMax",
                    Reduction::Min => "WholeReduceMin",
                };
                if i.op != Reduction::Sum {
                    args.push("AscendC::ReduceOrder::ORDER_ONLY_VALUE".into());
                }
                self.call(name, &args);
            }
            other => return self.moves(other),
        }
        Ok(true)
    }

    fn choices(&mut self, i: &Instr) -> Result<(), Error> {
        let mode = |c: Compare| format!("AscendC::CMPMODE::{}", comparison(c));
        match i {
            Instr::CompareTo(i) => {
                let args = [
                    self.tensor(&i.dst, "uint8_t", 1)?,
                    self.ub(&i.a, i.elem)?,
                    self.ub(&i.b, i.elem)?,
                    mode(i.op),
                    self.count(i.n),
                ];
                self.call("Compare", &args);
            }
            Instr::CompareScalar(i) => {
                let args = [
                    self.tensor(&i.dst, "uint8_t", 1)?,
                    self.ub(&i.a, i.elem)?,
                    self.element(i.elem, i.scalar)?,
                    mode(i.op),
                    self.count(i.n),
                ];
                self.call("CompareScalar", &args);
            }
            Instr::Select(i) => {
                let args = [
                    self.ub(&i.dst, i.elem)?,
                    self.tensor(&i.mask, "uint8_t", 1)?,
                    self.ub(&i.a, i.elem)?,
                    self.ub(&i.b, i.elem)?,
                    "AscendC::SELMODE::VSEL_TENSOR_TENSOR_MODE".into(),
                    self.count(i.n),
                ];
                self.call("Select", &args);
            }
            Instr::SelectScalar(i) => {
                let args = [
                    self.ub(&i.dst, i.elem)?,
                    self.tensor(&i.mask, "uint8_t", 1)?,
                    self.ub(&i.a, i.elem)?,
                    self.element(i.elem, i.scalar)?,
                    "AscendC::SELMODE::VSEL_TENSOR_SCALAR_MODE".into(),
                    self.count(i.n),
                ];
                self.call("Select", &args);
            }
            other => return Err(no_form(&format!("`{}`", other.name()))),
        }
        Ok(())
    }

    /// Elements brought elsewhere.
    fn moves(&mut self, i: &Instr) -> Result<bool, Error> {
        match i {
            Instr::BlockBroadcast(i) => {
                let ty = moved(i.elem);
                let w = i.elem.bytes();
                let v = |n: u8| Val::Const(i64::from(n));
                let params = self.fields(
                    Helper::Broadcast,
                    "Broadcast",
                    &[("dstBlkStride", v(i.dst_stride.block)), ("dstRepStride", v(i.dst_stride.repeat))],
                );
                let repeat = self.int(i.times).text;
                let args = [
                    self.tensor(&i.dst, ty, w)?,
                    self.tensor(&i.src, ty, w)?,
                    named("repeatTime", format!("uint8_t({repeat})")),
                    params,
                ];
                self.call("Brcb", &args);
            }
            Instr::Gather(i) => {
                let (ty, w) = (moved(i.elem), i.elem.bytes());
                let args = [
                    self.tensor(&i.dst, ty, w)?,
                    self.tensor(&i.src, ty, w)?,
                    self.tensor(&i.offsets, "uint32_t", 4)?,
                    named("srcBaseAddr", format!("uint32_t({})", self.int(i.base).text)),
                    format!("uint32_t({})", self.int(i.n).text),
                ];
                self.call("Gather", &args);
            }
            Instr::Iota(i) => {
                self.need(Helper::Iota);
                let args = [self.ub(&i.dst, i.elem)?, self.element(i.elem, i.first)?, self.count(i.n)];
                self.line(format!("Iota<{}>({});", ctype(i.elem), args.join(", ")));
            }
            Instr::Transpose16(i) => {
                let args = [self.tensor(&i.dst, "uint16_t", 2)?, self.tensor(&i.src, "uint16_t", 2)?];
                self.call("Transpose", &args);
            }
            Instr::Sort32(i) => {
                let repeat = self.count(i.times);
                let args = [
                    self.ub(&i.dst, i.elem)?,
                    self.ub(&i.values, i.elem)?,
                    self.tensor(&i.indices, "uint32_t", 4)?,
                    named("repeatTime", repeat),
                ];
                self.call("Sort32", &args);
            }
            Instr::MergeSort(i) => {
                self.need(Helper::Merge);
                let (dst, src) = (self.ub(&i.dst, i.elem)?, self.ub(&i.src, i.elem)?);
                let length = self.int(i.length).text;
                let list =
                    [dst, src, named("lists", i.lists), named("length", format!("uint16_t({length})"))];
                self.line(format!("Merge<{}>({});", ctype(i.elem), list.join(", ")));
            }
            Instr::StoreScalar(i) => {
                // The scalar unit writes halves as their bits.
                let (ty, value) = match i.elem {
                    Elem::F16 => {
                        self.need(Helper::F16Bits);
                        ("uint16_t", format!("F16Bits({})", self.float(i.value).text))
                    }
                    Elem::BF16 => {
                        self.need(Helper::Bf16Bits);
                        ("uint16_t", format!("Bf16Bits({})", self.float(i.value).text))
                    }
                    e => (ctype(e), self.element(e, i.value)?),
                };
                let (tensor, index) = self.place(&i.dst, ty, i.elem.bytes())?;
                self.line(format!("{tensor}.SetValue({index}, {value});"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Any instruction.
    pub(super) fn instr(&mut self, i: &Instr) -> Result<(), Error> {
        if self.sync(i) || self.copy(i)? || self.cube(i)? || self.vector(i)? {
            return Ok(());
        }
        Err(no_form(&format!("`{}`", i.name())))
    }
}
