//! Conversions carried out on arrays that hold each element's own coordinates.

use super::{parse, two_covering};
use kcc_compiler::layout::convert::Registers;
use kcc_compiler::layout::{
    Abilities, Banks, Blocked, Conversion, Coord, Linear, Presence, Shared, Staging, Traffic,
    apply_conversion, plan_conversion,
};
use proptest::prelude::*;

fn abilities() -> Abilities {
    Abilities {
        shuffle_bytes: 4,
        most_shuffles: 64,
        shared_bytes: 1 << 20,
        banks: Banks::neighbours(32, 4, 32),
    }
}

/// Each register with the coordinates of its element.
fn registers(layout: &Linear) -> Registers<Coord> {
    let lane = |w, l| (0..layout.registers()).map(|r| layout.at(r, l, w)).collect();
    let warp = |w| (0..layout.lanes()).map(|l| lane(w, l)).collect();
    (0..layout.warps()).map(warp).collect()
}

fn converts(from: &Linear, to: &Linear, element_bytes: u32, abilities: &Abilities) -> Conversion {
    let conversion = plan_conversion(from, to, element_bytes, abilities).unwrap();
    let result = apply_conversion(&conversion, &registers(from));
    assert_eq!(result, Some(registers(to)), "{from} to {to}: {conversion:?}");
    conversion
}

/// Stores and loads, counted lane by lane.
fn traffic(staging: &Staging) -> [Traffic; 2] {
    let buffer = Shared::plain(&[staging.elements], &[0], staging.element_bytes).unwrap();
    [&staging.store, &staging.load].map(|access| abilities().banks.count(&buffer, access))
}

fn staged(from: &Linear, to: &Linear, element_bytes: u32) -> Staging {
    match converts(from, to, element_bytes, &abilities()) {
        Conversion::Shared { staging, .. } => *staging,
        other => panic!("{other:?}"),
    }
}

