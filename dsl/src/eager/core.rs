//! Executes one operation: pure ones by [`super::eval`], the rest here. Shared by the native run and the interpreter.

use super::error::Fault;
use super::eval::eval;
use super::launch::{OnPrint, Printed};
use super::memory::{Lanes, Memory, Update, ViewRef, position};
use super::print;
use super::value::Value;
use crate::ir::{OpKind, TileType, Type};
use std::rc::Rc;

/// What an operation takes and gives.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// A tile; shared, since carried values are handed around.
    Tile(Rc<Value>),
    /// A view.
    View(Rc<ViewRef>),
}

impl Slot {
    pub(super) fn tile(&self) -> Result<&Rc<Value>, Fault> {
        match self {
            Slot::Tile(v) => Ok(v),
            Slot::View(_) => Err(Fault::from("a view where a tile is needed")),
        }
    }

    fn view(&self) -> Result<&Rc<ViewRef>, Fault> {
        match self {
            Slot::View(v) => Ok(v),
            Slot::Tile(_) => Err(Fault::from("a tile where a view is needed")),
        }
    }
}

impl From<Value> for Slot {
    fn from(v: Value) -> Slot {
        Slot::Tile(Rc::new(v))
    }
}

/// The state of a launch that operations see.
#[derive(Default)]
pub(super) struct Core {
    pub memory: Memory,
    pub prints: Vec<Printed>,
    pub on_print: Option<OnPrint>,
    /// Operations left before the launch is stopped.
    pub fuel: Option<u64>,
    #[cfg(test)]
    pub instead: Option<super::launch::Instead>,
}

/// Operands by position.
struct Args<'a>(&'a [Slot]);

impl<'a> Args<'a> {
    fn get(&self, i: usize) -> Result<&'a Slot, Fault> {
        self.0.get(i).ok_or_else(|| Fault::from(format!("operand {i} is missing")))
    }
    fn view(&self) -> Result<&'a ViewRef, Fault> {
        Ok(self.get(0)?.view()?)
    }
    fn tile(&self, i: usize) -> Result<&'a Value, Fault> {
        Ok(self.get(i)?.tile()?)
    }
    fn tiles(&self, range: std::ops::Range<usize>) -> Result<Vec<&'a Value>, Fault> {
        range.map(|i| self.tile(i)).collect()
    }
    fn ints(&self, range: std::ops::Range<usize>) -> Result<Vec<i64>, Fault> {
        range.map(|i| Ok(self.tile(i)?.as_int()?)).collect()
    }
}

impl Core {
    /// Grid position of the running program.
    pub fn position(&self) -> [u32; 3] {
        position(self.memory.grid, self.memory.program)
    }

    /// Begins a program.
    pub fn start(&mut self, program: u32) {
        self.memory.program = program;
        self.memory.acquired = false;
    }

