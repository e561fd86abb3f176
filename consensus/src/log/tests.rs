//! Golden bytes, and everything that can happen to a log on its disk.

use std::path::PathBuf;
use std::sync::Arc;

use krug::sim::Sim;

use super::codec::{EntryError, decode, encode};
use super::*;
use crate::core::{Candidate, Claim, Name, Rank, Register, Ticket, Value};
use crate::program::draws::Draws;
use crate::wire::WireError;

fn claim(number: u128) -> Claim {
    Claim {
        ticket: Ticket(number),
        name: Name(number << 64),
        redraws: number as u32,
    }
}

fn say(number: u128) -> Value {
    Value::Say { by: Name(number) }
}

fn registered(slot: Slot, step: u32) -> LogRecord {
    let candidate = |rank| Candidate {
        rank: Rank(rank),
        value: say(3),
    };
    LogRecord::Registered {
        slot,
        register: Register {
            step,
            first: candidate(1),
            best: candidate(2),
            prev: step.is_multiple_of(2).then(|| candidate(0)),
        },
    }
}

fn decided(slot: Slot) -> LogRecord {
    let value = say(3);
    LogRecord::Decided { slot, value }
}

fn drawn_value(draws: &mut Draws) -> Value {
    match draws.below(2) {
        0 => say(u128::from(draws.draw())),
        _ => {
            let count = draws.below(40);
            let claims: Arc<[Claim]> = (0..count).map(|_| claim(draws.draw().into())).collect();
            Value::Roll(claims)
        }
    }
}

