//! What rules of a test do to packets.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use krug::net::{TcpListener, TcpStream, UdpSocket};
use krug::sim::{Packet, Protocol, Sim, Verdict, address_of};
use krug::time::sleep;

krug::interpose!();

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A server that counts what it gets, and a client that sends ten numbers over a connection and ten as datagrams.
fn numbers(sim: &mut Sim) -> Rc<RefCell<(Vec<u8>, Vec<u8>)>> {
    let got = Rc::<RefCell<(Vec<u8>, Vec<u8>)>>::default();
    let (stream_got, datagrams_got) = (got.clone(), got.clone());
    sim.host("streams", move || {
        let got = stream_got.clone();
        async move {
            let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
            let stream = listener.accept().await.unwrap();
            loop {
                let (read, buffer) = stream.read(Vec::with_capacity(100)).await;
                if !matches!(read, Ok(1..)) {
                    return;
                }
                got.borrow_mut().0.extend(buffer);
            }
        }
    });
    sim.host("datagrams", move || {
        let got = datagrams_got.clone();
        async move {
            let socket = UdpSocket::bind("0.0.0.0:7").await.unwrap();
            loop {
                let (received, buffer) = socket.recv_from(Vec::with_capacity(100)).await;
                received.unwrap();
                got.borrow_mut().1.extend(buffer);
            }
        }
    });
    sim.client("client", async {
        let stream = TcpStream::connect((address_of("streams"), 7))
            .await
            .unwrap();
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for number in 0..10 {
            stream.write_all(vec![number]).await.0.unwrap();
            let target = (address_of("datagrams"), 7);
            socket.send_to(vec![number], target).await.0.unwrap();
            sleep(MS).await;
        }
        drop(stream);
        sleep(SECOND * 2).await;
    });
    got
}

fn is_number(packet: &Packet<'_>, number: u8) -> bool {
    packet.payload() == [number]
}

#[test]
fn a_rule_sees_every_packet_and_changes_nothing_by_looking() {
    let run = |is_looking: bool| {
        let mut sim = Sim::new(3);
        let got = numbers(&mut sim);
        let seen = Rc::<RefCell<Vec<String>>>::default();
        let seeing = seen.clone();
        let rule = is_looking.then(|| {
            sim.rule(move |packet| {
                assert!(packet.source().is_some() || packet.payload().is_empty());
                let (from, to, protocol) = (packet.from(), packet.to(), packet.protocol());
                let bytes = packet.payload();
                let mut seen = seeing.borrow_mut();
                seen.push(format!("{from} {to} {protocol:?} {bytes:?}"));
                Verdict::Pass
            })
        });
        sim.run().unwrap();
        let all: Vec<u8> = (0..10).collect();
        assert_eq!(got.borrow().0, all);
        assert_eq!(got.borrow().1.len(), 10);
        drop(rule);
        (sim.trace_hash(), seen.take())
    };
    let (hash, seen) = run(true);
    assert_eq!(hash, run(false).0);
    for packet in [
        "client streams Tcp [3]",
        "client datagrams Udp [3]",
        "streams client Tcp []",
    ] {
        assert!(seen.iter().any(|it| it == packet), "{packet}: {seen:?}");
    }
}

#[test]
fn a_datagram_that_a_rule_drops_is_gone_and_bytes_of_a_connection_come_later() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let asked = Rc::new(Cell::new(0));
    let asking = asked.clone();
    let rule = sim.rule(move |packet| {
        if !is_number(packet, 4) {
            return Verdict::Pass;
        }
        let is_stream = packet.protocol() == Protocol::Tcp;
        asking.set(asking.get() + u32::from(is_stream));
        // The connection's comes through at the third time.
        match asking.get() == 3 {
            true => Verdict::Pass,
            false => Verdict::Drop,
        }
    });
    sim.run_for(MS * 600).unwrap();
    assert_eq!(got.borrow().0, [0, 1, 2, 3], "what follows waits");
    sim.run().unwrap();
    let all: Vec<u8> = (0..10).collect();
    assert_eq!(got.borrow().0, all);
    assert_eq!(asked.get(), 3);
    let mut datagrams = got.borrow().1.clone();
    datagrams.sort_unstable();
    assert_eq!(datagrams, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    drop(rule);
}

