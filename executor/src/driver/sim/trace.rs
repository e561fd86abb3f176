//! [`Trace`]: a fingerprint of everything that happens in a world.

use std::time::Duration;

use crate::driver::{Completion, Key};
use crate::sys::simulated::in_any_world;

/// What is noted. Addresses of memory are not: they differ from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A core has begun a turn.
    Turn {
        core: usize,
    },
    /// A core learns of a completion.
    Completed {
        core: usize,
        key: Key,
        completion: Completion,
    },
    /// Work that blocks is done for a core.
    Worked {
        core: usize,
    },
    HostStarted {
        host: usize,
    },
    HostEnded {
        host: usize,
    },
    HostCrashed {
        host: usize,
    },
    /// A signal comes to the program of a host.
    Signal {
        host: usize,
        signal: i32,
    },
}

impl Happening {
    /// As if its world were the first one of its thread: some operations answer with the number of a descriptor.
    pub(super) fn in_any_world(mut self) -> Happening {
        if let Happening::Completed { completion, .. } = &mut self {
            completion.result = in_any_world(completion.result);
        }
        self
    }
}

/// FNV-1a (Fowler, Noll, Vo) over 64-bit words instead of bytes, with a shift after each: two runs are the same if their
/// fingerprints are.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    count: u64,
    completions: u64,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            count: 0,
            completions: 0,
        }
    }

    pub(crate) fn note(&mut self, moment: Duration, happening: Happening) {
        self.count += 1;
        // Years of nanoseconds fit.
        self.word(moment.as_nanos() as u64);
        match happening {
            Happening::Turn { core } => self.words([1, core as u64]),
            Happening::Completed {
                core,
                key,
                completion,
            } => {
                self.completions += 1;
                let name = u64::from(key.index) << 32 | u64::from(key.generation);
                let result = u64::from(completion.result.cast_unsigned());
                let buffer = completion.buffer.map_or(1 << 20, u64::from);
                let more = u64::from(completion.more) << 32;
                self.words([2, core as u64, name, result | more, buffer]);
            }
            Happening::Worked { core } => self.words([3, core as u64]),
            Happening::HostStarted { host } => self.words([4, host as u64]),
            Happening::HostEnded { host } => self.words([5, host as u64]),
            Happening::HostCrashed { host } => self.words([6, host as u64]),
            Happening::Signal { host, signal } => {
                self.words([7, host as u64, u64::from(signal.unsigned_abs())]);
            }
        }
    }

    fn words<const COUNT: usize>(&mut self, words: [u64; COUNT]) {
        words.into_iter().for_each(|word| self.word(word));
    }

    fn word(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
        // Multiplying alone never brings a high bit down.
        self.hash ^= self.hash >> 32;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How much has happened.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many completions are among that.
    pub(crate) fn completions(&self) -> u64 {
        self.completions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::key;

    fn hash(happenings: &[(u64, Happening)]) -> u64 {
        let mut trace = Trace::new();
        for (moment, happening) in happenings {
            trace.note(Duration::from_nanos(*moment), *happening);
        }
        assert_eq!(trace.count(), happenings.len() as u64);
        trace.hash()
    }

    #[test]
    fn whatever_differs_changes_the_fingerprint() {
        let completed = |core, key, completion| Happening::Completed {
            core,
            key,
            completion,
        };
        let last = Completion::last(3);
        let all = [
            hash(&[]),
            hash(&[(1, Happening::Turn { core: 0 })]),
            hash(&[(2, Happening::Turn { core: 0 })]),
            hash(&[(1, Happening::Turn { core: 1 })]),
            hash(&[(1, completed(1, key(4, 1), last))]),
            hash(&[(1, completed(1, key(4, 2), last))]),
            hash(&[(1, completed(1, key(5, 1), last))]),
            hash(&[(1, completed(1, key(4, 1), Completion::last(-3)))]),
            hash(&[(
                1,
                completed(1, key(4, 1), Completion { more: true, ..last }),
            )]),
            hash(&[(
                1,
                completed(
                    1,
                    key(4, 1),
                    Completion {
                        buffer: Some(0),
                        ..last
                    },
                ),
            )]),
            hash(&[(1, Happening::HostStarted { host: 0 })]),
            hash(&[(1, Happening::HostEnded { host: 0 })]),
            hash(&[(1, Happening::HostCrashed { host: 0 })]),
            hash(&[(1, Happening::Signal { host: 0, signal: 2 })]),
            hash(&[(
                1,
                Happening::Signal {
                    host: 0,
                    signal: 15,
                },
            )]),
            hash(&[(1, Happening::Worked { core: 0 })]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }
}
