//! Where readiness and completion, and one kind of descriptor and another, could easily differ: what happens there is written
//! down here once, and is the same on every driver.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use krug::fs::OpenOptions;
use krug::net::UnixStream;
use krug::net::{TcpListener, TcpStream, UdpOptions, UdpSocket, UnixDatagram, UnixListener};
use krug::pipe::{self, pipe};
use krug::runtime::Driver;
use krug_tests::{disk, poll_once, run, times_out, turns, until};

krug_tests::on_every_driver!();

/// A stream of either kind.
enum Either {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The other end of a stream: a plain file that blocks, or, in a simulation, where nobody else is, a stream of krug's. It is
/// closed when it is dropped.
enum Peer {
    Foreign(File),
    Simulated(Either),
}

/// A TCP and a Unix stream, and the other end of each.
async fn streams() -> [(Either, Peer); 2] {
    if krug_tests::driver() == Driver::Sim {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (peer, tcp) = krug::join!(TcpStream::connect(address), listener.accept());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = Peer::Simulated(Either::Tcp(peer.unwrap()));
        let theirs = Peer::Simulated(Either::Unix(theirs));
        return [
            (Either::Tcp(tcp.unwrap()), peer),
            (Either::Unix(ours), theirs),
        ];
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let tcp = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let unix = UnixStream::from_std(ours).unwrap();
    let foreign = |end: OwnedFd| Peer::Foreign(File::from(end));
    [
        (Either::Tcp(tcp), foreign(peer.into())),
        (Either::Unix(unix), foreign(theirs.into())),
    ]
}

impl Either {
    async fn read(&self, length: usize) -> Result<Vec<u8>, ErrorKind> {
        let buf = Vec::with_capacity(length);
        let (result, buf) = match self {
            Either::Tcp(stream) => stream.read(buf).await,
            Either::Unix(stream) => stream.read(buf).await,
        };
        result.map(|_| buf).map_err(|error| error.kind())
    }

    async fn write(&self, bytes: impl Into<Vec<u8>>) -> Result<(), ErrorKind> {
        let bytes = bytes.into();
        let (result, _) = match self {
            Either::Tcp(stream) => stream.write_all(bytes).await,
            Either::Unix(stream) => stream.write_all(bytes).await,
        };
        result.map_err(|error| error.kind())
    }

    async fn shutdown(&self, how: Shutdown) {
        match self {
            Either::Tcp(stream) => stream.shutdown(how).await.unwrap(),
            Either::Unix(stream) => stream.shutdown(how).await.unwrap(),
        }
    }
}

impl Peer {
    /// What its next read finds.
    async fn heard(&mut self) -> Vec<u8> {
        match self {
            Peer::Foreign(file) => {
                let mut bytes = vec![0; 100];
                let count = file.read(&mut bytes).unwrap();
                bytes.truncate(count);
                bytes
            }
            Peer::Simulated(stream) => stream.read(100).await.unwrap(),
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        match self {
            Peer::Foreign(file) => file.write_all(bytes).unwrap(),
            Peer::Simulated(stream) => stream.write(bytes).await.unwrap(),
        }
    }

    async fn ends_writing(&self) {
        match self {
            Peer::Foreign(file) => {
                // SAFETY: takes no memory.
                let result = unsafe { libc::shutdown(file.as_raw_fd(), libc::SHUT_WR) };
                assert_eq!(result, 0);
            }
            Peer::Simulated(stream) => stream.shutdown(Shutdown::Write).await,
        }
    }
}

#[test]
fn a_half_that_is_closed_ends_one_direction_and_leaves_the_other() {
    run(|runtime| {
        runtime.block_on(async {
            for (stream, mut peer) in streams().await {
                // Ours: the other side sees the end, and can still write.
                stream.write("question").await.unwrap();
                stream.shutdown(Shutdown::Write).await;
                assert_eq!(peer.heard().await, b"question");
                assert_eq!(peer.heard().await, b"");
                assert_eq!(stream.write("more").await, Err(ErrorKind::BrokenPipe));
                peer.write(b"answer").await;
                assert_eq!(stream.read(100).await.unwrap(), b"answer");
                // Theirs: what they had written first, then the end, as often as it is asked for.
                peer.write(b"rest").await;
                peer.ends_writing().await;
                assert_eq!(stream.read(2).await.unwrap(), b"re");
                assert_eq!(stream.read(100).await.unwrap(), b"st");
                for _ in 0..3 {
                    assert_eq!(stream.read(100).await.unwrap(), b"");
                }
            }
        });
    });
}

#[test]
fn a_read_that_waits_is_woken_by_the_end_whoever_makes_it() {
    run(|runtime| {
        runtime.block_on(async {
            for is_ours in [false, true] {
                for (stream, peer) in streams().await {
                    let mut waiting = pin!(stream.read(10));
                    assert!(poll_once(waiting.as_mut()).await.is_pending());
                    turns(3).await;
                    match is_ours {
                        true => stream.shutdown(Shutdown::Read).await,
                        false => peer.ends_writing().await,
                    }
                    assert_eq!(waiting.await.unwrap(), b"");
                }
            }
        });
    });
}

#[test]
fn a_peer_that_leaves_with_bytes_unread_resets_after_what_it_had_sent() {
    run(|runtime| {
        runtime.block_on(async {
            for (stream, mut peer) in streams().await {
                stream.write("never read").await.unwrap();
                peer.write(b"last words").await;
                drop(peer);
                assert_eq!(stream.read(4).await.unwrap(), b"last");
                assert_eq!(stream.read(100).await.unwrap(), b" words");
                for _ in 0..3 {
                    let end = stream.read(100).await;
                    assert_eq!(end, Err(ErrorKind::ConnectionReset));
                }
                assert_eq!(stream.write("more").await, Err(ErrorKind::BrokenPipe));
            }
        });
    });
}

#[test]
fn a_read_that_waits_is_told_of_a_reset() {
    run(|runtime| {
        runtime.block_on(async {
            for (stream, peer) in streams().await {
                stream.write("never read").await.unwrap();
                let mut waiting = pin!(stream.read(10));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                turns(3).await;
                drop(peer);
                assert_eq!(waiting.await, Err(ErrorKind::ConnectionReset));
            }
        });
    });
}

#[test]
fn a_write_that_waits_is_told_that_its_reader_has_left() {
    run(|runtime| {
        runtime.block_on(async {
            let (sender, receiver) = pipe().await.unwrap();
            let mut write = pin!(sender.write_all(vec![1; 1 << 20]));
            assert!(poll_once(write.as_mut()).await.is_pending());
            turns(3).await;
            receiver.close().await.unwrap();
            assert_eq!(write.await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
            for (stream, peer) in streams().await {
                let mut write = pin!(stream.write(vec![1; 32 << 20]));
                assert!(poll_once(write.as_mut()).await.is_pending());
                turns(3).await;
                drop(peer);
                let kind = write.await.unwrap_err();
                let expected = match stream {
                    // It had not read what was sent to it.
                    Either::Tcp(_) => ErrorKind::ConnectionReset,
                    Either::Unix(_) => ErrorKind::BrokenPipe,
                };
                assert_eq!(kind, expected);
            }
        });
    });
}

#[test]
fn a_pipe_gives_what_is_in_it_and_then_its_end_whatever_its_descriptors_say() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            for nonblocking in [false, true] {
                let (reader, mut writer) = std::io::pipe().unwrap();
                set_nonblocking(&reader, nonblocking);
                let receiver = pipe::Receiver::from_owned_fd(reader.into()).unwrap();
                let mut waiting = pin!(receiver.read(vec![0; 10]));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                turns(3).await;
                writer.write_all(b"one").unwrap();
                let (result, buf) = waiting.await;
                assert_eq!((result.unwrap(), &buf[..]), (3, &b"one"[..]));
                writer.write_all(b"two").unwrap();
                drop(writer);
                let (result, buf) = receiver.read(vec![0; 10]).await;
                assert_eq!((result.unwrap(), &buf[..]), (3, &b"two"[..]));
                for _ in 0..2 {
                    assert_eq!(receiver.read(vec![0; 10]).await.0.unwrap(), 0);
                }
            }
        });
    });
}

