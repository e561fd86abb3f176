//! What UDP sockets and Unix datagram sockets promise: every datagram that the kernel has handed over arrives
//! once, whole and in order, whatever is dropped meanwhile.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::io::Canceller;
use krug::net::{UdpOptions, UdpSocket, UnixDatagram};
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{
    Random, Tracked, iterations, open_descriptors, passes_in_a_process_of_its_own, poll_once, run,
    run_alone, run_with, times_out, turns, until, with_settings,
};

const SHORT: Duration = Duration::from_millis(2);
/// The longest datagram of UDP over IPv4.
const UDP_MAX: usize = 65_507;

async fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Two sockets that are connected with each other.
async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (one, other) = (udp().await, udp().await);
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

/// Runs the block once on UDP and once on Unix sockets, with two that are connected with each other.
macro_rules! on_each_kind {
    (|$runtime:ident, $one:ident, $other:ident| $body:block) => {
        run(|$runtime| {
            $runtime.block_on(async {
                println!("UDP");
                let ($one, $other) = udp_pair().await;
                $body
                println!("Unix");
                let ($one, $other) = UnixDatagram::pair().unwrap();
                $body
            });
        })
    };
}

macro_rules! recv {
    ($socket:expr) => {{
        let (result, buf) = $socket.recv(Vec::with_capacity(1 << 17)).await;
        assert_eq!(result.unwrap(), buf.len());
        buf
    }};
}

/// Datagrams of a sequence: each begins with its number and goes on with bytes that follow from it.
fn numbered(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..len).map(|position| (number as usize * 31 + position * 7) as u8));
    bytes
}

fn check_numbered(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(
        bytes == numbered(number, bytes.len() - 8),
        "datagram {number} is not what was sent"
    );
    number
}

#[test]
fn datagrams_keep_their_borders_and_name_their_senders() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other, receiver) = (udp().await, udp().await, udp().await);
            let to = receiver.local_addr().unwrap();
            for (sender, text) in [(&one, "first"), (&other, "second"), (&one, "third")] {
                assert_eq!(sender.send_to(text, to).await.0.unwrap(), text.len());
            }
            for (sender, text) in [(&one, "first"), (&other, "second"), (&one, "third")] {
                let (result, buf) = receiver.recv_from(vec![0; 64]).await;
                let from = sender.local_addr().unwrap();
                assert_eq!(
                    (result.unwrap(), buf),
                    ((text.len(), from), text.as_bytes().to_vec())
                );
            }
        });
    });
}

