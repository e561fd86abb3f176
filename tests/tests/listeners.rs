//! What listeners promise: every connection reaches the application, whatever is dropped
//! meanwhile, and what nobody takes is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use krug::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{
    Random, disk, is_without, iterations, open_descriptors, passes_in_a_process_of_its_own,
    patient, poll_once, run, run_alone, run_with, times_out, turns, until,
};

krug_tests::on_every_driver!();
krug_tests::in_hardship_too!(Refused(All, libc::EPERM));

const SHORT: Duration = Duration::from_millis(2);
const CLIENTS: usize = 4;

/// Accepts with a random timeout until `attempts` were made and every client has come. `connect` makes one
/// connection that sends its number, four bytes.
macro_rules! every_connection_arrives {
    ($runtime:ident, $listener:ident, $attempts:expr, $connect:expr) => {{
        let random = Rc::new(Random::new());
        let sent = Rc::new(std::cell::Cell::new(0_u32));
        let stopped = Rc::new(std::cell::Cell::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (random, sent, stopped) = (random.clone(), sent.clone(), stopped.clone());
                let connect = $connect;
                krug::spawn(async move {
                    while !stopped.get() {
                        // Rarely enough for accepts to time out, also on a slow machine.
                        sleep(patient(random.micros(2000))).await;
                        let number = sent.replace(sent.get() + 1);
                        let stream = connect(number).await;
                        stream
                            .write_all(number.to_le_bytes().to_vec())
                            .await
                            .0
                            .unwrap();
                        stream.close().await.unwrap();
                    }
                })
            })
            .collect();
        let mut seen = BTreeSet::new();
        let mut elapsed = 0;
        for attempt in 0.. {
            stopped.set(attempt >= $attempts);
            if stopped.get() && clients.iter().all(|client| client.is_finished()) {
                if seen.len() == sent.get() as usize {
                    break;
                }
                assert!(
                    attempt < $attempts + 100_000,
                    "{} of {} came",
                    seen.len(),
                    sent.get()
                );
            }
            match timeout(random.micros(200), $listener.accept()).await {
                Ok(accepted) => {
                    let (result, buf) = accepted.unwrap().read_exact(vec![0; 4]).await;
                    result.unwrap();
                    let number = u32::from_le_bytes(buf.try_into().unwrap());
                    assert!(seen.insert(number), "connection {number} came twice");
                }
                Err(_) => elapsed += 1,
            }
        }
        println!(
            "{elapsed} accepts timed out, {} connections came",
            seen.len()
        );
        assert!(elapsed > $attempts / 10 && seen.len() > $attempts / 100);
        for client in clients {
            client.await.unwrap();
        }
    }};
}

#[test]
fn every_tcp_connection_arrives_while_accepts_time_out_at_random() {
    let attempts = iterations(10_000);
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            every_connection_arrives!(runtime, listener, attempts, move |number: u32| async move {
                // Many addresses of one machine: there are more of them than there are ports.
                let ip = Ipv4Addr::new(127, 0, 0, 1 + (number % 200) as u8);
                TcpStream::connect((ip, port)).await.unwrap()
            });
        });
    });
}

#[test]
fn every_unix_connection_arrives_while_accepts_time_out_at_random() {
    let attempts = iterations(10_000);
    run_alone(|runtime| {
        let folder = disk::folder();
        let path: Rc<Path> = folder.path().join("socket").into();
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).await.unwrap();
            every_connection_arrives!(runtime, listener, attempts, {
                let path = path.clone();
                move |_: u32| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.unwrap() }
                }
            });
        });
    });
}

/// A listener whose accept is in flight while nobody waits, and its address.
async fn armed_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(times_out(listener.accept()).await);
    (listener, address)
}

#[test]
fn a_listener_takes_sixteen_ahead_and_the_rest_waits_in_the_kernel() {
    krug_tests::needs_a_kernel!("it counts what the process has open or allocated");
    run_alone(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            let before = (open_descriptors(), runtime.metrics().cancels);
            let mut clients = BTreeMap::new();
            for _ in 0..40 {
                let client = TcpStream::connect(address).await.unwrap();
                clients.insert(client.local_addr().unwrap(), client);
                turns(5).await;
            }
            // Where an accept is over with one connection, it takes one.
            let (ahead, cancels) = match runtime.capabilities().accept_multishot {
                true => (16, 1),
                false => (1, 0),
            };
            assert_eq!(open_descriptors(), before.0 + 40 + ahead);
            assert_eq!(runtime.metrics().cancels, before.1 + cancels);
            for _ in 0..40 {
                let server = listener.accept().await.unwrap();
                clients
                    .remove(&server.peer_addr().unwrap())
                    .expect("came twice");
            }
            assert!(times_out(listener.accept()).await, "one too many");
        });
    });
}

