//! What UDP sockets and Unix datagram sockets promise: every datagram that the kernel has handed over arrives
//! once, whole and in order, whatever is dropped meanwhile.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::Runtime;
use krug::io::Canceller;
use krug::net::{UdpOptions, UdpSocket, UnixDatagram};
use krug::runtime::Faults;
use krug::time::{sleep, timeout};
use krug_tests::{
    Random, Tracked, disk, is_without, iterations, open_descriptors,
    passes_in_a_process_of_its_own, poll_once, run, run_alone, run_with, times_out, turns, until,
    with_settings,
};

krug_tests::on_every_driver!();
krug_tests::in_hardship_too!(Refused(All, libc::EPERM));

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
            let place = disk::folder();
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
            assert!(disk::exists(&path));
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
                let gone = udp().await;
                let address = gone.local_addr().unwrap();
                let socket = udp().await;
                socket.connect(address).await.unwrap();
                assert_eq!(socket.peer_addr().unwrap(), address);
                gone.close().await.unwrap();
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
                let now_there = UdpSocket::bind(address).await.unwrap();
                socket.send("and now?").await.0.unwrap();
                let (received, buf) = now_there.recv_from(vec![0; 64]).await;
                let (count, from) = received.unwrap();
                assert_eq!(&buf[..count], b"and now?");
                now_there.send_to("yes", from).await.0.unwrap();
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
            let place = disk::folder();
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
                // It sleeps until there is room: nothing is tried in vain.
                let before = runtime.metrics().submitted;
                sleep(SHORT).await;
                assert_eq!(runtime.metrics().submitted, before);
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

#[test]
fn a_send_that_waits_for_room_goes_out_whole_although_it_was_dropped() {
    run(|runtime| {
        runtime.block_on(async {
            let place = disk::folder();
            let path = place.path().join("receiver");
            let receiver = UnixDatagram::bind(&path).await.unwrap();
            let sender = UnixDatagram::unbound().await.unwrap();
            let mut number = 0;
            // The one that finds no room is dropped there.
            while !times_out(sender.send_to(numbered(number, 100), &path)).await {
                number += 1;
            }
            // One behind it that was dropped, too, sends nothing.
            assert!(times_out(sender.send_to(numbered(1 << 40, 100), &path)).await);
            for expected in 0..=number {
                assert_eq!(check_numbered(&recv!(receiver)), expected);
            }
            let last = numbered(number + 1, 100);
            sender.send_to(last, &path).await.0.unwrap();
            assert_eq!(check_numbered(&recv!(receiver)), number + 1);
        });
    });
}

#[test]
fn the_error_of_a_dropped_send_is_dropped_with_it() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let mut send = Box::pin(one.send(vec![1; 64 << 20]));
            assert!(poll_once(send.as_mut()).await.is_pending());
            turns(2).await;
            drop(send);
            one.send("next").await.0.unwrap();
            assert_eq!(recv!(other), b"next");
        });
    });
}

#[test]
fn closing_ends_receives_and_lets_the_send_in_flight_go() {
    run(|runtime| {
        runtime.block_on(async {
            let place = disk::folder();
            let path = place.path().join("receiver");
            let receiver = UnixDatagram::bind(&path).await.unwrap();
            let sender = UnixDatagram::unbound().await.unwrap();
            sender.connect(&path).await.unwrap();
            assert_eq!(sender.peer_path().unwrap().as_deref(), Some(&*path));
            let mut number = 0;
            while !times_out(sender.send(numbered(number, 100))).await {
                number += 1;
            }
            let closing = sender.close();
            let receiving = async {
                for expected in 0..=number {
                    assert_eq!(check_numbered(&recv!(receiver)), expected);
                }
            };
            let (closed, ()) = krug::join!(closing, receiving);
            closed.unwrap();

            // Dropped: the same, in the background.
            let sender = UnixDatagram::unbound().await.unwrap();
            sender.connect(&path).await.unwrap();
            let mut number = 0;
            while !times_out(sender.send(numbered(number, 100))).await {
                number += 1;
            }
            drop(sender);
            for expected in 0..=number {
                assert_eq!(check_numbered(&recv!(receiver)), expected);
            }
            until("it is closed", || runtime.metrics().sources == 1).await;

            // A receive in flight does not keep the socket open.
            assert!(times_out(receiver.recv(vec![0; 9])).await);
            receiver.close().await.unwrap();
            assert_eq!(runtime.metrics().operations_alive, 0);
        });
    });
}

