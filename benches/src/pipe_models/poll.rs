//! `poll`: a list of all descriptors, handed over with each call.

use std::io;

use super::calls::{self, Polled};
use super::sources::Sources;
use super::{Incoming, Received};

pub(super) fn read(mut incoming: Incoming) -> io::Result<Received> {
    let mut sources = Sources::new(&mut incoming)?;
    let mut list: Vec<(usize, Polled)> = Vec::new();
    for index in 0..sources.len() {
        list.extend(
            sources
                .descriptor(index)
                .map(|descriptor| (index, Polled::new(descriptor))),
        );
    }
    let (mut indices, mut polled): (Vec<usize>, Vec<Polled>) = list.into_iter().unzip();
    incoming.start();
    while sources.is_any_open() {
        sources.calls += 1;
        calls::poll(&mut polled)?;
        // From the end, so that the last one can take the place of one that has ended.
        for place in (0..polled.len()).rev() {
            if polled[place].is_ready() {
                sources.read(indices[place])?;
                if sources.descriptor(indices[place]).is_none() {
                    indices.swap_remove(place);
                    polled.swap_remove(place);
                }
            }
        }
    }
    Ok(sources.received())
}