#[test]
fn a_burst_of_connections_arrives_whole_and_others_come_after_it() {
    krug_tests::needs_a_kernel!("its peers act while the core stands still");
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let connect = |_| std::net::TcpStream::connect(address).unwrap();
            let clients: Vec<_> = (0..200).map(connect).collect();
            let peers: BTreeSet<_> = clients
                .iter()
                .map(|client| client.local_addr().unwrap())
                .collect();
            // All of them come in one turn, far beyond the bound: the accept is cancelled. In the same
            // turn the task takes them all and waits for more.
            let acceptor = krug::spawn(async move {
                let mut seen = BTreeSet::new();
                for _ in 0..200 {
                    seen.insert(listener.accept().await.unwrap().peer_addr().unwrap());
                }
                assert_eq!(seen, peers);
                let more = timeout(Duration::from_secs(5), listener.accept());
                more.await.expect("nothing is accepted any more").unwrap()
            });
            if runtime.capabilities().accept_multishot {
                until("the burst is over", || runtime.metrics().cancels == 1).await;
            }
            turns(5).await;
            let late = TcpStream::connect(address).await.unwrap();
            let server = acceptor.await.unwrap();
            assert_eq!(server.peer_addr().unwrap(), late.local_addr().unwrap());
        });
    });
}

#[test]
fn an_accept_that_the_kernel_ends_early_is_armed_again() {
    for nth in 1..=4 {
        let faults = Faults::new().end_multishot(nth);
        run_with(
            |builder| builder.faults(faults.clone()),
            |runtime| {
                if is_without(
                    "accept that goes on",
                    runtime.capabilities().accept_multishot,
                ) {
                    return;
                }
                runtime.block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = listener.local_addr().unwrap();
                    let listener = Rc::new(listener);
                    let mut acceptors = Vec::new();
                    for _ in 0..6 {
                        let listener = listener.clone();
                        acceptors.push(krug::spawn(async move { listener.accept().await }));
                    }
                    turns(2).await;
                    for acceptor in acceptors {
                        let client = TcpStream::connect(address).await.unwrap();
                        let peer = acceptor.await.unwrap().unwrap().peer_addr().unwrap();
                        assert_eq!(peer, client.local_addr().unwrap());
                    }
                });
                assert_eq!(faults.pending(), 0, "it did not happen");
            },
        );
    }
}

#[test]
fn close_returns_the_connections_that_nobody_has_accepted() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            let mut clients = BTreeMap::new();
            for _ in 0..5 {
                let client = TcpStream::connect(address).await.unwrap();
                clients.insert(client.local_addr().unwrap(), client);
            }
            turns(5).await;
            let queued = listener.close().await.unwrap();
            // Without it the other four wait in the kernel, which resets them.
            let goes_on = runtime.capabilities().accept_multishot;
            assert_eq!(queued.len(), if goes_on { 5 } else { 1 });
            for server in queued {
                server.write_all("not forgotten").await.0.unwrap();
                let client = clients
                    .remove(&server.peer_addr().unwrap())
                    .expect("came twice");
                let (result, buf) = client.read(vec![0; 64]).await;
                assert_eq!(&buf[..result.unwrap()], b"not forgotten");
            }
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_dropped_listener_closes_the_connections_that_nobody_has_accepted() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            let mut clients = Vec::new();
            for _ in 0..5 {
                clients.push(TcpStream::connect(address).await.unwrap());
            }
            turns(5).await;
            drop(listener);
            let goes_on = runtime.capabilities().accept_multishot;
            for client in clients {
                match client.read(vec![0; 1]).await.0 {
                    // It was waiting in the kernel, which resets it.
                    Err(error) if !goes_on => {
                        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                    }
                    read => assert_eq!(read.unwrap(), 0),
                }
            }
            until("all is closed", || runtime.metrics().sources == 0).await;
            assert!(TcpStream::connect(address).await.is_err());
        });
    });
}

