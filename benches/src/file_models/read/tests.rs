use std::io;
use std::path::Path;
use std::time::Duration;

use super::*;

/// Eight whole blocks, and a bit of a ninth.
const BYTES: u64 = 8 * BLOCK as u64 + 1000;
const READS: u64 = 200;

fn job(path: &Path, depth: usize) -> Job {
    Job {
        path: path.to_owned(),
        bytes: BYTES,
        depth,
        access: Access::Cached,
        pace: Pace {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(600),
            stride: 3,
            operations_max: READS,
        },
        piece: BLOCK,
        check: Check::Whole,
        seed: 5,
    }
}

/// Each model at each depth, with what it is to do, changed by `change`.
fn each(path: &Path, change: impl Fn(&mut Job), look: impl Fn(&str, io::Result<Measured>)) {
    for model in MODELS {
        for depth in [1, 3, 8] {
            let mut job = job(path, depth);
            change(&mut job);
            let what = format!("{} at depth {depth}", model.name);
            look(&what, (model.read)(&job));
        }
    }
}

fn is_complete(what: &str, result: io::Result<Measured>) {
    let measured = result.unwrap_or_else(|error| panic!("{what}: {error}"));
    // Threads that know nothing of each other share the number out, rounded up.
    let range = READS..READS + 8;
    assert!(range.contains(&measured.operations), "{what}: {measured:?}");
    assert!(measured.rate > 0.0, "{what}");
}

#[test]
fn every_model_reads_the_right_blocks_up_to_the_end_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    content::write_blocks(&path, BYTES).unwrap();
    each(&path, |_| {}, is_complete);
}

#[test]
fn every_model_goes_on_after_a_short_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    content::write_blocks(&path, BYTES).unwrap();
    each(&path, |job| job.piece = 1500, is_complete);
}

#[test]
fn every_model_reads_past_the_cache_where_that_can_be_done() {
    // Not in the folder for temporary files, which may be in memory.
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let path = folder.path().join("blocks");
    content::write_blocks(&path, BYTES).unwrap();
    let direct = |job: &mut Job| job.access = Access::Direct;
    let mut probe = job(&path, 1);
    direct(&mut probe);
    if let Err(error) = (MODELS[2].read)(&probe) {
        eprintln!("skipped: no direct reads here: {error}");
        return;
    }
    each(&path, direct, is_complete);
}

#[test]
fn every_model_sees_a_block_that_is_not_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    content::write_blocks(&path, BYTES).unwrap();
    let mut data = std::fs::read(&path).unwrap();
    data[3 * BLOCK + 2000] ^= 1;
    std::fs::write(&path, data).unwrap();
    each(
        &path,
        |_| {},
        |what, result| {
            let error = result.expect_err(what);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
            assert!(error.to_string().contains("number 3"), "{what}: {error}");
        },
    );
}

#[test]
fn a_file_that_ends_early_is_an_error_of_every_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blocks");
    content::write_blocks(&path, BYTES / 2).unwrap();
    each(
        &path,
        |_| {},
        |what, result| {
            let error = result.expect_err(what);
            assert_eq!(
                error.kind(),
                io::ErrorKind::UnexpectedEof,
                "{what}: {error}"
            );
        },
    );
}

#[test]
fn what_cannot_be_opened_or_read_is_an_error_of_every_model() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    each(
        &missing,
        |_| {},
        |what, result| {
            let error = result.expect_err(what);
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{what}: {error}");
        },
    );
    // A folder can be opened, and each read of it fails.
    each(
        folder.path(),
        |_| {},
        |what, result| assert!(result.is_err(), "{what}"),
    );
}
