//! Mistakes that must be found, with the author's line.

use crate::build::*;
use kcc_davinci::ir::*;
use kcc_davinci::{Error, FaultKind, run, verify};
use kcc_dsl::ir::Elem;

fn fault(p: &Program) -> (FaultKind, String) {
    let x = floats(&[1.0; 320]);
    let mut first = None;
    for seed in 0..6 {
        let e = launch(p, &x, &mut vec![0; 1280], seed).err();
        let Some(Error::Fault(f) | Error::Invalid(f)) = e else { panic!("seed {seed}: not found, {e:?}") };
        first.get_or_insert((f.kind, f.to_string()));
    }
    first.expect("a fault")
}

fn body(p: &mut Program) -> &mut Vec<Stmt> {
    let outer = p.vector.as_mut().expect("vector code");
    let found = outer.iter_mut().find_map(|s| match s {
        Stmt::For { body, .. } => Some(body),
        _ => None,
    });
    found.expect("a loop")
}

/// Each set and wait, deleted alone or as a pair, and each of them doubled.
#[test]
fn every_event_matters() {
    let p = add_twice(320);
    let n = body(&mut p.clone()).len();
    let mut count = 0;
    for i in 0..n {
        let Stmt::Issue { instr, .. } = body(&mut p.clone())[i].clone() else { continue };
        if !instr.is_sync() {
            continue;
        }
        let mut q = p.clone();
        body(&mut q).remove(i);
        fault(&q);
        let mut q = p.clone();
        let copy = body(&mut q)[i].clone();
        body(&mut q).insert(i, copy);
        fault(&q);
        count += 2;
    }
    assert_eq!(count, 16);
}

/// A pair left out inside the loop: no event is left raised, only the order is missing.
#[test]
fn a_missing_pair_is_a_race() {
    for (from, to, line) in [(Pipe::Mte2, Pipe::V, 11), (Pipe::V, Pipe::Mte3, 12)] {
        let mut p = add_twice(320);
        body(&mut p).retain(|s| match s {
            Stmt::Issue { instr: Instr::Set(s), .. } => (s.from, s.to) != (from, to),
            Stmt::Issue { instr: Instr::Wait(s), .. } => (s.from, s.to) != (from, to),
            _ => true,
        });
        let (kind, what) = fault(&p);
        // The first turn may come too early to find anything written.
        assert!(matches!(kind, FaultKind::Race | FaultKind::Undefined), "{what}");
        assert!(what.contains(&format!("kernel.rs:{line}:1")), "{what}");
    }
}

#[test]
fn dependent_vector_instructions_need_a_barrier() {
    let mut p = add_twice(320);
    let add = body(&mut p).iter().position(|s| matches!(s, Stmt::Issue { instr: Instr::VBinary(_), .. }));
    let add = add.expect("an addition");
    let second = body(&mut p)[add].clone();
    body(&mut p).insert(add + 1, second);
    assert_eq!(fault(&p).0, FaultKind::Race);
    body(&mut p).insert(add + 1, barrier(Pipes::One(Pipe::V)));
    launch(&p, &floats(&[1.0; 320]), &mut vec![0; 1280], 0).expect("in order");
}

#[test]
fn slots_that_overlap_are_a_race() {
    let mut p = add_twice(320);
    p.buffers[1].address = Some(256);
    assert_eq!(fault(&p).0, FaultKind::Race);
}

#[test]
fn ends_of_buffers_and_views_hold() {
    let mut p = add_twice(384);
    let (kind, what) = fault(&p);
    assert_eq!(kind, FaultKind::Bounds, "{what}");
    assert!(what.contains("parameter 0"), "{what}");
    p = add_twice(320);
    p.buffers[0].slots = 1;
    let (kind, what) = fault(&p);
    assert_eq!(kind, FaultKind::Bounds, "{what}");
    assert!(what.contains("buffer a"), "{what}");
}

#[test]
fn capacity_counts_the_reserved_bytes() {
    let mut p = add_twice(64);
    let limit = 184 << 10;
    p.buffers[1].address = Some(limit - 512);
    assert!(verify(&p).is_ok());
    p.buffers[1].address = Some(limit - 512 + 32);
    let e = verify(&p).expect_err("one block too far").to_string();
    assert!(e.contains("ub") && e.contains(&limit.to_string()), "{e}");
}