#[test]
fn what_cannot_be_sent_within_the_linger_time_is_given_up() {
    run(|runtime| {
        runtime.block_on(async {
            let place = disk::folder();
            let path = place.path().join("receiver");
            let _deaf = UnixDatagram::bind(&path).await.unwrap();
            for is_connected in [true, false] {
                let sender = UnixDatagram::unbound().await.unwrap();
                sender.connect(&path).await.unwrap();
                sender.set_linger_time(SHORT).unwrap();
                let fill = async {
                    loop {
                        let (result, _) = match is_connected {
                            true => sender.send("x").await,
                            false => sender.send_to("x", &path).await,
                        };
                        result.unwrap();
                    }
                };
                assert!(times_out(fill).await);
                let error = sender.close().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
            }
        });
    });
}

#[test]
fn a_datagram_of_a_receive_that_was_dropped_elsewhere_is_left_over() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let one = std::sync::Arc::new(one);
            let receiver = one.clone();
            let mut receive = Box::pin(async move { receiver.recv(Vec::with_capacity(8)).await });
            assert!(poll_once(receive.as_mut()).await.is_pending());
            other.send("here").await.0.unwrap();
            turns(20).await;
            // It has its datagram, and nobody has asked it. The letter that brings it home is not opened before the next turn.
            std::thread::spawn(move || drop(receive)).join().unwrap();
            let one = std::sync::Arc::try_unwrap(one).unwrap();
            let (_socket, leftovers) = one.into_std().await.unwrap();
            assert_eq!(leftovers.len(), 1);
        });
    });
}

#[test]
fn a_socket_goes_back_to_std_with_what_was_received_for_nobody() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = (udp().await, udp().await);
            let (from, to) = (one.local_addr().unwrap(), other.local_addr().unwrap());
            let (socket, leftovers) = udp().await.into_std().await.unwrap();
            assert!(leftovers.is_empty());
            drop(socket);
            // A receive in flight is ended.
            assert!(times_out(one.recv(vec![0; 9])).await);
            let (one, leftovers) = one.into_std().await.unwrap();
            assert!(leftovers.is_empty());
            assert_eq!(one.local_addr().unwrap(), from);

            assert!(times_out(other.recv_from(vec![0; 4])).await);
            one.send_to(b"0123456789", to).unwrap();
            until("it is adopted", || runtime.metrics().adopted == 1).await;
            one.send_to(b"in the kernel", to).unwrap();
            let (other, leftovers) = other.into_std().await.unwrap();
            let [leftover] = &leftovers[..] else {
                panic!("not one datagram: {leftovers:?}");
            };
            assert_eq!((&leftover.bytes[..], leftover.length), (&b"0123"[..], 10));
            assert_eq!(leftover.sender, from);
            let mut buf = [0; 64];
            assert_eq!(other.recv_from(&mut buf).unwrap(), (13, from));
            // A dropped one closes the socket.
            let other = UdpSocket::from_std(other).unwrap();
            let sources = runtime.metrics().sources;
            assert!(times_out(other.recv(vec![0; 9])).await);
            let mut back = Box::pin(other.into_std());
            assert!(poll_once(back.as_mut()).await.is_pending());
            drop(back);
            until("it is closed", || runtime.metrics().sources == sources - 1).await;
            drop(std::net::UdpSocket::bind(to).unwrap());

            let (one, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
            let one = UnixDatagram::from_std(one).unwrap();
            drop(one.into_std().await.unwrap());
        });
    });
}

#[test]
fn bug_072_sockets_of_std_work_whether_they_block_or_not_and_keep_their_flags() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            for nonblocking in [false, true] {
                let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                std.set_nonblocking(nonblocking).unwrap();
                let (socket, peer) = (UdpSocket::from_std(std).unwrap(), udp().await);
                let (here, there) = (socket.local_addr().unwrap(), peer.local_addr().unwrap());
                let echo = async {
                    let (result, buf) = socket.recv_from(vec![0; 64]).await;
                    let (_, sender) = result.unwrap();
                    socket.send_to(buf, sender).await.0.unwrap();
                };
                let asking = async {
                    turns(3).await;
                    peer.send_to("echo", here).await.0.unwrap();
                    let (result, buf) = peer.recv_from(Vec::with_capacity(64)).await;
                    assert_eq!((result.unwrap(), &buf[..]), ((4, here), &b"echo"[..]));
                };
                krug::join!(echo, asking);
                assert_ne!(here, there);
                let (std, _) = socket.into_std().await.unwrap();
                // SAFETY: asks for the flags of a descriptor that is open.
                let flags =
                    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&std), libc::F_GETFL) };
                assert_eq!(flags & libc::O_NONBLOCK != 0, nonblocking);
            }
        });
    });
}

