//! What the system says of a process: its memory, what it has cost, how often it went to sleep.

use std::fs;
use std::io;
use std::time::Duration;

use crate::floor::system;

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

/// How long all processes of the group of this one were on processors so far: to the nanosecond for those that run, in ticks for those that
/// have ended and were waited for by their parents.
pub(crate) fn time_of_group(leader: u32) -> io::Result<Duration> {
    let mut time = Duration::ZERO;
    let second = system::ticks_in_a_second();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if field_in(&stat, GROUP) != Some(u64::from(leader)) {
            continue;
        }
        time += system::time_of_process(process).unwrap_or_default();
        let ticks = ENDED.map(|field| field_in(&stat, field).unwrap_or(0));
        time += Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / second);
    }
    Ok(time)
}

/// Bytes of memory that belong to this process alone and are backed by no file: its heap and its stacks.
///
/// # Errors
///
/// If there is no such process, or the system does not tell.
pub fn anonymous_memory(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kibibytes = number_in(&text, "Anonymous:");
    let kibibytes = kibibytes.ok_or_else(|| io::Error::other("the system says nothing of memory"));
    Ok(kibibytes? * 1024)
}

/// The first of the numbers in `schedstat`.
fn busy_in(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// Places of numbers in `stat`, counted from behind the name.
const GROUP: usize = 2;
const OWN: [usize; 2] = [11, 12];
const ENDED: [usize; 2] = [13, 14];

/// `utime` and `stime` together.
fn ticks_in(stat: &str) -> Option<u64> {
    let [user, kernel] = OWN.map(|field| field_in(stat, field));
    Some(user? + kernel?)
}

/// The name of the program, which comes before all that is asked for, may hold blanks and brackets.
fn field_in(stat: &str, field: usize) -> Option<u64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    behind_the_name.split_whitespace().nth(field)?.parse().ok()
}

/// The number behind a word that begins a line.
fn number_in(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::models::calls::processes::kill_group;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let behind = "S 1 2 3 4 5 6 7 8 9 10 300 40 5 6";
        for name in ["cat", "a b", "x) S 1 2 (y"] {
            let line = format!("17 ({name}) {behind}");
            assert_eq!(ticks_in(&line), Some(340), "{line}");
            assert_eq!(field_in(&line, GROUP), Some(2), "{line}");
            assert_eq!(
                ENDED.map(|field| field_in(&line, field)),
                [Some(5), Some(6)]
            );
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
    fn the_time_of_a_group_is_that_of_all_its_processes_also_of_those_that_have_ended() {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        // One that works and ends, and one that works and stays; the leader itself does little.
        let script = format!("sh -c '{busy}'; sh -c '{busy}; echo done; sleep 60' & wait");
        let mut leader = Command::new("sh")
            .args(["-c", &script])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let id = leader.id();
        let mut line = String::new();
        BufReader::new(leader.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (of_group, of_leader) = (time_of_group(id), system::time_of_process(id));
        kill_group(id);
        leader.wait().unwrap();
        assert_eq!(line, "done\n");
        let (of_group, of_leader) = (of_group.unwrap(), of_leader.unwrap());
        assert!(
            of_group > of_leader + Duration::from_millis(4),
            "{of_group:?}, {of_leader:?}"
        );
        assert_eq!(system::time_of_process(id), None);
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
