//! One future of every public kind that is `Send`, which does not resolve at its first poll.

use std::any::Any;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::pin::Pin;
use std::time::Duration;

use krug::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::poll_once;

pub(crate) type Finish = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;
pub(crate) type Running = Pin<Box<dyn Future<Output = String> + Send>>;

/// What a future resolves to when it was started at home and is awaited elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Abroad {
    /// As at home.
    Same(&'static str),
    /// With an error whose text contains this: the rest of it needs its core.
    Error(&'static str),
    /// With such an error, or as at home if its result was there first.
    SameOrError(&'static str, &'static str),
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Makes the future resolve. Its result keeps the peer alive.
    pub(crate) finish: Finish,
    pub(crate) future: Running,
    /// On another core.
    pub(crate) elsewhere: Abroad,
    /// On a thread without a runtime.
    pub(crate) outside: Abroad,
}

impl Case {
    /// Waits for a time, on whatever core it is polled.
    pub(crate) fn is_timer(&self) -> bool {
        ["sleep", "tick"].contains(&self.name)
    }
}

const BIG: usize = 2 << 20;

fn case(
    name: &'static str,
    future: impl Future<Output = String> + Send + 'static,
    finish: impl FnOnce() -> Box<dyn Any + Send> + Send + 'static,
    elsewhere: Abroad,
    outside: Abroad,
) -> Case {
    Case {
        name,
        finish: Box::new(finish),
        future: Box::pin(future),
        elsewhere,
        outside,
    }
}

fn nothing() -> Box<dyn Any + Send> {
    Box::new(())
}

fn text<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "done".into(),
        Err(error) => format!("error: {error}"),
    }
}

/// The other side: a socket of the standard library's, or, in a simulation, one of the same world.
enum Peer {
    Foreign(std::os::unix::net::UnixStream),
    Simulated(UnixStream),
}

fn is_simulated() -> bool {
    krug_tests::driver() == krug::runtime::Driver::Sim
}

fn stream_and_peer() -> (UnixStream, Peer) {
    if is_simulated() {
        let (mine, peer) = UnixStream::pair().unwrap();
        return (mine, Peer::Simulated(peer));
    }
    let (mine, peer) = super::stream_and_peer();
    (mine, Peer::Foreign(peer))
}

/// What a peer of the same world does, and what it leaves. After the end of the runtime there is nobody left to do anything for.
fn in_background<T: Send + 'static>(
    future: impl Future<Output = T> + 'static,
) -> Box<dyn Any + Send> {
    match krug::CoreHandle::try_current() {
        Some(_) => Box::new(krug::spawn(future)),
        None => nothing(),
    }
}

/// Sends `bytes` and keeps the peer.
fn sends(peer: Peer, bytes: &'static [u8]) -> impl FnOnce() -> Box<dyn Any + Send> + Send {
    // After the end of the runtime nobody listens.
    move || match peer {
        Peer::Foreign(mut peer) => {
            let _ = peer.write_all(bytes);
            Box::new(peer)
        }
        Peer::Simulated(peer) => in_background(async move {
            drop(peer.write_all(bytes).await);
            peer
        }),
    }
}

/// Reads everything, beside whatever else is done.
fn drains(peer: Peer) -> impl FnOnce() -> Box<dyn Any + Send> + Send {
    // Ends with an error when the rest was given up.
    move || match peer {
        Peer::Foreign(mut peer) => Box::new(std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = peer.read_to_end(&mut all);
            all.len()
        })),
        Peer::Simulated(peer) => in_background(async move {
            let (_, all) = krug::io::read_to_end(&peer, Vec::new()).await;
            all.len()
        }),
    }
}

fn pipe_ends() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors, which are new and ours.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// Started already, each of them.
pub(crate) async fn started() -> Vec<Case> {
    let mut cases = receiving().await;
    cases.extend(sending().await);
    cases.extend(connecting().await);
    cases.extend(timers_and_tasks());
    for case in &mut cases {
        if poll_once(&mut case.future).await.is_ready() {
            // On a slow machine the time of a timer may be over already.
            assert!(case.is_timer(), "{} must wait", case.name);
            case.future = Box::pin(async { "done".to_string() });
            case.outside = Abroad::Same("done");
        }
    }
    cases
}

