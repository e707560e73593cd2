//! What the author or the tuner may ask of the GPU pipeline, by name.

use crate::error::{Error, nowhere};
use std::collections::BTreeMap;

/// How far buffers that are not needed at once are made to share memory, each step at the price of more barriers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reuse {
    /// As the function has them.
    #[default]
    Plain,
    /// Conversions of layouts take memory that buffers need at other times.
    Conversions,
    /// And operands of products wait in registers until the product before has read its own.
    Stores,
    /// And what threads exchange lies where no buffer is live at the time.
    Scratch,
}

/// Options of the GPU pipeline. `None` leaves the choice to the compiler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// `warps`: warps of a block that compute, a power of two up to 32.
    pub warps: Option<u32>,
    /// `stages`: buffers of software-pipelined loops, for loops whose author asked for nothing. 1 is no pipelining.
    pub stages: Option<u32>,
    /// The most buffers of a loop, whoever asked for more: set where more do not fit.
    pub most_stages: Option<u32>,
    /// Set where more memory would be needed than there is.
    pub reuse: Reuse,
    /// All options as given, for passes with knobs of their own.
    pub all: BTreeMap<String, String>,
}

/// Names that [`GpuOptions::parse`] knows; what else is given must be known to a pass.
const PASSES_OWN: [&str; 11] = [
    "cluster",
    "dies",
    "persistent",
    "specialise",
    "ping_pong",
    "interleave",
    "rotate",
    "registers",
    "blocks_per_sm",
    "bulk",
    "wide",
];

impl GpuOptions {
    /// Reads options by name.
    ///
    /// # Errors
    /// An unknown name or a bad value.
    pub fn parse(knobs: &BTreeMap<String, String>) -> Result<GpuOptions, Error> {
        let mut o = GpuOptions { all: knobs.clone(), ..GpuOptions::default() };
        for (name, value) in knobs {
            let number = || value.parse::<u32>().ok();
            let bad = |want: &str| nowhere().invalid(format!("option {name}={value}")).help(want.to_owned());
            match name.as_str() {
                "warps" => {
                    let warps = number().filter(|w| w.is_power_of_two() && *w <= 32);
                    o.warps = Some(warps.ok_or_else(|| bad("give a power of two up to 32"))?);
                }
                "stages" => {
                    let stages = number().filter(|s| (1..=16).contains(s));
                    o.stages = Some(stages.ok_or_else(|| bad("give 1 to 16"))?);
                }
                n if PASSES_OWN.contains(&n) => {}
                _ => {
                    let known = format!("options are warps, stages, {}", PASSES_OWN.join(", "));
                    return Err(nowhere().invalid(format!("`{name}` is no option of a GPU")).help(known));
                }
            }
        }
        Ok(o)
    }

    /// The same with another number for an option of a pass.
    #[must_use]
    pub fn with(&self, name: &str, number: u32) -> GpuOptions {
        let mut other = self.clone();
        other.all.insert(name.into(), number.to_string());
        other
    }

    /// A number of stages within what fits.
    pub fn capped(&self, stages: u32) -> u32 {
        stages.min(self.most_stages.unwrap_or(stages))
    }

    /// An option of a pass, as a number.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn number(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(value) = self.all.get(name) else { return Ok(None) };
        let number = value.parse().map_err(|_| {
            nowhere().invalid(format!("option {name}={value}")).help("give a number, 0 for no")
        })?;
        Ok(Some(number))
    }
}
