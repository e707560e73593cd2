//! What a launch takes and gives, and the checks before the first program runs.

use super::core::{Core, Slot};
use super::error::EagerError;
use super::memory::{EagerArg, EagerBuffer, Memory, ViewRef};
use super::round::from_bits;
use super::value::Value;
use crate::ir::{Loc, Param, ParamKind};
use std::rc::Rc;

/// Called with each text that a kernel prints.
pub type OnPrint = Box<dyn FnMut(&str)>;

/// How a launch runs.
pub struct Options {
    /// An index that the kernel computed (`gather`, `scatter`, atomics, `load_rows`, `store_rows`) must be inside its
    /// view unless its lane is masked off. On by default; compiled code never checks.
    pub strict: bool,
    /// Report two programs that touch one element without atomics. On by default.
    pub check_races: bool,
    /// Runs the programs in an order drawn from this seed, instead of axis 0 fastest.
    pub seed: Option<u64>,
    /// Stops the launch after so many operations.
    pub max_ops: Option<u64>,
    /// Sees each printed text as it comes; the report has them all afterwards.
    pub on_print: Option<OnPrint>,
    /// Another implementation of the pure operations that it answers for.
    #[cfg(test)]
    pub(crate) instead: Option<Instead>,
}

/// Another implementation of some pure operations; `None` for the others.
#[cfg(test)]
pub(crate) type Instead = fn(&crate::ir::OpKind, &[&Value], &[crate::ir::TileType]) -> Option<Vec<Value>>;

impl Default for Options {
    fn default() -> Options {
        Options {
            strict: true,
            check_races: true,
            seed: None,
            max_ops: None,
            on_print: None,
            #[cfg(test)]
            instead: None,
        }
    }
}

/// What a program printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Grid position of the program.
    pub program: [u32; 3],
    /// The text.
    pub text: String,
}

/// A launch that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Programs that ran.
    pub programs: u64,
    /// What they printed, in order.
    pub prints: Vec<Printed>,
}

/// A launch that was checked: the state, the parameters' values, and the order of programs.
pub(super) struct Launch {
    pub core: Core,
    pub params: Vec<Slot>,
    pub order: Vec<u32>,
}

/// Most programs of a launch: their number plus one fits in 31 bits.
const MAX_PROGRAMS: u64 = 1 << 30;

/// Checks a launch and takes its buffers; [`give_back`] returns them.
pub(super) fn prepare(
    params: &[Param],
    loc: Option<&Loc>,
    grid: [u32; 3],
    buffers: &mut Vec<EagerBuffer>,
    args: &[EagerArg],
    options: &mut Options,
) -> Result<Launch, EagerError> {
    let fail = |message: String| EagerError::launch(loc.cloned(), message, None);
    let programs = grid.iter().map(|&n| u128::from(n)).product::<u128>();
    if programs == 0 || programs > MAX_PROGRAMS.into() {
        return Err(EagerError::launch(
            loc.cloned(),
            format!("a grid of {} × {} × {} programs", grid[0], grid[1], grid[2]),
            Some(format!("each axis needs at least 1 program, and eager mode runs at most {MAX_PROGRAMS}")),
        ));
    }
    if args.len() != params.len() {
        return Err(fail(format!("{} arguments for {} parameters", args.len(), params.len())));
    }
    let slots: Result<Vec<Slot>, String> =
        params.iter().zip(args).map(|(p, a)| bind(p, a, buffers)).collect();
    let slots = slots.map_err(fail)?;
    let mut taken = std::mem::take(buffers);
    taken.iter_mut().for_each(EagerBuffer::forget_writers);
    let memory = Memory {
        buffers: taken,
        strict: options.strict,
        check_races: options.check_races,
        grid,
        program: 0,
        acquired: false,
    };
    let core = Core {
        memory,
        prints: Vec::new(),
        on_print: options.on_print.take(),
        fuel: options.max_ops,
        #[cfg(test)]
        instead: options.instead,
    };
    Ok(Launch { core, params: slots, order: order(programs as u32, options.seed) })
}

/// Returns what [`prepare`] took, and makes the report.
pub(super) fn give_back(
    mut core: Core,
    programs: u64,
    buffers: &mut Vec<EagerBuffer>,
    options: &mut Options,
) -> Report {
    *buffers = std::mem::take(&mut core.memory.buffers);
    options.on_print = core.on_print.take();
    Report { programs, prints: core.prints }
}

fn bind(param: &Param, arg: &EagerArg, buffers: &[EagerBuffer]) -> Result<Slot, String> {
    let name = &param.name;
    match (param.kind, arg) {
        (ParamKind::Scalar(elem), EagerArg::Scalar(bits)) => {
            Ok(Value::scalar(elem, from_bits(elem, *bits)).into())
        }
        (
            ParamKind::View { elem, rank, mutable },
            EagerArg::View { buffer, offset, dims, strides, mutable: may_write },
        ) => {
            let b = buffers.get(*buffer).ok_or_else(|| {
                format!("argument `{name}` names buffer {buffer}, but the launch has {}", buffers.len())
            })?;
            if b.elem() != elem {
                return Err(format!(
                    "argument `{name}` is a buffer of {}, but the kernel takes {elem}",
                    b.elem()
                ));
            }
            if dims.len() != rank || strides.len() != rank {
                return Err(format!(
                    "argument `{name}` has rank {}, but the kernel takes rank {rank}",
                    dims.len()
                ));
            }
            // A dim is an i32 inside the kernel.
            if dims.iter().any(|&d| d < 0 || d > i64::from(i32::MAX)) {
                return Err(format!("argument `{name}` has dims {dims:?}; each must be 0 to {}", i32::MAX));
            }
            if mutable && !may_write {
                return Err(format!("argument `{name}` is read-only, but the kernel writes it"));
            }
            Ok(Slot::View(Rc::new(ViewRef {
                name: name.as_str().into(),
                buffer: *buffer,
                elem,
                mutable,
                offset: *offset,
                dims: dims.clone(),
                strides: strides.clone(),
                fixed: Vec::new(),
                empty: false,
            })))
        }
        (ParamKind::Scalar(_), _) => {
            Err(format!("argument `{name}` is a view, but the kernel takes a scalar"))
        }
        (ParamKind::View { .. }, _) => {
            Err(format!("argument `{name}` is a scalar, but the kernel takes a view"))
        }
    }
}

/// The programs in the order in which they run.
fn order(n: u32, seed: Option<u64>) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    if let Some(mut state) = seed {
        for i in (1..order.len()).rev() {
            let j = splitmix(&mut state) % (i as u64 + 1);
            order.swap(i, j as usize);
        }
    }
    order
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
