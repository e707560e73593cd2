//! Words that do not belong: unfinished work, prints in libraries, vendors in the compiler, places that exist on
//! one machine only.
//!
//! The words are put together from halves, so that this file does not find itself.

use super::{File, Finding};

struct Row {
    words: &'static [&'static str],
    /// The files that must not hold them.
    within: fn(&File) -> bool,
    message: &'static str,
}

const ROWS: [Row; 5] = [
    Row {
        words: &[
            concat!("FIX", "ME"),
            concat!("TO", "DO:"),
            concat!("XX", "X:"),
            concat!("to", "do!("),
            concat!("unimple", "mented!("),
            concat!("#[ig", "nore"),
        ],
        within: File::is_rust,
        message: "unfinished work; finish it, or file an issue and state the limit in the docs",
    },
    Row {
        words: &[
            concat!(" print", "ln!("),
            concat!(" eprint", "ln!("),
            concat!("db", "g!("),
            concat!("process::", "exit("),
        ],
        within: |file| file.is_library() && !file.path.starts_with("kcc/src/cmd"),
        message: "libraries neither print nor exit; return an error or a report",
    },
    Row {
        words: &["nvidia", "cuda", "nvvm", "rocdl", "amdgpu", "ascend", "intel", "avx"],
        within: |file| file.is_source() && file.path.starts_with("compiler/"),
        message: "the compiler names no vendor; ask the target for a capability",
    },
    Row {
        words: &[
            concat!("crates", ".io/"),
            concat!("index.", "crates"),
            concat!("py", "pi.org"),
            concat!("python", "hosted.org"),
            concat!("registry.", "npmjs"),
            concat!("deb.", "debian.org"),
            concat!("hugging", "face.co"),
        ],
        within: |file| !file.path.ends_with("Cargo.lock"),
        message: "no host of a registry in the repository; name the package",
    },
    Row {
        words: &[
            concat!("/wo", "rk/"),
            concat!("/ro", "ot/"),
            concat!("/ho", "me/"),
            concat!("/tm", "p/tgt"),
        ],
        within: |_| true,
        message: "a path of one machine; make it relative or take it from the environment",
    },
];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| (row.within)(file)).collect();
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // A doc example may print.
        let comment = line.trim_start().starts_with("//");
        for row in &rows {
            let lowered = line.to_lowercase();
            for word in row.words {
                let found = if word.chars().any(char::is_uppercase) {
                    line.contains(word)
                } else {
                    lowered.contains(word)
                };
                let prints = word.ends_with('(') && comment;
                if found && !prints {
                    findings.push(file.finding(index + 1, format!("`{}`: {}", word.trim(), row.message)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&File { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn each_row_finds_its_words() {
        for row in &ROWS {
            for word in row.words {
                assert!(count("compiler/src/a.rs", &format!("x {word} y")) > 0, "{word}");
            }
        }
    }

    #[test]
    fn words_are_allowed_where_they_belong() {
        assert_eq!(count("backends/nvidia/src/chips.rs", "// nvvm on nvidia"), 0);
        assert_eq!(count("kcc/src/cmd/run.rs", concat!("    print", "ln!(\"done\");")), 0);
        assert_eq!(count("runtime/src/lib.rs", concat!("//! print", "ln!(\"done\");")), 0);
    }
}
