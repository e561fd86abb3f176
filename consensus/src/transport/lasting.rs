//! Links that outlast their connections: for heroes who may come back.
//!
//! Each hero has a connection of his own to every other one, which only he sends on, and makes it anew when it breaks; whoever accepts
//! one only reads. So nobody has to know who is to begin, and two who come back at the same moment never get into each other's way.
//! A connection begins with a greeting: where the hero listens, by which the other knows his port, and a number drawn
//! for this life. A neighbour who greets with another number than before has been away, and what was sent to him meanwhile went
//! nowhere: the own connection to him is made anew as well.
//!
//! What is lost when a connection breaks is lost, as with any other link.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use krug::sync::{Notify, mpsc};
use krug::task::AbortHandle;
use krug::time::{sleep, timeout};

use super::traffic::receive_all;
use super::{Arrival, Link, Outbox, Socket};
use crate::core::Port;
use crate::node::Ways;

/// The number of a life, behind the address.
const LIFE_SIZE: usize = 8;

/// A Unix socket's path is never longer than this.
const PATH_SIZE: usize = 108;

/// How long it may take until somebody answers, or greets.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two attempts to dial, twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// An address that a greeting can name.
pub trait Greet: Sized {
    /// How many bytes it takes.
    const SIZE: usize;

    /// Writes it into so many bytes, all of them zero.
    fn write(&self, bytes: &mut [u8]);

    /// Reads what [`write`](Greet::write) has written.
    fn read(bytes: &[u8]) -> Self;
}

/// An address of 16 bytes, a port of two.
impl Greet for SocketAddr {
    const SIZE: usize = 18;

    fn write(&self, bytes: &mut [u8]) {
        let address = match self.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        bytes[..16].copy_from_slice(&address.octets());
        bytes[16..].copy_from_slice(&self.port().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> SocketAddr {
        let address = Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[index]));
        let port = u16::from_le_bytes([bytes[16], bytes[17]]);
        SocketAddr::new(address.to_canonical(), port)
    }
}

/// With zeros behind it.
impl Greet for PathBuf {
    const SIZE: usize = PATH_SIZE;

    fn write(&self, bytes: &mut [u8]) {
        let path = self.as_os_str().as_bytes();
        bytes[..path.len()].copy_from_slice(path);
    }

    fn read(bytes: &[u8]) -> PathBuf {
        let end = bytes.iter().position(|byte| *byte == 0);
        let path = &bytes[..end.unwrap_or(bytes.len())];
        PathBuf::from(OsStr::from_bytes(path))
    }
}

/// A hero's own listener, and where all listen, himself included, in any order.
#[derive(Debug)]
pub struct Lasting<S: Socket> {
    /// Where he listens; whoever keeps it can begin another life with it.
    pub listener: Rc<S::Listener>,
    /// The address of that, as the others have it.
    pub own: S::Address,
    /// The addresses of all. Their order is that of the ports.
    pub addresses: Vec<S::Address>,
}

/// What a hero knows of one neighbour.
struct Neighbour {
    outbox: Rc<Outbox>,
    /// The life that he last greeted from.
    life: Cell<Option<u64>>,
    /// He has begun another one.
    is_reborn: Notify,
    /// Reads his newest connection.
    reader: RefCell<Option<AbortHandle>>,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.reader.take().iter().for_each(AbortHandle::abort);
    }
}

type Neighbours<A> = Rc<BTreeMap<A, (Port, Rc<Neighbour>)>>;

impl<S: Socket<Address: Greet>> Lasting<S> {
    /// Begins to keep the links up. `life` is a number that this hero never greeted with before.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn keep(self, life: u64) -> Ways {
        let (mut ways, inbox) = Ways::new();
        let others = self.addresses.iter().filter(|it| **it != self.own);
        let greeting = greeting(&self.own, life);
        let mut neighbours = BTreeMap::new();
        for (port, address) in others.enumerate() {
            let neighbour = Rc::new(Neighbour {
                outbox: Rc::new(Outbox::new()),
                life: Cell::new(None),
                is_reborn: Notify::new(),
                reader: RefCell::new(None),
            });
            ways.outboxes.push(Rc::clone(&neighbour.outbox));
            let sending = send_all::<S>(address.clone(), greeting.clone(), Rc::clone(&neighbour));
            ways.tasks.spawn(sending);
            neighbours.insert(address.clone(), (Port(port), neighbour));
        }
        ways.tasks
            .spawn(accept_all::<S>(self.listener, Rc::new(neighbours), inbox));
        ways
    }
}

