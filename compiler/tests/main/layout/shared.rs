//! Shared buffers: bijective, swizzled as the hardware's own rules say, found again by their form.

use super::{parse, table};
use kcc_compiler::layout::{Access, Dim, Linear, Padding, Shared, Swizzle};
use proptest::prelude::*;
use std::collections::HashSet;

proptest! {
    #[test]
    fn swizzles_permute_addresses(bits in 0u32..4, base in 0u32..6, extra in 0u32..4) {
        let swizzle = Swizzle { bits, base, shift: bits + extra };
        let images: HashSet<u64> = (0..1 << 14).map(|address| swizzle.apply(address)).collect();
        prop_assert_eq!(images.len(), 1 << 14);
        prop_assert!((0..1 << 14).all(|address| swizzle.apply(swizzle.apply(address)) == address));
        // Chunks below the base stay together.
        prop_assert!((0..1 << 14).all(|a| swizzle.apply(a) % (1 << base) == a % (1 << base)));
    }

    #[test]
    fn a_swizzled_buffer_is_the_plain_one_at_swizzled_addresses(
        rows in 0u32..6, columns in 0u32..7, log_bytes in 0u32..3, bits in 0u32..4, base in 2u32..5, turned: bool,
    ) {
        let (extents, bytes) = ([1 << rows, 1 << columns], 1u32 << log_bytes);
        let swizzle = Swizzle { bits, base, shift: 3 };
        let order = if turned { [0, 1] } else { [1, 0] };
        let shared = Shared::swizzled(&extents, &order, bytes, swizzle).unwrap();
        let size = extents[0] * extents[1];
        for row in 0..extents[0] {
            for column in 0..extents[1] {
                let plain = if turned { row + column * extents[0] } else { row * extents[1] + column };
                let moved = (swizzle.apply(u64::from(plain * bytes)) / u64::from(bytes)) as u32;
                prop_assert_eq!(shared.offset_of([row, column, 0]), Some(moved));
            }
        }
        let offsets: HashSet<_> = table(shared.layout()).into_iter().map(|(_, element)| element).collect();
        prop_assert_eq!(offsets.len() as u32, size);
    }

    #[test]
    fn accesses_move_every_register_once(layout in super::covering([3, 4], 4, 1), most in 0u32..4) {
        let shared = Shared::plain(&[8, 16], &[1, 0], 2).unwrap();
        let access = shared.access(&layout, 2 << most).unwrap();
        let mut seen = HashSet::new();
        for &group in &access.groups {
            for (place, &register) in access.within.iter().enumerate() {
                prop_assert!(seen.insert(group ^ register));
                for lane in 0..layout.lanes() {
                    let [first, ..] = access.offsets.at(group, lane, 0);
                    prop_assert_eq!(first % access.vector(), 0);
                    let element = layout.at(group ^ register, lane, 0);
                    prop_assert_eq!(shared.offset_of(element), Some(first + place as u32));
                }
            }
        }
        prop_assert_eq!(seen.len() as u32, layout.registers());
    }
}

#[test]
fn panels_swizzle_chunks_by_their_row() {
    // Rows of 128 bytes: the chunk of 16 bytes at place c of row r is chunk c ^ (r % 8) of the row.
    let wide = Shared::panels(&[64, 128], &[1, 0], 2, 128).unwrap();
    // Rows of 64 and 32 bytes: a line of 128 bytes holds 2 and 4 rows, and the line decides.
    let middle = Shared::panels(&[64, 128], &[1, 0], 2, 64).unwrap();
    let narrow = Shared::panels(&[64, 128], &[1, 0], 2, 32).unwrap();
    for row in 0..64u32 {
        for column in 0..128u32 {
            let byte = |row_bytes: u32, by: u32| {
                let (panel, within) = (2 * column / row_bytes, 2 * column % row_bytes);
                panel * 64 * row_bytes + row * row_bytes + (within ^ (16 * by))
            };
            let at = |shared: &Shared| shared.offset_of([row, column, 0]).unwrap() * 2;
            assert_eq!(at(&wide), byte(128, row % 8));
            assert_eq!(at(&middle), byte(64, row / 2 % 4));
            assert_eq!(at(&narrow), byte(32, row / 4 % 2));
        }
    }
}

#[test]
fn panels_are_recognised() {
    for row in [16, 32, 64, 128] {
        let shared = Shared::panels(&[64, 128], &[1, 0], 2, row).unwrap();
        assert_eq!(shared.as_panels(), Some((row, 1)));
        let turned = Shared::panels(&[64, 128], &[0, 1], 2, row).unwrap();
        assert_eq!(turned.as_panels(), Some((row, 0)));
    }
    let other = Shared::swizzled(&[64, 64], &[1, 0], 2, Swizzle { bits: 2, base: 4, shift: 3 }).unwrap();
    assert_eq!(other.as_panels(), None);
    assert!(Shared::panels(&[64, 32], &[1, 0], 2, 128).is_err());
    assert!(Shared::panels(&[64, 32], &[1, 0], 2, 48).is_err());
}

#[test]
fn padding_leaves_gaps() {
    let padding = Padding { every: 32, by: 4 };
    let shared = Shared::padded(&[4, 32], &[1, 0], 4, padding).unwrap();
    assert_eq!(shared.offset_of([2, 5, 0]), Some(2 * 36 + 5));
    assert_eq!(shared.bytes(), (3 * 36 + 32) * 4);
    // 16-byte vectors stay aligned under a pad of 4 elements of 4 bytes, and no wider ones.
    let rows = parse("reg=[0,1;0,2;0,4] lane=[0,8;0,16;1,0;2,0] shape=4x32");
    assert_eq!(shared.access(&rows, 16).unwrap().vector(), 4);
    let odd = Shared::padded(&[4, 32], &[1, 0], 4, Padding { every: 32, by: 1 }).unwrap();
    assert_eq!(odd.access(&rows, 16).unwrap().vector(), 1);
}

#[test]
fn vectors_are_found_in_any_register_order() {
    let offsets = parse("reg=[8;2;1] lane=[4] shape=16");
    let access = Access::new(offsets, 4);
    assert_eq!(access.within, [0, 4, 2, 6]);
    assert_eq!(access.groups, [0, 1]);
    // A lane that moves by one element leaves no aligned vector.
    assert_eq!(Access::new(parse("reg=[1;2] lane=[4;5] shape=8"), 4).vector(), 1);
}

#[test]
fn buffers_that_are_no_permutation_are_errors() {
    let repeated = Linear::new(&[4], [(Dim::Offset, &[[1, 0, 0], [1, 0, 0]][..])]).unwrap();
    assert!(Shared::new(repeated, 2).is_err());
    assert!(Shared::new(parse("reg=[1] shape=2"), 2).is_err());
    assert!(Shared::plain(&[4], &[0], 3).is_err());
    assert!(Shared::swizzled(&[64, 64], &[1, 0], 4, Swizzle { bits: 1, base: 1, shift: 3 }).is_err());
}
