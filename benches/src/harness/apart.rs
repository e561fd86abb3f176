//! An echo server in a process of its own: its memory and its system calls are then its own doing, and each side of its connections
//! may have all the descriptors that one process is allowed.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::serving::{Place, Traffic, generate, joined, on_core_of_load, pin};
use crate::floor::limits;
use crate::floor::load::Generated;
use crate::floor::system;
use crate::peers::{Job, Served};

/// Descriptors that a process needs besides those of connections.
const OTHERS: usize = 100;
/// A server that has not ended so long after its last connection never will.
const ENDING: Duration = Duration::from_secs(20);

/// How many connections there may be, each side in a process of its own, now that this process has asked for all descriptors that it may have.
///
/// # Errors
///
/// If the system does not say what it may have.
pub fn connections_max() -> io::Result<usize> {
    let limit = usize::try_from(limits::raise_descriptor_limit()?).unwrap_or(usize::MAX);
    Ok(limit.saturating_sub(OTHERS))
}

/// What such a process does: it serves on its only thread, and tells where, and in the end what it knows of itself.
///
/// # Errors
///
/// Those of the server.
pub fn serve(
    echo: fn(&Job) -> io::Result<Served>,
    connections: usize,
    bytes: usize,
) -> io::Result<()> {
    limits::end_with_parent()?;
    limits::raise_descriptor_limit()?;
    pin(0)?;
    let job = Job {
        connections,
        bytes,
        announce: Box::new(|address| match system::prepare_listener(address) {
            Ok(()) => println!("{address}"),
            Err(error) => println!("{error}"),
        }),
    };
    let Served { enters, detail } = echo(&job)?;
    let enters = enters.map_or_else(|| UNKNOWN.to_owned(), |enters| enters.to_string());
    println!("{enters} {}", detail.unwrap_or_default());
    Ok(())
}

/// Said by a server that does not count its system calls.
const UNKNOWN: &str = "-";

fn served_in(line: &str) -> Served {
    let (enters, detail) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    Served {
        enters: enters.parse().ok(),
        detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
    }
}

/// A process that [serves](serve). It is killed when this is dropped, and with the thread that began it.
#[derive(Debug)]
pub struct Apart {
    /// Nothing once it was waited for.
    process: Option<Child>,
    output: BufReader<ChildStdout>,
    id: u32,
    address: SocketAddr,
}

impl Apart {
    /// Returns when connections can be made.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or ends before that.
    pub fn begin(command: &mut Command) -> io::Result<Apart> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut output = BufReader::new(process.stdout.take().expect("it has a pipe"));
        let mut line = String::new();
        let read = output.read_line(&mut line);
        let id = process.id();
        let word = line.trim();
        match (read, word.parse()) {
            (Ok(_), Ok(address)) => Ok(Apart {
                process: Some(process),
                output,
                id,
                address,
            }),
            (read, _) => {
                if !word.is_empty() {
                    // It serves where nobody finds it.
                    let _ = process.kill();
                }
                let status = process.wait()?;
                read?;
                let what = if word.is_empty() {
                    status.to_string()
                } else {
                    word.to_owned()
                };
                Err(io::Error::other(format!("the server: {what}")))
            }
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where connections can be made.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for its end, which follows that of its last connection.
    ///
    /// # Errors
    ///
    /// If it does not end, or has failed.
    pub fn ended(mut self) -> io::Result<Served> {
        let begin = Instant::now();
        let process = self.process.as_mut().expect("not waited for before");
        let status = loop {
            match process.try_wait()? {
                Some(status) => break status,
                None if begin.elapsed() > ENDING => {
                    return Err(io::Error::other("the server does not end"));
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        self.process = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        if status.success() {
            Ok(served_in(&rest))
        } else {
            Err(io::Error::other(format!("the server: {status}")))
        }
    }

    /// Somebody else has waited for its end.
    pub(crate) fn was_waited_for(mut self) {
        self.process = None;
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Lets the server that this command makes serve run under this traffic, once.
///
/// # Errors
///
/// As [`serve_under`](super::serving::serve_under).
pub fn serve_under(traffic: Traffic, command: &mut Command) -> io::Result<(Generated, Served)> {
    beside(command, move |place| generate(traffic, place))
}

/// What the clients have seen of the server that this command makes serve, and what it says.
pub(crate) fn beside<T: Send + 'static>(
    command: &mut Command,
    clients: impl FnOnce(Place) -> io::Result<T> + Send + 'static,
) -> io::Result<(T, Served)> {
    let server = Apart::begin(command)?;
    let place = Place {
        address: server.address,
        thread: format!("/proc/{0}/task/{0}", server.id),
    };
    // If that fails, what the server waits for may never come: it is killed.
    let seen = joined(on_core_of_load(move || clients(place))?)?;
    Ok((seen, server.ended()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_understood() {
        let served = served_in("12 A|B ring\n");
        assert_eq!(served.enters, Some(12));
        assert_eq!(served.detail.as_deref(), Some("A|B ring"));
        let silent = served_in("- \n");
        assert_eq!((silent.enters, silent.detail), (None, None));
    }

    #[test]
    fn a_server_that_fails_before_it_serves_is_an_error_with_its_words() {
        for (line, word) in [("exit 3", "3"), ("echo no ring; sleep 60", "no ring")] {
            let error = Apart::begin(Command::new("sh").args(["-c", line])).unwrap_err();
            assert!(error.to_string().contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn a_server_that_fails_while_it_serves_is_an_error() {
        let line = "echo 127.0.0.1:9; exit 3";
        let server = Apart::begin(Command::new("sh").args(["-c", line])).unwrap();
        assert_eq!(server.address(), "127.0.0.1:9".parse().unwrap());
        assert!(server.ended().unwrap_err().to_string().contains('3'));
    }
}