#[test]
fn bug_073_a_receiver_that_is_gone_is_an_error_and_no_signal() {
    if passes_in_a_process_of_its_own("bug_073_a_receiver_that_is_gone_is_an_error_and_no_signal") {
        return;
    }
    // SAFETY: in a process of its own, to which a signal may happen.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            one.shutdown(Shutdown::Write).await.unwrap();
            let error = one.send("x").await.0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            other.shutdown(Shutdown::Both).await.unwrap();
            let (one, other) = UnixDatagram::pair().unwrap();
            other.shutdown(Shutdown::Read).await.unwrap();
            let error = one.send("x").await.0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            let (one, other) = UnixDatagram::pair().unwrap();
            other.close().await.unwrap();
            let error = one.send("x").await.0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn after_a_shutdown_what_had_arrived_is_received_and_then_nothing() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            one.send("before").await.0.unwrap();
            other.shutdown(Shutdown::Read).await.unwrap();
            assert_eq!(recv!(other), b"before");
            for _ in 0..2 {
                assert_eq!(recv!(other), b"");
            }
            // One that waits is woken by it.
            let (_one, other) = UnixDatagram::pair().unwrap();
            let shutting_down = async {
                turns(3).await;
                other.shutdown(Shutdown::Read).await.unwrap();
            };
            let ((result, _), ()) = krug::join!(other.recv(vec![0; 9]), shutting_down);
            assert_eq!(result.unwrap(), 0);
        });
    });
}

#[test]
fn options_are_set_and_told() {
    run(|runtime| {
        runtime.block_on(async {
            let socket = udp().await;
            for on in [true, false] {
                socket.set_broadcast(on).unwrap();
                assert_eq!(socket.broadcast().unwrap(), on);
                socket.set_multicast_loop_v4(on).unwrap();
                assert_eq!(socket.multicast_loop_v4().unwrap(), on);
            }
            socket.set_ttl(7).unwrap();
            assert_eq!(socket.ttl().unwrap(), 7);
            socket.set_tos(0x28).unwrap();
            assert_eq!(socket.tos().unwrap(), 0x28);
            socket.set_multicast_ttl_v4(3).unwrap();
            assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
            socket.set_receive_buffer_size(1 << 16).unwrap();
            socket.set_send_buffer_size(1 << 16).unwrap();
            assert!(socket.take_error().unwrap().is_none());
            assert_eq!(
                socket.peer_addr().unwrap_err().kind(),
                io::ErrorKind::NotConnected
            );
            socket.close().await.unwrap();

            let Ok(socket) = UdpOptions::new().only_v6(true).bind("[::1]:0").await else {
                return println!("no IPv6 here");
            };
            for on in [true, false] {
                socket.set_multicast_loop_v6(on).unwrap();
                assert_eq!(socket.multicast_loop_v6().unwrap(), on);
            }
            socket.set_hop_limit_v6(9).unwrap();
            assert_eq!(socket.hop_limit_v6().unwrap(), 9);
            socket.set_traffic_class_v6(0x30).unwrap();
            assert_eq!(socket.traffic_class_v6().unwrap(), 0x30);
            socket.set_multicast_hop_limit_v6(4).unwrap();
            assert_eq!(socket.multicast_hop_limit_v6().unwrap(), 4);
            let address = socket.local_addr().unwrap();
            socket.send_to("six", address).await.0.unwrap();
            let (result, buf) = socket.recv_from(vec![0; 9]).await;
            assert_eq!((result.unwrap(), &buf[..3]), ((3, address), &b"six"[..]));
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x4b52);
            assert!(socket.leave_multicast_v6(group, 1).is_err());
            socket.join_multicast_v6(group, 1).unwrap();
            socket.leave_multicast_v6(group, 1).unwrap();
            // An option of the other family is refused.
            assert!(udp().await.set_multicast_hop_limit_v6(4).is_err());
        });
    });
}

