//! A launch on a GPU that the host imitates: images and the status buffer are lent to its memory, then copied back.

use super::{Staged, Status, slots};
use crate::device::Launching;
use crate::error::Result;
use crate::launch::{Arg, Label};
use kcc_dsl::exchange::GpuMeta;
use smallvec::SmallVec;

/// Multiprocessors of an imitated chip: few, so that persistent programs take several turns.
pub(crate) const PROCESSORS: u32 = 3;

/// Bytes that a launch lends.
pub(crate) enum Lent<'b> {
    /// The kernel may write them.
    Written(&'b mut [u8]),
    /// It may not.
    Read(&'b [u8]),
}

/// What a launch lends: images of its views, and the buffer in which its kernel reports.
pub(crate) struct Hosted<'m> {
    staged: Staged,
    status: Option<(Status<'m>, Vec<u8>)>,
}

impl<'m> Hosted<'m> {
    /// Copies views in.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn new(meta: &'m GpuMeta, args: &[Arg<'_>]) -> Result<Hosted<'m>> {
        let status = Status::of(meta).map(|status| {
            let mut bytes = vec![0; status.bytes()];
            let header = status.header();
            bytes[..header.len()].copy_from_slice(&header);
            (status, bytes)
        });
        Ok(Hosted { staged: Staged::new(args)?, status })
    }

    /// Lends everything; gives the address of each view's first element (0 for numbers), and the words of the kernel's parameters.
    pub(crate) fn lend<'b>(
        &'b mut self,
        launch: &Launching<'_>,
        mut lend: impl FnMut(Lent<'b>) -> u64,
    ) -> (SmallVec<[u64; 8]>, Vec<u64>) {
        let mut homes: SmallVec<[u64; 8]> = SmallVec::new();
        for image in &mut self.staged.images {
            homes.push(match image {
                None => 0,
                Some(image) => {
                    let origin = image.origin as u64;
                    let bytes = if image.mutable {
                        Lent::Written(image.memory.bytes_mut())
                    } else {
                        Lent::Read(image.memory.bytes())
                    };
                    lend(bytes) + origin
                }
            });
        }
        let status = self.status.as_mut().map_or(0, |(_, bytes)| lend(Lent::Written(bytes)));
        let words = slots(launch.args, launch.grid, status, |i| homes[i]).to_vec();
        (homes, words)
    }

    /// Copies views out, also what was written before a fault, as it would be on any device; then reads what the kernel reports.
    ///
    /// # Errors
    /// What the launch ended with, or a failed assertion.
    pub(crate) fn finish(mut self, label: &Label<'_>, launch: &Launching<'_>, ran: Result<()>) -> Result<()> {
        self.staged.finish(launch.args);
        ran?;
        match self.status {
            Some((status, bytes)) => status.read(label, &bytes, launch.print),
            None => Ok(()),
        }
    }
}
