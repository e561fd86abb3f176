//! Where the system refuses io_uring, krug goes on with epoll, and says so once.
//!
//! That the programs of the suite pass there, too, is tested by themselves: see `in_hardship_too`.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use krug::Runtime;
use krug::net::UnixStream;
use krug::runtime::Driver;
use krug_tests::refusing::{
    Calls, Hardship, can_refuse, limit_descriptors, refuse, rings_are_locked_memory,
};
use krug_tests::{passes_in_a_process_with, patient, run_alone, run_with};

/// What has been warned of in this process.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?}");
            }
        }
        let mut text = Text(format!("{}: ", event.metadata().level()));
        event.record(&mut text);
        WARNINGS.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn take_warnings() -> Vec<String> {
    std::mem::take(&mut *WARNINGS.lock().unwrap())
}

/// Leaves the choice of the driver to krug, whatever the variables of this process say.
fn choose_freely(command: &mut Command) {
    command.env_remove("KRUG_DRIVER");
}

fn on(driver: Driver) -> io::Result<Runtime> {
    Runtime::builder().driver(driver).build()
}

/// A round trip through the kernel, and one through a thread or a ring.
async fn works() {
    let (one, other) = UnixStream::pair().unwrap();
    one.write_all("hello").await.0.unwrap();
    let (result, buf) = other.read_exact(Vec::with_capacity(5)).await;
    result.unwrap();
    assert_eq!(buf, b"hello");
    krug::time::sleep(Duration::from_millis(1)).await;
}

/// Demands the form `cannot set up io_uring: <answer>; <cause>: <remedy>`.
fn check_reason(reason: &str, errno: i32) {
    let answer = io::Error::from_raw_os_error(errno);
    let begin = format!("cannot set up io_uring: {answer}; ");
    let rest = reason
        .strip_prefix(&begin)
        .unwrap_or_else(|| panic!("{reason} begins with {begin}"));
    let (cause, remedy) = rest.split_once(": ").expect("a cause, and a remedy");
    assert!(!cause.trim().is_empty() && remedy.len() > 10, "{reason}");
    assert!(!reason.contains('\n'), "one line: {reason}");
}

/// Demands that the one warning so far is the one that gives this reason.
fn check_warning(reason: &str) {
    let warnings = take_warnings();
    let [warning] = &warnings[..] else {
        panic!("one warning: {warnings:?}");
    };
    let beginning = format!("WARN: {reason}. Going on with epoll");
    assert!(warning.starts_with(&beginning), "{warning}");
    assert!(!warning.contains('\n'), "one line: {warning}");
}

