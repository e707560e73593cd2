//! From a line to what it does: each family of instructions is asked in turn.

use crate::chip::Chip;
use crate::error::{Outcome, Trouble};
use crate::launch::Group;
use crate::text::Line;
use crate::wave::Wave;
use crate::{matrix, scalar, storage, vector};

/// What an instruction does to its wave.
pub(crate) trait Execute {
    fn execute(&self, wave: &mut Wave, group: &mut Group<'_, '_>) -> Outcome;
}

/// An operation, decoded.
pub(crate) type Code = Box<dyn Execute + Send + Sync>;

/// What a family needs to decode a line.
pub(crate) struct Context<'c> {
    pub(crate) line: &'c Line,
    /// All lines, for targets of branches.
    pub(crate) lines: &'c [Line],
    pub(crate) chip: &'static Chip,
}

/// Decodes a line of a family; `None` if it is of another.
pub(crate) type Decode = fn(&Context<'_>) -> Option<Result<Code, Trouble>>;

const FAMILIES: [Decode; 17] = [
    vector::elementwise::decode,
    vector::compare::decode,
    vector::carry::decode,
    vector::divide::decode,
    vector::packed::decode,
    vector::mixed::decode,
    vector::across::decode,
    vector::bits::decode,
    scalar::control::decode,
    scalar::arithmetic::decode,
    scalar::masks::decode,
    scalar::load::decode,
    storage::local::decode,
    storage::buffer::decode,
    storage::global::decode,
    storage::scratch::decode,
    matrix::decode,
];

/// An instruction, decoded once; one that is not known is a fault only when it runs.
pub(crate) struct Instruction {
    pub(crate) address: u64,
    pub(crate) text: String,
    pub(crate) code: Result<Code, Trouble>,
}

impl Instruction {
    pub(crate) fn decode(line: &Line, lines: &[Line], chip: &'static Chip) -> Instruction {
        let context = Context { line, lines, chip };
        let found = FAMILIES.iter().find_map(|decode| decode(&context));
        let code = found.unwrap_or_else(|| Err(format!("the emulator does not know `{}`", line.mnemonic)));
        Instruction { address: line.address, text: line.text(), code }
    }

    pub(crate) fn omit(&mut self) {
        self.code = Ok(Box::new(Nothing));
    }
}

/// Does nothing that is modelled.
pub(crate) struct Nothing;

impl Execute for Nothing {
    fn execute(&self, _: &mut Wave, _: &mut Group<'_, '_>) -> Outcome {
        Ok(())
    }
}

/// An instruction that is a function of the wave.
pub(crate) struct Step<F>(pub(crate) F);

impl<F: Fn(&mut Wave, &mut Group<'_, '_>) -> Outcome> Execute for Step<F> {
    fn execute(&self, wave: &mut Wave, group: &mut Group<'_, '_>) -> Outcome {
        (self.0)(wave, group)
    }
}

/// The code of a function of the wave.
pub(crate) fn step(f: impl Fn(&mut Wave, &mut Group<'_, '_>) -> Outcome + Send + Sync + 'static) -> Code {
    Box::new(Step(f))
}
