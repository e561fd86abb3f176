//! Who waits for what: for reports of worlds in which nothing can happen any more.

use std::fmt::{self, Write};

use super::name::SocketName;
use super::objects::{Kind, Object};
use super::progress::Begun;
use super::stream::Carrier;
use super::world::World;
use crate::driver::Operation;

impl World {
    /// What the operations of a host wait for, a line for each, in the order in which they began.
    pub(crate) fn what_waits(&self, host: usize) -> Vec<String> {
        // Of every host: a listener's peers, for one, may be waiting at it.
        let hosts = 0..self.machines.len();
        let objects = hosts.flat_map(|host| self.objects.iter_of(host));
        let mut waiting: Vec<(&Begun, &Object)> = objects
            .flat_map(|(_, object)| {
                let queues = object.receiving.iter().chain(&object.sending);
                queues.map(move |begun| (begun, object))
            })
            .filter(|(begun, _)| self.cores[begun.core].host == host)
            .collect();
        waiting.sort_by_key(|(begun, _)| (begun.since, begun.key.index));
        let line = |(begun, object): (&Begun, &Object)| {
            let (operation, since) = (kind(&begun.operation), begun.since);
            format!("{operation} on {object}, since {since:?}")
        };
        waiting.into_iter().map(line).collect()
    }

    /// What a host has open, a line for each.
    pub(crate) fn what_is_open(&self, host: usize) -> Vec<String> {
        let named = self
            .objects
            .iter_of(host)
            .filter(|(_, object)| object.descriptors > 0);
        named.map(|(_, object)| object.to_string()).collect()
    }
}

/// The name of an operation's kind.
fn kind(operation: &Operation) -> String {
    let text = format!("{operation:?}");
    let end = text.find([' ', '{']).unwrap_or(text.len());
    text[..end].to_owned()
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &Option<SocketName>| match name {
            Some(name) => name.to_string(),
            None => "nowhere".to_owned(),
        };
        match &self.kind {
            Kind::Stream(stream) => match stream.carrier {
                Carrier::Pipe => f.write_str("a pipe"),
                Carrier::Tcp | Carrier::Unix => {
                    let kind = match stream.carrier {
                        Carrier::Tcp => "TCP",
                        _ => "Unix",
                    };
                    let (local, remote) = (name(&stream.local), name(&stream.remote));
                    write!(f, "the {kind} stream from {local} to {remote}")
                }
            },
            Kind::Listener(listener) => write!(f, "the listener at {}", listener.local),
            Kind::Datagrams(datagrams) => {
                write!(f, "the datagram socket at {}", name(&datagrams.local))
            }
            Kind::File(_) => f.write_str("a file"),
            Kind::Signal(watched) => write!(f, "signal {}", watched.signal),
        }
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketName::Internet(address) => write!(f, "{address}"),
            SocketName::Unix(path) => {
                let abstract_name = path.strip_prefix(&[0]);
                if abstract_name.is_some() {
                    f.write_char('@')?;
                }
                let path = abstract_name.unwrap_or(path);
                write!(f, "{}", String::from_utf8_lossy(path))
            }
            SocketName::Unnamed => f.write_str("no name"),
        }
    }
}
