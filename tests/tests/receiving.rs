//! `recv`: chunks of the pool's memory, in order, whatever is dropped, missing or in short supply.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::{Chunk, IoBuf};
use krug::io::Canceller;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::runtime::{Builder, Driver, Faults};
use krug::{JoinHandle, Runtime, pipe, spawn, time};
use krug_tests::{
    Random, is_without, iterations, poll_once, run, run_with, times_out, turns, until,
};

krug_tests::on_every_driver!();

enum Receiver {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pipe(pipe::Receiver),
}

/// Calls the same method of whatever it is.
macro_rules! each {
    ($receiver:expr, $stream:ident => $call:expr) => {
        match $receiver {
            Receiver::Tcp($stream) => $call,
            Receiver::Unix($stream) => $call,
            Receiver::Pipe($stream) => $call,
        }
    };
}

const KINDS: [&str; 3] = ["tcp", "unix", "pipe"];

/// Who sends: somebody who knows nothing of krug. In a simulation there is nobody else, so it is a stream of krug's there.
enum Writer {
    Foreign(Box<dyn Write + Send>),
    Tcp(TcpStream),
    Unix(UnixStream),
    Pipe(pipe::Sender),
}

impl Writer {
    /// Blocks the thread if it is not krug's.
    async fn try_write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Writer::Foreign(writer) => writer.write_all(bytes),
            Writer::Tcp(stream) => stream.write_all(bytes.to_vec()).await.0,
            Writer::Unix(stream) => stream.write_all(bytes.to_vec()).await.0,
            Writer::Pipe(stream) => stream.write_all(bytes.to_vec()).await.0,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) {
        self.try_write_all(bytes).await.unwrap();
    }
}

/// Somebody sends: a thread, or a task in a simulation.
enum Writing {
    Thread(std::thread::JoinHandle<()>),
    Task(JoinHandle<()>),
}

impl Writing {
    /// To be called when all has been received.
    async fn end(self) {
        match self {
            Writing::Thread(thread) => thread.join().unwrap(),
            Writing::Task(task) => task.await.unwrap(),
        }
    }
}

/// Sends all of `sent` at once, and closes.
fn write(writer: Writer, sent: Vec<u8>) -> Writing {
    let length = sent.len();
    write_with(writer, sent, move || length, || None)
}

/// Sends `sent` in random pieces, with pauses, and closes.
fn write_in_pieces(writer: Writer, sent: Vec<u8>) -> Writing {
    let seed = sent.len() as u64;
    let (lengths, pauses) = (Random::of(seed), Random::of(seed + 1));
    write_with(
        writer,
        sent,
        move || 1 + lengths.below(9000),
        move || (pauses.below(4) == 0).then(|| pauses.micros(200)),
    )
}

/// Sends `sent` in pieces of such lengths, with such pauses behind them, and closes.
fn write_with(
    writer: Writer,
    sent: Vec<u8>,
    length: impl Fn() -> usize + Send + 'static,
    pause: impl Fn() -> Option<Duration> + Send + 'static,
) -> Writing {
    let mut rest = sent.into_iter();
    let pieces = std::iter::from_fn(move || {
        let piece: Vec<u8> = rest.by_ref().take(length()).collect();
        (!piece.is_empty()).then(|| (piece, pause()))
    });
    match writer {
        Writer::Foreign(mut writer) => Writing::Thread(std::thread::spawn(move || {
            for (piece, pause) in pieces {
                writer.write_all(&piece).unwrap();
                pause.into_iter().for_each(std::thread::sleep);
            }
        })),
        mut writer => Writing::Task(spawn(async move {
            for (piece, pause) in pieces {
                writer.write_all(&piece).await;
                if let Some(pause) = pause {
                    time::sleep(pause).await;
                }
            }
        })),
    }
}

fn is_simulated() -> bool {
    krug_tests::driver() == Driver::Sim
}

