//! The life of an operation: one test for each row of the tables in the docs of the executor's
//! `inflight`, under the name that stands there.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use krug::Runtime;
use krug::io::Canceller;
use krug::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use krug::pipe::pipe;
use krug::runtime::{Driver, Faults};
use krug::time::timeout;
use krug_tests::{
    Random, Tracked, disk, driver, poll_once, run, run_alone, run_with, times_out, turns, until,
    with_settings,
};

krug_tests::on_every_driver!();
krug_tests::in_hardship_too!(Refused(All, libc::EPERM), NoMemory);

/// More than any socket or pipe takes while nobody reads.
const MORE_THAN_FITS: usize = 16 << 20;
const SHORT: Duration = Duration::from_millis(2);
/// A deadline that is never reached.
const PATIENCE: Duration = Duration::from_secs(20);

type Travelling<T> = Pin<Box<dyn Future<Output = T> + Send>>;

async fn read_some(stream: &UnixStream) -> Vec<u8> {
    let (result, buf) = stream.read(Vec::with_capacity(64)).await;
    assert_eq!(result.unwrap(), buf.len());
    buf
}

/// Everything up to the end of the stream.
async fn read_all(stream: &UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, buf) = stream.read(Vec::with_capacity(1 << 16)).await;
        if result.unwrap() == 0 {
            return all;
        }
        all.extend_from_slice(&buf);
    }
}

/// A read that can move to other threads.
fn travelling_read(
    stream: &Arc<UnixStream>,
    buf: Tracked,
) -> Travelling<(io::Result<usize>, Tracked)> {
    let stream = stream.clone();
    Box::pin(async move { stream.read(buf).await })
}

/// The address of a listener that takes no more connections: a connect stays in flight. What keeps it
/// so comes with it.
async fn deaf_address(runtime: &Runtime) -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let listener = TcpSocket::new()
        .bind("127.0.0.1:0")
        .unwrap()
        .listen(1)
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        queued.push(connected.unwrap());
    }
    until("the last connect is cancelled", || {
        runtime.metrics().operations_alive == 0
    })
    .await;
    (address, listener, queued)
}

#[test]
fn life_never_polled_drop() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (one, other) = UnixStream::pair().unwrap();
            let before = runtime.metrics();
            let (first, read) = Tracked::new(vec![0; 64]);
            drop(one.read(first));
            let (second, write) = Tracked::new("never");
            drop(one.write_all(second));
            drop((
                listener.accept(),
                TcpStream::connect(address),
                pipe(),
                krug::io::nop(),
            ));
            assert!(read.is_dropped() && write.is_dropped());
            turns(3).await;
            let after = runtime.metrics();
            assert_eq!(
                (after.operations, after.submitted),
                (before.operations, before.submitted)
            );
            drop(one);
            assert_eq!(read_all(&other).await, b"");
        });
    });
}

#[test]
fn life_staged_drop() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (one, other) = UnixStream::pair().unwrap();
            turns(3).await;
            let before = runtime.metrics();
            let (buf, read) = Tracked::new(vec![0; 64]);
            assert!(poll_once(pin!(one.read(buf))).await.is_pending());
            let (buf, write) = Tracked::new("never");
            assert!(poll_once(pin!(one.write_all(buf))).await.is_pending());
            let (buf, peek) = Tracked::new(vec![0; 64]);
            assert!(poll_once(pin!(one.peek(buf))).await.is_pending());
            assert!(
                poll_once(pin!(one.shutdown(Shutdown::Both)))
                    .await
                    .is_pending()
            );
            assert!(
                poll_once(pin!(TcpStream::connect(address)))
                    .await
                    .is_pending()
            );
            assert!(poll_once(pin!(pipe())).await.is_pending());
            assert!(poll_once(pin!(krug::io::nop())).await.is_pending());
            assert!(read.is_dropped() && write.is_dropped() && peek.is_dropped());
            let after = runtime.metrics();
            assert_eq!(after.operations, before.operations + 7);
            assert_eq!(after.operations_alive, before.operations_alive);
            turns(3).await;
            assert_eq!(
                runtime.metrics().submitted,
                before.submitted,
                "something was submitted"
            );
            let (result, _) = one.write_all("this alone").await;
            result.unwrap();
            assert_eq!(read_some(&other).await, b"this alone");
        });
    });
}

#[test]
fn life_staged_continuation_drop() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let random = Random::new();
            let sent = random.bytes(2 << 20);
            let expected = sent.clone();
            // A task is polled after completions are taken in and before anything is submitted:
            // the rest of a write that was short is staged at that moment.
            let writer = krug::spawn(async move {
                let mut write = Box::pin(one.write_all(sent));
                assert!(poll_once(write.as_mut()).await.is_pending());
                krug::io::nop().await.unwrap();
                drop(write);
                one.write_all("behind it").await.0.unwrap();
            });
            let mut all = read_all(&other).await;
            writer.await.unwrap();
            assert_eq!(all.split_off(expected.len()), b"behind it");
            assert!(
                all == expected,
                "the write that had begun did not arrive whole"
            );
        });
    });
}

