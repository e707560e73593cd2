//! What `kcc pack build` is asked to leave out, code of every vendor in one pack, and what `inspect`, `verify` and `diff` say of it.

#[path = "../../../runtime/tests/support/schema.rs"]
mod schema;

use kcc_runtime::pack::Pack;
use kcc_runtime::pack::format::{CodeKind, Manifest};
use kcc_runtime::{Device, Error};
use schema::Schema;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Builds a part of the standard pack.
fn part(out: &Path, options: &[&str]) -> Manifest {
    let crate_dir = super::kernels();
    let args = ["pack", "build", crate_dir.to_str().unwrap(), "-o", out.to_str().unwrap()];
    let said = super::kcc(&[&args[..], options].concat());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let pack = Pack::open(out).unwrap();
    pack.verify().unwrap();
    pack.manifest().clone()
}

/// What `build` says of options that it refuses; nothing is written.
fn refused(options: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("no.kpack");
    let crate_dir = super::kernels();
    let args = ["pack", "build", crate_dir.to_str().unwrap(), "-o", out.to_str().unwrap()];
    let said = super::kcc(&[&args[..], options].concat());
    assert!(!said.status.success() && !out.exists(), "{options:?}");
    String::from_utf8(said.stderr).unwrap()
}

fn set<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    items.collect()
}

#[test]
fn a_part_of_the_list_is_built_for_every_vendor() {
    let dir = tempfile::tempdir().unwrap();
    let targets = ["cpu:x86-64-v3", "nvidia:sm_90a", "amd:gfx942", "ascend:910b"];
    let mut options = vec!["-k", "rms_norm", "-k", "silu", "--dtype", "f32", "--dtype", "bf16"];
    let listed = std::fs::read_to_string(super::kernels().join("kcc.toml")).unwrap();
    let targets: Vec<&str> = targets.into_iter().filter(|t| listed.contains(&format!("{t:?}"))).collect();
    options.extend(targets.iter().flat_map(|t| ["-t", *t]));
    let path = dir.path().join("part.kpack");
    let manifest = part(&path, &options);
    assert_eq!(set(manifest.kernels.iter().map(|k| k.name.as_str())), set(["rms_norm", "silu"].into_iter()));
    let variants = || manifest.kernels.iter().flat_map(|k| &k.variants);
    assert_eq!(set(variants().map(|v| v.backend.target.as_str())), set(targets.iter().copied()));
    assert_eq!(set(variants().map(|v| v.dtypes[0].0.name())), set(["f32", "bf16"].into_iter()));
    for v in variants() {
        let kind = match v.backend.r#type.as_str() {
            "cpu" => CodeKind::Object,
            "cuda" => CodeKind::Ptx,
            "rocm" => CodeKind::Hsaco,
            "npu" => CodeKind::Source,
            other => panic!("{other}"),
        };
        assert_eq!(v.code.kind, kind);
        let workspace = v.npu.as_ref().map_or(0, |n| n.workspace_bytes);
        assert_eq!(v.workspace.is_empty(), workspace == 0, "{}", v.workspace);
    }
    // The schema, `inspect` and the loader say the same of it.
    let json = super::kcc(&["pack", "inspect", path.to_str().unwrap(), "--json"]).stdout;
    let json = serde_json::from_slice(&json).unwrap();
    assert_eq!(Schema::of_packs().check(&json), Ok(()));
    assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), manifest);
    let table = String::from_utf8(super::kcc(&["pack", "inspect", path.to_str().unwrap()]).stdout).unwrap();
    assert!(targets.iter().all(|t| table.contains(t)) && table.contains("rms_norm@1"), "{table}");
    let pack = Pack::open(&path).unwrap();
    let loaded = pack.kernel("silu", &Device::cpu()).unwrap();
    let of_cpu: Vec<usize> = (manifest.kernels.iter().find(|k| k.name == "silu").unwrap().variants.iter())
        .enumerate()
        .filter(|(_, v)| v.backend.r#type == "cpu")
        .map(|(i, _)| i)
        .collect();
    assert_eq!(loaded.variants().collect::<Vec<_>>(), of_cpu);
    let Err(Error::Load { reason, .. }) = pack.kernel("silu", &Device::eager()) else { panic!("loaded") };
    assert!(targets.iter().all(|t| reason.contains(t)), "{reason}");
    // Once more, on one thread: the same bytes.
    let again = dir.path().join("again.kpack");
    options.extend(["-j", "1"]);
    part(&again, &options);
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap());
}

#[test]
fn what_is_not_there_to_be_built_is_named() {
    let said = refused(&["-k", "softmin"]);
    assert!(said.contains("has no kernel `softmin`") && said.contains("softmax"), "{said}");
    let said = refused(&["--dtype", "f33"]);
    assert!(said.contains("`f33` is no element type") && said.contains("bf16"), "{said}");
    let said = refused(&["-t", "cpu:z80"]);
    assert!(said.contains("cpu:z80"), "{said}");
    let said = refused(&["-t", "nvidia:sm_100a"]);
    assert!(said.contains("there is nothing to compile"), "{said}");
    let said = refused(&["-k", "silu", "-t", "cpu:x86-64-v3", "--dtype", "i8"]);
    assert!(said.contains("nothing to compile") && said.contains("tensors of i8"), "{said}");
}

#[test]
fn machine_code_comes_first_where_an_assembler_is_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["-k", "silu", "--dtype", "f32", "-t", "nvidia:sm_90a", "--cubin"];
    // Without one, the error says where it is looked for.
    let kernels = super::kernels();
    let out = dir.path().join("none.kpack");
    let mut command = Command::new(kcc::jit::find_kcc().unwrap());
    command.args(["pack", "build", kernels.to_str().unwrap(), "-o", out.to_str().unwrap()]).args(options);
    let said = command.env("KCC_PTXAS", "/nowhere/ptxas").output().unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(!said.status.success() && text.contains("/nowhere/ptxas") && !out.exists(), "{text}");
    if std::env::var_os("KCC_PTXAS").is_none() {
        eprintln!("not run: no assembler; KCC_PTXAS names one, `make test` installs it");
        return;
    }
    let path = dir.path().join("cubin.kpack");
    let manifest = part(&path, &options);
    let pack = Pack::open(&path).unwrap();
    for v in &manifest.kernels[0].variants {
        let ptx = v.code.fallback.as_deref().unwrap();
        assert_eq!((v.code.kind, ptx.kind), (CodeKind::Cubin, CodeKind::Ptx));
        assert!(pack.code(&v.code).unwrap().starts_with(b"\x7fELF"));
        let text = String::from_utf8(pack.code(ptx).unwrap().into_owned()).unwrap();
        assert!(text.contains(".target sm_90a"), "{text}");
        assert!(v.code.file.ends_with(".cubin") && ptx.file.ends_with(".ptx") && v.code.symbol == ptx.symbol);
    }
    let json = serde_json::to_value(&manifest).unwrap();
    assert_eq!(Schema::of_packs().check(&json), Ok(()));
}