#[test]
fn sockets_share_an_address_if_they_are_told_to() {
    run(|runtime| {
        runtime.block_on(async {
            let alone = udp().await;
            let address = alone.local_addr().unwrap();
            let refused = UdpSocket::bind(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            for options in [
                UdpOptions::new().reuse_port(true),
                UdpOptions::new().reuse_address(true),
            ] {
                let first = options.clone().ttl(5).bind("127.0.0.1:0").await.unwrap();
                assert_eq!(first.ttl().unwrap(), 5);
                let second = options.bind(first.local_addr().unwrap()).await.unwrap();
                assert_eq!(second.local_addr().unwrap(), first.local_addr().unwrap());
            }
        });
    });
}

#[test]
fn a_multicast_reaches_all_who_have_joined_until_they_leave() {
    run(|runtime| {
        runtime.block_on(async {
            let group = Ipv4Addr::new(239, 75, 82, 85);
            let here = Ipv4Addr::LOCALHOST;
            let options = UdpOptions::new().reuse_address(true);
            let first = options.bind("0.0.0.0:0").await.unwrap();
            let port = first.local_addr().unwrap().port();
            let second = options
                .bind(("0.0.0.0".parse::<Ipv4Addr>().unwrap(), port))
                .await
                .unwrap();
            // The interface of a multicast is that of the sender's address, if there is no route.
            let sender = udp().await;
            first.join_multicast_v4(group, here).unwrap();
            second.join_multicast_v4(group, here).unwrap();
            let to = SocketAddr::from((group, port));
            if let Err(error) = sender.send_to("to all", to).await.0 {
                return println!("no multicast here: {error}");
            }
            assert_eq!(
                (recv!(first), recv!(second)),
                (b"to all".to_vec(), b"to all".to_vec())
            );
            // One member on the machine is enough for all who listen at every address.
            second.leave_multicast_v4(group, here).unwrap();
            sender.send_to("to one", to).await.0.unwrap();
            assert_eq!(recv!(first), b"to one");
            assert_eq!(recv!(second), b"to one");
            first.leave_multicast_v4(group, here).unwrap();
            drop(sender.send_to("to nobody", to).await);
            assert!(times_out(first.recv(vec![0; 9])).await);
        });
    });
}

#[test]
fn a_cancelled_receive_gives_its_buffer_back_and_loses_nothing() {
    on_each_kind!(|_runtime, one, other| {
        let canceller = Canceller::new();
        let receiving = canceller.scope(other.recv(Vec::with_capacity(1 << 20)));
        let stopping = async {
            turns(3).await;
            canceller.cancel();
        };
        let ((result, buf), ()) = krug::join!(receiving, stopping);
        assert!(Canceller::was_cancelled(&result.unwrap_err()));
        assert_eq!(buf.capacity(), 1 << 20);
        one.send("later").await.0.unwrap();
        assert_eq!(recv!(other), b"later");
    });
}

#[test]
fn any_ring_carries_the_datagrams_of_many_sockets() {
    for entries in [1, 2, 4, 8] {
        run_with(
            |builder| builder.entries(entries),
            |runtime| {
                runtime.block_on(async {
                    let mut tasks = Vec::new();
                    for socket in 0..40 {
                        let (one, other) = UnixDatagram::pair().unwrap();
                        tasks.push(krug::spawn(async move {
                            for number in 0..50 {
                                let bytes = numbered(number, socket);
                                assert_eq!(one.send(bytes).await.0.unwrap(), 8 + socket);
                            }
                        }));
                        tasks.push(krug::spawn(async move {
                            for number in 0..50 {
                                let mut received = None;
                                if number % 7 == 3 {
                                    // A datagram that is there already may win against no time.
                                    received = timeout(Duration::ZERO, other.recv(vec![0; 64]))
                                        .await
                                        .ok()
                                        .map(|(result, mut buf)| {
                                            buf.truncate(result.unwrap());
                                            buf
                                        });
                                }
                                let received = match received {
                                    Some(datagram) => datagram,
                                    None => recv!(other),
                                };
                                assert_eq!(check_numbered(&received), number);
                            }
                        }));
                    }
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            },
        );
    }
}

#[test]
fn sockets_that_come_and_go_leave_no_descriptor() {
    run_alone(|runtime| {
        runtime.block_on(async {
            let place = disk::folder();
            let path = place.path().join("receiver");
            let before = open_descriptors();
            for round in 0..100 {
                let (one, other) = udp_pair().await;
                let mut recv = Box::pin(one.recv(vec![0; 9]));
                assert!(poll_once(recv.as_mut()).await.is_pending());
                turns(round % 3).await;
                drop(recv);
                other.send("x").await.0.unwrap();
                drop((one, other));
                drop(disk::remove_file(&path));
                let receiver = UnixDatagram::bind(&path).await.unwrap();
                let sender = UnixDatagram::unbound().await.unwrap();
                sender.set_linger_time(Duration::ZERO).unwrap();
                // The last of them waits with a helper.
                while !times_out(sender.send_to("x", &path)).await {}
                drop((receiver, sender));
                drop(UdpSocket::bind("300.0.0.1:1").await.unwrap_err());
                let mut bind = Box::pin(UdpSocket::bind("127.0.0.1:0"));
                drop(poll_once(bind.as_mut()).await);
            }
            until("all are closed", || runtime.metrics().sources == 0).await;
            until("all descriptors are closed", || {
                open_descriptors() == before
            })
            .await;
        });
    });
}

#[test]
fn sent_descriptors_that_nobody_takes_are_closed() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run_alone(|runtime| {
        runtime.block_on(async {
            let (one, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
            let other = UnixDatagram::from_std(other).unwrap();
            let before = open_descriptors();
            for is_dropped in [false, true] {
                if is_dropped {
                    assert!(times_out(other.recv(vec![0; 9])).await);
                }
                send_with_descriptor(&one, b"with a descriptor");
                assert_eq!(recv!(other).len(), if is_dropped { 9 } else { 17 });
                assert_eq!(open_descriptors(), before);
            }
        });
    });
}

/// `sendmsg` with the socket's own descriptor as ancillary data.
fn send_with_descriptor(socket: &std::os::unix::net::UnixDatagram, bytes: &[u8]) {
    let fd = std::os::fd::AsRawFd::as_raw_fd(socket);
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut room = [0_u64; 8];
    // SAFETY: all zeros are a valid header; what is put into it outlives the call, and the room for one descriptor is
    // as large as the macros say.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(4) as usize;
        let control = libc::CMSG_FIRSTHDR(&raw const header);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(control).cast::<i32>().write_unaligned(fd);
        let sent = libc::sendmsg(fd, &raw const header, 0);
        assert_eq!(sent, bytes.len() as isize);
    }
}

#[test]
fn outside_a_runtime_nothing_begins_and_the_buffer_comes_back() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        let (one, other) = runtime.block_on(udp_pair());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut recv = pin!(one.recv(b"mine".to_vec()));
        let std::task::Poll::Ready((Err(error), buf)) = recv.as_mut().poll(&mut cx) else {
            panic!("a receive outside a runtime did something");
        };
        assert!(error.to_string().contains("block_on"), "{error}");
        assert_eq!(buf, b"mine");
        let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(UdpSocket::from_std(std).is_err());
        assert!(UnixDatagram::pair().is_err());
        drop(runtime);
        let error = other.local_addr().unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
    });
}

