//! Which bytes an instruction touches, as far as they are known when the kernel is compiled.
//!
//! ```text
//! from ├len┤    ├len┤    ├len┤      `times` pieces, `stride` bytes from one to the next
//! ```

use kcc_davinci::ir::*;
use kcc_dsl::ir::Elem;

/// Pieces of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::passes) struct Place {
    pub space: Space,
    pub buffer: u32,
    /// First byte in the memory, of the buffer's first slot.
    pub from: u64,
    pub len: u64,
    pub times: u64,
    pub stride: u64,
}

impl Place {
    /// The byte behind its last one.
    pub fn end(&self) -> u64 {
        self.from + (self.times - 1) * self.stride + self.len
    }

    /// Whether a byte lies in both.
    pub fn meets(&self, o: &Place) -> bool {
        if self.space != o.space || self.from >= o.end() || o.from >= self.end() {
            return false;
        }
        let piece = |p: &Place, i: u64| (p.from + i * p.stride, p.from + i * p.stride + p.len);
        (0..self.times).any(|i| {
            let (a, b) = piece(self, i);
            (0..o.times).any(|j| {
                let (c, d) = piece(o, j);
                a < d && c < b
            })
        })
    }

    /// Whether it has every byte of another.
    pub fn covers(&self, o: &Place) -> bool {
        let dense = self.times == 1 || self.stride <= self.len;
        self.space == o.space && (self == o || dense && self.from <= o.from && self.end() >= o.end())
    }
}

/// What an access touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::passes) enum Touch {
    Local(Place),
    /// A parameter's memory.
    Param(u32),
    /// The workspace.
    Shared,
}

/// An access of an instruction.
#[derive(Clone, Copy, Debug)]
pub(in crate::passes) struct Access {
    pub pipe: Pipe,
    pub touch: Touch,
    pub write: bool,
    /// Earlier instructions of its pipe are done before it.
    pub in_order: bool,
    /// It is done before later instructions of its pipe.
    pub sealed: bool,
    /// It is in the slot of the next turn, which is that of the last one: its place was given behind the buffer's bytes.
    pub other: bool,
    /// A copy of what is inside a view, or the filling of the rest: these two do not meet.
    pub part: bool,
}

impl Access {
    /// The buffer, if it is of a core's memory.
    pub fn buffer(&self) -> Option<u32> {
        match self.touch {
            Touch::Local(p) => Some(p.buffer),
            _ => None,
        }
    }
}

/// Pieces of an operand relative to its start: length, number, stride.
type Pieces = Option<(i64, i64, i64)>;

fn count(n: &Val, w: i64) -> Pieces {
    Some((n.known()? * w, 1, 0))
}

fn span(s: &Span, st: Stride, w: usize) -> Pieces {
    let w = w as i64;
    match s {
        Span::Count { n } => count(n, w),
        Span::Repeat { lanes, times } => {
            let (lanes, times) = (lanes.known()?, times.known()?);
            let blocks = (lanes * w + 31) / 32;
            let len = if st.block == 0 {
                32
            } else if st.block == 1 {
                lanes * w
            } else {
                32 * ((blocks - 1) * i64::from(st.block) + 1)
            };
            let repeat = 32 * i64::from(st.repeat);
            Some(if repeat == 0 { (len, 1, 0) } else { (len, times, repeat) })
        }
    }
}

struct Reach<'a> {
    program: &'a Program,
    pipe: Pipe,
    in_order: bool,
    part: bool,
    out: Vec<Access>,
}

impl Reach<'_> {
    fn local(&mut self, l: &Local, pieces: Pieces, write: bool) {
        let b = &self.program.buffers[l.buffer as usize];
        let base = u64::from(b.address.unwrap_or(0));
        let whole = Place {
            space: b.space,
            buffer: l.buffer,
            from: base,
            len: u64::from(b.bytes),
            times: 1,
            stride: 0,
        };
        let other = l.offset.known().is_some_and(|o| o >= i64::from(b.bytes) && o > 0);
        let offset = l.offset.known().map(|o| if other { o - i64::from(b.bytes) } else { o });
        let place = match (offset, pieces) {
            (Some(o), Some((len, times, stride))) if o >= 0 && len > 0 && times > 0 => Place {
                from: base + o as u64,
                len: len as u64,
                times: times as u64,
                stride: stride as u64,
                ..whole
            },
            _ => whole,
        };
        let (pipe, in_order, part) = (self.pipe, self.in_order, self.part);
        let touch = Touch::Local(place);
        self.out.push(Access { pipe, touch, write, in_order, sealed: false, other, part });
    }

    fn global(&mut self, g: &Global, write: bool) {
        let touch = g.param.map_or(Touch::Shared, Touch::Param);
        let pipe = self.pipe;
        self.out.push(Access {
            pipe,
            touch,
            write,
            in_order: false,
            sealed: false,
            other: false,
            part: false,
        });
    }
}

