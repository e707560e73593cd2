//! The compiler child: what happens when it dies, lies, or is not there.

use super::compiler;
use kcc::jit::{ChildCompiler, find_kcc};
use kcc::prelude::*;
use kcc::{Builder, Device, Launch, Tensor};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// y = -x. Grid: (1).
#[kernel]
fn negate<const N: usize>(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    y.store(0, -x.load::<N>(0));
}

fn device(compiler: &Arc<ChildCompiler>) -> Device {
    Builder::cpu().no_disk_cache().compiler(compiler.clone()).build()
}

fn launch<const N: usize>(device: &Device) -> kcc::Result<()> {
    let x = Tensor::full(&[N], 2.0f32)?;
    let mut y = Tensor::zeros(&[N])?;
    negate::kernel::<N>().launch(device, 1, (&x, &mut y))?;
    assert!(y.as_slice().iter().all(|&v| v == -2.0));
    Ok(())
}

/// A shell script in the compiler's place.
fn script(dir: &Path, text: &str) -> Arc<ChildCompiler> {
    let path = dir.join("kcc");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Arc::new(ChildCompiler::new(&path))
}

fn message(compiler: &Arc<ChildCompiler>) -> String {
    let e = launch::<4>(&device(compiler)).unwrap_err();
    assert!(e.to_string().contains("negate<4>"), "the kernel is named: {e}");
    e.to_string()
}

#[test]
fn one_child_serves_many_kernels() {
    let compiler = compiler();
    let device = device(&compiler);
    launch::<4>(&device).unwrap();
    let pid = compiler.pid();
    assert!(pid.is_some());
    launch::<8>(&device).unwrap();
    assert_eq!(compiler.pid(), pid);
}

#[test]
fn a_child_that_was_killed_while_idle_is_replaced() {
    let compiler = compiler();
    let device = device(&compiler);
    launch::<4>(&device).unwrap();
    let pid = compiler.pid().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    std::thread::sleep(std::time::Duration::from_millis(100));
    launch::<8>(&device).unwrap();
    assert_ne!(compiler.pid(), Some(pid));
}

#[test]
fn a_child_that_dies_of_a_kernel_is_an_error_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let real = find_kcc().unwrap();
    // Says hello as the real one does, takes four bytes of the request, and dies.
    let text = format!(
        "'{}' serve </dev/null\nhead -c 4 >/dev/null\necho out of registers >&2\nkill -ABRT $$",
        real.display()
    );
    let m = message(&script(dir.path(), &text));
    assert!(m.contains("out of registers") && m.contains("signal: 6") && m.contains("report"), "{m}");
}

#[test]
fn a_child_that_takes_too_long_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let real = find_kcc().unwrap();
    // Says hello, reads the request, and never answers; `exec` leaves no grandchild that holds the pipe.
    let text = format!("'{}' serve </dev/null\nexec sleep 600", real.display());
    let path = dir.path().join("kcc");
    script(dir.path(), &text);
    let limit = std::time::Duration::from_millis(1500);
    let slow = Arc::new(ChildCompiler::new(&path).with_time_limit(limit));
    let start = std::time::Instant::now();
    let m = message(&slow);
    assert!(m.contains("took longer than 1.5 s") && m.contains("KCC_COMPILE_TIMEOUT"), "{m}");
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(slow.pid(), None, "nothing is left running");
}

#[test]
fn a_child_that_is_no_compiler_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let m = message(&script(dir.path(), "echo wrong program >&2; exit 7"));
    assert!(m.contains("does not start") && m.contains("wrong program") && m.contains('7'), "{m}");
    let m = message(&script(dir.path(), "echo this is no frame"));
    assert!(m.contains("does not start"), "{m}");
    let m = message(&Arc::new(ChildCompiler::new(&dir.path().join("nothing"))));
    assert!(m.contains("does not start") && m.contains("nothing"), "{m}");
}

#[test]
fn an_unknown_target_is_named() {
    let device = Builder::cpu().no_disk_cache().target("cpu:pentium").build();
    let e = launch::<4>(&device).unwrap_err().to_string();
    assert!(e.contains("cpu:pentium") && e.contains("x86-64-v3"), "{e}");
}
