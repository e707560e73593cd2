//! Matrix products by instructions of a warp.
//!
//! ```text
//! for k in steps of the instruction:   words of a (all rows of the warp), words of b (all its columns)
//!                                      one instruction per fragment of the accumulator
//! ```
//! Operands in shared memory are read step by step, as 8×8 matrices where the buffer's layout allows, so that only the
//! fragments of one step need registers.

use super::shared::Places;
use super::value::per_word;
use super::{Lower, Val};
use crate::emit::{K, V};
use crate::error::{Error, bug};
use crate::gpu::fragments::{self, FMA};
use crate::gpu::{Fragments, GpuTarget, MmaRow, SCALED};
use crate::ktg::{Op, SharedType};
use crate::layout::{Coord, Dim, Linear, Presence};
use kcc_dsl::ir::{Elem, ValueId};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// An operand of a product, ready to give the words of one step.
struct Operand {
    layout: Linear,
    /// Rows and columns of the tile.
    shape: Vec<u32>,
    elem: Elem,
    from: Source,
}

enum Source {
    /// Words (or single elements of four bytes) in the order of the layout's registers.
    Registers(Vec<V>),
    /// Matrices of 16-byte rows.
    Matrices {
        base: V,
        places: Places,
        transposed: bool,
        /// Register bits that tell apart the matrices of one load.
        select: Vec<u32>,
    },
    /// Columns of four elements of 16 bits, by lanes that point at rows.
    Columns { base: V, places: Places },
    /// Vectors, element by element.
    Elements { base: V, ty: SharedType },
}

/// Scales of an operand, by coordinate.
struct Scales {
    layout: crate::ktg::Layout,
    holder: HashMap<Coord, u32>,
    wide: Vec<V>,
}

impl Scales {
    fn of(&self, batch: u32, i: u32, j: u32) -> Result<V, Error> {
        let register = self.holder.get(&whole(&self.layout, batch, i, j));
        let scale = register.and_then(|r| self.wide.get(*r as usize));
        scale.copied().ok_or_else(|| bug("a fragment without its scale"))
    }
}

/// Operands that were read ahead of their products: words by batch and depth.
pub(super) struct Read {
    sides: [Operand; 2],
    steps: HashMap<(u32, u32), [HashMap<Coord, V>; 2]>,
}

fn row_of<'t>(target: &'t dyn GpuTarget, instr: &str) -> Result<&'t MmaRow, Error> {
    target.mma_named(instr).ok_or_else(|| bug(format!("`{instr}` is in no table")))
}

fn in_layout(e: impl std::fmt::Display) -> Error {
    bug(e.to_string())
}

