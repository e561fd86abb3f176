//! How heroes with nothing but a list of addresses come to have one link for each pair.
//!
//! Of two addresses one is greater, and both sides see which: whoever has the smaller
//! one dials, whoever has the greater one accepts. Nobody has to be told anything, the
//! list may be in any order, and no pair meets twice.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use krug::sync::mpsc;
use krug::time::{now, sleep, timeout_at};

use super::{Link, Tasks, Transport};

/// How long a hero waits for links before he goes on without.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts to dial: the other may not listen yet.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// A kind of socket that listens and connects.
pub trait Socket: 'static {
    /// Where one listens. Its order decides who dials.
    type Address: Clone + Ord + 'static;
    /// One that listens.
    type Listener: 'static;
    /// One that is connected.
    type Stream: Link;

    /// The next connection.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;

    /// A connection to `address`.
    fn dial(address: Self::Address) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// A hero's own listener, and where all listen, himself included, in any order.
#[derive(Debug)]
pub struct Sockets<S: Socket> {
    /// Where he listens.
    pub listener: S::Listener,
    /// The address of that.
    pub own: S::Address,
    /// The addresses of all.
    pub addresses: Vec<S::Address>,
}

impl<S: Socket> Transport for Sockets<S> {
    type Link = S::Stream;

    async fn connect(self) -> Vec<S::Stream> {
        let Sockets {
            listener,
            own,
            addresses,
        } = self;
        let deadline = now() + PATIENCE;
        let (up, mut coming) = mpsc::unbounded();
        let mut tasks = Tasks::new();
        let mut smaller = 0;
        let mut greater = 0;
        for address in addresses {
            if address > own {
                greater += 1;
                tasks.spawn(dial_until::<S>(address, deadline, up.clone()));
            } else if address < own {
                smaller += 1;
            }
        }
        tasks.spawn(accept_some::<S>(listener, smaller, up));

        let mut links = Vec::with_capacity(smaller + greater);
        while links.len() < smaller + greater {
            match timeout_at(deadline, coming.recv()).await {
                Ok(Some(link)) => links.push(link),
                Ok(None) | Err(_) => break,
            }
        }
        links
    }
}

async fn dial_until<S: Socket>(
    address: S::Address,
    deadline: Instant,
    up: mpsc::UnboundedSender<S::Stream>,
) {
    let mut pause = PAUSE_MIN;
    while now() < deadline {
        if let Ok(stream) = S::dial(address.clone()).await {
            // Nobody takes it only if the hero is dead or out of patience: then it closes.
            let _ = up.send(stream);
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn accept_some<S: Socket>(
    listener: S::Listener,
    count: usize,
    up: mpsc::UnboundedSender<S::Stream>,
) {
    let mut accepted = 0;
    while accepted < count {
        match S::accept(&listener).await {
            Ok(stream) => {
                accepted += 1;
                if up.send(stream).is_err() {
                    return;
                }
            }
            // A connection that broke in the queue, or no descriptor free just now.
            Err(_) => sleep(PAUSE_MIN).await,
        }
    }
}
