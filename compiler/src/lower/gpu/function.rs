//! The kernel as a function of the `llvm` dialect: parameters as [`kcc_dsl::exchange::gpu`] states them, program indices, and the
//! facts that a launch needs.

use super::convert::Scratch;
use super::{Lower, Stride, Val, ViewVal};
use crate::emit::{Emit, K, Ty, V};
use crate::error::{Error, at};
use crate::gpu::GpuTarget;
use crate::ktg::access::Views;
use crate::ktg::axis::Divisibility;
use crate::ktg::sign::Nonnegative;
use crate::ktg::{Func, GpuOp, Kind};
use crate::target::Lowered;
use kcc_dsl::exchange::gpu::MAX_GRID_YZ;
use kcc_dsl::exchange::{CpuMeta, GpuArg, GpuMeta, GridMap};
use kcc_dsl::ir::{Elem, LocId, ParamKind, ValueId};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Name of the block's dynamic shared memory.
const SHARED: &str = "shared_memory";

/// Shared memory of a block: the function's own, then what moving tiles between layouts needs.
pub struct Memory {
    scratch: Scratch,
    /// Bytes of all.
    pub bytes: u32,
}

/// Plans the shared memory of a function whose passes have run.
pub fn memory(func: &Func, target: &dyn GpuTarget) -> Memory {
    let start = func.shared_bytes.next_multiple_of(128);
    let scratch = Scratch::plan(func, start, target.facts());
    let behind = func.scratch.is_none() && scratch.bytes() > 0;
    let bytes = if behind { start + scratch.bytes() } else { func.shared_bytes };
    Memory { scratch, bytes }
}

/// Lowers a function for a target.
///
/// # Errors
/// What does not fit the chip or is not supported, with its place; bugs.
pub fn lower(func: &Func, memory: Memory, target: &dyn GpuTarget) -> Result<Lowered, Error> {
    let facts = target.facts();
    let Memory { scratch, bytes: shared_bytes } = memory;
    let threads = func.threads(facts.lanes);
    if threads > facts.max_threads {
        let what = format!(
            "`{}` takes blocks of {threads} threads, {} has at most {}",
            func.name, facts.arch, facts.max_threads
        );
        return Err(at(func.loc(LocId::default())).invalid(what).help("ask for fewer warps"));
    }
    let mut e = Emit::new(target.hooks());
    e.set_place(Some(func.loc(LocId::default())));
    let mut parameters = Vec::new();
    let mut args = Vec::new();
    for p in &func.params {
        args.push(parameter(&mut e, p, &mut parameters));
    }
    let counts = [(); 3].map(|()| plain(&mut e, K::I32, &mut parameters));
    let status = plain(&mut e, K::I64, &mut parameters);
    let mut tensor_maps = Vec::new();
    for _ in &func.tensor_maps {
        let v = e.fresh(Ty::scalar(K::Ptr));
        parameters.push(format!("{v}: {}", target.tensor_map_parameter()?));
        tensor_maps.push(v);
    }
    let tid = target.thread_id(&mut e);
    let (lane, warp) = split_thread(&mut e, tid, facts.lanes);
    // Addresses of products' operands are made for whole warps; elsewhere the exchange would cost more than it gives.
    let mut products = false;
    func.walk(&mut |op| products |= matches!(op.kind, Kind::Gpu(GpuOp::Mma { .. } | GpuOp::MmaAsync { .. })));
    let warp = if products { target.uniform(&mut e, warp) } else { warp };
    let shared = Ty::scalar(K::Shared);
    let shared = e.pure(shared, format!("llvm.mlir.addressof @{SHARED} : {shared}"), &[]);
    let programs = programs(&mut e, target, func, counts);
    let mut l = Lower {
        e,
        func,
        target,
        views: Views::of(func),
        div: Divisibility::of(func),
        sign: Nonnegative::of(func),
        values: vec![None; func.values.len()],
        consts: HashMap::new(),
        lane,
        warp,
        programs,
        counts,
        status,
        reports: Default::default(),
        shared,
        scratch,
        direct: Default::default(),
        read: HashMap::new(),
        order: Default::default(),
        group: (0, 0),
        new_barriers: Vec::new(),
        tensor_maps,
    };
    for (i, arg) in args.into_iter().enumerate() {
        let val = l.argument(i, arg);
        l.set(ValueId(i as u32), val);
    }
    l.block(&func.body)?;
    l.e.set_place(Some(func.loc(LocId::default())));
    l.e.line("llvm.return".into());
    let reports = std::mem::take(&mut l.reports);
    let body = l.e.finish_used();
    let place = func.loc(LocId::default());
    let place = format!("loc({}:{}:{})", crate::import::quoted(&place.file), place.line, place.column);
    let mut text = String::from("module {\n");
    text.push_str(target.module_items());
    let (linkage, size) = match shared_bytes {
        1.. if target.static_shared() => ("internal", shared_bytes),
        _ => ("external", 0),
    };
    let _ = writeln!(
        text,
        "llvm.mlir.global {linkage} @{SHARED}() {{addr_space = 3 : i32, alignment = 1024 : i64}} : !llvm.array<{size} x i8>"
    );
    let _ = writeln!(
        text,
        "llvm.func @{}({}) attributes {{{}}} {{\n{body}}} {place}\n}}",
        func.symbol,
        parameters.join(", "),
        target.kernel_attributes(func)
    );
    let ptx = target.isa_version(&text);
    Ok(Lowered {
        text,
        symbol: func.symbol.clone(),
        cpu: CpuMeta::default(),
        npu: None,
        gpu: Some(GpuMeta {
            arch: facts.arch.clone(),
            warp: facts.lanes,
            threads,
            cluster: func.cluster,
            shared_bytes: u64::from(shared_bytes),
            max_registers: func.max_registers,
            ptx,
            args: func.params.iter().map(|p| gpu_arg(p.kind)).collect(),
            grid: func.grid,
            workspace_bytes: 0,
            asserts: reports.asserts,
            prints: reports.prints,
            tensor_maps: func.tensor_maps.clone(),
            counters: func.counters.clone(),
        }),
    })
}