#[test]
fn unix_datagrams_name_their_senders_by_path_if_they_have_one() {
    run(|runtime| {
        runtime.block_on(async {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("receiver");
            let receiver = UnixDatagram::bind(&path).await.unwrap();
            let named = UnixDatagram::bind(place.path().join("sender"))
                .await
                .unwrap();
            let name = format!("\0krug-datagrams-{}-{}", std::process::id(), path.display());
            let hidden = UnixDatagram::bind(&name).await.unwrap();
            let unnamed = UnixDatagram::unbound().await.unwrap();
            for (sender, name) in [
                (&named, Some(place.path().join("sender"))),
                (&hidden, Some(Path::new(&name).to_path_buf())),
                (&unnamed, None),
            ] {
                assert_eq!(sender.local_path().unwrap().as_deref(), name.as_deref());
                assert_eq!(sender.send_to("hello", &path).await.0.unwrap(), 5);
                let (result, buf) = receiver.recv_from(Vec::with_capacity(64)).await;
                let (count, sender) = result.unwrap();
                assert_eq!(
                    (count, &buf[..], sender.as_deref()),
                    (5, &b"hello"[..], name.as_deref())
                );
            }
            // The file stays.
            receiver.close().await.unwrap();
            assert!(path.exists());
            let refused = UnixDatagram::bind(&path).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            let (result, _) = named.send_to("hello", &path).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn an_empty_datagram_is_a_message_and_no_end() {
    on_each_kind!(|runtime, one, other| {
        for _ in 0..3 {
            assert_eq!(one.send("").await.0.unwrap(), 0);
        }
        one.send("x").await.0.unwrap();
        for _ in 0..3 {
            assert_eq!(recv!(other), b"");
        }
        assert_eq!(recv!(other), b"x");
        // Also one that comes for a receive that was dropped.
        assert!(times_out(other.recv(vec![0; 9])).await);
        one.send("").await.0.unwrap();
        one.send("y").await.0.unwrap();
        assert_eq!(recv!(other), b"");
        assert_eq!(recv!(other), b"y");
        assert!(runtime.metrics().adopted > 0);
    });
}

#[test]
fn a_datagram_is_cut_to_the_buffer_which_recv_message_tells() {
    on_each_kind!(|_runtime, one, other| {
        for _ in 0..4 {
            one.send("0123456789").await.0.unwrap();
        }
        one.send("next").await.0.unwrap();
        let (result, buf) = other.recv_message(vec![0; 4]).await;
        let received = result.unwrap();
        assert!(received.is_truncated());
        assert_eq!(
            (received.count, received.length, &buf[..]),
            (4, 10, &b"0123"[..])
        );
        let (result, buf) = other.recv_message(Vec::with_capacity(10)).await;
        let received = result.unwrap();
        assert!(!received.is_truncated());
        assert_eq!(
            (received.count, received.length, &buf[..]),
            (10, 10, &b"0123456789"[..])
        );
        // Without any room, too, it is a receive, and takes the datagram away.
        let (result, _) = other.recv_message(Vec::new()).await;
        let received = result.unwrap();
        assert_eq!((received.count, received.length), (0, 10));
        let (result, buf) = other
            .recv(Box::<[u8]>::from(*b"abcdefgh").slice_to(3))
            .await;
        assert_eq!(
            (result.unwrap(), &buf.into_inner()[..]),
            (3, &b"012defgh"[..])
        );
        assert_eq!(recv!(other), b"next");
    });
}

trait SliceTo: krug::buf::IoBuf + Sized {
    fn slice_to(self, end: usize) -> krug::buf::Slice<Self> {
        self.slice(..end)
    }
}

impl SliceTo for Box<[u8]> {}

#[test]
fn the_longest_datagrams_arrive_and_longer_ones_are_an_error() {
    run(|runtime| {
        runtime.block_on(async {
            let random = Random::new();
            let (one, other) = udp_pair().await;
            let sent = random.bytes(UDP_MAX);
            assert_eq!(one.send(sent.clone()).await.0.unwrap(), UDP_MAX);
            assert!(recv!(other) == sent);
            let (result, buf) = one.send(vec![1; UDP_MAX + 1]).await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
            assert_eq!(buf.len(), UDP_MAX + 1);

            let (one, other) = UnixDatagram::pair().unwrap();
            for len in [1 << 16, 100_000] {
                let sent = random.bytes(len);
                assert_eq!(one.send(sent.clone()).await.0.unwrap(), len);
                assert!(recv!(other) == sent);
            }
            let (result, _) = one.send(vec![1; 64 << 20]).await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        });
    });
}

#[test]
fn a_datagram_for_a_dropped_receive_goes_to_the_next_with_its_sender() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other, receiver) = (udp().await, udp().await, udp().await);
            let to = receiver.local_addr().unwrap();
            for round in 0..50 {
                assert!(times_out(receiver.recv_from(vec![0; 1000])).await);
                one.send_to(numbered(round, 20), to).await.0.unwrap();
                other.send_to(numbered(round, 30), to).await.0.unwrap();
                until("the first is adopted", || {
                    runtime.metrics().adopted == round + 1
                })
                .await;
                for (sender, len) in [(&one, 20), (&other, 30)] {
                    let (result, buf) = receiver.recv_from(vec![0; 1000]).await;
                    assert_eq!(result.unwrap(), (len + 8, sender.local_addr().unwrap()));
                    assert_eq!(buf, numbered(round, len));
                }
            }
        });
    });
}

#[test]
fn a_datagram_for_a_dropped_receive_was_cut_to_its_buffer_and_says_so() {
    on_each_kind!(|runtime, one, other| {
        let before = runtime.metrics().adopted;
        assert!(times_out(other.recv(vec![0; 4])).await);
        one.send("0123456789").await.0.unwrap();
        until("it is adopted", || runtime.metrics().adopted == before + 1).await;
        // Looking at it leaves it there.
        for len in [2, 9] {
            let (result, buf) = other.peek(Vec::with_capacity(len)).await;
            assert_eq!(
                (result.unwrap(), &buf[..]),
                (len.min(4), &b"0123"[..len.min(4)])
            );
        }
        let (result, buf) = other.recv_message(vec![0; 64]).await;
        let received = result.unwrap();
        assert!(received.is_truncated());
        assert_eq!(
            (received.count, received.length, &buf[..]),
            (4, 10, &b"0123"[..])
        );
    });
}