impl Lower<'_> {
    /// Reads all that products of these operands take.
    pub(super) fn read_operands(&mut self, instr: &str, op: &Op) -> Result<(), Error> {
        let &[a, b, acc] = op.operands.as_slice() else { return Err(bug("operands to read without a sum")) };
        let row = row_of(self.target, instr)?;
        let (layout, shape) = (self.layout(acc)?, self.shape_of(acc));
        let k = self.extent(a, shape.len() - 1)?;
        let sides = [self.operand(row, &layout, a, k, 0)?, self.operand(row, &layout, b, k, 1)?];
        let batches: BTreeSet<u32> = fragments::starts(row, &layout, &shape).iter().map(|s| s[0]).collect();
        let mut steps = HashMap::new();
        for batch in batches {
            for at in (0..k as u32).step_by(row.k as usize) {
                let [x, y] = &sides;
                steps.insert(
                    (batch, at),
                    [self.step(row, x, 0, batch, at)?, self.step(row, y, 1, batch, at)?],
                );
            }
        }
        self.read.insert([a, b], Rc::new(Read { sides, steps }));
        Ok(())
    }

    /// The end of a phase, of one group of warps only if asked.
    pub(super) fn phase(&mut self, only: Option<u32>) -> Result<(), Error> {
        let Some(group) = only else {
            self.target.end_phase(&mut self.e);
            return Ok(());
        };
        let warps = self.target.facts().schedulers.max(1);
        let first = self.e.int(K::I32, i64::from(group * warps));
        let own = self.e.op2("arith.subi", self.warp, first);
        let count = self.e.int(K::I32, i64::from(warps));
        let within = self.e.cmpi("ult", own, count);
        let open = self.e.begin_if(within, &[]);
        self.target.end_phase(&mut self.e);
        self.e.end_if(open, &[]);
        Ok(())
    }

    pub(super) fn product(&mut self, instr: &str, depth: Option<[u32; 2]>, op: &Op) -> Result<(), Error> {
        let &[a, b, acc, ref scales @ ..] = op.operands.as_slice() else {
            return Err(bug("a product without its operands"));
        };
        if instr == FMA {
            return self.multiply_add(a, b, acc, op.results[0]);
        }
        let target = self.target;
        let row = row_of(target, instr)?;
        let layout = self.layout(acc)?;
        let shape = self.shape_of(acc);
        let rank = shape.len();
        let k = self.extent(a, rank - 1)?;
        let read = match depth {
            Some(_) => {
                let read = self.read.get(&[a, b]).cloned();
                Some(read.ok_or_else(|| bug("a part of a product whose operands were not read"))?)
            }
            None => None,
        };
        let [from, to] = depth.map_or([0, k], |d| d.map(|at| at as usize));
        let fresh;
        let [left, right] = match &read {
            Some(read) => &read.sides,
            None => {
                fresh = [self.operand(row, &layout, a, k, 0)?, self.operand(row, &layout, b, k, 1)?];
                &fresh
            }
        };
        let scales = match scales {
            &[of_a, of_b] => Some([self.scales(of_a)?, self.scales(of_b)?]),
            _ => None,
        };
        let mut sums = self.regs(acc)?;
        let starts = fragments::starts(row, &layout, &shape);
        let holder = by_coordinate(&layout);
        let fragment = row.acc_layout.registers();
        let registers = |batch: u32, m: u32, n: u32| -> Result<Vec<usize>, Error> {
            (0..fragment)
                .map(|r| {
                    let [i, j, _] = row.acc_layout.part(Dim::Register, r);
                    let c = whole(&layout, batch, m ^ i, n ^ j);
                    holder.get(&c).map(|r| *r as usize).ok_or_else(|| bug("a fragment without registers"))
                })
                .collect()
        };
        let batches: BTreeSet<u32> = starts.iter().map(|s| s[0]).collect();
        for batch in batches {
            let own: Vec<[u32; 3]> = starts.iter().copied().filter(|s| s[0] == batch).collect();
            for step in (from..to).step_by(row.k as usize) {
                let at = step as u32;
                let words;
                let [x, y] = match read.as_ref().and_then(|r| r.steps.get(&(batch, at))) {
                    Some(words) => words,
                    None => {
                        words = [self.step(row, left, 0, batch, at)?, self.step(row, right, 1, batch, at)?];
                        &words
                    }
                };
                for &[_, m, n] in &own {
                    let a = pick(row, left, x, 0, (batch, m, at))?;
                    let b = pick(row, right, y, 1, (batch, at, n))?;
                    let into = registers(batch, m, n)?;
                    let c: Vec<V> = into.iter().map(|r| sums[*r]).collect();
                    let run = at / SCALED;
                    let scale = match &scales {
                        Some([of_a, of_b]) => Some([of_a.of(batch, m, run)?, of_b.of(batch, run, n)?]),
                        None => None,
                    };
                    let last = step + row.k as usize >= to;
                    let given = Fragments { a: &a, b: &b, acc: &c, scales: scale, last };
                    let out = target.mma(&mut self.e, row, given)?;
                    // Registers that wrap around hold the same sum: the first one counts.
                    for (r, v) in into.iter().zip(&out).rev() {
                        sums[*r] = *v;
                    }
                }
            }
        }
        self.set(op.results[0], Val::Regs(sums));
        Ok(())
    }

    /// Scales as numbers of 32 bits.
    fn scales(&mut self, v: ValueId) -> Result<Scales, Error> {
        let layout = self.layout(v)?;
        let holder = by_coordinate(&layout);
        let wide = self.regs(v)?.into_iter().map(|s| self.e.conv("arith.extui", s, K::I32)).collect();
        Ok(Scales { layout, holder, wide })
    }

    fn extent(&self, v: ValueId, axis: usize) -> Result<usize, Error> {
        let ty = self.func.ty(v);
        let shape = ty.shared().map(|s| &s.shape).or(ty.tile().map(|t| &t.shape));
        shape.and_then(|s| s.get(axis)).copied().ok_or_else(|| bug("an operand of a product without a shape"))
    }

    fn operand(
        &mut self,
        row: &MmaRow,
        acc: &Linear,
        v: ValueId,
        k: usize,
        side: usize,
    ) -> Result<Operand, Error> {
        let layout = fragments::operand(row, acc, k, side).map_err(in_layout)?;
        let elem = self.elem(v)?;
        let Some(ty) = self.func.ty(v).shared().cloned() else {
            if *self.layout(v)? != layout {
                return Err(bug(format!("operand {side} of `{}` in another layout", row.name)));
            }
            let shape = self.shape_of(v).iter().map(|e| *e as u32).collect();
            let words = match self.words(v)? {
                Some(words) => words,
                None => self.regs(v)?,
            };
            return Ok(Operand { layout, shape, elem, from: Source::Registers(words) });
        };
        let base = self.shared_val(v)?.base;
        let shape = ty.shape.iter().map(|e| *e as u32).collect();
        let offsets = layout.offsets_in(&ty.layout).map_err(in_layout)?;
        let rank = layout.rank();
        let k_axis = if side == 0 { rank - 1 } else { rank - 2 };
        let select = selects(&layout, row, per_word(elem) as u32, k_axis, rank);
        let from = match matrix_addresses(&offsets, elem, &select) {
            Some((addresses, transposed)) if self.has_matrices() => {
                let places = self.places(&addresses, elem.bytes() as u32)?;
                Source::Matrices { base, places, transposed, select }
            }
            _ => match column_addresses(&offsets, elem) {
                Some(addresses) if self.target.column_loads() => {
                    Source::Columns { base, places: self.places(&addresses, elem.bytes() as u32)? }
                }
                _ => Source::Elements { base, ty },
            },
        };
        Ok(Operand { layout, shape, elem, from })
    }

    fn has_matrices(&self) -> bool {
        self.target.facts().matrix_loads
    }

    /// The words of one step along k, by the coordinates that their first register adds.
    fn step(
        &mut self,
        row: &MmaRow,
        o: &Operand,
        side: usize,
        batch: u32,
        k: u32,
    ) -> Result<HashMap<Coord, V>, Error> {
        let n = per_word(o.elem) as u32;
        let rank = o.layout.rank();
        let (k_axis, free_axis) = if side == 0 { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
        let coverage = o.layout.coverage(&o.shape);
        let in_step = |r: u32| {
            let c = o.layout.part(Dim::Register, r);
            c[k_axis] & !(row.k - 1) == k && (rank < 3 || c[0] == batch)
        };
        let outside = |r: u32| coverage.by_axis[r as usize][free_axis] == Presence::Never;
        let wanted = |r: u32| !outside(r) && in_step(r);
        let mut words: HashMap<Coord, V> = HashMap::new();
        match &o.from {
            Source::Registers(all) => {
                for (i, v) in all.iter().enumerate() {
                    let r = i as u32 * n;
                    if wanted(r) {
                        words.insert(o.layout.part(Dim::Register, r), *v);
                    }
                }
            }
            Source::Elements { base, ty } => {
                let read = self.read_registers(*base, ty, &o.layout, &wanted)?;
                for r in (0..o.layout.registers()).step_by(n as usize).filter(|r| wanted(*r)) {
                    let parts: Option<Vec<V>> = (r..r + n).map(|i| read.get(&i).copied()).collect();
                    let parts = parts.ok_or_else(|| bug("a register that was not read"))?;
                    let word = if n > 1 { self.e.word(&parts) } else { parts[0] };
                    words.insert(o.layout.part(Dim::Register, r), word);
                }
            }
            Source::Columns { base, places } => {
                for first in (0..o.layout.registers()).step_by(4).filter(|r| wanted(*r)) {
                    let p = self.shared_place(*base, places, first);
                    let read = self.target.load_columns(&mut self.e, p)?;
                    for (r, v) in [first, first + 2].into_iter().zip(read) {
                        words.insert(o.layout.part(Dim::Register, r), v);
                    }
                }
            }
            Source::Matrices { base, places, transposed, select } => {
                let (base, transposed) = (*base, *transposed);
                let mask: u32 = select.iter().fold(0, |m, bit| m | 1 << bit);
                let firsts = (0..o.layout.registers()).step_by(n as usize).filter(|r| r & mask == 0);
                for first in firsts {
                    let group: Vec<u32> = (0..1u32 << select.len())
                        .map(|i| {
                            let on = select.iter().enumerate().filter(|(b, _)| i >> b & 1 == 1);
                            on.fold(first, |r, (_, bit)| r | 1 << bit)
                        })
                        .collect();
                    let live: Vec<u32> = group.iter().copied().filter(|r| wanted(*r)).collect();
                    // All at once, or those that exist one by one: lanes 0 to 7 address the first matrix.
                    let loads = if live.len() == group.len() {
                        vec![group]
                    } else {
                        live.iter().map(|r| vec![*r]).collect()
                    };
                    for regs in loads {
                        let p = self.shared_place(base, places, regs[0]);
                        let count = regs.len() as u32;
                        let read = self.target.load_matrices(&mut self.e, p, count, transposed);
                        let read = read.ok_or_else(|| bug("no matrix loads on a chip that has them"))?;
                        for (r, v) in regs.iter().zip(read) {
                            words.insert(o.layout.part(Dim::Register, *r), v);
                        }
                    }
                }
            }
        }
        // A fragment that is half inside takes zeros for the half that no register holds.
        if let Some(ty) = words.values().next().map(|v| v.ty) {
            for r in (0..o.layout.registers()).step_by(n as usize).filter(|r| outside(*r) && in_step(*r)) {
                let zero = if ty.k.is_float() { self.e.zero_float(ty) } else { self.e.int_like(ty, 0) };
                words.entry(o.layout.part(Dim::Register, r)).or_insert(zero);
            }
        }
        Ok(words)
    }
}

