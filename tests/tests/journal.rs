//! The journal: what was acknowledged is there, whatever happened in between.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use krug::Runtime;
use krug::fs::journal::{Record, Recovery};
use krug::fs::{Journal, JournalOptions};
use krug::runtime::Faults;
use krug_tests::{Random, disk, iterations, run, times_out, turns, until};

krug_tests::on_every_driver!();

const SMALL: u64 = 16 * 1024;

fn small() -> JournalOptions {
    JournalOptions::new().segment_size(SMALL)
}

fn folder() -> tempfile::TempDir {
    disk::folder()
}

async fn records(recovery: &mut Recovery) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(record) = recovery.next().await.expect("a good journal") {
        records.push(record);
    }
    records
}

async fn payloads(folder: &Path) -> Vec<Vec<u8>> {
    let mut recovery = small().recover(folder).await.expect("a journal");
    let records = records(&mut recovery).await;
    let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    let first = numbers.first().copied().unwrap_or(0);
    let in_order: Vec<u64> = (first..first + numbers.len() as u64).collect();
    assert_eq!(numbers, in_order);
    records.into_iter().map(|record| record.payload).collect()
}

/// The segments, oldest first.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let names = disk::names(folder).expect("the journal's folder");
    let paths = names.into_iter().map(|name| folder.join(name));
    let mut segments: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "segment"))
        .collect();
    segments.sort();
    segments
}

/// A payload that says its number, of a length that differs from its neighbours'.
fn payload(number: usize) -> Vec<u8> {
    let mut payload = format!("record {number} ").into_bytes();
    payload.resize(payload.len() + number * 37 % 600, number as u8);
    payload
}

#[test]
fn what_was_appended_is_recovered_in_order_over_many_segments() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let expected: Vec<Vec<u8>> = (0..300).map(payload).collect();
            let journal = small().open(folder.path()).await.expect("a journal");
            for (number, payload) in expected.iter().enumerate() {
                let sequence = journal.append(payload).await.expect("an append");
                assert_eq!(sequence, number as u64);
                assert!(journal.durable_sequence() > sequence);
            }
            journal.close().await.expect("a close");
            assert!(segments(folder.path()).len() > 5);
            assert_eq!(payloads(folder.path()).await, expected);
        });
    });
}

#[test]
fn a_journal_that_was_closed_goes_on_where_it_ended() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            for round in 0..20 {
                let mut recovery = small().recover(folder.path()).await.expect("a journal");
                assert_eq!(records(&mut recovery).await.len(), round * 7);
                assert_eq!(recovery.torn(), None);
                assert_eq!(recovery.next_sequence(), round as u64 * 7);
                let journal = recovery.finish().await.expect("a journal");
                for number in 0..7 {
                    let sequence = journal.append(payload(round * 7 + number)).await;
                    assert_eq!(sequence.expect("an append"), (round * 7 + number) as u64);
                }
                journal.close().await.expect("a close");
            }
            let expected: Vec<Vec<u8>> = (0..140).map(payload).collect();
            assert_eq!(payloads(folder.path()).await, expected);
        });
    });
}

#[test]
fn many_appenders_share_one_write_and_one_sync() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = Journal::open(folder.path()).await.expect("a journal");
            let before = runtime.metrics().operations;
            let tasks: Vec<_> = (0..32)
                .map(|number| {
                    let journal = journal.clone();
                    krug::spawn(async move {
                        for round in 0..10 {
                            journal
                                .append(payload(number * 10 + round))
                                .await
                                .expect("an append");
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("a task");
            }
            let batches = journal.batches();
            assert!(
                batches <= 20,
                "{batches} batches for 10 rounds of 32 records"
            );
            let operations = runtime.metrics().operations - before;
            // The next segment is being prepared meanwhile: its writes are of a quarter of a megabyte.
            assert!(operations <= 2 * batches + 300, "{operations} operations");
            journal.close().await.expect("a close");
        });
    });
}

