//! What is known of a part's registers: whether they hold integers or floats, where they are declared, which are assigned once.

use kcc_davinci::ir::{FloatOp, Instr, IntOp, Reg, Scalar, Stmt, Val, Vals};
use kcc_dsl::ir::{Elem, Param, ParamKind};
use std::collections::HashMap;

/// Statements from the outermost block inwards: a block, and the statement in it.
type Path = Vec<(u32, usize)>;

/// The sign of an `f32` among its bits.
pub(super) const SIGN: i64 = 0x8000_0000;

/// A register.
#[derive(Clone, Debug, Default)]
pub(super) struct Register {
    /// Assignments.
    pub defs: u32,
    /// Reads.
    pub uses: u32,
    /// Read in the block that assigns it, and nowhere else.
    pub near: bool,
    /// Nothing needs it.
    pub dead: bool,
    /// It holds floats, not integers.
    pub float: bool,
    /// The block that sees all of it, and the first statement there that touches it.
    pub home: (u32, usize),
    path: Path,
    blocks: (u32, bool),
}

/// Registers of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    map: HashMap<u32, Register>,
    /// Registers to be declared before a statement.
    hoisted: HashMap<(u32, usize), Vec<u32>>,
}

impl Registers {
    pub fn of(&self, r: Reg) -> Register {
        self.map.get(&r.0).cloned().unwrap_or_default()
    }

    /// Whether a value is a register of floats.
    pub fn float(&self, v: Val) -> bool {
        matches!(v, Val::Reg(r) if self.of(r).float)
    }

    /// Registers that several blocks from this statement on touch.
    pub fn hoisted(&self, block: u32, stmt: usize) -> &[u32] {
        self.hoisted.get(&(block, stmt)).map_or(&[], Vec::as_slice)
    }

    pub fn new(body: &[Stmt], params: &[Param]) -> Registers {
        let mut w = Walk {
            params,
            map: HashMap::new(),
            block: 0,
            same: HashMap::new(),
            float: HashMap::new(),
            int: HashMap::new(),
            lets: Vec::new(),
        };
        w.block(body, 0, &mut Vec::new());
        let roots: Vec<u32> = w.map.keys().copied().collect();
        let kinds: HashMap<u32, (bool, bool)> = {
            let mut kinds: HashMap<u32, (bool, bool)> = HashMap::new();
            for r in &roots {
                let root = w.root(*r);
                let k = kinds.entry(root).or_default();
                k.0 |= w.float.contains_key(r);
                k.1 |= w.int.contains_key(r);
            }
            roots.iter().map(|r| (*r, kinds[&w.root(*r)])).collect()
        };
        let mut hoisted: HashMap<(u32, usize), Vec<u32>> = HashMap::new();
        let mut map = w.map;
        drop_unused(&mut map, &w.lets);
        for (n, r) in &mut map {
            r.float = kinds[n] == (true, false);
            r.home = r.path.last().copied().unwrap_or_default();
            r.near = r.blocks.1;
            hoisted.entry(r.home).or_default().push(*n);
        }
        for v in hoisted.values_mut() {
            v.sort_unstable();
        }
        Registers { map, hoisted }
    }
}

/// Marks registers that nothing reads, and then those that only such read.
fn drop_unused(map: &mut HashMap<u32, Register>, lets: &[(u32, Vec<u32>)]) {
    let mut pure: HashMap<u32, u32> = HashMap::new();
    for (to, _) in lets {
        *pure.entry(*to).or_default() += 1;
    }
    loop {
        let unused: Vec<u32> = (map.iter())
            .filter(|(n, r)| !r.dead && r.uses == 0 && pure.get(n) == Some(&r.defs))
            .map(|(n, _)| *n)
            .collect();
        if unused.is_empty() {
            return;
        }
        for n in unused {
            if let Some(r) = map.get_mut(&n) {
                r.dead = true;
            }
            for read in lets.iter().filter(|(to, _)| *to == n).flat_map(|(_, reads)| reads) {
                if let Some(r) = map.get_mut(read) {
                    r.uses -= 1;
                }
            }
        }
    }
}

struct Walk<'a> {
    params: &'a [Param],
    map: HashMap<u32, Register>,
    block: u32,
    /// Registers that hold the same kind of number.
    same: HashMap<u32, u32>,
    float: HashMap<u32, ()>,
    int: HashMap<u32, ()>,
    /// Assignments that only compute, with what they read.
    lets: Vec<(u32, Vec<u32>)>,
}