    /// Executes an operation without regions.
    pub fn exec(&mut self, kind: &OpKind, operands: &[Slot], results: &[Type]) -> Result<Vec<Slot>, Fault> {
        self.burn()?;
        let args = Args(operands);
        let n = operands.len();
        let ty = || -> Result<&TileType, Fault> {
            results.first().and_then(Type::tile).ok_or_else(|| Fault::from("the result is not a tile"))
        };
        let int = |x: i64| Value::ints(crate::ir::Elem::I32, &[], &[x]);
        let axis_of = |v: [u32; 3], axis: u8| v.get(usize::from(axis)).copied().ok_or("a grid has 3 axes");
        let value: Value = match kind {
            OpKind::ProgramId(axis) => int(axis_of(self.position(), *axis)?.into())?,
            OpKind::NumPrograms(axis) => int(axis_of(self.memory.grid, *axis)?.into())?,
            OpKind::Dim(axis) => {
                let dims = &args.view()?.dims;
                int(*dims.get(usize::from(*axis)).ok_or("an axis that the view does not have")?)?
            }
            OpKind::At => {
                let v = args.view()?.at(&args.ints(1..n)?)?;
                return Ok(vec![Slot::View(Rc::new(v))]);
            }
            OpKind::Load { padding, .. } => {
                self.memory.load(args.view()?, &args.ints(1..n)?, *padding, ty()?)?
            }
            OpKind::LoadRows { padding, .. } => {
                let col = args.tile(2)?.as_int()?;
                self.memory.load_rows(args.view()?, args.tile(1)?, col, *padding, ty()?)?
            }
            OpKind::Store { .. } => {
                let last = n.saturating_sub(1);
                self.memory.store(args.view()?, &args.ints(1..last)?, args.tile(last)?)?;
                return Ok(vec![]);
            }
            OpKind::StoreRows { .. } => {
                let col = args.tile(2)?.as_int()?;
                self.memory.store_rows(args.view()?, args.tile(1)?, col, args.tile(3)?)?;
                return Ok(vec![]);
            }
            OpKind::Gather | OpKind::Scatter | OpKind::Atomic { .. } | OpKind::AtomicCas { .. } => {
                return self.indexed(kind, &args);
            }
            OpKind::Assume => {
                if !args.tile(0)?.as_bool()? {
                    return Err(Fault::new("an assumption does not hold")
                        .help("compiled code relies on it: correct it, or use an assertion"));
                }
                return Ok(vec![]);
            }
            OpKind::Assert { message } => {
                let mask = args.tile(0)?;
                if let Some(i) = mask.as_bools()?.iter().position(|&b| !b) {
                    return Err(Fault::new(format!("assertion failed: {message}{}", at_element(mask, i))));
                }
                return Ok(vec![]);
            }
            OpKind::Print { format } => {
                let text = print::format(format, &args.tiles(0..n)?);
                if let Some(f) = &mut self.on_print {
                    f(&text);
                }
                self.prints.push(Printed { program: self.position(), text });
                return Ok(vec![]);
            }
            _ => {
                let types: Option<Vec<TileType>> = results.iter().map(|t| t.tile().cloned()).collect();
                let types = types.ok_or("a pure operation that gives a view")?;
                let tiles = args.tiles(0..n)?;
                #[cfg(test)]
                if let Some(values) = self.instead.and_then(|f| f(kind, &tiles, &types)) {
                    return Ok(values.into_iter().map(Slot::from).collect());
                }
                let values = eval(kind, &tiles, &types)?;
                if !values.iter().map(Value::ty).eq(types.iter()) {
                    return Err(Fault::from(format!(
                        "the results of `{}` have other types than stated",
                        kind.name()
                    )));
                }
                return Ok(values.into_iter().map(Slot::from).collect());
            }
        };
        Ok(vec![value.into()])
    }

    /// Counts an operation against the limit.
    pub fn burn(&mut self) -> Result<(), Fault> {
        match &mut self.fuel {
            Some(0) => Err(Fault::new("the launch ran more operations than its limit")
                .help("look for a loop that does not end")),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn indexed(&mut self, kind: &OpKind, args: &Args) -> Result<Vec<Slot>, Fault> {
        let v = args.view()?;
        let rank = v.dims.len();
        let index = args.tiles(1..1 + rank)?;
        let lanes = Lanes::new(&index, args.tile(1 + rank)?)?;
        let (first, second) = (args.tile(2 + rank)?, args.tile(3 + rank));
        let value = match kind {
            OpKind::Gather => self.memory.gather(v, &lanes, first)?,
            OpKind::Scatter => {
                self.memory.scatter(v, &lanes, first)?;
                return Ok(vec![]);
            }
            OpKind::Atomic { op, ordering, .. } => {
                self.memory.atomic(v, &lanes, Update::Op(*op, first), *ordering)?
            }
            OpKind::AtomicCas { ordering, .. } => {
                let update = Update::Cas { expected: first, new: second? };
                self.memory.atomic(v, &lanes, update, *ordering)?
            }
            _ => return Err(Fault::from(format!("`{}` has no index per lane", kind.name()))),
        };
        Ok(vec![value.into()])
    }
}

/// ` at element [i, j]`, for a tile of rank 1 or more.
fn at_element(mask: &Value, place: usize) -> String {
    let mut rest = place;
    let mut index: Vec<String> = Vec::new();
    for &extent in mask.shape().iter().rev() {
        index.insert(0, (rest % extent.max(1)).to_string());
        rest /= extent.max(1);
    }
    if index.is_empty() { String::new() } else { format!(" (at element [{}])", index.join(", ")) }
}