#[test]
fn parameters_are_checked_at_their_limits() {
    let with = |f: fn(&mut CopyIn)| {
        let mut p = add_twice(64);
        for s in body(&mut p) {
            if let Stmt::Issue { instr: Instr::CopyIn(c), .. } = s {
                f(c);
            }
        }
        verify(&p)
    };
    assert!(with(|c| c.blocks = 4095.into()).is_ok());
    assert!(with(|c| c.blocks = 4096.into()).is_err());
    assert!(with(|c| c.blocks = 0.into()).is_err());
    assert!(with(|c| c.bytes = 2_097_151.into()).is_ok());
    assert!(with(|c| c.bytes = 2_097_152.into()).is_err());
    assert!(with(|c| c.dst = Local::new(0, 32)).is_ok());
    assert!(with(|c| c.dst = Local::new(0, 16)).is_err());
    let pad = |n: i64| Some(Fill { left: 0.into(), right: n.into(), value: 0.into() });
    assert!(with(|c| c.pad = Some(Fill { left: 0.into(), right: 8.into(), value: 0.into() })).is_ok());
    let mut p = add_twice(64);
    if let Stmt::Issue { instr: Instr::CopyIn(c), .. } = &mut body(&mut p)[4] {
        c.pad = pad(9);
    }
    assert!(verify(&p).is_err());
}

#[test]
fn events_and_flags_have_numbers() {
    let mut p = add_twice(64);
    p.vector = Some(vec![set(Pipe::V, Pipe::Mte2, 6)]);
    assert!(verify(&p).expect_err("event 6").to_string().contains("event is 6; it must be 0 to 5"));
    p.vector = Some(vec![at(3, CrossWait { flag: 11 })]);
    assert!(verify(&p).is_err());
    p.vector = Some(vec![set(Pipe::M, Pipe::Fix, 0)]);
    assert!(verify(&p).expect_err("no cube here").to_string().contains("no pipe m"));
}

/// A cube core and its two vector cores pass a token round; leaving out any of the steps is noticed.
#[test]
fn flags_join_a_group() {
    let cross = |line, mode, pipe, flag| at(line, CrossSet { mode, pipe, flag });
    let make = |skip: Option<(bool, usize)>| {
        let mut cube = vec![
            cross(1, Mode::Group, Pipe::Fix, 0),
            at(2, CrossWait { flag: 1 }),
            cross(3, Mode::Group, Pipe::Fix, 0),
            barrier(Pipes::All),
        ];
        let mut vector = vec![
            at(4, CrossWait { flag: 0 }),
            cross(5, Mode::Group, Pipe::Mte3, 1),
            at(6, CrossWait { flag: 0 }),
            barrier(Pipes::All),
        ];
        match skip {
            Some((true, i)) => drop(cube.remove(i)),
            Some((false, i)) => drop(vector.remove(i)),
            None => {}
        }
        let mut p = add_twice(64);
        (p.cube, p.vector) = (Some(cube), Some(vector));
        p
    };
    let x = floats(&[1.0; 64]);
    launch(&make(None), &x, &mut vec![0; 256], 1).expect("in balance");
    for cube in [true, false] {
        for i in 0..3 {
            let e = launch(&make(Some((cube, i))), &x, &mut vec![0; 256], 1).expect_err("out of balance");
            let Error::Fault(f) = &e else { panic!("{e}") };
            assert!(matches!(f.kind, FaultKind::Deadlock | FaultKind::Flag), "{e}");
        }
    }
    // Both vector cores must raise it.
    let mut p = make(None);
    let first = p.vector.as_mut().expect("vector code");
    let sub = Reg(0);
    let only = Stmt::If { condition: sub.into(), then: vec![first.remove(1)], otherwise: vec![] };
    first.insert(1, only);
    first.insert(0, Stmt::Let { to: sub, value: Scalar::SubIdx, loc: kcc_dsl::ir::LocId(0) });
    assert!(launch(&p, &x, &mut vec![0; 256], 1).is_err());
}

