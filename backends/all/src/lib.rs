//! The one list of backends: the compiler as a child process (`kcc serve`), as a command, and linked into a program open targets here.
//!
//! ```text
//! "cpu:x86-64-v4"   "nvidia:sm_90a"   "amd:gfx942"   "ascend:910b"
//!        └───────────────┴── open ──────────┴──────────────┘  → dyn Target
//! ```

use kcc_amd::Amd;
use kcc_ascend::Ascend;
use kcc_compiler::Target;
use kcc_cpu::Cpu;
use kcc_nvidia::Nvidia;

/// A family: gives its target of a full name, nothing for a name of another family.
type Family = fn(&str) -> Option<Box<dyn Target>>;

const FAMILIES: [Family; 4] = [
    |name| Some(Box::new(Cpu::open(name)?)),
    |name| Some(Box::new(Nvidia::open(name)?)),
    |name| Some(Box::new(Amd::open(name)?)),
    |name| Some(Box::new(Ascend::open(name)?)),
];

/// The target of a full name, as `kcc targets` lists them; nothing for a name that no backend knows.
pub fn open(name: &str) -> Option<Box<dyn Target>> {
    FAMILIES.iter().find_map(|family| family(name))
}