#[test]
fn bug_027_headers_of_dropped_receives_are_not_used_again_before_the_kernel_is_done() {
    run(|runtime| {
        runtime.block_on(async {
            let sender = udp().await;
            let mut sockets = Vec::new();
            let mut tracks = Vec::new();
            for _ in 0..100 {
                let socket = udp().await;
                let (buf, track) = Tracked::new(vec![0xaa; 64]);
                let mut recv = Box::pin(socket.recv_from(buf));
                assert!(poll_once(recv.as_mut()).await.is_pending());
                turns(1).await;
                drop(recv);
                assert!(!track.is_dropped(), "the kernel may still write there");
                sockets.push(socket);
                tracks.push(track);
            }
            // Other operations take headers meanwhile.
            let (one, other) = (udp().await, udp().await);
            for number in 0..200 {
                let to = other.local_addr().unwrap();
                one.send_to(numbered(number, 10), to).await.0.unwrap();
                let (result, buf) = other.recv_from(vec![0; 64]).await;
                assert_eq!(result.unwrap().1, one.local_addr().unwrap());
                assert_eq!(check_numbered(&buf), number);
            }
            for (number, socket) in sockets.iter().enumerate() {
                let to = socket.local_addr().unwrap();
                sender
                    .send_to(numbered(number as u64, 10), to)
                    .await
                    .0
                    .unwrap();
            }
            for (number, socket) in sockets.iter().enumerate() {
                let (result, buf) = socket.recv_from(vec![0; 64]).await;
                assert_eq!(result.unwrap().1, sender.local_addr().unwrap());
                assert_eq!(check_numbered(&buf), number as u64);
            }
            assert!(tracks.iter().all(|track| track.is_dropped()));
        });
    });
}

