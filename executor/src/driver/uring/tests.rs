//! What the contract does not show: the ladder, the numbers, the answers of the
//! system call.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::time::{Duration, Instant};

use super::decode::{Event, event, operation};
use super::setup::climb_down;
use super::user_data::{Tag, pack, unpack};
use super::*;
use crate::driver::tests::{Rig, key, receive, send};
use crate::driver::{Choice, Completion, Driver, INDEX_MAX};

/// The settings of a ring, whatever the environment wants.
fn ring() -> Config {
    Config {
        choice: Choice::Uring,
        ..Config::default()
    }
}

pub(super) fn with_entries(entries: u32) -> Rig {
    Rig::new(Config { entries, ..ring() })
}

pub(super) fn uring(rig: &mut Rig) -> &mut Uring {
    match &mut rig.driver {
        Driver::Uring(uring) => uring,
        other => panic!("not a ring: {other:?}"),
    }
}

/// A ladder on which `answer` says what a rung comes to; returns what was tried and how it ended.
fn climb(
    entries: u32,
    answer: impl Fn(Rung, u32, usize) -> Result<(), i32>,
) -> (Vec<(Rung, u32)>, Duration, io::Result<Rung>) {
    let tried = RefCell::new(Vec::new());
    let slept = RefCell::new(Duration::ZERO);
    let mut attempt = |rung, entries| {
        tried.borrow_mut().push((rung, entries));
        answer(rung, entries, tried.borrow().len()).map_err(io::Error::from_raw_os_error)
    };
    let ended = climb_down(Rung::Modern, entries, &mut attempt, &|time| {
        *slept.borrow_mut() += time;
    });
    let ended = ended.map(|((), rung)| rung).map_err(io::Error::from);
    (tried.take(), slept.take(), ended)
}

#[test]
fn a_refused_rung_leads_to_the_next() {
    for (refused, works) in [(0, Rung::Modern), (1, Rung::Deferred), (2, Rung::Plain)] {
        let (tried, slept, ended) = climb(256, |_, _, attempt| match attempt > refused {
            true => Ok(()),
            false => Err(libc::EINVAL),
        });
        assert_eq!(ended.unwrap(), works);
        assert_eq!(tried.len(), refused + 1);
        assert_eq!(slept, Duration::ZERO);
    }
}

