//! `kcc tune` from end to end: a record that is written, preferred in a pack, and left alone when it is stale.

use kcc::jit::find_kcc;
use kcc_runtime::pack::Pack;
use kcc_runtime::{Arg, Device, Tensor};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn kcc(cache: &Path, args: &[&str]) -> String {
    let kernels = super::kernels();
    let mut command = Command::new(find_kcc().unwrap());
    command.env("KCC_CACHE_DIR", cache).args(args);
    let out = command.current_dir(kernels).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Index of the variant that runs for rows of this width.
fn chosen(pack: &Path, width: usize) -> usize {
    let pack = Pack::open(pack).unwrap();
    let kernel = pack.kernel("softmax", &Device::cpu()).unwrap();
    let x = Tensor::<f32>::zeros(&[3, width]).unwrap();
    let mut y = Tensor::<f32>::zeros(&[3, width]).unwrap();
    kernel.choose(&[Arg::input(&x), Arg::output(&mut y)]).unwrap().variant
}

#[test]
fn what_is_found_fastest_is_preferred_in_its_range_and_never_when_stale() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let args = ["tune", ".", "-k", "softmax", "-a", "x=random:3x70", "-a", "y=empty:3x70"];
    let said = kcc(&cache, &[&args[..], &["--dtype", "f32", "--seconds", "0.05", "--json"]].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    let (mut record, file) = (said["record"].clone(), said["file"].as_str().unwrap());
    assert_eq!(record["results"].as_array().unwrap().len(), 3, "{said}");
    assert_eq!(said["default"], "softmax_tile<f32, 1024>");
    let range = record["range"].as_str().unwrap();
    assert!(range.contains("(1) >= 64 && ") && range.contains("(1) < 128"), "{range}");
    assert!(Path::new(file).is_file());

    let target = record["target"].as_str().unwrap().to_owned();
    let build = |name: &str, more: &[&str]| {
        let pack = dir.path().join(name);
        let args = ["pack", "build", ".", "-t", &target, "-o", pack.to_str().unwrap()];
        kcc(&cache, &[&args[..], more].concat());
        pack
    };
    let plain = build("plain.kpack", &[]);
    let usual = chosen(&plain, 70);
    assert_eq!(usual, chosen(&plain, 200));

    // Whatever was fastest here: the record shall say that it was the loop over blocks.
    let results = record["results"].as_array().unwrap();
    let blocks = results.iter().find(|t| t["instance"] == "softmax_online<f32, 4096>").unwrap();
    record["best"] = blocks["hash"].clone();
    std::fs::write(file, serde_json::to_vec(&record).unwrap()).unwrap();
    let tuned = build("tuned.kpack", &["--tuned"]);
    assert_ne!(chosen(&tuned, 70), usual, "within the range");
    assert_eq!(chosen(&tuned, 200), usual, "beyond it");

    // Of another compiler, of an instance that is not what it was, cut short: as if there were none.
    let plain = std::fs::read(&plain).unwrap();
    let mut old = record.clone();
    old["compiler"] = "0.0.1".into();
    let mut changed = record.clone();
    changed["best"] = "0".repeat(64).into();
    let [whole, old, changed] = [&record, &old, &changed].map(|r| serde_json::to_vec(r).unwrap());
    for text in [&old[..], &changed, &whole[..whole.len() / 2]] {
        std::fs::write(file, text).unwrap();
        assert!(std::fs::read(build("stale.kpack", &["--tuned"])).unwrap() == plain);
    }
}
