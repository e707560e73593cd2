//! What a simulated device did in a launch: how busy each pipe was, and when.

/// The last launch of a device that was opened with [`crate::Builder::trace`], by the simulator's cost model: nothing here was
/// measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Cycles from the first start to the last end.
    pub cycles: u64,
    /// The same in seconds, by the chip's clock.
    pub seconds: f64,
    /// The pipes of each kind of core that did anything.
    pub pipes: Vec<PipeTime>,
    /// A timeline in Chrome's trace format, a process for each core and a thread for each pipe: open it in Perfetto.
    pub trace: String,
}

/// How busy a pipe was, over all cores of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeTime {
    /// `cube` or `vector`.
    pub core: &'static str,
    /// Cores of that kind that took part.
    pub cores: usize,
    /// The pipe's name: `mte2`.
    pub pipe: &'static str,
    /// Cycles that it was busy, over all those cores.
    pub cycles: u64,
    /// Share of the launch that it was busy, from 0 to 1.
    pub busy: f64,
}
