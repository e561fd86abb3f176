//! Hunts for bugs that other projects had, in simulated worlds. `tests/museum/run` plants each of them again, and says under which seed it
//! is found.
//!
//! None of these tests knows where the bug is: each does what programs do, under a network, disks and rings that misbehave.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use krug::fs::{self, File, JournalOptions};
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::sim::{Sim, address_of};
use krug::sync::{Barrier, Semaphore};
use krug::task::{JoinHandle, yield_now};
use krug::time::{sleep, timeout};
use krug::{rand, spawn};

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const PORT: u16 = 7000;

fn micros(below: u64) -> Duration {
    Duration::from_micros(rand::below(below))
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 % 251) as u8).collect()
}

async fn listen() -> TcpListener {
    let any = std::net::Ipv4Addr::UNSPECIFIED;
    TcpListener::bind((any, PORT)).await.unwrap()
}

/// Connected to the host `server`, which may not listen yet.
async fn connect() -> TcpStream {
    loop {
        match TcpStream::connect((address_of("server"), PORT)).await {
            Ok(stream) => return stream,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        }
        sleep(MS).await;
    }
}

/// Everything goes wrong that may, far too often, and nobody takes long.
fn disturb(sim: &mut Sim) {
    sim.rings(|rings| {
        rings.short(0.5).interrupted(0.2).unready(0.1).starved(0.1);
        rings.early_ends(0.3).late_cancels(0.5).late_memory(0.5);
        rings.queue(1..=8);
    });
    sim.limit(SECOND * 20);
}