#[test]
fn an_empty_record_and_the_longest_one_are_records() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let longest = vec![7; small().record_length_max()];
            let expected = vec![
                vec![],
                longest.clone(),
                vec![],
                longest.clone(),
                b"x".to_vec(),
            ];
            let journal = small().open(folder.path()).await.expect("a journal");
            for payload in &expected {
                journal.append(payload).await.expect("an append");
            }
            let too_long = journal.append(vec![7; longest.len() + 1]).await;
            assert_eq!(
                too_long.expect_err("too long").kind(),
                ErrorKind::InvalidInput
            );
            journal.close().await.expect("a close");
            assert_eq!(payloads(folder.path()).await, expected);
        });
    });
}

#[test]
fn recovery_stops_at_the_first_torn_record_and_what_is_appended_then_is_kept() {
    let random = Random::new();
    run(|runtime| {
        for _ in 0..iterations(40) {
            let folder = folder();
            runtime.block_on(async {
                let journal = small().open(folder.path()).await.expect("a journal");
                let count = 1 + random.below(20);
                for number in 0..count {
                    journal.append(payload(number)).await.expect("an append");
                }
                journal.close().await.expect("a close");
                let kept = tear(&segments(folder.path())[0], count, &random);
                let mut recovery = small().recover(folder.path()).await.expect("a journal");
                let found = records(&mut recovery).await;
                assert_eq!(found.len(), kept);
                assert!(recovery.torn().is_some(), "{kept} of {count}");
                let journal = recovery.finish().await.expect("a journal");
                for number in kept..kept + 3 {
                    journal.append(payload(number)).await.expect("an append");
                }
                journal.close().await.expect("a close");
                let expected: Vec<Vec<u8>> = (0..kept + 3).map(payload).collect();
                assert_eq!(payloads(folder.path()).await, expected);
            });
        }
    });
}

/// Damages one of `count` records; the later ones stay as they are. Returns how many are before it.
fn tear(segment: &Path, count: usize, random: &Random) -> usize {
    let victim = random.below(count);
    let mut bytes = disk::read(segment).expect("a segment");
    let size = |number| 8 + payload(number).len().next_multiple_of(8);
    let begin = 4096 + (0..victim).map(size).sum::<usize>();
    let used = 8 + payload(victim).len();
    let place = begin + random.below(used);
    bytes[place] ^= 1 << random.below(8);
    // A zeroed length looks like the end, not like damage: both stop the recovery, only the second is told.
    if bytes[begin..begin + 4] == [0; 4] {
        bytes[begin] = 1;
    }
    disk::write(segment, bytes).expect("a damaged segment");
    victim
}

#[test]
fn records_that_are_appended_together_are_one_batch_and_betray_damage_before_them() {
    krug_tests::needs_a_kernel!("its files outlive the runtime that has written them");
    run(|runtime| {
        runtime.block_on(async {
            let place = folder();
            let journal = small().open(place.path()).await.expect("a journal");
            let first = journal.append_all(&["one", "two"]).await;
            assert_eq!(first.expect("an append"), 0);
            let second = journal.append_all(&["three", "four", "five"]).await;
            assert_eq!(second.expect("an append"), 2);
            let long = vec![0; 2 * SMALL as usize];
            let refused = journal.append_all(&[&b"six"[..], &long]).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(journal.batches(), 2);
            journal.close().await.expect("a close");

            let segment = segments(place.path()).pop().expect("a segment");
            let whole = std::fs::read(&segment).expect("a segment");
            let header = 4096;
            let payload_of = |number: usize| header + 16 * number + 8;
            for (damaged, stray, next) in [
                (None, None, 5),
                // The last one may as well have been torn.
                (Some(4), None, 4),
                (Some(1), Some(payload_of(2) as u64 - 8), 1),
            ] {
                let mut bytes = whole.clone();
                damaged
                    .map(payload_of)
                    .into_iter()
                    .for_each(|at| bytes[at] ^= 4);
                std::fs::write(&segment, bytes).expect("a segment");
                let mut recovery = small().recover(place.path()).await.expect("a journal");
                assert_eq!(recovery.stray().await.expect("a good journal"), stray);
                assert_eq!(recovery.next_sequence(), next);
            }
        });
    });
}

