//! Bugs of others about cancelled operations and who owns their results; see `tests/BUGS.md`.

use std::future::poll_fn;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use krug::Runtime;
use krug::io::Canceller;
use krug::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use krug::runtime::Faults;
use krug_tests::{Random, disk, poll_once, run, run_with, turns, until, with_settings};

krug_tests::on_every_driver!();

/// More than a socket takes at once.
const MORE_THAN_FITS: usize = 2 << 20;

async fn read_all(stream: &UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, buf) = stream.read(vec![0; 1 << 16]).await;
        match result.unwrap() {
            0 => return all,
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}

#[test]
fn bug_016_a_stream_dropped_at_home_sends_the_rest_of_a_write_dropped_elsewhere() {
    run(|runtime| {
        runtime.block_on(async {
            // In flight, and ended with a part of it while nobody looked.
            for turns_before in [1, 5] {
                let (one, other) = UnixStream::pair().unwrap();
                let one = Arc::new(one);
                let sent = Random::new().bytes(MORE_THAN_FITS);
                let mut write = Box::pin({
                    let (one, sent) = (one.clone(), sent.clone());
                    async move { one.write(sent).await }
                });
                assert!(poll_once(write.as_mut()).await.is_pending());
                turns(turns_before).await;
                // The core makes no turn between the two drops: it learns of the first one after the second.
                thread::spawn(move || drop(write)).join().unwrap();
                drop(Arc::into_inner(one).unwrap());
                assert!(read_all(&other).await == sent, "the rest was cut off");
            }
        });
    });
}

#[test]
fn bug_016_the_end_of_a_dropped_half_follows_the_rest_of_a_write_dropped_elsewhere() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (_reader, writer) = one.into_split();
            let writer = Arc::new(writer);
            let sent = Random::new().bytes(MORE_THAN_FITS);
            let mut write = Box::pin({
                let (writer, sent) = (writer.clone(), sent.clone());
                async move { writer.write(sent).await }
            });
            assert!(poll_once(write.as_mut()).await.is_pending());
            turns(5).await;
            thread::spawn(move || drop(write)).join().unwrap();
            drop(Arc::into_inner(writer).unwrap());
            assert!(read_all(&other).await == sent, "the rest was cut off");
        });
    });
}

#[test]
fn bug_016_a_write_that_was_forgotten_keeps_its_stream_open_no_longer_than_it_may_linger() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            one.set_linger_time(Duration::from_millis(1)).unwrap();
            let mut write = Box::pin(one.write("seen"));
            assert!(poll_once(write.as_mut()).await.is_pending());
            turns(5).await;
            std::mem::forget(write);
            drop(one);
            assert_eq!(read_all(&other).await, b"seen");
            other.shutdown(Shutdown::Both).await.unwrap();
            drop(other);
            until("both are closed", || runtime.metrics().sources == 0).await;
        });
        // The slot of the forgotten future is all that was not given back.
        assert_eq!(runtime.metrics().operations_alive, 1);
        assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
    });
}

/// The next of a stream of connections.
async fn next<S: Stream + Unpin>(mut stream: S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await
}

#[test]
fn bug_013_a_canceller_stops_streams_of_connections_and_loses_none() {
    run(|runtime| {
        runtime.block_on(async {
            let folder = disk::folder();
            let path = folder.path().join("socket");
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let unix = UnixListener::bind(&path).await.unwrap();
            for turns_before in 0..4 {
                let canceller = Canceller::new();
                let waits = canceller.scope(async {
                    let both = krug::join!(next(tcp.incoming()), next(unix.incoming()));
                    (both.0.unwrap().unwrap_err(), both.1.unwrap().unwrap_err())
                });
                let cancel = async {
                    turns(turns_before).await;
                    canceller.cancel();
                };
                let ((tcp_error, unix_error), ()) = krug::join!(waits, cancel);
                assert!(Canceller::was_cancelled(&tcp_error), "{tcp_error}");
                assert!(Canceller::was_cancelled(&unix_error), "{unix_error}");
                // They go on with what comes afterwards.
                let client = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
                let server = next(tcp.incoming()).await.unwrap().unwrap();
                assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
                let client = UnixStream::connect(&path).await.unwrap();
                let server = next(unix.incoming()).await.unwrap().unwrap();
                drop(client);
                assert_eq!(server.read(vec![0; 1]).await.0.unwrap(), 0);
            }
        });
    });
}

#[test]
fn bug_013_what_was_cancelled_says_so_although_the_kernel_calls_it_an_interruption() {
    // As an operation answers that a thread of the kernel's was doing when it was cancelled.
    let faults = Faults::new().operation(1, libc::EINTR);
    let test = |runtime: &Runtime| {
        runtime.block_on(async {
            let (one, _other) = UnixStream::pair().unwrap();
            let canceller = Canceller::new();
            let mut read = Box::pin(canceller.scope(one.read(Vec::with_capacity(8))));
            assert!(poll_once(read.as_mut()).await.is_pending());
            canceller.cancel();
            let (result, buf) = read.await;
            assert!(Canceller::was_cancelled(&result.unwrap_err()));
            assert_eq!(buf.capacity(), 8);
        });
    };
    run_with(|builder| builder.faults(faults.clone()), test);
    assert_eq!(faults.pending(), 0);
}
