//! What computes each lane by itself: sources, a function of a table, a destination.

use super::dpp::Dpp;
use super::source::{Source, Type, flush, selected};
use super::{floats, halves, integers, narrow, wide};
use crate::chip::Chip;
use crate::error::{Outcome, Trouble};
use crate::instruction::{Code, Context, Execute};
use crate::launch::Group;
use crate::text::Line;
use crate::wave::{Lanes, Wave};

/// The function of an operation.
#[derive(Clone, Copy)]
pub(crate) enum Compute {
    /// Lanes of 32 bits, all at once.
    Narrow(fn(&[Lanes; 4], &mut Lanes)),
    /// A lane of up to 64 bits.
    Wide(fn([u64; 4]) -> u64),
}

/// A row of the tables. Names lack their encoding; gfx11's `_nc` is left out.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) sources: &'static [Type],
    pub(crate) result: Type,
    /// The result is the destination's half and leaves the other one, on every chip.
    pub(crate) keeps: bool,
    pub(crate) compute: Compute,
}

/// A row without specialities.
pub(crate) const fn row(name: &'static str, sources: &'static [Type], result: Type, compute: Compute) -> Row {
    Row { name, sources, result, keeps: false, compute }
}

/// `lanes!(|a, b| a + b)`: a function of words, for all lanes.
macro_rules! lanes {
    (|$($x:ident),+| $e:expr) => {{
        fn all(s: &[$crate::wave::Lanes; 4], out: &mut $crate::wave::Lanes) {
            for (lane, out) in out.iter_mut().enumerate() {
                let mut next = 0;
                $( #[allow(unused_assignments)] let $x = { next += 1; s[next - 1][lane] }; )+
                *out = $e;
            }
        }
        $crate::vector::elementwise::Compute::Narrow(all)
    }};
}
pub(crate) use lanes;

const TABLES: [&[Row]; 5] = [integers::TABLE, floats::TABLE, halves::TABLE, wide::TABLE, narrow::TABLE];

/// Where a result goes.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    register: u16,
    ty: Type,
    /// The part of the register that is written, if not all of it.
    part: Option<(u32, u32)>,
    /// What else is in the register stays, instead of becoming zeros.
    keep: bool,
}

impl Destination {
    pub(super) fn new(
        line: &Line,
        ty: Type,
        keeps: bool,
        sources: usize,
        chip: &Chip,
    ) -> Result<Destination, Trouble> {
        let operand = line.operand(0)?;
        let half = |h: u32| Some((16 * h, 16));
        let selected = selected(line, "dst_sel");
        let chosen = line.entry("op_sel", sources, 0);
        let (part, keep) = match (selected, operand.half) {
            (Some((_, 32)), _) => (None, false),
            (Some(part), _) => (Some(part), line.modifier("dst_unused") == Some("UNUSED_PRESERVE")),
            (None, Some(h)) => (half(h.into()), true),
            (None, None) if ty.bits() == 16 => (half(chosen), keeps || chosen == 1 || chip.keeps_halves),
            _ => (None, false),
        };
        Ok(Destination { register: operand.vector()?, ty, part, keep })
    }

    pub(super) fn set(&self, wave: &mut Wave, mask: u64, mut value: Lanes) -> Outcome {
        if self.ty == Type::F32 && wave.flushes[0] {
            value.iter_mut().for_each(|x| *x = flush(*x));
        }
        if let Some((shift, bits)) = self.part {
            let ones = u32::MAX >> (32 - bits) << shift;
            let old = if self.keep { *wave.vector(self.register)? } else { [0; 64] };
            for (x, old) in value.iter_mut().zip(old) {
                *x = old & !ones | *x << shift & ones;
            }
        }
        wave.set_lanes(self.register, mask, &value)
    }

    pub(super) fn set64(&self, wave: &mut Wave, mask: u64, value: &[u64; 64]) -> Outcome {
        wave.set_lanes(self.register, mask, &value.map(|x| x as u32))?;
        wave.set_lanes(self.register + 1, mask, &value.map(|x| (x >> 32) as u32))
    }
}

/// What is done to a float result: a factor, and clamping to 0 … 1.
#[derive(Clone, Copy)]
struct After {
    factor: f32,
    clamp: bool,
}

impl After {
    fn of(line: &Line, ty: Type) -> Result<Option<After>, Trouble> {
        let factor = match (line.number("mul"), line.number("div")) {
            (0, 0) => 1.0,
            (0, divisor) => 1.0 / divisor as f32,
            (factor, _) => factor as f32,
        };
        let clamp = line.flag("clamp") && ty == Type::F32;
        if line.flag("clamp") && matches!(ty, Type::F16 | Type::F64) {
            return Err("a clamped result that is no f32".into());
        }
        Ok((factor != 1.0 || clamp).then_some(After { factor, clamp }))
    }