/// Calls `test` on a thread to which these calls are refused.
fn refused<T: Send>(calls: Calls, errno: i32, test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            refuse(calls, errno).expect("a filter");
            test()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A ring, or nothing and a word about it: this system may refuse them by itself.
fn a_ring() -> Option<Runtime> {
    let ring = on(Driver::Uring);
    if let Err(error) = &ring {
        println!("skipped: what needs a ring: {error}");
    }
    ring.ok()
}

/// The text without how much of something is in use now, which is said in brackets.
fn but_for_counts(reason: &str) -> String {
    let counted =
        |part: &str| part.contains(" of ") && part.starts_with(|c: char| c.is_ascii_digit());
    let parts = reason.split('(').map(|part| match counted(part) {
        true => part.split_once(')').map_or("", |(_, rest)| rest),
        false => part,
    });
    parts.collect()
}

/// Two runtimes on a thread to which io_uring is refused: they work on epoll, and the first one brings a warning.
fn goes_on_with_epoll(calls: Calls, errno: i32) {
    refused(calls, errno, || {
        let first = on(Driver::Auto).unwrap();
        assert_eq!(first.driver(), Driver::Epoll, "{calls:?} {errno}");
        let reason = first.fallback_reason().expect("a reason");
        check_reason(&reason, errno);
        if errno == libc::EPERM {
            assert!(reason.contains("seccomp"), "{reason}");
        }
        check_warning(&reason);
        let second = on(Driver::Auto).unwrap();
        assert_eq!(second.driver(), Driver::Epoll);
        let second_reason = second.fallback_reason().expect("a reason");
        assert_eq!(but_for_counts(&second_reason), but_for_counts(&reason));
        assert_eq!(take_warnings(), [""; 0], "it has been said");
        for runtime in [first, second] {
            runtime.block_on(works());
            assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
        }

        let error = on(Driver::Uring).expect_err("no ring can be made");
        assert_eq!(but_for_counts(&error.to_string()), but_for_counts(&reason));
        assert_eq!(error.kind(), io::Error::from_raw_os_error(errno).kind());
        let chosen = on(Driver::Epoll).unwrap();
        assert_eq!(chosen.fallback_reason(), None, "nobody asked for a ring");
        assert_eq!(take_warnings(), [""; 0], "nobody goes on with anything");
    });
}

#[test]
fn whatever_the_system_answers_krug_goes_on_with_epoll_and_warns_once() {
    let name = "whatever_the_system_answers_krug_goes_on_with_epoll_and_warns_once";
    if !can_refuse() || passes_in_a_process_with(name, choose_freely) {
        return;
    }
    tracing::subscriber::set_global_default(Log).unwrap();
    // What containers, security modules and kernels without io_uring say; what has been seen of strange systems; and one
    // that nobody has seen.
    let errnos = [
        libc::EPERM,
        libc::ENOSYS,
        libc::EACCES,
        libc::ENOMEM,
        libc::EOPNOTSUPP,
        libc::EINVAL,
        libc::EMFILE,
        libc::ENFILE,
        libc::EXDEV,
    ];
    for errno in errnos {
        goes_on_with_epoll(Calls::Setup, errno);
    }
    goes_on_with_epoll(Calls::All, libc::EPERM);
}

#[test]
fn a_ring_that_may_not_be_entered_is_no_ring() {
    let name = "a_ring_that_may_not_be_entered_is_no_ring";
    if !can_refuse() || passes_in_a_process_with(name, choose_freely) || a_ring().is_none() {
        return;
    }
    tracing::subscriber::set_global_default(Log).unwrap();
    goes_on_with_epoll(Calls::Enter, libc::EPERM);
    goes_on_with_epoll(Calls::EnterAndRegister, libc::ENOSYS);
    goes_on_with_epoll(Calls::EnterAndRegister, libc::EPERM);
}

#[test]
fn the_environment_may_demand_a_ring_and_is_told_why_there_is_none() {
    let name = "the_environment_may_demand_a_ring_and_is_told_why_there_is_none";
    let demand = |command: &mut Command| {
        command.env("KRUG_DRIVER", "uring");
    };
    if !can_refuse() || passes_in_a_process_with(name, demand) {
        return;
    }
    refused(Calls::Setup, libc::EPERM, || {
        let error = Runtime::new().expect_err("no ring can be made");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        check_reason(&error.to_string(), libc::EPERM);
    });
}

#[test]
fn what_is_refused_to_one_thread_is_there_for_the_others() {
    let name = "what_is_refused_to_one_thread_is_there_for_the_others";
    if !can_refuse() || passes_in_a_process_with(name, choose_freely) || a_ring().is_none() {
        return;
    }
    let before = on(Driver::Auto).unwrap();
    refused(Calls::All, libc::EPERM, || {
        let here = on(Driver::Auto).unwrap();
        assert_eq!(here.driver(), Driver::Epoll);
        here.block_on(works());
    });
    before.block_on(works());
    let after = on(Driver::Auto).unwrap();
    assert_eq!(after.driver(), Driver::Uring);
    after.block_on(works());
}

/// Such a thread may not send messages to rings, either.
#[test]
fn a_thread_that_is_refused_everything_wakes_a_core_that_has_a_ring() {
    if !can_refuse() {
        return;
    }
    let wake_from_such_a_thread = |core: &Runtime| {
        let (to_thread, from_core) = mpsc::channel::<Waker>();
        let is_woken = Arc::new(AtomicBool::new(false));
        let wakes = is_woken.clone();
        let thread = thread::spawn(move || {
            refuse(Calls::All, libc::EPERM).unwrap();
            for waker in from_core {
                wakes.store(true, Ordering::Release);
                waker.wake();
            }
        });
        for _ in 0..20 {
            core.block_on(async {
                let mut too_late = pin!(krug::time::sleep(patient(Duration::from_secs(10))));
                let wait = poll_fn(|cx| {
                    // Looked at first: the timer wakes the core, too, and what it waits for is there then.
                    assert!(too_late.as_mut().poll(cx).is_pending(), "nobody wakes it");
                    if is_woken.swap(false, Ordering::Acquire) {
                        return Poll::Ready(());
                    }
                    to_thread.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                });
                wait.await;
            });
        }
        drop(to_thread);
        thread.join().unwrap();
    };
    run_with(|builder| builder, wake_from_such_a_thread);
}

#[test]
fn a_ring_that_was_there_before_goes_on() {
    if !can_refuse() {
        return;
    }
    let test = || {
        let Some(ring) = a_ring() else { return };
        refuse(Calls::Setup, libc::EPERM).unwrap();
        ring.block_on(works());
        assert_eq!(ring.metrics().stale_completions, 0);
        assert!(ring.shutdown(Duration::from_secs(10)).is_clean());
    };
    thread::spawn(test).join().unwrap();
}

/// The filter of a thread that has a ring already: the worst that can come.
#[test]
fn a_core_whose_ring_is_taken_away_panics_says_why_and_can_be_dropped() {
    let name = "a_core_whose_ring_is_taken_away_panics_says_why_and_can_be_dropped";
    if !can_refuse() || passes_in_a_process_with(name, choose_freely) {
        return;
    }
    let Some(ring) = a_ring() else { return };
    ring.block_on(works());
    let there = ring.block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        drop(krug::spawn(async move {
            let (result, _) = here.read(Vec::with_capacity(5)).await;
            panic!("nobody writes, and a broken ring completes nothing: {result:?}");
        }));
        krug::io::nop().await.unwrap();
        there
    });
    refuse(Calls::Enter, libc::EPERM).unwrap();
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| ring.block_on(works())))
            .expect_err("nothing can complete");
        let text = panic.downcast_ref::<String>().expect("a text");
        assert!(
            text.contains("failed: Operation not permitted (os error 1)"),
            "{text}"
        );
    }
    // What is in flight stays the kernel's.
    let report = ring.shutdown(Duration::from_millis(10));
    assert!(!report.is_clean(), "{report:?}");
    drop(there);
    let next = on(Driver::Auto).unwrap();
    assert_eq!(next.driver(), Driver::Epoll);
    next.block_on(works());
}