#[test]
fn damage_before_the_last_segment_is_an_error_that_says_where() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            for number in 0..200 {
                journal.append(payload(number)).await.expect("an append");
            }
            journal.close().await.expect("a close");
            let segments = segments(folder.path());
            let mut bytes = disk::read(&segments[1]).expect("a segment");
            bytes[4096 + 9] ^= 1;
            disk::write(&segments[1], bytes).expect("a damaged segment");
            let mut recovery = small().recover(folder.path()).await.expect("a journal");
            let error = loop {
                match recovery.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("damage went unnoticed"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let text = error.to_string();
            let name = segments[1].display().to_string();
            assert!(text.contains(&name) && text.contains("byte 4096"), "{text}");
        });
    });
}

#[test]
fn a_missing_segment_is_an_error() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            for number in 0..200 {
                journal.append(payload(number)).await.expect("an append");
            }
            journal.close().await.expect("a close");
            disk::remove_file(&segments(folder.path())[1]).expect("a segment less");
            let error = small().open(folder.path()).await.expect_err("a gap");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        });
    });
}

#[test]
fn old_segments_are_removed_and_the_rest_is_recovered() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            for number in 0..200 {
                journal.append(payload(number)).await.expect("an append");
            }
            let before = segments(folder.path()).len();
            journal.remove_before(100).await.expect("a removal");
            journal.close().await.expect("a close");
            assert!(segments(folder.path()).len() < before);
            let mut recovery = small().recover(folder.path()).await.expect("a journal");
            let found = records(&mut recovery).await;
            let first = found.first().expect("records").sequence as usize;
            assert!(first <= 100 && first > 0, "{first}");
            let expected: Vec<Vec<u8>> = (first..200).map(payload).collect();
            let found: Vec<Vec<u8>> = found.into_iter().map(|record| record.payload).collect();
            assert_eq!(found, expected);
        });
    });
}

#[test]
fn a_journal_is_open_once_at_a_time() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            let error = small().open(folder.path()).await.expect_err("it is open");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            journal.close().await.expect("a close");
            let journal = small().open(folder.path()).await.expect("it was closed");
            journal.close().await.expect("a close");
        });
    });
}

#[test]
fn a_closed_journal_takes_nothing_more_and_its_last_handle_may_simply_be_dropped() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            let clone = journal.clone();
            journal.close().await.expect("a close");
            assert!(clone.append("late").await.is_err());
            drop(clone);
            let journal = small().open(folder.path()).await.expect("a journal");
            let appending = journal.append("dropped handle");
            {
                let mut appending = std::pin::pin!(appending);
                assert!(krug_tests::poll_once(appending.as_mut()).await.is_pending());
            }
            drop(journal);
            let lock = krug::fs::File::open(folder.path().join("lock")).await;
            let lock = lock.expect("the file that is locked");
            until("the journal can be opened again", || {
                lock.try_lock().is_ok()
            })
            .await;
            lock.close().await.expect("a close");
            assert_eq!(payloads(folder.path()).await, [b"dropped handle"]);
        });
    });
}

#[test]
fn appends_that_are_dropped_disturb_nobody() {
    let random = Random::new();
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small()
                .pending_max(512)
                .open(folder.path())
                .await
                .expect("a journal");
            let acknowledged = Rc::new(RefCell::new(Vec::new()));
            let mut tasks = Vec::new();
            for task in 0..8 {
                let (journal, acknowledged) = (journal.clone(), acknowledged.clone());
                let seed = random.number();
                tasks.push(krug::spawn(async move {
                    let random = Random::of(seed);
                    for number in 0..iterations(100) {
                        let payload = format!("{task} {number}").into_bytes();
                        let limit = random.micros(900);
                        let append = journal.append(&payload);
                        if let Ok(appended) = krug::time::timeout(limit, append).await {
                            let sequence = appended.expect("an append");
                            acknowledged.borrow_mut().push((sequence, payload));
                        }
                    }
                }));
            }
            for task in tasks {
                task.await.expect("a task");
            }
            journal.close().await.expect("a close");
            let found = payloads(folder.path()).await;
            for (sequence, payload) in acknowledged.borrow().iter() {
                assert_eq!(&found[*sequence as usize], payload);
            }
            let mut seen = found.clone();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), found.len(), "a record was written twice");
        });
    });
}

