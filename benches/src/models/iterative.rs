//! One user after the other: the next one waits until this one has been served.

use std::io;

use super::acceptor::Accepted;
use super::conversation::After;
use super::{Site, blocking};

pub(super) fn serve(site: Site) -> io::Result<()> {
    while let Accepted::Connection(stream) = site.acceptor.accept()? {
        // An error is that user's, who has gone.
        let _ = blocking::serve(stream, After::Close, &site.files);
    }
    Ok(())
}
