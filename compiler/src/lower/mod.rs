//! Lowerings that backends share: from a function of a level to text in upstream dialects.

pub mod gpu;
