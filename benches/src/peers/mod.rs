//! The servers that are compared, each as its own documentation recommends.

mod krug;
mod tokio;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;

use crate::floor;

/// What a server is asked to do: accept so many connections, send back what comes, end with the last.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) connections: usize,
    /// Size of the buffer that each connection reads into.
    pub(crate) bytes: usize,
    pub(crate) address: mpsc::Sender<SocketAddr>,
}

impl Job {
    /// To be called once, when connections can be made.
    pub(crate) fn listening(&self, address: SocketAddr) {
        // Nobody waits for it any more if the load generator failed; the server sees that by itself.
        let _ = self.address.send(address);
    }
}

/// What a server knows about itself afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    /// System calls on the ring.
    pub(crate) enters: Option<u64>,
    /// Something for the report: flags of the ring.
    pub(crate) detail: Option<String>,
}

/// A server or loop that can be measured.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) echo: fn(&Job) -> io::Result<Served>,
    /// Runs at least so many NOPs in batches of this size; only where there is a ring.
    pub(crate) nops: Option<fn(u64, usize) -> io::Result<u64>>,
}

pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "krug",
        echo: krug::serve,
        nops: Some(krug::nops),
    },
    Peer {
        name: "floor",
        echo: floor::server::serve,
        nops: Some(floor::nops::run),
    },
    Peer {
        name: "tokio",
        echo: tokio::serve,
        nops: None,
    },
];

pub(crate) fn named(name: &str) -> io::Result<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name).ok_or_else(|| {
        let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no peer is called `{name}`: there are {}", names.join(", ")),
        )
    })
}
