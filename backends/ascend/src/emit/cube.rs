//! Fractals into the operands' memories, products, and what leaves the accumulators.

use super::Writer;
use super::copies::named;
use super::prelude::Helper;
use super::scalars::ctype;
use kcc_compiler::Error;
use kcc_davinci::ir::{Fixpipe, Instr, LoadData, Mmad, Quant};
use kcc_dsl::ir::Elem;

impl Writer<'_> {
    /// Writes an instruction of the cube core; `false` if it is none.
    pub(super) fn cube(&mut self, i: &Instr) -> Result<bool, Error> {
        match i {
            Instr::LoadData(i) => self.load_data(i)?,
            Instr::Mmad(i) => self.mmad(i)?,
            Instr::Fixpipe(i) => self.fixpipe(i)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn load_data(&mut self, i: &LoadData) -> Result<(), Error> {
        let ty = ctype(i.elem);
        let dst = self.tensor(&i.dst, ty, i.elem.bytes())?;
        let src = self.tensor(&i.src, ty, i.elem.bytes())?;
        self.need(Helper::Fractals);
        let list = [
            named("startIndex", self.int(i.start).text),
            named("repeatTimes", self.int(i.times).text),
            named("srcStride", self.int(i.src_stride).text),
            named("dstGap", self.int(i.dst_gap).text),
            named("ifTranspose", i.transpose),
        ];
        self.call("LoadData", &[dst, src, format!("Fractals({})", list.join(", "))]);
        Ok(())
    }

    fn mmad(&mut self, i: &Mmad) -> Result<(), Error> {
        let sum = if i.elem == Elem::I8 { Elem::I32 } else { Elem::F32 };
        let dst = self.tensor(&i.dst, ctype(sum), 4)?;
        let a = self.tensor(&i.a, ctype(i.elem), i.elem.bytes())?;
        let b = self.tensor(&i.b, ctype(i.elem), i.elem.bytes())?;
        self.need(Helper::Product);
        let list = [
            named("m", self.int(i.m).text),
            named("n", self.int(i.n).text),
            named("k", self.int(i.k).text),
            named("cmatrixInitVal", i.init),
        ];
        self.call("Mmad", &[dst, a, b, format!("Product({})", list.join(", "))]);
        Ok(())
    }

    fn fixpipe(&mut self, i: &Fixpipe) -> Result<(), Error> {
        let (out, quant) = match i.quant {
            Quant::None => (i.elem, "NoQuant"),
            Quant::F16 => (Elem::F16, "F322F16"),
            Quant::Bf16 => (Elem::BF16, "F322BF16"),
        };
        let (to, from) = (ctype(out), ctype(i.elem));
        let dst = self.global(&i.dst, to);
        let src = self.tensor(&i.src, from, 4)?;
        self.need(Helper::Rows);
        let list = [
            named("nSize", self.int(i.n).text),
            named("mSize", self.int(i.m).text),
            named("srcStride", self.int(i.src_stride).text),
            named("dstStride", self.int(i.dst_stride).text),
            named("quantPre", format!("QuantMode_t::{quant}")),
            named("reluEn", i.relu),
        ];
        let name = format!("Fixpipe<{to}, {from}, AscendC::CFG_ROW_MAJOR>");
        self.atomically(i.atomic, to, |w| w.call(&name, &[dst, src, format!("Rows({})", list.join(", "))]));
        Ok(())
    }
}
