//! What a kernel reports while it runs: the first failed assertion, and what it prints.

use crate::device::stopped;
use crate::drivers::print::text;
use crate::error::Result;
use crate::launch::{Label, PrintHandler};
use kcc_dsl::exchange::GpuMeta;
use kcc_dsl::exchange::gpu::{RECORD_HEADER, STATUS_BYTES};

/// Bytes for the print records of one launch.
const RECORDS: usize = 1 << 20;

/// The status buffer of a kernel that asserts or prints; see [`kcc_dsl::exchange::gpu`] for its form.
pub(crate) struct Status<'m> {
    meta: &'m GpuMeta,
}

impl<'m> Status<'m> {
    /// `None` if the kernel reports nothing.
    pub(crate) fn of(meta: &'m GpuMeta) -> Option<Status<'m>> {
        meta.wants_status().then_some(Status { meta })
    }

    /// Size of the buffer.
    pub(crate) fn bytes(&self) -> usize {
        STATUS_BYTES as usize + if self.meta.prints.is_empty() { 0 } else { RECORDS }
    }

    /// The buffer's content before a launch, up to the records.
    pub(crate) fn header(&self) -> [u8; STATUS_BYTES as usize] {
        let mut header = [0; STATUS_BYTES as usize];
        header[8..12].copy_from_slice(&((self.bytes() - STATUS_BYTES as usize) as u32).to_le_bytes());
        header
    }

    /// Prints what was printed and reports the first failed assertion. Damaged records end the printing.
    ///
    /// # Errors
    /// An assertion failed.
    pub(crate) fn read(&self, label: &Label<'_>, buffer: &[u8], print: &PrintHandler) -> Result<()> {
        let word = |at: usize| {
            let bytes = buffer.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
            u32::from_le_bytes(bytes)
        };
        let records = buffer.get(STATUS_BYTES as usize..).unwrap_or_default();
        let used = word(4) as usize;
        let header = RECORD_HEADER as usize;
        let mut at = 0;
        while at + header <= records.len().min(used) {
            let base = STATUS_BYTES as usize + at;
            let (index, size) = (word(base) as usize, word(base + 4) as usize);
            let entry = self.meta.prints.get(index);
            let (Some((format, types)), Some(data)) =
                (entry, records.get(at + header..at + size.max(header)))
            else {
                break;
            };
            if size < header {
                break;
            }
            print(&text(format, types, data));
            at += size;
        }
        if used > records.len() && !self.meta.prints.is_empty() {
            let lost = used - at;
            print(&format!(
                "({lost} bytes of output lost: a launch keeps {RECORDS} bytes of what it prints)"
            ));
        }
        match word(0) as usize {
            0 => Ok(()),
            i => Err(stopped(label, &self.meta.asserts, i - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kcc_dsl::ir::{Elem, Loc, TileType};
    use std::sync::{Arc, Mutex};

    fn meta() -> GpuMeta {
        GpuMeta {
            asserts: vec![
                ("a".into(), Loc { file: "k.rs".into(), line: 3, column: 4 }),
                ("b".into(), Loc { file: "k.rs".into(), line: 5, column: 6 }),
            ],
            prints: vec![("x = {}".into(), vec![TileType::scalar(Elem::I32)])],
            ..GpuMeta::default()
        }
    }

    fn read(meta: &GpuMeta, buffer: &[u8]) -> (Result<()>, Vec<String>) {
        let seen = Arc::new(Mutex::new(vec![]));
        let to = seen.clone();
        let print: PrintHandler = Arc::new(move |s| to.lock().unwrap().push(s.to_owned()));
        let result = Status::of(meta).unwrap().read(&Label { name: "k", generics: "" }, buffer, &print);
        let seen = seen.lock().unwrap().clone();
        (result, seen)
    }

    fn buffer(meta: &GpuMeta, failed: u32, used: u32, records: &[(u32, u32, i32)]) -> Vec<u8> {
        let status = Status::of(meta).unwrap();
        let mut b = vec![0; status.bytes()];
        b[..64].copy_from_slice(&status.header());
        b[..4].copy_from_slice(&failed.to_le_bytes());
        b[4..8].copy_from_slice(&used.to_le_bytes());
        let mut at = 64;
        for &(index, size, value) in records {
            b[at..at + 4].copy_from_slice(&index.to_le_bytes());
            b[at + 4..at + 8].copy_from_slice(&size.to_le_bytes());
            b[at + 64..at + 68].copy_from_slice(&value.to_le_bytes());
            at += 128;
        }
        b
    }

    #[test]
    fn records_are_printed_in_order_and_the_assertion_is_named_with_its_line() {
        let m = meta();
        let (result, seen) = read(&m, &buffer(&m, 2, 256, &[(0, 128, 7), (0, 128, -8)]));
        assert_eq!(seen, ["x = 7", "x = -8"]);
        let e = result.unwrap_err().to_string();
        assert!(e.contains("k.rs:5:6") && e.contains("assertion failed: b"), "{e}");
    }

    #[test]
    fn damaged_records_end_the_printing() {
        let m = meta();
        for bad in [(9, 128, 1), (0, 0, 1), (0, u32::MAX, 1)] {
            let (result, seen) = read(&m, &buffer(&m, 0, 256, &[(0, 128, 7), bad]));
            assert!(result.is_ok());
            assert_eq!(seen, ["x = 7"], "{bad:?}");
        }
    }

    #[test]
    fn lost_output_is_said() {
        let m = meta();
        let (_, seen) = read(&m, &buffer(&m, 0, 2 << 20, &[(0, 128, 7)]));
        assert!(seen.last().unwrap().contains("lost"), "{seen:?}");
    }
}