#[test]
fn a_ladder_without_rungs_left_ends_with_its_answer() {
    let (tried, _, ended) = climb(256, |_, _, _| Err(libc::EINVAL));
    assert_eq!(tried.len(), 3);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn memory_that_comes_back_is_waited_for() {
    let (tried, slept, ended) = climb(256, |_, _, attempt| match attempt {
        ..4 => Err(libc::ENOMEM),
        _ => Ok(()),
    });
    assert_eq!(ended.unwrap(), Rung::Modern);
    assert_eq!(tried, [(Rung::Modern, 256); 4], "full size, after a moment");
    assert!(slept > Duration::ZERO);
}

#[test]
fn memory_that_stays_away_halves_the_ring() {
    let (tried, slept, ended) = climb(256, |_, entries, _| match entries {
        33.. => Err(libc::ENOMEM),
        _ => Ok(()),
    });
    assert_eq!(ended.unwrap(), Rung::Modern);
    assert_eq!(tried.last(), Some(&(Rung::Modern, 32)));
    assert!(
        slept < Duration::from_millis(100),
        "waits only at full size"
    );
}

#[test]
fn what_cannot_be_mended_names_its_cause_and_remedy() {
    for errno in [
        libc::ENOMEM,
        libc::EPERM,
        libc::ENOSYS,
        libc::EACCES,
        libc::EMFILE,
        libc::ENFILE,
        libc::EOPNOTSUPP,
    ] {
        let (_, _, ended) = climb(4, |_, _, _| Err(errno));
        let (line, answer) = (
            ended.unwrap_err().to_string(),
            io::Error::from_raw_os_error(errno),
        );
        let explained = line.strip_prefix(&format!("cannot set up io_uring: {answer}; "));
        let (cause, remedy) = explained.and_then(|rest| rest.split_once(": ")).unwrap();
        assert!(cause.len() > 10 && remedy.len() > 10, "{line}");
    }
}

#[test]
fn bug_028_every_rung_works() {
    let best = with_entries(1).driver.capabilities().rung;
    let best = best.expect("a ring has one");
    for rung in [Rung::Modern, Rung::Deferred, Rung::Plain] {
        for (entries, completion_entries) in [(1, None), (8, Some(8)), (256, None), (4, Some(64))] {
            let mut rig = Rig::new(Config {
                entries,
                completion_entries,
                rung: Some(rung),
                ..ring()
            });
            assert_eq!(rig.driver.capabilities().rung, Some(rung.max(best)));
            assert_eq!(rig.driver.capabilities().entries, entries);
            exchange(&mut rig);
        }
    }
}

/// Messages that wait, messages that do not, a cancel and a bell.
fn exchange(rig: &mut Rig) {
    let (one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 4];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.flush();
    rig.driver.submit(key(1, 1), send(&one, b"late"));
    rig.complete(2);
    assert_eq!((rig.result(key(0, 1)), &buffer), (4, b"late"));
    rig.driver.submit(key(0, 2), receive(&other, &mut buffer));
    rig.driver.submit(key(1, 2), send(&one, b"soon"));
    rig.complete(4);
    assert_eq!((rig.result(key(0, 2)), &buffer), (4, b"soon"));
    rig.driver.submit(key(0, 3), receive(&other, &mut buffer));
    rig.flush();
    rig.driver.cancel(key(0, 3));
    rig.complete(5);
    assert_eq!(rig.result(key(0, 3)), -libc::ECANCELED);
    let bell = rig.driver.bell();
    let ringer = std::thread::spawn(move || bell.ring());
    let mut strays = Vec::new();
    rig.driver.enter(Wait::Until(None), &mut strays).unwrap();
    ringer.join().unwrap();
    rig.settle();
}

#[test]
fn a_ring_without_the_finer_flags_works() {
    let mut rig = Rig::new(Config {
        restrict: |capabilities| capabilities.no_iowait = false,
        ..ring()
    });
    exchange(&mut rig);
}

#[test]
fn an_operation_that_is_refused_does_not_keep_the_others_back() {
    for rung in [Rung::Modern, Rung::Plain] {
        let mut rig = Rig::new(Config {
            rung: Some(rung),
            ..ring()
        });
        for index in [0, 2, 3] {
            rig.driver.submit(key(index, 1), Operation::Nop);
        }
        let flags = 1 << 30;
        let refused = Operation::AcceptMultishot { fd: -1, flags };
        rig.driver.submit(key(1, 1), refused);
        rig.driver.submit(key(4, 1), Operation::Nop);
        rig.flush();
        assert_eq!(rig.completed.len(), 5, "{rung:?}");
        assert_eq!(rig.result(key(1, 1)), -libc::EINVAL);
        assert!(!rig.driver.has_staged());
    }
}

#[test]
fn a_plain_ring_sees_completions_without_a_flag() {
    let mut rig = Rig::new(Config {
        rung: Some(Rung::Plain),
        ..ring()
    });
    let (one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 1];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    rig.flush();
    (&one).write_all(b"x").unwrap();
    rig.flush();
    assert_eq!(rig.result(key(0, 1)), 1);
}

#[test]
fn bug_058_tags_indices_and_generations_never_mix() {
    let numbers = [0, 1, 2, 7, INDEX_MAX - 1, INDEX_MAX];
    let generations = [0, 1, INDEX_MAX, u32::MAX - 10, u32::MAX];
    let mut seen = std::collections::HashSet::new();
    for tag in [
        Tag::Operation,
        Tag::Cancel,
        Tag::Close,
        Tag::Bell,
        Tag::Message,
    ] {
        for index in numbers {
            for generation in generations {
                let packed = pack(tag, key(index, generation));
                assert_eq!(unpack(packed), Some((tag, key(index, generation))));
                assert!(seen.insert(packed));
            }
        }
    }
    assert_eq!(unpack(0), None, "what nobody set");
    assert_eq!(unpack(u64::MAX), None);
    assert_eq!(unpack(user_data::BELL), Some((Tag::Bell, key(0, 0))));
    assert_eq!(unpack(user_data::CLOSE), Some((Tag::Close, key(0, 0))));
    assert_eq!(unpack(user_data::MESSAGE), Some((Tag::Message, key(0, 0))));
}

#[test]
fn bug_056_results_keep_their_sign_and_restarts_are_interruptions() {
    let user_data = pack(Tag::Operation, key(3, 4));
    let decoded = |result, flags| match operation(user_data, result, flags) {
        Some((
            found,
            Completion {
                result,
                more,
                buffer: None,
            },
        )) if found == key(3, 4) => (result, more),
        other => panic!("{other:?}"),
    };
    let more = 1 << 1;
    for result in [0, 1, i32::MAX, -libc::EPIPE, -libc::ECANCELED, -511, -517] {
        assert_eq!(decoded(result, 0), (result, false));
        assert_eq!(decoded(result, more), (result, true));
    }
    for result in -516..=-512 {
        assert_eq!(decoded(result, 0), (-libc::EINTR, false));
    }
    assert_eq!(operation(0, 5, 0), None);
    assert_eq!(event(0, 5), Event::Unknown);
}

#[test]
fn a_completion_that_belongs_to_nothing_is_counted_and_dropped() {
    let mut rig = with_entries(8);
    rig.driver.submit(key(2, 5), Operation::Nop);
    rig.complete(1);
    let (_one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 1];
    rig.driver.submit(key(3, 5), receive(&other, &mut buffer));
    rig.flush();
    let strangers = [
        0,
        u64::MAX,
        pack(Tag::Operation, key(2, 5)),
        pack(Tag::Operation, key(2, 4)),
        pack(Tag::Operation, key(3, 4)),
        pack(Tag::Operation, key(900, 1)),
        pack(Tag::Cancel, key(2, 5)),
        user_data::CLOSE,
    ];
    for stranger in strangers {
        let entry = opcode::Nop::new().build().user_data(stranger);
        // SAFETY: the entry names no memory.
        unsafe { uring(&mut rig).ring.0.submission().push(&entry) }.unwrap();
    }
    let soon = Instant::now() + Duration::from_millis(50);
    while rig.driver.counters().stale_completions < 8 && Instant::now() < soon {
        rig.flush();
    }
    assert_eq!(rig.driver.counters().stale_completions, 8);
    assert_eq!(rig.completed.len(), 1);
    rig.driver.cancel(key(3, 5));
    rig.complete(2);
    uring(&mut rig).counters.stale_completions = 0;
}

#[test]
fn bug_020_a_busy_kernel_is_asked_again() {
    for errno in [libc::EAGAIN, libc::EBUSY, libc::ENOMEM, libc::EINTR] {
        for count in [1, 2, 5] {
            let mut rig = with_entries(4);
            (0..count).for_each(|_| uring(&mut rig).fail_enter(errno));
            for index in 0..20 {
                rig.driver.submit(key(index, 1), Operation::Nop);
            }
            rig.complete(20);
            assert!(!rig.driver.has_staged());
        }
    }
}

#[test]
fn a_kernel_that_stays_busy_gives_the_turn_back() {
    let mut rig = with_entries(4);
    (0..100).for_each(|_| uring(&mut rig).fail_enter(libc::EAGAIN));
    for index in 0..20 {
        rig.driver.submit(key(index, 1), Operation::Nop);
    }
    let started = Instant::now();
    rig.driver
        .enter(Wait::Until(None), &mut rig.completed)
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(rig.completed.is_empty());
    assert!(rig.driver.has_staged(), "it says that it has not finished");
    assert!(
        !rig.driver.take_back(key(0, 1)),
        "the kernel may have seen it"
    );
    assert!(
        rig.driver.take_back(key(19, 1)),
        "the kernel has not seen it"
    );
    uring(&mut rig).enter_errors.clear();
    rig.complete(19);
}

#[test]
fn patience_starts_anew_with_every_success() {
    let mut rig = with_entries(1);
    for _ in 0..40 {
        uring(&mut rig).fail_enter(libc::EAGAIN);
        uring(&mut rig).fail_enter(0);
    }
    for index in 0..40 {
        rig.driver.submit(key(index, 1), Operation::Nop);
    }
    rig.flush();
    assert!(!rig.driver.has_staged(), "no two failures came in a row");
}

#[test]
fn bug_051_completions_are_taken_while_the_kernel_is_busy() {
    let mut rig = Rig::new(Config {
        entries: 2,
        completion_entries: Some(2),
        ..ring()
    });
    for round in 0..50 {
        for index in 0..10 {
            rig.driver.submit(key(index, round), Operation::Nop);
        }
        uring(&mut rig).fail_enter(libc::EBUSY);
        rig.flush();
    }
    rig.complete(500);
}

#[test]
fn an_error_without_remedy_is_returned_and_the_entries_stay() {
    for errno in [libc::EBADR, libc::EBADF, libc::EFAULT, libc::EEXIST] {
        let mut rig = with_entries(4);
        uring(&mut rig).fail_enter(errno);
        rig.driver.submit(key(0, 1), Operation::Nop);
        assert!(rig.driver.enter(Wait::No, &mut rig.completed).is_err());
        assert!(rig.driver.has_staged());
        rig.complete(1);
    }
}

#[test]
fn an_interrupted_wait_goes_on() {
    let mut rig = with_entries(4);
    let (one, other) = UnixStream::pair().unwrap();
    let mut buffer = [0; 1];
    rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
    uring(&mut rig).fail_enter(libc::EINTR);
    uring(&mut rig).fail_enter(libc::EINTR);
    let deadline = Instant::now() + Duration::from_millis(20);
    rig.driver
        .enter(Wait::Until(Some(deadline)), &mut rig.completed)
        .unwrap();
    assert!(Instant::now() >= deadline);
    (&one).write_all(b"x").unwrap();
    rig.complete(1);
}

#[test]
fn signals_do_not_end_a_wait() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: the handler does nothing, and no other test uses this signal.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        assert_eq!(
            libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()),
            0
        );
    }
    let sleeper = std::thread::spawn(|| {
        let mut rig = with_entries(4);
        let (_one, other) = UnixStream::pair().unwrap();
        let mut buffer = [0; 1];
        rig.driver.submit(key(0, 1), receive(&other, &mut buffer));
        let deadline = Instant::now() + Duration::from_millis(50);
        rig.driver
            .enter(Wait::Until(Some(deadline)), &mut rig.completed)
            .unwrap();
        assert!(Instant::now() >= deadline, "woken early");
        rig.driver.cancel(key(0, 1));
        rig.complete(1);
        rig.driver.counters().enters
    });
    while !sleeper.is_finished() {
        // SAFETY: the thread has not been joined, so its handle is valid.
        unsafe { libc::pthread_kill(sleeper.as_pthread_t(), libc::SIGUSR2) };
        std::thread::sleep(Duration::from_millis(2));
    }
    let enters = sleeper.join().unwrap();
    assert!(
        enters > 2,
        "the wait was interrupted and taken up again: {enters} enters"
    );
}

