//! The servers that are compared, each as its own documentation recommends.

pub(crate) mod hog;
mod krug;
mod tokio;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::krug::runtime::Driver;
use ::krug::task::Class;

use crate::floor;

/// What a server is asked to do: accept so many connections, send back what comes, end with the last.
pub struct Job {
    /// How many connections to accept.
    pub connections: usize,
    /// Size of the buffer that each connection reads into.
    pub bytes: usize,
    /// Told the address when connections can be made.
    pub announce: Box<dyn Fn(SocketAddr) + Send>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Job");
        shown.field("connections", &self.connections);
        shown.field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Job {
    /// To be called once, when connections can be made.
    pub fn listening(&self, address: SocketAddr) {
        (self.announce)(address);
    }
}

/// What a server knows about itself afterwards.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Times it has entered the kernel to submit or to wait, if it counts them.
    pub enters: Option<u64>,
    /// Something for the report: flags of the ring.
    pub detail: Option<String>,
}

/// A server or loop that can be measured.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) echo: fn(&Job) -> io::Result<Served>,
    /// Runs at least so many NOPs in batches of this size; only where there are such.
    pub(crate) nops: Option<fn(u64, usize) -> io::Result<u64>>,
}

/// Those whose names begin so are ours: one for each driver.
pub(crate) const OURS: &str = "krug-";

/// krug as readiness has it.
pub(crate) const OTHER_DRIVER: &str = "krug-epoll";

impl Peer {
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with(OURS)
    }
}

pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "krug-uring",
        echo: |job| krug::serve(Driver::Uring, job),
        nops: Some(|operations, batch| krug::nops(Driver::Uring, operations, batch)),
    },
    Peer {
        name: "krug-epoll",
        echo: |job| krug::serve(Driver::Epoll, job),
        nops: Some(|operations, batch| krug::nops(Driver::Epoll, operations, batch)),
    },
    Peer {
        name: "krug-uring-nospin",
        echo: |job| krug::serve_without_spin(Driver::Uring, job),
        nops: None,
    },
    Peer {
        name: "floor",
        echo: floor::server::serve,
        nops: Some(floor::nops::run),
    },
    Peer {
        name: "floor-spin",
        echo: |job| floor::server::serve_looking_on(job, SPIN),
        nops: None,
    },
    Peer {
        name: "floor-epoll",
        echo: floor::readiness::serve,
        nops: None,
    },
    Peer {
        name: "tokio",
        echo: tokio::serve,
        nops: None,
    },
];

/// For how long a pinned core of krug looks on at most unless it is told otherwise.
const SPIN: Duration = Duration::from_micros(100);

/// The timeout of every receive, where it has one: it never ends.
const LIMIT: Duration = Duration::from_secs(30);

/// The servers above, with a timeout around every receive. Their names end with [`TIMEOUTS`].
pub(crate) const WITH_TIMEOUTS: &[Peer] = &[
    Peer {
        name: "krug-uring-timeouts",
        echo: |job| krug::serve_with_timeouts(Driver::Uring, job),
        nops: None,
    },
    Peer {
        name: "krug-epoll-timeouts",
        echo: |job| krug::serve_with_timeouts(Driver::Epoll, job),
        nops: None,
    },
    Peer {
        name: "tokio-timeouts",
        echo: tokio::serve_with_timeouts,
        nops: None,
    },
];

/// The servers above, as they are when a connection on which nothing comes holds no buffer: each as its own documentation does
/// that. Their names end with [`RECV`].
pub(crate) const WITHOUT_BUFFERS: &[Peer] = &[
    Peer {
        name: "krug-uring-recv",
        echo: |job| krug::serve_without_buffers(Driver::Uring, job),
        nops: None,
    },
    Peer {
        name: "krug-epoll-recv",
        echo: |job| krug::serve_without_buffers(Driver::Epoll, job),
        nops: None,
    },
    Peer {
        name: "floor-recv",
        echo: floor::idle::serve,
        nops: None,
    },
    Peer {
        name: "tokio-recv",
        echo: tokio::serve_without_buffers,
        nops: None,
    },
];

pub(crate) const RECV: &str = "-recv";

/// What comes is received in pieces of up to so many bytes, where messages are smaller.
const PIECE: usize = 4096;

/// The servers above, receiving whatever is there, many small messages at once. Their names end with [`PIECES`].
pub(crate) const IN_PIECES: &[Peer] = &[
    Peer {
        name: "krug-uring-pieces",
        echo: |job| krug::serve_without_buffers(Driver::Uring, job),
        nops: None,
    },
    Peer {
        name: "krug-epoll-pieces",
        echo: |job| krug::serve_without_buffers(Driver::Epoll, job),
        nops: None,
    },
    Peer {
        name: "floor-pieces",
        echo: |job| floor::server::serve_in_pieces(job, PIECE),
        nops: None,
    },
    Peer {
        name: "tokio-pieces",
        echo: |job| tokio::serve_in_pieces(job, PIECE),
        nops: None,
    },
];

pub(crate) const PIECES: &str = "-pieces";
pub(crate) const TIMEOUTS: &str = "-timeouts";

/// A server on whose core a task computes for long at a time; says how often that was polled.
pub(crate) struct PeerBesideAHog {
    pub(crate) name: &'static str,
    pub(crate) echo: fn(&Job) -> io::Result<u64>,
}

pub(crate) const BESIDE_A_HOG: &[PeerBesideAHog] = &[
    PeerBesideAHog {
        name: "krug-uring, Default",
        echo: |job| krug::serve_beside_a_hog(Driver::Uring, Class::Default, job),
    },
    PeerBesideAHog {
        name: "krug-uring, Latency",
        echo: |job| krug::serve_beside_a_hog(Driver::Uring, Class::Latency, job),
    },
    PeerBesideAHog {
        name: "krug-epoll, Default",
        echo: |job| krug::serve_beside_a_hog(Driver::Epoll, Class::Default, job),
    },
    PeerBesideAHog {
        name: "krug-epoll, Latency",
        echo: |job| krug::serve_beside_a_hog(Driver::Epoll, Class::Latency, job),
    },
    PeerBesideAHog {
        name: "tokio, current thread",
        echo: tokio::serve_beside_a_hog,
    },
];

pub(crate) fn named(name: &str) -> io::Result<&'static Peer> {
    let manners = [WITH_TIMEOUTS, WITHOUT_BUFFERS, IN_PIECES];
    let mut all = PEERS.iter().chain(manners.into_iter().flatten());
    all.find(|peer| peer.name == name).ok_or_else(|| {
        let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no peer is called `{name}`: there are {}", names.join(", ")),
        )
    })
}
