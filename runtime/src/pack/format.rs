//! `pack.json` as data. `docs/pack-format.md` states the format; this file is what reads and writes it.
//!
//! ```text
//! pack.json ─ kernels[] ─ op, params, source, tolerance
//!                └ variants[] ─ backend, code, when (may it be chosen), cost (how good), launch
//! ```
//! Field names that Hugging Face's `kernels` metadata has (`name`, `version`, `license`, `python-depends`,
//! `backend` with `type` and `archs`) mean here what they mean there.

use kcc_dsl::exchange::{ArgSpec, CpuMeta, GpuMeta, NpuMeta};
use kcc_dsl::ir::{Elem, Loc};
use serde::{Deserialize, Serialize};

/// What `format` must say.
pub const FORMAT: &str = "kcc-pack";
/// The version of the format that this crate writes; it reads this one only.
pub const FORMAT_VERSION: u32 = 1;

/// The whole of `pack.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the pack.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// SPDX expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Python packages that a Python client of the pack needs.
    #[serde(default)]
    pub python_depends: Vec<String>,
    /// Version of the compiler that made it.
    pub compiler: String,
    /// In the order of the manifest that they were built from.
    pub kernels: Vec<Kernel>,
}

/// A kernel: what it computes, and code for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kernel {
    /// Name within the pack.
    pub name: String,
    /// The contract that it fulfils.
    pub op: Op,
    /// Arguments in order; element types are those of each variant.
    pub params: Vec<Param>,
    /// Where the author wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Loc>,
    /// In the order of the manifest; of those that may be chosen, the one of least cost is, the first of equal ones.
    pub variants: Vec<Variant>,
}

/// Name and version of what an operation computes, so that clients can tell whether they call what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Op {
    /// The contract's name: `softmax`.
    pub name: String,
    /// Its version; another version is another contract.
    pub version: u32,
}

/// A parameter, apart from its element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Param {
    /// The author's name for it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Number of axes of a view; 0 for a scalar.
    #[serde(default)]
    pub rank: usize,
}

/// What is passed for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A view that is read.
    Input,
    /// A view that is written (and may be read).
    Output,
    /// A number.
    Scalar,
}

/// Code for one target and one choice of const arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    /// What the code runs on.
    pub backend: Backend,
    /// The kernel's generic arguments: `f32, 1024`.
    pub generics: String,
    /// Element type of each parameter.
    pub dtypes: Vec<Dtype>,
    /// What the code relies on, per parameter.
    pub args: Vec<ArgSpec>,
    /// The variant may be chosen where all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<String>,
    /// The lower, the better; 0 if empty. A preference only: any variant that may be chosen is right.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cost: String,
    /// Programs per axis.
    pub grid: [String; 3],
    /// Bytes of memory that the caller gives to a launch; none if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workspace: String,
    /// How far results may be from exact ones.
    pub tolerance: Tolerance,
    /// The code.
    pub code: Code,
    /// Facts for launching on a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuMeta>,
    /// Facts for launching on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuMeta>,
    /// Facts for launching on an NPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub npu: Option<NpuMeta>,
}

/// What code runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backend {
    /// `cpu`, `cuda`, `rocm`, `npu`.
    pub r#type: String,
    /// `["x86-64-v4"]`, `["9.0a"]`, …: the code runs on any of these.
    pub archs: Vec<String>,
    /// The target's name in the compiler: `cpu:x86-64-v4`.
    pub target: String,
}

/// An element type by name: `f32`, `bf16`, `f8e4m3`, `i32`, `bool`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dtype(pub Elem);

impl TryFrom<String> for Dtype {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Elem::parse(&name).map(Dtype).ok_or_else(|| format!("`{name}` is no element type"))
    }
}

impl From<Dtype> for String {
    fn from(d: Dtype) -> String {
        d.0.name().to_owned()
    }
}

/// `|result - exact| ≤ absolute + relative · |exact|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tolerance {
    /// Part that does not grow with the result.
    pub absolute: f64,
    /// Part that grows with it.
    pub relative: f64,
}

/// A file of the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Code {
    /// Path within the pack: `bin/cpu-x86-64-v4/softmax_tile__f32_1024.o`.
    pub file: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it is.
    pub kind: CodeKind,
    /// Exported name.
    pub symbol: String,
    /// Lowest driver that loads it, as the vendor numbers drivers: `12.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_driver: Option<String>,
    /// For machine code: what is loaded where the driver refuses it. It has none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<Code>>,
}

impl Code {
    /// A file with these bytes, its length and checksum stated.
    pub fn new(file: impl Into<String>, kind: CodeKind, symbol: impl Into<String>, bytes: &[u8]) -> Code {
        Code {
            file: file.into(),
            bytes: bytes.len() as u64,
            sha256: super::checksum(bytes),
            kind,
            symbol: symbol.into(),
            minimum_driver: None,
            fallback: None,
        }
    }

    /// The file, and what stands in for it.
    pub fn files(&self) -> impl Iterator<Item = &Code> {
        std::iter::successors(Some(self), |code| code.fallback.as_deref())
    }
}

impl Manifest {
    /// A manifest in this version of the format, without a licence.
    pub fn new(name: &str, version: &str, compiler: &str, kernels: Vec<Kernel>) -> Manifest {
        Manifest {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            name: name.into(),
            version: version.into(),
            license: String::new(),
            python_depends: Vec::new(),
            compiler: compiler.into(),
            kernels,
        }
    }

    /// Every file of code that the manifest names; variants may share one.
    pub fn files(&self) -> impl Iterator<Item = &Code> {
        self.kernels.iter().flat_map(|k| &k.variants).flat_map(|v| v.code.files())
    }
}

/// Form of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeKind {
    /// An ELF relocatable object without undefined symbols (but `memcpy`, `memset`, `memmove`), placed by the loader.
    Object,
    /// PTX text, which the driver compiles.
    Ptx,
    /// NVIDIA machine code.
    Cubin,
    /// An AMD code object.
    Hsaco,
    /// Source text for an NPU, which its vendor's tool chain compiles where the pack is used.
    Source,
}
