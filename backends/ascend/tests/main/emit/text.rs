//! The text itself.
