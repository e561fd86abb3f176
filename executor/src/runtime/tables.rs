//! The table of bounds in this module's docs says what the code does.

use std::time::Duration;

use super::builder::{LINGER_DEFAULT, REGISTERED_MEMORY_DEFAULT, SHUTDOWN_DEADLINE_DEFAULT};
use super::cores::{Cores, Plan};
use super::threads::GRACE;
use crate::buf::pool::BUFFERS_FIRST;
use crate::buf::{OPERATION_LENGTH_MAX, ReceiveSettings};
use crate::driver::{Config, IDLE_MAX, INDEX_MAX};
use crate::net::BACKLOG_DEFAULT;
use crate::scheduler::{SHARE_MAX, SHARES_DEFAULT, UNIT_TIME};
use crate::source::{
    AHEAD_BYTES_MAX, AHEAD_DATAGRAMS_MAX, AHEAD_MAX, PAUSE_FIRST, PAUSE_MAX, SENDS_MAX,
};
use crate::sync::{RwLock, Semaphore};
use crate::task::budget::PER_POLL;
use crate::worker::{POLLS_MAX, RUN_MAX};

const DOCS: &str = include_str!("mod.rs");

/// The row of a table whose first cell is `name`.
fn row(name: &str) -> &'static str {
    let begin = format!("//! | {name} |");
    let mut rows = DOCS.lines().filter(|line| line.starts_with(&begin));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("no row '{name}' in the docs of runtime"));
    assert!(
        rows.next().is_none(),
        "two rows '{name}' in the docs of runtime"
    );
    row
}

#[track_caller]
fn says(name: &str, value: &str) {
    let row = row(name);
    assert!(
        row.contains(value),
        "the docs say '{row}', the code says {value}"
    );
}

#[test]
fn the_table_of_bounds_says_what_the_code_does() {
    let config = Config::default();
    says("submission queue", &format!("{} entries", config.entries));
    assert_eq!(config.completion_entries, None);
    says("completion queue", "4 × the submission queue");
    assert_eq!(INDEX_MAX + 1, 1 << 28);
    says("operations in flight", "2²⁸ a core");
    says(
        "connections taken ahead of `accept`",
        &format!("{AHEAD_MAX} beyond"),
    );
    says(
        "connections waiting in the kernel",
        &BACKLOG_DEFAULT.to_string(),
    );
    let receive = ReceiveSettings::default();
    says(
        "buffers to receive into",
        &format!(
            "{} of {} bytes a core, {BUFFERS_FIRST} at first",
            receive.buffers_max, receive.buffer_size
        ),
    );
    let ahead = receive.ahead_max / 1024;
    says("received ahead of `recv`", &format!("{ahead} KiB"));
    let registered = REGISTERED_MEMORY_DEFAULT / 1024;
    says("registered memory", &format!("{registered} KiB a core"));
    says(
        "sends in flight on a datagram socket",
        &format!("{SENDS_MAX} on UDP, 1 on Unix"),
    );
    let kibibytes = AHEAD_BYTES_MAX >> 10;
    says(
        "datagrams received ahead",
        &format!("{AHEAD_DATAGRAMS_MAX} or {kibibytes} KiB"),
    );
    assert_eq!(OPERATION_LENGTH_MAX, (2 << 30) - 4096);
    says("bytes of one operation", "2 GiB − 4 KiB");
    says(
        "linger of a closed stream",
        &format!("{LINGER_DEFAULT:?}").replace('s', " s"),
    );
    let deadline = format!("{SHUTDOWN_DEADLINE_DEFAULT:?}").replace('s', " s");
    says("shutdown deadline", &deadline);
    says(
        "polls of tasks in one turn",
        &format!("{POLLS_MAX} or {} µs", RUN_MAX.as_micros()),
    );
    says("budget of one poll", &PER_POLL.to_string());
    let threads = config.blocking_threads_max;
    says(
        "kernel threads for requests that block",
        &format!("{threads} a core"),
    );
    assert_eq!(config.file_threads_max, None);
    says(
        "threads for regular files, the kernel's or, on epoll, of those for work that blocks",
        "the kernel's bound",
    );
    let threads = config.pool.threads_max;
    says("threads for work that blocks", &format!("{threads} a core"));
    let idle = format!("{IDLE_MAX:?}").replace('s', " s");
    says("threads for work that blocks", &format!("for {idle} after"));
    assert_eq!(Semaphore::MAX_PERMITS, (1 << 61) - 1);
    says("permits of a semaphore", "at most 2⁶¹ − 1");
    assert_eq!(RwLock::<()>::MAX_READERS, (1 << 29) - 1);
    says("readers of an `RwLock` at the same time", "2²⁹ − 1");
}

#[test]
fn the_table_of_bounds_says_how_much_is_buffered() {
    use crate::io::bounds::{BUFFER, COPY};
    let kilobytes = |bytes: usize| format!("{} KiB", bytes >> 10);
    says("bytes that `io::copy` reads at a time", &kilobytes(COPY));
    for bytes in BUFFER {
        says(
            "buffer of a `BufReader`, of a `BufWriter`",
            &kilobytes(bytes),
        );
    }
    #[cfg(feature = "futures-io")]
    {
        says(
            "accepted bytes waiting behind a send, of the borrowing traits",
            &kilobytes(crate::source::ACCEPTED_MAX),
        );
        says(
            "bytes received ahead, of the borrowing traits",
            &kilobytes(crate::compat::PIECE_LENGTH),
        );
    }
}

#[test]
fn the_table_of_bounds_says_how_classes_share_a_core() {
    let [latency, default, background] = SHARES_DEFAULT;
    says(
        "shares of the classes of tasks",
        &format!(
            "{latency} latency, {default} default, {background} background; from 1 to {SHARE_MAX} "
        ),
    );
    says(
        "time that a poll takes for one unit of its class's share",
        &format!("{} µs", UNIT_TIME.as_micros()),
    );
}

#[test]
fn the_table_of_bounds_says_how_many_cores_there_are() {
    let plan = Plan::of(&Cores::default(), false).unwrap();
    says("cores", &format!("| {} |", plan.places.len()));
    let grace = format!("{GRACE:?}").replace("ms", " ms");
    says("waiting for a core beyond the shutdown deadline", &grace);
}

#[test]
fn the_table_of_errors_says_how_long_accept_waits() {
    assert_eq!(
        (PAUSE_FIRST, PAUSE_MAX),
        (Duration::from_millis(10), Duration::from_secs(1))
    );
    says(
        "`EMFILE`, `ENFILE`, `ENOMEM`",
        "waits 10 ms, doubled up to 1 s",
    );
}

#[test]
#[should_panic(expected = "the docs say")]
fn a_table_that_says_something_else_is_found() {
    says("budget of one poll", "129");
}
