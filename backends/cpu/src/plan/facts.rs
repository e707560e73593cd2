//! Who defines and who uses each value.

use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::{Block, Kernel, Op, OpKind, ParamKind, TileType, ValueId};

/// Where a value comes from.
#[derive(Clone, Copy)]
pub enum Def<'k> {
    /// A kernel parameter.
    Param(usize),
    /// A result of an operation.
    Op(&'k Op, usize),
    /// An argument of a region of an operation.
    Arg(&'k Op, usize),
}

/// One use of a value.
#[derive(Clone, Copy)]
pub struct Use<'k> {
    /// The user, or the operation whose region yields the value.
    pub op: &'k Op,
    /// Whether it is yielded by a region of `op`.
    pub yielded: bool,
    /// Block in which the use stands (a number per block, the body is 0).
    pub block: usize,
}

/// Facts about a kernel.
pub struct Facts<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// What is known of the arguments.
    pub args: &'k [ArgSpec],
    /// Definition of each value.
    pub def: Vec<Def<'k>>,
    /// Block that defines each value.
    pub block: Vec<usize>,
    /// Uses of each value.
    pub uses: Vec<Vec<Use<'k>>>,
    /// Depth of loops around each block.
    pub depth: Vec<usize>,
    /// Whether each parameter is written.
    pub written: Vec<bool>,
}

impl<'k> Facts<'k> {
    /// Gathers the facts in one walk.
    pub fn new(kernel: &'k Kernel, args: &'k [ArgSpec]) -> Self {
        let n = kernel.values.len();
        let mut f = Facts {
            kernel,
            args,
            def: (0..n).map(Def::Param).collect(),
            block: vec![0; n],
            uses: vec![Vec::new(); n],
            depth: Vec::new(),
            written: vec![false; kernel.params.len()],
        };
        f.visit(&kernel.body, None, 0);
        f
    }

    fn visit(&mut self, b: &'k Block, owner: Option<&'k Op>, depth: usize) {
        let id = self.depth.len();
        self.depth.push(depth);
        if let Some(op) = owner {
            for (i, a) in b.args.iter().enumerate() {
                self.def[a.0 as usize] = Def::Arg(op, i);
                self.block[a.0 as usize] = id;
            }
            for y in &b.yields {
                self.uses[y.0 as usize].push(Use { op, yielded: true, block: id });
            }
        }
        for op in &b.ops {
            for (i, r) in op.results.iter().enumerate() {
                self.def[r.0 as usize] = Def::Op(op, i);
                self.block[r.0 as usize] = id;
            }
            for v in &op.operands {
                self.uses[v.0 as usize].push(Use { op, yielded: false, block: id });
            }
            if op.kind.has_side_effect()
                && let Some(p) = op.operands.first().and_then(|v| self.view_param(*v))
            {
                self.written[p] = true;
            }
            let inner = depth + usize::from(matches!(op.kind, OpKind::For { .. } | OpKind::While));
            for r in &op.regions {
                self.visit(r, Some(op), inner);
            }
        }
    }

    /// The tile type of a value; a view counts as an empty-shaped i64.
    pub fn tile(&self, v: ValueId) -> &'k TileType {
        static VIEW: TileType = TileType { elem: kcc_dsl::ir::Elem::I64, shape: Vec::new() };
        self.kernel.ty(v).tile().unwrap_or(&VIEW)
    }

    /// Shape of a tile.
    pub fn shape(&self, v: ValueId) -> &'k [usize] {
        &self.tile(v).shape
    }

    /// Number of axes of a tile (0 for views).
    pub fn rank(&self, v: ValueId) -> usize {
        self.tile(v).rank()
    }

    /// The operation that defines a value, if one does.
    pub fn op(&self, v: ValueId) -> Option<&'k Op> {
        match self.def[v.0 as usize] {
            Def::Op(op, _) => Some(op),
            _ => None,
        }
    }

    /// The parameter that a view comes from.
    pub fn view_param(&self, v: ValueId) -> Option<usize> {
        match self.def[v.0 as usize] {
            Def::Param(p) => Some(p),
            Def::Op(op, _) if matches!(op.kind, OpKind::At) => self.view_param(op.operands[0]),
            _ => None,
        }
    }

    /// Whether the memory behind a view is written by this kernel.
    pub fn is_written(&self, view: ValueId) -> bool {
        self.view_param(view).is_some_and(|p| self.written[p])
    }

    /// The axis of a view whose stride is known to be 1.
    pub fn unit_axis(&self, view: ValueId) -> Option<usize> {
        match self.def[view.0 as usize] {
            Def::Param(p) => {
                let ParamKind::View { .. } = self.kernel.params.get(p)?.kind else { return None };
                self.args.get(p)?.unit_axis.map(usize::from)
            }
            Def::Op(op, _) if matches!(op.kind, OpKind::At) => {
                let fixed = op.operands.len() - 1;
                self.unit_axis(op.operands[0])?.checked_sub(fixed)
            }
            _ => None,
        }
    }

    /// Whether every use of `v` stands in the block that defines it.
    pub fn is_local(&self, v: ValueId) -> bool {
        let home = self.block[v.0 as usize];
        self.uses[v.0 as usize].iter().all(|u| u.block == home)
    }
}

/// Whether the result is only a renaming of coordinates.
pub fn is_reindexing(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::Broadcast { .. }
            | OpKind::Transpose { .. }
            | OpKind::Slice { .. }
            | OpKind::Split
            | OpKind::Reshape
    )
}
