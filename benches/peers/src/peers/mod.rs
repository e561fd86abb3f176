//! The runtimes that are compared, one file each, set to what their own documentation recommends for speed.

mod compio;
mod floor;
mod glommio;
mod kimojio;
mod krug;
mod monoio;
mod smol;
mod tokio;
mod tokio_uring;

use std::io;

use krug_benches::harness::{Job, Served};

use crate::work::{Outcome, Work};

/// A runtime with its settings.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The crate whose version is told.
    package: &'static str,
    /// Sends back what comes on so many connections; ends with the last of them.
    pub(crate) echo: fn(&Job) -> io::Result<Served>,
    /// On the calling thread.
    pub(crate) run: fn(&Work) -> Outcome,
    /// Which channel carries messages between its tasks.
    pub(crate) channel: &'static str,
    /// How a task lets others run.
    pub(crate) yielding: &'static str,
}

pub(crate) const ALL: &[Peer] = &[
    Peer {
        name: SUBJECT,
        package: "krug",
        echo: krug::echo,
        run: krug::run,
        channel: "krug::sync::mpsc",
        yielding: "krug::task::yield_now",
    },
    Peer {
        name: SUBJECT_IN_RECV,
        package: "krug",
        echo: krug::echo_by_recv,
        run: krug::run,
        channel: "krug::sync::mpsc",
        yielding: "krug::task::yield_now",
    },
    Peer {
        name: "floor",
        package: "krug-benches",
        echo: krug_benches::harness::serve_floor,
        run: floor::run,
        channel: "none",
        yielding: "none",
    },
    Peer {
        name: "tokio",
        package: "tokio",
        echo: tokio::echo,
        run: tokio::run,
        channel: "tokio::sync::mpsc",
        yielding: "tokio::task::yield_now",
    },
    Peer {
        name: "smol",
        package: "smol",
        echo: smol::echo,
        run: smol::run,
        channel: "smol::channel",
        yielding: "smol::future::yield_now",
    },
    Peer {
        name: "monoio",
        package: "monoio",
        echo: |job| monoio::echo(monoio::Ring::AsItComes, job),
        run: |work| monoio::run(monoio::Ring::AsItComes, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "monoio-defer",
        package: "monoio",
        echo: |job| monoio::echo(monoio::Ring::Defer, job),
        run: |work| monoio::run(monoio::Ring::Defer, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "glommio",
        package: "glommio",
        echo: glommio::echo,
        run: glommio::run,
        channel: "glommio::channels::local_channel",
        yielding: "glommio::executor().yield_now",
    },
    Peer {
        name: "compio",
        package: "compio",
        echo: |job| compio::echo(compio::Ring::Coop, job),
        run: |work| compio::run(compio::Ring::Coop, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "compio-defer",
        package: "compio",
        echo: |job| compio::echo(compio::Ring::Defer, job),
        run: |work| compio::run(compio::Ring::Defer, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "tokio-uring",
        package: "tokio-uring",
        echo: tokio_uring::echo,
        run: tokio_uring::run,
        channel: "tokio::sync::mpsc",
        yielding: "tokio::task::yield_now",
    },
    Peer {
        name: "kimojio",
        package: "kimojio",
        echo: kimojio::echo,
        run: kimojio::run,
        channel: "kimojio::async_channel",
        yielding: "kimojio::operations::yield_io",
    },
];

const SUBJECT: &str = "krug-uring";
const SUBJECT_IN_RECV: &str = "krug-recv";
const LOCAL_SYNC: &str = "local-sync, as it has none of its own";
const FUTURES_LITE: &str = "futures-lite, as it has none of its own";

/// Who is compared with all others.
pub(crate) fn subject() -> &'static Peer {
    &ALL[0]
}

/// The same, receiving into buffers that are lent only while there is something in them.
pub(crate) fn subject_in_recv() -> &'static Peer {
    &ALL[1]
}

impl Peer {
    pub(crate) fn is_ours(&self) -> bool {
        self.package == subject().package
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

pub(crate) fn named(name: &str) -> io::Result<&'static Peer> {
    let found = ALL.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| io::Error::other(format!("no peer is called `{name}`")))
}

/// The crates whose versions are told, each once.
pub(crate) fn packages() -> Vec<&'static str> {
    let mut packages: Vec<_> = ALL.iter().map(|peer| peer.package).collect();
    packages.dedup();
    packages
}