impl Walk<'_> {
    fn root(&self, mut r: u32) -> u32 {
        while let Some(up) = self.same.get(&r).filter(|u| **u != r) {
            r = *up;
        }
        r
    }

    fn unite(&mut self, a: Reg, b: Val) {
        if let Val::Reg(b) = b {
            let (x, y) = (self.root(a.0), self.root(b.0));
            if x != y {
                self.same.insert(x, y);
            }
        }
    }

    fn touch(&mut self, r: Reg, path: &Path, defines: bool) {
        let here = path.last().map_or(0, |p| p.0);
        let e = self.map.entry(r.0).or_insert_with(|| Register {
            path: path.clone(),
            blocks: (here, true),
            ..Register::default()
        });
        let common = (e.path.iter().zip(path)).take_while(|(a, b)| a.0 == b.0).count();
        e.path.truncate(common);
        e.blocks.1 &= e.blocks.0 == here;
        if defines {
            e.defs += 1;
        } else {
            e.uses += 1;
        }
    }

    fn read(&mut self, v: Val, float: bool, path: &Path) {
        if let Val::Reg(r) = v {
            self.touch(r, path, false);
            if float { &mut self.float } else { &mut self.int }.insert(r.0, ());
        }
    }

    fn block(&mut self, stmts: &[Stmt], id: u32, path: &mut Path) {
        for (i, s) in stmts.iter().enumerate() {
            path.push((id, i));
            self.stmt(s, path);
            path.pop();
        }
    }

    fn fresh(&mut self) -> u32 {
        self.block += 1;
        self.block
    }

    /// Blocks are numbered in the order in which the writer goes through them.
    fn stmt(&mut self, s: &Stmt, path: &mut Path) {
        match s {
            Stmt::Let { to, value, .. } => self.assign(*to, value, path),
            Stmt::Issue { instr, .. } => {
                let float = float_operand(instr);
                let mut all = Vec::new();
                instr.clone().each(&mut |v| all.push(*v));
                for v in all {
                    self.read(v, float == Some(v), path);
                }
            }
            Stmt::For { counter, from, to, step, body } => {
                for v in [from, to, step] {
                    self.read(*v, false, path);
                }
                let id = self.fresh();
                path.push((id, 0));
                self.touch(*counter, path, true);
                path.pop();
                self.int.insert(counter.0, ());
                self.block(body, id, path);
            }
            Stmt::While { head, condition, body } => {
                let id = self.fresh();
                self.block(head, id, path);
                path.push((id, head.len()));
                self.read((*condition).into(), false, path);
                path.pop();
                // One block of the source: the condition stands in its middle.
                for (i, s) in body.iter().enumerate() {
                    path.push((id, head.len() + 1 + i));
                    self.stmt(s, path);
                    path.pop();
                }
            }
            Stmt::If { condition, then, otherwise } => {
                self.read(*condition, false, path);
                for b in [then, otherwise] {
                    let id = self.fresh();
                    self.block(b, id, path);
                }
            }
        }
    }

    fn assign(&mut self, to: Reg, value: &Scalar, path: &Path) {
        if super::scalars::is_pure(value) {
            let mut reads = Vec::new();
            value.clone().each(&mut |v| {
                if let Val::Reg(r) = v {
                    reads.push(r.0);
                }
            });
            self.lets.push((to.0, reads));
        }
        let is_float = |e: Elem| e.is_float();
        let float = match value {
            Scalar::Float { op, a, b } => {
                self.read(*a, true, path);
                self.read(*b, true, path);
                Some(!matches!(op, FloatOp::Lt | FloatOp::Le | FloatOp::Eq | FloatOp::Ne))
            }
            Scalar::Round { a, .. } => {
                self.read(*a, true, path);
                Some(true)
            }
            Scalar::ToInt { a, .. } => {
                self.read(*a, true, path);
                Some(false)
            }
            Scalar::ToFloat { a } => {
                self.read(*a, false, path);
                Some(true)
            }
            // The sign's bit turned: of an integer or of a float, as its operand.
            Scalar::Int { op: IntOp::Xor, a: value, b: Val::Const(SIGN) } | Scalar::Move { value } => {
                self.unite(to, *value);
                if let Val::Reg(r) = value {
                    self.touch(*r, path, false);
                }
                None
            }
            Scalar::Select { c, a, b } => {
                self.read(*c, false, path);
                for v in [a, b] {
                    self.unite(to, *v);
                    if let Val::Reg(r) = v {
                        self.touch(*r, path, false);
                    }
                }
                None
            }
            Scalar::Arg { param } => Some(matches!(
                self.params.get(*param as usize).map(|p| p.kind),
                Some(ParamKind::Scalar(e)) if is_float(e)
            )),
            Scalar::LoadGlobal { elem, src } => {
                self.read(src.offset, false, path);
                Some(is_float(*elem))
            }
            Scalar::LoadLocal { elem, src } => {
                self.read(src.offset, false, path);
                Some(is_float(*elem))
            }
            other => {
                let mut all = Vec::new();
                other.clone().each(&mut |v| all.push(*v));
                for v in all {
                    self.read(v, false, path);
                }
                Some(false)
            }
        };
        self.touch(to, path, true);
        match float {
            Some(true) => _ = self.float.insert(to.0, ()),
            Some(false) => _ = self.int.insert(to.0, ()),
            None => {}
        }
    }
}

/// The number of an instruction that is the bits of a float.
fn float_operand(i: &Instr) -> Option<Val> {
    match i {
        Instr::CopyIn(i) => i.pad.as_ref().filter(|_| i.elem.is_float()).map(|p| p.value),
        Instr::FillL1(i) => i.elem.is_float().then_some(i.value),
        Instr::VScalar(i) => i.elem.is_float().then_some(i.scalar),
        Instr::CompareScalar(i) => i.elem.is_float().then_some(i.scalar),
        Instr::SelectScalar(i) => Some(i.scalar),
        Instr::Duplicate(i) => i.elem.is_float().then_some(i.scalar),
        Instr::Iota(i) => i.elem.is_float().then_some(i.first),
        Instr::StoreScalar(i) => i.elem.is_float().then_some(i.value),
        _ => None,
    }
}
