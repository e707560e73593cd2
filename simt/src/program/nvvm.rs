//! The `nvvm` dialect and the `llvm.nvvm.*` intrinsics: special registers, warp operations, barriers, copies.

use super::build::{Builder, Lowered};
use super::inst::{Arrive, LaneMask, Op, Order, RedOp, Shuffle, Special, Ter, Un, Vote};
use super::memory::space;
use crate::text::{self, Attr, Scalar};

/// Whether an operation orders things, so that deleting it should show.
pub(super) fn is_sync(op: &text::Op) -> bool {
    const WORDS: [&str; 12] = [
        "barrier",
        "bar.",
        "cluster.arrive",
        "cluster.wait",
        "arrive",
        "wait",
        "fence",
        "commit",
        "expect_tx",
        "membar",
        "syncwarp",
        "depbar",
    ];
    let text = match op.name.as_str() {
        "llvm.inline_asm" => op.text("asm_string"),
        "llvm.call_intrinsic" => op.text("intrin"),
        "llvm.fence" => return true,
        name if name.starts_with("rocdl.") => return super::rocdl::is_sync(name),
        name => name.strip_prefix("nvvm."),
    };
    let Some(text) = text else { return false };
    let harmless = ["mbarrier.init", "mbarrier.inval", "griddepcontrol", "wgmma.mma_async"];
    // `fence.mbarrier.init` has a harmless name in it.
    WORDS.iter().any(|word| text.contains(word))
        && (text.contains("fence") || !harmless.iter().any(|word| text.contains(word)))
}

pub(super) fn lower<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let name = op.name.strip_prefix("nvvm.").unwrap_or_default();
    if let Some(register) = name.strip_prefix("read.ptx.sreg.") {
        return special(b, op, register);
    }
    if name.starts_with("convert.") {
        return super::convert::lower(b, op, name);
    }
    if name.starts_with("mma.") || name.starts_with("wgmma.") || name.ends_with("matrix") {
        return super::matrix::lower(b, op, name);
    }
    match name {
        "shfl.sync" => shuffle(b, op),
        "vote.sync" => {
            let vote = match op.case("kind") {
                Some("all") => Vote::All,
                Some("any") => Vote::Any,
                Some("uni") => Vote::Uni,
                Some("ballot") => Vote::Ballot,
                _ => return Err("an unknown kind".into()),
            };
            plain(b, op, Op::Vote(vote), &[1, 0])
        }
        "redux.sync" => {
            let kind = op.case("kind").ok_or("no kind")?;
            let (red, signed, float) = redux(kind).ok_or("an unknown kind")?;
            if op.flag("abs") || op.flag("nan") || float {
                return Err("f32 reductions exist on sm_100a only".into());
            }
            plain(b, op, Op::Redux { op: red, signed }, &[0, 1])
        }
        "match.sync" => match op.case("kind") {
            Some("any") => plain(b, op, Op::MatchAny, &[0, 1]),
            _ => Err("only `any`".into()),
        },
        "elect.sync" => plain(b, op, Op::Elect, &[]),
        "bar.warp.sync" => plain(b, op, Op::WarpSync, &[0]),
        "barrier0" => plain(b, op, barrier(false, false), &[]),
        "barrier" => {
            let segments = op.segments().filter(|s| s.len() == 3).ok_or("no operand segments")?;
            let reduce = match op.case("reductionOp") {
                None => None,
                Some("popc") => Some(RedOp::Add),
                Some("and") => Some(RedOp::And),
                Some("or") => Some(RedOp::Or),
                Some(_) => return Err("an unknown reduction".into()),
            };
            let kind = Op::Barrier {
                has_id: !segments[0].is_empty(),
                counted: !segments[1].is_empty(),
                arrive_only: false,
                reduce,
            };
            let all: Vec<usize> = (0..op.operands.len()).collect();
            plain(b, op, kind, &all)
        }
        "barrier.arrive" => {
            let has_id = op.operands.len() == 2;
            let kind = Op::Barrier { has_id, counted: true, arrive_only: true, reduce: None };
            let all: Vec<usize> = (0..op.operands.len()).collect();
            plain(b, op, kind, &all)
        }
        "cluster.arrive" => plain(b, op, Op::ClusterArrive { releases: true }, &[]),
        "cluster.arrive.relaxed" => plain(b, op, Op::ClusterArrive { releases: false }, &[]),
        "cluster.wait" => plain(b, op, Op::ClusterWait, &[]),
        "mapa" => {
            let from = space(b.scalar(op, 0)?.1)?;
            plain(b, op, Op::MapA { from }, &[0, 1])
        }
        "memory.barrier" | "fence.sc.cluster" => plain(b, op, Op::Fence(Order::AcqRel), &[]),
        "fence.mbarrier.init" => plain(b, op, Op::FenceMbarInit, &[]),
        "fence.proxy" => match op.case("kind") {
            Some("async" | "async.global" | "async.shared") => plain(b, op, Op::FenceProxyAsync, &[]),
            Some("alias" | "TENSORMAP" | "tensormap" | "GENERIC") => {
                plain(b, op, Op::Fence(Order::AcqRel), &[])
            }
            _ => Err("an unknown kind".into()),
        },
        "fence.proxy.acquire" | "fence.proxy.release" => plain(b, op, Op::Fence(Order::AcqRel), &[]),
        "prmt" => match op.case("mode") {
            // Operands: value, selector, value; the selector is the manual's third.
            Some("default") | None => plain(b, op, Op::Ter(Ter::Prmt, Scalar::Int(32)), &[0, 2, 1]),
            _ => Err("only the default mode".into()),
        },
        "rcp.approx.ftz.f" => plain(b, op, Op::Un(Un::Rcp, Scalar::F32, true), &[0]),
        "setmaxregister" => {
            let count = op.attr("regCount").and_then(Attr::int).ok_or("the number is missing")?;
            plain(b, op, Op::SetMaxRegister { registers: count.clamp(0, 256) as u32 }, &[])
        }
        "griddepcontrol"
        | "nanosleep"
        | "prefetch"
        | "pmevent"
        | "cp.async.bulk.prefetch"
        | "cp.async.bulk.tensor.prefetch" => plain(b, op, Op::Nop, &[]),
        "exit" => plain(b, op, Op::Return, &[]),
        _ if name.starts_with("mbarrier.") => mbarrier(b, op, name),
        _ if name.starts_with("cp.async.") => copies(b, op, name),
        _ => Err("not an operation that the simulator knows".into()),
    }
}

