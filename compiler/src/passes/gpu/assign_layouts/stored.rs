//! The layout that a tile is stored in, where the one that it has would scatter its rows.
//!
//! ```text
//! sums of WMMA, a row:    lane 0 column 0, lane 16 column 1;   registers 2, 4, 8 columns on    16 rows of 4 bytes at a time
//! stored in bf16:         lane 0 column 0, lane 16 column 8;   registers 1, 2, 4 columns on    16 bytes of a row in each lane
//! ```
//! Lanes and registers trade places within the row, so that shuffles do it.

use crate::layout::{Coord, Dim, Linear};

/// What a lane writes at once, at most.
const ACCESS: u32 = 16;

/// The layout to store a tile in, whose last axis lies side by side in memory; `None` where it may stay as it is: a lane holds
/// neighbours of a row, or lanes beside each other do.
pub(super) fn stored(layout: &Linear, element_bytes: u32) -> Option<Linear> {
    let axis = layout.rank().checked_sub(1)?;
    let step = |v: &Coord| (0..3).all(|a| a == axis || v[a] == 0).then_some(v[axis]).filter(|s| *s > 0);
    let mut registers = layout.basis(Dim::Register).to_vec();
    let mut lanes = layout.basis(Dim::Lane).to_vec();
    let among = |vectors: &[Coord], s: u32| vectors.iter().position(|v| step(v) == Some(s));
    let mut run = 1;
    while among(&lanes, run).is_some() {
        run *= 2;
    }
    if run == 1 || run * element_bytes >= ACCESS || among(&registers, run).is_none() {
        return None;
    }
    let mut end = run;
    while end * element_bytes < ACCESS && among(&registers, end).is_some() {
        end *= 2;
    }
    // Lanes get the steps from `end` on, as far as registers have them, registers those from one on.
    let mut from = 1;
    while from < run {
        let mut steps = std::iter::successors(Some(end), |s| Some(s / 2)).take_while(|s| *s >= run);
        let far = steps.find_map(|s| among(&registers, s));
        let near = among(&lanes, from);
        let (Some(far), Some(near)) = (far, near) else { break };
        std::mem::swap(&mut registers[far], &mut lanes[near]);
        (from, end) = (from * 2, end * 2);
    }
    // Neighbours in neighbouring registers.
    let places: Vec<usize> = (0..registers.len()).filter(|i| step(&registers[*i]).is_some()).collect();
    let mut along: Vec<Coord> = places.iter().map(|i| registers[*i]).collect();
    along.sort_unstable_by_key(|v| v[axis]);
    for (place, v) in places.into_iter().zip(along) {
        registers[place] = v;
    }
    let warps = layout.basis(Dim::Warp);
    let bases = [(Dim::Register, &registers[..]), (Dim::Lane, &lanes[..]), (Dim::Warp, warps)];
    Linear::new(layout.extents(), bases).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(registers: &[u32], lanes: &[u32]) -> Linear {
        let along = |steps: &[u32]| steps.iter().map(|s| [0, *s, 0]).collect::<Vec<_>>();
        let (registers, mut all) = (along(registers), [1, 2, 4, 8].map(|s| [s, 0, 0]).to_vec());
        all.extend(along(lanes));
        Linear::new(&[16, 64], [(Dim::Register, &registers[..]), (Dim::Lane, &all)]).expect("a layout")
    }

    #[test]
    fn lanes_get_whole_accesses_of_a_row() {
        let sums = row(&[2, 4, 8, 16, 32], &[1]);
        assert_eq!(stored(&sums, 2), Some(row(&[1, 2, 4, 16, 32], &[8])));
        assert_eq!(stored(&sums, 4), Some(row(&[1, 2, 8, 16, 32], &[4])));
        let narrow = row(&[2], &[1]);
        assert_eq!(stored(&narrow, 2), Some(row(&[1], &[2])));
        let two = row(&[4, 8, 16, 32], &[1, 2]);
        assert_eq!(stored(&two, 2), Some(row(&[1, 2, 4, 32], &[8, 16])));
        let few = row(&[4], &[1, 2]);
        assert_eq!(stored(&few, 2), Some(row(&[1], &[4, 2])));
    }

    #[test]
    fn what_is_wide_already_stays() {
        assert_eq!(stored(&row(&[1, 2, 16, 32], &[4, 8]), 2), None); // sums of MFMA
        assert_eq!(stored(&row(&[1, 8, 16, 32], &[2, 4]), 2), None); // of mma.sync
        assert_eq!(stored(&row(&[32], &[1, 2, 4, 8, 16]), 4), None); // lanes side by side
        assert_eq!(stored(&row(&[], &[1]), 2), None); // nothing to trade
    }
}
