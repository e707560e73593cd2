//! The README shows what `make run` prints: the same similarities, in the same form.

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../../README.md");

/// The block that follows the mark in the README.
fn shown() -> Vec<&'static str> {
    let (_, after) =
        README.split_once("<!-- make run -->\n```text\n").expect("the README marks the output of `make run`");
    after.split("\n```").next().unwrap_or_default().lines().collect()
}

fn printed() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output =
        Command::new(env!("CARGO_BIN_EXE_kcc-minilm")).current_dir(root).output().expect("the demo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect()
}

/// A word as a number, without the brackets around it.
fn number(word: &str) -> Option<f64> {
    word.trim_matches(['(', ')', ',']).parse().ok()
}

/// Whether two lines agree word by word: similarities within `room` (they are printed to 0.0005, and another
/// processor sums in another order), times by being times.
fn agree(shown: &str, printed: &str, room: f64) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (shown.split_whitespace().collect(), printed.split_whitespace().collect());
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| match (number(a), number(b)) {
            (Some(a), Some(b)) => (a - b).abs() <= room,
            _ => a == b,
        })
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let (shown, printed) = (shown(), printed());
    let matrix = 7;
    assert!(shown.len() > matrix && printed.len() > matrix, "{printed:?}");
    for (a, b) in shown[..matrix].iter().zip(&printed) {
        assert!(agree(a, b, 0.0015), "README: {a}\nprinted: {b}");
    }
    // Then an empty line, times, and what was compiled, which depends on the machine and the cache.
    assert!(agree(shown[matrix + 1], &printed[matrix + 1], f64::INFINITY), "{}", printed[matrix + 1]);
    assert_eq!(shown[matrix + 3], printed[matrix + 3]);
    let last = |lines: &[String]| lines.last().cloned().unwrap_or_default();
    let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
    assert!(agree(&last(&shown), &last(&printed), f64::INFINITY), "{}", last(&printed));
}

#[test]
fn another_similarity_or_word_is_noticed() {
    assert!(agree(" 1  1.000 0.533  A cat", "1 1.000 0.534 A cat", 0.0015));
    assert!(!agree(" 1  1.000 0.533  A cat", "1 1.000 0.563 A cat", 0.0015));
    assert!(!agree(" 1  1.000 0.533  A cat", "1 1.000 0.533 A dog", 0.0015));
}