fn set_nonblocking(fd: &impl AsRawFd, on: bool) {
    let mut on = i32::from(on);
    // SAFETY: the call reads the number, which lives until it returns.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) };
    assert_eq!(result, 0);
}

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: takes no memory.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

#[test]
fn an_empty_datagram_is_a_datagram_and_no_end() {
    run(|runtime| {
        runtime.block_on(async {
            for ahead in [false, true] {
                let options = UdpOptions::new().receive_ahead(ahead);
                let socket = options.bind("127.0.0.1:0").await.unwrap();
                let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let (to, from) = (socket.local_addr().unwrap(), other.local_addr().unwrap());
                // One that is waited for, and one that is there already.
                let mut waiting = pin!(socket.recv_from(vec![0; 10]));
                assert!(poll_once(waiting.as_mut()).await.is_pending());
                turns(3).await;
                other.send_to("", to).await.0.unwrap();
                assert_eq!(waiting.await.0.unwrap(), (0, from));
                other.send_to("", to).await.0.unwrap();
                other.send_to("x", to).await.0.unwrap();
                assert_eq!(socket.recv_from(vec![0; 10]).await.0.unwrap(), (0, from));
                assert_eq!(socket.recv_from(vec![0; 10]).await.0.unwrap(), (1, from));
                // No room at all takes the datagram all the same.
                other.send_to("gone", to).await.0.unwrap();
                other.send_to("here", to).await.0.unwrap();
                assert_eq!(socket.recv_from(Vec::new()).await.0.unwrap(), (0, from));
                assert_eq!(socket.recv_from(vec![0; 10]).await.0.unwrap(), (4, from));
            }
            let (one, other) = UnixDatagram::pair().unwrap();
            one.send("").await.0.unwrap();
            one.send("x").await.0.unwrap();
            assert_eq!(other.recv(vec![0; 10]).await.0.unwrap(), 0);
            assert_eq!(other.recv(vec![0; 10]).await.0.unwrap(), 1);
        });
    });
}

