//! A thread for each connection.

use std::io;
use std::sync::Arc;
use std::thread;

use super::acceptor::Accepted;
use super::conversation::After;
use super::{Site, blocking};

/// What one connection needs, with a wide margin; only what is used takes memory.
const STACK: usize = 256 << 10;

pub(super) fn serve(site: Site) -> io::Result<()> {
    let Site {
        acceptor, files, ..
    } = site;
    let files = Arc::new(files);
    while let Accepted::Connection(stream) = acceptor.accept()? {
        let files = files.clone();
        let thread = thread::Builder::new().stack_size(STACK);
        let begun = thread.spawn(move || {
            // An error is that user's, who has gone.
            let _ = blocking::serve(stream, After::Keep, &files);
        });
        if let Err(error) = begun {
            acceptor.refuse(&format!("no more threads: {error}"));
        }
    }
    // The process ends now, and with it the threads of users who are still there.
    Ok(())
}