#[krug::sim_test(seeds = 100)]
fn bug_005_descriptors_of_operations_that_were_given_up_are_closed(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = listen().await;
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    sim.client("client", async {
        for _ in 0..20 {
            let _ = timeout(micros(300), File::create("/tmp/file")).await;
            let target = (address_of("server"), PORT);
            let _ = timeout(micros(3000), TcpStream::connect(target)).await;
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_006_a_read_that_has_ended_and_is_dropped_loses_no_bytes(sim: &mut Sim) {
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        let sending = spawn(async move {
            for piece in pattern(20_000).chunks(700) {
                sleep(micros(50)).await;
                one.write_all(piece.to_vec()).await.0.unwrap();
            }
        });
        let mut received = Vec::new();
        loop {
            let mut reading = Box::pin(other.read(Vec::with_capacity(500)));
            if rand::below(2) == 0 {
                if let Ok((read, bytes)) = timeout(Duration::ZERO, reading.as_mut()).await {
                    read.unwrap();
                    received.extend(bytes);
                }
                // It may end now, and nobody looks.
                sleep(micros(100)).await;
                continue;
            }
            match reading.await {
                (Ok(0), _) => break,
                (result, bytes) => {
                    result.unwrap();
                    received.extend(bytes);
                }
            }
        }
        sending.await.unwrap();
        assert!(received == pattern(20_000), "bytes are lost");
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_007_buffers_of_what_was_received_come_back(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = listen().await;
        loop {
            let stream = listener.accept().await.unwrap();
            stream.write_all(pattern(30_000)).await.0.unwrap();
        }
    });
    sim.client("client", async {
        for _ in 0..5 {
            let stream = connect().await;
            let _ = timeout(micros(5000), stream.recv()).await;
            let _ = timeout(micros(5000), stream.recv()).await;
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_008_a_buffer_that_was_taken_by_a_receive_that_failed_is_used_again(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = listen().await;
        loop {
            let stream = listener.accept().await.unwrap();
            for piece in pattern(500_000).chunks(1000) {
                stream.write_all(piece.to_vec()).await.0.unwrap();
            }
        }
    });
    sim.client("client", async {
        let stream = connect().await;
        let mut count = 0;
        while count < 500_000 {
            let chunk = stream.recv().await.unwrap();
            assert_eq!(chunk.first(), Some(&((count * 7 % 251) as u8)));
            count += chunk.len();
        }
    });
    disturb(sim);
    sim.rings_of("client", |rings| _ = rings.interrupted(0.5).starved(0.0));
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_016_what_was_written_before_the_close_arrives(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = listen().await;
        loop {
            let stream = listener.accept().await.unwrap();
            let mut writing = Box::pin(stream.write_all(pattern(50_000)));
            let _ = timeout(micros(100), writing.as_mut()).await;
            drop(writing);
            drop(stream);
        }
    });
    sim.client("client", async {
        let (read, received) = krug::io::read_to_end(connect().await, Vec::new()).await;
        read.unwrap();
        // A write that was given up before it was begun is none.
        let is_whole = received == pattern(50_000);
        assert!(received.is_empty() || is_whole, "{} bytes", received.len());
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_017_after_a_write_that_failed_nothing_is_written(sim: &mut Sim) {
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        let reading = spawn(async move { krug::io::read_to_end(other, Vec::new()).await });
        for piece in pattern(10_000).chunks(100) {
            let mut writing = Box::pin(one.write_all(piece.to_vec()));
            if let Ok((Err(_), _)) = timeout(Duration::ZERO, writing.as_mut()).await {
                break;
            }
            // It has begun, and goes on by itself when it is given up; if it fails, the next one says so.
            sleep(MS).await;
        }
        let _ = one.shutdown(Shutdown::Write).await;
        drop(one);
        let (_, received) = reading.await.unwrap();
        assert!(pattern(10_000).starts_with(&received), "there is a gap");
    });
    disturb(sim);
    sim.rings(|rings| _ = rings.cancelled(0.05));
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_018_memory_of_a_read_that_was_dropped_stays_until_its_end(sim: &mut Sim) {
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        let mut kept = Vec::new();
        for round in 0..20 {
            let mut reading = Box::pin(other.read(Vec::with_capacity(1000)));
            let _ = timeout(micros(10), reading.as_mut()).await;
            drop(reading);
            // Whoever gets memory now may get what was freed.
            kept.push(vec![round; 1000]);
            one.write_all(pattern(100)).await.0.unwrap();
            other.read_exact(vec![0; 100]).await.0.unwrap();
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

/// Appends to a journal until its power fails or its disk does, and demands in its next life that all is there that was acknowledged.
async fn appends(acknowledged: Rc<RefCell<BTreeMap<u64, u64>>>) {
    fs::create_dir_all("/data").await.unwrap();
    let top = File::open("/").await.unwrap();
    if top.sync_all().await.is_err() {
        return;
    }
    let options = JournalOptions::new().segment_size(1 << 14);
    let Ok(mut recovery) = options.recover("/data").await else {
        return;
    };
    let mut found = BTreeMap::new();
    while let Some(record) = recovery.next().await.unwrap() {
        let payload = record.payload[..].try_into().unwrap();
        found.insert(record.sequence, u64::from_le_bytes(payload));
    }
    for (sequence, number) in acknowledged.borrow().iter() {
        assert_eq!(found.get(sequence), Some(number), "record {sequence}");
    }
    let Ok(journal) = recovery.finish().await else {
        return;
    };
    loop {
        let number = rand::u64();
        // After an error nothing is appended: the disk may have lost what it was for.
        let Ok(sequence) = journal.append(number.to_le_bytes()).await else {
            return;
        };
        acknowledged.borrow_mut().insert(sequence, number);
    }
}

#[krug::sim_test(seeds = 100)]
fn bug_026_what_a_journal_has_acknowledged_is_there_after_a_crash(sim: &mut Sim) {
    let acknowledged = Rc::default();
    sim.host("journal", move || appends(Rc::clone(&acknowledged)));
    sim.disk(|disks| _ = disks.sync_errors(0.05));
    for crash in 1..=10 {
        sim.at(MS * 200 * crash, |sim| sim.bounce("journal"));
    }
    sim.run_for(SECOND * 3).unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_027_the_vectors_of_a_read_that_was_dropped_stay_until_its_end(sim: &mut Sim) {
    sim.client("client", async {
        let (one, other) = UnixStream::pair().unwrap();
        let mut kept = Vec::new();
        for round in 0..20 {
            let buffers = vec![Vec::with_capacity(30), Vec::with_capacity(70)];
            let mut reading = Box::pin(other.read_vectored(buffers));
            let _ = timeout(micros(10), reading.as_mut()).await;
            drop(reading);
            // Whoever gets memory now may get what was freed.
            kept.extend((1..100).map(|size| vec![round; size * 16]));
            one.write_all(pattern(100)).await.0.unwrap();
            let (read, bytes) = other.read_exact(vec![0; 100]).await;
            read.unwrap();
            assert!(bytes == pattern(100), "the bytes are others");
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_043_whoever_polled_a_handle_last_learns_of_the_end(sim: &mut Sim) {
    sim.client("client", async {
        for _ in 0..10 {
            let mut task: JoinHandle<()> = spawn(async { sleep(micros(100)).await });
            // Looked at here, and awaited by somebody else.
            let _ = timeout(micros(50), &mut task).await;
            if !task.is_finished() {
                spawn(async move { task.await.unwrap() }).await.unwrap();
            }
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_057_a_listener_whose_operation_has_ended_goes_on(sim: &mut Sim) {
    sim.host("server", || async {
        let listener = listen().await;
        loop {
            let stream = listener.accept().await.unwrap();
            spawn(async move { stream.write_all("hello").await.0.unwrap() });
        }
    });
    sim.client("client", async {
        for _ in 0..20 {
            connect().await.read_exact(vec![0; 5]).await.0.unwrap();
        }
    });
    disturb(sim);
    sim.run().unwrap();
}

#[krug::sim_test(seeds = 100)]
fn bug_063_permits_that_come_back_together_serve_all_who_wait(sim: &mut Sim) {
    sim.client("client", async {
        let permits = Rc::new(Semaphore::new(4));
        for _ in 0..10 {
            let all = permits.acquire_many(4).await;
            let together = Rc::new(Barrier::new(4));
            let tasks: Vec<JoinHandle<()>> = (0..4)
                .map(|_| {
                    let (permits, together) = (Rc::clone(&permits), Rc::clone(&together));
                    spawn(async move {
                        let _permit = permits.acquire().await;
                        together.wait().await;
                    })
                })
                .collect();
            for _ in 0..rand::below(3) {
                yield_now().await;
            }
            drop(all);
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
    disturb(sim);
    sim.run().unwrap();
}
