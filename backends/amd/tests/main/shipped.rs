//! The instances that the shipped kernels list become code objects that keep to their registers: those of bf16 on every chip,
//! the others on every second one (`KCC_CASES_ALL=1`: on all).

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

/// Registers that are spilled at most, until something better is found: WMMA takes its operands twice, once for each half of a
/// wave, and 64 queries by 128 keys in four waves leave no room for that.
const SPILLS: [(&str, &str, u32); 2] = [
    ("attention_tile__f16_64_128_64_false", "gfx1100", 84),
    ("attention_tile__bf16_64_128_64_false", "gfx1100", 42),
];

/// What is wrong with an instance's object.
fn wrong(kernel: &Kernel, chip: &Chip) -> Option<String> {
    let symbol = kernel.symbol();
    let artifact = match compile_ideal(kernel, &open(&format!("amd:{}", chip.name)), &[]) {
        Ok(artifact) => artifact,
        // A launch chooses smaller tiles where a block has less memory.
        Err(e) => {
            return (chip.lds_kib > 64 || !e.contains("bytes of shared memory, a block of")).then_some(e);
        }
    };
    let allowed = SPILLS.iter().find(|(name, on, _)| (*name, *on) == (symbol.as_str(), chip.name));
    let scratch = field(&artifact.bytes, ".private_segment_fixed_size");
    let [vector, scalar] = [".vgpr_spill_count", ".sgpr_spill_count"].map(|key| field(&artifact.bytes, key));
    match allowed {
        Some((_, _, most)) if vector <= *most && scalar == 0 => {}
        None if (vector, scalar, scratch) == (0, 0, 0) => {}
        _ => {
            let spills = format!("{vector} vector and {scalar} scalar registers");
            return Some(format!("spills {spills}, {scratch} bytes of scratch"));
        }
    }
    missing(&symbol, &artifact)
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

#[test]
fn listed_instances_keep_to_their_registers_on_every_chip() {
    let kernels: Vec<Kernel> =
        kcc_dsl::registered().filter(|r| !r.candidate).map(|r| (r.def)().trace().expect("traces")).collect();
    assert!(kernels.len() > 40, "{} instances", kernels.len());
    let all = std::env::var_os("KCC_CASES_ALL").is_some();
    let jobs = |chip: usize| {
        let own = move |(i, k): &(usize, &Kernel)| all || i % 2 == chip % 2 || k.symbol().contains("bf16");
        kernels.iter().enumerate().filter(own).map(move |(_, k)| (k, &CHIPS[chip]))
    };
    let check = |chips: [usize; 2]| -> Vec<String> {
        let each = chips.into_iter().flat_map(jobs);
        each.filter_map(|(k, chip)| Some(format!("{} on {}: {}", k.symbol(), chip.name, wrong(k, chip)?)))
            .collect()
    };
    let found = std::thread::scope(|s| {
        let other = s.spawn(|| check([0, 1]));
        let mut found = check([2, 3]);
        found.extend(other.join().expect("no panic"));
        found
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}
