//! Runs the programs of a grid on a pool of threads.
//!
//! ```text
//! programs 0 ………………………… n      each thread takes the next range until none is left
//!   ├──────┼────┼──┼─┼┤           long ones first, then shorter, so that no thread waits long for another
//! ```
//! Where neighbours share packed operands, ranges are whole groups of them; where there are too few groups for that, every thread gets
//! one range.
//! The calling thread works too; a launch on one thread touches no other. Scratch memory is kept per thread.

use super::Printer;
use super::team::Team;
use crate::error::{Error, Result};
use crate::tensor::Memory;
use kcc_dsl::exchange::{CpuMeta, SCRATCH_HEADER};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The function that a compiled kernel exports; see [`CpuMeta`].
pub(crate) type Entry = unsafe extern "C" fn(*const i64, *const i64, i64, i64, *mut u8) -> i64;

/// A thread takes this part of its share of what is left.
const PART_OF_SHARE: i64 = 2;
/// No range is shorter than this part of a thread's share of all, in units.
const SHORTEST_PART: i64 = 32;
/// Fewest groups of neighbours per thread that ranges are made of.
const GROUPS_PER_THREAD: i64 = 4;

thread_local! {
    /// This thread's scratch memory; absent while in use, so that a launch from inside a launch (a print handler)
    /// gets its own.
    static SCRATCH: Cell<Option<Memory>> = const { Cell::new(None) };
}

/// The threads of a device; started at the first launch that needs them.
pub(crate) struct Pool {
    threads: usize,
    team: OnceLock<Team>,
}

/// One launch, as its threads see it.
struct Job<'a> {
    entry: Entry,
    meta: &'a CpuMeta,
    args: &'a [i64],
    grid: [i64; 3],
    ranges: Ranges,
    failed: AtomicI64,
    printer: Option<&'a Printer<'a>>,
}

/// Hands out the programs of a grid.
struct Ranges {
    /// Programs that stay together, and how many such units there are; the last may be shorter.
    unit: i64,
    units: i64,
    programs: i64,
    threads: i64,
    /// The first unit that nobody has taken.
    next: AtomicI64,
}

impl Ranges {
    fn new(meta: &CpuMeta, grid: [i64; 3], threads: i64) -> Ranges {
        let programs = grid.iter().product::<i64>();
        let shared = |axis: &usize| meta.sharing.iter().any(|a| usize::from(*a) == *axis);
        let group: i64 = (0..3).filter(shared).map(|axis| grid[axis]).product();
        let unit = match meta.contiguous {
            _ if threads == 1 => programs,
            false => 1,
            true if !meta.sharing.is_empty() && programs / group >= GROUPS_PER_THREAD * threads => group,
            true => (programs + threads - 1) / threads,
        };
        let unit = unit.max(1);
        let units = (programs + unit - 1) / unit;
        Ranges { unit, units, programs, threads, next: AtomicI64::new(0) }
    }

    /// The next range of programs; `None` when all are taken.
    fn take(&self) -> Option<(i64, i64)> {
        let shortest = (self.units / (self.threads * SHORTEST_PART)).max(1);
        let size = |at: i64| ((self.units - at) / (self.threads * PART_OF_SHARE)).max(shortest);
        let more = |at: i64| (at < self.units).then(|| (at + size(at)).min(self.units));
        let at = self.next.fetch_update(Relaxed, Relaxed, more).ok()?;
        let end = (at + size(at)).min(self.units);
        Some((at * self.unit, (end * self.unit).min(self.programs)))
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Pool {
        Pool { threads: threads.max(1), team: OnceLock::new() }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    fn team(&self) -> Result<&Team> {
        if let Some(team) = self.team.get() {
            return Ok(team);
        }
        let team = Team::new(self.threads - 1)
            .map_err(|e| Error::System { what: "starting threads", reason: e.to_string() })?;
        Ok(self.team.get_or_init(|| team))
    }

    /// Runs every program of the grid. Returns the assertion that failed, if one did.
    ///
    /// # Safety
    /// `entry` and `meta` belong together, and `args` holds the slots that the kernel expects, each view's memory valid
    /// for the launch, written ones not shared.
    pub(crate) unsafe fn run(
        &self,
        entry: Entry,
        meta: &CpuMeta,
        args: &[i64],
        grid: [i64; 3],
        threads: usize,
        printer: Option<&Printer<'_>>,
    ) -> Result<Option<usize>> {
        let programs = grid[0] * grid[1] * grid[2];
        let threads = (threads.clamp(1, self.threads) as i64).min(programs).max(1);
        let job = Job {
            entry,
            meta,
            args,
            grid,
            ranges: Ranges::new(meta, grid, threads),
            failed: AtomicI64::new(0),
            printer,
        };
        if threads == 1 {
            job.work()?;
        } else {
            let trouble = Mutex::new(None);
            self.team()?.work(threads as usize - 1, &|| {
                if let Err(e) = job.work() {
                    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                }
            });
            if let Some(e) = trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
                return Err(e);
            }
        }
        Ok(match job.failed.load(Relaxed) {
            0 => None,
            n => Some(usize::try_from(n - 1).unwrap_or(usize::MAX)),
        })
    }
}

impl Job<'_> {
    /// Takes ranges until none is left or an assertion has failed.
    fn work(&self) -> Result<()> {
        let need = self.meta.scratch_bytes.max(SCRATCH_HEADER) as usize;
        let mut scratch = SCRATCH.take().filter(|m| m.len() >= need);
        let mut ready = false;
        while let Some((begin, end)) = self.ranges.take().filter(|_| self.failed.load(Relaxed) == 0) {
            if scratch.is_none() {
                scratch = Some(Memory::zeroed(need)?);
            }
            let Some(memory) = scratch.as_mut() else { break };
            if !ready {
                self.set_header(&mut memory.bytes_mut()[..SCRATCH_HEADER as usize]);
                ready = true;
            }
            // SAFETY: the caller of `Pool::run` vouches for entry, args and grid; scratch is this thread's, aligned
            // to 64 bytes, long enough, with its header set. Ranges do not overlap.
            let code =
                unsafe { (self.entry)(self.args.as_ptr(), self.grid.as_ptr(), begin, end, memory.as_ptr()) };
            if code != 0 {
                let _ = self.failed.compare_exchange(0, code, Relaxed, Relaxed);
            }
        }
        SCRATCH.set(scratch);
        Ok(())
    }