#[test]
fn a_record_that_waits_for_room_is_not_overtaken() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small()
                .pending_max(64)
                .open(folder.path())
                .await
                .expect("a journal");
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    let (journal, order) = (journal.clone(), order.clone());
                    krug::spawn(async move {
                        let length = if number % 3 == 0 { 60 } else { 1 };
                        let sequence = journal.append(vec![number; length]).await;
                        order
                            .borrow_mut()
                            .push((sequence.expect("an append"), number));
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("a task");
            }
            journal.close().await.expect("a close");
            let mut order = order.borrow_mut();
            order.sort_unstable();
            let numbers: Vec<u8> = order.iter().map(|(_, number)| *number).collect();
            assert_eq!(numbers, (0..20).collect::<Vec<u8>>());
        });
    });
}

#[test]
fn a_dropped_recovery_step_is_repeated() {
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            for number in 0..50 {
                journal.append(payload(number)).await.expect("an append");
            }
            journal.close().await.expect("a close");
            let mut recovery = small().recover(folder.path()).await.expect("a journal");
            let mut found = Vec::new();
            let patience = Cell::new(0);
            loop {
                // The first tries are given up after ever more turns, so that every await of `next` is hit.
                let next = recovery.next();
                let waiting = turns(patience.get() % 9);
                patience.set(patience.get() + 1);
                let next = krug::select! {
                    biased;
                    next = next => next.expect("a good journal"),
                    () = waiting => continue,
                };
                match next {
                    Some(record) => found.push(record.payload),
                    None => break,
                }
            }
            assert_eq!(found, (0..50).map(payload).collect::<Vec<_>>());
        });
    });
}

#[test]
fn a_runtime_that_ends_leaves_what_was_acknowledged() {
    krug_tests::needs_a_kernel!("its files outlive the runtime that has written them");
    let random = Random::new();
    for _ in 0..iterations(10) {
        let folder = folder();
        let acknowledged = Rc::new(RefCell::new(Vec::new()));
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            for task in 0..4 {
                let (journal, acknowledged) = (journal.clone(), acknowledged.clone());
                krug::spawn(async move {
                    for number in 0.. {
                        let payload = format!("{task} {number}").into_bytes();
                        let sequence = journal.append(&payload).await.expect("an append");
                        acknowledged.borrow_mut().push((sequence, payload));
                    }
                });
            }
            krug::time::sleep(random.micros(20_000)).await;
        });
        drop(runtime);
        let runtime = Runtime::new().expect("a runtime");
        let found = runtime.block_on(payloads(folder.path()));
        for (sequence, payload) in acknowledged.borrow().iter() {
            assert_eq!(&found[*sequence as usize], payload);
        }
    }
}

#[test]
fn a_process_that_is_killed_leaves_what_was_acknowledged() {
    krug_tests::needs_a_kernel!("it kills a process");
    const CHILD: &str = "KRUG_TESTS_JOURNAL";
    if let Some(folder) = std::env::var_os(CHILD) {
        return append_for_ever(Path::new(&folder));
    }
    let random = Random::new();
    for _ in 0..iterations(5) {
        let folder = folder();
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "a_process_that_is_killed_leaves_what_was_acknowledged",
            ])
            .arg("--nocapture")
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut acknowledged = Vec::new();
        let last = random.below(300);
        for line in output.lines() {
            let line = line.expect("a line");
            let Some(number) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            acknowledged.push(number.parse::<usize>().expect("a number"));
            if acknowledged.len() == last + 1 {
                child.kill().expect("a kill");
            }
        }
        child.wait().expect("its end");
        let runtime = Runtime::new().expect("a runtime");
        let found = runtime.block_on(payloads(folder.path()));
        assert!(acknowledged.len() > last && found.len() >= acknowledged.len());
        for number in acknowledged {
            assert_eq!(found[number], payload(number));
        }
    }
}