/// The receiving end, and who sends to it.
async fn connected(kind: &str) -> (Receiver, Writer) {
    match kind {
        "tcp" => {
            let (stream, peer) = tcp_and_peer().await;
            (Receiver::Tcp(stream), peer)
        }
        "unix" => {
            let (stream, peer) = unix_and_peer();
            (Receiver::Unix(stream), peer)
        }
        _ if is_simulated() => {
            let (sender, receiver) = pipe::pipe().await.unwrap();
            (Receiver::Pipe(receiver), Writer::Pipe(sender))
        }
        _ => {
            let (reader, writer) = std::io::pipe().unwrap();
            let receiver = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap();
            (Receiver::Pipe(receiver), Writer::Foreign(Box::new(writer)))
        }
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = krug::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap())
}

async fn tcp_and_peer() -> (TcpStream, Writer) {
    if is_simulated() {
        let (peer, stream) = tcp_pair().await;
        return (stream, Writer::Tcp(peer));
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let stream = TcpStream::from_std(accepted).unwrap();
    (stream, Writer::Foreign(Box::new(peer)))
}

fn unix_and_peer() -> (UnixStream, Writer) {
    if is_simulated() {
        let (one, other) = UnixStream::pair().unwrap();
        return (one, Writer::Unix(other));
    }
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = UnixStream::from_std(one).unwrap();
    (stream, Writer::Foreign(Box::new(other)))
}

/// Receives until the end, or until there are `count` bytes.
async fn receive_all(receiver: &Receiver, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let chunk = each!(receiver, stream => stream.recv().await.unwrap());
        if chunk.is_empty() {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// No buffer is missing.
async fn all_home(runtime: &Runtime) {
    until("all buffers are home", || {
        runtime.metrics().buffers_leased == 0
    })
    .await;
}

#[test]
fn what_is_sent_is_received_in_order_and_then_the_end() {
    run(|runtime| {
        for kind in KINDS {
            runtime.block_on(async {
                let (receiver, writer) = connected(kind).await;
                let sent = Random::of(1).bytes(300_000);
                let writing = write(writer, sent.clone());
                assert_eq!(receive_all(&receiver, usize::MAX).await, sent, "{kind}");
                writing.end().await;
                // The end stays.
                let end = each!(&receiver, stream => stream.recv().await.unwrap());
                assert!(end.is_empty());
                drop(receiver);
            });
            runtime.block_on(all_home(runtime));
        }
    });
}

/// Reads in a random way; what was read is appended to `got`. False at the end of the stream.
async fn read_somehow(receiver: &Receiver, random: &Random, got: &RefCell<Vec<u8>>) -> bool {
    let room = 1 + random.below(3000);
    match random.below(6) {
        0 | 1 => {
            let chunk = each!(receiver, stream => stream.recv().await.unwrap());
            got.borrow_mut().extend_from_slice(&chunk);
            !chunk.is_empty()
        }
        2 => {
            let read = each!(receiver, stream => stream.read(Vec::with_capacity(room)).await);
            got.borrow_mut().extend_from_slice(&read.1);
            read.0.unwrap() > 0
        }
        3 => {
            let read = each!(receiver, stream => stream.read_exact(Vec::with_capacity(room)).await);
            got.borrow_mut().extend_from_slice(&read.1);
            read.0.is_ok()
        }
        4 => {
            let bufs = [Vec::with_capacity(room), Vec::with_capacity(7)];
            let read = each!(receiver, stream => stream.read_vectored(bufs).await);
            got.borrow_mut().extend_from_slice(&read.1[0]);
            got.borrow_mut().extend_from_slice(&read.1[1]);
            read.0.unwrap() > 0
        }
        _ => {
            let seen = match receiver {
                Receiver::Tcp(stream) => stream.peek(Vec::with_capacity(room)).await,
                Receiver::Unix(stream) => stream.peek(Vec::with_capacity(room)).await,
                Receiver::Pipe(_) => return true,
            };
            let chunk = each!(receiver, stream => stream.recv().await.unwrap());
            got.borrow_mut().extend_from_slice(&chunk);
            let both = seen.1.len().min(chunk.len());
            assert_eq!(seen.1[..both], chunk[..both], "what was seen is what comes");
            !chunk.is_empty()
        }
    }
}

/// Reads everything in random ways, with futures dropped at random moments.
async fn read_everything(receiver: &Receiver, random: &Random) -> Vec<u8> {
    let got = RefCell::new(Vec::new());
    loop {
        let reading = pin!(read_somehow(receiver, random, &got));
        let patience = match random.below(3) {
            0 => Duration::from_secs(60),
            _ => random.micros(300),
        };
        // A future that has taken bytes and is dropped before it could hand them out would lose them: the test
        // appends in the same poll.
        if time::timeout(patience, reading).await == Ok(false) {
            return got.take();
        }
    }
}

fn mixed(configure: impl Fn(Builder) -> Builder, len: usize) {
    let random = Random::new();
    for round in 0..iterations(2) {
        run_with(&configure, |runtime| {
            for kind in KINDS {
                let sent = random.bytes(len);
                runtime.block_on(async {
                    let (receiver, writer) = connected(kind).await;
                    let writing = write_in_pieces(writer, sent.clone());
                    let got = read_everything(&receiver, &random).await;
                    assert!(got == sent, "{kind}, round {round}: {} of {len}", got.len());
                    writing.end().await;
                });
                runtime.block_on(all_home(runtime));
            }
        });
    }
}

#[test]
fn reads_of_every_kind_mixed_and_dropped_lose_no_byte() {
    mixed(|builder| builder, 200_000);
}

#[test]
fn reads_of_every_kind_lose_no_byte_on_tiny_rings() {
    for entries in [1, 2, 4] {
        mixed(
            |builder| builder.entries(entries).completion_entries(entries),
            50_000,
        );
    }
}

#[test]
fn reads_of_every_kind_lose_no_byte_with_tiny_pools() {
    for buffers in 1..=4 {
        mixed(
            |builder| {
                builder
                    .receive_buffers_max(buffers)
                    .receive_buffer_size(128)
            },
            20_000,
        );
    }
}

#[test]
fn reads_of_every_kind_lose_no_byte_without_a_pool() {
    mixed(|builder| builder.receive_buffers_max(0), 50_000);
}

#[test]
fn reads_of_every_kind_lose_no_byte_when_hardly_anything_is_received_ahead() {
    for ahead in [0, 1, 8192] {
        mixed(|builder| builder.receive_ahead(ahead), 50_000);
    }
}

/// A server that receives everything with `recv` in two tasks, and what it got.
fn transfer(runtime: &Runtime, len: usize) -> bool {
    let sent = Random::of(7).bytes(len);
    runtime.block_on(async {
        let (one, other) = tcp_and_peer().await;
        let (small, to_small) = unix_and_peer();
        let (one, small) = (Receiver::Tcp(one), Receiver::Unix(small));
        let writers = [
            write_in_pieces(other, sent.clone()),
            write_in_pieces(to_small, sent.clone()),
        ];
        let (first, second) = krug::join!(
            receive_all(&one, usize::MAX),
            receive_all(&small, usize::MAX)
        );
        for writer in writers {
            writer.end().await;
        }
        first == sent && second == sent
    })
}

/// Receives piece by piece, so that each brings at least one completion. Longer than one buffer of 1024.
fn receive_in_pieces(runtime: &Runtime, pieces: usize) {
    let random = Random::of(7);
    runtime.block_on(async {
        let (stream, mut peer) = tcp_and_peer().await;
        let receiver = Receiver::Tcp(stream);
        for number in 0..pieces {
            let piece = random.bytes(3000);
            peer.write_all(&piece).await;
            let got = receive_all(&receiver, piece.len()).await;
            assert!(got == piece, "piece {number}");
        }
        drop(peer);
        assert!(receive_all(&receiver, 1).await.is_empty());
    });
    runtime.block_on(all_home(runtime));
}

#[test]
fn bug_057_a_multishot_that_ends_at_any_completion_goes_on() {
    const PIECES: usize = 20;
    for nth in 1..=PIECES as u64 - 4 {
        let plans = [
            Faults::new().end_multishot(nth),
            Faults::new().starve_multishot(nth),
            Faults::new().end_multishot(nth).starve_multishot(nth + 2),
        ];
        for faults in plans {
            run_with(
                |builder| builder.faults(faults.clone()).receive_buffer_size(1024),
                |runtime| {
                    receive_in_pieces(runtime, PIECES);
                    let has = runtime.capabilities().receive_multishot;
                    if !is_without("receive that goes on", has) {
                        assert_eq!(faults.pending(), 0, "{faults:?}");
                    }
                },
            );
        }
    }
}

#[test]
fn running_out_of_buffers_at_any_operation_is_no_error() {
    for errno in [libc::ENOBUFS, libc::EINTR, libc::EAGAIN, libc::ECANCELED] {
        // Whoever sends is told of it, and in a simulation that is krug, too.
        if errno == libc::ECANCELED && is_simulated() {
            continue;
        }
        for nth in 1..=12 {
            let faults = Faults::new().operation(nth, errno);
            run_with(
                |builder| builder.faults(faults.clone()).receive_buffers_max(4),
                |runtime| {
                    assert!(transfer(runtime, 30_000), "{faults:?}");
                    runtime.block_on(all_home(runtime));
                },
            );
        }
    }
}

#[test]
fn one_who_keeps_all_his_chunks_starves_nobody_and_goes_on_himself() {
    const BUFFERS: usize = 8;
    run_with(
        |builder| builder.receive_buffers_max(BUFFERS),
        |runtime| {
            let kept = runtime.block_on(async {
                let (hoarder, writer) = tcp_and_peer().await;
                let sent = Random::of(3).bytes(200_000);
                let writing = write_in_pieces(writer, sent.clone());
                let mut kept: Vec<Chunk> = Vec::new();
                while kept.iter().map(|chunk| chunk.len()).sum::<usize>() < sent.len() {
                    kept.push(hoarder.recv().await.unwrap());
                }
                writing.end().await;
                assert_eq!(
                    kept.iter()
                        .flat_map(|chunk| chunk.to_vec())
                        .collect::<Vec<_>>(),
                    sent
                );
                let provided = runtime.capabilities().provided_buffers;
                assert_eq!(runtime.metrics().buffers_leased > 0, provided);
                for kind in KINDS {
                    let (other, writer) = connected(kind).await;
                    let writing = write_in_pieces(writer, sent[..50_000].to_vec());
                    assert_eq!(
                        receive_all(&other, usize::MAX).await,
                        sent[..50_000],
                        "{kind}"
                    );
                    writing.end().await;
                }
                kept
            });
            assert!(runtime.metrics().buffers_total <= BUFFERS);
            drop(kept);
            runtime.block_on(all_home(runtime));
        },
    );
}

/// Makes the pool grow to so many buffers: many streams hold a few of them each.
async fn grow_pool(runtime: &Runtime, count: usize) {
    let mut holders = Vec::new();
    while runtime.metrics().buffers_total < count {
        let (stream, mut peer) = tcp_and_peer().await;
        peer.write_all(&[7; 60_000]).await;
        let chunk = stream.recv().await.unwrap();
        turns(3).await;
        holders.push((stream, peer, chunk));
    }
}

#[test]
fn a_stream_that_nobody_reads_stops_at_its_mark_and_goes_on_later() {
    const AHEAD: usize = 32 << 10;
    /// Enough for four mebibytes: not for want of buffers does the stream stop.
    const POOL: usize = 1024;
    run_with(
        |builder| builder.receive_ahead(AHEAD),
        |runtime| {
            if is_without("ring of buffers", runtime.capabilities().provided_buffers) {
                return;
            }
            runtime.block_on(grow_pool(runtime, POOL));
            runtime.block_on(async {
                let (stream, writer) = tcp_and_peer().await;
                let sent = Random::of(5).bytes(8_000_000);
                let writing = write_in_pieces(writer, sent.clone());
                let first = stream.recv().await.unwrap();
                // Until it is stopped: the operation of the stream is the only one there is.
                until("the stream stops", || {
                    runtime.metrics().operations_alive == 0
                })
                .await;
                let held = runtime.metrics().buffers_leased * 4096;
                // The mark is looked at once for each completion, and one can bring 1 MiB.
                assert!(
                    (AHEAD..AHEAD + (2 << 20)).contains(&held),
                    "{held} are held"
                );
                let receiver = Receiver::Tcp(stream);
                let mut got = first.to_vec();
                drop(first);
                got.extend(receive_all(&receiver, usize::MAX).await);
                assert!(got == sent);
                writing.end().await;
            });
            runtime.block_on(all_home(runtime));
        },
    );
}

#[test]
fn chunks_return_from_other_threads() {
    run_with(
        |builder| builder.receive_buffers_max(4),
        |runtime| {
            runtime.block_on(async {
                let (stream, writer) = tcp_and_peer().await;
                let sent = Random::of(9).bytes(300_000);
                let writing = write_in_pieces(writer, sent.clone());
                let (away, arrivals) = std::sync::mpsc::channel::<Chunk>();
                let reading = std::thread::spawn(move || {
                    let chunks = arrivals.into_iter();
                    chunks.flat_map(|chunk| chunk.to_vec()).collect::<Vec<_>>()
                });
                loop {
                    let chunk = stream.recv().await.unwrap();
                    if chunk.is_empty() {
                        break;
                    }
                    away.send(chunk).unwrap();
                }
                drop(away);
                assert!(reading.join().unwrap() == sent);
                writing.end().await;
            });
            runtime.block_on(all_home(runtime));
            assert!(runtime.metrics().buffers_total <= 4);
        },
    );
}

#[test]
fn bug_084_chunks_outlive_their_runtime() {
    let mut kept = Vec::new();
    for round in 0..3_u8 {
        let runtime = Runtime::new().unwrap();
        for kind in KINDS {
            let chunk = runtime.block_on(async {
                let (receiver, mut writer) = connected(kind).await;
                writer.write_all(&[round; 100]).await;
                each!(&receiver, stream => stream.recv().await.unwrap())
            });
            kept.push((round, chunk));
        }
        assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    }
    // Some here, some inside another runtime, some on another thread.
    let another = Runtime::new().unwrap();
    for (round, chunk) in &kept {
        assert_eq!(*chunk, [*round; 100]);
    }
    let elsewhere = kept.split_off(6);
    let inside = kept.split_off(3);
    another.block_on(async { drop(inside) });
    std::thread::spawn(move || drop(elsewhere)).join().unwrap();
    drop(kept);
    assert_eq!(another.metrics().buffers_leased, 0);
}

#[test]
fn bug_007_no_buffer_is_missing_after_100_000_dropped_receives() {
    const COUNT: usize = 100_000;
    run_with(
        |builder| builder.receive_buffers_max(16).receive_buffer_size(64),
        |runtime| {
            runtime.block_on(async {
                let (tcp, mut to_tcp) = tcp_and_peer().await;
                let (unix, mut to_unix) = unix_and_peer();
                let mut got = [0_usize; 2];
                for count in 0..COUNT {
                    if count % 16 == 0 {
                        to_tcp.write_all(&[1; 100]).await;
                        to_unix.write_all(&[1; 100]).await;
                    }
                    let mut receiving = pin!(tcp.recv());
                    if let std::task::Poll::Ready(chunk) = poll_once(receiving.as_mut()).await {
                        got[0] += chunk.unwrap().len();
                    }
                    let mut receiving = pin!(unix.recv());
                    if let std::task::Poll::Ready(chunk) = poll_once(receiving.as_mut()).await {
                        got[1] += chunk.unwrap().len();
                    }
                    // Where each turn brings one piece, the peers must not block this thread.
                    let unread = count / 16 * 100 - got[0].min(got[1]).min(count / 16 * 100);
                    if count % 5 == 0 || unread > 10_000 {
                        turns(1).await;
                    }
                }
                drop((to_tcp, to_unix));
                got[0] += receive_all(&Receiver::Tcp(tcp), usize::MAX).await.len();
                got[1] += receive_all(&Receiver::Unix(unix), usize::MAX).await.len();
                assert_eq!(got, [COUNT / 16 * 100; 2]);
            });
            runtime.block_on(all_home(runtime));
            assert!(runtime.metrics().buffers_total <= 16);
        },
    );
}

#[test]
fn bug_061_the_count_of_provided_buffers_wraps() {
    const COUNT: usize = 70_000;
    run_with(
        |builder| builder.receive_buffers_max(4).receive_buffer_size(64),
        |runtime| {
            if is_without("ring of buffers", runtime.capabilities().provided_buffers) {
                return;
            }
            runtime.block_on(async {
                let (stream, mut writer) = unix_and_peer();
                for count in 0..COUNT {
                    writer.write_all(&count.to_ne_bytes()).await;
                    assert_eq!(stream.recv().await.unwrap(), count.to_ne_bytes());
                }
            });
            runtime.block_on(all_home(runtime));
            assert_eq!(runtime.metrics().buffer_starvations, 0);
            assert_eq!(runtime.metrics().buffers_total, 4);
        },
    );
}

#[test]
fn a_cancelled_scope_ends_a_waiting_receive_and_loses_nothing() {
    run(|runtime| {
        for kind in KINDS {
            runtime.block_on(async {
                let (receiver, mut writer) = connected(kind).await;
                let canceller = Canceller::new();
                let receiving =
                    canceller.scope(async { each!(&receiver, stream => stream.recv().await) });
                let stopping = async {
                    turns(2).await;
                    canceller.cancel();
                };
                let (result, ()) = krug::join!(receiving, stopping);
                assert!(Canceller::was_cancelled(&result.unwrap_err()), "{kind}");
                writer.write_all(b"later").await;
                assert_eq!(receive_all(&receiver, 5).await, b"later");
            });
        }
    });
}

#[test]
fn receives_wait_in_order_and_share_what_comes() {
    run(|runtime| {
        for kind in KINDS {
            runtime.block_on(async {
                let (receiver, mut writer) = connected(kind).await;
                let receiver = Rc::new(receiver);
                let order = Rc::new(RefCell::new(Vec::new()));
                let tasks: Vec<_> = (0..3)
                    .map(|number| {
                        let (receiver, order) = (receiver.clone(), order.clone());
                        spawn(async move {
                            let chunk = each!(&*receiver, stream => stream.recv().await.unwrap());
                            order.borrow_mut().push((number, chunk.to_vec()));
                        })
                    })
                    .collect();
                for byte in 0..3_u8 {
                    turns(3).await;
                    writer.write_all(&[byte]).await;
                    until("somebody got it", || {
                        order.borrow().len() > usize::from(byte)
                    })
                    .await;
                }
                for task in tasks {
                    task.await.unwrap();
                }
                let expected: Vec<_> = (0..3_u8)
                    .map(|byte| (i32::from(byte), vec![byte]))
                    .collect();
                assert_eq!(*order.borrow(), expected, "{kind}");
            });
        }
    });
}

#[test]
fn closing_ends_a_waiting_receive_and_returns_what_waits() {
    run(|runtime| {
        for kind in KINDS {
            runtime.block_on(async {
                let (receiver, mut writer) = connected(kind).await;
                writer.write_all(&[7; 10_000]).await;
                drop(each!(&receiver, stream => stream.recv().await.unwrap()));
                turns(3).await;
                each!(receiver, stream => stream.close().await.unwrap());
                // The peer sees the end.
                while writer.try_write_all(&[0; 100]).await.is_ok() {
                    turns(1).await;
                }
                all_home(runtime).await;

                let (receiver, _writer) = connected(kind).await;
                let receiver = Rc::new(receiver);
                let waits = receiver.clone();
                let waiting = spawn(async move { each!(&*waits, stream => stream.recv().await) });
                turns(3).await;
                waiting.abort();
                waiting.await.unwrap_err();
                drop(receiver);
            });
        }
    });
}

#[test]
fn a_shutdown_ends_streams_that_receive_ahead() {
    for kind in KINDS {
        let runtime = Runtime::new().unwrap();
        let (chunk, _writer) = runtime.block_on(async {
            let (receiver, mut writer) = connected(kind).await;
            writer.write_all(&[9; 20_000]).await;
            let chunk = each!(&receiver, stream => stream.recv().await.unwrap());
            drop(spawn(async move {
                loop {
                    let next = each!(&receiver, stream => stream.recv().await.unwrap());
                    std::mem::forget(next);
                }
            }));
            turns(3).await;
            (chunk, writer)
        });
        assert!(
            runtime.shutdown(Duration::from_secs(5)).is_clean(),
            "{kind}"
        );
        assert!(chunk.iter().all(|byte| *byte == 9));
    }
}

#[test]
fn a_receive_on_a_foreign_core_names_both_cores() {
    let (home, abroad) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (stream, _peer) = home.block_on(tcp_and_peer());
    let mut receiving = Box::pin(stream.recv());
    assert!(home.block_on(poll_once(receiving.as_mut())).is_pending());
    let error = abroad.block_on(receiving).unwrap_err();
    assert!(error.to_string().contains("belongs to"), "{error}");
    // The turn was given back.
    assert!(home.block_on(async { times_out(stream.recv()).await }));
}

#[test]
fn an_error_comes_after_the_bytes_before_it_and_stays() {
    run(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let server = listener.accept().await.unwrap();
            server.write_all("before").await.0.unwrap();
            assert_eq!(client.recv().await.unwrap(), "before");
            // Closed with unread bytes: a reset.
            client.write_all("unread").await.0.unwrap();
            turns(3).await;
            drop(server);
            for _ in 0..3 {
                let error = client.recv().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
            }
        });
    });
}

