//! Taste, as a test: what reviewers would otherwise have to say about every change.
//!
//! `cargo test -p xtask` runs [`tidy::check`] on the repository; `cargo xtask tidy` prints the same findings.

pub mod tidy;
