//! Pictures, whole where they are small.

use super::parse;
use kcc_compiler::layout::{Linear, Picture, Shared};

#[test]
fn a_layout_is_a_table_of_lanes_and_registers() {
    let layout = parse("reg=[0,1;1,0] lane=[0,2;0,4] shape=2x8");
    let expected = "      0    1    2    3    4    5    6    7
0  L0r0 L0r1 L1r0 L1r1 L2r0 L2r1 L3r0 L3r1
1  L0r2 L0r3 L1r2 L1r3 L2r2 L2r3 L3r2 L3r3
";
    assert_eq!(Picture::of_layout(&layout).unwrap().text(), expected);
}

#[test]
fn warps_copies_and_gaps_are_marked() {
    let layout = parse("lane=[0;1] warp=[2] shape=8");
    let text = Picture::of_layout(&layout).unwrap().text();
    assert_eq!(
        text.lines().nth(1).unwrap().trim_end(),
        "0  w0L0r0* w0L2r0* w1L0r0* w1L2r0*       -       -       -       -"
    );
}

#[test]
fn planes_are_drawn_one_by_one() {
    let text = Picture::of_layout(&parse("reg=[1,0,0;0,0,1] shape=2x1x2")).unwrap().text();
    assert_eq!(text, "plane 0\n      0    1\n0  L0r0 L0r2\nplane 1\n      0    1\n0  L0r1 L0r3\n");
}

#[test]
fn an_image_has_a_cell_and_a_note_per_element() {
    let svg = Picture::of_layout(&parse("reg=[0,1;1,0] lane=[0,2;0,4] shape=2x8")).unwrap().svg();
    assert_eq!(svg.matches("<title>").count(), 16);
    assert!(svg.contains("<title>(1, 6): L3r2</title>"), "{svg}");
}

#[test]
fn a_buffer_shows_offsets_and_banks() {
    let shared = Shared::panels(&[8, 16], &[1, 0], 2, 32).unwrap();
    let text = Picture::of_shared(&shared, 32, 4).unwrap();
    // Row 4 is the first of the second line: its two chunks of 8 are exchanged.
    let row: Vec<String> = text.text().lines().nth(5).unwrap().split_whitespace().map(String::from).collect();
    assert_eq!(row[1..3], ["72", "73"]);
    assert!(text.svg().contains("<title>(4, 0): offset 72, bank 4</title>"));
}

#[test]
fn what_is_too_large_is_an_error() {
    assert!(Picture::of_layout(&Linear::row_major(&[1024, 1024]).unwrap()).is_err());
    let replicated = parse("shape=1").replicated(kcc_compiler::layout::Dim::Register, 23).unwrap();
    assert!(Picture::of_layout(&replicated).is_err());
}

#[test]
fn the_figure_in_the_documentation_is_what_is_drawn() {
    let figure = include_str!("../../../../docs/layout-accumulator.svg");
    let layout = parse("reg=[0,1;8,0] lane=[0,2;0,4;1,0;2,0;4,0] shape=16x8");
    assert_eq!(Picture::of_layout(&layout).unwrap().svg(), figure);
    assert_eq!(layout.at(2, 13, 0), [11, 2, 0]);
}