#[test]
fn halves_receive_and_chunks_are_sent_from_where_they_are() {
    run(|runtime| {
        runtime.block_on(async {
            let (stream, peer) = tcp_pair().await;
            let (reader, writer) = stream.into_split();
            let echo = spawn(async move {
                let mut received = 0;
                loop {
                    let chunk = reader.recv().await.unwrap();
                    if chunk.is_empty() {
                        return received;
                    }
                    received += chunk.len();
                    let half = chunk.len() / 2;
                    let (sent, slice) = writer.write_all(chunk.slice(..half)).await;
                    sent.unwrap();
                    let mut chunk = slice.into_inner();
                    chunk.advance(half);
                    writer.write_all(chunk).await.0.unwrap();
                }
            });
            let sent = Random::of(2).bytes(50_000);
            let expected = sent.clone();
            let client = spawn(async move {
                peer.write_all(sent).await.0.unwrap();
                peer.shutdown(Shutdown::Write).await.unwrap();
                receive_all(&Receiver::Tcp(peer), usize::MAX).await
            });
            assert_eq!(echo.await.unwrap(), expected.len());
            assert_eq!(client.await.unwrap(), expected);
        });
        runtime.block_on(all_home(runtime));
    });
}

#[test]
fn a_dropped_read_exact_gives_back_what_it_had() {
    run(|runtime| {
        runtime.block_on(async {
            let (stream, mut peer) = tcp_and_peer().await;
            peer.write_all(b"1").await;
            assert_eq!(stream.recv().await.unwrap(), "1");
            // The stream receives ahead from now on, and read_exact is fed by that.
            for _ in 0..3 {
                peer.write_all(b"ab").await;
                let before = Cell::new(0);
                let reading = async {
                    drop(stream.read_exact(Vec::with_capacity(64)).await);
                    before.set(1);
                };
                assert!(
                    time::timeout(Duration::from_millis(5), reading)
                        .await
                        .is_err()
                );
                assert_eq!(before.get(), 0);
            }
            let (result, bytes) = stream.read_exact(Vec::with_capacity(6)).await;
            result.unwrap();
            assert_eq!(bytes, b"ababab");
        });
    });
}

