//! The kcc tile DSL: staged tiles, tracing and eager execution.
//!
//! This crate never links LLVM.

pub mod exchange;
pub mod ir;