#[test]
fn a_datagram_socket_is_told_of_refused_datagrams_once_each_and_goes_on() {
    run(|runtime| {
        runtime.block_on(async {
            let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = gone.local_addr().unwrap();
            gone.close().await.unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(address).await.unwrap();
            socket.send("nobody is there").await.0.unwrap();
            let refused = socket.recv(vec![0; 10]).await.0.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            // One that waits, too.
            let mut waiting = pin!(socket.recv(vec![0; 10]));
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            turns(3).await;
            socket.send("still nobody").await.0.unwrap();
            let refused = waiting.await.0.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let back = UdpSocket::bind(address).await.unwrap();
            back.send_to("now", socket.local_addr().unwrap())
                .await
                .0
                .unwrap();
            assert_eq!(socket.recv(vec![0; 10]).await.0.unwrap(), 3);
        });
    });
}

#[test]
fn sockets_from_outside_wait_whatever_their_flags_and_keep_them() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            for nonblocking in [false, true] {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(nonblocking).unwrap();
                let shared = listener.try_clone().unwrap();
                let address = listener.local_addr().unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                let mut accept = pin!(listener.accept());
                assert!(poll_once(accept.as_mut()).await.is_pending());
                turns(3).await;
                let client = std::net::TcpStream::connect(address).unwrap();
                client.set_nonblocking(nonblocking).unwrap();
                let their_end = client.try_clone().unwrap();
                let (client, server) =
                    (TcpStream::from_std(client).unwrap(), accept.await.unwrap());
                let mut read = pin!(client.read(vec![0; 10]));
                assert!(poll_once(read.as_mut()).await.is_pending());
                turns(3).await;
                server.write_all("hello").await.0.unwrap();
                assert_eq!(read.await.0.unwrap(), 5);
                assert_eq!(is_nonblocking(&shared), nonblocking);
                assert_eq!(is_nonblocking(&their_end), nonblocking);
                let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                udp.set_nonblocking(nonblocking).unwrap();
                let udp = UdpSocket::from_std(udp).unwrap();
                assert!(times_out(udp.recv(vec![0; 1])).await);
                let (udp, _) = udp.into_std().await.unwrap();
                assert_eq!(is_nonblocking(&udp), nonblocking);
            }
        });
    });
}

#[test]
fn what_was_opened_and_made_here_waits_when_it_is_handed_out() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        let folder = disk::folder();
        let path = fifo(folder.path());
        runtime.block_on(async {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            udp.connect(udp.local_addr().unwrap()).await.unwrap();
            assert!(!is_nonblocking(&udp.into_std().await.unwrap().0));
            let plain = folder.path().join("plain");
            let file = krug::fs::File::create(&plain).await.unwrap();
            assert!(!is_nonblocking(&file.into_std().await.unwrap()));
            let mut options = OpenOptions::new();
            let fifo = options.read(true).write(true).open(&path).await.unwrap();
            fifo.write_all("x").await.0.unwrap();
            assert_eq!(fifo.read(vec![0; 9]).await.0.unwrap(), 1);
            assert!(!is_nonblocking(&fifo.into_std().await.unwrap()));
            // Unless a clone relies on it.
            let fifo = options.read(true).write(true).open(&path).await.unwrap();
            let clone = fifo.try_clone().unwrap();
            assert!(is_nonblocking(&fifo.into_std().await.unwrap()));
            clone.write_all("y").await.0.unwrap();
            assert_eq!(clone.read(vec![0; 9]).await.0.unwrap(), 1);
            assert!(times_out(clone.read(vec![0; 9])).await);
        });
    });
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: `name` is a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    path
}

