//! `recv`: chunks of the pool's memory, in order, whatever is dropped, missing or in short supply.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Peer;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::{Chunk, IoBuf};
use krug::io::Canceller;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::runtime::{Builder, Faults};
use krug::{Runtime, pipe, spawn, time};
use krug_tests::{Random, iterations, poll_once, run, run_with, times_out, turns, until};

/// A stream, and a peer that is driven by the standard library.
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

/// The receiving end, and a writer that blocks.
async fn connected(kind: &str) -> (Receiver, Box<dyn Write + Send>) {
    match kind {
        "tcp" => {
            let (stream, peer) = tcp_and_peer();
            (Receiver::Tcp(stream), Box::new(peer))
        }
        "unix" => {
            let (one, other) = Peer::pair().unwrap();
            (
                Receiver::Unix(UnixStream::from_std(one).unwrap()),
                Box::new(other),
            )
        }
        _ => {
            let (reader, writer) = std::io::pipe().unwrap();
            let receiver = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap();
            (Receiver::Pipe(receiver), Box::new(writer))
        }
    }
}

fn tcp_and_peer() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    (TcpStream::from_std(accepted).unwrap(), peer)
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
                let (receiver, mut writer) = connected(kind).await;
                let sent = Random::of(1).bytes(300_000);
                let bytes = sent.clone();
                let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
                assert_eq!(receive_all(&receiver, usize::MAX).await, sent, "{kind}");
                writing.join().unwrap();
                // The end stays.
                let end = each!(&receiver, stream => stream.recv().await.unwrap());
                assert!(end.is_empty());
                drop(receiver);
            });
            runtime.block_on(all_home(runtime));
        }
    });
}
