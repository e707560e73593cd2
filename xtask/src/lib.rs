//! Repository chores: tidy checks.