/// A driver that has learnt that a socket takes bytes may begin a write before it submits it.
#[test]
fn life_begun_at_once_drop() {
    /// More than any driver wants to see.
    const WHOLE_BEFORE: usize = 100;
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let random = Random::new();
            let sent = random.bytes(2 << 20);
            let expected = sent.clone();
            let writer = krug::spawn(async move {
                for _ in 0..WHOLE_BEFORE {
                    one.write_all("before it").await.0.unwrap();
                }
                let mut write = Box::pin(one.write_all(sent));
                assert!(poll_once(write.as_mut()).await.is_pending());
                drop(write);
                one.write_all("behind it").await.0.unwrap();
            });
            let all = read_all(&other).await;
            writer.await.unwrap();
            let between = all
                .strip_prefix(&b"before it".repeat(WHOLE_BEFORE)[..])
                .and_then(|rest| rest.strip_suffix(b"behind it"))
                .expect("what was not dropped");
            assert!(
                between == expected || between.is_empty() && driver() != Driver::Epoll,
                "{} bytes arrived",
                between.len()
            );
        });
    });
}

#[test]
fn life_in_flight_drop_accept() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut accept = Box::pin(listener.accept());
            assert!(poll_once(accept.as_mut()).await.is_pending());
            turns(3).await;
            let before = runtime.metrics();
            drop(accept);
            let client = TcpStream::connect(address).await.unwrap();
            turns(3).await;
            let server = listener.accept().await.unwrap();
            assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
            assert_eq!(runtime.metrics().cancels, before.cancels);
            listener.close().await.unwrap();
            client.close().await.unwrap();
            server.close().await.unwrap();
        });
    });
}

#[test]
fn life_in_flight_drop_read() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (sender, receiver) = pipe().await.unwrap();
            let before = runtime.metrics();
            let (buf, track) = Tracked::new(vec![0; 64]);
            let mut read = Box::pin(one.read(buf));
            assert!(poll_once(read.as_mut()).await.is_pending());
            let mut vectored = Box::pin(receiver.read_vectored([vec![0; 4], vec![0; 60]]));
            assert!(poll_once(vectored.as_mut()).await.is_pending());
            turns(3).await;
            drop((read, vectored));
            assert!(!track.is_dropped(), "the kernel may still write there");
            other.write_all("for the next").await.0.unwrap();
            sender.write_all("through the pipe").await.0.unwrap();
            until("the reads have ended", || {
                runtime.metrics().adopted == before.adopted + 2
            })
            .await;
            assert!(track.is_dropped());
            assert_eq!(runtime.metrics().cancels, before.cancels);
            assert_eq!(read_some(&one).await, b"for the next");
            let (result, buf) = receiver.read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"through the pipe");
        });
    });
}

#[test]
fn life_in_flight_drop_recv() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (sender, receiver) = pipe().await.unwrap();
            let before = runtime.metrics();
            {
                let mut first = Box::pin(one.recv());
                let mut second = Box::pin(receiver.recv());
                assert!(poll_once(first.as_mut()).await.is_pending());
                assert!(poll_once(second.as_mut()).await.is_pending());
                turns(3).await;
            }
            other.write_all("for the next").await.0.unwrap();
            sender.write_all("through the pipe").await.0.unwrap();
            // Whatever reads next sees it, in a buffer or as a chunk.
            assert_eq!(read_some(&one).await, b"for the next");
            assert_eq!(receiver.recv().await.unwrap(), "through the pipe");
            assert_eq!(runtime.metrics().cancels, before.cancels);
            assert_eq!(runtime.metrics().buffers_leased, 0);
        });
    });
}

#[test]
fn life_in_flight_drop_receive_of_a_datagram() {
    run(|runtime| {
        runtime.block_on(async {
            let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let to = one.local_addr().unwrap();
            let before = runtime.metrics();
            let (buf, track) = Tracked::new(vec![0; 64]);
            let mut receive = Box::pin(one.recv_from(buf));
            assert!(poll_once(receive.as_mut()).await.is_pending());
            turns(3).await;
            drop(receive);
            assert!(!track.is_dropped(), "the kernel may still write there");
            other.send_to("for the next", to).await.0.unwrap();
            other.send_to("one after", to).await.0.unwrap();
            until("the receive has ended", || {
                runtime.metrics().adopted == before.adopted + 1
            })
            .await;
            assert!(track.is_dropped());
            assert_eq!(runtime.metrics().cancels, before.cancels);
            for text in ["for the next", "one after"] {
                let (result, buf) = one.recv_from(Vec::with_capacity(64)).await;
                let from = other.local_addr().unwrap();
                assert_eq!(
                    (result.unwrap(), &buf[..]),
                    ((text.len(), from), text.as_bytes())
                );
            }
        });
    });
}