fn greeting<A: Greet>(own: &A, life: u64) -> Vec<u8> {
    let mut bytes = vec![0; A::SIZE];
    own.write(&mut bytes);
    bytes.extend(life.to_le_bytes());
    bytes
}

fn read_greeting<A: Greet>(bytes: &[u8]) -> (A, u64) {
    let (address, life) = bytes.split_at(A::SIZE);
    let life = u64::from_le_bytes(std::array::from_fn(|index| life[index]));
    (A::read(address), life)
}

async fn send_all<S: Socket>(address: S::Address, greeting: Vec<u8>, neighbour: Rc<Neighbour>) {
    let mut spare = Vec::new();
    let mut stream: Option<S::Stream> = None;
    loop {
        let bytes = krug::select! {
            bytes = neighbour.outbox.take(std::mem::take(&mut spare)) => Some(bytes),
            () = neighbour.is_reborn.notified() => None,
        };
        let Some(bytes) = bytes else {
            stream = None;
            continue;
        };
        if stream.is_none() {
            stream = Some(dial::<S>(&address, &greeting).await);
        }
        let Some(open) = &stream else { continue };
        let sent = krug::select! {
            (result, bytes) = open.send(bytes) => {
                spare = bytes;
                result.is_ok()
            }
            () = neighbour.is_reborn.notified() => false,
        };
        if !sent {
            stream = None;
        }
    }
}

