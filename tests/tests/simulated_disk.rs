//! What a simulated disk keeps, loses and delays.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use krug::fs::{self, DirectFile, File, JournalOptions, OpenOptions};
use krug::sim::{Sim, check};
use krug::time::{now, sleep};

krug::interpose!();

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn files_and_their_names_behave_as_those_of_a_real_disk() {
    let mut sim = Sim::new(1);
    sim.client("host", async {
        fs::create_dir_all("/data/deep/er").await.unwrap();
        fs::write("/data/one", "first").await.unwrap();
        fs::symlink("one", "/data/link").await.unwrap();
        fs::hard_link("/data/one", "/data/deep/two").await.unwrap();
        assert_eq!(fs::read("/data/link").await.unwrap(), b"first");
        assert_eq!(
            fs::read_link("/data/link").await.unwrap().to_str(),
            Some("one")
        );
        let canonical = fs::canonicalize("/data/deep/../link").await.unwrap();
        assert_eq!(canonical.to_str(), Some("/data/one"));
        let metadata = fs::metadata("/data/deep/two").await.unwrap();
        assert!(metadata.is_file() && metadata.len() == 5 && metadata.nlink() == 2);
        let mut entries = fs::read_dir("/data").await.unwrap();
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.unwrap() {
            names.push((entry.file_name(), entry.file_type().await.unwrap().is_dir()));
        }
        let expected = [("deep", true), ("link", false), ("one", false)];
        assert_eq!(names, expected.map(|(name, is_dir)| (name.into(), is_dir)));
        assert_eq!(fs::copy("/data/one", "/data/copy").await.unwrap(), 5);
        fs::rename("/data/copy", "/data/deep/er/moved")
            .await
            .unwrap();
        let missing = fs::read("/data/copy").await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let full = fs::remove_dir("/data/deep").await.unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::DirectoryNotEmpty);
        fs::remove_dir_all("/data/deep").await.unwrap();
        assert_eq!(fs::metadata("/data/one").await.unwrap().nlink(), 1);
    });
    sim.run().unwrap();
    assert_eq!(sim.host_fs("host").read("/data/link").unwrap(), b"first");
    let names = sim.host_fs("host").names("/data").unwrap();
    assert_eq!(names, ["link", "one"]);
}

#[test]
fn open_files_have_a_cursor_lengths_and_locks() {
    let mut sim = Sim::new(1);
    sim.host("host", || sleep(HOUR));
    sim.host_fs("host")
        .write("/tmp/given", "from outside")
        .unwrap();
    sim.client("client", async {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = options.open("/tmp/file").await.unwrap();
        file.write_all("hello world").await.0.unwrap();
        let (read, bytes) = file.read_at(Vec::with_capacity(5), 6).await;
        read.unwrap();
        assert_eq!(bytes, b"world");
        file.set_len(5).await.unwrap();
        let again = File::open("/tmp/file").await.unwrap();
        assert_eq!(fs::read("/tmp/file").await.unwrap(), b"hello");
        file.try_lock().unwrap();
        assert!(again.try_lock().is_err());
        file.unlock().unwrap();
        again.try_lock_shared().unwrap();
        let append = OpenOptions::new()
            .append(true)
            .open("/tmp/file")
            .await
            .unwrap();
        append.write_all("!").await.0.unwrap();
        assert_eq!(fs::read("/tmp/file").await.unwrap(), b"hello!");
        let nobody = fs::read("/tmp/given").await.unwrap_err();
        assert_eq!(
            nobody.kind(),
            io::ErrorKind::NotFound,
            "that is another host's"
        );
        let direct = DirectFile::open("/tmp/file").await.unwrap();
        let aligned = krug::buf::alloc_aligned(512, 512);
        let (read, aligned) = direct.read_at(aligned, 0).await;
        assert_eq!((read.unwrap(), &aligned[..6]), (6, &b"hello!"[..]));
    });
    sim.run().unwrap();
}