fn append_for_ever(folder: &Path) {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let journal = small().open(folder).await.expect("a journal");
        for number in 0.. {
            journal.append(payload(number)).await.expect("an append");
            let mut output = std::io::stdout().lock();
            writeln!(output, "acknowledged {number}").expect("a line");
        }
    });
}

#[test]
fn an_append_that_times_out_is_written_or_not_but_never_in_part() {
    krug_tests::needs_a_kernel!("it needs a disk that takes time");
    run(|runtime| {
        let folder = folder();
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            let mut lost = 0;
            for number in 0..30 {
                lost += usize::from(times_out(journal.append(payload(number))).await);
            }
            assert!(lost > 0, "nothing timed out");
            journal.close().await.expect("a close");
            let found = payloads(folder.path()).await;
            assert!(
                found
                    .iter()
                    .all(|found| (0..30).any(|number| payload(number) == *found))
            );
        });
    });
}

#[test]
fn a_journal_whose_runtime_is_gone_says_so() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = folder();
    let journal = runtime
        .block_on(small().open(folder.path()))
        .expect("a journal");
    runtime.shutdown(Duration::from_secs(5));
    let runtime = Runtime::new().expect("a runtime");
    let error = runtime
        .block_on(journal.append("late"))
        .expect_err("nobody writes it");
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[test]
fn bug_017_after_an_error_nothing_more_is_written_and_what_was_acknowledged_is_there() {
    krug_tests::needs_a_kernel!("its files outlive the runtime that has written them");
    let operations = {
        let (folder, faults) = (folder(), Faults::new());
        append_until_it_fails(folder.path(), &faults);
        faults.operations()
    };
    assert!(operations > 30, "{operations}");
    for errno in [5, 28] {
        for nth in 1..=operations {
            let (folder, faults) = (folder(), Faults::new().operation(nth, errno));
            let acknowledged = append_until_it_fails(folder.path(), &faults);
            let runtime = Runtime::new().expect("a runtime");
            let found = runtime.block_on(payloads(folder.path()));
            assert!(
                found.len() >= acknowledged,
                "error {errno} at operation {nth}"
            );
            for (number, found) in found.iter().enumerate() {
                assert_eq!(*found, payload(number));
            }
        }
    }
}

/// Appends forty records one after the other; once one has failed, so must all. Returns how many were acknowledged.
fn append_until_it_fails(folder: &Path, faults: &Faults) -> usize {
    let runtime = Runtime::builder()
        .faults(faults.clone())
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let Ok(journal) = JournalOptions::new().segment_size(8192).open(folder).await else {
            return 0;
        };
        let mut acknowledged = 0;
        let mut error = None;
        for number in 0..40 {
            match (journal.append(payload(number)).await, &error) {
                (Ok(_), None) => acknowledged += 1,
                (Ok(_), Some(_)) => panic!("record {number} was acknowledged after a failure"),
                (Err(now), None) => error = Some(now.to_string()),
                (Err(now), Some(first)) => assert_eq!(now.to_string(), *first),
            }
        }
        assert_eq!(journal.close().await.is_err(), error.is_some());
        acknowledged
    })
}

