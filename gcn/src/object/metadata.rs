//! The metadata note: a kernel's arguments and sizes (AMDGPU usage guide, "Code Object V5 Metadata").

use rmpv::Value;

/// One argument of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) offset: usize,
    pub(crate) size: usize,
    /// `global_buffer`, `by_value`, `hidden_…`.
    pub(crate) kind: String,
}

impl Argument {
    /// Whether a runtime writes it, not the one who launches.
    pub(crate) fn is_hidden(&self) -> bool {
        self.kind.starts_with("hidden")
    }
}

/// `NT_AMDGPU_METADATA`.
const METADATA: u32 = 32;

/// The contents of the first note of that type.
pub(super) fn note(mut section: &[u8]) -> Option<&[u8]> {
    loop {
        let word = |at: usize| Some(u32::from_le_bytes(section.get(at..at + 4)?.try_into().ok()?) as usize);
        let (name, length, kind) = (word(0)?, word(4)?, word(8)?);
        let start = 12 + name.next_multiple_of(4);
        let contents = section.get(start..start.checked_add(length)?)?;
        if kind as u32 == METADATA {
            return Some(contents);
        }
        section = section.get(start + length.next_multiple_of(4)..)?;
    }
}

fn entry<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    map.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// What a loader learns of a kernel from the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) arguments: Vec<Argument>,
    /// Bytes of arguments, of LDS, of scratch; lanes of a wave. The descriptor says the same.
    pub(super) sizes: [(&'static str, u64); 4],
    /// Most work items of a group.
    pub(crate) group: u64,
}

/// The kernel with that descriptor symbol.
pub(super) fn kernel(mut note: &[u8], descriptor: &str) -> Option<Metadata> {
    let all = rmpv::decode::read_value(&mut note).ok()?;
    let mut kernels = entry(&all, "amdhsa.kernels")?.as_array()?.iter();
    let kernel = kernels.find(|k| entry(k, ".symbol").and_then(Value::as_str) == Some(descriptor))?;
    let number = |name: &'static str| Some((name, entry(kernel, name)?.as_u64()?));
    Some(Metadata {
        arguments: arguments(kernel)?,
        sizes: [
            number(".kernarg_segment_size")?,
            number(".group_segment_fixed_size")?,
            number(".private_segment_fixed_size")?,
            number(".wavefront_size")?,
        ],
        group: number(".max_flat_workgroup_size")?.1,
    })
}

fn arguments(kernel: &Value) -> Option<Vec<Argument>> {
    let Some(list) = entry(kernel, ".args") else { return Some(Vec::new()) };
    let one = |arg: &Value| {
        let number = |name: &str| usize::try_from(entry(arg, name)?.as_u64()?).ok();
        let kind = entry(arg, ".value_kind")?.as_str()?.to_owned();
        Some(Argument { offset: number(".offset")?, size: number(".size")?, kind })
    };
    list.as_array()?.iter().map(one).collect()
}
