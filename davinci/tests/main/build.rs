//! Small programs for the tests.

use kcc_davinci::ir::*;
use kcc_davinci::{Arg, Error, Launch, Options, Report, run};
use kcc_dsl::ir::{Elem, Loc, LocId, Param, ParamKind};

/// Locations 0 to 99: the lines 0 to 99 of `kernel.rs`.
pub fn locs() -> Vec<Loc> {
    (0..100).map(|line| Loc { file: "kernel.rs".into(), line, column: 1 }).collect()
}

pub fn view(name: &str, elem: Elem, rank: usize, mutable: bool) -> Param {
    Param { name: name.into(), kind: ParamKind::View { elem, rank, mutable } }
}

pub fn buffer(
    name: &str,
    space: Space,
    elem: Elem,
    layout: Layout,
    bytes: u32,
    slots: u32,
    address: u32,
) -> Buffer {
    Buffer { name: name.into(), space, elem, layout, bytes, slots, address: Some(address) }
}

pub fn at(line: u32, i: impl Into<Instr>) -> Stmt {
    Stmt::issue(i, LocId(line))
}

pub fn set(from: Pipe, to: Pipe, event: i64) -> Stmt {
    at(90, Set { from, to, event: event.into() })
}

pub fn wait(from: Pipe, to: Pipe, event: i64) -> Stmt {
    at(91, Wait { from, to, event: event.into() })
}

pub fn barrier(pipe: Pipes) -> Stmt {
    at(92, Barrier { pipe })
}

/// One piece from global memory.
pub fn copy_in(elem: Elem, dst: Local, src: Global, bytes: i64, pad: Option<Fill>) -> CopyIn {
    let (blocks, bytes, none) = (1.into(), bytes.into(), Val::Const(0));
    CopyIn { dst, src, elem, blocks, bytes, src_gap: none, dst_gap: none, pad }
}

/// One piece to global memory.
pub fn copy_out(elem: Elem, dst: Global, src: Local, bytes: i64) -> CopyOut {
    let (blocks, bytes, none) = (1.into(), bytes.into(), Val::Const(0));
    CopyOut { dst, src, elem, blocks, bytes, src_gap: none, dst_gap: none, atomic: Atomic::None }
}

/// y = x + x over `n` f32, in pieces of 64 through two slots; statements in order so that tests can leave one out.
pub fn add_twice(n: i64) -> Program {
    use Pipe::{Mte2, Mte3, V};
    let (i, slot, off, gm) = (Reg(0), Reg(1), Reg(2), Reg(3));
    let local = |b: u32| Local { buffer: b, offset: off.into() };
    let event = |from, to| (from, to, Val::Reg(slot));
    let set = |(from, to, event)| at(90, Set { from, to, event });
    let wait = |(from, to, event)| at(91, Wait { from, to, event });
    let body = vec![
        Stmt::Let {
            to: slot,
            value: Scalar::Int { op: IntOp::And, a: i.into(), b: 1.into() },
            loc: LocId(1),
        },
        Stmt::Let {
            to: off,
            value: Scalar::Int { op: IntOp::Mul, a: slot.into(), b: 256.into() },
            loc: LocId(2),
        },
        Stmt::Let {
            to: gm,
            value: Scalar::Int { op: IntOp::Mul, a: i.into(), b: 256.into() },
            loc: LocId(3),
        },
        wait(event(V, Mte2)),
        at(10, copy_in(Elem::F32, local(0), Global::of(0, gm), 256, None)),
        set(event(Mte2, V)),
        wait(event(Mte2, V)),
        wait(event(Mte3, V)),
        at(
            11,
            VBinary {
                op: Binary::Add,
                elem: Elem::F32,
                dst: local(1),
                a: local(0),
                b: local(0),
                span: Span::Count { n: 64.into() },
                dst_stride: Stride::DENSE,
                a_stride: Stride::DENSE,
                b_stride: Stride::DENSE,
            },
        ),
        set(event(V, Mte2)),
        set(event(V, Mte3)),
        wait(event(V, Mte3)),
        at(12, copy_out(Elem::F32, Global::of(1, gm), local(1), 256)),
        set(event(Mte3, V)),
    ];
    let edge = |f: fn(Pipe, Pipe, i64) -> Stmt| {
        [(V, Mte2, 0), (V, Mte2, 1), (Mte3, V, 0), (Mte3, V, 1)].map(|(a, b, e)| f(a, b, e))
    };
    let mut vector: Vec<Stmt> = edge(self::set).into();
    vector.push(Stmt::For { counter: i, from: 0.into(), to: (n / 64).into(), step: 1.into(), body });
    vector.extend(edge(self::wait));
    vector.push(barrier(Pipes::All));
    Program {
        name: "add_twice".into(),
        chip: "ascend910b".into(),
        params: vec![view("x", Elem::F32, 1, false), view("y", Elem::F32, 1, true)],
        buffers: vec![
            buffer("a", Space::Ub, Elem::F32, Layout::Nd, 256, 2, 0),
            buffer("b", Space::Ub, Elem::F32, Layout::Nd, 256, 2, 512),
        ],
        workspace: 0,
        cube: None,
        vector: Some(vector),
        locs: locs(),
    }
}

pub fn floats(v: &[f32]) -> Vec<u8> {
    v.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn to_floats(b: &[u8]) -> Vec<f32> {
    b.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// Runs a program of one input and one output (both dense) on one block.
pub fn launch(p: &Program, input: &[u8], output: &mut [u8], seed: u64) -> Result<Report, Error> {
    launch_all(p, &[input], output, seed)
}

/// Runs a program of some inputs and one output on one block.
pub fn launch_all(p: &Program, inputs: &[&[u8]], output: &mut [u8], seed: u64) -> Result<Report, Error> {
    let shape = |bytes: usize, rank: usize| (vec![bytes as i64; rank], vec![1; rank]);
    let rank = |i: usize| match p.params[i].kind {
        ParamKind::View { rank, .. } => rank,
        ParamKind::Scalar(_) => 0,
    };
    let mut args: Vec<Arg<'_>> = Vec::new();
    for (i, bytes) in inputs.iter().enumerate() {
        let (dims, strides) = shape(bytes.len(), rank(i));
        args.push(Arg::View { bytes, origin: 0, dims, strides });
    }
    let (dims, strides) = shape(output.len(), rank(inputs.len()));
    args.push(Arg::ViewMut { bytes: output, origin: 0, dims, strides });
    run(p, Launch { grid: [1, 1, 1], blocks: 1, args, options: Options { seed, ..Options::default() } })
}
