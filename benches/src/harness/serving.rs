//! A server and a load generator, on threads of their own, each on its core if there are two. What is measured is a server in a process of its own,
//! as in [`apart`](super::apart).

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::floor::load::{self, Generated, Load};
use crate::floor::system;
use crate::peers::{Job, Served};

/// What the load generator sends, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// How many there are at once.
    pub connections: usize,
    /// Size of a message.
    pub bytes: usize,
    /// Messages sent at once on each connection; the next ones follow when all came back.
    pub in_flight: usize,
    /// Time before anything is measured.
    pub warm_up: Duration,
    /// Time that is measured.
    pub measured: Duration,
}

impl Traffic {
    pub(crate) fn to(self, place: Place) -> Load {
        Load {
            address: place.address,
            connections: self.connections,
            bytes: self.bytes,
            in_flight: self.in_flight,
            warm_up: self.warm_up,
            measured: self.measured,
            server_thread: place.thread,
            server_calls: Arc::default(),
        }
    }
}

/// Lets an echo server (that `name` is for the thread) run under this traffic, once.
///
/// # Errors
///
/// The server's, if it has failed; else the load generator's: a message that came back wrong, a
/// connection that ended early.
pub fn serve_under(
    traffic: Traffic,
    name: &str,
    echo: fn(&Job) -> io::Result<Served>,
) -> io::Result<(Generated, Served)> {
    let (connections, bytes) = (traffic.connections, traffic.bytes);
    beside_server((name, echo), connections, bytes, move |place| {
        generate(traffic, place)
    })
}

pub(super) fn generate(traffic: Traffic, place: Place) -> io::Result<Generated> {
    load::generate(&traffic.to(place))
}

/// On a thread of its own.
pub(super) fn on_core_of_load<T: Send + 'static>(
    clients: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<thread::JoinHandle<io::Result<T>>> {
    let load = thread::Builder::new().name("load".to_owned());
    load.spawn(move || {
        pin(1)?;
        clients()
    })
}

/// Where a server is.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    /// For [`system::busy_time`].
    pub(crate) thread: String,
}

/// What the clients have seen, who work beside a server, each side on a core of its own if there are two; and what the server says.
pub(crate) fn beside_server<T: Send + 'static>(
    (name, echo): (&str, fn(&Job) -> io::Result<Served>),
    connections: usize,
    bytes: usize,
    clients: impl FnOnce(Place) -> io::Result<T> + Send + 'static,
) -> io::Result<(T, Served)> {
    let (report_address, address) = mpsc::channel();
    let (report_thread, server_thread) = mpsc::channel();
    let job = Job {
        connections,
        bytes,
        announce: Box::new(move |address| {
            // Nobody waits for it any more if the load generator failed; the server sees that by itself.
            let _ = report_address.send(address);
        }),
    };
    let server = thread::Builder::new()
        .name(format!("serve-{name}"))
        .spawn(move || {
            let _ = report_thread.send(system::current_thread());
            pin(0).and_then(|()| echo(&job))
        })?;

    let (Ok(thread), Ok(address)) = (server_thread.recv(), address.recv()) else {
        return Err(joined(server)
            .err()
            .unwrap_or_else(|| io::Error::other("the server ended without a word")));
    };
    system::prepare_listener(address)?;
    let place = Place { address, thread };
    let seen = joined(on_core_of_load(move || clients(place))?);
    // The server's own error says more than the connection that broke because of it.
    let served = joined(server)?;
    Ok((seen?, served))
}

/// Keeps the calling thread on this one of the cores that it may use, if it may use more than one.
///
/// # Errors
///
/// If the kernel refuses.
pub fn pin(index: usize) -> io::Result<()> {
    pin_among(&system::allowed_cores(), index)
}

/// The same among cores that were looked up before.
pub(crate) fn pin_among(cores: &[usize], index: usize) -> io::Result<()> {
    if cores.len() > 1 {
        system::pin_to(cores[index])
    } else {
        Ok(())
    }
}

/// Runs this on the first core, with all the threads that it starts, on a thread of its own: it can be pinned without pinning the next one, and
/// what is left behind on it is left behind with it.
///
/// # Errors
///
/// Its own, and a panic.
pub fn on_first_core<T: Send, E: From<io::Error> + Send>(
    run: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            pin(0)?;
            run()
        });
        running
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread panicked").into()))
    })
}

/// What the thread has come to.
pub(crate) fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_of_what_runs_on_the_first_core_are_there() {
        let cores = on_first_core(|| {
            let child = thread::spawn(system::allowed_cores);
            child.join().map_err(|_| io::Error::other("it panicked"))
        });
        assert_eq!(cores.unwrap(), system::allowed_cores()[..1]);
    }

    #[test]
    fn a_panic_on_the_first_core_is_an_error() {
        let outcome = on_first_core::<(), io::Error>(|| panic!("on purpose"));
        assert!(outcome.is_err());
    }
}