#[test]
fn bug_069_a_closed_listener_lets_go_of_its_port() {
    run_alone(|runtime| {
        runtime.block_on(async {
            // An address of its own: no other program on this machine takes the port meanwhile.
            let first = TcpSocket::new()
                .bind("127.69.0.1:0")
                .unwrap()
                .listen(16)
                .await
                .unwrap();
            let address = first.local_addr().unwrap();
            first.close().await.unwrap();
            let socket = TcpSocket::new().bind(address).unwrap();
            for round in 0..1000 {
                let listener = socket.listen(16).await.unwrap();
                match round % 3 {
                    // Never armed, armed in this turn, and in flight.
                    0 => {}
                    1 => assert!(poll_once(pin!(listener.accept())).await.is_pending()),
                    _ => {
                        assert!(poll_once(pin!(listener.accept())).await.is_pending());
                        turns(2).await;
                    }
                }
                assert!(listener.close().await.unwrap().is_empty());
            }
        });
    });
}

/// Whoever connects without a turn of the core, or, in a simulation, where nobody else is, with some.
enum Client {
    Foreign(std::net::TcpStream),
    Simulated(TcpStream),
}

impl Client {
    async fn connect(address: SocketAddr) -> Client {
        match krug_tests::driver() {
            krug::runtime::Driver::Sim => {
                Client::Simulated(TcpStream::connect(address).await.unwrap())
            }
            _ => Client::Foreign(std::net::TcpStream::connect(address).unwrap()),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        match self {
            Client::Foreign(stream) => stream.local_addr().unwrap(),
            Client::Simulated(stream) => stream.local_addr().unwrap(),
        }
    }
}

#[test]
fn bug_069_a_listener_that_has_served_lets_go_of_its_port() {
    run_alone(|runtime| {
        runtime.block_on(async {
            // Without `SO_REUSEADDR`, and on an address of its own, as above.
            let socket = TcpSocket::new().bind("127.69.0.2:0").unwrap();
            let first = socket.listen(16).await.unwrap();
            let address = first.local_addr().unwrap();
            first.close().await.unwrap();
            let socket = TcpSocket::new().bind(address).unwrap();
            for round in 0..1000 {
                let listener = socket.listen(16).await.unwrap();
                let accepting = async { listener.accept().await.unwrap() };
                let connecting = async { TcpStream::connect(address).await.unwrap() };
                let (server, client) = krug::join!(accepting, connecting);
                // The client closes first: it is at its port, not at ours, that TCP remembers a connection for a minute (TIME_WAIT).
                client.close().await.unwrap();
                assert_eq!(server.read(vec![0; 1]).await.0.unwrap(), 0);
                server.close().await.unwrap();
                // With an accept in flight, and without.
                if round % 2 == 0 {
                    let mut accept = pin!(listener.accept());
                    assert!(poll_once(accept.as_mut()).await.is_pending());
                    turns(round % 3).await;
                }
                assert!(listener.close().await.unwrap().is_empty());
            }
        });
    });
}

#[test]
fn bug_001_an_accept_dropped_in_any_state_loses_no_connection() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            for (before, after) in
                (0..4).flat_map(|before| (0..6).map(move |after| (before, after)))
            {
                let mut accept = Box::pin(listener.accept());
                if before > 0 {
                    assert!(poll_once(accept.as_mut()).await.is_pending());
                    turns(before - 1).await;
                }
                let client = Client::connect(address).await;
                turns(after).await;
                drop(accept);
                let server = listener.accept().await.unwrap();
                assert_eq!(server.peer_addr().unwrap(), client.local_addr());
            }
        });
    });
}

#[test]
fn bug_002_a_connection_that_comes_while_the_core_is_busy_is_not_lost() {
    krug_tests::needs_a_kernel!("its peers act while the core stands still");
    run_alone(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            for _ in 0..50 {
                let mut accept = Box::pin(listener.accept());
                assert!(poll_once(accept.as_mut()).await.is_pending());
                turns(2).await;
                // The core does not turn between the connection and the drop.
                let mut client = std::net::TcpStream::connect(address).unwrap();
                drop(accept);
                let server = listener.accept().await.unwrap();
                client.write_all(b"here").unwrap();
                let (result, buf) = server.read_exact(vec![0; 4]).await;
                result.unwrap();
                assert_eq!(buf, b"here");
            }
        });
    });
}

#[test]
fn acceptors_are_served_in_the_order_in_which_they_came() {
    run(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            let listener = Rc::new(listener);
            let mut acceptors = Vec::new();
            for _ in 0..3 {
                let listener = listener.clone();
                acceptors.push(krug::spawn(async move { listener.accept().await.unwrap() }));
                turns(2).await;
            }
            let left = acceptors.remove(1);
            left.abort();
            assert!(left.await.is_err());
            for acceptor in acceptors {
                assert!(!acceptor.is_finished(), "out of turn");
                let client = TcpStream::connect(address).await.unwrap();
                let server = acceptor.await.unwrap();
                assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
            }
        });
    });
}

