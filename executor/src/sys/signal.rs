//! Signals: a handler that counts them, and rings the event descriptors of whoever listens.
//!
//! A handler, not a `signalfd`: that one is given only what every thread of the process blocks, those of other libraries and those
//! that were started before us included, and what they do not block ends the process. A blocked signal is also inherited by
//! children, which then never hear of it. A handler works whichever thread a signal comes to, and `exec` takes it away.
//!
//! What a handler may do is little: here it adds to atomic numbers, walks a list that only ever grows, and calls `getpid` and
//! `write`. Nothing that it looks at is ever freed or closed: so it needs no lock, and no descriptor that it writes to can be
//! somebody else's by then. The number of event descriptors is the greatest number of listeners that there were at once.

use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{check, event_descriptor, ring_event};

/// Linux has signals from 1 to 64.
const SIGNALS: usize = 65;
/// The signal of a place that nobody has.
const NOBODY: i32 = 0;

/// How many of each signal the handler has seen.
static ARRIVED: [AtomicU64; SIGNALS] = [const { AtomicU64::new(0) }; SIGNALS];
/// What was there before our handler: it is called, too.
static BEFORE: [Before; SIGNALS] = [const { Before::nothing() }; SIGNALS];
/// The first of the places; each names the next.
static PLACES: AtomicPtr<Place> = AtomicPtr::new(null_mut());
/// For which signals our handler was installed. Held by whoever takes a place or installs one.
static INSTALLED: Mutex<[bool; SIGNALS]> = Mutex::new([false; SIGNALS]);

/// Where somebody listens, or has listened and somebody will again.
struct Place {
    event: i32,
    /// Which process made the event descriptor: a forked child shares it with its parent, and leaves it alone.
    maker: i32,
    signal: AtomicI32,
    next: *const Place,
}

// SAFETY: `next` points to a place that is never freed, and is never written to after its own place was published.
unsafe impl Sync for Place {}

/// A handler that was there before ours.
struct Before {
    handler: AtomicUsize,
    wants_information: AtomicBool,
}

impl Before {
    const fn nothing() -> Before {
        Before {
            handler: AtomicUsize::new(libc::SIG_DFL),
            wants_information: AtomicBool::new(false),
        }
    }

    fn remember(&self, action: &libc::sigaction) {
        let wants_information = action.sa_flags & libc::SA_SIGINFO != 0;
        self.wants_information
            .store(wants_information, Ordering::Release);
        self.handler.store(action.sa_sigaction, Ordering::Release);
    }