fn gpu_arg(kind: ParamKind) -> GpuArg {
    match kind {
        ParamKind::View { elem, rank, .. } => GpuArg::View { rank: rank as u8, elem },
        ParamKind::Scalar(elem) => GpuArg::Scalar(elem),
    }
}

/// The raw values of one kernel parameter.
enum Arg {
    Scalar(V),
    View { base: V, dims: Vec<V>, strides: Vec<V> },
}

fn plain(e: &mut Emit, k: K, list: &mut Vec<String>) -> V {
    let v = e.fresh(Ty::scalar(k));
    list.push(format!("{v}: {}", v.ty));
    v
}

fn parameter(e: &mut Emit, p: &kcc_dsl::ir::Param, list: &mut Vec<String>) -> Arg {
    match p.kind {
        ParamKind::Scalar(elem) => {
            let k = if elem == Elem::I64 {
                K::I64
            } else if elem == Elem::F32 {
                K::F32
            } else {
                K::I32
            };
            Arg::Scalar(plain(e, k, list))
        }
        ParamKind::View { rank, mutable, .. } => {
            let base = e.fresh(Ty::scalar(K::Global));
            let read_only = if mutable { "" } else { ", llvm.readonly" };
            list.push(format!("{base}: {} {{llvm.noalias{read_only}}}", base.ty));
            let dims = (0..rank).map(|_| plain(e, K::I64, list)).collect();
            let strides = (0..rank).map(|_| plain(e, K::I64, list)).collect();
            Arg::View { base, dims, strides }
        }
    }
}

fn split_thread(e: &mut Emit, tid: V, lanes: u32) -> (V, V) {
    let mask = e.int(K::I32, i64::from(lanes) - 1);
    let lane = e.op2("arith.andi", tid, mask);
    let shift = e.int(K::I32, i64::from(lanes.trailing_zeros()));
    let warp = e.op2("arith.shrui", tid, shift);
    (lane, warp)
}

