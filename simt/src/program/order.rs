//! The order in which the blocks of a function are laid out.
//!
//! Divergent lanes meet again because the group with the lowest position runs first. That works when a loop's blocks
//! lie together and its exit lies behind them: a weak topological order (Bourdoncle 1993).

/// Blocks reachable from block 0, loops contiguous, dominators first.
pub(super) fn weak_topological(successors: &[Vec<usize>]) -> Vec<usize> {
    if successors.len() > 2000 {
        return reverse_postorder(successors); // the recursion below would be too deep
    }
    let mut walk = Walk { successors, number: vec![0; successors.len()], count: 0, stack: Vec::new() };
    let mut reversed = Vec::new();
    if !successors.is_empty() {
        walk.visit(0, &mut reversed);
    }
    reversed.reverse();
    reversed
}

/// Blocks reachable from block 0, each after those that dominate it.
pub(super) fn reverse_postorder(successors: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; successors.len()];
    let mut order = Vec::new();
    let mut stack = Vec::new();
    if !successors.is_empty() {
        seen[0] = true;
        stack.push((0, 0));
    }
    while let Some((block, next)) = stack.last_mut() {
        match successors[*block].get(*next) {
            Some(&successor) => {
                *next += 1;
                if !std::mem::replace(&mut seen[successor], true) {
                    stack.push((successor, 0));
                }
            }
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

struct Walk<'s> {
    successors: &'s [Vec<usize>],
    number: Vec<u32>,
    count: u32,
    stack: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, block: usize, out: &mut Vec<usize>) -> u32 {
        self.stack.push(block);
        self.count += 1;
        self.number[block] = self.count;
        let mut head = self.count;
        let mut is_loop = false;
        for &successor in &self.successors[block] {
            let lowest =
                if self.number[successor] == 0 { self.visit(successor, out) } else { self.number[successor] };
            if lowest <= head {
                head = lowest;
                is_loop = true;
            }
        }
        if head == self.number[block] {
            self.number[block] = u32::MAX;
            let mut top = self.stack.pop();
            if is_loop {
                while let Some(member) = top.filter(|&member| member != block) {
                    self.number[member] = 0;
                    top = self.stack.pop();
                }
                for &successor in &self.successors[block] {
                    if self.number[successor] == 0 {
                        self.visit(successor, out);
                    }
                }
            }
            out.push(block);
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_lies_before_its_exit() {
        // 0 → 1; 1 → 3 (exit) or 2; 2 → 1
        let order = weak_topological(&[vec![1], vec![3, 2], vec![1], vec![]]);
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn nested_loops_stay_together() {
        // 1: outer head, 2: inner head, 3: inner body, 4: outer latch, 5: exit
        let order = weak_topological(&[vec![1], vec![5, 2], vec![4, 3], vec![2], vec![1], vec![]]);
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn unreachable_blocks_are_left_out() {
        assert_eq!(weak_topological(&[vec![2], vec![2], vec![]]), [0, 2]);
    }
}
