use std::io;
use std::path::Path;
use std::time::Duration;

use super::*;

const PLACES: u64 = 8;
const APPENDS: u64 = 20;

fn job(path: &Path) -> Job {
    Job {
        path: path.to_owned(),
        bytes: PLACES * RECORD as u64,
        pace: Pace {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(600),
            stride: 1,
            operations_max: APPENDS,
        },
        driver: Driver::Uring,
        piece: RECORD,
    }
}

fn is_complete(model: &Model, result: io::Result<Measured>) {
    let measured = result.unwrap_or_else(|error| panic!("{}: {error}", model.name));
    assert_eq!(measured.operations, APPENDS, "{}", model.name);
    assert!(measured.latency_us(0.5) > Some(0.0), "{}", model.name);
}

#[test]
fn every_model_leaves_the_right_records_on_the_disk_also_when_it_goes_round() {
    for piece in [RECORD, 200] {
        for model in MODELS.iter().filter(|model| !model.is_journal) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let job = Job {
                piece,
                ..job(&path)
            };
            content::write_zeros(&path, job.bytes).unwrap();
            is_complete(model, (model.append)(&job));
            content::check_log(&path, APPENDS).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().len(), job.bytes);
        }
    }
}

#[test]
fn the_journal_holds_every_record_of_one_writer_and_of_many() {
    for model in MODELS
        .iter()
        .chain([&GROUP])
        .filter(|model| model.is_journal)
    {
        let folder = tempfile::tempdir().unwrap();
        for (driver, name) in [(Driver::Uring, "uring"), (Driver::Epoll, "epoll")] {
            // It goes on in a second segment.
            let job = Job {
                bytes: 8192,
                driver,
                ..job(&folder.path().join(name))
            };
            is_complete(model, (model.append)(&job));
        }
    }
}

#[test]
fn a_file_that_is_missing_or_full_is_an_error_of_every_model() {
    for model in MODELS {
        let missing = Path::new("/dev/null/nothing");
        assert!((model.append)(&job(missing)).is_err(), "{}", model.name);
        if model.is_journal {
            continue;
        }
        let error = (model.append)(&job(Path::new("/dev/full"))).expect_err(model.name);
        // A device knows no writes that are durable.
        let expected = match model.name {
            "rwf-dsync" => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::StorageFull,
        };
        assert_eq!(error.kind(), expected, "{}: {error}", model.name);
    }
}