/// Indices of this program.
fn programs(e: &mut Emit, target: &dyn GpuTarget, func: &Func, counts: [V; 3]) -> [V; 3] {
    let x = target.block_id(e, 0);
    // Whole clusters along each axis.
    let mut whole = counts;
    for (count, size) in whole.iter_mut().zip(func.cluster) {
        if size > 1 {
            let (more, mask) = (e.int(K::I32, i64::from(size) - 1), e.int(K::I32, -i64::from(size)));
            let up = e.op2("arith.addi", *count, more);
            *count = e.op2("arith.andi", up, mask);
        }
    }
    let counts = whole;
    let split = |e: &mut Emit, linear: V| -> [V; 3] {
        let px = e.op2("arith.remui", linear, counts[0]);
        let rest = e.op2("arith.divui", linear, counts[0]);
        let py = e.op2("arith.remui", rest, counts[1]);
        let pz = e.op2("arith.divui", rest, counts[1]);
        [px, py, pz]
    };
    match func.grid {
        GridMap::Direct => {
            let (y, z) = (target.block_id(e, 1), target.block_id(e, 2));
            let most = e.int(K::I32, MAX_GRID_YZ);
            let (ly, lz) = (e.cmpi("ugt", counts[1], most), e.cmpi("ugt", counts[2], most));
            let large = e.op2("arith.ori", ly, lz);
            let ty = Ty::scalar(K::I32);
            let mut open = e.begin_if(large, &[ty; 3]);
            // In the branch, so that the divisions are not made where they are not needed.
            let here = e.here(ty, "llvm.mlir.constant(0 : i32) : i32".into());
            let linear = e.op2("arith.addi", x, here);
            let parts = split(e, linear);
            e.begin_else(&mut open, &parts);
            let all = e.end_if(open, &[x, y, z]);
            [all[0], all[1], all[2]]
        }
        GridMap::Linear | GridMap::Persistent { .. } => split(e, x),
    }
}

impl Lower<'_> {
    /// A parameter as operations use it.
    fn argument(&mut self, index: usize, arg: Arg) -> Val {
        let p = &self.func.params[index];
        match (arg, p.kind) {
            (Arg::Scalar(v), ParamKind::Scalar(elem)) => {
                let v = match elem {
                    Elem::I64 | Elem::I32 | Elem::U32 | Elem::F32 => v,
                    Elem::Bool => {
                        let zero = self.i32(0);
                        self.e.cmpi("ne", v, zero)
                    }
                    _ => {
                        let mem = Emit::mem(elem);
                        let raw = self.e.conv("arith.trunci", v, mem.int());
                        let raw = self.e.bits(raw, mem);
                        self.e.from_mem(raw, elem)
                    }
                };
                Val::Regs(vec![v])
            }
            (Arg::View { base, dims, strides }, ParamKind::View { elem, .. }) => {
                let spec = self.func.args[index].clone();
                let dims = dims
                    .into_iter()
                    .map(|d| {
                        let most = self.e.int(K::I64, i64::from(i32::MAX));
                        let d = self.e.op2("arith.minsi", d, most);
                        let d = self.e.conv("arith.trunci", d, K::I32);
                        self.target.settle(&mut self.e, d)
                    })
                    .collect();
                let strides = strides
                    .into_iter()
                    .enumerate()
                    .map(|(a, s)| {
                        if spec.unit_axis == Some(a as u8) {
                            Stride::One
                        } else if spec.fits_i32 {
                            Stride::Elements(self.e.conv("arith.trunci", s, K::I32))
                        } else {
                            Stride::Elements(s)
                        }
                    })
                    .collect();
                Val::View(ViewVal { base, dims, strides, elem, near: spec.fits_i32, param: index })
            }
            (Arg::Scalar(v), _) => Val::Regs(vec![v]),
            (Arg::View { base, .. }, _) => Val::Barriers(base),
        }
    }
}
