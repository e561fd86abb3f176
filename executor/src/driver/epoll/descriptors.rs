//! [`Descriptors`]: what this driver knows of each descriptor, by its number, and the kernel's set that watches them.
//!
//! A descriptor is watched in a direction from the first time that an operation has to wait there, and stays
//! so until it is closed or [forgotten](Descriptors::forget). The kernel then reports *edges*: that something has come, that
//! room has become free. Nothing is ever asked for again. Between edges the driver remembers: a descriptor is `ready` from an edge until
//! a call finds nothing more to do.
//!
//! # Numbers are used again
//!
//! Whatever this driver makes (accepts, opens …) begins as [`fresh`](Descriptors::fresh): nothing that was
//! known under its number is true of it. What comes from outside, or leaves, is forgotten by whoever brings it or takes it
//! away ([`Control::Forget`](crate::driver::Control::Forget)). Events carry a generation beside the number, because the kernel goes on watching a closed
//! descriptor of which there is a duplicate.

use std::io;

use super::at_once::Habits;
use super::waiting::Queue;
use crate::driver::Descriptor;
use crate::sys;

/// What is waited for at a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Something to read, or to accept, or the end.
    Receiving,
    /// Room to write, or that a connection has been made.
    Sending,
}

use Direction::{Receiving, Sending};

impl Direction {
    fn events(self) -> i32 {
        match self {
            // Urgent data stops a read in the middle.
            Receiving => libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI,
            Sending => libc::EPOLLOUT,
        }
    }
}

/// What kind of descriptor it is, as far as that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody has asked yet.
    Unknown,
    /// A call that moves less than it was asked for has found the socket empty, or full.
    Tcp,
    Other,
}

/// How a read, write or accept is kept from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nobody has asked yet.
    Unknown,
    /// Each call is told so (`RWF_NOWAIT`).
    Told,
    /// It never waits (`O_NONBLOCK`).
    NonBlocking,
    /// It waits, and cannot be told: only a thread of the pool may call, and only when it is ready.
    Blocking,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// Nobody has asked yet.
    Unknown,
    /// From the kernel's cache, if it is there.
    Tried,
    /// From the disk (`O_DIRECT`), or by a file system that cannot say whether it would wait.
    Bypassed,
}

/// What is known of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    generation: u32,
    pub(super) receiving: Queue,
    pub(super) sending: Queue,
    pub(super) kind: Kind,
    pub(super) manner: Manner,
    pub(super) cache: Cache,
    /// It was used at an offset: closing it may wait for a disk.
    pub(super) is_file: bool,
    is_watched: [bool; 2],
    is_ready: [bool; 2],
    /// It was made non-blocking for as long as it connects.
    pub(super) waits_again: bool,
    /// The other side has ended, or something is urgent, or there is an error: less than was asked for then says nothing.
    pub(super) is_special: bool,
    pub(super) habits: Habits,
}

const UNKNOWN: State = State {
    generation: 0,
    receiving: Queue::EMPTY,
    sending: Queue::EMPTY,
    kind: Kind::Unknown,
    manner: Manner::Unknown,
    cache: Cache::Unknown,
    is_file: false,
    is_watched: [false; 2],
    is_ready: [false; 2],
    waits_again: false,
    is_special: false,
    habits: Habits::NEW,
};

impl State {
    pub(super) fn queue(&mut self, direction: Direction) -> &mut Queue {
        match direction {
            Receiving => &mut self.receiving,
            Sending => &mut self.sending,
        }
    }

    pub(super) fn is_watched(&self, direction: Direction) -> bool {
        self.is_watched[direction as usize]
    }

    /// False if a call is known to find nothing to do.
    pub(super) fn may_be_tried(&self, direction: Direction) -> bool {
        !self.is_watched[direction as usize] || self.is_ready[direction as usize]
    }

    pub(super) fn set_ready(&mut self, direction: Direction, ready: bool) {
        self.is_ready[direction as usize] = ready;
    }

    /// A socket has moved `moved` of `wanted` bytes. If that was all there was, or all the room there was, the next edge says
    /// when it is worth another call.
    pub(super) fn has_moved(&mut self, direction: Direction, moved: i32, wanted: u32) {
        let is_short = moved > 0 && moved.cast_unsigned() < wanted;
        if is_short && self.kind == Kind::Tcp && !self.is_special {
            self.set_ready(direction, false);
        }
    }
}

/// What the kernel reported of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) fd: Descriptor,
    /// `EPOLL…`, the same numbers as `POLL…`.
    pub(super) events: i32,
}

impl Edge {
    pub(super) fn concerns(self, direction: Direction) -> bool {
        let ends = libc::EPOLLHUP | libc::EPOLLERR;
        self.events & (direction.events() | ends) != 0
    }
}