#[test]
fn a_write_that_another_core_reads_needs_a_flag() {
    // The cube core writes nothing here; vector core 0 writes the workspace, vector core 1 reads it.
    let (sub, line) = (Reg(0), 30);
    let copy_out = at(line, copy_out(Elem::F32, Global::workspace(0), Local::new(0, 0), 256));
    let copy_in = at(line + 1, copy_in(Elem::F32, Local::new(0, 0), Global::workspace(0), 256, None));
    let fill = at(
        29,
        Duplicate {
            elem: Elem::F32,
            dst: Local::new(0, 0),
            scalar: 0.into(),
            span: Span::Count { n: 64.into() },
            dst_stride: Stride::DENSE,
        },
    );
    let make = |synced: bool| {
        let tell = at(32, CrossSet { mode: Mode::Pair, pipe: Pipe::Mte3, flag: 2 });
        let hear = at(33, CrossWait { flag: 2 });
        let join = if synced { vec![tell, hear] } else { vec![] };
        let writer = [vec![fill.clone(), barrier(Pipes::All), copy_out.clone()], join.clone()].concat();
        let reader = [join, vec![copy_in.clone()]].concat();
        let mut p = add_twice(64);
        p.workspace = 256;
        p.cube = Some(vec![barrier(Pipes::All)]);
        p.vector = Some(vec![
            Stmt::Let { to: sub, value: Scalar::SubIdx, loc: kcc_dsl::ir::LocId(0) },
            Stmt::If { condition: sub.into(), then: reader, otherwise: writer },
            barrier(Pipes::All),
        ]);
        p
    };
    let x = floats(&[1.0; 64]);
    launch(&make(true), &x, &mut vec![0; 256], 1).expect("ordered");
    let found = (0..8).any(|seed| {
        let e = launch(&make(false), &x, &mut vec![0; 256], seed);
        matches!(e, Err(Error::Fault(f)) if f.kind == FaultKind::Race)
    });
    assert!(found);
}

/// What the scalar unit writes and reads in the unified buffer is in no order with other pipes, unless an event or a barrier of all
/// pipes puts it there.
#[test]
fn single_elements_need_events() {
    use Pipe::{Mte3, S, V};
    let fill = |value: i64| Duplicate {
        elem: Elem::F32,
        dst: Local::new(0, 0),
        scalar: value.into(),
        span: Span::Count { n: 64.into() },
        dst_stride: Stride::DENSE,
    };
    let read = Stmt::Let {
        to: Reg(0),
        value: Scalar::LoadLocal { elem: Elem::F32, src: Local::new(0, 4) },
        loc: kcc_dsl::ir::LocId(42),
    };
    let write = at(43, StoreScalar { elem: Elem::F32, dst: Local::new(0, 8), value: Reg(0).into() });
    let steps = [
        (None, at(41, fill(7))),
        (Some((V, S)), read),
        (None, write),
        (Some((S, Mte3)), at(44, copy_out(Elem::F32, Global::of(1, 0), Local::new(0, 0), 256))),
        (
            Some((Mte3, S)),
            at(45, StoreScalar { elem: Elem::F32, dst: Local::new(0, 12), value: Reg(0).into() }),
        ),
        (Some((S, V)), at(46, fill(8))),
    ];
    let make = |without: Option<usize>, all: bool| {
        let mut body = Vec::new();
        for (i, (event, step)) in steps.iter().enumerate() {
            if let (Some((from, to)), true) = (event, without != Some(i)) {
                body.extend(if all {
                    vec![barrier(Pipes::All)]
                } else {
                    vec![set(*from, *to, 0), wait(*from, *to, 0)]
                });
            }
            body.push(step.clone());
        }
        body.push(barrier(Pipes::All));
        let mut p = add_twice(64);
        p.vector = Some(body);
        p
    };
    let x = floats(&[1.0; 64]);
    for all in [false, true] {
        for seed in 0..4 {
            launch(&make(None, all), &x, &mut vec![0; 256], seed).expect("in order");
        }
        for (i, line) in [(1, 42), (3, 44), (4, 45), (5, 46)] {
            // A barrier before or behind may do as well.
            if all && i != 1 {
                continue;
            }
            let (kind, what) = fault(&make(Some(i), all));
            assert!(matches!(kind, FaultKind::Race | FaultKind::Undefined), "{what}");
            assert!(what.contains(&format!("kernel.rs:{line}:1")), "{what}");
        }
    }
}

#[test]
fn arguments_are_checked() {
    let p = add_twice(64);
    let e = run(
        &p,
        kcc_davinci::Launch {
            grid: [1; 3],
            blocks: 1,
            args: vec![],
            options: kcc_davinci::Options::default(),
        },
    );
    assert!(matches!(e, Err(Error::Arguments(_))));
}
