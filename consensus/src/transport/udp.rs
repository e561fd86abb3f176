//! UDP over any interface: one socket for each hero, one message in each datagram.
//!
//! Nobody connects: a hero knows a neighbour by the address that his datagrams come from. What is lost, doubled or
//! overtaken on the way is what the agreement reckons with anyway: it sends again, and a message says
//! the same however often it is heard.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use krug::buf::IoBuf;
use krug::net::UdpSocket;
use krug::time::sleep;

use super::{Link, Outbox, Tasks, Transport};
use crate::wire;

/// The longest datagram of UDP over IPv4; over IPv6 it is a little longer.
pub const DATAGRAM_MAX: usize = 65_507;

/// How many heroes a circle over UDP may have: one who answers about the roll names all of them twice, and that
/// has to fit into one datagram.
pub const UDP_PEERS_MAX: usize = 800;

/// What the kernel keeps for a hero who is busy, in bytes; it grants less where the system says so. More is lost, and
/// sent again.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// After a receive that failed: out of memory, for example.
const PAUSE: Duration = Duration::from_millis(1);

/// A hero's own socket, and where all have theirs, himself included, in any order.
#[derive(Debug)]
pub struct Udp {
    /// His socket; whoever keeps it can begin anew with it.
    pub socket: Rc<UdpSocket>,
    /// Its address.
    pub own: SocketAddr,
    /// The addresses of all.
    pub addresses: Vec<SocketAddr>,
}

impl Transport for Udp {
    type Link = UdpLink;

    async fn connect(self) -> Vec<UdpLink> {
        let Udp {
            socket,
            own,
            addresses,
        } = self;
        // If the system grants less, more is sent again.
        let _ = socket.set_receive_buffer_size(RECEIVE_BUFFER);
        let neighbours = addresses.into_iter().filter(|address| *address != own);
        let heard: Vec<_> = neighbours
            .map(|address| (address, Rc::new(Outbox::new())))
            .collect();
        let mut tasks = Tasks::new();
        let by_address = heard.iter().cloned().collect();
        tasks.spawn(sort(Rc::clone(&socket), by_address));
        let tasks = Rc::new(tasks);
        let link = |(address, heard)| UdpLink {
            socket: Rc::clone(&socket),
            address,
            heard,
            _sorting: Rc::clone(&tasks),
        };
        heard.into_iter().map(link).collect()
    }
}

/// What one hero says to another and hears from him. All links of a hero share his socket.
#[derive(Debug)]
pub struct UdpLink {
    socket: Rc<UdpSocket>,
    address: SocketAddr,
    /// Whole frames that came from there.
    heard: Rc<Outbox>,
    /// Ends with the last link.
    _sorting: Rc<Tasks>,
}

impl UdpLink {
    /// Where the neighbour is.
    pub fn neighbour(&self) -> SocketAddr {
        self.address
    }

    /// The hero's own socket.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

impl Link for UdpLink {
    async fn send(&self, mut bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut start = 0;
        while let Some(size) = wire::frame_size(&bytes[start..]) {
            let end = bytes.len().min(start + size);
            // What the kernel does not take is lost like any other datagram, and sent again.
            let (_, frame) = self
                .socket
                .send_to(bytes.slice(start..end), self.address)
                .await;
            bytes = frame.into_inner();
            start = end;
        }
        (Ok(()), bytes)
    }

    async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let heard = self.heard.take(buffer).await;
        (Ok(heard.len()), heard)
    }
}

/// Takes what comes to the socket and gives it to the link it belongs to. Anybody can send here: what
/// comes from no neighbour, or is not one whole message, is thrown away.
async fn sort(socket: Rc<UdpSocket>, links: BTreeMap<SocketAddr, Rc<Outbox>>) {
    let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
    loop {
        let (result, received) = socket.recv_from(buffer).await;
        buffer = received;
        let Ok((_, sender)) = result else {
            sleep(PAUSE).await;
            continue;
        };
        let is_message =
            matches!(wire::decode(&buffer), Ok(Some((_, size))) if size == buffer.len());
        if let Some(link) = links.get(&sender)
            && is_message
        {
            link.push(&buffer);
        }
    }
}
