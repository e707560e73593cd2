//! The text form: printing and parsing are inverses, and nonsense is refused with the word that is wrong.

use super::{any_layout, parse};
use kcc_compiler::layout::Linear;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_printed_parses_back(layout in (0usize..4).prop_flat_map(any_layout)) {
        prop_assert_eq!(parse(&layout.to_string()), layout);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[a-z=\\[\\],;x0-9 ]{0,60}") {
        let _ = text.parse::<Linear>();
    }
}

#[test]
fn the_form_is_stable() {
    let text = "reg=[0,1;1,0] lane=[0,2;0,0] warp=[8,0] block=[4,0] shape=16x4";
    assert_eq!(parse(text).to_string(), text);
    assert_eq!(parse("shape=scalar lane=[0;0] reg=[]").to_string(), "lane=[0;0] shape=scalar");
}

#[test]
fn mistakes_are_named() {
    let message = |text: &str| text.parse::<Linear>().unwrap_err().to_string();
    assert_eq!(message("reg=[0,1]"), "the layout `reg=[0,1]` has no shape=…");
    assert_eq!(message("reg=[1] shape=2x2"), "in a layout, `1` is no move in a tile of 2 axes");
    assert_eq!(message("reg=[0,1,0] shape=2x2"), "in a layout, `0,1,0` is no move in a tile of 2 axes");
    assert!(message("reg=[0,4] shape=2x2").contains("leaves the tile"));
    assert!(message("reg=[] shape=3").contains("no power of two"));
    assert!(message("row=[] shape=2").contains("names no input"));
    assert!(message("reg=[] reg=[] shape=2").contains("again"));
    assert!(message("reg=[1;] shape=2").contains("no number"));
}