#[test]
fn a_rule_ends_with_its_guard_and_what_it_has_dropped_is_sent_again() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let rule = sim.rule(|packet| match packet.payload() {
        [] => Verdict::Pass,
        _ => Verdict::Drop,
    });
    sim.at(MS * 100, move |_| drop(rule));
    sim.run().unwrap();
    let all: Vec<u8> = (0..10).collect();
    assert_eq!(got.borrow().0, all);
    assert_eq!(got.borrow().1, []);
}

#[test]
fn a_delay_keeps_the_order_of_a_connection_and_lets_datagrams_overtake() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let rule = sim.rule(|packet| match is_number(packet, 2) {
        true => Verdict::Delay(MS * 500),
        false => Verdict::Pass,
    });
    sim.run_for(MS * 400).unwrap();
    assert_eq!(got.borrow().0, [0, 1]);
    assert_eq!(got.borrow().1.len(), 9);
    sim.run().unwrap();
    let all: Vec<u8> = (0..10).collect();
    assert_eq!(got.borrow().0, all);
    assert_eq!(got.borrow().1.last(), Some(&2));
    drop(rule);
}

#[test]
fn the_first_rule_that_does_not_let_a_packet_pass_decides() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let kinds = Rc::new(Cell::new(0));
    let asked = kinds.clone();
    let first = sim.rule(|packet| match is_number(packet, 5) {
        true => Verdict::Delay(MS),
        false => Verdict::Pass,
    });
    let second = sim.rule(move |packet| {
        asked.set(asked.get() + u32::from(is_number(packet, 5)));
        match is_number(packet, 6) {
            true => Verdict::Drop,
            false => Verdict::Pass,
        }
    });
    sim.run().unwrap();
    assert_eq!(kinds.get(), 0, "the second is not asked any more");
    assert!(!got.borrow().1.contains(&6));
    drop((first, second));
}

#[test]
fn a_connection_that_a_rule_does_not_let_begin_is_tried_again() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let rule = sim.rule(|packet| match packet.protocol() {
        Protocol::Tcp => Verdict::Drop,
        _ => Verdict::Pass,
    });
    sim.at(SECOND * 2, move |_| drop(rule));
    sim.run().unwrap();
    // After one second, then two more.
    assert!(sim.elapsed() > SECOND * 3);
    assert_eq!(got.borrow().0.len(), 10);
}

#[test]
fn a_connection_of_which_nothing_gets_through_is_given_up() {
    let mut sim = Sim::new(1);
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
        let stream = listener.accept().await.unwrap();
        stream.read(Vec::with_capacity(100)).await.0.unwrap();
    });
    sim.client("client", async {
        let stream = TcpStream::connect((address_of("server"), 7)).await.unwrap();
        stream.write_all(vec![1]).await.0.unwrap();
        let (read, _) = stream.read(vec![0; 1]).await;
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    });
    let rule = sim.rule(|packet| match packet.payload() {
        [] => Verdict::Pass,
        _ => Verdict::Drop,
    });
    sim.run().unwrap();
    assert!(sim.elapsed() > SECOND * 600, "{:?}", sim.elapsed());
    drop(rule);
}

#[test]
fn a_rule_that_panics_ends_the_simulation() {
    let mut sim = Sim::new(1);
    numbers(&mut sim);
    let rule = sim.rule(|packet| match packet.payload() {
        [7] => panic!("a seven"),
        _ => Verdict::Pass,
    });
    let failure = sim.run().unwrap_err();
    assert!(failure.to_string().contains("a seven"), "{failure}");
    drop(rule);
}

#[test]
fn a_rule_may_end_rules_while_it_is_asked() {
    let mut sim = Sim::new(1);
    let got = numbers(&mut sim);
    let own = Rc::<RefCell<Option<krug::sim::Rule>>>::default();
    let to_end = own.clone();
    let rule = sim.rule(move |_| {
        drop(to_end.borrow_mut().take());
        Verdict::Pass
    });
    own.replace(Some(rule));
    sim.run().unwrap();
    assert!(own.borrow().is_none());
    assert_eq!(got.borrow().0.len(), 10);
}
