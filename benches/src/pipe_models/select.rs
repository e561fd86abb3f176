//! `select`: a set of bits, made anew for each call. It has no bits for descriptors from 1024 on.

use std::io;

use super::calls::{self, DescriptorSet};
use super::sources::Sources;
use super::{Incoming, Received, cannot};

pub(super) fn read(mut incoming: Incoming) -> io::Result<Received> {
    let mut sources = Sources::new(&mut incoming)?;
    let too_high = (0..sources.len())
        .filter_map(|index| sources.descriptor(index))
        .find(|descriptor| !DescriptorSet::has_room_for(*descriptor));
    if let Some(descriptor) = too_high {
        return Err(cannot(format!(
            "select knows descriptors below {}, not {descriptor}",
            DescriptorSet::SIZE
        )));
    }
    incoming.start();
    while sources.is_any_open() {
        let mut set = DescriptorSet::new();
        for index in 0..sources.len() {
            if let Some(descriptor) = sources.descriptor(index) {
                set.add(descriptor);
            }
        }
        sources.calls += 1;
        calls::select(&mut set)?;
        for index in 0..sources.len() {
            if sources
                .descriptor(index)
                .is_some_and(|descriptor| set.contains(descriptor))
            {
                sources.read(index)?;
            }
        }
    }
    Ok(sources.received())
}
