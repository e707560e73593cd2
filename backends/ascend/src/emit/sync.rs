//! Events, barriers, and flags between cores.

use super::Writer;
use kcc_davinci::ir::{Instr, Mode, Pipe, Pipes};

/// The pipe's name in the interface.
fn pipe(p: Pipe) -> &'static str {
    match p {
        Pipe::S => "S",
        Pipe::Mte1 => "MTE1",
        Pipe::Mte2 => "MTE2",
        Pipe::Mte3 => "MTE3",
        Pipe::M => "M",
        Pipe::V => "V",
        Pipe::Fix => "FIX",
    }
}

impl Writer<'_> {
    /// Writes what orders pipes or cores; `false` if it is none.
    pub(super) fn sync(&mut self, i: &Instr) -> bool {
        let text = match i {
            Instr::Set(s) => {
                let event = self.event(s.event);
                format!("SetFlag<AscendC::HardEvent::{}_{}>({event})", pipe(s.from), pipe(s.to))
            }
            Instr::Wait(s) => {
                let event = self.event(s.event);
                format!("WaitFlag<AscendC::HardEvent::{}_{}>({event})", pipe(s.from), pipe(s.to))
            }
            Instr::Barrier(b) => match b.pipe {
                Pipes::All => "PipeBarrier<PIPE_ALL>()".into(),
                Pipes::One(p) => format!("PipeBarrier<PIPE_{}>()", pipe(p)),
            },
            Instr::CrossSet(s) => {
                let mode = match s.mode {
                    Mode::All => 0,
                    Mode::Pair => 1,
                    Mode::Group => 2,
                };
                format!("CrossCoreSetFlag<{mode}, PIPE_{}>({})", pipe(s.pipe), s.flag)
            }
            Instr::CrossWait(w) => format!("CrossCoreWaitFlag({})", w.flag),
            _ => return false,
        };
        self.line(format!("AscendC::{text};"));
        true
    }

    fn event(&mut self, v: kcc_davinci::ir::Val) -> String {
        match v.known() {
            Some(n) => format!("EVENT_ID{n}"),
            None => format!("int32_t({})", self.int(v).text),
        }
    }
}
