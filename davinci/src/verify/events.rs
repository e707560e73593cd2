//! Events come in pairs, whichever way a core goes.
//!
//! ```text
//! set … { wait … set } … wait      a loop's turn lowers as often as it raises; so do both ways of a branch, and the whole program
//! ```
//! Whether each wait finds its event raised is a matter of order, which the simulator knows.

use crate::error::{Fault, FaultKind};
use crate::ir::{Instr, Pipe, Stmt};
use std::collections::BTreeMap;

/// How often events of a pair of pipes are raised, less how often they are waited for.
type Balance = BTreeMap<(Pipe, Pipe), i64>;

/// Checks a core's program.
pub(super) fn check(body: &[Stmt]) -> Result<(), Fault> {
    even(&block(body)?, "the program")
}

fn even(b: &Balance, what: &str) -> Result<(), Fault> {
    match b.iter().find(|(_, n)| **n != 0) {
        None => Ok(()),
        Some(((from, to), n)) => {
            let (rare, often) = if *n > 0 { ("waited for", "raised") } else { ("raised", "waited for") };
            let what = format!(
                "an event from {} to {} is {often} in {what} and is not always {rare} there",
                from.name(),
                to.name()
            );
            Err(Fault::new(FaultKind::Event, what))
        }
    }
}

fn block(stmts: &[Stmt]) -> Result<Balance, Fault> {
    let mut sum = Balance::new();
    for s in stmts {
        match s {
            Stmt::Issue { instr: Instr::Set(s), .. } => *sum.entry((s.from, s.to)).or_default() += 1,
            Stmt::Issue { instr: Instr::Wait(w), .. } => *sum.entry((w.from, w.to)).or_default() -= 1,
            Stmt::Let { .. } | Stmt::Issue { .. } => {}
            Stmt::For { body, .. } => even(&block(body)?, "a turn of a loop")?,
            // The head is gone through once more than the body.
            Stmt::While { head, body, .. } => {
                even(&block(head)?, "a loop's condition")?;
                even(&block(body)?, "a turn of a loop")?;
            }
            Stmt::If { then, otherwise, .. } => {
                let (a, b) = (block(then)?, block(otherwise)?);
                let mut differ = a.clone();
                b.iter().for_each(|(k, n)| *differ.entry(*k).or_default() -= n);
                even(&differ, "one way of a branch")?;
                a.into_iter().for_each(|(k, n)| *sum.entry(k).or_default() += n);
            }
        }
    }
    Ok(sum)
}