fn drawn_record(draws: &mut Draws) -> LogRecord {
    let candidate = |draws: &mut Draws| Candidate {
        rank: Rank(draws.draw()),
        value: drawn_value(draws),
    };
    match draws.below(3) {
        0 => LogRecord::Claimed(claim(draws.draw().into())),
        1 => LogRecord::Decided {
            slot: draws.draw(),
            value: drawn_value(draws),
        },
        _ => LogRecord::Registered {
            slot: draws.draw(),
            register: Register {
                step: draws.draw() as u32,
                first: candidate(draws),
                best: candidate(draws),
                prev: (draws.below(2) == 0).then(|| candidate(draws)),
            },
        },
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_each_entry_are_as_they_have_always_been() {
    let say_3 = "0103000000000000000000000000000000";
    let claim_5 = "05000000000000000000000000000000".to_owned()
        + "0000000000000000"
        + "0500000000000000"
        + "05000000";
    let roll = LogRecord::Decided {
        slot: 0,
        value: Value::Roll(Arc::new([claim(5)])),
    };
    let table = [
        (LogRecord::Claimed(claim(5)), format!("0101{claim_5}")),
        (
            registered(7, 5),
            format!(
                "0102070000000000000005000000{}{say_3}{}{say_3}00",
                "0100000000000000", "0200000000000000"
            ),
        ),
        (
            registered(7, 6),
            format!(
                "0102070000000000000006000000{}{say_3}{}{say_3}01{}{say_3}",
                "0100000000000000", "0200000000000000", "0000000000000000"
            ),
        ),
        (decided(9), format!("01030900000000000000{say_3}")),
        (roll, format!("010300000000000000000001000000{claim_5}")),
    ];
    for (record, bytes) in table {
        assert_eq!(hexadecimal(&encode(&record)), bytes, "{record:?}");
        assert_eq!(decode(&encode(&record)), Ok(Entry::Record(record)));
    }
    assert_eq!(decode(&END_BYTES), Ok(Entry::End));
    assert_eq!(hexadecimal(&END_BYTES), "0104");
}

#[test]
fn bytes_that_are_no_entry_are_an_error() {
    let mut draws = Draws::new(1);
    for _ in 0..300 {
        let record = drawn_record(&mut draws);
        let bytes = encode(&record);
        assert_eq!(decode(&bytes), Ok(Entry::Record(record)));
        for end in 0..bytes.len() {
            let cut = decode(&bytes[..end]);
            assert_eq!(cut, Err(EntryError::Body(WireError::BodyTooShort)));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            decode(&longer),
            Err(EntryError::Body(WireError::BodyTooLong(1)))
        );
        let mut noise = bytes;
        for _ in 0..8 {
            let place = draws.below(noise.len() as u64) as usize;
            noise[place] = draws.draw() as u8;
            // Whatever it is, it is itself.
            if let Ok(Entry::Record(record)) = decode(&noise) {
                assert_eq!(encode(&record), noise);
            }
        }
    }
    assert_eq!(decode(&[2, 1]), Err(EntryError::Version(2)));
    assert_eq!(decode(&[1, 5]), Err(EntryError::Kind(5)));
    // A length is only an assertion.
    let endless = [&[1, 3][..], &[0; 8], &[0], &[0xff; 4]].concat();
    assert_eq!(
        decode(&endless),
        Err(EntryError::Body(WireError::BodyTooShort))
    );
    assert!(!EntryError::Version(2).to_string().is_empty());
}

#[test]
fn of_records_that_replace_each_other_the_last_is_written() {
    let claimed = |number| LogRecord::Claimed(claim(number));
    let records = [
        claimed(1),
        registered(1, 4),
        registered(2, 4),
        claimed(2),
        registered(1, 5),
        decided(2),
        registered(3, 4),
    ];
    let expected = [claimed(2), registered(1, 5), decided(2), registered(3, 4)];
    assert_eq!(newest(&records), expected.each_ref().map(encode));
}

#[test]
fn a_register_of_the_roll_fits_however_many_peers_there_are() {
    for peers in [1, 33, 1000] {
        let claims: Arc<[Claim]> = (0..peers as u128).map(claim).collect();
        let candidate = Candidate {
            rank: Rank(1),
            value: Value::Roll(claims),
        };
        let register = Register {
            step: 5,
            first: candidate.clone(),
            best: candidate.clone(),
            prev: Some(candidate),
        };
        let longest = encode(&LogRecord::Registered { slot: 0, register });
        let options = JournalOptions::new().segment_size(segment_size(peers));
        assert!(longest.len() <= options.record_length_max(), "{peers}");
    }
}

/// In a world of its own, where syncs cost nothing.
fn in_a_world<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let mut sim = Sim::new(1);
    let result = std::rc::Rc::new(std::cell::Cell::new(None));
    let of_client = result.clone();
    sim.client("peer", async move { of_client.set(Some(main.await)) });
    sim.run().unwrap();
    result.take().expect("it has returned")
}

fn folder() -> PathBuf {
    PathBuf::from("/tmp/log")
}

async fn open(life: Life) -> Result<(Log, Vec<LogRecord>), String> {
    match Log::open(&folder(), 3, life).await.expect("a good disk") {
        Opened::Whole { log, records } => Ok((log, records)),
        Opened::Damaged(why) => Err(why),
    }
}

async fn close(log: Log) {
    log.journal.close().await.expect("a good disk");
}

/// Three batches, and the bytes of the only segment.
async fn three_batches() -> (Vec<LogRecord>, PathBuf, Vec<u8>) {
    let (log, records) = open(Life::First).await.expect("a birth");
    assert_eq!(records, []);
    let batches = [
        vec![LogRecord::Claimed(claim(7))],
        vec![registered(0, 4), registered(1, 4)],
        vec![registered(0, 5), decided(1)],
    ];
    for batch in &batches {
        log.append(batch).await.expect("an append");
    }
    assert_eq!(log.batches(), 4, "one for the birth");
    close(log).await;
    let segment = folder().join(format!("{:020}.segment", 0));
    let bytes = fs::read(&segment).await.expect("a segment");
    (batches.concat(), segment, bytes)
}

#[test]
fn what_was_appended_is_there_in_a_later_life() {
    in_a_world(async {
        let (records, ..) = three_batches().await;
        for life in [Life::Later, Life::First] {
            let (log, read) = open(life).await.expect("a whole log");
            assert_eq!(read, records);
            close(log).await;
        }
    });
}

/// Of a power failure, that is: whatever was not synced may be gone by then, the name of the log's folder too.
#[test]
fn what_was_appended_outlives_a_power_failure() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut sim = Sim::new(seed);
        let lives = std::rc::Rc::new(std::cell::Cell::new(0));
        let of_host = lives.clone();
        sim.host("peer", move || {
            let lives = of_host.clone();
            async move {
                let life = if lives.get() == 0 {
                    Life::First
                } else {
                    Life::Later
                };
                let (log, read) = open(life).await.expect("a whole log");
                let appended: Vec<_> = (0..lives.get()).map(decided).collect();
                assert_eq!(read, appended);
                log.append(&[decided(lives.get())]).await.unwrap();
                lives.set(lives.get() + 1);
                std::future::pending::<()>().await;
            }
        });
        for second in 1..4 {
            sim.at(std::time::Duration::from_secs(second), |sim| {
                sim.bounce("peer");
            });
        }
        sim.client("clock", async {
            krug::time::sleep(std::time::Duration::from_secs(4)).await;
        });
        sim.run().unwrap();
        assert_eq!(lives.get(), 4);
    }
}

