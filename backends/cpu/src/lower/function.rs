//! The function around a kernel's body: arguments, the range of programs, and their order.

use super::memory::View;
use super::{Lower, Result, Stride};
use crate::isa::Isa;
use crate::plan::{Facts, contract, lanes};
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_dsl::exchange::{ArgSpec, Panel, SCRATCH_HEADER};
use kcc_dsl::ir::{Block, Kernel, LocId, OpKind, ParamKind, TileType, ValueId};
use std::collections::HashMap;

/// A lowered kernel.
pub struct Output {
    /// An MLIR module with one function.
    pub text: String,
    /// Its name.
    pub symbol: String,
    /// Scratch memory per thread, header included.
    pub scratch_bytes: u64,
    /// Whether neighbouring programs share packed operands.
    pub contiguous: bool,
    /// Along which grid axes.
    pub sharing: Vec<u8>,
    /// Assertions.
    pub asserts: Vec<(String, LocId)>,
    /// Prints.
    pub prints: Vec<(String, Vec<TileType>)>,
    /// Packed operands that later launches can find again.
    pub panels: Vec<Panel>,
}

/// Header slot that holds 1 + the index of the first assertion that failed.
pub(super) const FAILED_SLOT: i64 = (SCRATCH_HEADER / 8 - 1) as i64;

/// Operations that a loop leaves to the code before it: more of them alive at once slow LLVM down.
const MOST_RAISED: usize = 768;

/// Lowers a kernel to a module of `func`, `scf`, `arith`, `vector`, `math` and `llvm` operations.
/// With `lines`, each operation states its place in the author's source.
pub fn lower(kernel: &Kernel, args: &[ArgSpec], isa: Isa, lines: bool) -> Result<Output> {
    let f = Facts::new(kernel, args);
    let lane_axes = lanes::choose(&f, isa.lanes);
    let mut e = Emit::new(isa.hooks());
    e.limit_raised(MOST_RAISED);
    if lines {
        e.set_place(Some(kernel.loc(LocId::default())));
    }
    let place = e.place().to_owned();
    let arg = |e: &mut Emit, k| e.fresh(Ty::scalar(k));
    let (argv, grid) = (arg(&mut e, K::Ptr), arg(&mut e, K::Ptr));
    let (begin, end, scratch) = (arg(&mut e, K::I64), arg(&mut e, K::I64), arg(&mut e, K::Ptr));
    let (order, used) = program_order(&f, &lane_axes);
    let panel_axis = order.into_iter().find(|a| used[*a]);
    let mut l = Lower {
        e,
        isa,
        f: &f,
        lanes: &lane_axes,
        scalars: HashMap::new(),
        views: HashMap::new(),
        buffers: HashMap::new(),
        shared: HashMap::new(),
        prepared: HashMap::new(),
        memo: Vec::new(),
        panels: 0,
        reused: HashMap::new(),
        cleared: Vec::new(),
        kept: Vec::new(),
        products: Vec::new(),
        behind_first: None,
        argv,
        parameter_slots: 0,
        tiles_ready: false,
        lines,
        scratch,
        scratch_bytes: SCRATCH_HEADER as i64,
        masked: false,
        streaming: false,
        fastest: order[0],
        panel_axis,
        ahead: Default::default(),
        ahead_by: None,
        floor: 0,
        assertions: Vec::new(),
        prints: Vec::new(),
    };
    l.parameters();
    let contiguous = has_contraction(&f, &kernel.body);
    let shared = order.into_iter().filter(|a| contiguous && !used[*a]);
    let sharing = shared.map(|a| a as u8).collect();
    let dims: Vec<V> = (0..3)
        .map(|a| {
            let p = l.e.address(grid, K::I64, &[], a);
            l.e.load(0, p, Ty::i64())
        })
        .collect();
    // Whoever prints may run other kernels, which give the tiles back.
    let prints = contains(&kernel.body, &|k| matches!(k, OpKind::Print { .. }));
    l.tiles_ready = isa.amx && !prints && contains(&kernel.body, &|k| matches!(k, OpKind::Dot { .. }));
    if l.tiles_ready {
        l.configure_tiles();
    }
    let one = l.e.i64(1);
    let (open, p, _) = l.e.begin_for(begin, end, one, &[]);
    l.floor = l.e.level();
    let mut rest = p;
    let mut ids = [p; 3];
    for a in order {
        ids[a] = l.e.op2("arith.remui", rest, dims[a]);
        rest = l.e.op2("arith.divui", rest, dims[a]);
    }
    l.program_ids(&kernel.body, &ids, &dims);
    let asserts = contains(&kernel.body, &|k| matches!(k, OpKind::Assert { .. }));
    let guard = asserts.then(|| {
        let at = l.e.address(scratch, K::I64, &[], FAILED_SLOT);
        let level = l.e.level();
        let failed = l.e.load(level, at, Ty::i64());
        let zero = l.e.i64(0);
        let fine = l.e.cmpi("eq", failed, zero);
        l.e.begin_if(fine, &[])
    });
    l.block(&kernel.body, &[])?;
    if let Some(mut open) = guard {
        l.e.begin_else(&mut open, &[]);
        l.e.end_if(open, &[]);
        l.settle();
    }
    l.e.end_for(open, &[]);
    l.settle();
    if l.tiles_ready {
        l.release_tiles();
    }
    // Streaming stores are ordered before whatever the caller does next.
    l.e.line("llvm.inline_asm has_side_effects \"sfence\", \"~{memory}\" : () -> ()".into());
    let status = if asserts {
        let at = l.e.address(scratch, K::I64, &[], FAILED_SLOT);
        l.e.here(Ty::i64(), format!("llvm.load {at} : !llvm.ptr -> i64"))
    } else {
        l.e.i64(0)
    };
    let symbol = kernel.symbol();
    let cleared = l.clear_tags();
    let Lower { e, scratch_bytes, assertions, prints, kept: panels, .. } = l;
    let text = format!(
        "module {{\nfunc.func @{symbol}({argv}: !llvm.ptr, {grid}: !llvm.ptr, {begin}: i64, {end}: i64, \
         {scratch}: !llvm.ptr) -> i64 {{\n{cleared}{}return {status} : i64{place}\n}}{place}\n}}\n",
        e.finish()
    );
    let scratch_bytes = scratch_bytes as u64;
    Ok(Output { text, symbol, scratch_bytes, contiguous, sharing, asserts: assertions, prints, panels })
}