#[test]
fn life_in_flight_drop_send_of_a_datagram() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let sent = vec![7; 100_000];
            // Dropped in flight, and dropped while it waits for room.
            let mut count = 0;
            while !times_out(one.send(sent.clone())).await {
                count += 1;
            }
            let mut send = Box::pin(one.send("behind it"));
            assert!(poll_once(send.as_mut()).await.is_pending());
            for _ in 0..=count {
                let (result, buf) = other.recv(Vec::with_capacity(1 << 17)).await;
                assert_eq!(result.unwrap(), sent.len());
                assert!(buf == sent, "a dropped send did not arrive whole");
            }
            send.await.0.unwrap();
            let (result, buf) = other.recv(Vec::with_capacity(64)).await;
            assert_eq!((result.unwrap(), &buf[..]), (9, &b"behind it"[..]));
        });
    });
}

#[test]
fn life_in_flight_drop_write() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let sent = Random::new().bytes(2 << 20);
            let mut write = Box::pin(one.write_all(sent.clone()));
            assert!(poll_once(write.as_mut()).await.is_pending());
            turns(5).await;
            drop(write);
            let reader = krug::spawn(async move { (read_all(&other).await, other) });
            one.write_all("behind it").await.0.unwrap();
            one.shutdown(Shutdown::Write).await.unwrap();
            let (mut all, other) = reader.await.unwrap();
            assert_eq!(all.split_off(sent.len()), b"behind it");
            assert!(all == sent, "the dropped write did not arrive whole");
            drop((one, other));

            let (one, other) = UnixStream::pair().unwrap();
            let mut write = Box::pin(one.write(vec![1; MORE_THAN_FITS]));
            assert!(poll_once(write.as_mut()).await.is_pending());
            turns(1).await;
            drop(write);
            other.close().await.unwrap();
            for _ in 0..2 {
                let (result, _) = one.write("too late").await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
                assert_eq!(
                    one.flush().await.unwrap_err().kind(),
                    io::ErrorKind::BrokenPipe
                );
                let shutdown = one.shutdown(Shutdown::Write).await;
                assert_eq!(shutdown.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            }
            assert_eq!(
                one.close().await.unwrap_err().kind(),
                io::ErrorKind::BrokenPipe
            );
        });
    });
}

#[test]
fn life_in_flight_drop_change() {
    run(|runtime| {
        let folder = disk::folder();
        let path = folder.path().join("file");
        let (buf, track) = Tracked::new(vec![1; 1 << 20]);
        runtime.block_on(async {
            let file = krug::fs::File::create_new(&path).await.unwrap();
            {
                let mut write = pin!(file.write_at(buf, 0));
                assert!(poll_once(write.as_mut()).await.is_pending());
                turns(1).await;
            }
            // Its memory stays until it is over, and what touches the same bytes comes after it.
            assert!(!track.is_dropped() || runtime.metrics().operations_alive == 0);
            file.write_all_at(vec![2; 1 << 10], 0).await.0.unwrap();
            assert!(track.is_dropped());
            file.sync_data().await.unwrap();
        });
        let content = disk::read(&path).unwrap();
        assert!(content[..1 << 10].iter().all(|byte| *byte == 2));
        assert!(content[1 << 10..].iter().all(|byte| *byte == 1));
        assert_eq!(content.len(), 1 << 20);
    });
}

#[test]
fn life_in_flight_drop_descriptor() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (address, listener, queued) = deaf_address(runtime).await;
            let before = runtime.metrics();
            let open = krug_tests::open_descriptors();
            let mut connect = Box::pin(TcpStream::connect(address));
            while runtime.metrics().operations < before.operations + 2 {
                assert!(poll_once(connect.as_mut()).await.is_pending());
                turns(1).await;
            }
            turns(3).await;
            drop(connect);
            until("the connect has ended", || {
                runtime.metrics().operations_alive == before.operations_alive
            })
            .await;
            assert_eq!(runtime.metrics().cancels, before.cancels + 1);
            assert_eq!(
                krug_tests::open_descriptors(),
                open,
                "the socket is still open"
            );

            // These succeed in the turn in which they are submitted, before the cancel gets there.
            let mut socket = Box::pin(TcpStream::connect(address));
            assert!(poll_once(socket.as_mut()).await.is_pending());
            let mut ends = Box::pin(pipe());
            assert!(poll_once(ends.as_mut()).await.is_pending());
            turns(1).await;
            drop((socket, ends));
            until("they have ended", || {
                runtime.metrics().operations_alive == before.operations_alive
            })
            .await;
            assert_eq!(
                krug_tests::open_descriptors(),
                open,
                "what was made is still open"
            );
            drop(queued);
            listener.close().await.unwrap();
        });
    });
}

