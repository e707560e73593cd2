//! Constructors, against layouts written out by hand and by loops.

use super::parse;
use kcc_compiler::layout::{Blocked, Dim, Linear, WarpsAlong};

fn blocked(extents: &[u32], nest: [[u32; 2]; 3], order: [usize; 2]) -> Linear {
    let [size_per_thread, threads_per_warp, warps] = &nest;
    Linear::blocked(extents, Blocked { size_per_thread, threads_per_warp, warps, order: &order }).unwrap()
}

#[test]
fn a_blocked_layout_nests_registers_lanes_and_warps() {
    let layout = blocked(&[32, 64], [[1, 4], [4, 8], [2, 1]], [1, 0]);
    for position in layout.positions() {
        let (r, l, w) = (position.register, position.lane, position.warp);
        // 8 rows and 32 columns at a time; then the columns repeat once, then the rows four times.
        let row = l / 8 + 4 * w + 8 * (r / 8);
        let column = r % 4 + 4 * (l % 8) + 32 * (r / 4 % 2);
        assert_eq!(layout.apply(position), [row, column, 0]);
    }
    assert_eq!(layout.registers(), 32);
    assert!(layout.is_surjective() && layout.is_injective());
}

#[test]
fn a_small_tile_is_replicated_over_lanes_and_warps_but_not_over_registers() {
    let layout = blocked(&[1, 16], [[1, 4], [1, 32], [4, 1]], [1, 0]);
    assert_eq!(layout.to_string(), "reg=[0,1;0,2] lane=[0,4;0,8;0,0;0,0;0,0] warp=[0,0;0,0] shape=1x16");
    assert_eq!((layout.free(Dim::Lane), layout.free(Dim::Warp)), (0b11100, 0b11));
    let narrow = blocked(&[32, 2], [[1, 8], [32, 1], [1, 1]], [1, 0]);
    assert_eq!(narrow.to_string(), "reg=[0,1] lane=[1,0;2,0;4,0;8,0;16,0] shape=32x2");
}

#[test]
fn extents_are_rounded_up() {
    assert_eq!(blocked(&[33, 5], [[1, 1], [4, 8], [1, 1]], [1, 0]).extents(), [64, 8]);
    assert!(Linear::row_major(&[0]).is_err());
    assert!(Linear::row_major(&[u32::MAX]).is_err());
}

#[test]
fn a_fragment_is_repeated_over_a_tile() {
    // The accumulator of a 16×8 product: two columns per lane, 4 lanes per row, 8 rows, twice.
    let fragment = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x8");
    let warps = [WarpsAlong { axis: Some(0), count: 2 }, WarpsAlong { axis: Some(1), count: 2 }];
    let layout = fragment.tile_to_shape(&[64, 32], &warps, &[1, 0]).unwrap();
    assert_eq!(
        layout.to_string(),
        "reg=[0,1;8,0;0,16;32,0] lane=[0,2;0,4;1,0;2,0;4,0] warp=[16,0;0,8] shape=64x32"
    );
    assert!(fragment.tile_to_shape(&[8, 8], &[], &[1, 0]).is_err());
}

#[test]
fn warps_along_no_axis_and_warps_beyond_the_tile_replicate() {
    let fragment = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x8");
    let warps = [WarpsAlong { axis: None, count: 2 }, WarpsAlong { axis: Some(1), count: 4 }];
    let layout = fragment.tile_to_shape(&[16, 16], &warps, &[1, 0]).unwrap();
    assert_eq!(layout.basis(Dim::Warp), [[0, 0, 0], [0, 8, 0], [0, 0, 0]]);
    assert_eq!(layout.registers(), 4);
}

#[test]
fn orders_and_ranks_that_do_not_fit_are_errors() {
    let nest = |order| Blocked { size_per_thread: &[1, 1], threads_per_warp: &[4, 8], warps: &[1, 1], order };
    assert!(Linear::blocked(&[8, 8], nest(&[0, 0])).is_err());
    assert!(Linear::blocked(&[8, 8], nest(&[0])).is_err());
    assert!(Linear::blocked(&[8], nest(&[0, 1])).is_err());
    assert!(Linear::blocked(&[8, 8, 8, 8], nest(&[0, 1])).is_err());
}