/// An instruction over some operands in the given order, all of them scalars or flattened.
pub(super) fn plain<'m>(
    b: &mut Builder<'m, '_>,
    op: &'m text::Op,
    kind: Op,
    operands: &[usize],
) -> Lowered<()> {
    let mut src = Vec::new();
    for &index in operands {
        src.extend_from_slice(&b.value(op, index)?.slots);
    }
    let dst = b.result(op, 0)?;
    b.emit(kind, &src, &dst);
    Ok(())
}

fn barrier(has_id: bool, counted: bool) -> Op {
    Op::Barrier { has_id, counted, arrive_only: false, reduce: None }
}

/// `llvm.call_intrinsic "llvm.nvvm.…"`.
pub(super) fn intrinsic<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    if let Some(rest) = name.strip_prefix("mma.") {
        return super::matrix::mma_by_name(b, op, rest);
    }
    if let Some(register) = name.strip_prefix("read.ptx.sreg.") {
        return special(b, op, register);
    }
    let un = |un, ftz| Op::Un(un, Scalar::F32, ftz);
    let all: Vec<usize> = (0..op.operands.len()).collect();
    let approx = match name {
        "ex2.approx.ftz.f32" | "ex2.approx.ftz.f" | "ex2.approx.ftz" => Some(un(Un::Exp2, true)),
        "ex2.approx.f32" | "ex2.approx.f" | "ex2.approx" => Some(un(Un::Exp2, false)),
        "lg2.approx.ftz.f" => Some(un(Un::Log2, true)),
        "lg2.approx.f" => Some(un(Un::Log2, false)),
        "rsqrt.approx.ftz.f" => Some(un(Un::RSqrt, true)),
        "rsqrt.approx.f" => Some(un(Un::RSqrt, false)),
        "sqrt.approx.ftz.f" => Some(un(Un::Sqrt, true)),
        "sqrt.approx.f" | "sqrt.rn.f" => Some(un(Un::Sqrt, false)),
        "rcp.approx.ftz.f" => Some(un(Un::Rcp, true)),
        "rcp.approx.f" | "rcp.rn.f" => Some(un(Un::Rcp, false)),
        "sin.approx.ftz.f" => Some(un(Un::Sin, true)),
        "cos.approx.ftz.f" => Some(un(Un::Cos, true)),
        "sin.approx.f" => Some(un(Un::Sin, false)),
        "cos.approx.f" => Some(un(Un::Cos, false)),
        "tanh.approx.f" | "tanh.approx.f32" => Some(un(Un::Tanh, false)),
        _ => None,
    };
    if let Some(kind) = approx {
        return plain(b, op, kind, &all);
    }
    match name {
        "barrier0" => plain(b, op, barrier(false, false), &[]),
        "barrier.cta.sync.aligned.all" | "barrier.cta.sync.all" => plain(b, op, barrier(true, false), &all),
        "barrier.cta.sync.aligned.count" | "barrier.cta.sync.count" | "barrier" => {
            plain(b, op, barrier(true, true), &all)
        }
        "barrier.cta.arrive.aligned.count" | "barrier.cta.arrive.count" => {
            plain(b, op, Op::Barrier { has_id: true, counted: true, arrive_only: true, reduce: None }, &all)
        }
        "bar.warp.sync" => plain(b, op, Op::WarpSync, &[0]),
        "membar.cta" | "membar.gl" | "membar.sys" => plain(b, op, Op::Fence(Order::AcqRel), &[]),
        "prmt" => plain(b, op, Op::Ter(Ter::Prmt, Scalar::Int(32)), &all),
        "activemask" => {
            let one = b.constant(1);
            let dst = b.result(op, 0)?;
            b.emit(Op::Special(Special::Zero), &[one], &dst);
            Err("the active mask is undefined under independent scheduling; use a vote".into())
        }
        "griddepcontrol.wait" | "griddepcontrol.launch.dependents" | "nanosleep" => {
            plain(b, op, Op::Nop, &[])
        }
        "ff2bf16x2.rn" | "ff2f16x2.rn" => super::convert::pair_by_name(b, op, name),
        "fmin.ftz.f" | "fmin.f" | "fmax.f" | "fmax.ftz.f" | "fmax.nan.f" | "fmin.nan.f"
        | "fmax.ftz.nan.f" | "fmin.ftz.nan.f" => {
            use super::inst::Bin;
            let bin = match (name.starts_with("fmax"), name.contains("nan")) {
                (true, false) => Bin::MaxNum,
                (false, false) => Bin::MinNum,
                (true, true) => Bin::Maximum,
                (false, true) => Bin::Minimum,
            };
            plain(b, op, Op::Bin(bin, Scalar::F32), &all)
        }
        "fma.rn.f" | "fma.rn.ftz.f" => plain(b, op, Op::Ter(Ter::Fma, Scalar::F32), &all),
        "redux.sync.add" | "redux.sync.umax" | "redux.sync.umin" | "redux.sync.max" | "redux.sync.min"
        | "redux.sync.and" | "redux.sync.or" | "redux.sync.xor" => {
            let kind = name.rsplit('.').next().unwrap_or_default();
            let (red, signed, _) = redux(kind).ok_or("an unknown kind")?;
            plain(b, op, Op::Redux { op: red, signed }, &all)
        }
        _ => Err(format!("intrinsic llvm.nvvm.{name}: not one that the simulator knows")),
    }
}