/// What a computation of the scalar unit reads.
pub(super) fn of_scalar(program: &Program, s: &Scalar) -> Vec<Access> {
    let mut r = Reach { program, pipe: Pipe::S, in_order: true, part: false, out: Vec::new() };
    match s {
        Scalar::LoadLocal { elem, src } => r.local(src, Some((elem.bytes() as i64, 1, 0)), false),
        Scalar::LoadGlobal { src, .. } => r.global(src, false),
        _ => {}
    }
    r.out
}

fn pieces_of_copy(blocks: &Val, bytes: &Val, pad: i64, gap: &Val) -> Pieces {
    let len = (bytes.known()? + pad + 31) / 32 * 32;
    Some((len, blocks.known()?, len + 32 * gap.known()?))
}

/// What an instruction reads and writes.
pub(in crate::passes) fn of_instr(program: &Program, i: &Instr) -> Vec<Access> {
    let Some(pipe) = i.pipe() else { return Vec::new() };
    let mut r = Reach { program, pipe, in_order: false, part: false, out: Vec::new() };
    match i {
        Instr::CopyIn(i) => {
            r.global(&i.src, false);
            r.part = i.bytes.known().is_none();
            let pad = i.pad.as_ref().map_or(Some(0), |p| Some(p.left.known()? + p.right.known()?));
            let w = i.elem.bytes() as i64;
            r.local(&i.dst, pad.and_then(|p| pieces_of_copy(&i.blocks, &i.bytes, p * w, &i.dst_gap)), true);
        }
        Instr::CopyOut(i) => {
            r.local(&i.src, pieces_of_copy(&i.blocks, &i.bytes, 0, &i.src_gap), false);
            r.global(&i.dst, true);
        }
        Instr::CopyL1(i) => {
            r.global(&i.src, false);
            r.local(&i.dst, None, true);
        }
        Instr::NdToNz(i) => {
            r.global(&i.src, false);
            r.local(&i.dst, None, true);
        }
        Instr::FillL1(i) => r.local(&i.dst, None, true),
        Instr::LoadData(i) => {
            let src = (i.start.known(), i.times.known(), i.src_stride.known(), i.src.offset.known());
            if let (Some(start), Some(times), Some(stride), Some(o)) = src {
                let first = Local::new(i.src.buffer, o + 512 * start);
                r.local(
                    &first,
                    Some(if stride == 0 { (512, 1, 0) } else { (512, times, 512 * stride) }),
                    false,
                );
            } else {
                r.local(&i.src, None, false);
            }
            let dst = i.times.known().zip(i.dst_gap.known()).map(|(t, g)| (512, t, 512 * (1 + g)));
            r.local(&i.dst, dst, true);
        }
        Instr::Mmad(i) => {
            let up = |v: &Val, to: i64| v.known().map(|n| (n + to - 1) / to);
            let (m, n, k) = (up(&i.m, 16), up(&i.n, 16), up(&i.k, 32 / i.elem.bytes() as i64));
            let of = |x: Option<i64>, y: Option<i64>, w: i64| x.zip(y).map(|(x, y)| (x * y * w, 1, 0));
            r.local(&i.a, of(m, k, 512), false);
            r.local(&i.b, of(n, k, 512), false);
            // Products that keep the unit busy long enough accumulate one after another.
            r.in_order = m.zip(n).is_some_and(|(m, n)| m * n >= 10);
            if !i.init {
                r.local(&i.dst, of(m, n, 1024), false);
            }
            r.local(&i.dst, of(m, n, 1024), true);
        }
        Instr::Fixpipe(i) => {
            r.local(&i.src, None, false);
            r.global(&i.dst, true);
        }
        Instr::VUnary(i) => {
            r.local(&i.src, span(&i.span, i.src_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::VBinary(i) => {
            r.local(&i.a, span(&i.span, i.a_stride, i.elem.bytes()), false);
            r.local(&i.b, span(&i.span, i.b_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::VScalar(i) => {
            r.local(&i.src, span(&i.span, i.src_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::MulAdd(i) => {
            r.local(&i.a, span(&i.span, i.a_stride, i.elem.bytes()), false);
            r.local(&i.b, span(&i.span, i.b_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::FusedMulAdd(i) => {
            r.local(&i.a, span(&i.span, i.a_stride, i.elem.bytes()), false);
            r.local(&i.b, span(&i.span, i.b_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::Cast(i) => {
            r.local(&i.src, span(&i.span, i.src_stride, i.from.bytes()), false);
            r.local(&i.dst, span(&i.span, i.dst_stride, i.to.bytes()), true);
        }
        Instr::CompareTo(i) => {
            let n = count(&i.n, i.elem.bytes() as i64);
            r.local(&i.a, n, false);
            r.local(&i.b, n, false);
            r.local(&i.dst, i.n.known().map(|n| ((n + 7) / 8, 1, 0)), true);
        }
        Instr::CompareScalar(i) => {
            r.local(&i.a, count(&i.n, i.elem.bytes() as i64), false);
            r.local(&i.dst, i.n.known().map(|n| ((n + 7) / 8, 1, 0)), true);
        }
        Instr::Select(i) => {
            let n = count(&i.n, i.elem.bytes() as i64);
            r.local(&i.mask, i.n.known().map(|n| ((n + 7) / 8, 1, 0)), false);
            r.local(&i.a, n, false);
            r.local(&i.b, n, false);
            r.local(&i.dst, n, true);
        }
        Instr::SelectScalar(i) => {
            let n = count(&i.n, i.elem.bytes() as i64);
            r.local(&i.mask, i.n.known().map(|n| ((n + 7) / 8, 1, 0)), false);
            r.local(&i.a, n, false);
            r.local(&i.dst, n, true);
        }
        Instr::Duplicate(i) => {
            r.part = i.dst.offset.known().is_none();
            r.local(&i.dst, span(&i.span, i.dst_stride, i.elem.bytes()), true);
        }
        Instr::Reduce(i) => {
            let s = Span::Repeat { lanes: i.lanes, times: i.times };
            r.local(&i.src, span(&s, i.src_stride, i.elem.bytes()), false);
            let w = i.elem.bytes() as i64;
            let step = w * i64::from(i.dst_step);
            r.local(
                &i.dst,
                i.times.known().map(|t| if step == w { (w * t, 1, 0) } else { (w, t, step) }),
                true,
            );
        }
        Instr::BlockBroadcast(i) => {
            r.local(&i.src, i.times.known().map(|t| (8 * t * i.elem.bytes() as i64, 1, 0)), false);
            let dst = i.times.known().filter(|_| i.dst_stride.block == 1);
            r.local(&i.dst, dst.map(|t| (256, t, 32 * i64::from(i.dst_stride.repeat))), true);
        }
        Instr::Iota(i) => r.local(&i.dst, count(&i.n, i.elem.bytes() as i64), true),
        Instr::StoreScalar(i) => {
            r.in_order = true;
            r.local(&i.dst, Some((i.elem.bytes() as i64, 1, 0)), true);
        }
        Instr::Gather(i) => {
            r.local(&i.src, None, false);
            r.local(&i.offsets, count(&i.n, Elem::U32.bytes() as i64), false);
            r.local(&i.dst, count(&i.n, i.elem.bytes() as i64), true);
        }
        other => {
            let l = other.locals();
            l.reads.iter().for_each(|p| r.local(p, None, false));
            l.writes.iter().for_each(|p| r.local(p, None, true));
        }
    }
    r.out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(from: u64, len: u64, times: u64, stride: u64) -> Place {
        Place { space: Space::Ub, buffer: 0, from, len, times, stride }
    }

    #[test]
    fn columns_of_rows_do_not_meet() {
        let (left, right) = (place(0, 256, 4, 512), place(256, 256, 4, 512));
        assert!(!left.meets(&right));
        assert!(left.meets(&place(0, 2048, 1, 0)) && right.meets(&place(1000, 8, 3, 8)));
        assert!(!left.covers(&right) && place(0, 2048, 1, 0).covers(&right));
    }
}
