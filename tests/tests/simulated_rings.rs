//! Programs notice nothing of what rings do that they may do at any time.

use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use krug::fs::File;
use krug::io::read_to_end;
use krug::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use krug::sim::{Rings, Sim, address_of, check};
use krug::time::{sleep, timeout};
use krug::{pipe, rand, spawn};

krug::interpose!();

const PORT: u16 = 7000;

/// Makes rings do something far too often.
type Habit = fn(&mut Rings);

/// Each of the things that may happen.
const HABITS: &[(&str, Habit)] = &[
    ("short", |rings| _ = rings.short(0.9)),
    ("interrupted", |rings| _ = rings.interrupted(0.5)),
    ("unready", |rings| _ = rings.unready(0.5)),
    ("starved", |rings| _ = rings.starved(0.5)),
    ("early ends", |rings| _ = rings.early_ends(0.9)),
    ("late cancels", |rings| _ = rings.late_cancels(1.0)),
    ("late memory", |rings| _ = rings.late_memory(1.0)),
    ("queues of one", |rings| _ = rings.queue(1..=1)),
    ("queues of a few", |rings| _ = rings.queue(2..=8)),
    ("slow", |rings| {
        rings.time(Duration::from_micros(1)..Duration::from_millis(50));
    }),
];

/// All of them at once.
fn everything(rings: &mut Rings) {
    rings.short(0.5).interrupted(0.2).unready(0.2).starved(0.3);
    rings.early_ends(0.5).late_cancels(0.5).late_memory(0.5);
    rings.queue(1..=4);
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 % 251) as u8).collect()
}

/// Sends back what comes, as it comes, on every connection.
async fn echo_server() {
    let any = std::net::Ipv4Addr::UNSPECIFIED;
    let listener = TcpListener::bind((any, PORT)).await.unwrap();
    loop {
        let stream = listener.accept().await.unwrap();
        spawn(async move {
            loop {
                let chunk = stream.recv().await.unwrap();
                if chunk.is_empty() {
                    return;
                }
                stream.write_all(chunk.to_vec()).await.0.unwrap();
            }
        });
    }
}

/// Sends so many bytes to the server in pieces, and demands that they come back, also if reads are given up now and then.
async fn exchange(count: usize) {
    let stream = loop {
        match TcpStream::connect((address_of("server"), PORT)).await {
            Ok(stream) => break Rc::new(stream),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        }
        // It may not listen yet.
        sleep(Duration::from_millis(1)).await;
    };
    let sender = Rc::clone(&stream);
    let sending = spawn(async move {
        for piece in pattern(count).chunks(5000) {
            sender.write_all(piece.to_vec()).await.0.unwrap();
        }
        sender.shutdown(Shutdown::Write).await.unwrap();
    });
    let mut received = Vec::new();
    loop {
        let patience = Duration::from_micros(1 + rand::below(3000));
        // Unlike a read, one that only looks is cancelled when it is given up.
        let _ = timeout(patience / 8, stream.peek(vec![0; 10])).await;
        match timeout(patience, stream.read(vec![0; 3000])).await {
            Ok((Ok(0), _)) => break,
            Ok((Ok(length), buffer)) => received.extend_from_slice(&buffer[..length]),
            Ok((Err(error), _)) => panic!("{error}"),
            Err(_) => {}
        }
    }
    sending.await.unwrap();
    assert!(received == pattern(count), "the bytes are others");
}

/// Datagrams to a socket on the same host, one after the other.
async fn datagrams() {
    let (one, other) = (
        UdpSocket::bind("127.0.0.1:0"),
        UdpSocket::bind("127.0.0.1:0"),
    );
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let target = other.local_addr().unwrap();
    for length in 1..60 {
        one.send_to(pattern(length), target).await.0.unwrap();
        let (received, buffer) = other.recv_from(vec![0; 100]).await;
        let (count, _) = received.unwrap();
        assert_eq!(buffer[..count], pattern(length));
    }
}

/// A file that is written in pieces, some of them without waiting, and read.
async fn files() {
    let file = File::create("/tmp/file").await.unwrap();
    let bytes = pattern(40_000);
    for (index, piece) in bytes.chunks(1000).enumerate() {
        let writing = file.write_all_at(piece.to_vec(), index as u64 * 1000);
        // Given up half way it goes on all the same, once it has begun.
        let _ = timeout(Duration::from_micros(rand::below(100)), writing).await;
        let piece = piece.to_vec();
        file.write_all_at(piece, index as u64 * 1000)
            .await
            .0
            .unwrap();
    }
    file.sync_all().await.unwrap();
    let file = File::open("/tmp/file").await.unwrap();
    let (read, buffer) = file.read_exact_at(vec![0; bytes.len()], 0).await;
    read.unwrap();
    assert!(buffer == bytes, "the bytes are others");
}

