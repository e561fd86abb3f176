//! The tests of this package are in `tests/`; this library is what they share.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use krug::buf::{IoBuf, IoBufMut};
use krug::runtime::Builder;
use krug::{Runtime, time};

pub mod disk;
pub mod drivers;
pub mod refusing;

pub use drivers::{driver, has_ring};

/// How long [`until`] waits before it fails. Nothing is measured with it: a test that
/// passes does not come near.
const PATIENCE: Duration = Duration::from_secs(15);

/// [`PATIENCE`], times the factor in the variable `KRUG_PATIENCE`, which a slow machine sets.
fn patience() -> Duration {
    patient(PATIENCE)
}

/// `usual`, times the factor in the variable `KRUG_PATIENCE`, if that is set: how long a test waits for what must come.
pub fn patient(usual: Duration) -> Duration {
    let factor = std::env::var("KRUG_PATIENCE")
        .ok()
        .and_then(|factor| factor.parse::<u32>().ok());
    usual * factor.unwrap_or(1).max(1)
}

/// Read by every test, written by those that count what the whole process has open.
static ALONE: RwLock<()> = RwLock::new(());

/// Until it is dropped, no other test of this process runs that [`run`] or the like has started, nor are processes begun
/// or ended by this library: what the whole process has open or allocated can be counted.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    ALONE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Beside others that do not count what the whole process has open.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    ALONE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test` with a new runtime, and demands that nothing is left of it.
pub fn run(test: impl Fn(&Runtime)) {
    run_with(|builder| builder, test);
}

/// As [`run`], on runtimes with other settings.
pub fn run_with(configure: impl Fn(Builder) -> Builder, test: impl Fn(&Runtime)) {
    let _others = beside_others();
    on_the_driver(configure, test);
}

/// As [`run`], while no other test of this process runs, so that open descriptors can be counted. Demands that
/// there are no more afterwards than before.
pub fn run_alone(test: impl Fn(&Runtime)) {
    let _nobody = alone();
    let before = open_descriptors();
    on_the_driver(|builder| builder, test);
    // Fewer than before are no leak: a thread of an earlier test may have closed its ends late.
    let after = open_descriptors();
    assert!(
        after <= before,
        "descriptors are left open: {before} before, {after} after"
    );
}

/// Runs the test `name` once more, in a process of its own, and demands that it passes there. False in that process.
pub fn passes_in_a_process_of_its_own(name: &str) -> bool {
    passes_in_a_process_with(name, |_| ())
}

/// As [`passes_in_a_process_of_its_own`]; `prepare` says what else is different there.
pub fn passes_in_a_process_with(name: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    const CHILD: &str = "KRUG_TESTS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    // Until it runs its own program a new process has all our sockets open, too.
    let _others = beside_others();
    // Another user may not be able to walk to this program, but can start what it is itself.
    let mut child = Command::new("/proc/self/exe");
    child.args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    prepare(&mut child);
    let output = child.output().expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

/// Lets `future` time out while what it waits for is in flight, and says whether it did. The clock stands still
/// until nothing else can happen, so the answer does not depend on how busy the machine is.
pub async fn times_out<F: Future>(future: F) -> bool {
    time::pause();
    let result = time::timeout(Duration::from_millis(2), future).await;
    time::resume();
    result.is_err()
}

/// Whether a test that is about `feature` has to be left out, because the kernel has no such thing; says so.
pub fn is_without(feature: &str, has: bool) -> bool {
    if !has {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        println!("skipped: {test}: the kernel has no {feature}");
    }
    !has
}

/// Ends a test that cannot run in a simulation, because it is about something that only a real kernel has, or looks at krug from
/// outside. Its first line; the text says what that is. A test lists all of them.
#[macro_export]
macro_rules! needs_a_kernel {
    ($why:literal) => {
        if $crate::is_without_kernel($why) {
            return;
        }
    };
}

/// Whether there is no kernel below the driver that this process tests; says that a test is left out, and `why`.
pub fn is_without_kernel(why: &str) -> bool {
    let is_simulated = driver() == krug::runtime::Driver::Sim;
    if is_simulated {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        println!("left out in a simulation: {test}: {why}");
    }
    is_simulated
}

/// For tests that make and end runtimes themselves: calls `test` with settings of the driver that is tested.
pub fn with_settings(test: impl Fn(Builder)) {
    let _others = beside_others();
    println!("driver: {:?}", driver());
    let _watchdog = Watchdog::new();
    test(Runtime::builder().driver(driver()));
}

fn on_the_driver(configure: impl Fn(Builder) -> Builder, test: impl Fn(&Runtime)) {
    let _watchdog = Watchdog::new();
    println!("driver: {:?}", driver());
    let runtime = configure(Runtime::builder().driver(driver()))
        .build()
        .expect("a runtime");
    drivers::check(&runtime);
    test(&runtime);
    runtime.block_on(until("nothing is in use any more", || {
        let metrics = runtime.metrics();
        metrics.operations_alive == 0 && metrics.sources == 0 && metrics.tasks == 0
    }));
    let metrics = runtime.metrics();
    assert_eq!(metrics.stale_completions, 0, "{metrics:?}");
    let report = runtime.shutdown(Duration::from_secs(10));
    assert!(report.is_clean(), "{report:?} after {metrics:?}");
}

/// As for [`run`]: until it is dropped, the process is ended if the test takes much too long.
pub fn watched() -> Watchdog {
    Watchdog::new()
}

/// Ends the process if a test hangs: a lost wake-up is to be a failure, not a long wait.
#[derive(Debug)]
pub struct Watchdog {
    /// Dropped when the test has ended.
    _leash: mpsc::Sender<()>,
}

impl Watchdog {
    fn new() -> Watchdog {
        let (leash, is_over) = mpsc::channel();
        let name = thread::current().name().unwrap_or("a test").to_owned();
        let patience = patience() * 4 * u32::try_from(iterations(1)).unwrap_or(1);
        thread::spawn(move || {
            if is_over.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs: nothing has come of it in {patience:?}");
                std::process::abort();
            }
        });
        Watchdog { _leash: leash }
    }
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("the process's own descriptors")
        .count()
}

