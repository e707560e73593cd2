//! Memory as eager mode sees it: every access is checked, and every element remembers who wrote it.
//!
//! ```text
//! view index ──inside?──► place in the buffer ──► written? by which program? ──► bytes
//!      └ no: padding / not written (or an error in strict mode, for indices that the kernel computed)
//! ```

mod block;
mod buffer;
mod indexed;
mod view;

pub use buffer::EagerBuffer;
pub(super) use indexed::{Lanes, Update};
pub use view::{EagerArg, ViewRef};

use super::error::Fault;
use super::round::{self, Lane};
use buffer::Writer;

/// The buffers of a launch and the rules for touching them.
#[derive(Default)]
pub(super) struct Memory {
    /// The buffers that arguments name by index.
    pub buffers: Vec<EagerBuffer>,
    /// Whether an index that the kernel computed must be inside its view.
    pub strict: bool,
    /// Whether accesses of different programs to one element are checked.
    pub check_races: bool,
    /// Programs along each axis.
    pub grid: [u32; 3],
    /// Linear index of the running program.
    pub program: u32,
    /// Whether the running program has done an acquiring atomic, and so may see what others wrote before.
    pub acquired: bool,
}

/// Grid position of a program, axis 0 fastest.
pub(super) fn position(grid: [u32; 3], program: u32) -> [u32; 3] {
    let [x, y, _] = grid.map(|n| n.max(1));
    [program % x, program / x % y, program / x / y]
}

impl Memory {
    /// Reads an element at a place that [`ViewRef::place`] gave.
    fn read(&self, v: &ViewRef, index: &[i64], place: usize, atomic: bool) -> Result<Lane, Fault> {
        let buffer = self.buffer(v, index, place)?;
        if !buffer.is_written(place) {
            return Err(Fault::new(format!("{} is read, but nobody has written it", v.element(index)))
                .help("fill the buffer before the launch, or write the element before reading it"));
        }
        let writer = buffer.writer(place);
        let both_atomic = atomic && writer.is_some_and(|w| w.atomic);
        if self.conflicts(writer) && !both_atomic {
            let other = self.name(writer);
            return Err(Fault::new(format!("{} is read here and written by program {other}", v.element(index)))
                .help(
                    "programs run in any order: use two launches, or an atomic with Acquire ordering before the read",
                ));
        }
        let lane = buffer.bytes().get(place * v.elem.bytes()..).and_then(|b| round::read(v.elem, b));
        lane.ok_or_else(|| outside(v, index, buffer.len()))
    }

    /// Writes an element at a place that [`ViewRef::place`] gave.
    fn write(
        &mut self,
        v: &ViewRef,
        index: &[i64],
        place: usize,
        lane: Lane,
        atomic: bool,
    ) -> Result<(), Fault> {
        if !v.mutable {
            return Err(Fault::new(format!("`{}` is written, but it is a read-only view", v.name))
                .help("take the parameter as `&mut View`"));
        }
        let buffer = self.buffer(v, index, place)?;
        let before = buffer.writer(place);
        let both_atomic = atomic && before.is_some_and(|w| w.atomic);
        if self.conflicts(before) && !both_atomic {
            let other = self.name(before);
            return Err(Fault::new(format!(
                "{} is written by two programs, this one and {other}, without atomics",
                v.element(index)
            ))
            .help("let each program write its own elements, or use an atomic in both"));
        }
        // A plain write stays on record behind an atomic of the same program.
        let own = before.filter(|w| w.program == self.program);
        let writer = Writer { program: self.program, atomic: atomic && own.is_none_or(|w| w.atomic) };
        if let Some(buffer) = self.buffers.get_mut(v.buffer) {
            buffer.put(place, lane, writer);
        }
        Ok(())
    }

    /// Whether touching what that program wrote is a race.
    fn conflicts(&self, writer: Option<Writer>) -> bool {
        self.check_races && !self.acquired && writer.is_some_and(|w| w.program != self.program)
    }

    fn name(&self, writer: Option<Writer>) -> String {
        let [x, y, z] = position(self.grid, writer.map_or(0, |w| w.program));
        format!("({x}, {y}, {z})")
    }

    fn buffer(&self, v: &ViewRef, index: &[i64], place: usize) -> Result<&EagerBuffer, Fault> {
        let buffer = self.buffers.get(v.buffer).ok_or("a view of no buffer")?;
        if place >= buffer.len() { Err(outside(v, index, buffer.len())) } else { Ok(buffer) }
    }
}

fn outside(v: &ViewRef, index: &[i64], len: usize) -> Fault {
    Fault::new(format!("{} lies outside its buffer of {len} elements", v.element(index)))
        .help("the dims, strides and offset of the view do not fit the buffer it was made from")
}
