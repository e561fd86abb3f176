//! [`Objects`]: what is open in a world, and the numbers that programs know it by.

use std::collections::{BTreeMap, VecDeque};

use super::datagrams::Datagrams;
use super::files::OpenFile;
use super::listener::Listener;
use super::progress::Begun;
use super::signals::Watched;
use super::stream::Stream;
use crate::driver::{Descriptor, OptionName};
use crate::sys::simulated::OPEN_MAX;

/// Names something that was opened: it is never used again for something else. Their order is that in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectId {
    number: u64,
    place: usize,
}

impl ObjectId {
    pub(super) fn number(self) -> u64 {
        self.number
    }
}

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Receiving,
    Sending,
}

/// Something open.
pub(super) struct Object {
    /// Whose it is.
    pub(super) host: usize,
    pub(super) kind: Kind,
    /// `AF_…`.
    pub(super) domain: i32,
    /// How many descriptors name it.
    pub(super) descriptors: usize,
    pub(super) options: BTreeMap<OptionName, i32>,
    /// Closing it resets its connection (a linger time of zero).
    pub(super) resets_when_closed: bool,
    /// Operations that wait, in order.
    pub(super) receiving: VecDeque<Begun>,
    pub(super) sending: VecDeque<Begun>,
}

pub(super) enum Kind {
    /// A stream socket, connected or not, or an end of a pipe.
    Stream(Box<Stream>),
    Listener(Box<Listener>),
    Datagrams(Box<Datagrams>),
    File(OpenFile),
    Signal(Watched),
}

impl Object {
    pub(super) fn queue(&mut self, direction: Direction) -> &mut VecDeque<Begun> {
        match direction {
            Direction::Receiving => &mut self.receiving,
            Direction::Sending => &mut self.sending,
        }
    }

    /// The value of an option, or what it is at first.
    pub(super) fn option(&self, name: OptionName) -> i32 {
        let usual = match name {
            OptionName::ReceiveBuffer | OptionName::SendBuffer => 212_992,
            OptionName::TimeToLive | OptionName::HopLimit => 64,
            OptionName::MulticastLoopV4
            | OptionName::MulticastLoopV6
            | OptionName::MulticastTimeToLive
            | OptionName::MulticastHopLimit => 1,
            _ => 0,
        };
        self.options.get(&name).copied().unwrap_or(usual)
    }

    pub(super) fn is_on(&self, name: OptionName) -> bool {
        self.option(name) != 0
    }
}

pub(super) struct Objects {
    /// The first of the numbers that descriptors get.
    first: Descriptor,
    /// At the places that their names say, each with the number of its name.
    objects: Vec<Option<(u64, Object)>>,
    /// Places that are free.
    free: Vec<usize>,
    /// What each host has open, in the order in which it was opened.
    by_host: Vec<Vec<ObjectId>>,
    /// What each number names, from the first one on.
    numbers: Vec<Option<ObjectId>>,
    made: u64,
}

impl Objects {
    /// Nothing is open; descriptors are numbered from `first` on.
    pub(super) fn new(first: Descriptor) -> Objects {
        Objects {
            first,
            objects: Vec::new(),
            free: Vec::new(),
            by_host: Vec::new(),
            numbers: Vec::new(),
            made: 0,
        }
    }

    /// Opens something that has no descriptor yet.
    pub(super) fn add(&mut self, host: usize, domain: i32, kind: Kind) -> ObjectId {
        self.made += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.objects.push(None);
            self.objects.len() - 1
        });
        let id = ObjectId {
            number: self.made,
            place,
        };
        let object = Object {
            host,
            kind,
            domain,
            descriptors: 0,
            options: BTreeMap::new(),
            resets_when_closed: false,
            receiving: VecDeque::new(),
            sending: VecDeque::new(),
        };
        self.objects[place] = Some((id.number, object));
        if host >= self.by_host.len() {
            self.by_host.resize(host + 1, Vec::new());
        }
        self.by_host[host].push(id);
        id
    }

    /// A name behind those of all that were made, and before those of all that will be.
    pub(super) fn last_made(&self) -> ObjectId {
        ObjectId {
            number: self.made,
            place: usize::MAX,
        }
    }

    /// A new number for it: the lowest that is free.
    ///
    /// # Panics
    ///
    /// If the world has a million open.
    pub(super) fn name(&mut self, id: ObjectId) -> Descriptor {
        let free = self.numbers.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.numbers.push(None);
            self.numbers.len() - 1
        });
        let fd = Descriptor::try_from(place).unwrap_or(OPEN_MAX);
        assert!(
            fd < OPEN_MAX,
            "a simulated world has {OPEN_MAX} descriptors open"
        );
        self.numbers[place] = Some(id);
        if let Some(object) = self.get_mut(id) {
            object.descriptors += 1;
        }
        self.first + fd
    }

    /// What a number names.
    pub(super) fn named(&self, fd: Descriptor) -> Option<ObjectId> {
        let place = usize::try_from(fd.checked_sub(self.first)?).ok()?;
        *self.numbers.get(place)?
    }

    /// The number names nothing any more. Answers what it named, if that was its last one.
    pub(super) fn forget(&mut self, fd: Descriptor) -> Option<ObjectId> {
        let id = self.named(fd)?;
        self.numbers[(fd - self.first) as usize] = None;
        let object = self.get_mut(id)?;
        object.descriptors -= 1;
        (object.descriptors == 0).then_some(id)
    }

    pub(super) fn get(&self, id: ObjectId) -> Option<&Object> {
        match self.objects.get(id.place)? {
            Some((number, object)) if *number == id.number => Some(object),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        match self.objects.get_mut(id.place)? {
            Some((number, object)) if *number == id.number => Some(object),
            _ => None,
        }
    }

    /// It is gone, and so are the numbers that name it.
    pub(super) fn remove(&mut self, id: ObjectId) -> Option<Object> {
        self.get(id)?;
        let (_, object) = self.objects[id.place].take()?;
        self.free.push(id.place);
        let of_host = &mut self.by_host[object.host];
        if let Ok(place) = of_host.binary_search(&id) {
            of_host.remove(place);
        }
        if object.descriptors > 0 {
            let names_it = |number: &&mut Option<ObjectId>| **number == Some(id);
            self.numbers
                .iter_mut()
                .filter(names_it)
                .for_each(|number| *number = None);
        }
        Some(object)
    }

    pub(super) fn stream(&mut self, id: ObjectId) -> Option<&mut Stream> {
        match &mut self.get_mut(id)?.kind {
            Kind::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    pub(super) fn listener(&mut self, id: ObjectId) -> Option<&mut Listener> {
        match &mut self.get_mut(id)?.kind {
            Kind::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn datagrams(&mut self, id: ObjectId) -> Option<&mut Datagrams> {
        match &mut self.get_mut(id)?.kind {
            Kind::Datagrams(datagrams) => Some(datagrams),
            _ => None,
        }
    }

    /// What a host has open, in the order in which it was opened.
    pub(super) fn of_host(&self, host: usize) -> &[ObjectId] {
        self.by_host.get(host).map_or(&[], Vec::as_slice)
    }

    pub(super) fn iter_of(&self, host: usize) -> impl Iterator<Item = (ObjectId, &Object)> {
        let ids = self.of_host(host).iter();
        ids.filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// Everything of a host is gone, without a word to anybody.
    pub(super) fn remove_all_of(&mut self, host: usize) {
        for id in self.of_host(host).to_vec() {
            self.remove(id);
        }
    }
}
