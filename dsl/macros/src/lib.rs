//! Procedural macros of the kcc tile DSL.