fn redux(kind: &str) -> Option<(RedOp, bool, bool)> {
    Some(match kind {
        "add" => (RedOp::Add, true, false),
        "max" => (RedOp::Max, true, false),
        "min" => (RedOp::Min, true, false),
        "umax" => (RedOp::UMax, false, false),
        "umin" => (RedOp::UMin, false, false),
        "and" => (RedOp::And, false, false),
        "or" => (RedOp::Or, false, false),
        "xor" => (RedOp::Xor, false, false),
        "fmin" => (RedOp::Min, true, true),
        "fmax" => (RedOp::Max, true, true),
        _ => return None,
    })
}

fn shuffle<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op) -> Lowered<()> {
    let mode = match op.case("kind") {
        Some("bfly") => Shuffle::Bfly,
        Some("up") => Shuffle::Up,
        Some("down") => Shuffle::Down,
        Some("idx") => Shuffle::Idx,
        _ => return Err("an unknown kind".into()),
    };
    // Operands: mask, value, offset, clamp; results: value, and a predicate when asked for.
    plain(b, op, Op::Shfl { mode }, &[1, 2, 3, 0])
}

fn special<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, register: &str) -> Lowered<()> {
    let (stem, axis) = match register.rsplit_once('.') {
        Some((stem, "x")) => (stem, 0),
        Some((stem, "y")) => (stem, 1),
        Some((stem, "z")) => (stem, 2),
        _ => (register, 0),
    };
    let special = match stem {
        "tid" => Special::Tid(axis),
        "ntid" => Special::NTid(axis),
        "ctaid" => Special::CtaId(axis),
        "nctaid" => Special::NCtaId(axis),
        "clusterid" => Special::ClusterId(axis),
        "nclusterid" => Special::NClusterId(axis),
        "cluster.ctaid" => Special::ClusterCtaId(axis),
        "cluster.nctaid" => Special::ClusterNCtaId(axis),
        "cluster.ctarank" => Special::ClusterCtaRank,
        "cluster.nctarank" => Special::ClusterNCtaRank,
        "laneid" => Special::LaneId,
        "warpid" => Special::WarpId,
        "nwarpid" => Special::NWarpId,
        "warpsize" => Special::WarpSize,
        "smid" => Special::SmId,
        "nsmid" => Special::NSmId,
        "gridid" => Special::GridId,
        "clock" | "clock64" | "globaltimer" | "globaltimer.lo" => Special::Clock,
        "lanemask.eq" => Special::LaneMask(LaneMask::Eq),
        "lanemask.lt" => Special::LaneMask(LaneMask::Lt),
        "lanemask.le" => Special::LaneMask(LaneMask::Le),
        "lanemask.gt" => Special::LaneMask(LaneMask::Gt),
        "lanemask.ge" => Special::LaneMask(LaneMask::Ge),
        "dynamic.smem.size" | "total.smem.size" | "aggr.smem.size" => {
            return Err("not a register that the simulator knows".into());
        }
        _ => Special::Zero,
    };
    plain(b, op, Op::Special(special), &[])
}