/// An exchange whose result does not depend on what the kernel answers on the way.
async fn conversation() -> Vec<Vec<u8>> {
    let (one, other) = UnixDatagram::pair().unwrap();
    let place = disk::folder();
    let path = place.path().join("receiver");
    let bound = UnixDatagram::bind(&path).await.unwrap();
    let mut heard = Vec::new();
    for number in 0..6 {
        if number % 2 == 1 {
            assert!(times_out(other.recv(vec![0; 64])).await);
        }
        one.send(numbered(number, 5)).await.0.unwrap();
        heard.push(recv!(other));
        other.send_to(numbered(number, 7), &path).await.0.unwrap();
        let (result, buf) = bound.recv_from(vec![0; 64]).await;
        assert_eq!(result.unwrap().1, None);
        heard.push(buf);
    }
    heard
}

#[test]
fn a_conversation_notices_no_fault_at_any_operation() {
    let calm = Faults::new();
    let program = |faults: &Faults| {
        let heard = std::cell::RefCell::default();
        run_with(
            |builder| builder.faults(faults.clone()).entries(4),
            |runtime| drop(heard.replace(runtime.block_on(conversation()))),
        );
        heard.into_inner()
    };
    let expected = program(&calm);
    assert!(calm.operations() >= 24);
    let mut happened = 0;
    for nth in 1..=calm.operations() {
        for errno in [libc::EAGAIN, libc::EINTR, libc::ENOBUFS] {
            let faults = Faults::new().operation(nth, errno);
            assert_eq!(
                program(&faults),
                expected,
                "operation {nth} answers {errno}"
            );
            happened += usize::from(faults.pending() == 0);
        }
    }
    assert!(happened >= 60, "{happened}");
}

#[test]
fn a_receive_that_is_dropped_or_awaited_on_another_core_loses_nothing() {
    run(|runtime| {
        runtime.block_on(async {
            let (one, other) = udp_pair().await;
            let other = std::sync::Arc::new(other);
            for is_awaited in [false, true] {
                let receiver = other.clone();
                let mut recv = Box::pin(async move { receiver.recv_from(vec![0; 64]).await });
                assert!(poll_once(recv.as_mut()).await.is_pending());
                turns(2).await;
                let away = std::thread::spawn(move || {
                    let away = krug::Runtime::new().unwrap();
                    if is_awaited {
                        let (result, buf) = away.block_on(recv);
                        assert_eq!(&buf[..result.unwrap().0], b"over there");
                    } else {
                        away.block_on(async { drop(recv) });
                    }
                });
                if is_awaited {
                    one.send("over there").await.0.unwrap();
                }
                until("the other core is done", || away.is_finished()).await;
                away.join().unwrap();
                if !is_awaited {
                    one.send("back at home").await.0.unwrap();
                    one.send("and one more").await.0.unwrap();
                    assert_eq!(recv!(other), b"back at home");
                    assert_eq!(recv!(other), b"and one more");
                }
            }
        });
    });
}

fn cannot_receive_ahead(runtime: &Runtime) -> bool {
    let has = runtime.capabilities().receive_multishot;
    is_without("receive that goes on", has)
}

/// A socket that receives ahead, another one, and the address of the first.
async fn ahead_and_sender() -> (UdpSocket, UdpSocket, SocketAddr) {
    let options = UdpOptions::new().receive_ahead(true);
    let socket = options.bind("127.0.0.1:0").await.unwrap();
    let to = socket.local_addr().unwrap();
    (socket, udp().await, to)
}

#[test]
fn datagrams_received_ahead_come_in_one_turn_with_borders_and_senders() {
    run(|runtime| {
        if cannot_receive_ahead(runtime) {
            return;
        }
        runtime.block_on(async {
            let (socket, sender, to) = ahead_and_sender().await;
            let mut recv = Box::pin(socket.recv_from(vec![0; 64]));
            assert!(poll_once(recv.as_mut()).await.is_pending());
            turns(2).await;
            for number in 0..20 {
                sender
                    .send_to(numbered(number, number as usize), to)
                    .await
                    .0
                    .unwrap();
            }
            turns(2).await;
            let before = runtime.metrics();
            let (result, buf) = recv.await;
            assert_eq!(result.unwrap(), (8, sender.local_addr().unwrap()));
            assert_eq!(check_numbered(&buf), 0);
            for number in 1..20 {
                let (result, buf) = socket.recv_from(Vec::with_capacity(64)).await;
                assert_eq!(
                    result.unwrap(),
                    (8 + number as usize, sender.local_addr().unwrap())
                );
                assert_eq!(check_numbered(&buf), number);
            }
            assert_eq!(runtime.metrics().operations, before.operations);
            assert_eq!(runtime.metrics().enters, before.enters);
        });
    });
}

