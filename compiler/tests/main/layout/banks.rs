//! Bank conflicts, counted lane by lane and pinned: a change here is a change of speed.

use super::{covering, parse};
use kcc_compiler::layout::{Banks, Blocked, Demand, Linear, Padding, Phase, Shared, Use, choose};
use proptest::prelude::*;

/// 32 banks of 4 bytes, neighbouring lanes together.
fn banks() -> Banks {
    Banks::neighbours(32, 4, 32)
}

fn conflicts(shared: &Shared, layout: &Linear, most_bytes: u32) -> u32 {
    let access = shared.access(layout, most_bytes).unwrap();
    banks().count(shared, &access).conflicts()
}

/// Cycles per phase, a whole number as all phases of a swizzled buffer cost the same.
fn ways(shared: &Shared, layout: &Linear, most_bytes: u32) -> u32 {
    let access = shared.access(layout, most_bytes).unwrap();
    let traffic = banks().count(shared, &access);
    assert_eq!(traffic.cycles % traffic.phases, 0);
    assert_eq!(traffic, banks().count_linear(shared.element_bytes(), &access));
    traffic.cycles / traffic.phases
}

/// 4 warps over a tile; each lane holds 16 bytes of a row.
fn rows(extents: [u32; 2], element_bytes: u32) -> Linear {
    let vector = 16 / element_bytes;
    let across = (extents[1] / vector).min(32);
    let nest = Blocked {
        size_per_thread: &[1, vector],
        threads_per_warp: &[32 / across, across],
        warps: &[4, 1],
        order: &[1, 0],
    };
    Linear::blocked(&extents, nest).unwrap()
}

/// Row addresses of matrix loads: lane l of a warp names a row of 16 bytes; 16 rows, two chunks, over the tile.
fn matrix_rows(extents: [u32; 2], element_bytes: u32) -> Linear {
    let chunk = 16 / element_bytes;
    let registers: Vec<String> = (0..chunk.ilog2()).map(|bit| format!("0,{}", 1 << bit)).collect();
    let tile =
        format!("reg=[{}] lane=[1,0;2,0;4,0;8,0;0,{chunk}] shape=16x{}", registers.join(";"), 2 * chunk);
    parse(&tile).tile_to_shape(&extents, &[], &[1, 0]).unwrap()
}

#[test]
fn matrix_loads_of_row_panels_have_no_conflicts() {
    for element_bytes in [1, 2, 4] {
        for (row_bytes, plain_ways) in [(128, 8), (64, 4), (32, 2)] {
            let extents = [64, row_bytes / element_bytes];
            let loads = matrix_rows(extents, element_bytes);
            let plain = Shared::plain(&extents, &[1, 0], element_bytes).unwrap();
            let panels = Shared::panels(&extents, &[1, 0], element_bytes, row_bytes).unwrap();
            assert_eq!(ways(&plain, &loads, 16), plain_ways, "{element_bytes} {row_bytes}");
            assert_eq!(ways(&panels, &loads, 16), 1, "{element_bytes} {row_bytes}");
        }
    }
}

#[test]
fn blocked_stores_of_16_bytes_have_no_conflicts_in_panels() {
    for element_bytes in [1, 2, 4] {
        for row_bytes in [32, 64, 128] {
            let extents = [64, row_bytes / element_bytes];
            let panels = Shared::panels(&extents, &[1, 0], element_bytes, row_bytes).unwrap();
            assert_eq!(
                conflicts(&panels, &rows(extents, element_bytes), 16),
                0,
                "{element_bytes} {row_bytes}"
            );
        }
    }
}

#[test]
fn reading_columns_of_a_plain_tile_collides_and_the_chosen_buffer_does_not() {
    // Written by rows, read by columns, as a transpose does: cycles per phase of the reads, plain and chosen.
    for (element_bytes, plain_ways) in [(1, 8), (2, 16), (4, 32)] {
        let extents = [32, 32];
        let write = rows(extents, element_bytes);
        let read = parse("reg=[0,1;0,2;0,4;0,8;0,16] lane=[1,0;2,0;4,0;8,0;16,0] shape=32x32");
        let plain = Shared::plain(&extents, &[1, 0], element_bytes).unwrap();
        let uses = [
            Use { layout: &write, most_bytes: 16, weight: 1 },
            Use { layout: &read, most_bytes: element_bytes, weight: 1 },
        ];
        let best = choose(&extents, element_bytes, &uses, Demand::Any, &banks()).unwrap();
        assert_eq!(ways(&plain, &read, element_bytes), plain_ways);
        assert_eq!(ways(&best.shared, &read, element_bytes), 1, "{element_bytes}: {:?}", best.shared);
    }
}