#[test]
fn whatever_is_done_to_its_files_recovery_ends_with_good_records_or_an_error() {
    krug_tests::needs_a_kernel!("its files outlive the runtime that has written them");
    let random = Random::new();
    let (mut good, mut refused) = (0, 0);
    for round in 0..iterations(150) {
        let folder = folder();
        let runtime = Runtime::new().expect("a runtime");
        let count = 1 + random.below(60);
        runtime.block_on(async {
            let options = JournalOptions::new().segment_size(8192);
            let journal = options.open(folder.path()).await.expect("a journal");
            for number in 0..count {
                journal.append(payload(number)).await.expect("an append");
            }
            journal.close().await.expect("a close");
        });
        for _ in 0..1 + random.below(3) {
            damage(&segments(folder.path()), &random);
        }
        let recovered = runtime.block_on(recover_and_go_on(folder.path()));
        match recovered {
            Ok(found) => {
                good += 1;
                for record in found {
                    assert_eq!(
                        record.payload,
                        payload(record.sequence as usize),
                        "round {round}"
                    );
                }
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            }
        }
    }
    assert!(
        good > 0 && refused > 0,
        "{good} recovered, {refused} refused"
    );
}

#[test]
fn a_journal_may_have_been_cut_off_at_any_byte() {
    let runtime = Runtime::new().expect("a runtime");
    let whole = folder();
    runtime.block_on(async {
        let journal = small().open(whole.path()).await.expect("a journal");
        for payload in ["a", "bc", "defghijkl"] {
            journal.append(payload).await.expect("an append");
        }
        journal.close().await.expect("a close");
    });
    let segment = Path::new("00000000000000000000.segment");
    let bytes = runtime.block_on(krug::fs::read(whole.path().join(segment)));
    let bytes = bytes.expect("its bytes");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("records");
    for length in 0..used + 16 {
        let cut = folder();
        let copy = krug::fs::write(cut.path().join(segment), bytes[..length].to_vec());
        runtime.block_on(copy).expect("a copy");
        match runtime.block_on(recover_and_go_on(cut.path())) {
            // What is missing behind the last record is zeros, which were there before it.
            Ok(found) => assert!(found.len() == 3 || length <= used, "{length} of {used}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}: {error}"),
        }
    }
}

/// Reads everything, appends a record, and demands that it is there at the next recovery.
async fn recover_and_go_on(folder: &Path) -> std::io::Result<Vec<Record>> {
    let mut recovery = small().recover(folder).await?;
    let mut found = Vec::new();
    while let Some(record) = recovery.next().await? {
        found.push(record);
    }
    let journal = recovery.finish().await?;
    let sequence = journal.append("one more").await?;
    journal.close().await?;
    let mut recovery = small().recover(folder).await?;
    let mut last = None;
    while let Some(record) = recovery.next().await? {
        last = Some(record);
    }
    let last = last.expect("the record that was appended");
    assert_eq!(
        (last.sequence, &last.payload[..]),
        (sequence, &b"one more"[..])
    );
    Ok(found)
}

fn damage(segments: &[PathBuf], random: &Random) {
    let Some(victim) = segments.get(random.below(segments.len().max(1))) else {
        return;
    };
    let mut bytes = disk::read(victim).expect("a segment");
    match random.below(6) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => {
            let from = random.below(bytes.len() + 1);
            bytes[from..].fill(0);
        }
        2 => bytes.extend(random.bytes(100)),
        3 => return disk::remove_file(victim).expect("a segment less"),
        4 => {
            let other = &segments[random.below(segments.len())];
            bytes = disk::read(other).expect("another segment");
        }
        _ => {
            for _ in 0..1 + random.below(5) {
                let place = random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random.number() as u8;
                }
            }
        }
    }
    disk::write(victim, bytes).expect("a damaged segment");
}

#[test]
fn a_sync_that_fails_fails_the_append_and_all_that_follow() {
    let faults = Faults::new();
    krug_tests::run_with(
        |builder| builder.faults(faults.clone()),
        |runtime| {
            let folder = folder();
            runtime.block_on(async {
                let journal = small().open(folder.path()).await.expect("a journal");
                journal.append("good").await.expect("an append");
                until("the next segment is prepared", || {
                    runtime.metrics().operations_alive == 0
                })
                .await;
                // The write of the record succeeds, the sync after it does not.
                let _planned = faults.clone().operation(faults.operations() + 2, 5);
                let error = journal.append("lost").await.expect_err("a failed sync");
                assert!(error.to_string().contains("os error 5"), "{error}");
                assert_eq!(faults.pending(), 0);
                assert!(journal.append("later").await.is_err());
                assert_eq!(journal.durable_sequence(), 1);
                assert!(journal.close().await.is_err());
                assert_eq!(payloads(folder.path()).await[0], b"good");
            });
        },
    );
}

