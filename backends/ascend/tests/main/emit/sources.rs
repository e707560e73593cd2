//! The folder's script with an ordinary compiler: every case of the folder gives the simulator's results, bit for bit, whether pipes run
//! as late or as early as events and flags allow.

use super::super::kit::{cases, folder};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The folder's script.
pub fn script(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let compiler = std::env::var("KIT_CXX").unwrap_or_else(|_| "g++".into());
    let mut c = Command::new("bash");
    c.arg(dir.join("run.sh")).args(arguments).env("KIT_CXX", compiler).envs(variables.iter().copied());
    c.output().unwrap_or_else(|e| panic!("bash does not start: {e}"))
}

pub fn said(o: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
}

#[test]
fn sources_give_the_simulators_results() {
    let dir = dir("ascend-kit");
    let cases = cases::all();
    folder::write(&dir, &cases).unwrap_or_else(|e| panic!("{e}"));
    let late = script(&dir, &["--exact"], &[]);
    assert!(late.status.success(), "{}", said(&late));
    assert!(said(&late).contains(&format!("{0} of {0} cases right", cases.len())), "{}", said(&late));
    let early = Command::new(dir.join("build/check"))
        .arg("--exact")
        .args(cases.iter().map(|c| dir.join("cases").join(&c.name)))
        .env("KCC_STANDIN", "early")
        .output()
        .unwrap_or_else(|e| panic!("the checker does not start: {e}"));
    assert!(early.status.success(), "{}", said(&early));
}