async fn receiving() -> Vec<Case> {
    use Abroad::{Error, Same};
    let mut cases = Vec::new();
    let (stream, peer) = stream_and_peer();
    let recv = async move { text(stream.recv().await) };
    cases.push(case(
        "recv",
        recv,
        sends(peer, b"abc"),
        Error("core"),
        Error("no krug runtime"),
    ));
    let (stream, peer) = stream_and_peer();
    let read = async move {
        let (result, buf) = stream.read(Vec::with_capacity(3000)).await;
        format!("{} {}", text(result), String::from_utf8(buf).unwrap())
    };
    cases.push(case(
        "read",
        read,
        sends(peer, b"abc"),
        Same("done abc"),
        Same("done abc"),
    ));
    let (stream, peer) = stream_and_peer();
    let read_exact = async move {
        let (result, buf) = stream.read_exact(Vec::with_capacity(3)).await;
        format!("{} {}", text(result), String::from_utf8(buf).unwrap())
    };
    cases.push(case(
        "read_exact",
        read_exact,
        sends(peer, b"abcdef"),
        Same("done abc"),
        Same("done abc"),
    ));
    let (stream, peer) = stream_and_peer();
    let vectored = async move {
        let (result, bufs) = stream
            .read_vectored([Vec::with_capacity(2), Vec::with_capacity(2)])
            .await;
        format!("{} {bufs:?}", text(result))
    };
    let both = "done [[97, 98], [99]]";
    cases.push(case(
        "read_vectored",
        vectored,
        sends(peer, b"abc"),
        Same(both),
        Same(both),
    ));
    let (stream, peer) = stream_and_peer();
    let peek = async move {
        let (result, buf) = stream.peek(Vec::with_capacity(3000)).await;
        format!("{} {}", text(result), String::from_utf8(buf).unwrap())
    };
    cases.push(case(
        "peek",
        peek,
        sends(peer, b"abc"),
        Same("done abc"),
        Same("done abc"),
    ));
    cases.push(read_of_pipe().await);
    cases
}

async fn read_of_pipe() -> Case {
    use Abroad::Same;
    let (receiver, finish): (_, Finish) = match is_simulated() {
        true => {
            let (sender, receiver) = krug::pipe::pipe().await.unwrap();
            let finish = move || {
                in_background(async move {
                    drop(sender.write_all("abc").await);
                    sender
                })
            };
            (receiver, Box::new(finish))
        }
        false => {
            let (reader, writer) = pipe_ends();
            let finish = move || {
                let mut writer = std::fs::File::from(writer);
                let _ = writer.write_all(b"abc");
                Box::new(writer) as Box<dyn Any + Send>
            };
            let receiver = krug::pipe::Receiver::from_owned_fd(reader).unwrap();
            (receiver, Box::new(finish))
        }
    };
    let pipe = async move {
        let (result, buf) = receiver.read(Vec::with_capacity(3000)).await;
        format!("{} {}", text(result), String::from_utf8(buf).unwrap())
    };
    case(
        "read of a pipe",
        pipe,
        finish,
        Same("done abc"),
        Same("done abc"),
    )
}

async fn sending() -> Vec<Case> {
    use Abroad::{Error, Same};
    let mut cases = Vec::new();
    let (stream, peer) = stream_and_peer();
    let write = async move { text(stream.write_all(vec![7; BIG]).await.0) };
    cases.push(case(
        "write_all",
        write,
        drains(peer),
        Same("done"),
        Same("done"),
    ));
    let (stream, peer) = stream_and_peer();
    let vectored = async move {
        text(
            stream
                .write_all_vectored([vec![7; BIG], vec![8; BIG]])
                .await
                .0,
        )
    };
    cases.push(case(
        "write_all_vectored",
        vectored,
        drains(peer),
        Same("done"),
        Same("done"),
    ));
    // What waits behind a write has not begun.
    let (stream, peer) = stream_and_peer();
    let write = Box::pin(async move {
        krug::select! {
            biased;
            (result, _) = stream.write_all(vec![7; BIG]) => text(result),
            result = stream.flush() => text(result),
        }
    });
    cases.push(case(
        "flush",
        write,
        drains(peer),
        Error("core"),
        Error("no krug runtime"),
    ));
    let (stream, peer) = stream_and_peer();
    {
        let mut write = Box::pin(stream.write_all(vec![7; BIG]));
        assert!(poll_once(&mut write).await.is_pending());
        // Two turns: the write is in flight now.
        krug::io::nop().await.unwrap();
    }
    let close = async move { text(stream.close().await) };
    cases.push(case(
        "close",
        close,
        drains(peer),
        Error("core"),
        Error("no krug runtime"),
    ));
    cases
}

