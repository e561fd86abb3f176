//! A process for each connection.

use std::io;

use super::acceptor::Accepted;
use super::calls::processes::Children;
use super::conversation::After;
use super::{Site, blocking};

pub(super) fn serve(site: Site) -> io::Result<()> {
    let mut children = Children::of_one_thread()?;
    while let Accepted::Connection(stream) = site.acceptor.accept()? {
        let (files, listener) = (&site.files, &site.acceptor);
        // The copy has the stream, too: here it is closed either way.
        let begun = children.begin(|| blocking::serve(stream, After::Keep, files));
        if let Err(error) = begun {
            listener.refuse(&format!("no more processes: {error}"));
        }
        children.reap();
    }
    Ok(())
}
