//! Links over real sockets and pipes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::net::{TcpListener, UdpSocket, UnixListener, UnixStream};
use krug::sync::mpsc;
use krug::time::timeout;

use super::*;
use crate::core::{Answer, Candidate, Claim, Message, Name, Port, Rank, Ticket, Value};
use crate::program::draws::Draws;
use crate::wire;

fn block_on<F: Future>(future: F) -> F::Output {
    krug::Runtime::new().unwrap().block_on(future)
}

fn fetch(slot: u64) -> Message {
    Message::Fetch { slot }
}

fn framed(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(message, &mut bytes);
    bytes
}

/// Every hero tells each neighbour his number; gives back whom each has heard.
async fn who_hears_whom<T: Transport>(transports: Vec<T>) -> Vec<BTreeSet<u8>> {
    let tasks: Vec<_> = transports
        .into_iter()
        .enumerate()
        .map(|(hero, transport)| {
            krug::spawn(async move {
                let links = transport.connect().await;
                let mut heard = BTreeSet::new();
                for link in &links {
                    link.send(vec![hero as u8]).await.0.unwrap();
                }
                for link in &links {
                    let (result, bytes) = link.receive(Vec::with_capacity(8)).await;
                    assert_eq!(result.unwrap(), 1);
                    assert!(heard.insert(bytes[0]), "two links to hero {}", bytes[0]);
                }
                (links, heard)
            })
        })
        .collect();
    let mut all = Vec::new();
    // Links live until all have been heard.
    let mut links = Vec::new();
    for task in tasks {
        let (link, heard) = task.await.unwrap();
        links.push(link);
        all.push(heard);
    }
    all
}

fn expect_everybody_hears_everybody(heard: &[BTreeSet<u8>]) {
    let all: BTreeSet<u8> = (0..heard.len() as u8).collect();
    for (hero, heard) in heard.iter().enumerate() {
        let others: BTreeSet<u8> = all
            .iter()
            .copied()
            .filter(|other| *other != hero as u8)
            .collect();
        assert_eq!(heard, &others, "hero {hero}");
    }
}

async fn tcp_circle(size: usize, draws: &mut Draws) -> Vec<Sockets<Tcp>> {
    let mut listeners = Vec::new();
    for _ in 0..size {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        listeners.push((listener, own));
    }
    let all: Vec<SocketAddr> = listeners.iter().map(|(_, own)| *own).collect();
    listeners
        .into_iter()
        .map(|(listener, own)| {
            let mut addresses = all.clone();
            draws.shuffle(&mut addresses);
            Sockets {
                listener,
                own,
                addresses,
            }
        })
        .collect()
}

async fn unix_circle(
    size: usize,
    place: &tempfile::TempDir,
    draws: &mut Draws,
) -> Vec<Sockets<Unix>> {
    let all: Vec<PathBuf> = (0..size)
        .map(|_| place.path().join(draws.draw().to_string()))
        .collect();
    let mut circle = Vec::new();
    for own in &all {
        let listener = UnixListener::bind(own).await.unwrap();
        let mut addresses = all.clone();
        draws.shuffle(&mut addresses);
        circle.push(Sockets {
            listener,
            own: own.clone(),
            addresses,
        });
    }
    circle
}

async fn udp_circle(size: usize, draws: &mut Draws) -> Vec<Udp> {
    let mut sockets = Vec::new();
    for _ in 0..size {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own = socket.local_addr().unwrap();
        sockets.push((socket, own));
    }
    let all: Vec<SocketAddr> = sockets.iter().map(|(_, own)| *own).collect();
    let birth = |(socket, own)| {
        let mut addresses = all.clone();
        draws.shuffle(&mut addresses);
        Udp {
            socket: std::rc::Rc::new(socket),
            own,
            addresses,
        }
    };
    sockets.into_iter().map(birth).collect()
}