#[test]
fn a_peek_leaves_the_datagram_there_whole() {
    on_each_kind!(|runtime, one, other| {
        // Begun before the datagram comes, and after.
        let submitted = runtime.metrics().operations;
        let peek = other.peek_from(vec![0; 3]);
        let (peeked, sent) = krug::join!(peek, one.send("0123456789"));
        assert_eq!(sent.0.unwrap(), 10);
        assert_eq!((peeked.0.unwrap().0, &peeked.1[..]), (3, &b"012"[..]));
        for len in [1, 5, 64] {
            let (result, buf) = other.peek(Vec::with_capacity(len)).await;
            let count = len.min(10);
            assert_eq!(
                (result.unwrap(), &buf[..]),
                (count, &b"0123456789"[..count])
            );
        }
        assert_eq!(runtime.metrics().operations, submitted + 5);
        assert_eq!(recv!(other), b"0123456789");
        // A dropped one takes nothing either.
        assert!(times_out(other.peek(vec![0; 3])).await);
        one.send("after").await.0.unwrap();
        assert_eq!(recv!(other), b"after");
    });
}

#[test]
fn a_refused_datagram_is_an_error_once() {
    run(|runtime| {
        runtime.block_on(async {
            for is_dropped in [false, true] {
                let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                let address = gone.local_addr().unwrap();
                let socket = udp().await;
                socket.connect(address).await.unwrap();
                assert_eq!(socket.peer_addr().unwrap(), address);
                drop(gone);
                if is_dropped {
                    // The error of a dropped receive is for the next one.
                    assert!(times_out(socket.recv(vec![0; 9])).await);
                }
                let alive = runtime.metrics().operations_alive;
                socket.send("anybody there?").await.0.unwrap();
                if is_dropped {
                    until("the answer has come", || {
                        runtime.metrics().operations_alive < alive
                    })
                    .await;
                }
                let (result, _) = socket.recv(vec![0; 9]).await;
                let refused = result.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
                // It does not stay.
                let now_there = std::net::UdpSocket::bind(address).unwrap();
                socket.send("and now?").await.0.unwrap();
                let mut buf = [0; 64];
                let (count, from) = now_there.recv_from(&mut buf).unwrap();
                assert_eq!(&buf[..count], b"and now?");
                now_there.send_to(b"yes", from).unwrap();
                assert_eq!(recv!(socket), b"yes");
            }
        });
    });
}

#[test]
fn a_connected_socket_hears_nobody_else() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let stranger = udp().await;
            let to = other.local_addr().unwrap();
            stranger.send_to("psst", to).await.0.unwrap();
            one.send("hello").await.0.unwrap();
            assert_eq!(recv!(other), b"hello");
            assert!(times_out(other.recv(vec![0; 9])).await);
            // Until it is connected with him.
            other.connect(stranger.local_addr().unwrap()).await.unwrap();
            stranger.send_to("psst", to).await.0.unwrap();
            assert_eq!(recv!(other), b"psst");
            other.send("yes?").await.0.unwrap();
            assert_eq!(recv!(stranger), b"yes?");
        });
    });
}

#[test]
fn without_a_receiver_a_send_errs_and_gives_the_buffer_back() {
    run(|runtime| {
        runtime.block_on(async {
            let (result, buf) = udp().await.send(b"to whom?".to_vec()).await;
            let errno = result.unwrap_err().raw_os_error();
            assert_eq!(
                (errno, &buf[..]),
                (Some(libc::EDESTADDRREQ), &b"to whom?"[..])
            );
            let (result, buf) = udp().await.send_to(b"where?".to_vec(), "localhost:1").await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(buf, b"where?");
            let socket = UnixDatagram::unbound().await.unwrap();
            let (result, _) = socket.send("to whom?").await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotConnected);
            let (result, _) = socket.send_to("where?", "/no/such/socket").await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
            let (result, _) = socket.send_to("where?", "x".repeat(200)).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            let refused = socket.connect("/no/such/socket").await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NotFound);
            assert_eq!(
                socket.peer_path().unwrap_err().kind(),
                io::ErrorKind::NotConnected
            );
        });
    });
}

#[test]
fn sends_of_many_tasks_leave_in_the_order_in_which_they_began() {
    on_each_kind!(|_runtime, one, other| {
        let one = Rc::new(one);
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let one = one.clone();
                krug::spawn(async move { one.send(numbered(number, 9)).await.0.unwrap() })
            })
            .collect();
        for number in 0..100 {
            assert_eq!(check_numbered(&recv!(other)), number);
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 17);
        }
    });
}

