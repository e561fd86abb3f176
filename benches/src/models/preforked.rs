//! Processes that were begun before, each of which accepts and serves by itself.

use std::io;

use super::acceptor::Accepted;
use super::calls::processes::Children;
use super::conversation::After;
use super::{Site, WORKERS, blocking};

pub(super) fn serve(site: Site) -> io::Result<()> {
    let mut workers = Children::of_one_thread()?;
    for _ in 0..WORKERS {
        workers.begin(|| work(&site))?;
    }
    // The first that ends well was told to. The others are, too, but may be waiting for users.
    match workers.wait()? {
        true => Ok(()),
        false => Err(io::Error::other("a worker has failed")),
    }
}

fn work(site: &Site) -> io::Result<()> {
    while let Accepted::Connection(stream) = site.acceptor.accept()? {
        // An error is that user's, who has gone.
        let _ = blocking::serve(stream, After::Close, &site.files);
    }
    Ok(())
}