#[test]
fn life_in_flight_drop_no_matter() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let before = runtime.metrics();
            let (buf, track) = Tracked::new(vec![0; 64]);
            let mut peek = Box::pin(one.peek(buf));
            assert!(poll_once(peek.as_mut()).await.is_pending());
            turns(3).await;
            drop(peek);
            assert!(!track.is_dropped(), "the kernel may still write there");
            until("the peek has ended", || track.is_dropped()).await;
            let after = runtime.metrics();
            assert_eq!(after.cancels, before.cancels + 1);
            assert_eq!(after.operations_alive, before.operations_alive);
            assert_eq!(
                after.adopted, before.adopted,
                "a peek takes nothing that could be adopted"
            );
            other.write_all("still there").await.0.unwrap();
            assert_eq!(read_some(&one).await, b"still there");
        });
    });
}

#[test]
fn life_done_drop() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let mut read = Box::pin(one.read(vec![0; 64]));
            assert!(poll_once(read.as_mut()).await.is_pending());
            other.write_all("queued").await.0.unwrap();
            turns(5).await;
            drop(read);
            let mut peek = Box::pin(one.peek(vec![0; 64]));
            assert!(poll_once(peek.as_mut()).await.is_ready());
            drop(peek);
            assert_eq!(read_some(&one).await, b"queued");

            let sent = Random::new().bytes(2 << 20);
            let mut write = Box::pin(one.write(sent.clone()));
            assert!(poll_once(write.as_mut()).await.is_pending());
            // The kernel takes some at once, and the write ends with that.
            turns(5).await;
            drop(write);
            let reader = krug::spawn(async move { read_all(&other).await });
            one.write_all("behind it").await.0.unwrap();
            one.close().await.unwrap();
            let mut all = reader.await.unwrap();
            assert_eq!(all.split_off(sent.len()), b"behind it");
            assert!(all == sent, "the dropped write did not arrive whole");

            let (address, listener, queued) = deaf_address(runtime).await;
            let open = krug_tests::open_descriptors();
            let mut socket = Box::pin(TcpStream::connect(address));
            assert!(poll_once(socket.as_mut()).await.is_pending());
            let mut ends = Box::pin(pipe());
            assert!(poll_once(ends.as_mut()).await.is_pending());
            turns(5).await;
            drop((socket, ends));
            until("what was made is closed", || {
                krug_tests::open_descriptors() == open
            })
            .await;

            let mut accept = Box::pin(listener.accept());
            assert!(poll_once(accept.as_mut()).await.is_pending());
            turns(5).await;
            drop(accept);
            for _ in &queued {
                listener.accept().await.unwrap();
            }
            assert_eq!(listener.close().await.unwrap().len(), 0);
        });
    });
}

#[test]
fn life_any_timeout() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (address, listener, queued) = deaf_address(runtime).await;
            let open = krug_tests::open_descriptors();
            assert!(times_out(one.read(vec![0; 64])).await);
            assert!(times_out(one.read_exact(vec![0; 64])).await);
            assert!(times_out(TcpStream::connect(address)).await);
            let sent = Random::new().bytes(2 << 20);
            assert!(times_out(one.write_all(sent.clone())).await);
            other.write_all("too late for them").await.0.unwrap();
            assert_eq!(read_some(&one).await, b"too late for them");
            one.shutdown_after(&other, &sent).await;
            for _ in &queued {
                assert!(listener.accept().await.is_ok());
            }
            assert!(times_out(listener.accept()).await);
            until("the connect is cancelled", || {
                krug_tests::open_descriptors() <= open
            })
            .await;
            let late = TcpStream::connect(address).await.unwrap();
            let server = listener.accept().await.unwrap();
            assert_eq!(server.peer_addr().unwrap(), late.local_addr().unwrap());
        });
    });
}

