//! Layouts of reshaped tiles, against the reshaped tiles themselves.

use super::{any_layout, parse, table};
use kcc_compiler::layout::Dim;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_slice_forgets_one_coordinate(layout in any_layout(3), axis in 0usize..3) {
        let slice = layout.slice(axis).unwrap();
        for (place, element) in table(&layout) {
            let mut rest = element.to_vec();
            rest.remove(axis);
            prop_assert_eq!(&slice.apply(place)[..2], &rest[..]);
        }
    }

    #[test]
    fn dense_layouts_keep_every_element_in_its_lane(layout in any_layout(2)) {
        let dense = layout.slice(1).unwrap().dense();
        let sliced = layout.slice(1).unwrap();
        for (place, element) in table(&sliced) {
            let now = place.with(Dim::Register, dense.new_of_old[place.register as usize]);
            prop_assert_eq!(dense.layout.apply(now), element);
        }
        for (place, element) in table(&dense.layout) {
            let then = place.with(Dim::Register, dense.old_of_new[place.register as usize]);
            prop_assert_eq!(sliced.apply(then), element);
        }
        prop_assert_eq!(dense.layout.dense().layout, dense.layout.clone());
    }

    #[test]
    fn transposes_permute_and_undo(layout in any_layout(3)) {
        let turned = layout.transpose(&[2, 0, 1]).unwrap();
        for (place, [a, b, c]) in table(&layout) {
            prop_assert_eq!(turned.apply(place), [c, a, b]);
        }
        prop_assert_eq!(turned.transpose(&[1, 2, 0]).unwrap(), layout);
    }

    #[test]
    fn a_reshape_keeps_row_major_numbers(layout in any_layout(2)) {
        let [m, n] = [layout.extents()[0], layout.extents()[1]];
        let flat = layout.reshape(&[m * n]).unwrap();
        for (place, [row, column, _]) in table(&layout) {
            prop_assert_eq!(flat.apply(place), [row * n + column, 0, 0]);
        }
        prop_assert_eq!(flat.reshape(&[m, n]).unwrap(), layout);
    }

    #[test]
    fn joined_halves_split_again(layout in any_layout(2)) {
        let joined = layout.join().unwrap();
        for (place, [row, column, half]) in table(&joined) {
            let own = place.with(Dim::Register, place.register / 2);
            prop_assert_eq!(([row, column, 0], half), (layout.apply(own), place.register % 2));
        }
        prop_assert_eq!(joined.split(), Some((layout, 0)));
    }

    #[test]
    fn a_broadcast_from_its_operand_moves_no_data(layout in any_layout(2)) {
        let operand = layout.broadcast_operand(1).unwrap();
        for (place, [row, _, _]) in table(&layout) {
            let source = place.with(Dim::Register, operand.new_of_old[place.register as usize]);
            prop_assert_eq!(operand.layout.apply(source), [row, 0, 0]);
        }
    }

    #[test]
    fn a_broadcast_repeats(layout in any_layout(1)) {
        let wide = layout.expand(1).unwrap().broadcast(1, 4).unwrap();
        for (place, [row, column, _]) in table(&wide) {
            let registers = layout.registers();
            let source = place.with(Dim::Register, place.register % registers);
            prop_assert_eq!(([row, 0, 0], column), (layout.apply(source), place.register / registers));
        }
    }
}

#[test]
fn a_reductions_result_is_replicated_over_the_lanes_of_its_axis() {
    let layout = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] warp=[16,0] shape=32x8");
    let sums = layout.slice(1).unwrap();
    assert_eq!(sums.to_string(), "reg=[0;8] lane=[0;0;1;2;4] warp=[16] shape=32");
    assert_eq!((sums.free(Dim::Register), sums.free(Dim::Lane), sums.free(Dim::Warp)), (0b01, 0b00011, 0));
    let dense = sums.dense();
    assert_eq!(dense.layout.to_string(), "reg=[8] lane=[0;0;1;2;4] warp=[16] shape=32");
    assert_eq!((dense.new_of_old, dense.old_of_new), (vec![0, 0, 1, 1], vec![0, 2]));
}

#[test]
fn a_scalar_is_in_every_place() {
    let scalar = parse("reg=[1] lane=[2] shape=4").slice(0).unwrap();
    assert_eq!(scalar.to_string(), "reg=[0] lane=[0] shape=scalar");
    assert_eq!(scalar.dense().layout.registers(), 1);
}

#[test]
fn halves_in_different_lanes_do_not_split() {
    assert_eq!(parse("reg=[1,0] lane=[0,1] shape=2x2").split(), None);
    assert_eq!(parse("reg=[0,1;1,0] lane=[1,1] shape=2x2").split(), None);
    // The halves are registers, but not in the same order of rows.
    assert_eq!(parse("reg=[1,1;1,0] shape=2x2").split(), None);
    assert_eq!(parse("reg=[1,0;0,1] shape=2x2").split(), Some((parse("reg=[1] shape=2"), 1)));
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let layout = parse("reg=[1,0;0,1] shape=2x2");
    assert!(layout.slice(2).is_err());
    assert!(layout.expand(3).is_err());
    assert!(layout.expand(0).unwrap().expand(0).is_err());
    assert!(layout.transpose(&[0, 0]).is_err());
    assert!(layout.reshape(&[8]).is_err());
    assert!(layout.broadcast(0, 4).is_err());
    assert!(layout.expand(2).unwrap().join().is_err());
}
