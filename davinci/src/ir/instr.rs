//! Instructions: one struct for each, with the parameters of the interface that it stands for.

use super::copies::*;
use super::place::{Local, Val};
use super::sync::*;
use super::vals::Vals;
use super::vector::*;
use serde::{Deserialize, Serialize};

/// Defines instructions as structs that walk over their numbers and say on which pipe they run.
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident => $pipe:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

            impl Vals for $name {
                fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
                    let _ = &f;
                    $(self.$field.each(f);)*
                }

                fn each_local(&mut self, f: &mut dyn FnMut(&mut super::place::Local)) {
                    let _ = &f;
                    $(self.$field.each_local(f);)*
                }
            }

            impl super::instr::OnPipe for $name {
                const PIPE: Option<super::sync::Pipe> = super::instr::pipe!($pipe);
            }
        )+
    };
}
pub(super) use instructions;

/// `None`, or the pipe of that name.
macro_rules! pipe {
    (None) => {
        None
    };
    ($name:ident) => {
        Some(super::sync::Pipe::$name)
    };
}
pub(super) use pipe;

/// The pipe that an instruction runs on; `None` for those that order pipes.
pub(super) trait OnPipe {
    const PIPE: Option<Pipe>;
}

/// Collects them in one type.
macro_rules! collect {
    ($($name:ident),+ $(,)?) => {
        /// An instruction that a core's scalar unit issues.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum Instr { $($name($name),)+ }

        impl Instr {
            /// The pipe that it is issued to; `None` for those that order pipes.
            pub fn pipe(&self) -> Option<Pipe> {
                match self { $(Instr::$name(_) => $name::PIPE,)+ }
            }
        }

        impl Vals for Instr {
            fn each(&mut self, f: &mut dyn FnMut(&mut Val)) {
                match self { $(Instr::$name(i) => i.each(f),)+ }
            }

            fn each_local(&mut self, f: &mut dyn FnMut(&mut Local)) {
                match self { $(Instr::$name(i) => i.each_local(f),)+ }
            }
        }

        $(impl From<$name> for Instr {
            fn from(i: $name) -> Instr { Instr::$name(i) }
        })+
    };
}

collect!(
    // global and first-level memory
    CopyIn,
    CopyOut,
    CopyL1,
    NdToNz,
    FillL1,
    // products
    LoadData,
    Mmad,
    Fixpipe,
    // vector
    VUnary,
    VBinary,
    VScalar,
    MulAdd,
    FusedMulAdd,
    Cast,
    CompareTo,
    CompareScalar,
    Select,
    SelectScalar,
    Duplicate,
    Reduce,
    BlockBroadcast,
    Gather,
    Iota,
    Transpose16,
    Sort32,
    MergeSort,
    StoreScalar,
    // order
    Set,
    Wait,
    Barrier,
    CrossSet,
    CrossWait,
);

impl Instr {
    /// The instruction's name in texts.
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(o)) => o.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// Buffers read and written, in no order.
    pub fn locals(&self) -> Locals<'_> {
        let mut l = Locals::default();
        match self {
            Instr::CopyIn(i) => l.writes.push(&i.dst),
            Instr::CopyOut(i) => l.reads.push(&i.src),
            Instr::CopyL1(i) => l.writes.push(&i.dst),
            Instr::NdToNz(i) => l.writes.push(&i.dst),
            Instr::FillL1(i) => l.writes.push(&i.dst),
            Instr::LoadData(i) => l.both(&i.dst, &[&i.src]),
            Instr::Mmad(i) => {
                l.both(&i.dst, &[&i.a, &i.b]);
                if !i.init {
                    l.reads.push(&i.dst);
                }
            }
            Instr::Fixpipe(i) => l.reads.push(&i.src),
            Instr::VUnary(i) => l.both(&i.dst, &[&i.src]),
            Instr::VBinary(i) => l.both(&i.dst, &[&i.a, &i.b]),
            Instr::VScalar(i) => l.both(&i.dst, &[&i.src]),
            Instr::MulAdd(i) => l.both(&i.dst, &[&i.a, &i.b, &i.dst]),
            Instr::FusedMulAdd(i) => l.both(&i.dst, &[&i.a, &i.b, &i.dst]),
            Instr::Cast(i) => l.both(&i.dst, &[&i.src]),
            Instr::CompareTo(i) => l.both(&i.dst, &[&i.a, &i.b]),
            Instr::CompareScalar(i) => l.both(&i.dst, &[&i.a]),
            Instr::Select(i) => l.both(&i.dst, &[&i.mask, &i.a, &i.b]),
            Instr::SelectScalar(i) => l.both(&i.dst, &[&i.mask, &i.a]),
            Instr::Duplicate(i) => l.writes.push(&i.dst),
            Instr::Reduce(i) => l.both(&i.dst, &[&i.src]),
            Instr::BlockBroadcast(i) => l.both(&i.dst, &[&i.src]),
            Instr::Gather(i) => l.both(&i.dst, &[&i.src, &i.offsets]),
            Instr::Iota(i) => l.writes.push(&i.dst),
            Instr::Transpose16(i) => l.both(&i.dst, &[&i.src]),
            Instr::Sort32(i) => l.both(&i.dst, &[&i.values, &i.indices]),
            Instr::MergeSort(i) => l.both(&i.dst, &[&i.src]),
            Instr::StoreScalar(i) => l.writes.push(&i.dst),
            Instr::Set(_) | Instr::Wait(_) | Instr::Barrier(_) | Instr::CrossSet(_) | Instr::CrossWait(_) => {
            }
        }
        l
    }

    /// Whether it orders pipes or cores.
    pub fn is_sync(&self) -> bool {
        self.pipe().is_none()
    }
}

/// Places that an instruction reads and writes.
#[derive(Debug, Default)]
pub struct Locals<'a> {
    /// Read.
    pub reads: smallvec::SmallVec<[&'a Local; 4]>,
    /// Written.
    pub writes: smallvec::SmallVec<[&'a Local; 1]>,
}

impl<'a> Locals<'a> {
    fn both(&mut self, write: &'a Local, reads: &[&'a Local]) {
        self.writes.push(write);
        self.reads.extend_from_slice(reads);
    }
}
