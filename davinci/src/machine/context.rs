//! What an instruction may touch while it runs: its core's memories and global memory, with every access noted.

use super::code::{address, num};
use super::cost::Moved;
use super::memory::{By, Memory};
use super::race::{Clocks, Epochs};
use crate::error::{Fault, FaultKind};
use crate::ir::{Global, Local, Program, Space, Span, Stride};

/// Global memory.
pub(super) struct Globals {
    /// One for each parameter that is a view.
    pub params: Vec<Option<Memory>>,
    /// Byte of each parameter's memory where its first element lies.
    pub origins: Vec<i64>,
    pub workspace: Memory,
    /// Lines of 512 bytes that were touched before, for each parameter and the workspace.
    pub touched: Vec<Vec<bool>>,
}

pub(super) struct Context<'a> {
    pub program: &'a Program,
    pub locals: &'a mut [Memory; 5],
    pub globals: &'a mut Globals,
    pub clocks: &'a Clocks,
    pub epochs: &'a mut Epochs,
    pub by: By,
    pub moved: Moved,
    /// Units by which functions are off, and what decides which way.
    pub inexact: (u32, u64),
}

impl Globals {
    /// Notes bytes that are moved, and which of their lines were moved before.
    pub fn touch(&mut self, which: usize, at: usize, len: u64, moved: &mut Moved) {
        if len == 0 {
            return;
        }
        moved.bytes += len;
        let lines = &mut self.touched[which];
        let (first, last) = (at / 512, (at + len as usize - 1) / 512);
        if lines.len() <= last {
            lines.resize(last + 1, false);
        }
        for (i, line) in lines[first..=last].iter_mut().enumerate() {
            let piece = if i == 0 { 512 - at % 512 } else { 512 };
            if *line {
                moved.cached += (piece as u64).min(len);
            }
            *line = true;
        }
        moved.cached = moved.cached.min(moved.bytes);
    }

    /// The memory of a place, the address in it, and the memory's number among those of `touched`.
    fn locate(&mut self, g: &Global, off: i64) -> Result<(&mut Memory, i64, usize), Fault> {
        let at = num(&g.offset) + off;
        match g.param {
            None => Ok((&mut self.workspace, at, self.params.len())),
            Some(p) => {
                let p = p as usize;
                let origin = self.origins[p];
                match self.params.get_mut(p).and_then(Option::as_mut) {
                    Some(m) => Ok((m, origin + at, p)),
                    None => Err(Fault::new(FaultKind::Form, format!("parameter {p} is no view"))),
                }
            }
        }
    }
}

impl Context<'_> {
    /// The memory of a place and the address in it, after a check against the buffer's ends.
    fn locate(&self, l: &Local, off: i64, len: i64) -> Result<(Space, i64), Fault> {
        let b = &self.program.buffers[l.buffer as usize];
        let at = num(&l.offset) + off;
        if at < 0 || at + len > b.total() as i64 {
            let what = format!(
                "bytes {at} to {} of buffer {} are touched, which has {}",
                at + len,
                b.name,
                b.total()
            );
            return Err(Fault::new(FaultKind::Bounds, what));
        }
        Ok((b.space, address(self.program, l.buffer) + at))
    }

    /// Notes a read; gives the address.
    pub fn read(&mut self, l: &Local, off: i64, len: i64) -> Result<usize, Fault> {
        let (space, at) = self.locate(l, off, len)?;
        Ok(self.locals[space as usize].read(at, len, self.by, self.clocks, self.epochs)?.start)
    }

    /// Notes a write; gives the address.
    pub fn write(&mut self, l: &Local, off: i64, len: i64) -> Result<usize, Fault> {
        let (space, at) = self.locate(l, off, len)?;
        Ok(self.locals[space as usize].write(at, len, self.by, self.clocks, self.epochs)?.start)
    }

    /// The memory that a buffer lies in.
    pub fn memory(&self, l: &Local) -> &Memory {
        &self.locals[self.program.buffers[l.buffer as usize].space as usize]
    }

    /// The memory that a buffer lies in.
    pub fn memory_mut(&mut self, l: &Local) -> &mut Memory {
        &mut self.locals[self.program.buffers[l.buffer as usize].space as usize]
    }

    fn note(&mut self, which: usize, at: usize, len: i64) {
        self.globals.touch(which, at, len.max(0) as u64, &mut self.moved);
    }

    /// Notes a read of global memory; gives the bytes and whether each is defined.
    pub fn fetch(&mut self, g: &Global, off: i64, len: i64) -> Result<(Vec<u8>, Vec<bool>), Fault> {
        let (m, at, which) = self.globals.locate(g, off)?;
        let r = m.read(at, len, self.by, self.clocks, self.epochs)?;
        let defined = r.clone().map(|i| m.is_defined(i)).collect();
        let (data, at) = (m.data[r.clone()].to_vec(), r.start);
        self.note(which, at, len);
        Ok((data, defined))
    }

    /// Notes a write of global memory and does it; `update` may look at what is there.
    pub fn commit(
        &mut self,
        g: &Global,
        off: i64,
        len: i64,
        update: impl FnOnce(&mut [u8]),
    ) -> Result<(), Fault> {
        let (m, at, which) = self.globals.locate(g, off)?;
        let r = m.write(at, len, self.by, self.clocks, self.epochs)?;
        let mut bytes = m.data[r.clone()].to_vec();
        update(&mut bytes);
        let at = r.start;
        m.put(at, &bytes, true);
        self.note(which, at, len);
        Ok(())
    }

    /// Addresses of an operand's elements, read.
    pub fn operand(
        &mut self,
        l: &Local,
        s: &Span,
        st: Stride,
        w: usize,
        wide: usize,
    ) -> Result<Vec<usize>, Fault> {
        self.elements(l, s, st, w, wide, true)
    }

    /// Addresses of a result's elements, written.
    pub fn result(
        &mut self,
        l: &Local,
        s: &Span,
        st: Stride,
        w: usize,
        wide: usize,
    ) -> Result<Vec<usize>, Fault> {
        self.elements(l, s, st, w, wide, false)
    }

    /// A repeat has as many elements as 256 bytes hold of the type of width `wide`; the operand's own width is `w`.
    fn elements(
        &mut self,
        l: &Local,
        s: &Span,
        st: Stride,
        w: usize,
        wide: usize,
        read: bool,
    ) -> Result<Vec<usize>, Fault> {
        let mut out = Vec::new();
        let mut run = |c: &mut Self, off: i64, n: i64| -> Result<(), Fault> {
            let len = n * w as i64;
            let at = if read { c.read(l, off, len)? } else { c.write(l, off, len)? };
            out.extend((0..n as usize).map(|i| at + i * w));
            Ok(())
        };
        match s {
            Span::Count { n } => run(self, 0, num(n))?,
            Span::Repeat { lanes, times } => {
                let (lanes, per) = (num(lanes), 32 / w as i64);
                let whole = lanes == crate::verify::params::lanes(wide);
                let blocks = (lanes + per - 1) / per;
                if st.block == 1 && whole && i64::from(st.repeat) == blocks {
                    run(self, 0, lanes * num(times))?;
                } else {
                    for r in 0..num(times) {
                        for b in 0..blocks {
                            let off = 32 * (r * i64::from(st.repeat) + b * i64::from(st.block));
                            run(self, off, per.min(lanes - b * per))?;
                        }
                    }
                }
            }
        }
        Ok(out)
    }
}