#[test]
fn over_udp_every_message_comes_from_the_neighbour_who_sent_it() {
    block_on(async {
        let circle = udp_circle(7, &mut Draws::new(3)).await;
        let addresses: Vec<_> = circle.iter().map(|hero| hero.own).collect();
        let mut heroes = Vec::new();
        for hero in circle {
            heroes.push(hero.connect().await);
        }
        // Several frames in one go are several datagrams.
        for (hero, links) in heroes.iter().enumerate() {
            for link in links {
                let frames = [framed(&fetch(hero as u64)), framed(&fetch(100))].concat();
                let (result, back) = link.send(frames.clone()).await;
                result.unwrap();
                assert_eq!(back, frames);
            }
        }
        for (hero, links) in heroes.iter().enumerate() {
            let mut heard = BTreeSet::new();
            for link in links {
                let mut decoder = wire::Decoder::new();
                let mut slots = Vec::new();
                while slots.len() < 2 {
                    let (_, bytes) = link.receive(Vec::with_capacity(64)).await;
                    decoder.push(&bytes);
                    while let Some(Message::Fetch { slot }) = decoder.next_message().unwrap() {
                        slots.push(slot);
                    }
                }
                assert_eq!(slots[1], 100);
                assert_eq!(link.neighbour(), addresses[slots[0] as usize]);
                heard.insert(slots[0]);
            }
            assert_eq!(heard.len(), 6);
            assert!(!heard.contains(&(hero as u64)), "nobody hears himself");
        }
    });
}

#[test]
fn over_udp_what_is_no_message_or_from_no_neighbour_is_thrown_away() {
    block_on(async {
        let mut circle = udp_circle(2, &mut Draws::new(4)).await;
        let other = circle.pop().unwrap().connect().await.pop().unwrap();
        let one = circle.pop().unwrap();
        let to = one.own;
        let link = one.connect().await.pop().unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(framed(&fetch(1)), to).await.0.unwrap();
        let mut cut = framed(&fetch(2));
        cut.pop();
        let doubled = [framed(&fetch(3)), framed(&fetch(3))].concat();
        for bytes in [Vec::new(), vec![0xff; 64], cut, doubled] {
            other.socket().send_to(bytes, to).await.0.unwrap();
        }
        other.send(framed(&fetch(4))).await.0.unwrap();
        let (result, bytes) = link.receive(Vec::new()).await;
        assert_eq!((result.unwrap(), &bytes), (bytes.len(), &framed(&fetch(4))));
    });
}

#[test]
fn the_longest_message_of_the_largest_udp_circle_fits_into_one_datagram() {
    let claim = |number: usize| Claim {
        ticket: Ticket(u128::MAX - number as u128),
        name: Name(number as u128),
        redraws: u32::MAX,
    };
    let candidate = Candidate {
        rank: Rank(u64::MAX),
        value: Value::Roll((0..UDP_PEERS_MAX).map(claim).collect()),
    };
    let longest = framed(&Message::Recorded {
        slot: 0,
        attempt: u64::MAX,
        asked: u32::MAX,
        answer: Answer {
            step: u32::MAX,
            first: candidate.clone(),
            prev: Some(candidate),
        },
    });
    assert!(longest.len() <= DATAGRAM_MAX, "{}", longest.len());
}

#[test]
fn a_list_of_addresses_in_any_order_becomes_one_link_for_each_pair() {
    let place = tempfile::tempdir().unwrap();
    for seed in 0..5 {
        block_on(async {
            let mut draws = Draws::new(seed);
            let heard = who_hears_whom(tcp_circle(7, &mut draws).await).await;
            expect_everybody_hears_everybody(&heard);
            let heard = who_hears_whom(unix_circle(7, &place, &mut draws).await).await;
            expect_everybody_hears_everybody(&heard);
        });
    }
}

#[test]
fn pipes_are_laid_before_birth_and_lead_both_ways() {
    block_on(async {
        let (here, there) = PipeLink::pair().await.unwrap();
        let heard = who_hears_whom(vec![Pipes(vec![here]), Pipes(vec![there])]).await;
        expect_everybody_hears_everybody(&heard);
    });
}

#[test]
fn a_hero_who_never_comes_is_not_waited_for_for_ever() {
    block_on(async {
        let mut circle = tcp_circle(3, &mut Draws::new(1)).await;
        drop(circle.pop());
        let heard = who_hears_whom(circle).await;
        assert_eq!(heard, [BTreeSet::from([1]), BTreeSet::from([0])]);
    });
}

#[test]
fn what_waits_for_a_link_leaves_in_one_piece() {
    block_on(async {
        let outbox = Outbox::new();
        outbox.push(b"one");
        outbox.push(b"two");
        assert_eq!(outbox.take(Vec::new()).await, b"onetwo");
        let nothing = timeout(Duration::from_millis(5), outbox.take(Vec::new())).await;
        assert!(nothing.is_err(), "an empty outbox waits");
        outbox.push(b"three");
        assert_eq!(outbox.take(b"old memory".to_vec()).await, b"three");
    });
}