fn mbarrier<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let at = space(b.scalar(op, 0)?.1)?;
    let all: Vec<usize> = (0..op.operands.len()).collect();
    let returns = !op.results.is_empty();
    let arrive = |kind, counted| Op::MbarArrive { kind, counted, space: at };
    match name {
        "mbarrier.init" => plain(b, op, Op::MbarInit, &all[..2]),
        "mbarrier.inval" => plain(b, op, Op::MbarInval, &all),
        "mbarrier.arrive" => plain(b, op, arrive(Arrive::Plain, op.operands.len() > 1), &all),
        "mbarrier.arrive.expect_tx" => plain(b, op, arrive(Arrive::ExpectTx, true), &all[..2]),
        "mbarrier.arrive_drop" => plain(b, op, arrive(Arrive::Drop, op.operands.len() > 1), &all),
        "mbarrier.arrive.nocomplete" => plain(b, op, arrive(Arrive::Plain, true), &all),
        "mbarrier.expect_tx" => plain(b, op, Op::MbarExpectTx { space: at }, &all),
        "mbarrier.try_wait" | "mbarrier.test.wait" | "mbarrier.try_wait.parity" => {
            let state = b.scalar(op, 1)?.1 == Scalar::Int(64);
            let blocks = name != "mbarrier.test.wait";
            plain(b, op, Op::MbarWait { state, blocks, returns }, &[0, 1])
        }
        _ => Err("not an operation that the simulator knows".into()),
    }
}

