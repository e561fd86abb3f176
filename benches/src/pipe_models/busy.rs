//! A loop that asks every pipe, again and again, and never rests.

use std::io;

use super::sources::Sources;
use super::{Incoming, Received};

pub(super) fn read(mut incoming: Incoming) -> io::Result<Received> {
    let mut sources = Sources::new(&mut incoming)?;
    incoming.start();
    while sources.is_any_open() {
        for index in 0..sources.len() {
            sources.read(index)?;
        }
    }
    Ok(sources.received())
}
