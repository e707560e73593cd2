//! What the standard pack lists for AMD's chips becomes code objects that keep to their registers.

use super::disassembly::{count, disassemble};
use super::open;
use kcc_amd::chips::CHIPS;
use kcc_amd::code_object::note;
use kcc_backend_tests::simulate::compile_ideal;
use kcc_dsl::exchange::Artifact;
use kcc_dsl::ir::Kernel;
use kcc_gcn::Object;
use kcc_kernels as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

/// An instance, a chip, and the options that the list asks for.
type Case = (String, &'static str, BTreeMap<String, String>);

fn spaceless(s: &str) -> String {
    s.chars().filter(|c| !c.is_whitespace()).collect()
}

/// What `kernels/kcc.toml` lists for these chips, each once.
fn listed() -> BTreeSet<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/kcc.toml");
    let text = std::fs::read_to_string(path).expect("the list is there");
    let list: toml::Table = text.parse().expect("TOML");
    let all = list["pack"]["targets"].as_array().expect("targets");
    let mut cases = BTreeSet::new();
    for kernel in list["kernel"].as_array().expect("kernels") {
        for variant in kernel["variants"].as_array().expect("variants") {
            let function = variant.get("function").unwrap_or(&kernel["function"]).as_str().expect("a name");
            let generics = variant["generics"].as_str().expect("generics");
            let options = variant.get("options").and_then(|o| o.as_table()).into_iter().flatten();
            let options: BTreeMap<String, String> =
                options.map(|(k, v)| (k.clone(), v.as_str().expect("text").to_owned())).collect();
            let targets = variant.get("targets").map_or(all, |t| t.as_array().expect("targets"));
            for target in targets.iter().filter_map(|t| t.as_str()?.strip_prefix("amd:")) {
                let chip = CHIPS.iter().find(|c| c.name == target).expect("a known chip");
                cases.insert((format!("{function}<{}>", spaceless(generics)), chip.name, options.clone()));
            }
        }
    }
    cases
}

/// What is wrong with an instance's object.
fn wrong(kernel: &Kernel, (name, chip, options): &Case) -> Option<String> {
    let options: Vec<(&str, &str)> = options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let artifact = match compile_ideal(kernel, &open(&format!("amd:{chip}")), &options) {
        Ok(artifact) => artifact,
        Err(e) => return Some(e),
    };
    let spilled: Vec<String> = [".vgpr_spill_count", ".sgpr_spill_count", ".private_segment_fixed_size"]
        .into_iter()
        .map(|key| (key, note(&artifact.bytes, key).unwrap_or_else(|| panic!("no {key}"))))
        .filter(|(_, n)| *n > 0)
        .map(|(key, n)| format!("{key} {n}"))
        .collect();
    if !spilled.is_empty() {
        return Some(spilled.join(", "));
    }
    strange(&artifact).or_else(|| missing(name, &artifact))
}

/// Inputs of a kernel that are no arguments of the metadata, and instructions that the emulator cannot run.
fn strange(artifact: &Artifact) -> Option<String> {
    let object = match Object::load(&artifact.bytes, &artifact.symbol) {
        Ok(object) => object,
        Err(e) => return Some(e.to_string()),
    };
    let (registers, hidden) = object.asks_for();
    if let Some(what) = registers.first().copied().or(hidden.first().copied()) {
        return Some(format!("it asks for {what}"));
    }
    object.unknown().next().map(|text| format!("the emulator does not know `{text}`"))
}

/// Which of the instructions that a product of bf16 is made of are not there.
fn missing(name: &str, artifact: &Artifact) -> Option<String> {
    if !["matmul_tile<bf16", "attention_tile<bf16"].iter().any(|p| name.starts_with(p)) {
        return None;
    }
    let all = disassemble(artifact);
    let found = |names: &[&str]| names.iter().any(|name| count(&all, name) > 0);
    let none: Vec<&str> = [
        ("matrix products", &["v_mfma_f32_16x16", "v_wmma_f32_16x16"][..]),
        ("buffer loads", &["buffer_load"]),
        ("buffer stores", &["buffer_store"]),
        (
            "wide reads of LDS",
            &["ds_read_b128", "ds_read2_b64", "ds_read2st64_b64", "ds_load_b128", "ds_read_b64"],
        ),
    ]
    .into_iter()
    .filter(|(_, names)| !found(names))
    .map(|(what, _)| what)
    .collect();
    (!none.is_empty()).then(|| format!("no {}", none.join(", no ")))
}

/// The instances that the kernels list for tools, by name.
fn instances() -> BTreeMap<String, Kernel> {
    kcc_dsl::registered()
        .filter(|r| !r.candidate && r.module_path.split("::").next() == Some("kcc_kernels"))
        .map(|r| (r.def)().trace().expect("traces"))
        .map(|k| (format!("{}<{}>", k.name, spaceless(&k.generics)), k))
        .collect()
}

/// Nothing is wrong with any of the cases, on all cores.
fn hold(cases: &BTreeSet<Case>, wrong: impl Fn(&Case) -> Option<String> + Sync) {
    let (next, found) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            s.spawn(|| {
                loop {
                    let Some(case) = next.lock().expect("no panic").next() else { break };
                    if let Some(what) = wrong(case) {
                        found.lock().expect("no panic").push(format!("{} on {}: {what}", case.0, case.1));
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("no panic");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_the_standard_pack_lists_keeps_to_its_registers_on_every_chip() {
    let (kernels, cases) = (instances(), listed());
    assert!(cases.len() > 300, "{} cases", cases.len());
    let kernel = |name: &str| kernels.get(name).unwrap_or_else(|| panic!("no instance {name}"));
    hold(&cases, |case| wrong(kernel(&case.0), case));
}

#[test]
fn every_instance_becomes_code_for_every_chip() {
    let (kernels, done) = (instances(), listed());
    let all = kernels.keys().flat_map(|name| CHIPS.iter().map(|c| (name.clone(), c.name, BTreeMap::new())));
    let cases: BTreeSet<Case> = all.filter(|case| !done.contains(case)).collect();
    assert!(kernels.len() > 100, "{} instances", kernels.len());
    hold(&cases, |(name, chip, _)| compile_ideal(&kernels[name], &open(&format!("amd:{chip}")), &[]).err());
}
