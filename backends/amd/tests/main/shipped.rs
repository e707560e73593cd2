//! Every instance that the shipped kernels list becomes a code object that keeps to its registers, on every chip.

use super::disassembly::{count, disassemble};
use super::open;
use kcc_amd::chips::{CHIPS, Chip};
use kcc_backend_tests::simulate::compile_ideal;
use kcc_dsl::exchange::Artifact;
use kcc_dsl::ir::Kernel;
use kcc_kernels as _;

/// A field of the object's notes, which are MessagePack: a key, then a number of one to four bytes.
fn field(object: &[u8], key: &str) -> u32 {
    let start = object.windows(key.len()).position(|w| w == key.as_bytes());
    let rest = &object[start.unwrap_or_else(|| panic!("no {key}")) + key.len()..];
    let number = |bytes: usize| rest[1..=bytes].iter().fold(0, |n, b| n << 8 | u32::from(*b));
    match rest[0] {
        0xcc => number(1),
        0xcd => number(2),
        0xce => number(4),
        small => u32::from(small),
    }
}

/// What is wrong with an instance's object.
fn wrong(kernel: &Kernel, chip: &Chip) -> Option<String> {
    let artifact = match compile_ideal(kernel, &open(&format!("amd:{}", chip.name)), &[]) {
        Ok(artifact) => artifact,
        Err(e) => return Some(e),
    };
    let spilled: Vec<String> = [".vgpr_spill_count", ".sgpr_spill_count", ".private_segment_fixed_size"]
        .into_iter()
        .map(|key| (key, field(&artifact.bytes, key)))
        .filter(|(_, n)| *n > 0)
        .map(|(key, n)| format!("{key} {n}"))
        .collect();
    if !spilled.is_empty() {
        return Some(spilled.join(", "));
    }
    missing(&kernel.symbol(), &artifact)
}

/// Which of the instructions that a product of bf16 is made of are not there.
fn missing(symbol: &str, artifact: &Artifact) -> Option<String> {
    if !["matmul_tile", "attention_tile"].iter().any(|p| symbol.contains(p)) || !symbol.contains("bf16") {
        return None;
    }
    let all = disassemble(artifact);
    let found = |names: &[&str]| names.iter().any(|name| count(&all, name) > 0);
    let none: Vec<&str> = [
        ("matrix products", &["v_mfma_f32_16x16", "v_wmma_f32_16x16"][..]),
        ("buffer loads", &["buffer_load"]),
        ("buffer stores", &["buffer_store"]),
        ("wide reads of LDS", &["ds_read_b128", "ds_read2_b64", "ds_read2st64_b64", "ds_load_b128", "ds_read_b64"]),
    ]
    .into_iter()
    .filter(|(_, names)| !found(names))
    .map(|(what, _)| what)
    .collect();
    (!none.is_empty()).then(|| format!("no {}", none.join(", no ")))
}

#[test]
fn listed_instances_keep_to_their_registers_on_every_chip() {
    let kernels: Vec<Kernel> = kcc_dsl::registered()
        .filter(|r| !r.candidate)
        .map(|r| (r.def)().trace().expect("traces"))
        .collect();
    assert!(kernels.len() > 40, "{} instances", kernels.len());
    let found = std::thread::scope(|s| {
        let halves = CHIPS.chunks(2).map(|chips| {
            s.spawn(|| {
                let each = chips.iter().flat_map(|chip| kernels.iter().map(move |k| (k, chip)));
                each.filter_map(|(k, chip)| Some(format!("{} on {}: {}", k.symbol(), chip.name, wrong(k, chip)?)))
                    .collect::<Vec<_>>()
            })
        });
        let halves: Vec<_> = halves.collect();
        halves.into_iter().flat_map(|h| h.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}
