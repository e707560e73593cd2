//! Runs a kernel's native function: what the author's debugger steps through.

use super::error::EagerError;
use super::launch::{Launch, Options, Report, give_back, prepare};
use super::machine::Machine;
use super::memory::{EagerArg, EagerBuffer};
use crate::kernel::KernelFn;
use crate::stage::fail::quietly;
use crate::stage::with_engine;
use std::cell::RefCell;
use std::rc::Rc;

/// Runs every program of `grid` of a kernel's own function, one after another on this thread.
///
/// Arguments and buffers as for [`super::interpret`]. A panic of the author's function ends the launch with an error
/// at the line of the panic.
pub fn run(
    kernel: &KernelFn,
    grid: [u32; 3],
    buffers: &mut Vec<EagerBuffer>,
    args: &[EagerArg],
    options: &mut Options,
) -> Result<Report, EagerError> {
    let Launch { core, params, order } =
        prepare(&kernel.params, Some(&kernel.loc), grid, buffers, args, options)?;
    let machine = Rc::new(RefCell::new(Machine::new(core)));
    let mut result = Ok(());
    for &program in &order {
        machine.borrow_mut().start(program, &params);
        let ran = quietly(|| with_engine(machine.clone(), kernel.body));
        if let Err(stopped) = ran {
            let mut m = machine.borrow_mut();
            let position = Some(m.core.position());
            result = Err(match (m.error.take(), stopped) {
                (Some(error), _) => error,
                (None, Ok(diagnostic)) => EagerError { diagnostic, program: position },
                (None, Err(_)) => {
                    let message = format!("`{}` was left by unwinding", kernel.name);
                    EagerError {
                        program: position,
                        ..EagerError::launch(Some(kernel.loc.clone()), message, None)
                    }
                }
            });
            break;
        }
    }
    let core = std::mem::take(&mut machine.borrow_mut().core);
    let report = give_back(core, order.len() as u64, buffers, options);
    result.map(|()| report)
}