/// The words of one fragment that starts at these coordinates (batch, row, column).
fn pick(
    row: &MmaRow,
    o: &Operand,
    words: &HashMap<Coord, V>,
    side: usize,
    (batch, i, j): (u32, u32, u32),
) -> Result<Vec<V>, Error> {
    let fragment = if side == 0 { &row.a_layout } else { &row.b_layout };
    (0..fragment.registers())
        .step_by(per_word(o.elem))
        .map(|r| {
            let [x, y, _] = fragment.part(Dim::Register, r);
            let c = whole(&o.layout, batch, i ^ x, j ^ y);
            words.get(&c).copied().ok_or_else(|| bug(format!("no word of operand {side} at {c:?}")))
        })
        .collect()
}

/// Coordinates of a tile of rank 2 or 3, wrapped around its extents.
fn whole(layout: &Linear, batch: u32, i: u32, j: u32) -> Coord {
    let e = layout.extents();
    match e {
        [x, y] => [i & (x - 1), j & (y - 1), 0],
        [z, x, y] => [batch & (z - 1), i & (x - 1), j & (y - 1)],
        _ => [0; 3],
    }
}

/// The register that adds each coordinate.
fn by_coordinate(layout: &Linear) -> HashMap<Coord, u32> {
    (0..layout.registers()).rev().map(|r| (layout.part(Dim::Register, r), r)).collect()
}

