//! Any bytes as a pack: as the whole file, as its manifest, as its code. An error, or a pack; nothing is run.
#![no_main]

use kcc_runtime::Device;
use kcc_runtime::pack::{Pack, checksum};
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write};

/// A stored zip of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(*name, stored).expect("a name that is free");
        zip.write_all(bytes).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// A manifest of one kernel whose code has these bytes.
fn manifest(code: &[u8]) -> String {
    serde_json::json!({
        "format": "kcc-pack", "format-version": 1, "name": "fuzz", "version": "1", "compiler": "fuzz",
        "kernels": [{
            "name": "k", "op": { "name": "k", "version": 1 }, "params": [{ "name": "x", "kind": "output", "rank": 1 }],
            "variants": [{
                "backend": { "type": "cpu", "archs": [], "target": "cpu:x86-64-v3" }, "generics": "",
                "dtypes": ["f32"], "args": [kcc_dsl::exchange::ArgSpec::default()], "grid": ["1", "1", "1"],
                "tolerance": { "absolute": 0.0, "relative": 0.0 },
                "code": { "file": "bin/k.o", "bytes": code.len(), "sha256": checksum(code), "kind": "object", "symbol": "k" },
                "cpu": kcc_dsl::exchange::CpuMeta::default()
            }]
        }]
    })
    .to_string()
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (form, bytes) = input;
    let file = match form % 3 {
        0 => bytes,
        1 => zip(&[("pack.json", &bytes)]),
        _ => zip(&[("pack.json", manifest(&bytes).as_bytes()), ("bin/k.o", &bytes)]),
    };
    let Ok(pack) = Pack::from_bytes(file) else { return };
    let _ = pack.verify();
    let device = Device::cpu();
    for kernel in &pack.manifest().kernels {
        let _ = pack.kernel(&kernel.name, &device);
    }
});
