//! Benchmarks of kcc.