#[test]
fn operands_of_a_product_are_stored_and_loaded_without_conflicts() {
    // Blocked 16-byte stores, matrix loads: tiles of a product's operands, for each element size.
    for element_bytes in [1, 2, 4] {
        for extents in [[128, 32], [128, 64], [64, 128], [16, 16]] {
            let (write, read) = (rows(extents, element_bytes), matrix_rows_or(extents, element_bytes));
            let uses = [
                Use { layout: &write, most_bytes: 16, weight: 1 },
                Use { layout: &read, most_bytes: 16, weight: 4 },
            ];
            for demand in [Demand::Any, Demand::Dense, Demand::Panels { inner: 1 }] {
                let best = choose(&extents, element_bytes, &uses, demand, &banks()).unwrap();
                assert_eq!(conflicts(&best.shared, &write, 16), 0, "{element_bytes} {extents:?} {demand:?}");
                assert_eq!(conflicts(&best.shared, &read, 16), 0, "{element_bytes} {extents:?} {demand:?}");
            }
        }
    }
}

fn matrix_rows_or(extents: [u32; 2], element_bytes: u32) -> Linear {
    let width = (32 / element_bytes).min(extents[1]);
    match width == 32 / element_bytes {
        true => matrix_rows(extents, element_bytes),
        false => rows(extents, element_bytes),
    }
}

#[test]
fn the_simplest_buffer_wins_where_none_collides() {
    let extents = [64, 64];
    let write = rows(extents, 4);
    let one = [Use { layout: &write, most_bytes: 16, weight: 1 }];
    let best = choose(&extents, 4, &one, Demand::Any, &banks()).unwrap();
    assert_eq!(best.shared, Shared::plain(&extents, &[1, 0], 4).unwrap());
}

#[test]
fn padding_spreads_columns() {
    let extents = [32, 32];
    let column = parse("reg=[0,1;0,2;0,4;0,8;0,16] lane=[1,0;2,0;4,0;8,0;16,0] shape=32x32");
    let padded = Shared::padded(&extents, &[1, 0], 4, Padding { every: 32, by: 1 }).unwrap();
    assert_eq!(conflicts(&padded, &column, 4), 0);
}

#[test]
fn groups_of_lanes_need_not_be_neighbours() {
    // 16 bytes per lane of 64: lanes 0-3, 12-15, 20-23, 24-27 are served together, by 64 banks.
    let apart = Banks {
        count: 64,
        bytes: 4,
        phases: vec![
            Phase { access_bytes: 4, together: vec![1, 2, 4, 8, 16, 32] },
            Phase { access_bytes: 8, together: vec![1, 2, 4, 8, 16] },
            Phase { access_bytes: 16, together: vec![1, 2, 12, 20] },
        ],
    };
    let together = kcc_compiler::layout::matrix::Span::of(apart.together(16).iter().map(|&l| u64::from(l)));
    let first: Vec<u64> = (0..64).filter(|&lane| together.contains(lane)).collect();
    assert_eq!(first, [0, 1, 2, 3, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25, 26, 27]);
    // Rows of 256 bytes read by lanes that go down 16 rows: the banks' own order decides which swizzle is free.
    let read = parse("reg=[0,1;0,2;0,4] lane=[1,0;2,0;4,0;8,0;0,8;0,16] shape=16x128");
    let read = read.fit(&[16, 128], &[1, 0]).unwrap();
    let uses = [Use { layout: &read, most_bytes: 16, weight: 1 }];
    let best = choose(&[16, 128], 2, &uses, Demand::Dense, &apart).unwrap();
    let access = best.shared.access(&read, 16).unwrap();
    assert_eq!(apart.count(&best.shared, &access).conflicts(), 0, "{:?}", best.shared);
}

#[test]
fn reads_of_one_word_by_all_lanes_are_one_cycle() {
    let shared = Shared::plain(&[32], &[0], 4).unwrap();
    let all = parse("reg=[1;2;4;8;16] lane=[0;0;0;0;0] shape=32");
    assert_eq!(conflicts(&shared, &all, 4), 0);
}

proptest! {
    #[test]
    fn counting_by_rank_equals_counting_lanes(
        layout in covering([4, 5], 5, 1), log_bytes in 0u32..4, bits in 0u32..4, base in 4u32..5, most in 0u32..5,
    ) {
        let bytes = 1 << log_bytes;
        let swizzle = kcc_compiler::layout::Swizzle { bits, base, shift: 3 };
        let shared = Shared::swizzled(&[16, 32], &[1, 0], bytes, swizzle).unwrap();
        let access = shared.access(&layout, (1 << most).max(bytes)).unwrap();
        prop_assert_eq!(banks().count(&shared, &access), banks().count_linear(bytes, &access));
    }
}