pub(super) struct Descriptors {
    set: Descriptor,
    states: Vec<State>,
}

impl Descriptors {
    pub(super) fn new() -> io::Result<Descriptors> {
        Ok(Descriptors {
            set: sys::event_set()?,
            states: Vec::new(),
        })
    }

    /// The kernel's set.
    pub(super) fn set(&self) -> Descriptor {
        self.set
    }

    /// What is known of `fd`, which is not negative.
    #[inline]
    pub(super) fn state(&mut self, fd: Descriptor) -> &mut State {
        let index = fd as usize;
        if index >= self.states.len() {
            self.grow(index);
        }
        &mut self.states[index]
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        // By an eighth: descriptors come one by one, and there may be a million.
        let room = index + 1 + index / 8;
        self.states.reserve_exact(room - self.states.len());
        self.states.resize(index + 1, UNKNOWN);
    }

    /// `fd` was made just now.
    pub(super) fn fresh(&mut self, fd: Descriptor, kind: Kind) {
        let state = self.state(fd);
        debug_assert!(
            state.receiving.is_empty() && state.sending.is_empty(),
            "operations wait on descriptor {fd}, which was closed: {state:?}"
        );
        *state = State {
            generation: state.generation.wrapping_add(1),
            kind,
            ..UNKNOWN
        };
    }

    /// Whatever was known of `fd` is not true any more, and the kernel watches it no longer.
    pub(super) fn forget(&mut self, fd: Descriptor) {
        if fd < 0 {
            return;
        }
        if self.state(fd).is_watched != [false; 2] {
            // If it was closed elsewhere, the kernel has forgotten it already.
            let _ = sys::unwatch(self.set, fd);
        }
        self.fresh(fd, Kind::Unknown);
    }

    /// Watches `fd` in this direction from now on, if that is not so yet: true if the kernel had to be asked for it. What is
    /// there already is reported, too.
    ///
    /// # Errors
    ///
    /// EPERM if it is never "not ready"; ENOMEM, ENOSPC if the system does not want to watch more.
    pub(super) fn watch(&mut self, fd: Descriptor, direction: Direction) -> io::Result<bool> {
        let set = self.set;
        let state = self.state(fd);
        if state.is_watched(direction) {
            return Ok(false);
        }
        let before = state.is_watched;
        state.is_watched[direction as usize] = true;
        let watched = [Receiving, Sending].map(|each| match state.is_watched(each) {
            true => each.events(),
            false => 0,
        });
        let events = watched[0] | watched[1] | libc::EPOLLET;
        let data = u64::from(state.generation) << 32 | u64::from(fd.cast_unsigned());
        let ask = |how| sys::watch(set, how, fd, events, data);
        let asked = match before == [false; 2] {
            true => match ask(libc::EPOLL_CTL_ADD) {
                // It came back from outside without having been forgotten by the kernel.
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                    ask(libc::EPOLL_CTL_MOD)
                }
                answer => answer,
            },
            false => match ask(libc::EPOLL_CTL_MOD) {
                // It was closed elsewhere, and its number is used again.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    ask(libc::EPOLL_CTL_ADD)
                }
                answer => answer,
            },
        };
        let state = self.state(fd);
        match &asked {
            Ok(()) => state.set_ready(direction, false),
            Err(_) => state.is_watched = before,
        }
        asked.map(|()| true)
    }

    /// What an event says, unless it is of a descriptor that had this number before.
    pub(super) fn edge(&mut self, event: sys::Event) -> Option<Edge> {
        let (data, events) = (event.u64, event.events.cast_signed());
        let fd = (data as u32).cast_signed();
        let state = self.state(fd);
        if state.generation != (data >> 32) as u32 {
            return None;
        }
        let edge = Edge { fd, events };
        for direction in [Receiving, Sending] {
            if edge.concerns(direction) {
                state.set_ready(direction, true);
            }
        }
        let special = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI;
        state.is_special |= events & special != 0;
        Some(edge)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // Nothing is lost with an error: the descriptor is gone in any case.
        let _ = sys::close(self.set);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn an_event_of_whoever_had_the_number_before_says_nothing() {
        let mut descriptors = Descriptors::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let fd = reader.as_raw_fd();
        descriptors.watch(fd, Receiving).unwrap();
        (&writer).write_all(b"x").unwrap();
        let mut events = [sys::Event { events: 0, u64: 0 }; 1];
        let found = sys::wait_for_events(descriptors.set(), &mut events, None).unwrap();
        assert_eq!(found, 1);
        // While the event is on its way, the number goes to another.
        descriptors.fresh(fd, Kind::Other);
        assert_eq!(descriptors.edge(events[0]), None);
        assert!(!descriptors.state(fd).is_special);
    }

    #[test]
    fn what_an_idle_connection_costs_is_small() {
        assert!(size_of::<State>() <= 24);
    }
}
