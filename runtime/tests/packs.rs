//! Packs: what a good one gives, and that no bad one is believed.

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/object.rs"]
mod object;
#[path = "support/schema.rs"]
mod schema;

use kcc_runtime::pack::format::{
    Backend, Code, CodeKind, Dtype, Kernel, Kind, Manifest, Op, Param, Tolerance, Variant,
};
use kcc_runtime::pack::{Pack, Writer};
use kcc_runtime::{Device, Error};
use object::object;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn variant(code: &[u8], file: &str) -> Variant {
    Variant {
        backend: Backend {
            r#type: "cpu".into(),
            archs: vec!["x86-64-v3".into()],
            target: "cpu:x86-64-v3".into(),
        },
        generics: "f32, 64".into(),
        dtypes: vec![Dtype(kcc_dsl::ir::Elem::F32); 2],
        args: vec![kcc_dsl::exchange::ArgSpec { unit_axis: Some(1), ..Default::default() }; 2],
        when: vec!["x.dim(1) <= 64".into()],
        cost: String::new(),
        grid: ["x.dim(0)".into(), "1".into(), "1".into()],
        workspace: String::new(),
        tolerance: Tolerance { absolute: 0.0, relative: 1e-6 },
        code: Code::new(file, CodeKind::Object, "softmax", code),
        cpu: Some(Default::default()),
        gpu: None,
        npu: None,
    }
}

const FILE: &str = "bin/cpu-x86-64-v3/softmax.o";
const CODE: &[u8] = b"not an object, but bytes with a checksum";

fn manifest() -> Manifest {
    let params = [("x", Kind::Input), ("y", Kind::Output)];
    let kernel = Kernel {
        name: "softmax".into(),
        op: Op { name: "softmax".into(), version: 1 },
        params: params.iter().map(|(n, k)| Param { name: (*n).into(), kind: *k, rank: 2 }).collect(),
        source: None,
        variants: vec![variant(CODE, FILE)],
    };
    Manifest::new("test", "1.0.0", "test", vec![kernel])
}

fn files() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(FILE.to_owned(), CODE.to_vec())])
}

/// A file with these bytes, in a folder that is removed with the first value.
fn on_disk(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.kpack");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn zip() -> Vec<u8> {
    Writer::new(&manifest(), files()).unwrap().zip().unwrap()
}

/// The message with which a pack of these bytes is refused.
fn refusal(bytes: &[u8]) -> String {
    let (_dir, path) = on_disk(bytes);
    match Pack::open(&path).and_then(|p| p.verify()) {
        Ok(()) => "accepted".into(),
        Err(e) => e.to_string().replace(&path.display().to_string(), "PACK"),
    }
}

/// A pack whose manifest was changed; the writer's own checks are gone round.
fn with_manifest(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json = serde_json::to_value(manifest()).unwrap();
    change(&mut json);
    let text = serde_json::to_vec(&json).unwrap();
    zip_of(&[("pack.json", &text), (FILE, CODE)], zip::CompressionMethod::Stored)
}

