//! Coordinates as arithmetic, contiguity and coverage, against enumeration.

use super::{any_layout, parse, table};
use kcc_compiler::layout::{Dim, Presence};
use proptest::prelude::*;

proptest! {
    #[test]
    fn parts_and_registers_make_the_coordinate(layout in any_layout(2), axis in 0usize..2) {
        let index = layout.index(axis).unwrap();
        for (place, element) in table(&layout) {
            let base = index.base(place.lane, place.warp, place.block);
            let constant = index.register(place.register);
            prop_assert_eq!(base ^ constant, element[axis]);
            if index.disjoint {
                prop_assert_eq!(base + constant, element[axis]);
            }
            if index.parts_disjoint {
                let sum: u32 = index.parts.iter().map(|part| part.of(place.get(part.dim))).sum();
                prop_assert_eq!(sum, base);
            }
        }
    }

    #[test]
    fn contiguous_registers_are_neighbours_at_multiples(layout in any_layout(2)) {
        let count = layout.contiguous(1);
        for (place, [row, column, _]) in table(&layout) {
            let first = layout.apply(place.with(Dim::Register, place.register - place.register % count));
            prop_assert_eq!([row, column], [first[0], first[1] + place.register % count]);
            prop_assert_eq!(first[1] % count, 0);
        }
    }

    #[test]
    fn coverage_agrees_with_every_lane(layout in any_layout(2), rows in 1u32..=8, columns in 1u32..=8) {
        let tile = [rows.min(layout.extents()[0]), columns.min(layout.extents()[1])];
        let coverage = layout.coverage(&tile);
        for register in 0..layout.registers() {
            let inside: Vec<bool> = table(&layout)
                .iter()
                .filter(|(place, _)| place.register == register)
                .map(|(_, e)| e[0] < tile[0] && e[1] < tile[1])
                .collect();
            match coverage.register(register) {
                Presence::Always => prop_assert!(inside.iter().all(|&i| i)),
                Presence::Never => prop_assert!(!inside.iter().any(|&i| i)),
                Presence::Depends => prop_assert!(!inside.iter().all(|&i| i)),
            }
        }
    }
}

#[test]
fn neighbouring_bits_become_one_part() {
    let layout = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] warp=[16,0] shape=32x8");
    let row = layout.index(0).unwrap();
    let parts: Vec<_> = row.parts.iter().map(|p| (p.dim, p.first, p.bits, p.constant)).collect();
    assert_eq!(parts, [(Dim::Lane, 2, 3, 1), (Dim::Warp, 0, 1, 16)]);
    assert!(row.disjoint && row.parts_disjoint);
    assert_eq!(row.registers, [0, 8]);
}

#[test]
fn a_swizzle_is_no_sum() {
    let index = parse("reg=[1] lane=[3;2] shape=4").index(0).unwrap();
    assert!(!index.disjoint && !index.parts_disjoint);
    assert!(!parse("lane=[3;2] shape=4").index(0).unwrap().parts_disjoint);
}

#[test]
fn registers_past_the_tile_are_dropped() {
    // 176 of 256 columns, 8 at a time per register pair: 22 of 32 groups exist.
    let fragment = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x8");
    let layout = fragment.tile_to_shape(&[16, 176], &[], &[1, 0]).unwrap();
    let coverage = layout.coverage(&[16, 176]);
    assert_eq!(coverage.live().count(), 88);
    assert!((0..88).all(|register| coverage.register(register) == Presence::Always));
    let odd = layout.coverage(&[16, 171]);
    assert_eq!(odd.register(84), Presence::Depends);
    assert_eq!(odd.by_axis[84][0], Presence::Always);
}

#[test]
fn vectors_need_alignment() {
    assert_eq!(parse("reg=[0,1;0,2;1,0] lane=[0,4] shape=2x8").contiguous(1), 4);
    assert_eq!(parse("reg=[0,1;0,2] lane=[0,6] shape=1x8").contiguous(1), 2);
    assert_eq!(parse("reg=[0,2;0,1] shape=1x4").contiguous(1), 1);
    assert_eq!(parse("reg=[0,1;0,2] shape=1x4").contiguous(0), 1);
}