/// Register bits (at most two) that tell apart the matrices of one load: any but those within a word, and those that
/// lead to another step or batch.
fn selects(layout: &Linear, row: &MmaRow, per_word: u32, k_axis: usize, rank: usize) -> Vec<u32> {
    let word = per_word.trailing_zeros();
    let basis = layout.basis(Dim::Register).iter().zip(0u32..).skip(word as usize);
    basis.filter(|(v, _)| v[k_axis] < row.k && (rank < 3 || v[0] == 0)).map(|(_, bit)| bit).take(2).collect()
}

/// Where each lane points so that a load of 8×8 matrices gives each lane its words: offsets in elements, with the
/// matrices' registers chosen by lane bits 3 and 4, and whether matrices are transposed. `None` if rows of 16 bytes do
/// not lie as they must.
fn matrix_addresses(offsets: &Linear, elem: Elem, select: &[u32]) -> Option<(Linear, bool)> {
    let bytes = elem.bytes() as u32;
    let (word, row) = (4 / bytes, 16 / bytes);
    let bits = word.trailing_zeros() as usize;
    let registers: Vec<u32> = offsets.basis(Dim::Register).iter().map(|v| v[0]).collect();
    let lanes: Vec<u32> = offsets.basis(Dim::Lane).iter().map(|v| v[0]).collect();
    let warps: Vec<u32> = offsets.basis(Dim::Warp).iter().map(|v| v[0]).collect();
    if lanes.len() != 5 || registers.len() < bits || word == 0 {
        return None;
    }
    let aligned = |list: &[u32]| list.iter().all(|o| o % row == 0);
    let within = (0..bits).all(|b| registers[b] == 1 << b);
    let straight = within && lanes[0] == word && lanes[1] == 2 * word;
    if straight && aligned(&registers[bits..]) && aligned(&lanes[2..]) && aligned(&warps) {
        return Some((addresses(offsets, &lanes[2..5], &registers, select)?, false));
    }
    let across = bytes == 2 && lanes[2..] == [1, 2, 4];
    if across && aligned(&registers) && aligned(&lanes[..2]) && aligned(&warps) {
        let rows = [registers[0], lanes[0], lanes[1]];
        return Some((addresses(offsets, &rows, &registers, select)?, true));
    }
    None
}

