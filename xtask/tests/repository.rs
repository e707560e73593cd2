//! The repository passes its own checks.

use std::path::Path;

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository");
    let findings = xtask::tidy::check(root).expect("the files can be listed");
    let listing: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(listing.is_empty(), "{} findings:\n{}", listing.len(), listing.join("\n"));
}