#[test]
fn receiving_ahead_knows_empty_long_cut_and_peeked_datagrams() {
    run(|runtime| {
        runtime.block_on(async {
            let (socket, sender, to) = ahead_and_sender().await;
            let long = Random::new().bytes(UDP_MAX);
            for _ in 0..3 {
                for bytes in [&b""[..], &long, b"0123456789", b"", b"peeked", b"last"] {
                    sender.send_to(bytes.to_vec(), to).await.0.unwrap();
                }
                assert_eq!(recv!(socket), b"");
                assert!(recv!(socket) == long, "the longest datagram is whole");
                let (result, buf) = socket.recv_message(vec![0; 4]).await;
                let received = result.unwrap();
                assert_eq!(
                    (received.count, received.length, &buf[..]),
                    (4, 10, &b"0123"[..])
                );
                assert_eq!(recv!(socket), b"");
                for len in [3, 9] {
                    let (result, buf) = socket.peek_from(Vec::with_capacity(len)).await;
                    let count = len.min(6);
                    assert_eq!(result.unwrap(), (count, sender.local_addr().unwrap()));
                    assert_eq!(&buf[..], &b"peeked"[..count]);
                }
                assert_eq!(recv!(socket), b"peeked");
                assert_eq!(recv!(socket), b"last");
            }
        });
    });
}

#[test]
fn every_datagram_received_ahead_arrives_once_and_in_order_while_receives_time_out_at_random() {
    let total = iterations(20_000) as u64;
    run(|runtime| {
        runtime.block_on(async {
            let random = Rc::new(Random::new());
            let (socket, sender, to) = ahead_and_sender().await;
            let (dice, taken) = (random.clone(), Rc::new(std::cell::Cell::new(0)));
            let seen = taken.clone();
            let sending = krug::spawn(async move {
                for number in 0..total {
                    // As many as the kernel keeps in any case: UDP itself may lose what is more.
                    while number - seen.get() > 100 {
                        sleep(Duration::from_micros(50)).await;
                    }
                    let bytes = numbered(number, dice.below(200));
                    sender.send_to(bytes, to).await.0.unwrap();
                }
            });
            let mut dropped = 0;
            while taken.get() < total {
                let patience = random.micros(60);
                match timeout(patience, socket.recv_from(vec![0; 1024])).await {
                    Ok((result, buf)) => {
                        assert_eq!(result.unwrap().0, buf.len());
                        assert_eq!(check_numbered(&buf), taken.get());
                        taken.set(taken.get() + 1);
                    }
                    Err(_) => dropped += 1,
                }
                if random.below(500) == 0 {
                    sleep(random.micros(2000)).await;
                }
            }
            sending.await.unwrap();
            println!("{dropped} receives were dropped");
            assert!(
                times_out(socket.recv(vec![0; 1])).await,
                "more than was sent"
            );
        });
    });
}

#[test]
fn a_socket_that_nobody_reads_stops_receiving_ahead_and_starves_nobody() {
    run(|runtime| {
        if cannot_receive_ahead(runtime) {
            return;
        }
        runtime.block_on(async {
            let (idle, sender, to_idle) = ahead_and_sender().await;
            let (busy, _, to_busy) = ahead_and_sender().await;
            assert!(times_out(idle.recv(vec![0; 9])).await);
            for number in 0..150 {
                sender
                    .send_to(numbered(number, 9), to_idle)
                    .await
                    .0
                    .unwrap();
            }
            turns(10).await;
            let before = runtime.metrics();
            assert!(before.cancels > 0, "it should have stopped receiving");
            for number in 0..500 {
                sender
                    .send_to(numbered(number, 9), to_busy)
                    .await
                    .0
                    .unwrap();
                assert_eq!(check_numbered(&recv!(busy)), number);
            }
            for number in 0..150 {
                assert_eq!(check_numbered(&recv!(idle)), number);
            }
            sender.send_to("after all", to_idle).await.0.unwrap();
            assert_eq!(recv!(idle), b"after all");
        });
    });
}