#[test]
fn a_log_that_is_gone_is_lost_unless_the_peer_was_never_there() {
    in_a_world(async {
        let lost = open(Life::Later).await.unwrap_err();
        assert_eq!(lost, "the log in /tmp/log is lost");
        close(open(Life::First).await.expect("a birth").0).await;
        // Nothing was promised yet; but there is a log.
        close(open(Life::Later).await.expect("a whole log").0).await;
        remove(&folder()).await.expect("a good disk");
        remove(&folder()).await.expect("it is gone already");
        open(Life::Later).await.unwrap_err();
    });
}

#[test]
fn a_last_batch_that_is_torn_anywhere_is_left_out_and_the_rest_is_whole() {
    in_a_world(async {
        let (records, segment, bytes) = three_batches().await;
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // Of the last batch: two records and two ends, of which the last two are 16 bytes each.
        let first_of_last = encode(&registered(0, 5)).len() + encode(&decided(1)).len() + 64;
        for kept in end - first_of_last.next_multiple_of(8) + 8..end {
            let mut torn = bytes.clone();
            torn[kept..].fill(0);
            fs::write(&segment, torn).await.unwrap();
            let (log, read) = open(Life::Later).await.expect("no damage");
            assert!((3..=5).contains(&read.len()), "{kept}: {read:?}");
            assert_eq!(read, records[..read.len()], "{kept}");
            // It goes on from there.
            log.append(&[decided(9)]).await.unwrap();
            close(log).await;
            let (log, read) = open(Life::Later).await.expect("no damage");
            assert_eq!(read.last(), Some(&decided(9)));
            close(log).await;
        }
    });
}

#[test]
fn every_flipped_bit_is_seen_or_costs_nothing() {
    let (damaged, harmless) = in_a_world(async {
        let (records, segment, bytes) = three_batches().await;
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let (mut damaged, mut harmless) = (0, 0);
        for bit in (0..8 * (end + 64)).filter(|bit| bit / 8 < 48 || bit / 8 >= 4096) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&segment, flipped).await.unwrap();
            match open(Life::Later).await {
                Err(_) => damaged += 1,
                Ok((log, read)) => {
                    assert_eq!(read, records, "bit {}.{}", bit / 8, bit % 8);
                    harmless += 1;
                    close(log).await;
                }
            }
        }
        (damaged, harmless)
    });
    assert!(
        damaged > 1500 && harmless > 500,
        "{damaged} seen, {harmless} harmless"
    );
}

#[test]
fn a_lost_batch_before_a_good_one_is_damage() {
    in_a_world(async {
        let (_, segment, mut bytes) = three_batches().await;
        let place = 4096 + 2 * 16;
        let length = 8 + encode(&LogRecord::Claimed(claim(7)))
            .len()
            .next_multiple_of(8);
        // As if it had been written elsewhere: not even a flaw is left.
        bytes[place..place + length].fill(0);
        fs::write(&segment, bytes).await.unwrap();
        let why = open(Life::Later).await.unwrap_err();
        assert!(why.contains("behind a bad one"), "{why}");
    });
}

#[test]
fn an_entry_that_this_program_does_not_know_is_damage() {
    in_a_world(async {
        let (log, _) = open(Life::First).await.expect("a birth");
        log.journal.append([9, 9]).await.unwrap();
        close(log).await;
        let why = open(Life::Later).await.unwrap_err();
        assert!(why.contains("version 9 is not 1"), "{why}");
    });
}

#[test]
fn after_a_sync_that_failed_nothing_is_appended_any_more() {
    let mut sim = Sim::new(1);
    sim.client("peer", async {
        let (log, _) = open(Life::First).await.expect("a birth");
        let mut appended = 0;
        while log.append(&[decided(appended)]).await.is_ok() {
            appended += 1;
            krug::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        log.append(&[decided(appended)]).await.unwrap_err();
        assert!(appended > 0);
    });
    sim.at(std::time::Duration::from_secs(1), |sim| {
        sim.disk(|disks| _ = disks.sync_errors(1.0));
    });
    sim.run().unwrap();
}