/// Where each lane points so that a load of columns gives each lane its words: offsets in elements, where the first two bits
/// of a lane, which lie side by side in a row, have changed places with those of a register, which are rows.
fn column_addresses(offsets: &Linear, elem: Elem) -> Option<Linear> {
    let [registers, lanes] = [Dim::Register, Dim::Lane].map(|d| offsets.basis(d));
    let (&[r0, r1, ..], &[l0, l1, l2, l3, ref others @ ..]) = (registers, lanes) else { return None };
    let aligned = |list: &[Coord]| list.iter().all(|o| o[0] % 4 == 0);
    let others_aligned = aligned(&registers[2..]) && aligned(others) && aligned(offsets.basis(Dim::Warp));
    let apart = [r0, r1, l2, l3].iter().all(|o| o[0] > 0 && o[0] % 4 == 0);
    if elem.bytes() != 2 || l0[0] != 1 || l1[0] != 2 || !apart || !others_aligned {
        return None;
    }
    let lanes = [&[l2, l3, r0, r1], others].concat();
    let registers = [&[l0, l1], &registers[2..]].concat();
    let dims =
        [(Dim::Register, &registers[..]), (Dim::Lane, &lanes[..]), (Dim::Warp, offsets.basis(Dim::Warp))];
    Linear::new(offsets.extents(), dims).ok()
}

fn addresses(offsets: &Linear, rows: &[u32], registers: &[u32], select: &[u32]) -> Option<Linear> {
    let unit = |list: &[u32]| list.iter().map(|o| [*o, 0, 0]).collect::<Vec<Coord>>();
    let mut lanes = unit(rows);
    lanes.extend(select.iter().map(|bit| [registers[*bit as usize], 0, 0]));
    lanes.resize(5, [0; 3]);
    let dims = [
        (Dim::Register, offsets.basis(Dim::Register)),
        (Dim::Lane, &lanes[..]),
        (Dim::Warp, offsets.basis(Dim::Warp)),
    ];
    Linear::new(offsets.extents(), dims).ok()
}
