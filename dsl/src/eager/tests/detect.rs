//! Each detection: it fires, it names the line, and what is allowed stays silent.

use super::*;
use crate::ir::{AtomicOp, CmpOp, Ordering, Scope, ValueId};

/// The error of a launch, which must be at a line of this file.
#[track_caller]
fn error(result: Result<Report, EagerError>) -> String {
    let e = result.expect_err("the launch must fail");
    let loc = e.diagnostic.loc.clone().expect("an error has a place");
    assert!(loc.file.ends_with("detect.rs") && loc.line > 1, "{loc}");
    e.to_string()
}

fn copy(b: &mut Builder, from: ValueId, to: ValueId, n: usize) {
    let z = b.i32(0);
    let t = b.load(from, &[z], &[n]);
    b.store(to, &[z], t);
}

#[test]
fn reading_an_element_that_nobody_wrote() {
    let fresh = || vec![EagerBuffer::uninitialized(Elem::F32, 4)];
    let line = line!() + 3;
    let read = |b: &mut Builder, v: &[ValueId]| {
        let z = b.i32(0);
        b.load(v[0], &[z], &[4]);
    };
    let e = launch(read, [1; 3], &mut fresh(), &mut Options::default()).unwrap_err();
    assert_eq!(e.diagnostic.loc.as_ref().unwrap().line, line);
    assert_eq!(e.diagnostic.message, "element [0] of `out` is read, but nobody has written it");
    assert_eq!(e.program, Some([0, 0, 0]));
    let write_then_read = |b: &mut Builder, v: &[ValueId]| {
        let (z, one) = (b.i32(0), b.full(Elem::F32, &[4], 1.0));
        b.store(v[0], &[z], one);
        b.load(v[0], &[z], &[4]);
    };
    launch(write_then_read, [1; 3], &mut fresh(), &mut Options::default()).unwrap();
}

#[test]
fn two_programs_writing_one_element() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 4)];
    let overlap = |b: &mut Builder, v: &[ValueId]| {
        let (pid, t) = (b.program_id(0), b.full(Elem::F32, &[2], 1.0));
        b.store(v[0], &[pid], t);
    };
    let e = error(launch(overlap, [2, 1, 1], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [1] of `out` is written by two programs, this one and (0, 0, 0)"), "{e}");
    assert!(e.contains("(in program (1, 0, 0))"), "{e}");
    launch(overlap, [1; 3], &mut buffers, &mut Options::default()).unwrap();
    let lax = &mut Options { check_races: false, ..Options::default() };
    launch(overlap, [2, 1, 1], &mut buffers, lax).unwrap();
}

#[test]
fn reading_what_another_program_wrote() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 4)];
    let shift = |b: &mut Builder, v: &[ValueId]| {
        let (pid, one) = (b.program_id(0), b.i32(1));
        let t = b.load(v[0], &[pid], &[1]);
        let next = b.add(pid, one);
        b.store(v[0], &[next], t);
    };
    let e = error(launch(shift, [2, 1, 1], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [1] of `out` is read here and written by program (0, 0, 0)"), "{e}");
}

fn atomic_add(b: &mut Builder, view: ValueId, ordering: Ordering) {
    let (z, mask, one) = (b.i32(0), b.full(Elem::Bool, &[], 1.0), b.f32(1.0));
    b.op(OpKind::Atomic { op: AtomicOp::Add, ordering, scope: Scope::Device }, &[view, z, mask, one]);
}

#[test]
fn mixing_plain_and_atomic_writes_is_a_race_and_acquiring_is_not() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 4)];
    let mixed = |ordering| {
        move |b: &mut Builder, v: &[ValueId]| {
            atomic_add(b, v[0], ordering);
            let (z, t) = (b.i32(0), b.full(Elem::F32, &[1], 1.0));
            b.store(v[0], &[z], t);
        }
    };
    let e = error(launch(mixed(Ordering::Relaxed), [2, 1, 1], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [0] of `out`"), "{e}");
    launch(mixed(Ordering::AcqRel), [2, 1, 1], &mut buffers, &mut Options::default()).unwrap();
}

#[test]
fn a_gather_index_outside_its_view_in_strict_mode() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 3), EagerBuffer::zeros(Elem::F32, 4)];
    let gather = |masked: bool| {
        move |b: &mut Builder, v: &[ValueId]| {
            let (index, three) = (b.arange(4), b.i32(3));
            let three = b.splat(three, &[4]);
            let mask = match masked {
                true => b.compare(CmpOp::Lt, index, three),
                false => b.full(Elem::Bool, &[4], 1.0),
            };
            let other = b.full(Elem::F32, &[4], 0.0);
            b.gather(v[0], &[index], mask, other);
        }
    };
    let e = error(launch(gather(false), [1; 3], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [3] of `x` is outside the view, whose dims are [3]"), "{e}");
    launch(gather(true), [1; 3], &mut buffers, &mut Options::default()).unwrap();
}

#[test]
fn a_scatter_index_outside_its_view_in_strict_mode() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 3)];
    let scatter = |b: &mut Builder, v: &[ValueId]| {
        let (index, mask, value) = (b.arange(4), b.full(Elem::Bool, &[4], 1.0), b.full(Elem::F32, &[4], 0.0));
        b.scatter(v[0], &[index], mask, value);
    };
    let e = error(launch(scatter, [1; 3], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [3] of `out` is outside the view"), "{e}");
}

#[test]
fn a_row_index_outside_its_view_in_strict_mode() {
    let mut b = Builder::new("rows");
    let x = b.view("x", Elem::F32, 2);
    let (rows, z) = (b.arange(3), b.i32(0));
    b.load_rows(x, rows, z, 2);
    let kernel = b.finish().unwrap();
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 4)];
    let args = [EagerArg::dense(0, &[2, 2], false)];
    let e = error(interpret(&kernel, [1; 3], &mut buffers, &args, &mut Options::default()));
    assert!(e.contains("row index 2 is outside `x`, which has 2 rows"), "{e}");
    let lax = &mut Options { strict: false, ..Options::default() };
    interpret(&kernel, [1; 3], &mut buffers, &args, lax).unwrap();
}