#[test]
fn life_any_cancel() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();

            // Never polled, and waiting for its turn: nothing happens any more.
            let canceller = Canceller::new();
            let never_polled = canceller.scope(one.read(vec![0; 3]));
            let mut first = Box::pin(one.read(vec![0; 64]));
            assert!(poll_once(first.as_mut()).await.is_pending());
            let mut queued = Box::pin(canceller.scope(one.read(vec![0; 2])));
            assert!(poll_once(queued.as_mut()).await.is_pending());
            canceller.cancel();
            let (result, buf) = never_polled.await;
            assert!(Canceller::was_cancelled(&result.unwrap_err()) && buf.len() == 3);
            let (result, buf) = queued.await;
            assert!(Canceller::was_cancelled(&result.unwrap_err()) && buf.len() == 2);

            // In flight, beside a sibling of the same task that goes on.
            let canceller = Canceller::new();
            let (far, _silent) = UnixStream::pair().unwrap();
            let mut reading = Box::pin(canceller.scope(far.read(vec![0; 5])));
            assert!(poll_once(reading.as_mut()).await.is_pending());
            turns(3).await;
            canceller.cancel();
            let (result, buf) = reading.await;
            assert!(Canceller::was_cancelled(&result.unwrap_err()) && buf.len() == 5);
            other.write_all("for the sibling").await.0.unwrap();
            let (result, buf) = first.await;
            assert_eq!(&buf[..result.unwrap()], b"for the sibling");

            // Done, unread: what really happened.
            let canceller = Canceller::new();
            let mut reading = Box::pin(canceller.scope(one.read(vec![0; 64])));
            assert!(poll_once(reading.as_mut()).await.is_pending());
            other.write_all("came first").await.0.unwrap();
            turns(3).await;
            canceller.cancel();
            let (result, buf) = reading.await;
            assert_eq!(&buf[..result.unwrap()], b"came first");

            // A write that is stopped half-way says so and gives its buffer back.
            let canceller = Canceller::new();
            let mut writing = Box::pin(canceller.scope(one.write_all(vec![7; MORE_THAN_FITS])));
            assert!(poll_once(writing.as_mut()).await.is_pending());
            turns(3).await;
            canceller.cancel();
            let (result, buf) = writing.await;
            assert!(Canceller::was_cancelled(&result.unwrap_err()));
            assert_eq!(buf.len(), MORE_THAN_FITS);

            // An accept, whose connection the listener keeps.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let canceller = Canceller::new();
            let mut accepting = Box::pin(canceller.scope(listener.accept()));
            assert!(poll_once(accepting.as_mut()).await.is_pending());
            canceller.cancel();
            assert!(Canceller::was_cancelled(&accepting.await.unwrap_err()));
            let address = listener.local_addr().unwrap();
            let (client, server) = krug::join!(TcpStream::connect(address), listener.accept());
            assert!(client.is_ok() && server.is_ok());
        });
    });
}

trait ShutdownAfter {
    async fn shutdown_after(&self, other: &UnixStream, sent: &[u8]);
}

impl ShutdownAfter for UnixStream {
    /// Ends the writing side and demands that exactly `sent` comes out at `other`.
    async fn shutdown_after(&self, other: &UnixStream, sent: &[u8]) {
        let (ended, received) = krug::join!(self.shutdown(Shutdown::Write), read_all(other));
        ended.unwrap();
        assert!(received == sent, "not what was written");
    }
}

#[test]
fn life_any_abort() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let one = Rc::new(one);
            let dropped = Arc::new(AtomicBool::new(false));
            struct Flag(Arc<AtomicBool>);
            impl Drop for Flag {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::SeqCst);
                }
            }
            let sent = Random::new().bytes(2 << 20);
            let (stream, flag, bytes) = (one.clone(), Flag(dropped.clone()), sent.clone());
            let task = krug::spawn(async move {
                let _flag = flag;
                let mut read = Box::pin(stream.read(vec![0; 64]));
                let mut write = Box::pin(stream.write_all(bytes));
                poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    assert!(write.as_mut().poll(cx).is_pending());
                    Poll::<()>::Pending
                })
                .await;
            });
            turns(5).await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(
                dropped.load(Ordering::SeqCst),
                "joined before the future was dropped"
            );
            other.write_all("for the next").await.0.unwrap();
            assert_eq!(read_some(&one).await, b"for the next");
            one.shutdown_after(&other, &sent).await;
        });
    });
}

#[test]
fn life_any_close() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (buf, read) = Tracked::new(vec![0; 64]);
            assert!(times_out(one.read(buf)).await);
            let sent = Random::new().bytes(2 << 20);
            assert!(times_out(one.write_all(sent.clone())).await);
            let before = runtime.metrics();
            let reader = krug::spawn(async move { read_all(&other).await });
            one.close().await.unwrap();
            assert!(read.is_dropped(), "closed while a read was in flight");
            assert_eq!(runtime.metrics().cancels, before.cancels + 1);
            let received = reader.await.unwrap();
            assert!(
                received == sent,
                "close did not deliver what was written: {} of {} bytes",
                received.len(),
                sent.len()
            );

            let (one, other) = UnixStream::pair().unwrap();
            one.set_linger_time(SHORT).unwrap();
            let (buf, write) = Tracked::new(vec![1; MORE_THAN_FITS]);
            assert!(times_out(one.write_all(buf)).await);
            assert!(!write.is_dropped());
            let before = runtime.metrics();
            assert_eq!(
                one.close().await.unwrap_err().raw_os_error(),
                Some(libc::ETIMEDOUT)
            );
            assert!(write.is_dropped(), "closed while a write was in flight");
            assert_eq!(runtime.metrics().lingered_out, before.lingered_out + 1);
            assert!(read_all(&other).await.len() < MORE_THAN_FITS);
            drop(other);
            until("all is closed", || runtime.metrics().sources == 0).await;
        });
    });
}