fn cut(mut chunk: Chunk) {
    assert_eq!(chunk, b"0123456789");
    chunk.advance(2);
    chunk.truncate(5);
    assert_eq!(chunk, b"23456");
    chunk.truncate(50);
    chunk.truncate(usize::MAX);
    assert_eq!(chunk.len(), 5);
    assert_eq!(format!("{chunk:?}"), format!("Chunk({:?})", &b"23456"[..]));
    chunk.advance(5);
    nothing_is_left(chunk);
}

fn nothing_is_left(mut chunk: Chunk) {
    assert!(chunk.is_empty());
    chunk.advance(0);
    chunk.truncate(1);
    let beyond = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chunk.advance(1)));
    assert!(beyond.is_err());
    assert!(chunk.is_empty());
}

#[test]
fn a_chunk_is_cut_at_both_ends_wherever_its_memory_is() {
    assert_eq!(size_of::<Option<Chunk>>(), 3 * size_of::<usize>());
    cut(Chunk::from(b"0123456789".to_vec()));
    run(|runtime| {
        runtime.block_on(async {
            let (sender, receiver) = UnixStream::pair().unwrap();
            sender.write_all("0123456789").await.0.unwrap();
            drop(sender);
            cut(receiver.recv().await.unwrap());
            nothing_is_left(receiver.recv().await.unwrap());
        });
    });
}
