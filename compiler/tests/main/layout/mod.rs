//! Layouts: the algebra against its laws, and what is built on it against enumeration of every lane.

mod algebra;
mod banks;
mod build;
mod convert;
mod draw;
mod index;
mod shape;
mod shared;
mod text;

use kcc_compiler::layout::{Coord, Dim, Linear, Position};
use proptest::prelude::*;

/// A layout from its text.
fn parse(text: &str) -> Linear {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The element at each place.
fn table(layout: &Linear) -> Vec<(Position, Coord)> {
    layout.positions().map(|position| (position, layout.apply(position))).collect()
}

/// Any layout, replicating or not, covering its tile or not.
fn any_layout(rank: usize) -> impl Strategy<Value = Linear> {
    prop::collection::vec(0u32..4, rank).prop_flat_map(|logs| {
        let extents: Vec<u32> = logs.iter().map(|log| 1 << log).collect();
        let vector = (any::<u32>(), any::<u32>(), any::<u32>());
        let sizes = extents.clone();
        let basis = move |count: usize| {
            let sizes = sizes.clone();
            prop::collection::vec(vector, 0..=count).prop_map(move |vectors| {
                let bound = |axis: usize| sizes.get(axis).map_or(0, |extent| extent - 1);
                vectors
                    .iter()
                    .map(|v| [v.0 & bound(0), v.1 & bound(1), v.2 & bound(2)])
                    .collect::<Vec<Coord>>()
            })
        };
        (basis(4), basis(4), basis(2)).prop_map(move |(registers, lanes, warps)| {
            let bases = [(Dim::Register, &registers[..]), (Dim::Lane, &lanes[..]), (Dim::Warp, &warps[..])];
            Linear::new(&extents, bases).expect("vectors were cut to the tile")
        })
    })
}

/// A layout that covers a tile of `2^bits` elements (rank 2) with the given lane and warp bits: a random basis change
/// of the tile's bits, handed out to registers, lanes and warps, with replication in all of them.
fn covering(logs: [u32; 2], lane_bits: usize, warp_bits: usize) -> impl Strategy<Value = Linear> {
    let bits = (logs[0] + logs[1]) as usize;
    let mixing = prop::collection::vec((0..bits.max(1), 0..bits.max(1)), 0..12);
    let slots = lane_bits + warp_bits;
    (mixing, prop::collection::vec(0..bits.max(1) * 2 + 1, slots), any::<u64>()).prop_map(
        move |(mixing, choice, shuffle)| {
            let mut vectors: Vec<u64> = (0..bits).map(|bit| 1 << bit).collect();
            for (a, b) in mixing {
                if a != b {
                    vectors[a] ^= vectors[b];
                }
            }
            let mut random = shuffle;
            for i in (1..bits).rev() {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                vectors.swap(i, (random >> 33) as usize % (i + 1));
            }
            let unpack =
                |flat: u64| -> Coord { [(flat >> logs[1]) as u32, flat as u32 & ((1 << logs[1]) - 1), 0] };
            let mut used = vec![false; bits];
            let mut take = |pick: usize| -> Coord {
                match pick < bits && !used[pick] {
                    true => {
                        used[pick] = true;
                        unpack(vectors[pick])
                    }
                    false => [0; 3],
                }
            };
            let lanes: Vec<Coord> = choice[..lane_bits].iter().map(|&pick| take(pick)).collect();
            let warps: Vec<Coord> = choice[lane_bits..].iter().map(|&pick| take(pick)).collect();
            let registers: Vec<Coord> = (0..bits).filter(|&b| !used[b]).map(|b| unpack(vectors[b])).collect();
            let bases = [(Dim::Register, &registers[..]), (Dim::Lane, &lanes[..]), (Dim::Warp, &warps[..])];
            Linear::new(&[1 << logs[0], 1 << logs[1]], bases).expect("vectors lie in the tile")
        },
    )
}

/// Random covering layouts of one tile, for the two ends of a conversion.
fn two_covering(lane_bits: usize, warp_bits: usize) -> impl Strategy<Value = (Linear, Linear)> {
    (0u32..=5, 0u32..=5).prop_flat_map(move |(m, n)| {
        (covering([m, n], lane_bits, warp_bits), covering([m, n], lane_bits, warp_bits))
    })
}