fn blocked(extents: [u32; 2], nest: [[u32; 2]; 3], order: [usize; 2]) -> Linear {
    let [size_per_thread, threads_per_warp, warps] = &nest;
    Linear::blocked(&extents, Blocked { size_per_thread, threads_per_warp, warps, order: &order }).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_element_arrives((from, to) in two_covering(5, 2), log_bytes in 0u32..4) {
        converts(&from, &to, 1 << log_bytes, &abilities());
    }

    #[test]
    fn every_element_arrives_by_shuffles((from, to) in two_covering(5, 0), log_bytes in 0u32..4) {
        converts(&from, &to, 1 << log_bytes, &Abilities { most_shuffles: 4096, ..abilities() });
    }

    #[test]
    fn every_element_arrives_without_shuffles((from, to) in two_covering(4, 2), log_bytes in 0u32..4) {
        converts(&from, &to, 1 << log_bytes, &Abilities { shuffle_bytes: 0, ..abilities() });
    }

    #[test]
    fn small_buffers_are_used_again_and_again((from, to) in two_covering(2, 1), log_bytes in 0u32..4) {
        let bytes = 1 << log_bytes;
        // Threads of both sides decide at most 6 bits.
        let small = Abilities { shuffle_bytes: 0, shared_bytes: bytes << 6, ..abilities() };
        let conversion = converts(&from, &to, bytes, &small);
        prop_assert!(conversion.shared_bytes() <= bytes << 6);
    }

    #[test]
    fn replicas_are_filled_and_drawn_on((from, to) in two_covering(5, 2), axis in 0usize..2) {
        converts(&from.slice(axis).unwrap(), &to.slice(axis).unwrap(), 4, &abilities());
    }

    #[test]
    fn no_two_threads_store_one_element((from, to) in two_covering(4, 2)) {
        let conversion = plan_conversion(&from, &to, 2, &Abilities { shuffle_bytes: 0, ..abilities() }).unwrap();
        if let Conversion::Shared { staging, .. } = conversion {
            for repetition in &staging.repetitions {
                let mut seen = std::collections::HashSet::new();
                for place in from.positions() {
                    let idle = place.lane & staging.idle_lanes | place.warp & staging.idle_warps;
                    if idle == 0 && repetition.stores.contains(&place.register) {
                        prop_assert!(seen.insert(staging.store.offsets.apply(place)));
                    }
                }
            }
        }
    }

    #[test]
    fn barriers_of_a_warp_suffice_only_where_no_warp_reads_anothers((from, to) in two_covering(4, 2)) {
        let conversion = plan_conversion(&from, &to, 2, &Abilities { shuffle_bytes: 0, ..abilities() }).unwrap();
        if let Conversion::Shared { staging, .. } = conversion && staging.within_warps {
            // Each warp alone, with nothing from the others: what it stored is all that it loads.
            for warp in 0..from.warps() {
                let mut stored = std::collections::HashSet::new();
                for place in from.positions().filter(|place| place.warp == warp) {
                    if place.lane & staging.idle_lanes == 0 {
                        stored.insert(from.apply(place));
                    }
                }
                prop_assert!(to.positions().filter(|p| p.warp == warp).all(|p| stored.contains(&to.apply(p))));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn blocked_tiles_of_any_extents_arrive(
        rows in 1u32..=256, columns in 1u32..=256, a in any_nest(), b in any_nest(), log_bytes in 0u32..4,
    ) {
        let [from, to] = [a, b].map(|(nest, order)| blocked([rows, columns], nest, order));
        converts(&from, &to, 1 << log_bytes, &abilities());
        // What lies in the tile, and nothing else, is in the registers that are said to be live.
        let coverage = to.coverage(&[rows, columns]);
        for place in to.positions() {
            let [row, column, _] = to.apply(place);
            let inside = row < rows && column < columns;
            let agrees = match coverage.register(place.register) {
                Presence::Always => inside,
                Presence::Never => !inside,
                Presence::Depends => true,
            };
            prop_assert!(agrees);
        }
    }
}

/// Elements per thread, 32 lanes, 4 warps, and an order of the axes.
fn any_nest() -> impl Strategy<Value = ([[u32; 2]; 3], [usize; 2])> {
    (0u32..4, 0u32..4, 0u32..=5, 0u32..=2, any::<bool>()).prop_map(|(m, n, lanes, warps, turned)| {
        let nest = [[1 << m, 1 << n], [1 << lanes, 32 >> lanes], [1 << warps, 4 >> warps]];
        (nest, if turned { [0, 1] } else { [1, 0] })
    })
}

#[test]
fn the_same_layout_is_nothing() {
    let layout = blocked([64, 64], [[1, 8], [4, 8], [4, 1]], [1, 0]);
    assert_eq!(converts(&layout, &layout, 2, &abilities()), Conversion::Nothing);
}

#[test]
fn another_order_of_registers_is_a_permutation() {
    let from = parse("reg=[0,1;1,0] lane=[0,2;2,0] shape=4x4");
    let to = parse("reg=[1,0;0,1] lane=[0,2;2,0] shape=4x4");
    let conversion = converts(&from, &to, 2, &abilities());
    assert_eq!(conversion, Conversion::Registers { source_of: vec![0, 2, 1, 3] });
}

#[test]
fn a_copy_in_the_own_lane_is_preferred() {
    // Every lane holds the row; the target wants one element of it per lane: selects, no lane reads another.
    let from = parse("reg=[1;2] lane=[0;0] shape=4");
    let to = parse("lane=[1;2] shape=4");
    match converts(&from, &to, 4, &abilities()) {
        Conversion::Shuffles { exchange, .. } => assert!(!exchange.crosses_lanes()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_accumulator_becomes_an_operand_without_leaving_its_lane() {
    // The product's accumulator as the next product's left operand: the same bits in another order.
    let accumulator = parse("reg=[0,1;8,0;0,8] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x16");
    let operand = parse("reg=[0,1;8,0;0,8] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x16");
    assert_eq!(converts(&accumulator, &operand, 2, &abilities()), Conversion::Nothing);
    let wide = parse("reg=[0,1;0,2;8,0;0,16] lane=[0,4;0,8;1,0;2,0;4,0] shape=16x32");
    let accumulator = parse("reg=[0,1;8,0;0,8;0,16] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x32");
    match converts(&accumulator, &wide, 1, &abilities()) {
        // 16 bytes per lane, of which two neighbours travel in a word.
        Conversion::Shuffles { exchange, .. } => assert_eq!(exchange.rounds.len(), 4),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transpose_within_a_warp_takes_one_round_per_word() {
    let from = parse("reg=[0,1;0,2;0,4] lane=[1,0;2,0;4,0] shape=8x8");
    let to = parse("reg=[1,0;2,0;4,0] lane=[0,1;0,2;0,4] shape=8x8");
    match converts(&from, &to, 4, &abilities()) {
        Conversion::Shuffles { exchange, .. } => {
            assert_eq!(exchange.rounds.len(), 8);
            assert!(exchange.keeps_lanes() && exchange.crosses_lanes());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_many_shuffles_are_left_to_shared_memory() {
    let from = blocked([32, 64], [[1, 64], [32, 1], [1, 1]], [1, 0]);
    let to = blocked([32, 64], [[32, 1], [1, 32], [1, 1]], [0, 1]);
    let few = Abilities { most_shuffles: 8, ..abilities() };
    match converts(&from, &to, 4, &few) {
        Conversion::Shared { staging, .. } => assert!(staging.within_warps),
        other => panic!("{other:?}"),
    }
}

#[test]
fn conversions_between_full_layouts_have_no_bank_conflicts() {
    let tile = [128, 128];
    let accumulator = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x8");
    let warps = [kcc_compiler::layout::WarpsAlong { axis: Some(0), count: 4 }];
    let ends = [
        ("rows", blocked(tile, [[1, 8], [2, 16], [4, 1]], [1, 0])),
        ("columns", blocked(tile, [[8, 1], [16, 2], [1, 4]], [0, 1])),
        ("narrow", blocked(tile, [[1, 1], [1, 32], [4, 1]], [1, 0])),
        ("tall", blocked(tile, [[1, 1], [32, 1], [1, 4]], [0, 1])),
        ("square", blocked(tile, [[4, 4], [8, 4], [2, 2]], [1, 0])),
        ("accumulator", accumulator.tile_to_shape(&tile, &warps, &[1, 0]).unwrap()),
    ];
    for element_bytes in [1, 2, 4, 8] {
        for (a, from) in &ends {
            for (b, to) in ends.iter().filter(|(b, _)| b != a) {
                let alone = Abilities { shuffle_bytes: 0, ..abilities() };
                let Conversion::Shared { staging, .. } = converts(from, to, element_bytes, &alone) else {
                    panic!("{a} to {b} needs no memory");
                };
                for traffic in traffic(&staging) {
                    assert_eq!(traffic.conflicts(), 0, "{a} to {b}, {element_bytes} bytes: {traffic:?}");
                }
            }
        }
    }
}

/// Cycles of a conversion, pinned; 128×128 elements of 2 bytes, 4 warps.
#[test]
fn the_cost_of_conversions_is_pinned() {
    let rows = blocked([128, 128], [[1, 8], [2, 16], [4, 1]], [1, 0]);
    let columns = blocked([128, 128], [[8, 1], [16, 2], [1, 4]], [0, 1]);
    let other_rows = blocked([128, 128], [[1, 8], [8, 4], [1, 4]], [1, 0]);
    let cost = |from, to| {
        let staging = staged(from, to, 2);
        (staging.store.vector(), staging.load.vector(), traffic(&staging).map(|t| t.cycles))
    };
    // 32 KiB at 128 bytes per cycle: 256 cycles each way is the least.
    assert_eq!(cost(&rows, &other_rows), (8, 8, [256, 256]));
    assert_eq!(cost(&rows, &columns), COST_OF_A_TRANSPOSE);
}

/// Store vector, load vector, cycles.
const COST_OF_A_TRANSPOSE: (u32, u32, [u32; 2]) = (4, 1, [256, 512]);

#[test]
fn a_small_buffer_means_repetitions_and_barriers() {
    let from = blocked([128, 128], [[1, 8], [2, 16], [4, 1]], [1, 0]);
    let to = blocked([128, 128], [[1, 8], [8, 4], [1, 4]], [1, 0]);
    let small = Abilities { shared_bytes: 16 << 10, ..abilities() };
    let Conversion::Shared { staging, .. } = converts(&from, &to, 2, &small) else { panic!() };
    assert_eq!((staging.bytes(), staging.repetitions.len(), staging.barriers()), (16 << 10, 2, 3));
    let tiny = Abilities { shared_bytes: 128, ..abilities() };
    let error = plan_conversion(&from, &to, 2, &tiny).unwrap_err().to_string();
    assert!(error.contains("bytes of shared memory, 128 are given"), "{error}");
}

#[test]
fn what_cannot_be_converted_is_an_error() {
    let plan = |from: &str, to: &str| plan_conversion(&parse(from), &parse(to), 4, &abilities());
    assert!(plan("reg=[1] shape=2", "reg=[1;2] shape=4").is_err());
    assert!(plan("lane=[1] shape=2", "reg=[1] shape=2").is_err());
    assert!(plan("reg=[1] shape=4", "reg=[2] shape=4").is_err());
    assert!(plan("block=[1] shape=2", "reg=[1] shape=2").is_err());
    assert!(
        plan("reg=[1] lane=[2] warp=[4] block=[8] shape=16", "reg=[4] lane=[1] warp=[2] block=[8] shape=16")
            .is_ok()
    );
}
