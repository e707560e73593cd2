//! Packs from end to end: a crate's kernels compiled into one file, loaded, chosen, run.

mod parts;
mod standard;
mod tuned;

use kcc::jit::find_kcc;
use kcc_runtime::pack::Pack;
use kcc_runtime::{Arg, Device, Tensor};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels")
}

fn kcc(args: &[&str]) -> Output {
    Command::new(find_kcc().unwrap()).args(args).output().unwrap()
}

/// Builds the pack that a list describes, from the crate of the shipped kernels.
fn build(dir: &TempDir, name: &str, list: &str) -> Result<PathBuf, String> {
    // A list names the crate by the folder it lies in: a crate of its own that uses the kernels.
    let home = dir.path().join("crate");
    std::fs::create_dir_all(home.join("src")).unwrap();
    let at = kernels().canonicalize().unwrap();
    let dsl = at.join("../dsl").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"packed\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         kcc-kernels = {{ path = {at:?} }}\nkcc-dsl = {{ path = {dsl:?} }}\n"
    );
    std::fs::write(home.join("Cargo.toml"), manifest).unwrap();
    let lock = at.join("../Cargo.lock");
    std::fs::copy(lock, home.join("Cargo.lock")).unwrap();
    std::fs::write(home.join("src/lib.rs"), "//! Kernels.\npub use kcc_kernels::*;\n").unwrap();
    std::fs::write(home.join("kcc.toml"), list).unwrap();
    let pack = dir.path().join(name);
    let out = kcc(&["pack", "build", home.to_str().unwrap(), "-o", pack.to_str().unwrap()]);
    if out.status.success() { Ok(pack) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

const LIST: &str = r#"
[pack]
name = "test"
version = "1.0.0"
targets = ["cpu:x86-64-v3"]

[[kernel]]
name = "softmax"
function = "softmax_tile"
op = { name = "softmax", version = 1 }
grid = ["x.dim(0)"]

[[kernel.variants]]
generics = "f32,4096"
when = ["x.dim(1) <= 100"]
tolerance = { relative = 1e-5 }

[[kernel.variants]]
generics = "f32, 4096"
when = ["x.dim(1) <= 4096"]
cost = "1"
any-strides = true
tolerance = { relative = 1e-5 }
"#;

#[test]
fn a_pack_is_built_loaded_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let list = LIST;
    let path = build(&dir, "a.kpack", list).unwrap();
    let pack = Pack::open(&path).unwrap();
    pack.verify().unwrap();
    let softmax = pack.kernel("softmax", &Device::cpu()).unwrap();
    for width in [1, 100, 101, 4096] {
        let x = Tensor::from_fn(&[3, width], |i| ((i * 37) % 11) as f32).unwrap();
        let mut y = Tensor::<f32>::empty(&[3, width]).unwrap();
        let choice = softmax.choose(&[Arg::input(&x), Arg::output(&mut y)]).unwrap();
        assert_eq!((choice.variant, choice.grid), (usize::from(width > 100), [3, 1, 1]), "{width}");
        softmax.launch(&[Arg::input(&x), Arg::output(&mut y)], None).unwrap();
        for (x, y) in x.as_slice().chunks(width).zip(y.as_slice().chunks(width)) {
            let sum: f64 = x.iter().map(|v| f64::from(*v).exp()).sum();
            for (x, y) in x.iter().zip(y) {
                let exact = f64::from(*x).exp() / sum;
                assert!((f64::from(*y) - exact).abs() <= 1e-5 * exact, "{width}: {y} for {exact}");
            }
        }
    }
    let (x, mut y) = (Tensor::<f32>::zeros(&[1, 5000]).unwrap(), Tensor::<f32>::empty(&[1, 5000]).unwrap());
    let message = softmax.launch(&[Arg::input(&x), Arg::output(&mut y)], None).unwrap_err().to_string();
    assert!(message.contains("no variant takes (f32 [1, 5000]"), "{message}");

    let again = build(&dir, "b.kpack", list).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap(),
        "the same input, the same bytes"
    );
    let same = kcc(&["pack", "diff", path.to_str().unwrap(), again.to_str().unwrap()]);
    assert!(same.status.success());
    let other = build(&dir, "c.kpack", &list.replace("<= 4096", "<= 4095")).unwrap();
    let differ = kcc(&["pack", "diff", path.to_str().unwrap(), other.to_str().unwrap()]);
    assert_eq!(differ.status.code(), Some(1));
    let text = String::from_utf8_lossy(&differ.stdout).into_owned();
    assert!(text.contains("+ softmax<f32, 4096> for cpu:x86-64-v3 when x.dim(1) <= 4095"), "{text}");

    let newer = build(&dir, "e.kpack", &list.replace("1.0.0", "1.0.1")).unwrap();
    let differ = kcc(&["pack", "diff", path.to_str().unwrap(), newer.to_str().unwrap()]);
    assert_eq!(differ.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&differ.stdout), "! version: \"1.0.0\" became \"1.0.1\"\n");

    // Mistakes in the list are named; no file is left.
    let unknown = build(&dir, "d.kpack", &list.replace("f32,4096", "f32,77")).unwrap_err();
    assert!(unknown.contains("there is no `softmax_tile<f32,77>`"), "{unknown}");
    let formula = build(&dir, "d.kpack", &list.replace("x.dim(0)", "z.dim(0)")).unwrap_err();
    assert!(formula.contains("the kernel has no argument `z`"), "{formula}");
    let target = build(&dir, "d.kpack", &list.replace("cpu:x86-64-v3", "cpu:z80")).unwrap_err();
    assert!(target.contains("cpu:z80"), "{target}");
    assert!(!dir.path().join("d.kpack").exists());
}
