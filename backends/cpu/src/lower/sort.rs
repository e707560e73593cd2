//! Sorts along the last axis, by merging.
//!
//! ```text
//! 5 2 | 8 1 | 3      runs of 1, then 2, then 4 … merge in pairs, from one half of scratch memory to the other
//! 2 5 | 1 8 | 3      an output element comes from the left run unless the right one's is strictly before it: stable
//! 1 2 5 8 | 3
//! ```
//! Which run an element comes from is a selection, not a branch: the order of data costs nothing.

use super::{Buffer, Coord, Lower};
use kcc_compiler::emit::{Ix, K, V};
use kcc_dsl::ir::{CmpOp, Elem, Op, TileType};

impl<'k> Lower<'k> {
    /// Sorted elements, as many as the result has, and their indices.
    pub(super) fn merge_sort(&mut self, op: &'k Op, descending: bool) {
        let v = op.operands[0];
        let elem = self.f.tile(v).elem;
        let axis = self.f.rank(v) - 1;
        let (extent, wanted) = (self.f.shape(v)[axis], self.f.shape(op.results[0])[axis]);
        let results = [self.buffer(op.results[0]), self.buffer(op.results[1])];
        // Two halves each, which take turns.
        let half = |elem| TileType { elem, shape: vec![2, extent] };
        let scratch = [self.allocate(&half(elem), 1), self.allocate(&half(Elem::I32), 1)];
        let passes = extent.next_power_of_two().trailing_zeros() as usize;
        self.across(v, axis, false, &mut |s, rest, _| {
            let at = |i: Ix| {
                let mut pt = rest.to_vec();
                pt.push(Coord::at(i));
                pt
            };
            s.along(0, extent, false, Vec::new(), &mut |s, i, _| {
                let x = s.eval(v, &at(i));
                let index = s.e.ix(i);
                let index = s.e.conv("arith.trunci", index, K::I32);
                s.write_buffer(&scratch[0], &[Coord::at(0), Coord::at(i)], x);
                s.write_buffer(&scratch[1], &[Coord::at(0), Coord::at(i)], index);
                Vec::new()
            });
            s.along(0, passes, false, Vec::new(), &mut |s, pass, _| {
                let (pass, one) = (s.e.ix(pass), s.e.i64(1));
                let run = s.e.op2("arith.shli", one, pass);
                let from = s.e.op2("arith.andi", pass, one);
                let to = s.e.op2("arith.xori", from, one);
                let bounds = [s.e.i64(0), s.e.i64(extent as i64), s.e.op2("arith.addi", run, run)];
                s.stepping(bounds, Vec::new(), &mut |s, begin, _| {
                    s.merge(&scratch, (extent, descending), (begin, run), (from, to));
                    Vec::new()
                });
                Vec::new()
            });
            let sorted = Coord::at((passes % 2) as i64);
            s.along(0, wanted, false, Vec::new(), &mut |s, i, _| {
                for (from, to) in scratch.iter().zip(&results) {
                    let x = s.read_buffer(from, &[sorted, Coord::at(i)]);
                    s.write_buffer(to, &at(i), x);
                }
                Vec::new()
            });
        });
    }

    /// Merges the runs at `begin` and behind it, of `run` elements or what is left, of half `from` into half `to`.
    fn merge(
        &mut self,
        scratch: &[Buffer; 2],
        (extent, descending): (usize, bool),
        (begin, run): (Ix, V),
        (from, to): (V, V),
    ) {
        let (begin, most, one) = (self.e.ix(begin), self.e.i64(extent as i64), self.e.i64(1));
        let behind = |s: &mut Self, start: V| {
            let end = s.e.op2("arith.addi", start, run);
            s.e.op2("arith.minsi", end, most)
        };
        let middle = behind(self, begin);
        let end = behind(self, middle);
        self.stepping([begin, end, one], vec![begin, middle], &mut |s, i, heads| {
            let last = s.e.i64(extent as i64 - 1);
            let place = |half: V, i: V| [Coord::at(half), Coord::at(i)];
            // A run that is used up is not read from; its head may lie behind the last element.
            let [left, right] = [heads[0], heads[1]].map(|h| s.e.op2("arith.minsi", h, last));
            let (at_left, at_right) = (place(from, left), place(from, right));
            let (a, b) = (s.read_buffer(&scratch[0], &at_left), s.read_buffer(&scratch[0], &at_right));
            let first = s.before(scratch[0].elem, descending, b, a);
            let used_up = s.e.cmpi("sge", heads[0], middle);
            let there = s.e.cmpi("slt", heads[1], end);
            let wins = s.e.op2("arith.ori", first, used_up);
            let takes_right = s.e.op2("arith.andi", wins, there);
            let x = s.e.select(takes_right, b, a);
            let source = s.e.select(takes_right, right, left);
            let index = s.read_buffer(&scratch[1], &place(from, source));
            let i = s.e.ix(i);
            let target = place(to, i);
            s.write_buffer(&scratch[0], &target, x);
            s.write_buffer(&scratch[1], &target, index);
            let step = s.e.conv("arith.extui", takes_right, K::I64);
            let one = s.e.i64(1);
            let other = s.e.op2("arith.xori", step, one);
            vec![s.e.op2("arith.addi", heads[0], other), s.e.op2("arith.addi", heads[1], step)]
        });
    }

    /// `a` stands before `b` in the order, NaN last.
    fn before(&mut self, elem: Elem, descending: bool, a: V, b: V) -> V {
        let less = self.e.compare(if descending { CmpOp::Gt } else { CmpOp::Lt }, elem, a, b);
        if !elem.is_float() {
            return less;
        }
        let b_nan = self.e.compare(CmpOp::Ne, elem, b, b);
        let a_ok = self.e.compare(CmpOp::Eq, elem, a, a);
        let last = self.e.op2("arith.andi", b_nan, a_ok);
        self.e.op2("arith.ori", less, last)
    }
}