#[test]
fn an_acceptor_dropped_when_it_is_its_turn_passes_it_on() {
    run(|runtime| {
        runtime.block_on(async {
            let (listener, address) = armed_listener().await;
            let mut first = Box::pin(listener.accept());
            assert!(poll_once(first.as_mut()).await.is_pending());
            let (accepted, client) = krug::join!(listener.accept(), async {
                let client = TcpStream::connect(address).await.unwrap();
                turns(5).await;
                drop(first);
                client
            });
            let peer = accepted.unwrap().peer_addr().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        });
    });
}

#[test]
fn connections_come_as_a_stream() {
    run(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut incoming = listener.incoming();
            for _ in 0..3 {
                let next = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx));
                let (accepted, client) = krug::join!(next, TcpStream::connect(address));
                let peer = accepted.unwrap().unwrap().peer_addr().unwrap();
                assert_eq!(peer, client.unwrap().local_addr().unwrap());
            }
        });
    });
}

/// Closes with a reset instead of an end.
fn reset(client: std::net::TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option takes a `linger` of this length, and copies it.
    let set = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            length,
        )
    };
    assert_eq!(set, 0);
}

#[test]
fn a_connection_that_was_reset_while_it_waited_is_returned_and_says_so() {
    krug_tests::needs_a_kernel!("the other side is a socket or a pipe of the standard library's");
    run_alone(|runtime| {
        runtime.block_on(async {
            for is_armed in [false, true] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                if is_armed {
                    assert!(times_out(listener.accept()).await);
                }
                reset(std::net::TcpStream::connect(address).unwrap());
                let client = std::net::TcpStream::connect(address).unwrap();
                let gone = listener.accept().await.unwrap();
                assert_eq!(
                    gone.peer_addr().unwrap_err().kind(),
                    io::ErrorKind::NotConnected
                );
                let (result, _) = gone.read(vec![0; 1]).await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
                let server = listener.accept().await.unwrap();
                assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
            }
        });
    });
}

/// Opens descriptors until there are no more.
fn all_descriptors() -> Vec<OwnedFd> {
    let mut taken: Vec<OwnedFd> = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file.into());
    }
    taken
}

#[test]
fn bug_070_without_descriptors_accept_waits_and_does_not_spin() {
    krug_tests::needs_a_kernel!("it runs in a process of its own, with limits of the kernel's");
    if passes_in_a_process_of_its_own("bug_070_without_descriptors_accept_waits_and_does_not_spin")
    {
        return;
    }
    let limit = libc::rlimit {
        rlim_cur: 64,
        rlim_max: 64,
    };
    // SAFETY: reads the limit that it is given, for this process alone.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0);
    run(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut clients: Vec<_> = (0..3)
                .map(|_| std::net::TcpStream::connect(address).unwrap())
                .collect();
            let taken = all_descriptors();
            let before = runtime.metrics();
            let wait = patient(Duration::from_millis(100));
            assert!(timeout(wait, listener.accept()).await.is_err());
            let tried = runtime.metrics().operations - before.operations;
            // After 10 ms, 20 ms, 40 ms, …
            let most = 3 + u64::from((wait.as_millis() / 10).ilog2());
            assert!((2..=most).contains(&tried), "{tried} accepts in {wait:?}");
            let (accepted, ()) = krug::join!(listener.accept(), async {
                sleep(SHORT).await;
                drop(taken);
            });
            let mut servers = vec![accepted.unwrap()];
            for _ in 1..3 {
                servers.push(listener.accept().await.unwrap());
            }
            for server in servers {
                server.write_all("welcome").await.0.unwrap();
            }
            for client in &mut clients {
                let mut buf = [0; 7];
                client.read_exact(&mut buf).unwrap();
                assert_eq!(&buf, b"welcome");
            }
        });
    });
}

#[test]
fn bug_066_nothing_staged_hits_a_descriptor_that_is_used_anew() {
    run_alone(|runtime| {
        runtime.block_on(async {
            for round in 0..iterations(300) {
                let (one, other) = UnixStream::pair().unwrap();
                let mut shutdown = Box::pin(one.shutdown(Shutdown::Both));
                assert!(poll_once(shutdown.as_mut()).await.is_pending());
                turns(round % 3).await;
                drop(shutdown);
                drop((one, other));
                turns(round % 5).await;
                // Takes the numbers that have just been freed, or are about to be.
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let (accepted, client) =
                    krug::join!(listener.accept(), TcpStream::connect(address));
                let (server, client) = (accepted.unwrap(), client.unwrap());
                client.write_all("alive").await.0.unwrap();
                let (result, buf) = server.read(vec![0; 64]).await;
                assert_eq!(&buf[..result.unwrap()], b"alive");
            }
        });
    });
}

