//! The word is spoken wherever io_uring is refused, and a line says why it is spoken over epoll.

mod common;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::{Run, command, finish};
use krug_tests::refusing::{Calls, Hardship};

const ALPHABET: &str = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";
/// How many descriptors seven heroes need: two for each pair, one for each listener, and 64 more.
const OF_SEVEN_HEROES: u64 = 42 + 7 + 64;

/// Seven heroes say the alphabet in these hardships.
fn speak(hardships: &[Hardship]) -> Run {
    let arguments = ["--peers", "7", "--json", "--limit", "30s"];
    let usual = command(&arguments);
    let program = File::open(usual.get_program()).expect("the program");
    // Another user may not be able to walk to it, but can start what is open.
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .arg0(usual.get_program())
        .args(arguments)
        .env_remove("CARGO")
        .env_remove("KRUG_DRIVER")
        .env_remove("TMPDIR");
    for hardship in hardships {
        hardship.befall(&mut command);
    }
    finish(&mut command, &arguments)
}

/// The word was spoken over epoll, and the one line beside it says that the system has answered with `errno`.
fn check_fallback(run: &Run, errno: i32) {
    assert_eq!(run.expect_spoken(ALPHABET)["driver"], "epoll");
    let line = run.stderr.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "one line: {run}");
    let answer = io::Error::from_raw_os_error(errno);
    let rest = line.strip_prefix(&format!("cannot set up io_uring: {answer}; "));
    let rest = rest.and_then(|rest| rest.strip_suffix(". Going on with epoll."));
    let (cause, remedy) = rest.and_then(|rest| rest.split_once(": ")).expect(line);
    assert!(!cause.is_empty() && remedy.len() > 10, "{run}");
}

#[test]
fn whatever_the_system_answers_the_heroes_speak_and_one_line_says_why_over_epoll() {
    let errnos = [
        libc::EPERM,
        libc::ENOSYS,
        libc::EACCES,
        libc::ENOMEM,
        libc::EOPNOTSUPP,
    ];
    for errno in errnos {
        for calls in [Calls::Setup, Calls::All] {
            let hardship = Hardship::Refused(calls, errno);
            if hardship.is_possible() {
                check_fallback(&speak(&[hardship]), errno);
            }
        }
    }
    let forbidden = Hardship::Refused(Calls::Setup, libc::EPERM);
    if forbidden.is_possible() {
        let run = speak(&[forbidden]);
        assert!(run.stderr.contains("seccomp"), "{run}");
    }
}

#[test]
fn a_user_whose_locked_memory_others_have_hears_the_word_over_epoll() {
    if !Hardship::NoMemory.is_possible() {
        return;
    }
    let run = speak(&[Hardship::NoMemory]);
    check_fallback(&run, libc::ENOMEM);
    assert!(run.stderr.contains("RLIMIT_MEMLOCK"), "{run}");
}

#[test]
fn a_user_who_may_lock_64_kib_hears_the_word() {
    // One ring, smaller if need be, fits into that; where there are none at all it is epoll.
    speak(&[Hardship::LittleMemory]).expect_spoken(ALPHABET);
}

#[test]
fn with_just_enough_descriptors_the_heroes_speak_on_every_driver() {
    let few = Hardship::Descriptors(OF_SEVEN_HEROES);
    speak(&[few]).expect_spoken(ALPHABET);
    let forbidden = Hardship::Refused(Calls::All, libc::EPERM);
    if forbidden.is_possible() {
        check_fallback(&speak(&[few, forbidden]), libc::EPERM);
    }
}

#[test]
fn with_one_descriptor_less_a_line_says_how_to_get_more() {
    let run = speak(&[Hardship::Descriptors(OF_SEVEN_HEROES - 1)]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    let advice = format!("ulimit -Hn {OF_SEVEN_HEROES}");
    assert!(run.stderr.contains(&advice), "{run}");
}