#[test]
fn life_any_shutdown() {
    with_settings(|builder| {
        for is_stuck in [false, true] {
            let faults = Faults::new();
            let faults = if is_stuck {
                faults.withhold(1).withhold(2)
            } else {
                faults
            };
            let runtime = builder.clone().faults(faults).build().unwrap();
            let (owned, track) = Tracked::new(vec![0; 64]);
            let (orphan, orphan_track) = Tracked::new(vec![0; 64]);
            let (waiting, waiting_track) = Tracked::new(vec![0; 64]);
            let (one, other) = runtime.block_on(async { UnixStream::pair().unwrap() });
            let (one, other) = (Arc::new(one), Arc::new(other));
            let mut read = travelling_read(&one, owned);
            runtime.block_on(async {
                assert!(poll_once(read.as_mut()).await.is_pending());
                assert!(times_out(other.read(orphan)).await);
                krug::spawn(travelling_read(&one, waiting));
                turns(3).await;
            });
            assert!(!track.is_dropped() && !orphan_track.is_dropped());
            let deadline = if is_stuck {
                Duration::from_millis(20)
            } else {
                PATIENCE
            };
            let report = runtime.shutdown(deadline);
            assert!(waiting_track.is_dropped(), "the task was not dropped");
            assert_eq!(report.operations, if is_stuck { 2 } else { 0 });
            assert_eq!(
                orphan_track.is_dropped(),
                !is_stuck,
                "freed exactly if the kernel let go"
            );
            assert!(!track.is_dropped(), "its future may want it back");
            drop(read);
            assert_eq!(
                track.is_dropped(),
                !is_stuck,
                "freed exactly if the kernel let go"
            );
        }
    });
}

/// How errors name the core of `runtime`.
fn core_name(runtime: &Runtime) -> String {
    let debug = format!("{runtime:?}");
    let numbers = debug
        .split(['(', ')'])
        .find(|part| part.contains('.'))
        .unwrap();
    let (core, life) = numbers.split_once('.').unwrap();
    format!("core {core} (life {life})")
}

/// Runs `test` on a thread of its own with a runtime of its own, while this one goes on.
async fn on_another_core<T: Send + 'static>(
    test: impl FnOnce(&Runtime) -> T + Send + 'static,
) -> T {
    let thread = thread::spawn(move || test(&Runtime::new().unwrap()));
    until("the other thread is done", || thread.is_finished()).await;
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn life_never_started_foreign_core() {
    run_alone(|home| {
        home.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let name = core_name(home);
            on_another_core(move |away| {
                let names = [name, core_name(away)];
                let check = |error: io::Error| {
                    let text = error.to_string();
                    assert!(names.iter().all(|name| text.contains(name)), "{text}");
                };
                away.block_on(async {
                    let (result, buf) = one.read(b"mine".to_vec()).await;
                    check(result.unwrap_err());
                    assert_eq!(buf, b"mine");
                    let (result, buf) = one.write_all(b"mine".to_vec()).await;
                    check(result.unwrap_err());
                    assert_eq!(buf, b"mine");
                    check(one.peek(vec![0; 1]).await.0.unwrap_err());
                    check(one.flush().await.unwrap_err());
                    check(one.shutdown(Shutdown::Both).await.unwrap_err());
                    check(one.peer_path().unwrap_err());
                    check(one.set_linger_time(SHORT).unwrap_err());
                    check(one.close().await.unwrap_err());
                    check(listener.accept().await.unwrap_err());
                    check(listener.local_addr().unwrap_err());
                    check(listener.close().await.unwrap_err());
                    let (result, buf) = socket.recv_from(b"mine".to_vec()).await;
                    check(result.unwrap_err());
                    assert_eq!(buf, b"mine");
                    let (result, buf) = socket.send_to(b"mine".to_vec(), "127.0.0.1:9").await;
                    check(result.unwrap_err());
                    assert_eq!(buf, b"mine");
                    check(socket.connect("127.0.0.1:9").await.unwrap_err());
                    check(socket.local_addr().unwrap_err());
                    check(socket.set_ttl(9).unwrap_err());
                    check(socket.into_std().await.unwrap_err());
                });
                // Outside a runtime the error says what is missing.
                let mut outside = Box::pin(other.read(b"mine".to_vec()));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let Poll::Ready((Err(error), buf)) = outside.as_mut().poll(&mut cx) else {
                    panic!("a read outside a runtime did something");
                };
                assert!(error.to_string().contains("block_on"), "{error}");
                assert_eq!(buf, b"mine");
            })
            .await;
            until("handles dropped away are closed at home", || {
                home.metrics().sources == 0
            })
            .await;
        });
    });
}

