//! Every system call that the executor makes itself: one thin function each,
//! named after the call, with `errno` turned into [`io::Error`] and nothing else
//! added. Only `driver/` uses this module; everybody above speaks in
//! [`Operation`](crate::driver::Operation) and [`Control`](crate::driver::Control).

mod affinity;
mod clock;
mod descriptor;
mod file;
mod fork;
pub(crate) mod interposed;
mod limit;
mod owned;
mod path;
mod poll;
mod ring;
mod signal;
pub(crate) mod simulated;
mod socket;
mod transfer;

pub(crate) use affinity::{affinity, set_affinity};
pub(crate) use clock::monotonic_nanos;
pub(crate) use descriptor::{
    close, event_descriptor, hush_event, pipe, ring_event, set_nonblocking,
};
pub(crate) use file::{
    Status, allocate, duplicate, length, position, set_position, status_flags, sync, truncate,
    try_lock, unlock,
};
pub(crate) use fork::{has_forked, watch_for_forks};
pub(crate) use limit::{Resource, limit};
pub(crate) use owned::{OwnedDescriptor, own};
pub(crate) use path::{hard_link, make_directory, open, remove, rename, status, symbolic_link};
pub(crate) use poll::{Event, event_set, ready_now, unwatch, wait_for_events, watch};
pub(crate) use ring::send_ring_message;
pub(crate) use signal::{SignalListener, arrived};
pub(crate) use socket::{
    Name, bind, get_option, listen, peer_name, set_linger, set_membership_v4, set_membership_v6,
    set_option, shutdown, socket, socket_name, socket_pair,
};
pub(crate) use transfer::{
    accept, connect, read, receive, receive_message, send, send_message, write,
};

use std::io;

/// The C convention as a `Result`: −1 means "look at `errno`".
fn check(result: i32) -> io::Result<i32> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