async fn connecting() -> Vec<Case> {
    use Abroad::{Error, Same};
    let mut cases = Vec::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async move { text(listener.accept().await) };
    let client = move || match is_simulated() {
        true => in_background(TcpStream::connect(address)),
        false => Box::new(std::net::TcpStream::connect(address)) as Box<dyn Any + Send>,
    };
    cases.push(case(
        "accept",
        accept,
        client,
        Error("core"),
        Error("no krug runtime"),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let close = async move { text(listener.close().await) };
    cases.push(case(
        "close of a listener",
        close,
        nothing,
        Error("core"),
        Error("no krug runtime"),
    ));
    let (server, address): (Box<dyn Any + Send>, _) = match is_simulated() {
        true => {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap();
            (Box::new(server), address)
        }
        false => {
            let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            (Box::new(server), address)
        }
    };
    let connect = async move { text(TcpStream::connect(address).await) };
    let keep = move || server;
    // On another core the rest is done there.
    cases.push(case(
        "connect",
        connect,
        keep,
        Same("done"),
        Error("no krug runtime"),
    ));
    cases.push(connect_of_unix().await);
    let (directory, path) = krug_tests::disk::place();
    let bind = async move { text(UnixListener::bind(path).await) };
    let keep = move || Box::new(directory) as Box<dyn Any + Send>;
    cases.push(case(
        "bind",
        bind,
        keep,
        Same("done"),
        Error("no krug runtime"),
    ));
    let pipe = async move { text(krug::pipe::pipe().await) };
    cases.push(case(
        "pipe",
        pipe,
        nothing,
        Same("done"),
        Error("no krug runtime"),
    ));
    let nop = async move { text(krug::io::nop().await) };
    cases.push(case("nop", nop, nothing, Same("done"), Same("done")));
    cases
}

async fn connect_of_unix() -> Case {
    use Abroad::{Error, Same};
    let (directory, path) = krug_tests::disk::place();
    let server: Box<dyn Any + Send> = match is_simulated() {
        true => Box::new(UnixListener::bind(&path).await.unwrap()),
        false => Box::new(std::os::unix::net::UnixListener::bind(&path).unwrap()),
    };
    let mut connect: Running = Box::pin(async move { text(UnixStream::connect(path).await) });
    // The socket is made, the connection under way.
    assert!(poll_once(&mut connect).await.is_pending());
    krug::io::nop().await.unwrap();
    let keep = move || Box::new((server, directory)) as Box<dyn Any + Send>;
    case(
        "connect of a Unix stream",
        connect,
        keep,
        Same("done"),
        Error("no krug runtime"),
    )
}

fn timers_and_tasks() -> Vec<Case> {
    use Abroad::{Error, Same};
    // Long enough that the first poll mostly comes before.
    const SHORT: Duration = Duration::from_millis(150);
    let mut cases = Vec::new();
    let sleep = async {
        krug::time::sleep(SHORT).await;
        "done".to_string()
    };
    let panics = Error("outside a krug runtime");
    cases.push(case("sleep", sleep, nothing, Same("done"), panics));
    let mut interval = krug::time::interval_at(krug::time::now() + SHORT, SHORT);
    let tick = async move {
        interval.tick().await;
        "done".to_string()
    };
    cases.push(case("tick", tick, nothing, Same("done"), panics));
    let (stream, peer) = stream_and_peer();
    let timeout = async move {
        let read = stream.read(Vec::with_capacity(3000));
        krug::time::timeout(Duration::from_secs(3600), read)
            .await
            .map_or("late".into(), |(result, _)| text(result))
    };
    cases.push(case(
        "timeout",
        timeout,
        sends(peer, b"x"),
        Same("done"),
        Abroad::SameOrError("done", "outside a krug runtime"),
    ));
    let task = krug::spawn(async {
        krug::time::sleep(SHORT).await;
        5
    });
    let join = async move { format!("{:?}", task.await.ok()) };
    cases.push(case(
        "join handle",
        join,
        nothing,
        Same("Some(5)"),
        Same("Some(5)"),
    ));
    let task = krug::CoreHandle::current()
        .spawn(async { krug::time::sleep(SHORT).await })
        .unwrap();
    let join = async move { format!("{:?}", task.await.ok()) };
    cases.push(case(
        "join handle of a handle",
        join,
        nothing,
        Same("Some(())"),
        Same("Some(())"),
    ));
    cases
}