#[test]
fn life_started_foreign_core() {
    run(|home| {
        home.block_on(async {
            for is_done_before in [false, true] {
                let (one, other) = UnixStream::pair().unwrap();
                let one = Arc::new(one);
                let mut read = travelling_read(&one, Tracked::new(vec![0; 64]).0);
                assert!(poll_once(read.as_mut()).await.is_pending());
                turns(3).await;
                if is_done_before {
                    other.write_all("across").await.0.unwrap();
                    turns(5).await;
                }
                let reads = Arc::new(AtomicBool::new(false));
                let begun = reads.clone();
                let away = krug::spawn(on_another_core(move |away| {
                    away.block_on(async {
                        if !is_done_before {
                            assert!(poll_once(read.as_mut()).await.is_pending());
                        }
                        begun.store(true, Ordering::SeqCst);
                        read.await
                    })
                }));
                until("the other core waits", || reads.load(Ordering::SeqCst)).await;
                if !is_done_before {
                    other.write_all("across").await.0.unwrap();
                }
                let (result, buf) = away.await.unwrap();
                assert_eq!(result.unwrap(), 6);
                assert_eq!(buf.bytes(), b"across");
                // The turn has been passed on at home.
                other.write_all("and on").await.0.unwrap();
                assert_eq!(read_some(&one).await, b"and on");
            }
        });
    });
}

#[test]
fn life_started_foreign_core_drop() {
    run(|home| {
        home.block_on(async {
            for (is_polled_away, is_sent_away) in [(false, false), (true, false), (true, true)] {
                let (one, other) = UnixStream::pair().unwrap();
                let one = Arc::new(one);
                let (buf, track) = Tracked::new(vec![0; 64]);
                let mut read = travelling_read(&one, buf);
                assert!(poll_once(read.as_mut()).await.is_pending());
                turns(3).await;
                let polled = Arc::new(AtomicBool::new(false));
                let (is_polled, sent) = (polled.clone(), Arc::new(AtomicBool::new(!is_sent_away)));
                let is_sent = sent.clone();
                let away = krug::spawn(on_another_core(move |away| {
                    away.block_on(async {
                        if is_polled_away {
                            assert!(poll_once(read.as_mut()).await.is_pending());
                        }
                        is_polled.store(true, Ordering::SeqCst);
                        until("the result is here", || is_sent.load(Ordering::SeqCst)).await;
                        drop(read);
                    });
                }));
                until("the other core waits", || polled.load(Ordering::SeqCst)).await;
                if is_sent_away {
                    other.write_all("not lost").await.0.unwrap();
                    turns(5).await;
                    sent.store(true, Ordering::SeqCst);
                }
                away.await.unwrap();
                if !is_sent_away {
                    other.write_all("not lost").await.0.unwrap();
                }
                assert_eq!(read_some(&one).await, b"not lost");
                until("the buffer is dropped", || track.is_dropped()).await;
            }
        });
    });
}

#[test]
fn life_started_after_end() {
    krug_tests::needs_a_kernel!("of a cancel and an end at the same moment it wants the cancel");
    with_settings(|builder| {
        for is_done in [true, false] {
            for is_away in [true, false] {
                let runtime = builder.build().unwrap();
                let (one, other) = runtime.block_on(async { UnixStream::pair().unwrap() });
                let one = Arc::new(one);
                let (buf, track) = Tracked::new(vec![0; 64]);
                let mut read = travelling_read(&one, buf);
                let mut unread = travelling_read(&one, Tracked::new(vec![0; 64]).0);
                runtime.block_on(async {
                    assert!(poll_once(read.as_mut()).await.is_pending());
                    assert!(poll_once(unread.as_mut()).await.is_pending());
                    turns(3).await;
                    if is_done {
                        other.write_all("in time").await.0.unwrap();
                        turns(5).await;
                    }
                });
                assert!(runtime.shutdown(PATIENCE).is_clean());
                let check = move || {
                    Runtime::new().unwrap().block_on(async {
                        let (result, buf) = read.await;
                        if is_done {
                            assert_eq!(result.unwrap(), 7);
                            assert_eq!(buf.bytes(), b"in time");
                        } else {
                            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
                        }
                        drop(buf);
                        assert!(unread.await.0.is_err(), "it had not begun");
                    });
                };
                match is_away {
                    true => thread::spawn(check).join().unwrap(),
                    false => check(),
                }
                assert!(track.is_dropped());
            }
        }
    });
}

#[test]
fn life_completion_more() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            assert!(times_out(listener.accept()).await);
            let before = runtime.metrics();
            let mut clients = BTreeSet::new();
            let mut open = Vec::new();
            for _ in 0..5 {
                let client = TcpStream::connect(address).await.unwrap();
                clients.insert(client.local_addr().unwrap());
                open.push(client);
            }
            turns(5).await;
            for _ in 0..5 {
                let server = listener.accept().await.unwrap();
                assert!(clients.remove(&server.peer_addr().unwrap()));
            }
            // A socket and a connect for each client. The accept in flight was enough for all, where it can be.
            let accepts = match runtime.capabilities().accept_multishot {
                true => 0,
                false => 4,
            };
            until("all is closed", || runtime.metrics().sources == 6).await;
            let closes = 5;
            assert_eq!(
                runtime.metrics().operations,
                before.operations + 10 + accepts + closes
            );
        });
    });
}

