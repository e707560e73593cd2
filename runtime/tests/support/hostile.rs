//! Manifests and files that nobody's writer makes, by the thousand: read as an error or as a pack, never with a panic.
//!
//! `KCC_FUZZ_CASES` says how many; the coverage-guided form is `fuzz/fuzz_targets/read_pack.rs`.

use super::schema::Schema;
use super::{CODE, FILE, manifest, object, variant, with_manifest, zip, zip_of};
use kcc_runtime::pack::Pack;
use kcc_runtime::{Arg, Device, Tensor};
use serde_json::{Value, json};
use zip::CompressionMethod::Stored;

fn cases(usual: usize) -> usize {
    std::env::var("KCC_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Numbers that look random, the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

/// Puts something else somewhere into a value.
fn change(value: &mut Value, random: &mut Random) {
    let deeper = random.below(5) > 0;
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).cloned().unwrap();
            if random.below(8) == 0 {
                map.remove(&key);
            } else {
                change(&mut map[&key], random);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = random.below(list.len());
            match random.below(8) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                _ => change(&mut list[at], random),
            }
        }
        Value::String(text) if random.below(2) == 0 => {
            let mut chars: Vec<char> = text.chars().collect();
            let odd = ['(', ')', '.', '-', '9', 'x', '/', '\0', 'é', '%', '<', '!', '&', ' '];
            chars.insert(random.below(chars.len() + 1), odd[random.below(odd.len())]);
            *text = chars.into_iter().collect();
        }
        _ => {
            let odd = [
                json!(null),
                json!(-1),
                json!(0),
                json!(7),
                json!(64),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(1e300),
                json!(true),
                json!(""),
                json!("f32"),
                json!("f8e4m3"),
                json!("scalar"),
                json!("output"),
                json!("cpu:x86-64-v4"),
                json!("nvidia:sm_90a"),
                json!("ascend:910b"),
                json!("ptx"),
                json!("object"),
                json!("x.dim(0) / (x.dim(1) - x.dim(1))"),
                json!("x.dim(5)"),
                json!("-9223372036854775807 - y.dim(1)"),
                json!("x.stride(1) * 9223372036854775807"),
                json!("pack.json"),
                json!("bin/../../x"),
                json!([]),
                json!({}),
                json!([[[[[[[[[[1]]]]]]]]]]),
                json!("z".repeat(5000)),
            ];
            *value = odd[random.below(odd.len())].clone();
        }
    }
}

#[test]
fn a_manifest_that_nobody_writes_is_an_error_or_a_pack() {
    let code = object();
    let mut good = manifest();
    let v = &mut good.kernels[0].variants[0];
    *v = variant(&code, FILE);
    v.code.symbol = "copy_f32".into();
    let good = serde_json::to_value(&good).unwrap();
    let device = Device::cpu();
    let (x, mut y) = (Tensor::<f32>::zeros(&[2, 3]).unwrap(), Tensor::<f32>::zeros(&[2, 3]).unwrap());
    let args = [Arg::input(&x), Arg::output(&mut y)];
    let (mut opened, mut loaded, mut chosen) = (0, 0, 0);
    let cases = cases(3000);
    let schema = Schema::of_packs();
    assert_eq!(schema.check(&good), Ok(()));
    for seed in 0..cases {
        let mut random = Random::new(seed as u64);
        let mut json = good.clone();
        for _ in 0..1 + random.below(3) {
            change(&mut json, &mut random);
        }
        let text = serde_json::to_vec(&json).unwrap();
        let Ok(pack) = Pack::from_bytes(zip_of(&[("pack.json", &text), (FILE, &code)], Stored)) else {
            continue;
        };
        opened += 1;
        // What the schema refuses, no reader may take.
        assert_eq!(schema.check(&json), Ok(()), "seed {seed}");
        let _ = pack.verify();
        for kernel in &pack.manifest().kernels {
            let Ok(kernel) = pack.kernel(&kernel.name, &device) else { continue };
            loaded += 1;
            // What it would run; nothing is run, since the code has other arguments than some of these manifests say.
            chosen += usize::from(kernel.choose(&args).is_ok());
            let _ = (kernel.choices(&args), kernel.choose(&args[..1]), kernel.choose(&[]));
        }
    }
    // Enough get far, and enough do not.
    assert!(opened > cases / 20 && loaded > cases / 50 && chosen > cases / 100, "{opened} {loaded} {chosen}");
    assert!(opened < cases * 9 / 10, "{opened} of {cases}");
}