    fn call(
        &self,
        signal: libc::c_int,
        information: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        let handler = self.handler.load(Ordering::Acquire);
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            return;
        }
        if self.wants_information.load(Ordering::Acquire) {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: `sigaction` gave it to us with `SA_SIGINFO`, so whoever installed it warrants that it is such a function.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, information, context);
        } else {
            // SAFETY: as above, without `SA_SIGINFO`.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}

/// A place, as long as somebody listens there.
#[derive(Debug)]
pub(crate) struct SignalListener {
    place: &'static Place,
}

impl SignalListener {
    /// From now on `signal` does no more what it does by itself, but is counted, and rings.
    ///
    /// # Errors
    ///
    /// EINVAL for a signal that cannot be caught or does not exist; what an event descriptor can fail with.
    pub(crate) fn new(signal: i32) -> io::Result<SignalListener> {
        let index = usize::try_from(signal).unwrap_or(0);
        if index == 0 || index >= SIGNALS {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // Whoever panicked has left truth values.
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let place = free_place()?;
        if !installed[index] {
            install(signal, &BEFORE[index])?;
            installed[index] = true;
        }
        place.signal.store(signal, Ordering::SeqCst);
        Ok(SignalListener { place })
    }

    /// Can be read when the signal has come since it was last read, and perhaps without that.
    pub(crate) fn event(&self) -> i32 {
        self.place.event
    }
}

impl Drop for SignalListener {
    fn drop(&mut self) {
        self.place.signal.store(NOBODY, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("event", &self.event)
            .field("signal", &self.signal)
            .finish_non_exhaustive()
    }
}

/// How often `signal` has come since somebody first listened for it.
pub(crate) fn arrived(signal: i32) -> u64 {
    let count = usize::try_from(signal).ok().and_then(|it| ARRIVED.get(it));
    count.map_or(0, |count| count.load(Ordering::SeqCst))
}

/// A place that nobody has, perhaps a new one. The caller holds the lock of [`INSTALLED`].
fn free_place() -> io::Result<&'static Place> {
    let process = process();
    let is_free =
        |place: &&Place| place.maker == process && place.signal.load(Ordering::SeqCst) == NOBODY;
    if let Some(place) = places().find(is_free) {
        return Ok(place);
    }
    let place = Box::leak(Box::new(Place {
        event: event_descriptor()?,
        maker: process,
        signal: AtomicI32::new(NOBODY),
        next: PLACES.load(Ordering::Acquire),
    }));
    PLACES.store(place, Ordering::Release);
    Ok(place)
}

fn places() -> impl Iterator<Item = &'static Place> {
    // SAFETY: places are leaked, and published when they are complete.
    let first = unsafe { PLACES.load(Ordering::Acquire).as_ref() };
    // SAFETY: as above; what names the next one was published after that.
    std::iter::successors(first, |place| unsafe { place.next.as_ref() })
}

fn process() -> i32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// `sigaction(2)`: our handler, with `SA_RESTART`, so that calls of others that are interrupted go on by themselves.
fn install(signal: i32, before: &Before) -> io::Result<()> {
    // SAFETY: all zeros are a valid action.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the call only fills `found`.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut found) })?;
    // Before ours is there, because a signal may come at once.
    before.remember(&found);
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `handle` has the signature that `SA_SIGINFO` asks for, and does only what a handler may do.
    check(unsafe { libc::sigaction(signal, &raw const action, null_mut()) })?;
    Ok(())
}

/// Runs in the middle of anything, on any thread.
extern "C" fn handle(
    signal: libc::c_int,
    information: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the address of this thread's own number.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let errno_before = unsafe { *errno };
    let index = usize::try_from(signal).unwrap_or(0);
    if let Some(count) = ARRIVED.get(index) {
        // Before the bell: who hears that looks here.
        count.fetch_add(1, Ordering::SeqCst);
    }
    let process = process();
    for place in places() {
        if place.signal.load(Ordering::SeqCst) == signal && place.maker == process {
            // EAGAIN says that it rings already; a write of a handler is not interrupted without being done.
            let _ = ring_event(place.event);
        }
    }
    if let Some(before) = BEFORE.get(index) {
        before.call(signal, information, context);
    }
    // SAFETY: as above. Whatever was interrupted finds its number as it was.
    unsafe { *errno = errno_before };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what every thread of the test program may get.
    fn raise(signal: i32) {
        // SAFETY: a handler is there for it.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    #[test]
    fn what_was_there_before_is_called_too_and_errno_stays() {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        extern "C" fn theirs(_: libc::c_int) {
            CALLS.fetch_add(1, Ordering::SeqCst);
            // SAFETY: this thread's own number.
            unsafe { *libc::__errno_location() = libc::EXDEV };
        }
        let signal = libc::SIGRTMIN() + 3;
        // SAFETY: the handler only counts; nobody else uses this signal.
        unsafe { libc::signal(signal, theirs as *const () as usize) };
        let listener = SignalListener::new(signal).unwrap();
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = libc::ENOENT };
        raise(signal);
        assert_eq!(
            io::Error::last_os_error().raw_os_error(),
            Some(libc::ENOENT)
        );
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        assert_eq!(arrived(signal), 1);
        drop(listener);
        raise(signal);
        assert_eq!(arrived(signal), 2, "the handler stays");
    }

    #[test]
    fn a_place_that_was_given_up_is_taken_again() {
        let signal = libc::SIGRTMIN() + 4;
        let all: Vec<_> = (0..4)
            .map(|_| SignalListener::new(signal).unwrap())
            .collect();
        let before = places().count();
        drop(all);
        for _ in 0..100 {
            drop(SignalListener::new(signal).unwrap());
        }
        // Other tests may have taken some meanwhile.
        assert!(places().count() < before + 50);
    }

    #[test]
    fn signals_that_do_not_exist_or_cannot_be_caught_are_an_error() {
        for signal in [-1, 0, 65, 1000, libc::SIGKILL, libc::SIGSTOP] {
            let error = SignalListener::new(signal).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{signal}");
        }
    }
}
