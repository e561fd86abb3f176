//! What threads of the pool do for this driver, and how it comes back.

use super::Epoll;
use super::attempt::single;
use super::descriptors::{Cache, Kind};
use super::errands::{Errand, Return};
use super::turn::Completions;
use super::waiting::Position;
use crate::driver::blocking::Work;
use crate::driver::calls::{self, Mode};
use crate::driver::{CURSOR, Completion, Descriptor, Key, Operation};
use crate::sys;

impl Epoll {
    /// Reads a file from the kernel's cache, here and now; what is not there is read by a thread.
    pub(super) fn read_from_cache(
        &mut self,
        key: Key,
        operation: Operation,
        fd: Descriptor,
        completions: &mut Completions,
    ) {
        if self.cache(fd) == Cache::Bypassed {
            return self.send_file_to_pool(key, operation);
        }
        let result = calls::perform(&operation, Mode::Refuses);
        if result == -libc::EOPNOTSUPP {
            self.descriptors.state(fd).cache = Cache::Bypassed;
        }
        let is_over = match result {
            0.. => is_whole(&operation, result.cast_unsigned()),
            _ => ![libc::EAGAIN, libc::EOPNOTSUPP].contains(&-result),
        };
        match is_over {
            true => self.complete(key, Completion::last(result), completions),
            // From the beginning: what has been read once is in the cache.
            false => self.send_file_to_pool(key, operation),
        }
    }

    fn cache(&mut self, fd: Descriptor) -> Cache {
        let state = self.descriptors.state(fd);
        state.is_file = true;
        if state.cache == Cache::Unknown {
            let is_direct = sys::status_flags(fd).is_ok_and(|flags| flags & libc::O_DIRECT != 0);
            state.cache = match is_direct {
                true => Cache::Bypassed,
                false => Cache::Tried,
            };
        }
        state.cache
    }

    /// Gives an operation to a thread.
    pub(super) fn send_to_pool(&mut self, key: Key, operation: Operation) {
        self.waiting.put(key, operation, Position::InPool);
        let errand = match operation {
            Operation::ReadProvided {
                fd, group, length, ..
            } => self.read_into_lent(key, fd, group, length),
            other => single(other),
        };
        self.run_in_pool(Errand::new(Some(key), errand, &self.returns));
    }

    /// Gives a call on a file to a thread, or keeps it until one may work on files.
    pub(super) fn send_file_to_pool(&mut self, key: Key, operation: Operation) {
        self.waiting.put(key, operation, Position::InPool);
        self.run_on_file(
            Errand::new(Some(key), operation, &self.returns).on_file(self.file_threads_max),
        );
    }

    pub(super) fn run_on_file(&mut self, errand: Errand) {
        if self.file_errands >= self.file_threads_max {
            return self.held.push_back(errand);
        }
        self.file_errands += 1;
        self.run_in_pool(errand);
    }

    /// A call on a file is over, or was taken back: the next one has its turn.
    fn file_is_over(&mut self) {
        self.file_errands -= 1;
        if let Some(errand) = self.held.pop_front() {
            self.run_on_file(errand);
        }
    }

    /// The buffer is taken now: the thread does not know of groups.
    fn read_into_lent(&mut self, key: Key, fd: Descriptor, group: u16, length: u32) -> Operation {
        let buffer = self
            .groups
            .next(group)
            .expect("there was one when it was tried");
        self.groups.take(group);
        self.lent.push((key, buffer.id));
        Operation::Read {
            fd,
            address: buffer.address,
            length: buffer.length.min(length),
            offset: CURSOR,
        }
    }

    pub(super) fn run_in_pool(&mut self, errand: Errand) {
        self.in_pool += 1;
        self.counters.errands += 1;
        if let Err((work, error)) = self.pool.run(Work::Errand(errand)) {
            tracing::warn!(
                "no thread can be started for a call that may block, so it blocks the core: {error}; \
                 raise the limit of processes (ulimit -u)"
            );
            work.run();
        }
    }

