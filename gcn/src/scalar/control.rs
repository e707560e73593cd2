//! Branches, waits, barriers, the end, and what has no effect here.

use crate::error::Trouble;
use crate::instruction::{Code, Context, Nothing, step};
use crate::text::Line;
use crate::wave::{State, VCC, Wave};

/// What only costs or saves time.
const WITHOUT_EFFECT: [&str; 13] = [
    "s_nop",
    "s_delay_alu",
    "s_clause",
    "s_setprio",
    "s_sendmsg",
    "s_set_inst_prefetch_distance",
    "s_inst_prefetch",
    "s_sleep",
    "s_waitcnt_depctr",
    "s_sched_barrier",
    "s_icache_inv",
    "s_dcache_wb",
    "s_ttracedata_imm",
];

/// Whether a branch is taken.
type Condition = fn(&Wave) -> Result<bool, Trouble>;

const CONDITIONS: [(&str, Condition); 7] = [
    ("s_branch", |_| Ok(true)),
    ("s_cbranch_scc0", |w| Ok(!w.scc)),
    ("s_cbranch_scc1", |w| Ok(w.scc)),
    ("s_cbranch_vccz", |w| Ok(w.mask(VCC)? == 0)),
    ("s_cbranch_vccnz", |w| Ok(w.mask(VCC)? != 0)),
    ("s_cbranch_execz", |w| Ok(w.exec == 0)),
    ("s_cbranch_execnz", |w| Ok(w.exec != 0)),
];

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, name) = (context.line, context.line.operation());
    if WITHOUT_EFFECT.contains(&name) {
        return Some(Ok(Box::new(Nothing)));
    }
    if let Some((_, taken)) = CONDITIONS.iter().find(|(n, _)| *n == name) {
        return Some(branch(line, context.lines, *taken));
    }
    match name {
        "s_waitcnt" => Some(wait(line)),
        "s_waitcnt_vscnt" => Some(Ok(Box::new(Nothing))),
        "s_barrier" => Some(Ok(step(|wave, _| {
            wave.state = State::AtBarrier;
            Ok(())
        }))),
        "s_endpgm" => Some(Ok(step(|wave, group| {
            wave.wait_vector_memory(0, &mut group.lds);
            wave.wait_local(0, &mut group.lds);
            wave.state = State::Ended;
            Ok(())
        }))),
        "s_trap" => Some(Ok(step(|_, _| Err("a trap".into())))),
        _ => None,
    }
}

fn branch(line: &Line, lines: &[Line], taken: Condition) -> Result<Code, Trouble> {
    let target = line.target.ok_or("a branch without a target")?;
    let place = lines.binary_search_by_key(&target, |l| l.address);
    let place = place.map_err(|_| format!("a branch to {target:#x}, where no instruction begins"))?;
    Ok(step(move |wave, _| {
        if taken(wave)? {
            wave.pc = place;
        }
        Ok(())
    }))
}

/// `vmcnt(3) lgkmcnt(0)`.
fn wait(line: &Line) -> Result<Code, Trouble> {
    let mut counts = [None; 2];
    for word in line.rest.split_whitespace() {
        let (name, count) =
            word.trim_end_matches(')').split_once('(').ok_or(format!("`{word}` is no counter"))?;
        let count: usize = count.parse().map_err(|_| format!("`{word}` is no counter"))?;
        match name {
            "vmcnt" => counts[0] = Some(count),
            "lgkmcnt" => counts[1] = Some(count),
            "expcnt" => {}
            _ => return Err(format!("`{word}` is no counter")),
        }
    }
    Ok(step(move |wave, group| {
        if let Some(left) = counts[0] {
            wave.wait_vector_memory(left, &mut group.lds);
        }
        if let Some(left) = counts[1] {
            wave.wait_local(left, &mut group.lds);
        }
        Ok(())
    }))
}
