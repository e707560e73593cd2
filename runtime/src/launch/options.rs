//! What a launch may choose beside grid and arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Receives each text that a kernel prints; called from any thread.
pub type PrintHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// How a launch runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// At most so many threads; `None`: all that the device has.
    pub threads: Option<usize>,
    /// Options for the compiler, by name; another set means another compilation.
    pub compile: BTreeMap<String, String>,
}