#[test]
fn a_send_waits_until_the_receiver_has_room() {
    run(|runtime| {
        runtime.block_on(async {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("receiver");
            let receiver = UnixDatagram::bind(&path).await.unwrap();
            for is_connected in [true, false] {
                let sender = Rc::new(UnixDatagram::unbound().await.unwrap());
                if is_connected {
                    sender.connect(&path).await.unwrap();
                }
                let (sending, to) = (sender.clone(), path.clone());
                let task = krug::spawn(async move {
                    for number in 0..2000 {
                        let bytes = numbered(number, 100);
                        let (result, _) = match is_connected {
                            true => sending.send(bytes).await,
                            false => sending.send_to(bytes, &to).await,
                        };
                        result.unwrap();
                    }
                });
                turns(100).await;
                sleep(SHORT).await;
                assert!(!task.is_finished(), "so much should not fit");
                for number in 0..2000 {
                    assert_eq!(check_numbered(&recv!(receiver)), number);
                }
                task.await.unwrap();
            }
        });
    });
}

/// Sends numbered datagrams while receives of all kinds, peeks among them, are dropped at random moments.
#[test]
fn every_unix_datagram_arrives_once_and_in_order_while_receives_time_out_at_random() {
    let total = iterations(20_000) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let random = Rc::new(Random::new());
            let (one, other) = UnixDatagram::pair().unwrap();
            let dice = random.clone();
            let sender = krug::spawn(async move {
                for number in 0..total {
                    let longest = if dice.below(50) == 0 { 60_000 } else { 200 };
                    one.send(numbered(number, dice.below(longest)))
                        .await
                        .0
                        .unwrap();
                    if dice.below(20) == 0 {
                        sleep(dice.micros(300)).await;
                    }
                }
            });
            let (mut expected, mut dropped) = (0, 0);
            while expected < total {
                let patience = random.micros(150);
                match random.below(4) {
                    0 => match timeout(patience, other.peek(vec![0; 1 << 16])).await {
                        Ok((result, buf)) => {
                            result.unwrap();
                            assert_eq!(check_numbered(&buf), expected);
                        }
                        Err(_) => dropped += 1,
                    },
                    1 => {
                        let mut recv = Box::pin(other.recv(vec![0; 1 << 16]));
                        if poll_once(recv.as_mut()).await.is_pending() {
                            turns(random.below(3)).await;
                            dropped += 1;
                        } else {
                            expected += 1;
                        }
                    }
                    _ => match timeout(patience, other.recv_from(vec![0; 1 << 16])).await {
                        Ok((result, buf)) => {
                            assert_eq!(result.unwrap().0, buf.len());
                            assert_eq!(check_numbered(&buf), expected);
                            expected += 1;
                        }
                        Err(_) => dropped += 1,
                    },
                }
            }
            sender.await.unwrap();
            assert!(
                times_out(other.recv(vec![0; 1])).await,
                "more than was sent"
            );
            println!(
                "{dropped} were dropped, {} adopted",
                runtime.metrics().adopted
            );
            assert!(runtime.metrics().adopted > 0);
        });
    });
}

/// A dropped send has sent all of its datagram or nothing; one that resolved has sent it.
#[test]
fn a_dropped_send_sends_its_datagram_whole_or_not_at_all() {
    let total = iterations(5_000) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let random = Rc::new(Random::new());
            let (one, other) = UnixDatagram::pair().unwrap();
            let dice = random.clone();
            let sender = krug::spawn(async move {
                let mut sent = Vec::new();
                for number in 0..total {
                    let bytes = numbered(number, dice.below(2000));
                    let is_sent = if dice.below(2) == 0 {
                        one.send(bytes).await.0.unwrap();
                        true
                    } else {
                        let sending = timeout(dice.micros(50), one.send(bytes)).await;
                        sending.is_ok_and(|(result, _)| result.is_ok())
                    };
                    sent.push(is_sent);
                }
                one.send("end").await.0.unwrap();
                sent
            });
            let mut arrived = Vec::new();
            loop {
                if random.below(3) == 0 {
                    sleep(random.micros(200)).await;
                }
                let bytes = recv!(other);
                if bytes == b"end" {
                    break;
                }
                arrived.push(check_numbered(&bytes));
            }
            let sent = sender.await.unwrap();
            assert!(
                arrived.is_sorted_by(|one, next| one < next),
                "in order, each once"
            );
            for (number, is_sent) in sent.iter().enumerate() {
                let has_arrived = arrived.binary_search(&(number as u64)).is_ok();
                assert!(
                    has_arrived || !is_sent,
                    "datagram {number} was sent and is lost"
                );
            }
            let dropped = sent.iter().filter(|sent| !**sent).count();
            println!("{dropped} dropped, {} of {total} arrived", arrived.len());
            assert!(dropped > 0);
        });
    });
}
