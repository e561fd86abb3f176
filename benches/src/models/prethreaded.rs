//! Threads that were begun before, each of which accepts and serves by itself.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use super::acceptor::Accepted;
use super::conversation::After;
use super::{Site, WORKERS, blocking};

pub(super) fn serve(site: Site) -> io::Result<()> {
    let site = Arc::new(site);
    let (tell, told) = mpsc::channel();
    for _ in 0..WORKERS {
        let (site, tell) = (site.clone(), tell.clone());
        thread::Builder::new().spawn(move || {
            // Nobody waits for those that end after the first.
            let _ = tell.send(work(&site));
        })?;
    }
    drop(tell);
    // The others are told, too, but may be waiting for users.
    let first = told.recv();
    first.unwrap_or_else(|_| Err(io::Error::other("all workers have panicked")))
}

fn work(site: &Site) -> io::Result<()> {
    while let Accepted::Connection(stream) = site.acceptor.accept()? {
        // An error is that user's, who has gone.
        let _ = blocking::serve(stream, After::Close, &site.files);
    }
    Ok(())
}