fn copies<'m>(b: &mut Builder<'m, '_>, op: &'m text::Op, name: &str) -> Lowered<()> {
    let segments = op.segments();
    let segment = |index: usize| -> Lowered<std::ops::Range<usize>> {
        segments.as_ref().and_then(|s| s.get(index).cloned()).ok_or_else(|| "no operand segments".to_owned())
    };
    match name {
        "cp.async.shared.global" => {
            let bytes =
                op.int("size").filter(|size| matches!(size, 4 | 8 | 16)).ok_or("a size of 4, 8 or 16")?;
            let sized = op.operands.len() > 2;
            let all: Vec<usize> = (0..op.operands.len()).collect();
            plain(b, op, Op::CpAsync { bytes: bytes as u8, sized }, &all)
        }
        "cp.async.commit.group" => plain(b, op, Op::CpAsyncCommit, &[]),
        "cp.async.wait.group" => {
            let pending = op.int("n").ok_or("no count")?.clamp(0, 1 << 20) as u32;
            plain(b, op, Op::CpAsyncWait { pending }, &[])
        }
        "cp.async.mbarrier.arrive" => plain(b, op, Op::CpAsyncMbarArrive { counts: !op.flag("noinc") }, &[0]),
        "cp.async.bulk.commit.group" => plain(b, op, Op::BulkCommit, &[]),
        "cp.async.bulk.wait_group" => {
            let pending = op.int("group").ok_or("no count")?.clamp(0, 1 << 20) as u32;
            plain(b, op, Op::BulkWait { pending, read: op.flag("read") }, &[])
        }
        "cp.async.bulk.shared.cluster.global" => {
            let (dst, src, bar, size, mask) =
                (segment(0)?, segment(1)?, segment(2)?, segment(3)?, segment(4)?);
            let space = space(b.scalar(op, dst.start)?.1)?;
            let mut order = vec![dst.start, src.start, size.start, bar.start];
            order.extend(mask.clone());
            plain(b, op, Op::BulkLoad { space, multicast: !mask.is_empty() }, &order)
        }
        "cp.async.bulk.global.shared.cta" => plain(b, op, Op::BulkStore, &[0, 1, 2]),
        "cp.async.bulk.tensor.shared.cluster.global" => {
            // Segments: destination, map, coordinates, mbarrier, im2col offsets, multicast, hint, predicate.
            let (dst, coordinates, bar) = (segment(0)?, segment(2)?, segment(3)?);
            let (im2col, multicast, predicate) = (segment(4)?, segment(5)?, segment(7)?);
            if !im2col.is_empty() || op.case("mode").is_some_and(|mode| mode != "tile") {
                return Err("only the tile mode".into());
            }
            let space = space(b.scalar(op, dst.start)?.1)?;
            let rank = rank(coordinates.len())?;
            let mut order = vec![dst.start, segment(1)?.start];
            order.extend(coordinates);
            order.extend(bar);
            order.extend(multicast.clone());
            order.extend(predicate.clone());
            let kind = Op::TmaLoad {
                rank,
                space,
                multicast: !multicast.is_empty(),
                predicated: !predicate.is_empty(),
            };
            plain(b, op, kind, &order)
        }
        "cp.async.bulk.tensor.global.shared.cta" | "cp.async.bulk.tensor.reduce" => {
            let reduces = name.ends_with("reduce");
            let (coordinates, predicate) = (segment(2)?, if reduces { 0..0 } else { segment(4)? });
            if op.case("mode").is_some_and(|mode| mode != "tile") {
                return Err("only the tile mode".into());
            }
            let reduce = match op.case("redKind").filter(|_| reduces) {
                None => None,
                Some("add") => Some(RedOp::Add),
                Some("min") => Some(RedOp::Min),
                Some("max") => Some(RedOp::Max),
                Some(_) => return Err("only add, min and max".into()),
            };
            let mut order = vec![0, 1];
            order.extend(coordinates.clone());
            order.extend(predicate.clone());
            let rank = rank(coordinates.len())?;
            plain(b, op, Op::TmaStore { rank, reduce, predicated: !predicate.is_empty() }, &order)
        }
        _ => Err("not an operation that the simulator knows".into()),
    }
}

fn rank(coordinates: usize) -> Lowered<u8> {
    match coordinates {
        1..=5 => Ok(coordinates as u8),
        _ => Err("1 to 5 coordinates".into()),
    }
}
