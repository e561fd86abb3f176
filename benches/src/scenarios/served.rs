//! A server in a process of its own: what the kernel sees of it is its doing alone.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::echo::{self, joined};
use crate::floor::calls::Traced;
use crate::floor::limits;
use crate::floor::load::{self, Load};
use crate::floor::system;
use crate::options::Options;
use crate::peers::{self, Job, Peer};

/// Long enough, at the pace of a process that is stopped at each call: thousands of messages.
const COUNTED: Duration = Duration::from_millis(400);

/// What the kernel has seen of a server at work.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) threads: usize,
    /// System calls for each message, or why they cannot be counted.
    pub(super) calls: Result<f64, String>,
}

impl Seen {
    pub(super) fn describe_calls(&self) -> String {
        match &self.calls {
            Ok(calls) => format!("{calls:.3}"),
            Err(_) => "unknown".to_owned(),
        }
    }
}

/// What the process does: it serves, on its only thread.
pub(super) fn serve(who: &str, options: &Options) -> io::Result<()> {
    let peer = peers::named(who)?;
    limits::end_with_parent()?;
    // Where this is refused the memory of connections is seen less exactly.
    let _ = limits::forbid_huge_pages();
    limits::raise_descriptor_limit()?;
    pin(0)?;
    let job = Job {
        connections: options.connections,
        bytes: options.bytes,
        announce: Box::new(|address| match system::use_cubic_on_listener(address) {
            Ok(()) => println!("{address}"),
            Err(error) => println!("{error}"),
        }),
    };
    (peer.echo)(&job).map(|_| ())
}

/// Runs a server in another process, and looks at it.
pub(super) fn look(peer: &Peer, options: &Options, in_flight: usize) -> io::Result<Seen> {
    let mut server = start(peer, options.connections, options.bytes)?;
    let address = match announced(&mut server) {
        Ok(address) => address,
        Err(error) => {
            let status = server.wait()?;
            return Err(io::Error::other(format!("the server: {error}, {status}")));
        }
    };
    let load = Load {
        address,
        connections: options.connections,
        bytes: options.bytes,
        in_flight,
        warm_up: options.warm_up,
        measured: options.measured.min(COUNTED),
        server_thread: format!("/proc/{0}/task/{0}", server.id()),
        server_calls: Arc::default(),
    };
    let calls = load.server_calls.clone();
    let traced = Traced::begin(server.id());
    let generator = thread::spawn(move || {
        pin(1)?;
        load::generate_counted(&load)
    });
    let (ended_well, uncounted) = match traced {
        Ok(traced) => (traced.count(&calls)?, None),
        Err(error) => (server.wait()?.success(), Some(error.to_string())),
    };
    let counted = joined(generator);
    if !ended_well {
        return Err(io::Error::other(
            "the server in a process of its own failed",
        ));
    }
    let counted = counted?;
    let each = counted.server_calls as f64 / counted.messages as f64;
    Ok(Seen {
        threads: counted.threads,
        calls: uncounted.map_or(Ok(each), Err),
    })
}

/// Of a process that has just begun to serve; it does not outlive this thread.
pub(super) fn start(peer: &Peer, connections: usize, bytes: usize) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["echo", "--served", peer.name]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--bytes", &bytes.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

/// The address, which the server says first.
pub(super) fn announced(server: &mut Child) -> Result<SocketAddr, String> {
    let output = server.stdout.take().expect("it has a pipe");
    let mut line = String::new();
    let read = BufReader::new(output).read_line(&mut line);
    read.map_err(|error| error.to_string())?;
    let word = line.trim();
    word.parse().map_err(|_| match word {
        "" => "it ended without a word".to_owned(),
        other => other.to_owned(),
    })
}

fn pin(index: usize) -> io::Result<()> {
    echo::pin(&system::allowed_cores(), index)
}