/// Until somebody answers.
async fn dial<S: Socket>(address: &S::Address, greeting: &[u8]) -> S::Stream {
    let mut pause = PAUSE_MIN;
    loop {
        let dialled = timeout(PATIENCE, async {
            let stream = S::dial(address.clone()).await?;
            stream.send(greeting.to_vec()).await.0?;
            Ok::<_, std::io::Error>(stream)
        });
        if let Ok(Ok(stream)) = dialled.await {
            return stream;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn accept_all<S: Socket<Address: Greet>>(
    listener: Rc<S::Listener>,
    neighbours: Neighbours<S::Address>,
    inbox: mpsc::Sender<Arrival>,
) {
    // Those who greet are few, and have not long to do it.
    loop {
        match S::accept(&listener).await {
            Ok(stream) => {
                let met = meet::<S>(stream, Rc::clone(&neighbours), inbox.clone());
                drop(krug::spawn(met));
            }
            // A connection that broke in the queue, or no descriptor free just now.
            Err(_) => sleep(PAUSE_MIN).await,
        }
    }
}

/// Reads the greeting, and starts to read what follows.
async fn meet<S: Socket<Address: Greet>>(
    stream: S::Stream,
    neighbours: Neighbours<S::Address>,
    inbox: mpsc::Sender<Arrival>,
) {
    let greeted = timeout(
        PATIENCE,
        hear_greeting(&stream, S::Address::SIZE + LIFE_SIZE),
    )
    .await;
    let Ok(Some((greeting, rest))) = greeted else {
        return;
    };
    let (address, life) = read_greeting::<S::Address>(&greeting);
    // Anybody can connect; only neighbours are listened to.
    let Some((port, neighbour)) = neighbours.get(&address) else {
        return;
    };
    let before = neighbour.life.replace(Some(life));
    if before.is_some_and(|before| before != life) {
        neighbour.is_reborn.notify_one();
    }
    let reading = krug::spawn(receive_all(*port, Rc::new(stream), inbox, rest));
    let outdated = neighbour.reader.replace(Some(reading.abort_handle()));
    outdated.iter().for_each(AbortHandle::abort);
}

async fn hear_greeting(stream: &impl Link, size: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    const AT_ONCE: usize = 1024;
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let buffer = Vec::with_capacity(AT_ONCE - bytes.len());
        let (result, received) = stream.receive(buffer).await;
        if result.ok()? == 0 {
            return None;
        }
        bytes.extend(received);
    }
    let rest = bytes.split_off(size);
    Some((bytes, rest))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use krug::net::{TcpListener, TcpStream};
    use krug::sim::{Sim, address_of};

    use super::super::Tcp;
    use super::*;
    use crate::core::Message;
    use crate::wire;

    /// When something was heard last, by each of two hosts.
    type Heard = Rc<RefCell<[Duration; 2]>>;

    const HOSTS: [&str; 2] = ["one", "two"];

    /// Says something every 50 ms, and listens.
    async fn talk(index: usize, heard: Heard, begin: std::time::Instant) {
        let addresses = HOSTS.map(|name| SocketAddr::new(address_of(name), 7));
        let own = addresses[index];
        let lasting = Lasting::<Tcp> {
            listener: Rc::new(TcpListener::bind(own).await.unwrap()),
            own,
            addresses: addresses.to_vec(),
        };
        let mut ways = lasting.keep(krug::rand::u64());
        let outbox = Rc::clone(&ways.outboxes[0]);
        let mut frame = Vec::new();
        wire::encode(&Message::Fetch { slot: index as u64 }, &mut frame);
        let mut ticks = krug::time::interval(Duration::from_millis(50));
        loop {
            krug::select! {
                arrival = ways.inbox.recv() => {
                    let Message::Fetch { slot } = arrival.unwrap().message else {
                        panic!("nobody says that");
                    };
                    assert_eq!(slot as usize, 1 - index);
                    heard.borrow_mut()[index] = krug::time::now() - begin;
                }
                _ = ticks.tick() => outbox.push(&frame),
            }
        }
    }

    #[test]
    fn neighbours_hear_each_other_again_after_a_crash_a_return_and_a_split() {
        let second = Duration::from_secs(1);
        for seed in 0..20 {
            let mut sim = Sim::new(seed);
            let heard = Heard::default();
            let begin = std::time::Instant::now();
            for (index, name) in HOSTS.into_iter().enumerate() {
                let heard = Rc::clone(&heard);
                sim.host(name, move || talk(index, Rc::clone(&heard), begin));
            }
            let hear_each_other = |since: Duration| heard.borrow().iter().all(|last| *last > since);
            sim.run_for(second).unwrap();
            assert!(hear_each_other(second * 9 / 10), "{seed}");
            // Away for a moment, and for long.
            for pause in [Duration::from_millis(1), second * 20] {
                sim.crash("two");
                sim.run_for(pause).unwrap();
                sim.bounce("two");
                sim.run_for(second * 2).unwrap();
                let now = sim.elapsed();
                assert!(hear_each_other(now - second), "{seed}");
            }
            sim.partition("one", "two");
            sim.run_for(second).unwrap();
            sim.heal();
            sim.run_for(second * 3).unwrap();
            let now = sim.elapsed();
            assert!(hear_each_other(now - second), "{seed}");
        }
    }

    #[test]
    fn strangers_are_not_listened_to() {
        let mut sim = Sim::new(1);
        let heard = Heard::default();
        let of_host = Rc::clone(&heard);
        let begin = std::time::Instant::now();
        sim.host("one", move || talk(0, Rc::clone(&of_host), begin));
        sim.host("two", || sleep(Duration::from_secs(60)));
        sim.client("stranger", async {
            sleep(Duration::from_millis(10)).await;
            let mut frame = Vec::new();
            wire::encode(&Message::Fetch { slot: 1 }, &mut frame);
            let own: SocketAddr = "10.9.9.9:7".parse().unwrap();
            for beginning in [greeting(&own, 1), vec![0; 3], Vec::new()] {
                let to = SocketAddr::new(address_of("one"), 7);
                let stream = TcpStream::connect(to).await.unwrap();
                let bytes = [beginning, frame.clone()].concat();
                stream.write_all(bytes).await.0.unwrap();
                let answer = stream.read(Vec::with_capacity(9));
                let answer = timeout(Duration::from_secs(2), answer).await;
                let (result, _) = answer.expect("he hangs up");
                assert!(!matches!(result, Ok(1..)));
            }
        });
        sim.run().unwrap();
        assert_eq!(heard.borrow()[0], Duration::ZERO);
    }

    #[test]
    fn a_greeting_is_read_as_it_was_written() {
        for address in ["127.0.0.1:7", "10.0.0.33:65535", "[fd00::1]:8080"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(read_greeting(&greeting(&address, 9)), (address, 9));
        }
        for path in ["/tmp/a", "", &"x".repeat(PATH_SIZE)] {
            let path = PathBuf::from(path);
            assert_eq!(read_greeting(&greeting(&path, 9)), (path, 9));
        }
    }
}
