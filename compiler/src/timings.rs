//! Time per stage of a compilation; compile time is a feature, so every stage is measured.

use std::time::Instant;

/// Names of stages and how long each took, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    entries: Vec<(String, u64)>,
}

impl Timings {
    /// Runs `work` and records its time under `stage`.
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        self.push(stage, start);
        out
    }

    /// Records the time since `start` under `stage`.
    pub fn push(&mut self, stage: &str, start: Instant) {
        self.entries.push((stage.to_owned(), u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)));
    }

    /// Adds what another compilation took.
    pub fn extend(&mut self, entries: Vec<(String, u64)>) {
        self.entries.extend(entries);
    }

    /// Stage and microseconds, in order.
    pub fn entries(&self) -> &[(String, u64)] {
        &self.entries
    }

    /// The entries, by value.
    pub fn into_entries(self) -> Vec<(String, u64)> {
        self.entries
    }
}
