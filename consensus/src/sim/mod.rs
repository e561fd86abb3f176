//! Heroes in a simulated world: each on a host of his own, with a disk of his own.
//!
//! - [`plan`]: what goes wrong in a world, drawn from its seed;
//! - [`stage`]: the heroes and the [oracle](crate::oracle) that watches them;
//! - [`storm`]: one world after the other, on several threads.
//!
//! The heroes are the same as on sockets: [`Node`](crate::node::Node), [`Log`](crate::log::Log) and transports know nothing
//! of the simulation. It is one thread, one clock and one seed: [`krug::sim`].

pub mod plan;
pub mod stage;
pub mod storm;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use krug::net::{TcpListener, UdpSocket};
use krug::sim::address_of;

use crate::node::Ways;
use crate::program::draws::Draws;
use crate::transport::{Lasting, Tcp, Transport, Udp};

/// Where heroes listen, each on his own host.
const PORT: u16 = 7033;

/// What carries messages between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TCP, with connections that are made anew when they break.
    Tcp,
    /// UDP, one message in each datagram.
    Udp,
}

/// The name of the host of a hero, who is counted from 0.
pub fn host(hero: usize) -> String {
    format!("hero {}", hero + 1)
}

/// The way to the others, for code that runs on the host of a hero. The list of addresses that he is given is in an order
/// that `draws` decide: it says nothing.
///
/// # Errors
///
/// If there is no place to listen.
pub async fn ways(
    carrier: Carrier,
    hero: usize,
    peers: usize,
    draws: &mut Draws,
) -> io::Result<Ways> {
    let address = |hero: usize| SocketAddr::new(address_of(&host(hero)), PORT);
    let own = address(hero);
    let mut addresses: Vec<SocketAddr> = (0..peers).map(address).collect();
    draws.shuffle(&mut addresses);
    match carrier {
        Carrier::Tcp => {
            let listener = TcpListener::bind(own).await?;
            let lasting = Lasting::<Tcp> {
                listener: Rc::new(listener),
                own,
                addresses,
            };
            Ok(lasting.keep(draws.draw()))
        }
        Carrier::Udp => {
            let socket = UdpSocket::bind(own).await?;
            let udp = Udp {
                socket: Rc::new(socket),
                own,
                addresses,
            };
            Ok(Ways::over(udp.connect().await))
        }
    }
}
