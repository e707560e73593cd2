//! What tuning found, on disk: one JSON file per kernel, target, device, element types and range of shapes.
//!
//! ```text
//! CACHE/tuned/….json   { kernel, target, device, compiler, dtypes, range, best: hash of its IR, results: […] }
//! ```
//! Files appear by rename, whole or not at all. A record counts only while the compiler is the one that made it and the best
//! instance's IR, by its hash, is among what is compiled now, and while a GPU of this machine has the driver that it was made with; any
//! other is stale and left alone, as is a file that cannot be read.

use super::super::Failure;
use super::build::Work;
use super::list::List;
use kcc_compiler::link::write_atomically;
use kcc_compiler::serve::compiler_version;
use kcc_runtime::jit::default_cache_dir;
use kcc_runtime::pack::checksum;
use kcc_runtime::{Builder, Device};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Version of the records' meaning.
const FORMAT: u32 = 1;
/// Beyond any cost in a list: a candidate that did not win is never chosen, one that did always is.
const MUCH: i64 = 1_000_000;

/// The outcome of a tuning.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) format: u32,
    /// The kernel's name in the list.
    pub(super) kernel: String,
    pub(super) target: String,
    /// Chip, driver, threads: what the device says of itself.
    pub(super) device: String,
    pub(super) compiler: String,
    /// Element types of the arguments.
    pub(super) dtypes: Vec<String>,
    /// A formula: the shapes that this is taken to hold for.
    pub(super) range: String,
    /// Hash of the instance to use: what won against the default, or that.
    pub(super) best: String,
    pub(super) results: Vec<Timed>,
}

/// One instance of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timed {
    pub(super) instance: String,
    pub(super) hash: String,
    pub(super) seconds: f64,
}

/// Hash of what decides an instance's code, apart from compiler and target.
pub(super) fn hash(w: &Work<'_>) -> Result<String, Failure> {
    let facts = serde_json::to_vec(&(w.traced, &w.variant.options, w.variant.any_strides));
    Ok(checksum(&facts.map_err(|e| Failure::input(e.to_string()))?))
}

/// Element types of an instance's arguments.
pub(super) fn element_types(w: &Work<'_>) -> Vec<String> {
    w.traced.params.iter().map(|p| p.kind.ty().elem().name().to_owned()).collect()
}

impl Record {
    /// A record of this compiler; `best` is the hash of what to use.
    pub(super) fn new(
        (w, best): (&Work<'_>, &str),
        kernel: &str,
        device: &str,
        range: String,
        results: Vec<Timed>,
    ) -> Record {
        Record {
            format: FORMAT,
            kernel: kernel.to_owned(),
            target: w.target.clone(),
            device: device.to_owned(),
            compiler: compiler_version().to_owned(),
            dtypes: element_types(w),
            range,
            best: best.to_owned(),
            results,
        }
    }

    /// Its file: another tuning of the same takes its place.
    fn path(&self, dir: &Path) -> PathBuf {
        let key =
            format!("{}\n{}\n{}\n{:?}\n{}", self.kernel, self.target, self.device, self.dtypes, self.range);
        dir.join(format!("{}-{}.json", self.kernel, &checksum(key.as_bytes())[..16]))
    }

    /// Writes it into the cache; `None` if there is no cache.
    pub(super) fn save(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(dir) = folder() else { return Ok(None) };
        std::fs::create_dir_all(&dir).map_err(|e| Failure::file(&dir, &e))?;
        let path = self.path(&dir);
        let text = serde_json::to_vec_pretty(self).map_err(|e| Failure::input(e.to_string()))?;
        write_atomically(&path, &text)?;
        Ok(Some(path))
    }
}

/// What a record says of its device. A CPU's description names instructions and threads; the chip is its model.
pub(super) fn describe(device: &Device) -> String {
    let text = device.describe();
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|m| m.1);
    match model.filter(|_| text.starts_with("cpu ")) {
        Some(model) => format!("{text} on {model}"),
        None => text,
    }
}

/// Whether a record's device is the present one with another driver, which both say last.
fn outdated(then: &str, now: &str) -> bool {
    let chip = |text: &str| text.rsplit_once(", ").map(|(chip, _)| chip.to_owned());
    then != now && chip(then) == chip(now)
}

/// Whether a GPU of this machine has had another driver since. Of other machines nothing is known here.
fn stale(device: &str) -> bool {
    let name = device.split(' ').next().unwrap_or_default();
    let gpu = name.starts_with("cuda") || name.starts_with("hip");
    gpu && Builder::open(name).is_ok_and(|b| outdated(device, &b.build().describe()))
}

fn folder() -> Option<PathBuf> {
    default_cache_dir().map(|dir| dir.join("tuned"))
}

/// The records of this compiler, oldest first.
fn all() -> Vec<Record> {
    let files = folder().and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let mut found: Vec<(SystemTime, Record)> = files
        .filter_map(|file| {
            let time = file.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let record: Record = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
            let ours = record.format == FORMAT && record.compiler == compiler_version();
            (ours && !stale(&record.device)).then_some((time, record))
        })
        .collect();
    found.sort_by_key(|(time, _)| *time);
    found.into_iter().map(|(_, record)| record).collect()
}

/// Gives what was found fastest a cost below all others', in the ranges of shapes where it was; candidates among them become
/// variants.
pub(super) fn prefer(list: &List, work: &mut [Work<'_>]) -> Result<(), Failure> {
    let hashes: Vec<String> = work.iter().map(hash).collect::<Result<_, _>>()?;
    // The newest record of a range counts.
    let newest: BTreeMap<(String, String, Vec<String>, String), Record> = all()
        .into_iter()
        .map(|r| ((r.kernel.clone(), r.target.clone(), r.dtypes.clone(), r.range.clone()), r))
        .collect();
    for (w, hash) in work.iter_mut().zip(&hashes) {
        let of = |r: &&Record| {
            r.kernel == list.kernels[w.kernel].name
                && r.target == w.target
                && r.best == *hash
                && r.dtypes == element_types(w)
        };
        let ranges: Vec<String> = newest.values().filter(of).map(|r| format!("({})", r.range)).collect();
        if ranges.is_empty() {
            continue;
        }
        let usual = if w.candidate { MUCH.to_string() } else { w.cost.clone() };
        let usual = if usual.is_empty() { "0".to_owned() } else { usual };
        w.cost = format!("{usual} - {} * ({})", 2 * MUCH, ranges.join(" || "));
        w.candidate = false;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::outdated;

    #[test]
    fn a_record_of_the_same_chip_with_another_driver_is_outdated() {
        let then = "cuda:0 (NVIDIA H100, nvidia:sm_90a, driver for CUDA 12.4)";
        assert!(outdated(then, "cuda:0 (NVIDIA H100, nvidia:sm_90a, driver for CUDA 12.8)"));
        assert!(!outdated(then, then));
        assert!(!outdated(then, "cuda:0 (NVIDIA L40S, nvidia:sm_89, driver for CUDA 12.8)"));
    }
}