#[test]
fn a_failed_assertion_names_message_and_element() {
    let check = |b: &mut Builder, _: &[ValueId]| {
        let (i, two) = (b.arange(4), b.i32(2));
        let two = b.splat(two, &[4]);
        let small = b.compare(CmpOp::Lt, i, two);
        b.assert(small, "index below 2");
    };
    let e =
        error(launch(check, [1; 3], &mut vec![EagerBuffer::zeros(Elem::F32, 1)], &mut Options::default()));
    assert!(e.contains("assertion failed: index below 2 (at element [2])"), "{e}");
}

#[test]
fn a_false_assumption() {
    let promise = |b: &mut Builder, _: &[ValueId]| {
        let f = b.full(Elem::Bool, &[], 0.0);
        b.op(OpKind::Assume, &[f]);
    };
    let e =
        error(launch(promise, [1; 3], &mut vec![EagerBuffer::zeros(Elem::F32, 1)], &mut Options::default()));
    assert!(e.contains("an assumption does not hold"), "{e}");
}

#[test]
fn a_view_that_does_not_fit_its_buffer() {
    for (offset, stride) in [(0, 2), (-1, 1), (i64::MAX, i64::MAX)] {
        let mut b = Builder::new("outside");
        let (x, y) = (b.view("x", Elem::F32, 1), b.view_mut("y", Elem::F32, 1));
        copy(&mut b, x, y, 4);
        let kernel = b.finish().unwrap();
        let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 4), EagerBuffer::zeros(Elem::F32, 4)];
        let bad = EagerArg::View { buffer: 0, offset, dims: vec![4], strides: vec![stride], mutable: false };
        let args = [bad, EagerArg::dense(1, &[4], true)];
        let e = error(interpret(&kernel, [1; 3], &mut buffers, &args, &mut Options::default()));
        assert!(e.contains("of `x` lies outside its buffer"), "{e}");
        assert_eq!(buffers.len(), 2, "the buffers come back after an error");
    }
}

#[test]
fn writing_through_a_read_only_view() {
    let mut b = Builder::new("read_only");
    let x = b.view("x", Elem::F32, 1);
    copy(&mut b, x, x, 1);
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let args = [EagerArg::dense(0, &[1], true)];
    let e = error(interpret(&b.finish().unwrap(), [1; 3], &mut buffers, &args, &mut Options::default()));
    assert!(e.contains("`x` is written, but it is a read-only view"), "{e}");
}

