//! What the system says of a process: its memory, what it has cost, how often it went to sleep.

use std::fs;
use std::io;
use std::time::Duration;

/// What all threads of a process together have cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// On a processor, to the nanosecond, as far as the system has booked it.
    pub(crate) busy: Duration,
    /// In user space and in the kernel, in ticks of the system: of 10 ms, as a rule.
    pub(crate) ticks: u64,
    /// How often a thread went to sleep of itself: as a rule in a system call that waits.
    pub(crate) sleeps: u64,
    pub(crate) threads: usize,
}

impl Cost {
    pub(crate) fn of(process: u32) -> io::Result<Cost> {
        let mut cost = Cost {
            busy: Duration::ZERO,
            ticks: 0,
            sleeps: 0,
            threads: 0,
        };
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let folder = thread?.path();
            // A thread that has ended meanwhile costs nothing any more.
            let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
            cost.busy += Duration::from_nanos(busy_in(&read("schedstat")).unwrap_or(0));
            cost.ticks += ticks_in(&read("stat")).unwrap_or(0);
            cost.sleeps += number_in(&read("status"), "voluntary_ctxt_switches:").unwrap_or(0);
            cost.threads += 1;
        }
        Ok(cost)
    }
}

/// Bytes of memory that belong to this process alone and are backed by no file: its heap and its stacks.
pub(crate) fn anonymous_memory(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kibibytes = number_in(&text, "Anonymous:");
    let kibibytes = kibibytes.ok_or_else(|| io::Error::other("the system says nothing of memory"));
    Ok(kibibytes? * 1024)
}

/// The first of the numbers in `schedstat`.
fn busy_in(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// `utime` and `stime` together. The name of the program, which comes before them, may hold blanks and brackets.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let mut fields = behind_the_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The number behind a word that begins a line.
fn number_in(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let behind = "S 1 2 3 4 5 6 7 8 9 10 300 40 5 6";
        for name in ["cat", "a b", "x) S 1 2 (y"] {
            let line = format!("17 ({name}) {behind}");
            assert_eq!(ticks_in(&line), Some(340), "{line}");
        }
        assert_eq!(ticks_in("17 (cat) S 1"), None);
        assert_eq!(ticks_in(""), None);
    }

    #[test]
    fn numbers_are_found_by_the_whole_word() {
        let status = "Name:\tvoluntary_ctxt_switches:\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t42\n";
        assert_eq!(number_in(status, "voluntary_ctxt_switches:"), Some(42));
        assert_eq!(number_in("Anonymous:      5 kB\n", "Anonymous:"), Some(5));
        assert_eq!(number_in(status, "Anonymous:"), None);
        assert_eq!(busy_in("123 45 6\n"), Some(123));
    }

    #[test]
    fn this_process_has_memory_and_has_cost_something() {
        let id = std::process::id();
        let before = anonymous_memory(id).unwrap();
        let heap = vec![1_u8; 8 << 20];
        let after = anonymous_memory(id).unwrap();
        assert!(after > before + (4 << 20), "{before}, then {after}");
        drop(heap);
        assert!(Cost::of(id).unwrap().threads >= 1);
    }
}