#[test]
fn an_error_ends_receiving_ahead_only_once() {
    run(|runtime| {
        runtime.block_on(async {
            let (socket, sender, _) = ahead_and_sender().await;
            let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = gone.local_addr().unwrap();
            drop(gone);
            socket.connect(address).await.unwrap();
            assert!(times_out(socket.recv(vec![0; 9])).await);
            socket.send("anybody there?").await.0.unwrap();
            let error = socket.recv(vec![0; 9]).await.0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            socket.connect(sender.local_addr().unwrap()).await.unwrap();
            sender.connect(socket.local_addr().unwrap()).await.unwrap();
            sender.send("I am").await.0.unwrap();
            assert_eq!(recv!(socket), b"I am");
        });
    });
}

#[test]
fn what_was_received_ahead_goes_back_to_std_and_a_socket_closes_with_it() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        if cannot_receive_ahead(runtime) {
            return;
        }
        runtime.block_on(async {
            let (socket, sender, to) = ahead_and_sender().await;
            assert!(times_out(socket.recv(vec![0; 9])).await);
            for number in 0..5 {
                sender.send_to(numbered(number, 9), to).await.0.unwrap();
            }
            turns(3).await;
            let (socket, leftovers) = socket.into_std().await.unwrap();
            let numbers: Vec<_> = leftovers
                .iter()
                .map(|one| check_numbered(&one.bytes))
                .collect();
            assert_eq!(numbers, [0, 1, 2, 3, 4]);
            drop(socket);
            let (socket, sender, to) = ahead_and_sender().await;
            assert!(times_out(socket.recv(vec![0; 9])).await);
            sender.send_to("unread", to).await.0.unwrap();
            turns(3).await;
            socket.close().await.unwrap();
            assert_eq!(runtime.metrics().operations_alive, 0);
        });
    });
}

/// What arrives of 60 datagrams, some of them empty, while receives are dropped.
async fn barrage() -> Vec<Vec<u8>> {
    let (socket, sender, to) = ahead_and_sender().await;
    let mut heard = Vec::new();
    for round in 0..12 {
        if round % 3 == 1 {
            assert!(times_out(socket.recv(vec![0; 1024])).await);
        }
        for number in 0..5 {
            let bytes = if number == 3 {
                Vec::new()
            } else {
                numbered(round * 5 + number, 20)
            };
            sender.send_to(bytes, to).await.0.unwrap();
        }
        for _ in 0..5 {
            heard.push(recv!(socket));
        }
    }
    heard
}

/// For tests whose faults are the same for every driver.
fn no_driver_receives_ahead() -> bool {
    let lacks = std::cell::Cell::new(true);
    run(|runtime| lacks.set(lacks.get() & cannot_receive_ahead(runtime)));
    lacks.get()
}

fn barrage_with(faults: &Faults) -> Vec<Vec<u8>> {
    let heard = std::cell::RefCell::default();
    run_with(
        |builder| builder.faults(faults.clone()).entries(8),
        |runtime| drop(heard.replace(runtime.block_on(barrage()))),
    );
    heard.into_inner()
}

#[test]
fn bug_057_receiving_ahead_goes_on_wherever_its_operation_ends() {
    if no_driver_receives_ahead() {
        return;
    }
    let calm = Faults::new();
    let expected = barrage_with(&calm);
    assert_eq!(expected.len(), 60);
    let count = calm.multishot_completions();
    assert!(count >= 12, "{count}");
    for nth in 1..=count {
        let faults = Faults::new().end_multishot(nth);
        assert!(barrage_with(&faults) == expected, "it ends at {nth}");
    }
}

#[test]
fn bug_008_receiving_ahead_goes_on_wherever_buffers_run_out() {
    let calm = Faults::new();
    let expected = barrage_with(&calm);
    for nth in 1..=calm.multishot_completions() {
        let faults = Faults::new().starve_multishot(nth);
        assert!(barrage_with(&faults) == expected, "starved at {nth}");
    }
    for nth in 1..=calm.operations() {
        for errno in [libc::ENOBUFS, libc::EAGAIN, libc::EINTR] {
            let faults = Faults::new().operation(nth, errno);
            let heard = barrage_with(&faults);
            assert!(heard == expected, "operation {nth} answers {errno}");
        }
    }
}

#[test]
fn where_the_kernel_cannot_receive_ahead_each_receive_does_so_itself() {
    if no_driver_receives_ahead() {
        return;
    }
    let expected = barrage_with(&Faults::new());
    // The first five operations are sends, the sixth is the one that the kernel does not know.
    let faults = Faults::new().operation(6, libc::EINVAL);
    assert!(barrage_with(&faults) == expected);
    assert_eq!((faults.pending(), faults.multishot_completions()), (0, 0));
}
