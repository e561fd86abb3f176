//! [`Remote`]: the word of a task that other threads may change.
//!
//! Low byte: flags. The rest: a signed count, how many references were made elsewhere minus
//! how many were dropped elsewhere. Every change is one read-modify-write of this one word,
//! and every function here is one such change with a name, so the order of events is the
//! order in which the word changed.
//!
//! 56 bits of count cannot overflow: at five nanoseconds for one change it takes eleven years.

use crate::primitives::{AtomicU64, Ordering};

/// The task's node is in its mailbox, or the one who set this is about to put it there.
/// Cleared by the home only, when it has taken the node out.
pub(super) const QUEUED: u64 = 1;
/// The home has given its count to this word and never looks at the task again.
/// Whoever brings the count to zero frees the memory. The other flags mean nothing now.
pub(super) const MERGED: u64 = 1 << 1;
/// For the home: wake the task.
pub(super) const WAKE: u64 = 1 << 2;
/// For the home: drop the future.
pub(super) const ABORT: u64 = 1 << 3;
/// For the home: the join handle is gone, nobody wants the output.
pub(super) const DETACH: u64 = 1 << 4;
/// For the home: the join handle waits elsewhere, see `Header::remote_joiner`.
pub(super) const WATCH: u64 = 1 << 5;
/// For the home: take this task in. Set at birth, by `spawn_from_afar`.
pub(super) const NEW: u64 = 1 << 6;

const COUNT_SHIFT: u32 = 8;
const ONE: u64 = 1 << COUNT_SHIFT;

/// One value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) fn new(flags: u64, count: i64) -> Word {
        debug_assert!(flags < ONE);
        Word(flags | (count << COUNT_SHIFT) as u64)
    }

    pub(super) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn count(self) -> i64 {
        self.0 as i64 >> COUNT_SHIFT
    }

    fn released(self) -> Word {
        Word(self.0.wrapping_sub(ONE))
    }
}

/// What a thread that told the home something has to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Announced {
    /// Push the node.
    Push,
    /// Nothing: the node is on its way already.
    Known,
    /// There is no home any more; nothing was changed.
    Merged,
}

/// What a thread that dropped a reference has to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Released {
    Nothing,
    /// The home has to settle the count: push the node.
    Push,
    /// It was the last one of a merged task: free the memory.
    Free,
}

/// What the home found when it wanted to be rid of a finished task.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum GivenUp {
    /// Nobody has a reference: free the memory.
    Free,
    /// Others have references; the last of them frees the memory.
    Merged,
    /// The node is on its way: decide when it has arrived.
    Later,
}

#[derive(Debug)]
pub(super) struct Remote {
    word: AtomicU64,
}

impl Remote {
    pub(super) fn new(word: Word) -> Remote {
        Remote {
            word: AtomicU64::new(word.0),
        }
    }

    pub(super) fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// `change` answers with the next value and with what to report, or refuses with a report.
    #[inline]
    fn transition<R>(&self, mut change: impl FnMut(Word) -> Result<(Word, R), R>) -> R {
        let mut current = self.load();
        loop {
            let (next, report) = match change(current) {
                Ok(change) => change,
                Err(refusal) => return refusal,
            };
            // Release: the home (or whoever frees) sees what was done with the reference.
            // Acquire: whoever frees sees what all others did with theirs.
            match self.word.compare_exchange_weak(
                current.0,
                next.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return report,
                Err(now) => current = Word(now),
            }
        }
    }

    // Anywhere.

    /// One more reference, made from one that exists.
    pub(super) fn retain(&self) {
        // Relaxed: the existing reference keeps the task alive, as with `Arc`.
        self.word.fetch_add(ONE, Ordering::Relaxed);
    }

    pub(super) fn release(&self) -> Released {
        self.transition(|current| {
            let next = current.released();
            if current.has(MERGED) {
                let last = next.count() == 0;
                let report = if last {
                    Released::Free
                } else {
                    Released::Nothing
                };
                return Ok((next, report));
            }
            if next.count() >= 0 || current.has(QUEUED) {
                return Ok((next, Released::Nothing));
            }
            // More dropped than made out here: the home may hold a count for nobody.
            Ok((Word(next.0 | QUEUED), Released::Push))
        })
    }

    /// Tells the home `flag`.
    pub(super) fn announce(&self, flag: u64) -> Announced {
        self.transition(|current| {
            if current.has(MERGED) {
                return Err(Announced::Merged);
            }
            Ok((Word(current.0 | flag | QUEUED), announced(current)))
        })
    }

    /// Tells the home `flag` and drops a reference with the same change. From then on only
    /// `QUEUED` keeps the memory for the push. If merged, the reference is still there.
    pub(super) fn announce_and_release(&self, flag: u64) -> Announced {
        self.transition(|current| {
            if current.has(MERGED) {
                return Err(Announced::Merged);
            }
            let next = Word(current.released().0 | flag | QUEUED);
            Ok((next, announced(current)))
        })
    }

    // Home only.

    /// The node has arrived: takes flags and count out; the node may be pushed again.
    pub(super) fn take(&self) -> Word {
        let word = Word(self.word.swap(0, Ordering::AcqRel));
        debug_assert!(word.has(QUEUED) && !word.has(MERGED));
        word
    }

    /// Takes the count out and leaves the flags.
    pub(super) fn take_count(&self) -> i64 {
        self.transition(|current| Ok((Word(current.0 & (ONE - 1)), current.count())))
    }

    /// Gives the home's `local` references of a finished task to this word, unless the node is
    /// on its way. If merged, the word counts one more: the caller's, which it releases when
    /// it has forgotten the task.
    pub(super) fn merge(&self, local: u64) -> GivenUp {
        self.transition(|current| {
            debug_assert!(!current.has(MERGED));
            if current.has(QUEUED) {
                return Err(GivenUp::Later);
            }
            let total = current.count() + local as i64;
            debug_assert!(total >= 0, "more references dropped than made");
            if total == 0 {
                // Without a reference nobody can change the word: a look is enough.
                return Err(GivenUp::Free);
            }
            Ok((Word::new(MERGED, total + 1), GivenUp::Merged))
        })
    }

    /// The same for a node that has arrived where there is no home to take it in: from
    /// `QUEUED` to merged in one step. Returns the flags that were set.
    pub(super) fn merge_arrived(&self, local: u64) -> Word {
        self.transition(|current| {
            debug_assert!(current.has(QUEUED) && !current.has(MERGED));
            Ok((Word::new(MERGED, current.count() + local as i64), current))
        })
    }
}

fn announced(before: Word) -> Announced {
    if before.has(QUEUED) {
        Announced::Known
    } else {
        Announced::Push
    }
}