#[test]
fn life_completion_future() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let reader = krug::spawn(async move {
                let mut polls = 0;
                let mut read = Box::pin(one.read(vec![0; 64]));
                let (result, buf) = poll_fn(|cx| {
                    polls += 1;
                    read.as_mut().poll(cx)
                })
                .await;
                (buf[..result.unwrap()].to_vec(), polls)
            });
            turns(5).await;
            other.write_all("wake up").await.0.unwrap();
            let (bytes, polls) = reader.await.unwrap();
            assert_eq!(bytes, b"wake up");
            assert_eq!(polls, 2, "once to start, once for the result");
            until("the slot is free", || {
                runtime.metrics().operations_alive == 0
            })
            .await;
        });
    });
}

#[test]
fn life_completion_source() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            assert!(times_out(one.read(vec![0; 64])).await);
            let reader = krug::spawn(async move { (read_some(&one).await, one) });
            turns(3).await;
            assert_eq!(runtime.metrics().operations_alive, 1);
            other.write_all("to whoever waits").await.0.unwrap();
            assert_eq!(reader.await.unwrap().0, b"to whoever waits");
        });
    });
}

#[test]
fn life_completion_nobody() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let open = krug_tests::open_descriptors();
            for _ in 0..100 {
                let mut ends = Box::pin(pipe());
                assert!(poll_once(ends.as_mut()).await.is_pending());
                turns(1).await;
                drop(ends);
            }
            until("all have ended", || runtime.metrics().operations_alive == 0).await;
            assert_eq!(
                krug_tests::open_descriptors(),
                open,
                "what was made is still open"
            );
        });
    });
}

#[test]
fn life_completion_unasked_cancel() {
    let faults = Faults::new()
        .operation(1, libc::ECANCELED)
        .operation(3, libc::ECANCELED)
        .operation(5, libc::ECANCELED);
    run_with(
        |builder| builder.faults(faults.clone()),
        |runtime| {
            runtime.block_on(async {
                let (one, other) = UnixStream::pair().unwrap();
                let mut read = Box::pin(one.read(vec![0; 64]));
                assert!(poll_once(read.as_mut()).await.is_pending());
                turns(3).await;
                assert!(
                    poll_once(read.as_mut()).await.is_pending(),
                    "a cancel nobody asked for"
                );
                assert_eq!(faults.pending(), 2, "it did not happen");

                let (result, buf) = other.write_all("once at most").await;
                assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
                assert_eq!(faults.pending(), 1, "it did not happen");
                other.write_all(buf).await.0.unwrap();
                let (result, buf) = read.await;
                assert_eq!(&buf[..result.unwrap()], b"once at most");

                assert!(times_out(one.read(vec![0; 64])).await);
                assert_eq!(faults.pending(), 0, "it did not happen");
                other.write_all("adopted all the same").await.0.unwrap();
                assert_eq!(read_some(&one).await, b"adopted all the same");
            });
        },
    );
}

#[test]
fn life_completion_short() {
    let faults = Faults::new()
        .operation(1, libc::EINTR)
        .operation(3, libc::EINTR);
    run_with(
        |builder| builder.faults(faults.clone()),
        |runtime| {
            runtime.block_on(async {
                let (one, other) = UnixStream::pair().unwrap();
                one.write_all("interrupted").await.0.unwrap();
                assert_eq!(read_some(&other).await, b"interrupted");
                assert_eq!(faults.pending(), 0, "it did not happen");

                let sent = Random::new().bytes(2 << 20);
                let len = sent.len();
                let reader =
                    krug::spawn(async move { (other.read_exact(vec![0; len]).await, other) });
                let before = runtime.metrics();
                let (result, sent) = one.write_all(sent).await;
                result.unwrap();
                let ((result, received), _other) = reader.await.unwrap();
                result.unwrap();
                assert!(received == sent);
                let after = runtime.metrics();
                assert_eq!(
                    after.operations,
                    before.operations + 2,
                    "one write, one read"
                );
                assert!(after.submitted > before.submitted + 2, "nothing was short");
            });
        },
    );
}

/// The names in the last column of the tables.
fn names_in_the_tables() -> BTreeSet<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../executor/src/inflight/mod.rs"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! |")?.strip_suffix('|'));
    let last = rows.filter_map(|row| row.rsplit('|').next()).map(str::trim);
    let is_heading = |cell: &&str| *cell == "test" || cell.chars().all(|c| c == '-');
    last.filter(|cell| !is_heading(cell))
        .map(|cell| cell.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_tables_and_the_tests_name_each_other() {
    let source = include_str!("life.rs");
    let tests = source
        .lines()
        .filter_map(|line| line.strip_prefix("fn ")?.split('(').next());
    let tests: BTreeSet<String> = tests
        .filter(|name| name.starts_with("life_"))
        .map(str::to_owned)
        .collect();
    let tables = names_in_the_tables();
    assert!(tables.len() > 20, "the tables were not found: {tables:?}");
    assert_eq!(tables, tests);
    for name in &tests {
        let attribute = format!("#[test]\nfn {name}(");
        assert!(source.contains(&attribute), "{name} is not a test");
    }
}