/// `usual`, times the factor in the variable `KRUG_ITERATIONS`, if that is set.
pub fn iterations(usual: usize) -> usize {
    let factor = std::env::var("KRUG_ITERATIONS")
        .ok()
        .and_then(|factor| factor.parse().ok());
    usual * factor.unwrap_or(1).max(1)
}

/// Lets the core make `count` turns: what is staged is submitted, what is ready is taken in. For the future given to
/// `block_on`: a task may be polled several times in one turn.
pub async fn turns(count: usize) {
    for _ in 0..count {
        krug::task::yield_now().await;
    }
}

/// Polls once and says what came of it.
pub async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Waits until `condition` is true; fails with `what` if that does not come.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < patience(), "waited in vain until {what}");
        time::sleep(Duration::from_micros(200)).await;
    }
}

/// As [`until`], for a thread that runs no core.
pub fn block_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < patience(), "waited in vain until {what}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// A generator of random numbers whose seed is printed, so that a failure can be repeated:
/// `KRUG_SEED=…` sets the seed.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Seeded by the variable `KRUG_SEED`, else by the system; prints the seed.
    pub fn new() -> Random {
        let given = std::env::var("KRUG_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let state = std::hash::RandomState::new();
        let seed = given.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&state, 0));
        println!("KRUG_SEED={seed}");
        Random::of(seed)
    }

    /// With this seed.
    pub fn of(seed: u64) -> Random {
        Random(Cell::new(seed))
    }

    /// The next number.
    pub fn number(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// A duration from zero to `longest` microseconds.
    pub fn micros(&self, longest: usize) -> Duration {
        Duration::from_micros(self.below(longest + 1) as u64)
    }

    /// The next `len` bytes.
    pub fn bytes(&self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}

impl Default for Random {
    fn default() -> Random {
        Random::new()
    }
}

/// Whether a [`Tracked`] buffer still exists.
#[derive(Clone, Debug, Default)]
pub struct Track(Arc<AtomicBool>);

impl Track {
    /// True once the buffer was dropped.
    pub fn is_dropped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A buffer that tells when it is dropped.
#[derive(Debug)]
pub struct Tracked {
    bytes: Vec<u8>,
    track: Track,
}

impl Tracked {
    /// A buffer that holds `bytes`, and its track.
    pub fn new(bytes: impl Into<Vec<u8>>) -> (Tracked, Track) {
        let track = Track::default();
        (
            Tracked {
                bytes: bytes.into(),
                track: track.clone(),
            },
            track,
        )
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.track.0.store(true, Ordering::SeqCst);
    }
}

// SAFETY: as the vector inside, whose bytes stay where they are.
unsafe impl IoBuf for Tracked {
    fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.bytes.len()
    }

    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

// SAFETY: as the vector inside.
unsafe impl IoBufMut for Tracked {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.bytes.set_len(len) }
    }
}
