use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::*;

const RECORDS: u64 = 3000;

/// Held by each test here that needs low descriptors, or takes so many that others get no low ones: the process is the same.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // What it guards is not of this program, so a panic has broken nothing.
    DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn job(pipes: usize, cut: Cut) -> Job {
    Job {
        pipes,
        measured: Duration::from_secs(600),
        records_max: RECORDS,
        cut,
        seed: 11,
    }
}

#[test]
fn every_model_gets_every_record_wherever_they_are_cut() {
    let _alone = alone();
    for model in MODELS {
        for pipes in [1, 2, 9] {
            for cut in [Cut::Nowhere, Cut::Anywhere] {
                let what = format!("{} with {pipes} pipes, cut {cut:?}", model.name);
                let measured =
                    run(model, &job(pipes, cut)).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(measured.operations, RECORDS, "{what}");
                assert!(measured.rate > 0.0, "{what}");
            }
        }
    }
}

#[test]
fn every_model_ends_when_nothing_is_sent_at_all() {
    let _alone = alone();
    for model in MODELS {
        let none = Job {
            records_max: 0,
            ..job(3, Cut::Nowhere)
        };
        let measured = run(model, &none).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        assert_eq!(measured.operations, 0, "{}", model.name);
    }
}

/// Writes `bytes` to one pipe, and nothing to another.
fn received(model: &Model, bytes: &[u8]) -> io::Result<Received> {
    use std::io::Write;
    let (first, mut end) = io::pipe()?;
    let (second, other) = io::pipe()?;
    end.write_all(bytes)?;
    drop((end, other));
    let (go, _gone) = mpsc::channel();
    (model.read)(Incoming {
        pipes: vec![first, second],
        go,
    })
}

#[test]
fn a_wrong_record_and_an_end_within_one_are_errors_of_every_model() {
    let _alone = alone();
    let good = [record::record(0, 0), record::record(0, 1)].concat();
    for model in MODELS {
        let read = received(model, &good).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        read.ledger.compare(&[2, 0]).unwrap();
        assert!(received(model, &good[32..]).is_err(), "{}", model.name);
        assert!(received(model, &good[..40]).is_err(), "{}", model.name);
    }
}

#[test]
fn select_says_that_it_cannot_go_on_beyond_its_set() {
    let _alone = alone();
    if crate::floor::limits::raise_descriptor_limit().unwrap() < 3000 {
        eprintln!("skipped: this process may not have enough descriptors");
        return;
    }
    let model = MODELS.iter().find(|model| model.name == "select").unwrap();
    let many = job(1100, Cut::Nowhere);
    let error = run(model, &many).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("below 1024"), "{error}");
}