#[test]
fn an_outbox_wakes_the_task_that_waits_for_it() {
    block_on(async {
        let outbox = Rc::new(Outbox::new());
        let waiting = Rc::clone(&outbox);
        let task = krug::spawn(async move { waiting.take(Vec::new()).await });
        krug::task::yield_now().await;
        outbox.push(b"late");
        assert_eq!(task.await.unwrap(), b"late");
    });
}

#[test]
fn a_frame_that_finds_no_room_is_dropped_whole() {
    block_on(async {
        let outbox = Outbox::new();
        let frame = vec![7; 1_000];
        for _ in 0..OUTBOX_BYTES_MAX / 1_000 + 5 {
            outbox.push(&frame);
        }
        assert_eq!(outbox.dropped(), 5);
        let waiting = outbox.take(Vec::new()).await;
        assert_eq!(waiting.len(), OUTBOX_BYTES_MAX / 1_000 * 1_000);
        outbox.push(&frame);
        assert_eq!(
            (outbox.dropped(), outbox.take(Vec::new()).await.len()),
            (5, 1_000)
        );
    });
}

#[test]
fn messages_arrive_in_order_with_the_port_they_came_over() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (sender, mut inbox) = mpsc::channel(4);
        let (other_sender, _other_inbox) = mpsc::channel(4);
        let mut tasks = Tasks::new();
        carry(Port(5), here, sender, &mut tasks);
        let outbox = carry(Port(0), there, other_sender, &mut tasks);
        for slot in 0..1_000 {
            outbox.push(&framed(&fetch(slot)));
        }
        for slot in 0..1_000 {
            let Arrival { port, message } = inbox.recv().await.unwrap();
            assert_eq!((port, message), (Port(5), fetch(slot)));
        }
    });
}

#[test]
fn a_busy_hero_makes_his_neighbour_wait_and_loses_nothing_that_was_taken() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (sender, mut inbox) = mpsc::channel(2);
        let (other_sender, _other_inbox) = mpsc::channel(2);
        let mut tasks = Tasks::new();
        carry(Port(0), here, sender, &mut tasks);
        let outbox = carry(Port(0), there, other_sender, &mut tasks);
        // Far more than sockets, inbox and outbox hold together.
        let mut pushed = 0;
        while outbox.dropped() == 0 {
            outbox.push(&framed(&fetch(pushed)));
            pushed += 1;
            if pushed % 100 == 0 {
                krug::task::yield_now().await;
            }
        }
        for slot in 0..pushed - 1 {
            assert_eq!(inbox.recv().await.unwrap().message, fetch(slot));
        }
    });
}

#[test]
fn bytes_that_are_no_message_end_the_link() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (sender, mut inbox) = mpsc::channel(4);
        let mut tasks = Tasks::new();
        carry(Port(0), here, sender, &mut tasks);
        let bytes = [framed(&fetch(1)), vec![0xff; 64], framed(&fetch(2))].concat();
        there.write_all(bytes).await.0.unwrap();
        assert_eq!(inbox.recv().await.unwrap().message, fetch(1));
        // The receiving task was the only one with a sender, and it is gone.
        assert!(inbox.recv().await.is_none());
    });
}

#[test]
fn a_stream_cut_within_a_message_ends_the_link_without_it() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (sender, mut inbox) = mpsc::channel(4);
        let mut tasks = Tasks::new();
        carry(Port(0), here, sender, &mut tasks);
        let mut bytes = framed(&fetch(1));
        bytes.pop();
        there.write_all(bytes).await.0.unwrap();
        drop(there);
        assert!(inbox.recv().await.is_none());
    });
}

#[test]
fn tasks_that_lose_their_owner_close_their_links() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (sender, _inbox) = mpsc::channel(4);
        let mut tasks = Tasks::new();
        let outbox = carry(Port(0), here, sender, &mut tasks);
        krug::task::yield_now().await;
        drop((tasks, outbox));
        let started = Instant::now();
        let (result, _) = timeout(Duration::from_secs(2), there.read(Vec::with_capacity(8)))
            .await
            .unwrap();
        assert_eq!(result.unwrap(), 0, "the end, after {:?}", started.elapsed());
    });
}