impl Lower<'_> {
    /// Reads the argument block.
    fn parameters(&mut self) {
        let (argv, mut slot) = (self.argv, 0i64);
        for (i, p) in self.f.kernel.params.iter().enumerate() {
            let v = ValueId(i as u32);
            let mut next = |s: &mut Self, ty: Ty| {
                let at = s.e.address(argv, K::I64, &[], slot);
                slot += 1;
                s.e.load(0, at, ty)
            };
            match p.kind {
                ParamKind::View { elem, rank, .. } => {
                    let ptr = next(self, Ty::scalar(K::Ptr));
                    let dims = (0..rank).map(|_| next(self, Ty::i64())).collect();
                    let unit = self.f.unit_axis(v);
                    let strides = (0..rank)
                        .map(|a| {
                            let s = next(self, Ty::i64());
                            if unit == Some(a) { Stride::Known(1) } else { Stride::Value(s) }
                        })
                        .collect();
                    self.views.insert(v, View { ptr, elem, dims, strides });
                }
                ParamKind::Scalar(elem) => {
                    let at = self.e.address(argv, K::I64, &[], slot);
                    slot += 1;
                    let x = self.e.read_elem(0, at, elem, 0, None);
                    self.scalars.insert(v, x);
                }
            }
        }
        self.parameter_slots = slot;
    }

    /// Binds every `program_id` and `num_programs`.
    fn program_ids(&mut self, b: &Block, ids: &[V; 3], dims: &[V]) {
        for op in &b.ops {
            let v = match op.kind {
                OpKind::ProgramId(a) => ids[a as usize % 3],
                OpKind::NumPrograms(a) => dims[a as usize % 3],
                _ => {
                    for r in &op.regions {
                        self.program_ids(r, ids, dims);
                    }
                    continue;
                }
            };
            let v = self.e.conv("arith.trunci", v, K::I32);
            self.scalars.insert(op.results[0], v);
        }
    }
}

/// Whether an operation of this kind occurs.
pub(super) fn contains(b: &Block, f: &dyn Fn(&OpKind) -> bool) -> bool {
    b.ops.iter().any(|op| f(&op.kind) || op.regions.iter().any(|r| contains(r, f)))
}

fn has_contraction(f: &Facts<'_>, b: &Block) -> bool {
    b.ops.iter().any(|op| contract::find(f, op).is_some() || op.regions.iter().any(|r| has_contraction(f, r)))
}

/// Grid axes, fastest first: an axis that a packed panel does not depend on comes first, so that programs which
/// share the panel follow each other; and which axes it does depend on.
fn program_order(f: &Facts<'_>, lane_axes: &[u8]) -> ([usize; 3], [bool; 3]) {
    fn first(f: &Facts<'_>, b: &Block, lane_axes: &[u8]) -> Option<[bool; 3]> {
        b.ops.iter().find_map(|op| match contract::find(f, op) {
            Some(c) => {
                let lane = lane_axes[op.results[0].0 as usize];
                let side = if lane == 1 { c.b } else { c.a };
                let mut used = [false; 3];
                for v in &side.load.operands {
                    depends(f, *v, &mut used, 0);
                }
                Some(used)
            }
            None => op.regions.iter().find_map(|r| first(f, r, lane_axes)),
        })
    }
    let used = first(f, &f.kernel.body, lane_axes).unwrap_or([false; 3]);
    let mut order = [0, 1, 2];
    order.sort_by_key(|a| used[*a]);
    (order, used)
}

/// Marks the grid axes that a scalar depends on.
pub(super) fn depends(f: &Facts<'_>, v: ValueId, used: &mut [bool; 3], depth: usize) {
    let Some(op) = f.op(v) else { return };
    if let OpKind::ProgramId(a) = op.kind {
        used[a as usize % 3] = true;
    }
    if depth < 32 {
        for o in &op.operands {
            depends(f, *o, used, depth + 1);
        }
    }
}