#[test]
fn unix_listeners_say_what_is_wrong_with_a_path() {
    run_alone(|runtime| {
        let folder = disk::folder();
        let path = folder.path().join("socket");
        runtime.block_on(async {
            let long = folder.path().join("x".repeat(120));
            let error = UnixListener::bind(&long).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("107"), "{error}");
            assert_eq!(
                UnixStream::connect(&long).await.unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
            assert_eq!(
                UnixStream::connect(&path).await.unwrap_err().kind(),
                io::ErrorKind::NotFound
            );

            let listener = UnixListener::bind(&path).await.unwrap();
            assert_eq!(listener.local_path().unwrap().as_deref(), Some(&*path));
            let error = UnixListener::bind(&path).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            let (accepted, client) = krug::join!(listener.accept(), UnixStream::connect(&path));
            assert_eq!(
                client.unwrap().peer_path().unwrap().as_deref(),
                Some(&*path)
            );
            assert_eq!(accepted.unwrap().peer_path().unwrap(), None);
            listener.close().await.unwrap();
            let refused = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn unix_listeners_take_abstract_names() {
    run(|runtime| {
        runtime.block_on(async {
            let name = format!("\0krug-tests-{}\0with a zero byte", std::process::id());
            let listener = UnixListener::bind(&name).await.unwrap();
            assert_eq!(
                listener.local_path().unwrap().as_deref(),
                Some(Path::new(&name))
            );
            let error = UnixListener::bind(&name).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            let (accepted, client) = krug::join!(listener.accept(), UnixStream::connect(&name));
            client.unwrap().write_all("no file").await.0.unwrap();
            let (result, buf) = accepted.unwrap().read(vec![0; 64]).await;
            assert_eq!(&buf[..result.unwrap()], b"no file");
            listener.close().await.unwrap();
            // The name is free at once.
            UnixListener::bind(&name)
                .await
                .unwrap()
                .close()
                .await
                .unwrap();
        });
    });
}

#[test]
fn a_pair_of_unix_streams_has_no_names_and_talks_both_ways() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            assert_eq!(
                (one.peer_path().unwrap(), other.peer_path().unwrap()),
                (None, None)
            );
            for (from, to) in [(&one, &other), (&other, &one)] {
                from.write_all("there").await.0.unwrap();
                let (result, buf) = to.read(vec![0; 64]).await;
                assert_eq!(&buf[..result.unwrap()], b"there");
            }
        });
    });
}

#[test]
fn a_unix_connect_waits_for_room_in_a_full_queue() {
    krug_tests::needs_a_kernel!("the other side is a socket or a pipe of the standard library's");
    run_alone(|runtime| {
        let folder = disk::folder();
        let path = folder.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        // SAFETY: a listening socket; this only makes its queue shorter.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        runtime.block_on(async {
            let _first = UnixStream::connect(&path).await.unwrap();
            // Given up while it waits: the socket is closed, nothing comes of it.
            let open = open_descriptors();
            assert!(times_out(UnixStream::connect(&path)).await);
            until("the socket is closed", || open_descriptors() == open).await;
            let before = runtime.metrics();
            let mut second = Box::pin(UnixStream::connect(&path));
            let waiting = timeout(
                Duration::from_millis(30),
                std::future::poll_fn(|cx| second.as_mut().poll(cx)),
            );
            assert!(waiting.await.is_err(), "there was no room");
            let after = runtime.metrics();
            assert!(after.enters - before.enters < 20, "it spins: {after:?}");
            let listener = UnixListener::from_std(listener).unwrap();
            let _server = listener.accept().await.unwrap();
            let (second, third) = krug::join!(second, listener.accept());
            third.unwrap();
            second.unwrap();
        });
    });
}

#[test]
fn a_close_that_is_dropped_goes_on_in_the_background() {
    run(|runtime| {
        runtime.block_on(async {
            let (listener, _) = armed_listener().await;
            let mut close = Box::pin(listener.close());
            let Poll::Pending = poll_once(close.as_mut()).await else {
                panic!("closed before the kernel had let go of it");
            };
            drop(close);
            until("it is closed in the background", || {
                runtime.metrics().sources == 0
            })
            .await;
        });
    });
}