/// Appends numbers and notes which of them have been acknowledged, until its power fails; checks, when it starts anew,
/// that all are there.
async fn appends(acknowledged: Rc<RefCell<BTreeMap<u64, u64>>>, lives: Rc<Cell<u32>>) {
    let options = JournalOptions::new().segment_size(1 << 16);
    fs::create_dir_all("/data").await.unwrap();
    sync_directory("/").await;
    let mut recovery = options.recover("/data").await.unwrap();
    let mut found = BTreeMap::new();
    while let Some(record) = recovery.next().await.unwrap() {
        let payload = record.payload[..].try_into().unwrap();
        found.insert(record.sequence, u64::from_le_bytes(payload));
    }
    for (sequence, number) in acknowledged.borrow().iter() {
        assert_eq!(found.get(sequence), Some(number), "record {sequence}");
    }
    let journal = recovery.finish().await.unwrap();
    lives.set(lives.get() + 1);
    loop {
        let number = krug::rand::u64();
        let sequence = journal.append(number.to_le_bytes()).await.unwrap();
        acknowledged.borrow_mut().insert(sequence, number);
    }
}

async fn sync_directory(path: &str) {
    File::open(path).await.unwrap().sync_all().await.unwrap();
}

#[test]
fn what_a_journal_has_acknowledged_survives_every_crash() {
    check(30, |sim| {
        let (acknowledged, lives) = (Rc::default(), Rc::new(Cell::new(0)));
        let kept: (Rc<RefCell<BTreeMap<u64, u64>>>, _) = (Rc::clone(&acknowledged), lives.clone());
        sim.host("journal", move || appends(kept.0.clone(), kept.1.clone()));
        for crash in 1..=20 {
            sim.at(SECOND * crash, |sim| sim.bounce("journal"));
        }
        sim.run_for(SECOND * 21).unwrap();
        assert_eq!(lives.get(), 21);
        assert!(acknowledged.borrow().len() > 100);
    });
}

#[test]
fn a_disk_that_lies_is_found_out() {
    let mut found_out = 0;
    for seed in 0..20 {
        let (acknowledged, lives) = (Rc::default(), Rc::new(Cell::new(0)));
        let mut sim = Sim::new(seed);
        sim.host("journal", move || {
            let acknowledged: Rc<RefCell<BTreeMap<u64, u64>>> = Rc::clone(&acknowledged);
            appends(acknowledged, lives.clone())
        });
        sim.disk(|disks| _ = disks.lying_syncs(0.5));
        for crash in 1..=10 {
            sim.at(SECOND * crash, |sim| sim.bounce("journal"));
        }
        found_out += u32::from(sim.run_for(SECOND * 11).is_err());
    }
    assert!(found_out > 10, "{found_out}");
}

#[test]
fn a_full_disk_a_failing_sync_and_a_stall_are_seen() {
    let mut sim = Sim::new(2);
    sim.client("full", async {
        let file = File::create("/tmp/file").await.unwrap();
        let (written, _) = file.write_all(vec![1; 2000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.metadata().await.unwrap().len(), 1000);
    });
    sim.client("failing", async {
        let file = File::create("/tmp/file").await.unwrap();
        file.write_all("x").await.0.unwrap();
        let error = file.sync_all().await.unwrap_err();
        assert_eq!(fs::raw_os_error(&error), Some(5), "{error}");
    });
    sim.client("slow", async {
        let begin = now();
        drop(File::create("/tmp/file").await.unwrap());
        assert!(now() - begin >= SECOND * 7);
    });
    sim.disk_of("full", |disks| _ = disks.capacity(1000));
    sim.disk_of("failing", |disks| _ = disks.sync_errors(1.0));
    sim.disk_of("slow", |disks| {
        _ = disks.stalls(1.0, SECOND * 7..SECOND * 8)
    });
    sim.run().unwrap();
}

#[test]
fn the_same_seed_crashes_a_disk_in_the_same_way() {
    let contents = |seed| {
        let mut sim = Sim::new(seed);
        sim.host("host", || async {
            for number in 0..100 {
                fs::write(format!("/tmp/{number}"), vec![7; 2000])
                    .await
                    .unwrap();
            }
            sleep(HOUR).await;
        });
        sim.run_for(SECOND * 10).unwrap();
        sim.crash("host");
        let host = sim.host_fs("host");
        let names = host.names("/tmp").unwrap();
        let length = |name: &std::ffi::OsString| {
            host.read(std::path::Path::new("/tmp").join(name))
                .unwrap()
                .len()
        };
        (
            names.iter().map(length).collect::<Vec<_>>(),
            names,
            sim.trace_hash(),
        )
    };
    assert_eq!(contents(1), contents(1));
    assert_ne!(contents(1).0, contents(2).0);
    assert!(contents(1).1.len() < 90, "some names are lost");
}
