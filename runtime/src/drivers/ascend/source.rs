//! AscendC source to a library of the host that launches it: by CANN's compiler, once for each text.

use crate::jit::default_cache_dir;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the compiler instead of the usual places.
const VARIABLE: &str = "KCC_BISHENG";

/// Where the toolkit has it, below its root.
const PLACES: [&str; 2] = ["bin/bisheng", "compiler/ccec_compiler/bin/bisheng"];

/// CANN's compiler: named in a variable, of the toolkit that is set up, or on the path.
pub(super) fn compiler() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let root = std::env::var_os("ASCEND_HOME_PATH").map(PathBuf::from);
    let of_root = root.iter().flat_map(|root| PLACES.iter().map(move |place| root.join(place)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("bisheng"));
    of_root.chain(on_path).find(|file| file.is_file()).ok_or_else(|| {
        format!(
            "AscendC source needs CANN's compiler `bisheng`, which is not found; run CANN's `set_env.sh`, name the compiler in \
             {VARIABLE}, or load a library that was built elsewhere"
        )
    })
}

/// Its answer about a text, short enough for an error.
fn answer(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("error")).take(5).collect();
    if lines.is_empty() { text.lines().take(5).collect::<Vec<_>>().join("; ") } else { lines.join("; ") }
}

/// The library of a source for an architecture, in `folder` (by default the user's cache, or a temporary one).
pub(super) fn library(
    compiler: &Path,
    source: &[u8],
    arch: &str,
    folder: Option<&Path>,
) -> Result<PathBuf, String> {
    let named = |n: &OsStr| n.to_string_lossy().into_owned();
    let digest = Sha256::new().chain_update(arch).chain_update([0u8]).chain_update(source).finalize();
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let usual = || default_cache_dir().unwrap_or_else(std::env::temp_dir).join("ascend");
    let folder = folder.map_or_else(usual, Path::to_path_buf);
    let done = folder.join(format!("{name}.so"));
    if done.is_file() {
        return Ok(done);
    }
    let fail = |what: &str, e: std::io::Error| format!("{what}: {e}");
    std::fs::create_dir_all(&folder).map_err(|e| fail(&named(folder.as_os_str()), e))?;
    let work = tempfile::tempdir_in(&folder).map_err(|e| fail(&named(folder.as_os_str()), e))?;
    let (text, built) = (work.path().join("kernel.asc"), work.path().join("kernel.so"));
    std::fs::write(&text, source).map_err(|e| fail(&named(text.as_os_str()), e))?;
    let mut command = Command::new(compiler);
    command.arg("-xasc").arg(format!("--npu-arch={arch}"));
    command.args(["-O2", "-std=c++17", "-fPIC", "--shared", "-o"]).arg(&built).arg(&text);
    let out = command.output().map_err(|e| fail(&format!("cannot run {}", compiler.display()), e))?;
    if !out.status.success() {
        let said = answer(if out.stderr.is_empty() { &out.stdout } else { &out.stderr });
        return Err(format!("{} refuses the source ({}): {said}", compiler.display(), out.status));
    }
    std::fs::rename(&built, &done).map_err(|e| fail(&named(done.as_os_str()), e))?;
    Ok(done)
}
