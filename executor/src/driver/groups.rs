//! [`Groups`]: provided buffers. Here they are plain lists: a buffer is taken when something is there to be received into it.

use std::collections::VecDeque;

use crate::driver::Address;

/// A buffer that was lent to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provided {
    pub(super) id: u16,
    pub(super) address: Address,
    pub(super) length: u32,
}

#[derive(Default)]
struct Group {
    buffers: VecDeque<Provided>,
    /// How many were ever put in.
    count: u16,
    /// Of each buffer the place where it was put in last, and what it was then.
    places: Vec<(u16, Provided)>,
}

#[derive(Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    /// Adds one, and answers its number.
    pub(super) fn add(&mut self) -> u16 {
        self.0.push(Group::default());
        self.0.len() as u16 - 1
    }

    /// Puts a buffer in, and answers its place.
    pub(super) fn provide(&mut self, group: u16, buffer: Provided) -> u16 {
        let group = &mut self.0[usize::from(group)];
        let (place, id) = (group.count, usize::from(buffer.id));
        group.buffers.push_back(buffer);
        group.count = place.wrapping_add(1);
        if id >= group.places.len() {
            group.places.resize(id + 1, (0, buffer));
        }
        group.places[id] = (place, buffer);
        place
    }

    /// How long a buffer is; `None` if its place is another's by now.
    pub(super) fn length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        let places = &self.0[usize::from(group)].places;
        let (last, buffer) = *places.get(usize::from(id))?;
        (last == place).then_some(buffer.length)
    }

    /// The buffer of this number, as it was provided last.
    pub(super) fn last_provided(&self, group: u16, id: u16) -> Option<Provided> {
        let places = &self.0.get(usize::from(group))?.places;
        places.get(usize::from(id)).map(|(_, buffer)| *buffer)
    }

    /// The buffer that is next, if there is one.
    pub(super) fn next(&self, group: u16) -> Option<Provided> {
        self.0.get(usize::from(group))?.buffers.front().copied()
    }

    /// The buffer that is next was filled: it belongs to whoever learns that.
    pub(super) fn take(&mut self, group: u16) {
        self.0[usize::from(group)].buffers.pop_front();
    }
}
