//! `kcc layout`: the documentation's examples, and refusals.

use super::Bench;

const DOCS: &str = include_str!("../../../docs/layouts.md");

/// Lines without the blanks at their ends.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// What the documentation shows after a command, up to the end of the block.
fn shown(command: &str) -> String {
    let (_, after) =
        DOCS.split_once(&format!("$ kcc {command}\n")).expect("the documentation has the command");
    after.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn buffers_are_drawn_as_documented() {
    let out = Bench::new().done(&["layout", "swizzle", "--shape", "8x16", "--elem", "bf16", "--row", "32"]);
    let expected = shown("layout swizzle --shape 8x16 --elem bf16 --row 32");
    assert_eq!(trimmed(&out).trim(), trimmed(&expected).trim());
}

#[test]
fn conversions_are_priced_as_documented() {
    let from = "reg=[0,1;8,0;0,8;0,16] lane=[0,2;0,4;1,0;2,0;4,0] warp=[16,0;32,0] shape=64x32";
    let to = "reg=[0,1;0,2;0,4;32,0] lane=[0,8;0,16;1,0;2,0;4,0] warp=[8,0;16,0] shape=64x32";
    let out = Bench::new().done(&["layout", "convert", "--elem", "bf16", from, to]);
    let expected = shown(&format!("layout convert --elem bf16 \\\n    '{from}' \\\n    '{to}'"));
    assert_eq!(trimmed(&out).trim(), trimmed(&expected).trim());
}

#[test]
fn an_image_is_written_and_lanes_default_to_a_warp() {
    let bench = Bench::new();
    let facts =
        bench.json(&["layout", "blocked", "--shape", "16x32", "--elem", "bf16", "--svg", "x.svg", "--json"]);
    assert_eq!(facts["layout"], "reg=[0,1;0,2;0,4;8,0] lane=[0,8;0,16;1,0;2,0;4,0] shape=16x32");
    assert!(std::fs::read_to_string(bench.path("x.svg")).unwrap().starts_with("<svg"));
    let one = bench.json(&["layout", "blocked", "--shape", "32", "--elem", "bf16", "--json"]);
    assert_eq!(one["layout"], "reg=[1;2;4] lane=[8;16;0;0;0] shape=32");
}

#[test]
fn nonsense_is_refused_with_the_word_that_is_wrong() {
    let bench = Bench::new();
    assert!(bench.refused(&["layout", "of", "reg=[1"]).contains("`reg=[1` has no list in brackets"));
    assert!(bench.refused(&["layout", "blocked", "--shape", "3x0"]).contains("`3x0` is no shape"));
    assert!(bench.refused(&["layout", "blocked", "--shape", "8x8", "--order", "0,5"]).contains("no axis 5"));
    assert!(
        bench.refused(&["layout", "blocked", "--shape", "8", "--elem", "f7"]).contains("no element type")
    );
    assert!(
        bench.refused(&["layout", "convert", "shape=2", "shape=4"]).contains("no conversion between tiles")
    );
    assert!(bench.refused(&["layout", "swizzle", "--shape", "8x8", "--row", "48"]).contains("48 bytes"));
}
