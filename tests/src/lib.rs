//! Cross-crate tests of kcc.
