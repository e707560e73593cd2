//! Names of loaded kernels for profilers: lines of the file that `perf report` looks into for code that is no file's.
//!
//! Format: Linux, `tools/perf/Documentation/jit-interface.txt`: `START SIZE name`, in hexadecimal digits without a
//! prefix, in `/tmp/perf-PID.map`.

use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// Appends a kernel's code if the user asked for it by setting `KCC_PERF_MAP`. That a profile lacks names is no reason to
/// stop: a file that cannot be written is left alone.
pub(super) fn announce(kernel: &str, code: Range<usize>) {
    if !cfg!(target_os = "linux") || std::env::var_os("KCC_PERF_MAP").is_none_or(|v| v.is_empty()) {
        return;
    }
    let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        // One write: lines of several threads do not mix.
        let _ = file.write_all(line(kernel, code).as_bytes());
    }
}

fn line(kernel: &str, code: Range<usize>) -> String {
    format!("{:x} {:x} {}\n", code.start, code.len(), kernel.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_start_size_and_name() {
        assert_eq!(super::line("scale<f32, 64>", 0x7f00_1000..0x7f00_1a40), "7f001000 a40 scale<f32, 64>\n");
    }
}
