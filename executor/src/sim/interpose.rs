//! What programs are shown by clocks that are not krug's.

use std::rc::Rc;
use std::time::Duration;

use crate::driver::sim::interposed;
use crate::random::Random;

pub use interposed::{clock_gettime, getrandom};

/// Makes `Instant::now`, `SystemTime::now` and the random bytes behind `HashMap` follow the simulation, in the whole
/// program, on threads that simulate; on all others they stay what they are. Say it once, in the root of a program of
/// tests.
///
/// It replaces `clock_gettime` and `getrandom` of the C library; code that asks the kernel without them is not reached. A
/// date begins at the first of January 2026.
///
/// ```
/// krug::interpose!();
///
/// # fn main() {
/// use std::time::{Duration, Instant};
///
/// let mut sim = krug::sim::Sim::new(1);
/// sim.client("sleeper", async {
///     let begin = Instant::now();
///     krug::time::sleep(Duration::from_secs(3600)).await;
///     assert!(begin.elapsed() >= Duration::from_secs(3600));
/// });
/// sim.run().unwrap();
/// # }
/// ```
#[macro_export]
macro_rules! interpose {
    () => {
        /// Instead of the C library's.
        ///
        /// # Safety
        ///
        /// As there.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn clock_gettime(clock: i32, time: *mut ::core::ffi::c_void) -> i32 {
            // SAFETY: the caller keeps what the C library asks for.
            unsafe { $crate::sim::clock_gettime(clock, time.cast()) }
        }

        /// Instead of the C library's.
        ///
        /// # Safety
        ///
        /// As there.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn getrandom(
            buffer: *mut ::core::ffi::c_void,
            length: usize,
            flags: u32,
        ) -> isize {
            // SAFETY: the caller keeps what the C library asks for.
            unsafe { $crate::sim::getrandom(buffer, length, flags) }
        }
    };
}

/// This thread's clocks are the system's again.
pub(super) fn end() {
    interposed::show(None);
    interposed::draw_from(None);
    interposed::shift_date(0);
}

/// This thread's clocks are a world's, which is so old.
pub(super) fn show(elapsed: Duration) {
    interposed::show(Some(elapsed));
}

/// A host takes its turn: random bytes come from `entropy`, and its date is wrong by so many nanoseconds.
pub(super) fn enter(entropy: &Rc<Random>, date_shift: i64) {
    interposed::draw_from(Some(Rc::clone(entropy)));
    interposed::shift_date(date_shift);
}