    fn set_header(&self, header: &mut [u8]) {
        header.fill(0);
        if let Some(printer) = self.printer {
            let (callback, context) = printer.slots();
            header[..8].copy_from_slice(&callback.to_ne_bytes());
            header[8..16].copy_from_slice(&context.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// args[0]: address of a counter per program; args[1]: the program that fails, or -1.
    unsafe extern "C" fn count(
        args: *const i64,
        _: *const i64,
        begin: i64,
        end: i64,
        scratch: *mut u8,
    ) -> i64 {
        // SAFETY: the tests pass two slots and as many counters as programs.
        unsafe {
            scratch.add(SCRATCH_HEADER as usize).write_bytes(0xee, 64);
            let counters = *args as *const AtomicU32;
            for i in begin..end {
                if *args.add(1) == i {
                    return 1 + 4;
                }
                (*counters.add(i as usize)).fetch_add(1, Relaxed);
            }
        }
        0
    }

    fn run(threads: usize, grid: [i64; 3], sharing: Option<&[u8]>, fail: i64) -> (Vec<u32>, Option<usize>) {
        let n = (grid[0] * grid[1] * grid[2]) as usize;
        let counters: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(0)).collect();
        let (contiguous, sharing) = (sharing.is_some(), sharing.unwrap_or_default().to_vec());
        let meta = CpuMeta { scratch_bytes: SCRATCH_HEADER + 64, contiguous, sharing, ..CpuMeta::default() };
        let args = [counters.as_ptr() as i64, fail];
        let pool = Pool::new(threads);
        // SAFETY: `count` expects these arguments.
        let failed = unsafe { pool.run(count, &meta, &args, grid, threads, None) }.unwrap();
        (counters.into_iter().map(AtomicU32::into_inner).collect(), failed)
    }

    #[test]
    fn every_program_runs_once() {
        for threads in 1..4 {
            for sharing in [None, Some(&[][..]), Some(&[0]), Some(&[1, 2]), Some(&[9])] {
                for grid in [[1, 1, 1], [7, 1, 1], [3, 5, 7], [1000, 1, 2], [2, 100, 1]] {
                    let (counts, failed) = run(threads, grid, sharing, -1);
                    assert!(
                        failed.is_none() && counts.iter().all(|&c| c == 1),
                        "{threads} {sharing:?} {grid:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_failed_assertion_is_reported_by_its_index() {
        assert_eq!(run(2, [100, 1, 1], None, 37).1, Some(4));
        assert_eq!(run(1, [100, 1, 1], Some(&[]), 0).1, Some(4));
    }

    #[test]
    fn ranges_shrink_and_keep_groups_together() {
        let meta = CpuMeta { contiguous: true, sharing: vec![0, 2], ..CpuMeta::default() };
        let taken = |grid, threads| {
            let ranges = Ranges::new(&meta, grid, threads);
            std::iter::from_fn(|| ranges.take()).collect::<Vec<_>>()
        };
        // Sixteen groups of three, two threads: four groups, three, two, one, …
        let ranges = taken([3, 16, 1], 2);
        assert_eq!(ranges[..4], [(0, 12), (12, 21), (21, 27), (27, 30)]);
        assert_eq!(ranges.last(), Some(&(45, 48)));
        // Too few groups: a range for each thread.
        assert_eq!(taken([30, 3, 1], 2), [(0, 45), (45, 90)]);
        assert_eq!(taken([30, 3, 1], 1), [(0, 90)]);
    }
}