#[test]
fn arguments_that_do_not_fit_the_parameters() {
    let kernel = || {
        let mut b = Builder::new("args");
        b.view_mut("x", Elem::F32, 1);
        b.scalar("n", Elem::I32);
        b.finish().unwrap()
    };
    let x = || EagerArg::dense(0, &[1], true);
    let n = EagerArg::int(1);
    let cases: [(Vec<EagerArg>, [u32; 3], &str); 8] = [
        (vec![x()], [1; 3], "1 arguments for 2 parameters"),
        (vec![x(), x()], [1; 3], "`n` is a view, but the kernel takes a scalar"),
        (vec![n.clone(), n.clone()], [1; 3], "`x` is a scalar, but the kernel takes a view"),
        (vec![EagerArg::dense(3, &[1], true), n.clone()], [1; 3], "`x` names buffer 3, but the launch has 1"),
        (
            vec![EagerArg::dense(0, &[1, 1], true), n.clone()],
            [1; 3],
            "`x` has rank 2, but the kernel takes rank 1",
        ),
        (vec![EagerArg::dense(0, &[-1], true), n.clone()], [1; 3], "`x` has dims [-1]"),
        (
            vec![EagerArg::dense(0, &[1], false), n.clone()],
            [1; 3],
            "`x` is read-only, but the kernel writes it",
        ),
        (vec![x(), n.clone()], [1, 0, 1], "a grid of 1 × 0 × 1 programs"),
    ];
    for (args, grid, expected) in cases {
        let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
        let e = interpret(&kernel(), grid, &mut buffers, &args, &mut Options::default()).unwrap_err();
        assert!(e.to_string().contains(expected), "{e}");
        assert_eq!(buffers.len(), 1);
    }
    let mut buffers = vec![EagerBuffer::zeros(Elem::F16, 1)];
    let e = interpret(&kernel(), [1; 3], &mut buffers, &[x(), n], &mut Options::default()).unwrap_err();
    assert!(e.to_string().contains("`x` is a buffer of f16, but the kernel takes f32"), "{e}");
}

#[test]
fn a_loop_without_end_stops_at_the_limit() {
    let forever = |b: &mut Builder, _: &[ValueId]| {
        b.while_(&[], |b, _| (b.full(Elem::Bool, &[], 1.0), vec![]), |_, _| vec![]);
    };
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let e = error(launch(
        forever,
        [1; 3],
        &mut buffers,
        &mut Options { max_ops: Some(1000), ..Options::default() },
    ));
    assert!(e.contains("more operations than its limit"), "{e}");
}

#[test]
fn a_message_has_the_indices_that_at_fixed() {
    let mut b = Builder::new("at");
    let x = b.view("x", Elem::F32, 3);
    let (one, two) = (b.i32(1), b.i32(2));
    let row = b.at(x, &[one, two]);
    b.load(row, &[one], &[1]);
    let mut buffers = vec![EagerBuffer::uninitialized(Elem::F32, 18)];
    let args = [EagerArg::dense(0, &[2, 3, 3], false)];
    let e = error(interpret(&b.finish().unwrap(), [1; 3], &mut buffers, &args, &mut Options::default()));
    assert!(e.contains("element [1, 2, 1] of `x`"), "{e}");
}

#[test]
fn what_an_earlier_launch_wrote_is_no_race() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 2)];
    let forwards = |b: &mut Builder, v: &[ValueId]| {
        let (pid, t) = (b.program_id(0), b.full(Elem::F32, &[1], 1.0));
        b.store(v[0], &[pid], t);
    };
    let backwards = |b: &mut Builder, v: &[ValueId]| {
        let (pid, one, t) = (b.program_id(0), b.i32(1), b.full(Elem::F32, &[1], 1.0));
        let at = b.sub(one, pid);
        b.store(v[0], &[at], t);
    };
    launch(forwards, [2, 1, 1], &mut buffers, &mut Options::default()).unwrap();
    launch(backwards, [2, 1, 1], &mut buffers, &mut Options::default()).unwrap();
}

/// `body` in program 0 only.
fn in_the_first(b: &mut Builder, body: impl FnOnce(&mut Builder)) {
    let (pid, zero) = (b.program_id(0), b.i32(0));
    let first = b.compare(CmpOp::Eq, pid, zero);
    b.if_(
        first,
        |b| {
            body(b);
            vec![]
        },
        |_| vec![],
    );
}

#[test]
fn an_atomic_does_not_hide_the_plain_write_before_it() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 1)];
    let kernel = |b: &mut Builder, v: &[ValueId]| {
        in_the_first(b, |b| {
            let (z, t) = (b.i32(0), b.full(Elem::F32, &[1], 1.0));
            b.store(v[0], &[z], t);
        });
        atomic_add(b, v[0], Ordering::Relaxed);
    };
    let e = error(launch(kernel, [2, 1, 1], &mut buffers, &mut Options::default()));
    assert!(e.contains("(in program (1, 0, 0))"), "{e}");
}

#[test]
fn acquiring_counts_for_the_program_that_does_it() {
    let mut buffers = vec![EagerBuffer::zeros(Elem::F32, 2)];
    let kernel = |b: &mut Builder, v: &[ValueId]| {
        let (one, t) = (b.i32(1), b.full(Elem::F32, &[1], 1.0));
        b.store(v[0], &[one], t);
        in_the_first(b, |b| atomic_add(b, v[0], Ordering::AcqRel));
    };
    let e = error(launch(kernel, [2, 1, 1], &mut buffers, &mut Options::default()));
    assert!(e.contains("element [1] of `out` is written by two programs"), "{e}");
}