/// How many bytes of the disk a file takes.
fn taken(file: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(file).expect("a file");
    about.blocks() * 512
}

#[test]
fn opening_writes_what_was_used_and_after_a_clean_end_nothing() {
    krug_tests::needs_a_kernel!("it asks the standard library about the same file");
    const SIZE: u64 = 4 << 20;
    const USED_MAX: u64 = 64 * 1024;
    run(|runtime| {
        let folder = folder();
        let options = JournalOptions::new().segment_size(SIZE);
        runtime.block_on(async {
            let journal = options.open(folder.path()).await.expect("a journal");
            for number in 0..10 {
                journal.append(payload(number)).await.expect("an append");
            }
            journal.close().await.expect("a close");
            // The same file again, but its zeros take no room until somebody writes them.
            let segment = &segments(folder.path())[0];
            let bytes = std::fs::read(segment).expect("a segment");
            assert_eq!(bytes.len() as u64, SIZE);
            std::fs::write(segment, &bytes[..USED_MAX as usize / 2]).expect("a segment");
            let sparse = std::fs::File::options().write(true).open(segment);
            sparse.expect("a segment").set_len(SIZE).expect("a hole");
            let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            let sparse = std::fs::File::options().write(true).open(segment);
            sparse
                .expect("a segment")
                .set_modified(long_ago)
                .expect("a time");
            let is_as_before = || {
                let about = std::fs::metadata(segment).expect("a segment");
                about.modified().expect("a time") == long_ago
            };
            assert!(taken(segment) <= USED_MAX, "the disk keeps zeros");

            let journal = options.open(folder.path()).await.expect("a journal");
            assert!(is_as_before(), "something was written after a clean end");
            journal.close().await.expect("a close");
            std::fs::remove_file(folder.path().join("clean")).expect("a mark");
            let journal = options.open(folder.path()).await.expect("a journal");
            assert!(!is_as_before(), "nothing was written again");
            let taken = taken(segment);
            assert!(taken <= USED_MAX, "{taken} bytes were written");
            journal.close().await.expect("a close");
            assert_eq!(payloads(folder.path()).await.len(), 10);
        });
    });
}

#[test]
fn a_mark_of_a_clean_end_is_gone_while_the_journal_is_open_and_an_old_one_is_not_believed() {
    run(|runtime| {
        let folder = folder();
        let mark = folder.path().join("clean");
        runtime.block_on(async {
            let journal = small().open(folder.path()).await.expect("a journal");
            journal.append("one").await.expect("an append");
            journal.close().await.expect("a close");
            let old = disk::read(&mark).expect("a mark");
            let journal = small().open(folder.path()).await.expect("a journal");
            assert!(!disk::exists(&mark), "it would be believed after a crash");
            journal
                .append_all(&["torn", "same"])
                .await
                .expect("an append");
            journal.close().await.expect("a close");
            // The end that the mark names; behind it the first record is damaged, the second is not.
            disk::write(&mark, old).expect("an old mark");
            let segment = &segments(folder.path())[0];
            let mut bytes = disk::read(segment).expect("a segment");
            let place = bytes.windows(4).position(|word| word == b"torn");
            bytes[place.expect("a record")] = b'T';
            disk::write(segment, bytes).expect("a damaged segment");

            let journal = small().open(folder.path()).await.expect("a journal");
            journal.append("new!").await.expect("an append");
            journal.close().await.expect("a close");
            let left = payloads(folder.path()).await;
            assert_eq!(left, [b"one".to_vec(), b"new!".to_vec()]);
        });
    });
}