fn zip_of(files: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_pack_is_the_same_as_a_zip_and_as_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::new(&manifest(), files()).unwrap();
    let (zip, folder) = (dir.path().join("a.kpack"), dir.path().join("b.kpack"));
    std::fs::write(&zip, writer.zip().unwrap()).unwrap();
    writer.folder(&folder).unwrap();
    for path in [zip, folder] {
        let pack = Pack::open(&path).unwrap();
        assert_eq!(pack.manifest(), &manifest());
        pack.verify().unwrap();
        assert_eq!(&pack.code(&pack.manifest().kernels[0].variants[0].code).unwrap()[..], CODE);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(zip(), zip());
}

#[test]
fn code_starts_at_a_multiple_of_64_bytes() {
    let zip = zip();
    let at = zip.windows(CODE.len()).position(|w| w == CODE).unwrap();
    assert_eq!(at % 64, 0);
}

#[test]
fn a_folder_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::new(&manifest(), files()).unwrap();
    let path = dir.path().join("p");
    writer.folder(&path).unwrap();
    assert_eq!(writer.folder(&path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half-written stays");
}

#[test]
fn defects_of_the_container_are_named() {
    let stored = zip::CompressionMethod::Stored;
    let text = serde_json::to_vec(&manifest()).unwrap();
    assert!(
        refusal(&zip()[..zip().len() / 2])
            .starts_with("PACK: it is no pack: neither a folder nor a whole zip")
    );
    assert!(refusal(b"").contains("PACK"));
    assert_eq!(refusal(&zip_of(&[(FILE, CODE)], stored)), "PACK: it holds no `pack.json`");
    assert_eq!(refusal(&zip_of(&[("pack.json", &text)], stored)), format!("PACK: it holds no `{FILE}`"));
    let outside = zip_of(&[("pack.json", &text), ("../evil", CODE)], stored);
    assert_eq!(refusal(&outside), "PACK: an entry is called \"../evil\": names must stay within the pack");
    let changed = zip_of(&[("pack.json", &text), (FILE, &[b'x'; 40])], stored);
    assert_eq!(refusal(&changed), format!("PACK: `{FILE}` does not have its checksum"));
    let short = zip_of(&[("pack.json", &text), (FILE, &CODE[..7])], stored);
    assert_eq!(refusal(&short), format!("PACK: `{FILE}` has 7 bytes or more, pack.json says {}", CODE.len()));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    // 4 GiB as the directory states them; the file itself is small.
    let mut bomb = zip();
    let directory = bomb.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bomb[directory + 24..directory + 28].copy_from_slice(&u32::MAX.to_le_bytes()[..]);
    let message = refusal(&bomb);
    assert!(message.contains("does not fit the file") || message.contains("no pack"), "{message}");
    // Compressed: method 8 in the directory.
    let mut compressed = zip();
    compressed[directory + 10] = 8;
    let message = refusal(&compressed);
    assert!(message.contains("is compressed; entries of a pack are stored"), "{message}");
}

#[test]
fn defects_of_the_manifest_are_named() {
    let first = |json: &mut serde_json::Value, field: &str, value: serde_json::Value| {
        json["kernels"][0]["variants"][0][field] = value;
    };
    let version = with_manifest(|j| j["format-version"] = 2.into());
    assert_eq!(refusal(&version), "PACK: version 2 of the format; this program reads version 1");
    let unknown = with_manifest(|j| j["colour"] = "red".into());
    assert!(refusal(&unknown).contains("unknown field `colour`"), "{}", refusal(&unknown));
    let dtypes = with_manifest(|j| first(j, "dtypes", serde_json::json!(["f32"])));
    assert_eq!(refusal(&dtypes), "PACK: kernel `softmax`, variant 0: 1 dtypes and 2 facts for 2 parameters");
    let dtype = with_manifest(|j| first(j, "dtypes", serde_json::json!(["f32", "f33"])));
    assert!(refusal(&dtype).contains("`f33` is no element type"));
    let formula = with_manifest(|j| first(j, "grid", serde_json::json!(["z.dim(0)", "1", "1"])));
    assert_eq!(
        refusal(&formula),
        "PACK: kernel `softmax`, variant 0: `grid`: the kernel has no argument `z`, at character 0 of `z.dim(0)`"
    );
    let path =
        with_manifest(|j| j["kernels"][0]["variants"][0]["code"]["file"] = "bin/../../etc/passwd".into());
    assert!(refusal(&path).contains("is not within the pack's `bin/`"));
    let facts = with_manifest(|j| {
        j["kernels"][0]["variants"][0].as_object_mut().unwrap().remove("cpu");
    });
    assert!(refusal(&facts).contains("`cpu` is missing"));
    let twice = with_manifest(|j| {
        let kernel = j["kernels"][0].clone();
        j["kernels"].as_array_mut().unwrap().push(kernel);
    });
    assert_eq!(refusal(&twice), "PACK: two kernels are called `softmax`");
}

#[test]
fn a_folder_whose_link_leads_out_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("p");
    Writer::new(&manifest(), files()).unwrap().folder(&pack).unwrap();
    let outside = dir.path().join("outside.o");
    std::fs::write(&outside, CODE).unwrap();
    let inside = pack.join(FILE);
    std::fs::remove_file(&inside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    let message = Pack::open(&pack).and_then(|p| p.verify()).unwrap_err().to_string();
    assert!(message.contains("leads out of the pack"), "{message}");
}

#[test]
fn a_kernel_that_is_not_there_or_not_for_the_device_is_an_error() {
    let (_dir, path) = on_disk(&zip());
    let pack = Pack::open(&path).unwrap();
    let Err(Error::Load { reason, .. }) = pack.kernel("softmin", &Device::cpu()) else { panic!("loaded") };
    assert!(reason.contains("there are softmax"), "{reason}");
    let Err(Error::Load { reason, .. }) = pack.kernel("softmax", &Device::eager()) else { panic!("loaded") };
    assert!(reason.contains("code for cpu:x86-64-v3; the device is eager"), "{reason}");
}

/// A change of the first variant.
fn with_variant(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    with_manifest(|j| change(&mut j["kernels"][0]["variants"][0]))
}

#[test]
fn source_text_is_code_of_a_target_that_this_program_may_not_run() {
    let source = with_variant(|v| {
        v["code"]["kind"] = "source".into();
        v["backend"] = serde_json::json!({ "type": "npu", "archs": ["2201"], "target": "ascend:2201" });
        v.as_object_mut().unwrap().remove("cpu");
        v["npu"] = serde_json::json!({
            "chip": "ascend910b", "arch": "dav-2201", "blocks": "Vectors", "most_blocks": 40, "workspace_bytes": 0
        });
    });
    assert_eq!(refusal(&source), "accepted");
    let bare = with_variant(|v| v["code"]["kind"] = "source".into());
    assert!(refusal(&bare).contains("`npu` is missing"));
    let pack = Pack::from_bytes(source).unwrap();
    let Err(Error::Load { reason, .. }) = pack.kernel("softmax", &Device::cpu()) else { panic!("loaded") };
    assert!(reason.contains("code for ascend:2201"), "{reason}");
}

#[test]
fn only_text_stands_in_for_machine_code() {
    let code = serde_json::to_value(&manifest().kernels[0].variants[0].code).unwrap();
    let of = |kind: &str, change: fn(&mut serde_json::Value)| {
        let mut fallback = code.clone();
        fallback["kind"] = kind.into();
        change(&mut fallback);
        refusal(&with_variant(|v| v["code"]["fallback"] = fallback))
    };
    assert!(of("ptx", |_| {}).contains("`fallback` is PTX for a cubin, and has none itself"));
    let gpu = |fallback: serde_json::Value| {
        refusal(&with_variant(|v| {
            v["code"]["kind"] = "cubin".into();
            v["code"]["fallback"] = fallback;
            let views = vec![kcc_dsl::exchange::GpuArg::View { rank: 2, elem: kcc_dsl::ir::Elem::F32 }; 2];
            v["gpu"] = serde_json::to_value(kcc_dsl::exchange::GpuMeta { args: views, ..Default::default() })
                .unwrap();
        }))
    };
    let ptx = |change: fn(&mut serde_json::Value)| {
        let mut fallback = code.clone();
        fallback["kind"] = "ptx".into();
        change(&mut fallback);
        fallback
    };
    assert_eq!(gpu(ptx(|_| {})), "accepted");
    assert!(gpu(ptx(|f| f["file"] = "../x".into())).contains("is not within the pack's `bin/`"));
    assert!(gpu(ptx(|f| f["sha256"] = "0".repeat(64).into())).contains("does not have its checksum"));
    assert!(gpu(ptx(|f| f["fallback"] = f.clone())).contains("has none itself"));
}

#[test]
fn arguments_of_a_gpu_must_be_the_parameters() {
    use kcc_dsl::exchange::{GpuArg, GpuMeta};
    use kcc_dsl::ir::Elem;
    let view = GpuArg::View { rank: 2, elem: Elem::F32 };
    for args in [
        vec![view],
        vec![view, GpuArg::View { rank: 1, elem: Elem::F32 }],
        vec![view, GpuArg::View { rank: 2, elem: Elem::F16 }],
        vec![view, GpuArg::Scalar(Elem::F32)],
    ] {
        let gpu = serde_json::to_value(GpuMeta { args, ..Default::default() }).unwrap();
        let message = refusal(&with_variant(|v| v["gpu"] = gpu));
        assert!(message.contains("`gpu.args` does not fit the parameters"), "{message}");
    }
}

/// What loading code says that is whole by its checksum.
fn loaded(code: &[u8]) -> Result<(), String> {
    let mut manifest = manifest();
    let v = &mut manifest.kernels[0].variants[0];
    *v = variant(code, FILE);
    v.code.symbol = "copy_f32".into();
    let files = BTreeMap::from([(FILE.to_owned(), code.to_vec())]);
    let pack = Pack::from_bytes(Writer::new(&manifest, files).unwrap().zip().unwrap()).unwrap();
    pack.kernel("softmax", &Device::cpu()).map(drop).map_err(|e| e.to_string())
}

#[test]
fn code_for_another_processor_is_refused() {
    let mut code = object();
    assert_eq!(loaded(&code), Ok(()));
    // e_machine: AArch64 instead of x86-64.
    assert_eq!(code[18..20], [62, 0]);
    code[18] = 183;
    let e = loaded(&code).unwrap_err();
    assert!(e.contains("x86-64"), "{e}");
}
