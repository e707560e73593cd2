//! Tests of the AMD backend.
