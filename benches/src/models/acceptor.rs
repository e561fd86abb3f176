//! New connections, and what is done when there is no room for one.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What an accept came to.
#[derive(Debug)]
pub(crate) enum Accepted {
    Connection(TcpStream),
    /// Of a listener that does not wait: there is none now.
    None,
    /// Nobody listens any more: the server is to end.
    Over,
}

/// The listener, with a descriptor in reserve: when there is no other left, a connection can still be taken and closed,
/// so that its user learns of it.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    reserve: Mutex<Option<File>>,
    has_refused: AtomicBool,
}

/// What the one who started this reads when a user was refused, with the reason behind it.
pub(crate) const REFUSES: &str = "refuses: ";

impl Acceptor {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Acceptor> {
        Ok(Acceptor {
            listener,
            reserve: Mutex::new(Some(File::open("/dev/null")?)),
            has_refused: AtomicBool::new(false),
        })
    }

    pub(crate) fn accept(&self) -> io::Result<Accepted> {
        loop {
            let error = match self.listener.accept() {
                Ok((stream, _)) => {
                    // It may be gone already; then its first read says so.
                    let _ = stream.set_nodelay(true);
                    return Ok(Accepted::Connection(stream));
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(Accepted::None),
                Some(libc::EINVAL) => return Ok(Accepted::Over),
                Some(libc::EINTR | libc::ECONNABORTED | libc::EPROTO) => {}
                Some(libc::EMFILE) => {
                    if let Some(accepted) = self.turn_away() {
                        return Ok(accepted);
                    }
                }
                Some(libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    self.refuse(&error.to_string());
                    thread::sleep(Duration::from_millis(10));
                }
                _ => return Err(error),
            }
        }
    }

    /// Takes a connection with the descriptor in reserve, and closes it. Without descriptors the kernel does not even say that there is no
    /// connection, or nobody who listens: that is found out here, too.
    fn turn_away(&self) -> Option<Accepted> {
        self.refuse("too many open files");
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        drop(reserve.take());
        let accepted = self.listener.accept().map(drop);
        *reserve = File::open("/dev/null").ok();
        match accepted.err()?.raw_os_error() {
            Some(libc::EAGAIN) => Some(Accepted::None),
            Some(libc::EINVAL) => Some(Accepted::Over),
            _ => None,
        }
    }

    /// Says once that users are refused, and why.
    pub(crate) fn refuse(&self, reason: &str) {
        if !self.has_refused.swap(true, Ordering::Relaxed) {
            println!("{REFUSES}{reason}");
        }
    }

    /// For a server that accepts by itself.
    pub(crate) fn into_listener(self) -> TcpListener {
        self.listener
    }

    pub(crate) fn do_not_wait(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
