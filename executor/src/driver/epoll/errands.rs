//! [`Errand`]: an operation that a thread of the pool does, and [`Returns`]: where its result waits for the driver.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::driver::bell::Bell;
use crate::driver::calls::{self, Mode};
use crate::driver::{Key, Operation};

/// What a thread brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Return {
    /// `None`: a descriptor was closed that nobody waits for.
    pub(super) errand: Option<Key>,
    pub(super) is_on_file: bool,
    pub(super) result: i32,
}

/// One call that may wait.
#[derive(Debug)]
pub(crate) struct Errand {
    /// `None` for the driver's own closes.
    key: Option<Key>,
    /// `None` once it was done.
    operation: Option<Operation>,
    /// Of those on files: how many threads may work on files at a time.
    file_threads_max: Option<usize>,
    returns: Arc<Returns>,
}

impl Errand {
    pub(super) fn new(key: Option<Key>, operation: Operation, returns: &Arc<Returns>) -> Errand {
        Errand {
            key,
            operation: Some(operation),
            file_threads_max: None,
            returns: returns.clone(),
        }
    }

    /// One of those that work on files, of which there are at most so many at a time.
    pub(super) fn on_file(self, threads_max: usize) -> Errand {
        // Not by an update, as it has a destructor.
        let mut errand = self;
        errand.file_threads_max = Some(threads_max);
        errand
    }

    pub(in crate::driver) fn is_on_file(&self) -> bool {
        self.file_threads_max.is_some()
    }

    pub(in crate::driver) fn file_threads_max(&self) -> usize {
        self.file_threads_max.unwrap_or(usize::MAX)
    }

    pub(super) fn key(&self) -> Option<Key> {
        self.key
    }

    /// Does it and keeps the result to itself.
    pub(super) fn perform(&mut self) -> i32 {
        let operation = self.operation.take();
        operation.map_or(0, |operation| calls::perform(&operation, Mode::Waits))
    }

    /// Does it and brings the result.
    pub(crate) fn run(mut self) {
        let result = self.perform();
        self.returns.bring(Return {
            errand: self.key,
            is_on_file: self.is_on_file(),
            result,
        });
    }
}

impl Drop for Errand {
    /// The pool has ended before it came to this. What was to be closed is closed all the same.
    fn drop(&mut self) {
        if matches!(self.operation, Some(Operation::Close { .. })) {
            self.perform();
        }
    }
}

/// Results on their way to the driver.
#[derive(Debug)]
pub(super) struct Returns {
    list: Mutex<Vec<Return>>,
    /// Something is on the list.
    has_some: AtomicBool,
    /// The driver sleeps, or is about to, and has to be woken.
    is_asleep: AtomicBool,
    bell: Bell,
}

impl Returns {
    pub(super) fn new(bell: Bell) -> Returns {
        Returns {
            list: Mutex::default(),
            has_some: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
            bell,
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Return>> {
        // A panic elsewhere cannot leave a list of numbers half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, returned: Return) {
        self.list().push(returned);
        // Against `prepare_sleep`: either this thread sees that the driver sleeps, or the driver sees that something is there.
        self.has_some.store(true, Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// Moves what has come to `into`.
    #[inline]
    pub(super) fn take(&self, into: &mut Vec<Return>) {
        if self.has_some.load(Ordering::Relaxed) {
            self.has_some.store(false, Ordering::SeqCst);
            mem::swap(&mut *self.list(), into);
        }
    }

    /// From now on whoever brings something rings. False if something has come already.
    pub(super) fn prepare_sleep(&self) -> bool {
        self.is_asleep.store(true, Ordering::SeqCst);
        let nothing = !self.has_some.load(Ordering::SeqCst);
        if !nothing {
            self.wake_up();
        }
        nothing
    }

    pub(super) fn wake_up(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}
