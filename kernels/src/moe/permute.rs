//! Sorts (token, choice) pairs by expert, so that each expert's rows are neighbours.
//!
//! ```text
//! ids     2 0 | 1 2 | 0 2        slot = token · K + choice
//! order   1 4 | 2 | 0 3 5        slots of expert 0, 1, 2, in order of slot
//! starts  0     2   3      6
//! ```
//! One program per expert counts what goes before its rows and then places them: no atomics, one result.

use kcc_dsl::prelude::*;

/// `ids [slots]` (each in `0..experts`) → `starts [experts + 1]`, `order [slots]`; reads `BLOCK` ids at a time. Grid:
/// (experts).
#[kernel(instances(<256>))]
pub fn permute_tile<const BLOCK: usize>(
    ids: &View<i32, 1>,
    starts: &mut View<i32, 1>,
    order: &mut View<i32, 1>,
) {
    let expert = program_id(0);
    let slots = ids.dim(0);
    let mut next = Scalar::<i32>::zeros();
    for slot in (0..slots).step_by(BLOCK) {
        next += (ids.load_or::<BLOCK>(slot, i32::MAX) < expert).to::<i32>().sum();
    }
    if expert == 0 {
        starts.set(0, Scalar::zeros());
    }
    for slot in (0..slots).step_by(BLOCK) {
        let mine = ids.load_or::<BLOCK>(slot, i32::MAX) == expert;
        let one = mine.to::<i32>();
        order.scatter(next + one.cumsum() - one, mine, slot + arange::<BLOCK>());
        next += one.sum();
    }
    starts.set(expert + 1, next);
}

/// `(starts, order)` of `ids`.
pub fn reference(ids: &[i32], experts: usize) -> (Vec<i32>, Vec<i32>) {
    let mut order: Vec<i32> = (0..ids.len() as i32).collect();
    order.sort_by_key(|&slot| ids[slot as usize]);
    let starts = (0..=experts as i32).map(|e| ids.iter().filter(|&&id| id < e).count() as i32).collect();
    (starts, order)
}
