//! What a simulation answers instead of the system when a program asks for the time or for random bytes.
//!
//! The functions of the C library can be replaced by those of a program that bring the same name; `krug::interpose!` does
//! that. They come here; on a thread that simulates nothing they go on to the kernel.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::random::Random;

/// What clocks show at the beginning of a world that count from no date.
const BEGINNING: Duration = Duration::from_secs(86_400);
/// The date at the beginning of a world: that of the first of January 2026, UTC.
pub(crate) const DATE: Duration = Duration::from_secs(1_767_225_600);

thread_local! {
    /// How far the world is that this thread simulates.
    static ELAPSED: Cell<Option<Duration>> = const { Cell::new(None) };
    /// By how many nanoseconds the date of the host that takes its turn is wrong.
    static DATE_SHIFT: Cell<i64> = const { Cell::new(0) };
    /// Where random bytes come from.
    static ENTROPY: RefCell<Option<Rc<Random>>> = const { RefCell::new(None) };
}

/// What this thread's clocks show from now on; `None`: what they are.
pub(crate) fn show(elapsed: Option<Duration>) {
    ELAPSED.set(elapsed);
}

/// By how many nanoseconds this thread's date is wrong, while it simulates.
pub(crate) fn shift_date(by: i64) {
    DATE_SHIFT.set(by);
}

/// Where random bytes come from on this thread, while it simulates.
pub(crate) fn draw_from(entropy: Option<Rc<Random>>) {
    ENTROPY.replace(entropy);
}

/// What the clock of this number shows, if it is a simulated one.
fn simulated_time(clock: libc::clockid_t) -> Option<Duration> {
    let elapsed = ELAPSED.try_with(Cell::get).ok().flatten()?;
    match clock {
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME => Some(BEGINNING + elapsed),
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => {
            let shift = DATE_SHIFT.try_with(Cell::get).unwrap_or_default();
            let by = Duration::from_nanos(shift.unsigned_abs());
            let date = DATE + elapsed;
            Some(match shift {
                0.. => date + by,
                _ => date.saturating_sub(by),
            })
        }
        _ => None,
    }
}

/// As the function of the C library.
///
/// # Safety
///
/// As there: `time` may be written to.
#[doc(hidden)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    let Some(simulated) = simulated_time(clock) else {
        // SAFETY: the caller's promise is the kernel's demand.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as i32;
    };
    let shown = libc::timespec {
        tv_sec: simulated.as_secs() as libc::time_t,
        tv_nsec: simulated.subsec_nanos().into(),
    };
    // SAFETY: the caller's promise.
    unsafe { time.write(shown) };
    0
}

/// As the function of the C library.
///
/// # Safety
///
/// As there: `length` bytes from `buffer` on may be written to.
#[doc(hidden)]
pub unsafe extern "C" fn getrandom(buffer: *mut libc::c_void, length: usize, flags: u32) -> isize {
    let entropy = ENTROPY.try_with(|entropy| entropy.try_borrow().ok()?.clone());
    let Some(entropy) = entropy.ok().flatten() else {
        // SAFETY: the caller's promise is the kernel's demand.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as isize;
    };
    for offset in 0..length {
        let byte = entropy.next() as u8;
        // SAFETY: the caller's promise; `offset` is below `length`.
        unsafe { buffer.cast::<u8>().add(offset).write(byte) };
    }
    length as isize
}