/// Descriptors of rings and bells that this process has.
fn anonymous_descriptors() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().contains("anon_inode"))
        .count()
}

#[test]
fn two_hundred_drivers_leave_no_descriptor() {
    // Tests run in threads of one process: only a process of its own can be counted.
    const ALONE: &str = "KRUG_TEST_ALONE";
    let name = "driver::uring::tests::two_hundred_drivers_leave_no_descriptor";
    if std::env::var_os(ALONE).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let before = anonymous_descriptors();
    for round in 0..200 {
        let config = Config {
            entries: 8,
            restrict: match round % 2 {
                0 => |_| {},
                _ => |capabilities| capabilities.message_ring = false,
            },
            ..ring()
        };
        exchange(&mut Rig::new(config.clone()));
        let mut driver = Driver::new(&config).unwrap();
        let soon = Instant::now() + Duration::from_micros(10);
        driver
            .enter(Wait::Until(Some(soon)), &mut Vec::new())
            .unwrap();
        assert!(anonymous_descriptors() > before);
        driver.shutdown();
    }
    assert_eq!(anonymous_descriptors(), before);
}

#[test]
fn what_a_ring_lacks_and_is_taken_back_is_neither_done_nor_remembered() {
    let mut rig = Rig::new(Config {
        restrict: |capabilities| capabilities.socket = false,
        ..ring()
    });
    for generation in 0..100 {
        let key = key(1, generation);
        let socket = Operation::Socket {
            domain: libc::AF_INET,
            kind: libc::SOCK_STREAM,
            protocol: 0,
        };
        rig.driver.submit(key, socket);
        assert!(rig.driver.take_back(key));
    }
    assert!(uring(&mut rig).lacking.is_empty());
    rig.flush();
    assert!(rig.completed.is_empty());
    assert_eq!(rig.driver.counters().fallbacks, 0);
}