    /// Takes in what threads have brought.
    #[cold]
    pub(super) fn take_returned(&mut self, completions: &mut Completions) {
        let mut returned = std::mem::take(&mut self.returned);
        for Return {
            errand,
            is_on_file,
            result,
        } in returned.drain(..)
        {
            self.in_pool -= 1;
            if is_on_file {
                self.file_is_over();
            }
            match errand {
                Some(key) => self.came_back(key, result, completions),
                None => {
                    self.own_in_flight -= 1;
                    self.counters.completions += 1;
                }
            }
        }
        self.returned = returned;
    }

    /// A thread has done the operation of `key`.
    fn came_back(&mut self, key: Key, result: i32, completions: &mut Completions) {
        let Some((_, operation)) = self.waiting.find(key) else {
            self.counters.stale_completions += 1;
            return;
        };
        self.waiting.remove(key);
        let mut completion = Completion {
            buffer: self.take_lent(key),
            ..Completion::last(result)
        };
        match operation {
            Operation::AcceptMultishot { fd, .. } => completion.more = self.accepted(fd, result),
            Operation::Accept { fd, .. } => drop(self.accepted(fd, result)),
            Operation::Open { .. } if result >= 0 => self.descriptors.fresh(result, Kind::Unknown),
            _ => {}
        }
        self.complete(key, completion, completions);
        if completion.more {
            self.begin(key, operation, completions);
        }
    }

    /// The provided buffer that the operation of `key` has had at a thread, whatever has come of it.
    fn take_lent(&mut self, key: Key) -> Option<u16> {
        let found = self.lent.iter().position(|(owner, _)| *owner == key)?;
        Some(self.lent.swap_remove(found).1)
    }

    /// Takes an operation back from the pool and completes it, if no thread has begun with it.
    pub(super) fn withdraw(&mut self, key: Key, completions: &mut Completions) -> bool {
        let is_it = |errand: &Errand| errand.key() == Some(key);
        let held = self.held.iter().position(is_it);
        let withdrawn = match held.and_then(|position| self.held.remove(position)) {
            Some(_) => true,
            None => self.withdraw_from_pool(is_it),
        };
        if withdrawn {
            self.waiting.remove(key);
            let completion = Completion {
                buffer: self.take_lent(key),
                ..Completion::last(-libc::ECANCELED)
            };
            self.complete(key, completion, completions);
        }
        withdrawn
    }

    fn withdraw_from_pool(&mut self, is_it: impl Fn(&Errand) -> bool) -> bool {
        let work = self
            .pool
            .withdraw(|work| matches!(work, Work::Errand(errand) if is_it(errand)));
        let Some(Work::Errand(errand)) = work else {
            return false;
        };
        self.in_pool -= 1;
        if errand.is_on_file() {
            self.file_is_over();
        }
        true
    }
}

/// True if a read that has found `count` bytes in the cache has found all there are: it is full, or the file ends there.
///
/// The kernel's word alone is not enough: Linux 5.9 and 5.10 answer with less than was asked for, or with nothing, when the
/// rest is not in the cache.
fn is_whole(operation: &Operation, count: u32) -> bool {
    let (fd, offset) = match *operation {
        Operation::Read { length, .. } | Operation::ReadFixed { length, .. } if length == count => {
            return true;
        }
        Operation::Read { fd, offset, .. }
        | Operation::ReadFixed { fd, offset, .. }
        | Operation::ReadVectored { fd, offset, .. } => (fd, offset),
        _ => return false,
    };
    let end = offset.saturating_add(u64::from(count));
    match sys::length(fd) {
        // Of files that are made up while they are read; how long they are shows at their end.
        Ok(Some(0)) => count == 0,
        Ok(Some(length)) => end >= length,
        Ok(None) | Err(_) => false,
    }
}