/// How many runtimes of a process that may lock 64 KiB get a ring. All of them work at the same time.
fn rings_of_six_runtimes() -> usize {
    tracing::subscriber::set_global_default(Log).unwrap();
    let runtimes: Vec<_> = (0..6).map(|_| on(Driver::Auto).unwrap()).collect();
    for runtime in &runtimes {
        runtime.block_on(works());
    }
    let reasons: Vec<String> = runtimes
        .iter()
        .filter_map(Runtime::fallback_reason)
        .collect();
    for reason in &reasons {
        check_reason(reason, libc::ENOMEM);
        assert!(reason.contains("RLIMIT_MEMLOCK"), "{reason}");
    }
    if let Some(reason) = reasons.first() {
        check_warning(reason);
    }
    assert_eq!(take_warnings(), [""; 0], "it is said once");
    for runtime in runtimes {
        assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
    }
    6 - reasons.len()
}

#[test]
fn where_locked_memory_is_short_the_first_runtimes_have_rings_and_all_work() {
    let name = "where_locked_memory_is_short_the_first_runtimes_have_rings_and_all_work";
    let are_locked = rings_are_locked_memory();
    let with_little_memory = |command: &mut Command| {
        choose_freely(command);
        Hardship::LittleMemory.befall(command);
    };
    if passes_in_a_process_with(name, with_little_memory) || a_ring().is_none() {
        return;
    }
    let rings = rings_of_six_runtimes();
    println!("{rings} of 6 runtimes have a ring");
    assert!(rings > 0);
    assert!(rings < 6 || !are_locked);
}

#[test]
fn where_no_memory_may_be_locked_all_runtimes_work_on_epoll() {
    let name = "where_no_memory_may_be_locked_all_runtimes_work_on_epoll";
    let without_memory = |command: &mut Command| {
        choose_freely(command);
        Hardship::NoMemory.befall(command);
    };
    let is_possible =
        std::env::var_os("KRUG_TESTS_CHILD").is_some() || Hardship::NoMemory.is_possible();
    if !is_possible || passes_in_a_process_with(name, without_memory) {
        return;
    }
    assert_eq!(rings_of_six_runtimes(), 0);
}

/// Opens files until there is no descriptor left.
fn fill() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

/// How many descriptors this process could still open.
fn free() -> usize {
    fill().len()
}

#[test]
fn without_descriptors_there_is_an_error_that_says_so_and_with_some_a_runtime() {
    let name = "without_descriptors_there_is_an_error_that_says_so_and_with_some_a_runtime";
    if passes_in_a_process_with(name, choose_freely) {
        return;
    }
    limit_descriptors(40).unwrap();
    let mut files = fill();
    let drivers = [Driver::Auto, Driver::Uring, Driver::Epoll];
    let can_have_rings = {
        let held = files.split_off(files.len() - 8);
        drop(held);
        a_ring().is_some()
    };
    files.extend(fill());
    let mut made = [0; 3];
    for left in 0..5 {
        assert_eq!(free(), left);
        for (driver, made) in drivers.into_iter().zip(&mut made) {
            if driver == Driver::Uring && !can_have_rings {
                continue;
            }
            match on(driver) {
                Ok(runtime) => {
                    runtime.block_on(krug::time::sleep(Duration::from_millis(1)));
                    *made += 1;
                }
                Err(error) => {
                    assert_eq!(*made, 0, "{driver:?}, {left} left, fewer sufficed: {error}");
                    let text = error.to_string();
                    assert!(
                        text.contains("Too many open files (os error 24)"),
                        "{driver:?}: {text}"
                    );
                    assert!(text.contains("RLIMIT_NOFILE"), "{driver:?}: {text}");
                }
            }
            assert_eq!(free(), left, "{driver:?} has kept descriptors");
        }
        files.pop();
    }
    println!("made with 0 to 4 descriptors left: {made:?} of {drivers:?}");
    let [auto, ring, epoll] = made;
    assert!(auto == ring.max(epoll) && epoll > 0, "{made:?}");
    drop(files);
    on(Driver::Auto).unwrap().block_on(works());
}

#[test]
fn a_refused_ring_leaves_no_descriptor_behind() {
    if !can_refuse() {
        return;
    }
    run_alone(|_| {
        for calls in [Calls::Setup, Calls::Enter, Calls::EnterAndRegister] {
            refused(calls, libc::EPERM, || {
                for _ in 0..20 {
                    drop(on(Driver::Uring));
                }
            });
        }
    });
}