#[test]
fn a_fifo_opens_at_once_for_reading_and_not_at_all_for_a_writer_without_reader() {
    krug_tests::needs_a_kernel!("a simulated disk has no FIFOs");
    run(|runtime| {
        let folder = disk::folder();
        let path = fifo(folder.path());
        runtime.block_on(async {
            let open = |write: bool| {
                let mut options = OpenOptions::new();
                let options = options.read(!write).write(write).clone();
                let path = path.clone();
                async move { options.open(path).await }
            };
            let alone = open(true).await.unwrap_err();
            assert_eq!(
                alone.raw_os_error().or(Some(libc::ENXIO)),
                Some(libc::ENXIO)
            );
            assert!(alone.to_string().contains("fifo"), "{alone}");
            let reader = open(false).await.unwrap();
            // Nobody has ever written: that is the end, until somebody does.
            let writer = open(true).await.unwrap();
            let mut waiting = pin!(reader.read(vec![0; 10]));
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            turns(3).await;
            writer.write_all("fifo").await.0.unwrap();
            assert_eq!(waiting.await.0.unwrap(), 4);
            // What fits nowhere waits for room.
            let reading = async {
                let mut read = 0;
                while read < 1 << 18 {
                    read += reader.read(vec![0; 1 << 16]).await.0.unwrap();
                }
            };
            let ((result, _), ()) = krug::join!(writer.write_all(vec![1; 1 << 18]), reading);
            result.unwrap();
            writer.close().await.unwrap();
            assert_eq!(reader.read(vec![0; 1]).await.0.unwrap(), 0);
        });
    });
}

#[test]
fn a_listener_that_is_closed_refuses_all_who_wait_and_gives_back_who_has_come() {
    krug_tests::needs_a_kernel!("its peers act while the core stands still");
    run(|runtime| {
        runtime.block_on(async {
            for round in 0..20 {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let mut first = Box::pin(listener.accept());
                let mut second = Box::pin(listener.accept());
                assert!(poll_once(first.as_mut()).await.is_pending());
                assert!(poll_once(second.as_mut()).await.is_pending());
                turns(round % 4).await;
                drop((first, second));
                let clients: Vec<_> = (0..3)
                    .map(|_| std::net::TcpStream::connect(address).unwrap())
                    .collect();
                turns(round % 3).await;
                // A handshake is over for the client a moment before it is for the listener.
                krug::time::sleep(Duration::from_millis(1)).await;
                let accepted = listener.close().await.unwrap();
                // Where the kernel accepts one at a time, the others have stayed with it, and are reset.
                let least = match runtime.capabilities().accept_multishot {
                    true => clients.len(),
                    false => 1,
                };
                let count = accepted.len();
                assert!(
                    (least..=clients.len()).contains(&count),
                    "round {round}: {count}"
                );
                let names: Vec<_> = accepted.iter().map(|it| it.peer_addr().unwrap()).collect();
                let of_clients: Vec<_> =
                    clients.iter().map(|it| it.local_addr().unwrap()).collect();
                assert!(names.iter().all(|name| of_clients.contains(name)));
                let again = TcpListener::bind(address).await;
                drop(again.expect("the port is free"));
            }
        });
    });
}

#[test]
fn accepts_that_wait_on_a_listener_that_goes_away_err_and_do_not_hang() {
    run(|runtime| {
        runtime.block_on(async {
            let folder = disk::folder();
            let path = folder.path().join("socket");
            let listener = std::rc::Rc::new(UnixListener::bind(&path).await.unwrap());
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let listener = listener.clone();
                    krug::spawn(async move { listener.accept().await.map(drop) })
                })
                .collect();
            turns(3).await;
            // The first is served, the others are still there when the tasks are aborted with the listener.
            let _client = UnixStream::connect(&path).await.unwrap();
            until("one was served", || {
                waiting.iter().any(|task| task.is_finished())
            })
            .await;
            for task in &waiting {
                task.abort();
            }
            let mut ends = Vec::new();
            for task in waiting {
                ends.push(task.await.is_ok());
            }
            assert_eq!(ends.iter().filter(|served| **served).count(), 1);
            let listener = std::rc::Rc::into_inner(listener).expect("the only one");
            assert!(listener.close().await.unwrap().is_empty());
        });
    });
}

#[test]
fn a_connect_that_is_refused_or_finds_nobody_says_so() {
    run(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener.close().await.unwrap());
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let folder = disk::folder();
            let path = folder.path().join("socket");
            let missing = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(missing.kind(), ErrorKind::NotFound);
            let listener = UnixListener::bind(&path).await.unwrap();
            drop(listener.close().await.unwrap());
            let refused = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        });
    });
}
