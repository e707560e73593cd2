//! Copies between global memory and the unified or the first-level buffer.

use super::Writer;
use super::prelude::Helper;
use super::scalars::{ctype, moved};
use kcc_compiler::Error;
use kcc_davinci::ir::{Atomic, CopyIn, CopyL1, CopyOut, FillL1, Instr, NdToNz, Val};

/// A number with the name of the field or parameter that it is.
pub(super) fn named(name: &str, text: impl std::fmt::Display) -> String {
    format!("/*{name}=*/{text}")
}

impl Writer<'_> {
    /// A call, broken into lines of readable length.
    pub(super) fn call(&mut self, name: &str, args: &[String]) {
        let text = super::interface::wrapped(
            &format!("AscendC::{name}({});", args.join(", ")),
            120 - 4 * self.depth.min(16),
        );
        self.line(text);
    }

    /// A parameter struct, made by a helper that names its fields.
    pub(super) fn fields(&mut self, helper: Helper, of: &str, fields: &[(&str, Val)]) -> String {
        self.need(helper);
        let list: Vec<String> = fields.iter().map(|(n, v)| named(n, self.int(*v).text)).collect();
        format!("{of}({})", list.join(", "))
    }

    /// Pieces of a copy: how many, how long, and the gaps on either side.
    fn pieces(&mut self, helper: Helper, [count, length, src, dst]: [Val; 4]) -> String {
        let of = if helper == Helper::Pieces { "Pieces" } else { "Blocks" };
        let fields = [("blockCount", count), ("blockLen", length), ("srcStride", src), ("dstStride", dst)];
        self.fields(helper, of, &fields)
    }

    /// A copy under an atomic operation, or plain.
    pub(super) fn atomically(&mut self, how: Atomic, ty: &str, call: impl FnOnce(&mut Self)) {
        let set = match how {
            Atomic::None => None,
            Atomic::Add => Some("SetAtomicAdd"),
            Atomic::Max => Some("SetAtomicMax"),
            Atomic::Min => Some("SetAtomicMin"),
        };
        if let Some(set) = set {
            self.line(format!("AscendC::{set}<{ty}>();"));
        }
        call(self);
        if set.is_some() {
            self.line("AscendC::SetAtomicNone();");
        }
    }

    /// Writes a copy; `false` if it is none.
    pub(super) fn copy(&mut self, i: &Instr) -> Result<bool, Error> {
        match i {
            Instr::CopyIn(i) => self.copy_in(i)?,
            Instr::CopyOut(i) => self.copy_out(i)?,
            Instr::CopyL1(i) => self.copy_l1(i)?,
            Instr::NdToNz(i) => self.nd_to_nz(i)?,
            Instr::FillL1(i) => self.fill_l1(i)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn copy_in(&mut self, i: &CopyIn) -> Result<(), Error> {
        let ty = if i.pad.is_some() { moved(i.elem) } else { ctype(i.elem) };
        let dst = self.tensor(&i.dst, ty, i.elem.bytes())?;
        let src = self.global(&i.src, ty);
        let pieces = self.pieces(Helper::Pieces, [i.blocks, i.bytes, i.src_gap, i.dst_gap]);
        self.need(Helper::Padding);
        let padding = match &i.pad {
            None => format!("NoPadding<{ty}>()"),
            Some(p) => {
                let (left, right) = (self.int(p.left).text, self.int(p.right).text);
                let value = self.element(i.elem, p.value)?;
                let list =
                    [named("leftPadding", left), named("rightPadding", right), named("paddingValue", value)];
                format!("Padding<{ty}>({})", list.join(", "))
            }
        };
        self.call("DataCopyPad", &[dst, src, pieces, padding]);
        Ok(())
    }

    fn copy_out(&mut self, i: &CopyOut) -> Result<(), Error> {
        let ty = ctype(i.elem);
        let src = self.tensor(&i.src, ty, i.elem.bytes())?;
        let dst = self.global(&i.dst, ty);
        let pieces = self.pieces(Helper::Pieces, [i.blocks, i.bytes, i.src_gap, i.dst_gap]);
        self.atomically(i.atomic, ty, |w| w.call("DataCopyPad", &[dst, src, pieces]));
        Ok(())
    }

    fn copy_l1(&mut self, i: &CopyL1) -> Result<(), Error> {
        let elem = self.program.buffers[i.dst.buffer as usize].elem;
        let dst = self.tensor(&i.dst, ctype(elem), elem.bytes())?;
        let src = self.global(&i.src, ctype(elem));
        let blocks = self.pieces(Helper::Blocks, [i.blocks, i.length, i.src_gap, i.dst_gap]);
        self.call("DataCopy", &[dst, src, blocks]);
        Ok(())
    }

    fn nd_to_nz(&mut self, i: &NdToNz) -> Result<(), Error> {
        let ty = ctype(i.elem);
        let dst = self.tensor(&i.dst, ty, i.elem.bytes())?;
        let src = self.global(&i.src, ty);
        let params = self.fields(
            Helper::NdToNz,
            "NdToNz",
            &[
                ("ndNum", i.matrices),
                ("nValue", i.rows),
                ("dValue", i.columns),
                ("srcNdMatrixStride", i.src_matrix),
                ("srcDValue", i.src_row),
                ("dstNzC0Stride", i.dst_column),
                ("dstNzNStride", i.dst_row),
                ("dstNzMatrixStride", i.dst_matrix),
            ],
        );
        self.call("DataCopy", &[dst, src, params]);
        Ok(())
    }

    fn fill_l1(&mut self, i: &FillL1) -> Result<(), Error> {
        let ty = moved(i.elem);
        let dst = self.tensor(&i.dst, ty, i.elem.bytes())?;
        self.need(Helper::Constant);
        let value = self.element(i.elem, i.value)?;
        let list = [
            named("repeatTimes", self.int(i.times).text),
            named("blockNum", self.int(i.blocks).text),
            named("dstGap", self.int(i.gap).text),
            named("initValue", value),
        ];
        self.call("InitConstValue", &[dst, format!("Constant<{ty}>({})", list.join(", "))]);
        Ok(())
    }
}
