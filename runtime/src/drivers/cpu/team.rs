//! Threads that wait for work. Giving them some allocates nothing and takes no lock.
//!
//! ```text
//! caller   offers a task to idle members ── works itself ── takes back offers that nobody took ── waits for the others
//! member   idle ──▶ offered ──▶ busy ──▶ idle          (one word per member, changed by compare and swap)
//! ```
//! An offer that was not taken when the caller is done costs nothing: a short launch never waits for a thread to wake up.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

/// How often a thread looks before it sleeps.
const LOOKS: usize = 400;

/// What a word holds while its member works.
const BUSY: *mut Task = ptr::without_provenance_mut(1);

/// Work in progress; lives on its caller's stack.
struct Task {
    work: *const (dyn Fn() + Sync),
    /// Members that have ended it.
    done: AtomicUsize,
    /// What a member panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

/// One member's word: null, an offered task, or [`BUSY`].
struct Desk {
    task: AtomicPtr<Task>,
    closed: AtomicBool,
}

struct Member {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Threads beside the one that asks for work.
pub(super) struct Team(Vec<Member>);

impl Team {
    /// Starts `members` threads.
    pub(super) fn new(members: usize) -> io::Result<Team> {
        // On an error the team is dropped, and those that were started end.
        let mut team = Team(Vec::with_capacity(members));
        for i in 1..=members {
            let desk =
                Arc::new(Desk { task: AtomicPtr::new(ptr::null_mut()), closed: AtomicBool::new(false) });
            let own = desk.clone();
            let thread = thread::Builder::new().name(format!("kcc-{i}")).spawn(move || own.sit())?;
            team.0.push(Member { desk, thread: Some(thread) });
        }
        Ok(team)
    }

    /// Does `work` on this thread and on at most `others` idle members at the same time.
    pub(super) fn work(&self, others: usize, work: &(dyn Fn() + Sync)) {
        // SAFETY: only the lifetime changes; no member uses it after `Shift` is dropped.
        let work_for_members: &'static (dyn Fn() + Sync) = unsafe { std::mem::transmute(work) };
        let task = Task {
            work: work_for_members,
            done: AtomicUsize::new(0),
            panic: Mutex::new(None),
            caller: thread::current(),
        };
        let mut shift = Shift { team: self, task: &task, asked: 0 };
        for member in self.0.iter() {
            if shift.asked == others {
                break;
            }
            let at = ptr::from_ref(&task).cast_mut();
            let offer = &member.desk.task;
            if offer.compare_exchange(ptr::null_mut(), at, Ordering::Release, Ordering::Relaxed).is_ok() {
                shift.asked += 1;
                if let Some(thread) = &member.thread {
                    thread.thread().unpark();
                }
            }
        }
        work();
        drop(shift);
        if let Some(payload) = task.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
    }
}

/// A task while members may use it; its end, also by a panic, waits for them.
struct Shift<'t> {
    team: &'t Team,
    task: &'t Task,
    asked: usize,
}

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        let at = ptr::from_ref(self.task).cast_mut();
        let untaken = |m: &&Member| {
            let word = &m.desk.task;
            word.compare_exchange(at, ptr::null_mut(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let taken = self.asked - self.team.0.iter().filter(untaken).count();
        let mut looks = 0;
        while self.task.done.load(Ordering::Acquire) < taken {
            rest(&mut looks);
        }
    }
}

/// Spins a little, then sleeps until somebody wakes the thread.
fn rest(looks: &mut usize) {
    *looks += 1;
    if *looks < LOOKS {
        std::hint::spin_loop();
    } else {
        thread::park();
    }
}

impl Desk {
    /// A member's life.
    fn sit(&self) {
        let mut looks = 0;
        while !self.closed.load(Ordering::Acquire) {
            let at = self.task.load(Ordering::Relaxed);
            let taken = !at.is_null()
                && self.task.compare_exchange(at, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if !taken {
                rest(&mut looks);
                continue;
            }
            looks = 0;
            // SAFETY: the offer was taken, so the caller, on whose stack the task is, waits until `done` has counted this member.
            let task = unsafe { &*at };
            // SAFETY: as above.
            let work = unsafe { &*task.work };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                *task.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
            }
            let caller = task.caller.clone();
            self.task.store(ptr::null_mut(), Ordering::Relaxed);
            // From here on the task may be gone.
            task.done.fetch_add(1, Ordering::Release);
            caller.unpark();
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for member in &mut self.0 {
            member.desk.closed.store(true, Ordering::Release);
            let Some(thread) = member.thread.take() else { continue };
            thread.thread().unpark();
            // A kernel's print handler may own the last handle of the device: a thread does not wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting::allocations;
    use std::sync::Barrier;

    #[test]
    fn every_member_that_is_asked_works_with_the_caller() {
        let team = Team::new(3).unwrap();
        for others in 0..=3 {
            let (barrier, count) = (Barrier::new(others + 1), AtomicUsize::new(0));
            team.work(others, &|| {
                barrier.wait();
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), others + 1);
        }
    }

    #[test]
    fn nothing_is_left_behind_by_short_work() {
        let team = Team::new(2).unwrap();
        for _ in 0..20_000 {
            let count = AtomicUsize::new(0);
            team.work(2, &|| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert!((1..=3).contains(&count.into_inner()));
        }
    }

    #[test]
    fn callers_share_a_team() {
        let team = Team::new(2).unwrap();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..500 {
                        let sum = AtomicUsize::new(0);
                        let next = AtomicUsize::new(0);
                        team.work(2, &|| {
                            while let i @ 0..100 = next.fetch_add(1, Ordering::Relaxed) {
                                sum.fetch_add(i, Ordering::Relaxed);
                            }
                        });
                        assert_eq!(sum.into_inner(), 4950);
                    }
                });
            }
        });
    }

    #[test]
    fn work_may_ask_for_work() {
        let team = Team::new(2).unwrap();
        let count = AtomicUsize::new(0);
        team.work(2, &|| {
            team.work(2, &|| {
                count.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert!(count.into_inner() >= 1);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_works_on() {
        let team = Team::new(1).unwrap();
        let main = thread::current().id();
        let barrier = Barrier::new(2);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            team.work(1, &|| {
                barrier.wait();
                assert!(thread::current().id() == main, "a member");
            });
        }));
        assert!(caught.is_err());
        team.work(1, &|| {
            barrier.wait();
        });
    }

    #[test]
    fn giving_work_allocates_nothing() {
        let team = Team::new(2).unwrap();
        let work = || {
            team.work(2, &|| {
                std::hint::black_box(1);
            });
        };
        work();
        assert_eq!(allocations(|| (0..100).for_each(|_| work())), 0);
    }
}