/// Bytes through a pipe and a pair of sockets, both ways given up now and then.
async fn pipes() {
    let (writer, reader) = pipe::pipe().await.unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    let sending = spawn(async move {
        for piece in pattern(100_000).chunks(7000) {
            writer.write_all(piece.to_vec()).await.0.unwrap();
            one.write_all(piece.to_vec()).await.0.unwrap();
        }
    });
    let (read, first) = reader.read_exact(vec![0; 20_000]).await;
    read.unwrap();
    let (mut first, mut second) = (first, Vec::new());
    let (read_rest, read_other) = krug::join!(
        async {
            while let (Ok(1..), piece) = reader.read(Vec::with_capacity(999)).await {
                first.extend(piece);
            }
            Ok::<_, io::Error>(())
        },
        async {
            loop {
                let chunk = other.recv().await?;
                if chunk.is_empty() {
                    return Ok::<_, io::Error>(());
                }
                second.extend_from_slice(&chunk);
            }
        }
    );
    read_rest.unwrap();
    read_other.unwrap();
    sending.await.unwrap();
    assert!(
        first == pattern(100_000) && second == first,
        "the bytes are others"
    );
}

/// Everything at once, under these habits.
fn run(sim: &mut Sim, habits: impl Fn(&mut Rings)) {
    sim.host("server", echo_server);
    for client in 0..3 {
        sim.client(&format!("client {client}"), exchange(60_000));
    }
    sim.client("datagrams", datagrams());
    sim.client("files", files());
    sim.client("pipes", pipes());
    sim.rings(|rings| habits(rings.calm()));
    sim.run().unwrap();
}

fn hash(seed: u64, habits: impl Fn(&mut Rings)) -> u64 {
    let mut sim = Sim::new(seed);
    run(&mut sim, habits);
    sim.trace_hash()
}

#[test]
fn programs_notice_nothing_of_what_rings_do_but_the_time_it_takes() {
    let calm = hash(1, |_| {});
    assert_eq!(calm, hash(1, |_| {}));
    for (name, habits) in HABITS {
        println!("{name}");
        // What is in memory, and when, is no part of the fingerprint.
        let is_seen = *name != "late memory";
        assert_eq!(hash(1, habits) != calm, is_seen, "{name}");
        for seed in 2..6 {
            hash(seed, habits);
        }
    }
}

#[test]
fn programs_notice_nothing_if_everything_happens_at_once() {
    check(20, |sim| run(sim, everything));
}

#[test]
fn a_connection_is_made_although_its_connect_is_interrupted_each_time() {
    check(20, |sim| {
        sim.host("server", echo_server);
        sim.client("client", exchange(100));
        sim.rings(|rings| _ = rings.calm().interrupted(1.0).queue(1..=2));
        sim.rings_of("server", |rings| _ = rings.calm());
        // Reads that are interrupted each time never end: only the connect is to be.
        sim.at(Duration::from_micros(100), |sim| {
            sim.rings(|rings| _ = rings.calm());
        });
        sim.run().unwrap();
    });
}

#[test]
fn a_write_that_the_ring_cancels_by_itself_is_reported_or_whole() {
    check(50, |sim| {
        sim.client("client", async {
            let (one, other) = UnixStream::pair().unwrap();
            let (written, bytes) = one.write_all(pattern(10)).await;
            drop(one);
            let (read, received) = read_to_end(&other, Vec::new()).await;
            read.unwrap();
            match written {
                Ok(()) => assert_eq!(received, bytes),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(125), "{error}");
                    assert!(bytes.starts_with(&received), "{received:?}");
                }
            }
        });
        sim.rings(|rings| _ = rings.calm().cancelled(0.3));
        sim.run().unwrap();
    });
}

#[test]
fn a_host_that_waits_for_its_queue_is_not_stuck() {
    let mut sim = Sim::new(1);
    sim.client("host", async {
        let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
        let mut tasks = Vec::new();
        let mut ends = Vec::new();
        for (one, other) in pairs {
            ends.push(one);
            tasks.push(spawn(
                async move { other.read(vec![0; 10]).await.0.unwrap() },
            ));
        }
        // Nothing completes that does not belong to the first.
        for (one, task) in ends.iter().zip(tasks) {
            one.write_all("bytes").await.0.unwrap();
            task.await.unwrap();
        }
        for number in 0..100 {
            files_of(number).await;
        }
    });
    sim.rings(|rings| _ = rings.calm().queue(1..=1));
    sim.run().unwrap();
}

async fn files_of(number: usize) {
    let path = format!("/tmp/{number}");
    krug::fs::write(&path, pattern(number)).await.unwrap();
    assert_eq!(krug::fs::read(&path).await.unwrap(), pattern(number));
}