    fn apply(self, x: u32) -> u32 {
        let x = f32::from_bits(x) * self.factor;
        (if self.clamp { clamped(x) } else { x }).to_bits()
    }
}

/// In 0 … 1; not-a-number becomes 0.
pub(super) fn clamped(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

struct Elementwise {
    sources: Vec<Source>,
    compute: Compute,
    destination: Destination,
    dpp: Option<Dpp>,
    after: Option<After>,
}

enum Result64 {
    Narrow(Box<Lanes>),
    Wide(Box<[u64; 64]>),
}

/// The row of an operation. Saturating integers and the chip's 8-bit floats are rows of their own.
fn find(line: &Line, name: &str, chip: &Chip) -> Option<&'static Row> {
    let name = name.replace("_nc_", "_").replace("v_dual_", "v_");
    let all = || TABLES.iter().flat_map(|t| t.iter());
    let with = |ending: &str| {
        let is = |row: &&Row| row.name.strip_suffix(ending) == Some(&name);
        all().find(is)
    };
    if line.flag("clamp")
        && let Some(row) = with(" clamp")
    {
        return Some(row);
    }
    with(if chip.fnuz { " fnuz" } else { " ocp" }).or_else(|| with(""))
}

impl Elementwise {
    fn new(line: &Line, row: &Row, chip: &Chip) -> Result<Elementwise, Trouble> {
        let given = line.operands.len() - 1;
        let mut sources = Vec::with_capacity(4);
        for (i, ty) in row.sources.iter().enumerate() {
            sources.push(match ty {
                Type::Mask if i >= given => Source::vcc(),
                // The third operand of `fmac` is the destination.
                _ if i >= given => Source::new(line, 0, 3, *ty)?,
                _ => Source::new(line, i + 1, i, *ty)?,
            });
        }
        Ok(Elementwise {
            sources,
            compute: row.compute,
            destination: Destination::new(line, row.result, row.keeps, row.sources.len().min(given), chip)?,
            dpp: Dpp::of(line)?,
            after: After::of(line, row.result)?,
        })
    }

    /// The result, and the lanes that are written.
    fn result(&self, wave: &Wave) -> Result<(Result64, u64), Trouble> {
        let mut mask = wave.exec;
        match self.compute {
            Compute::Narrow(f) => {
                let mut values = [[0; 64]; 4];
                for (i, (source, value)) in self.sources.iter().zip(&mut values).enumerate() {
                    *value = source.raw(wave, 0)?;
                    if let (0, Some(dpp)) = (i, &self.dpp) {
                        mask = dpp.apply(wave, value);
                    }
                    source.shape(wave, value);
                }
                let mut out = [0; 64];
                f(&values, &mut out);
                if let Some(after) = self.after {
                    out.iter_mut().for_each(|x| *x = after.apply(*x));
                }
                Ok((Result64::Narrow(Box::new(out)), mask))
            }
            Compute::Wide(f) => {
                if self.dpp.is_some() {
                    return Err("DPP on 64 bits".into());
                }
                let mut values = [[0; 64]; 4];
                for (source, value) in self.sources.iter().zip(&mut values) {
                    *value = source.get64(wave)?;
                }
                let out =
                    std::array::from_fn(|l| f([values[0][l], values[1][l], values[2][l], values[3][l]]));
                Ok(match self.destination.ty.bits() {
                    64 => (Result64::Wide(Box::new(out)), mask),
                    _ => (Result64::Narrow(Box::new(out.map(|x| x as u32))), mask),
                })
            }
        }
    }

    fn write(&self, wave: &mut Wave, (result, mask): (Result64, u64)) -> Outcome {
        match result {
            Result64::Narrow(lanes) => self.destination.set(wave, mask, *lanes),
            Result64::Wide(lanes) => self.destination.set64(wave, mask, &lanes),
        }
    }
}

impl Execute for Elementwise {
    fn execute(&self, wave: &mut Wave, _: &mut Group<'_, '_>) -> Outcome {
        let result = self.result(wave)?;
        self.write(wave, result)
    }
}

/// Two operations at once: both read before either writes.
struct Dual(Elementwise, Elementwise);

impl Execute for Dual {
    fn execute(&self, wave: &mut Wave, _: &mut Group<'_, '_>) -> Outcome {
        let (first, second) = (self.0.result(wave)?, self.1.result(wave)?);
        self.0.write(wave, first)?;
        self.1.write(wave, second)
    }
}

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let line = context.line;
    let row = find(line, line.operation(), context.chip)?;
    let Some(second) = &line.second else {
        let one = Elementwise::new(line, row, context.chip);
        return Some(one.map(|e| Box::new(e) as Code));
    };
    let other = find(second, second.operation(), context.chip)?;
    let both = || {
        let (a, b) =
            (Elementwise::new(line, row, context.chip)?, Elementwise::new(second, other, context.chip)?);
        Ok(Box::new(Dual(a, b)) as Code)
    };
    Some(both())
}