#[test]
fn changed_code_with_a_right_checksum_does_no_harm_before_it_runs() {
    let whole = object();
    for seed in 0..cases(400) {
        let mut random = Random::new(seed as u64);
        let mut code = whole.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(code.len());
            code[at] = [0, 1, 0x7f, 0xff, random.below(256) as u8][random.below(5)];
        }
        let cut = if random.below(4) == 0 { random.below(code.len()) } else { 0 };
        code.truncate(code.len() - cut);
        // An error or code in memory; a crash would end the test.
        let _ = super::loaded(&code);
    }
}

/// Whatever bytes change, a pack is read as it was or refused; nothing panics.
#[test]
fn changed_bytes_are_noticed() {
    let whole = zip();
    for seed in 0..cases(2000) {
        let mut random = Random::new(seed as u64);
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(2) {
            let at = random.below(bytes.len());
            bytes[at] = [0, 1, 0xff, random.below(256) as u8][random.below(4)];
        }
        if let Ok(pack) = Pack::from_bytes(bytes)
            && pack.verify().is_ok()
        {
            assert_eq!(pack.manifest(), &manifest(), "seed {seed}");
            for v in pack.manifest().kernels.iter().flat_map(|k| &k.variants) {
                assert_eq!(&pack.code(&v.code).unwrap()[..], CODE, "seed {seed}");
            }
        }
        assert!(Pack::from_bytes(whole[..random.below(whole.len())].to_vec()).is_err(), "seed {seed}");
    }
}

/// Offsets of the entries of a zip's directory.
fn directory(zip: &[u8]) -> Vec<usize> {
    (0..zip.len() - 4).filter(|&at| zip[at..].starts_with(b"PK\x01\x02")).collect()
}

fn refused(bytes: Vec<u8>) -> String {
    Pack::from_bytes(bytes).and_then(|p| p.verify()).unwrap_err().to_string()
}

#[test]
fn entries_that_share_bytes_or_a_name_are_refused() {
    let text = serde_json::to_vec(&manifest()).unwrap();
    let other = FILE.replace("softmax", "softmix");
    let three = || zip_of(&[("pack.json", &text), (FILE, CODE), (&other, CODE)], Stored);
    // The third entry's header is said to lie where the second one's does.
    let mut shared = three();
    let entries = directory(&shared);
    let offset: [u8; 4] = shared[entries[1] + 42..entries[1] + 46].try_into().unwrap();
    shared[entries[2] + 42..entries[2] + 46].copy_from_slice(&offset);
    let message = refused(shared);
    assert!(message.contains("entries overlap"), "{message}");
    // Two entries of one name.
    let mut twice = three();
    while let Some(at) = twice.windows(other.len()).position(|w| w == other.as_bytes()) {
        twice[at..at + other.len()].copy_from_slice(FILE.as_bytes());
    }
    let message = refused(twice);
    assert!(message.contains("two entries have one name: 3 entries, 2 names"), "{message}");
    // Encrypted: bit 0 of the flags.
    let mut locked = zip();
    for at in directory(&locked) {
        locked[at + 8] |= 1;
    }
    let message = refused(locked);
    assert!(
        message.contains("stored") || message.contains("no pack") || message.contains("ncrypt"),
        "{message}"
    );
}

#[test]
fn more_than_anybody_needs_is_refused() {
    let text = serde_json::to_vec(&manifest()).unwrap();
    let names: Vec<String> = (0..=1 << 16).map(|i| format!("bin/{i}")).collect();
    let mut all: Vec<(&str, &[u8])> = vec![("pack.json", &text)];
    all.extend(names.iter().map(|n| (&**n, &b""[..])));
    assert!(refused(zip_of(&all, Stored)).contains("more than 65536"));
    // A folder's manifest of a terabyte, which takes no room on the disk.
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("pack.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    let message = Pack::open(dir.path()).err().unwrap().to_string();
    assert!(message.contains("longer than 64 MiB"), "{message}");
    let nested = [b"[".repeat(1 << 20), b"]".repeat(1 << 20)].concat();
    assert!(refused(zip_of(&[("pack.json", &nested)], Stored)).contains("pack.json"));
    let deep = with_manifest(|j| j["kernels"][0]["params"][0]["rank"] = 7.into());
    assert!(refused(deep).contains("7 axes; at most 6 are possible"));
    let axis = with_manifest(|j| j["kernels"][0]["variants"][0]["args"][0]["unit_axis"] = 2.into());
    assert!(refused(axis).contains("`x` has no axis 2"));
}
