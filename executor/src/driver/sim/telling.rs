//! [`Text`]: what happens in a world, as lines that people read.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, LineWriter, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use std::collections::BTreeMap;

use super::errno::errno_name;
use super::memory;
use super::name::SocketName;
use super::network::{Body, Packet, Segment};
use super::record::Fate;
use super::trace::Happening;
use crate::driver::{Completion, Descriptor, Key, Operation};
use crate::sys::simulated::{FIRST_SIMULATED, in_any_world, is_simulated};

/// Something that happens on a core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Happened(Happening),
    Begun {
        core: usize,
        key: Key,
        operation: Operation,
    },
    Cancelled {
        core: usize,
        key: Key,
        is_found: bool,
    },
}

impl Kept {
    /// Whether it is the same as what happened in another run, where memory has other addresses.
    pub(super) fn is_same(&self, other: &Kept) -> bool {
        match (self, other) {
            (Kept::Happened(one), Kept::Happened(other)) => one == other,
            (
                Kept::Begun {
                    core,
                    key,
                    operation,
                },
                Kept::Begun {
                    core: other_core,
                    key: other_key,
                    operation: other,
                },
            ) => {
                (core, key) == (other_core, other_key)
                    && (operation == other || describe(operation) == describe(other))
            }
            (
                Kept::Cancelled {
                    core,
                    key,
                    is_found,
                },
                Kept::Cancelled {
                    core: other_core,
                    key: other_key,
                    is_found: other,
                },
            ) => (core, key, is_found) == (other_core, other_key, other),
            _ => false,
        }
    }

    /// The core that asks for it.
    pub(super) fn asker(&self) -> Option<usize> {
        match *self {
            Kept::Begun { core, .. } | Kept::Cancelled { core, .. } => Some(core),
            Kept::Happened(_) => None,
        }
    }

    /// The operation that it is a completion of, or that it cancels.
    pub(super) fn completes(&self) -> Option<(usize, Key)> {
        match *self {
            Kept::Happened(Happening::Completed { core, key, .. }) => Some((core, key)),
            Kept::Cancelled { core, key, .. } => Some((core, key)),
            _ => None,
        }
    }

    /// On which host it happens, and what; `operation`: of what it is the completion.
    pub(super) fn describe(
        &self,
        names: &Names,
        operation: Option<&Operation>,
    ) -> (String, String) {
        let of = || operation.map_or_else(|| "an operation".to_owned(), describe);
        match *self {
            Kept::Begun {
                core, operation, ..
            } => (names.core(core), format!("begins {}", describe(&operation))),
            Kept::Cancelled { core, is_found, .. } => {
                let late = if is_found { "" } else { ", too late" };
                (names.core(core), format!("cancels {}{late}", of()))
            }
            Kept::Happened(happening) => match happening {
                Happening::Turn { core } => (names.core(core), "takes a turn".to_owned()),
                Happening::Completed {
                    core, completion, ..
                } => (
                    names.core(core),
                    format!("{} → {}", of(), describe_result(completion)),
                ),
                Happening::Worked { core } => {
                    (names.core(core), "has done work that blocks".to_owned())
                }
                Happening::HostStarted { host } => (names.host(host), "starts".to_owned()),
                Happening::HostEnded { host } => (names.host(host), "ends".to_owned()),
                Happening::HostCrashed { host } => (names.host(host), "crashes".to_owned()),
                Happening::Signal { host, signal } => {
                    (names.host(host), format!("is sent signal {signal}"))
                }
            },
        }
    }
}

/// How hosts and their cores are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    hosts: Vec<String>,
    /// Of each core its host, and how many of its host's cores were made before.
    cores: Vec<(usize, usize)>,
}

impl Names {
    pub(super) fn add_host(&mut self, name: &str) {
        self.hosts.push(name.to_owned());
    }

    pub(super) fn add_core(&mut self, host: usize) {
        let before = self.cores.iter().filter(|(of, _)| *of == host).count();
        self.cores.push((host, before));
    }

    fn host(&self, host: usize) -> String {
        let name = self.hosts.get(host).cloned();
        name.unwrap_or_else(|| format!("host {host}"))
    }

    fn core(&self, core: usize) -> String {
        match self.cores.get(core) {
            Some((host, 0)) => self.host(*host),
            Some((host, place)) => format!("{}/{place}", self.host(*host)),
            None => format!("core {core}"),
        }
    }
}

/// A file that is written line by line: it says where a program is that has to be killed.
#[derive(Debug)]
pub(super) struct Text {
    file: LineWriter<File>,
    /// What is under way, by core and index of its key.
    under_way: BTreeMap<(usize, u32), String>,
}

impl Text {
    /// # Errors
    ///
    /// What the system says when the file is made.
    pub(super) fn new(path: &Path, seed: u64) -> io::Result<Text> {
        let mut file = LineWriter::new(make_anew(path)?);
        writeln!(file, "# a simulation of krug, seed {seed}")?;
        writeln!(
            file,
            "# event, seconds, host: what happens; #3 is a descriptor"
        )?;
        Ok(Text {
            file,
            under_way: BTreeMap::new(),
        })
    }

    pub(super) fn tell(&mut self, names: &Names, when: (u64, Duration), kept: Kept) {
        let (who, what) = match kept {
            // They are too many to be read.
            Kept::Happened(Happening::Turn { .. }) => return,
            Kept::Begun {
                core,
                key,
                operation,
            } => {
                let told = format!("{}{}", describe(&operation), describe_memory(&operation));
                let line = (names.core(core), format!("begins {told}"));
                self.under_way
                    .insert((core, key.index), describe(&operation));
                line
            }
            Kept::Happened(Happening::Completed {
                core,
                key,
                completion,
            }) => {
                let place = (core, key.index);
                let operation = self.under_way.get(&place).cloned().unwrap_or_default();
                if !completion.more {
                    self.under_way.remove(&place);
                }
                let result = describe_result(completion);
                (names.core(core), format!("{operation} → {result}"))
            }
            Kept::Cancelled {
                core,
                key,
                is_found,
            } => {
                let operation = self.under_way.get(&(core, key.index));
                let operation = operation.cloned().unwrap_or_default();
                let late = if is_found { "" } else { ", too late" };
                (names.core(core), format!("cancels {operation}{late}"))
            }
            Kept::Happened(_) => kept.describe(names, None),
        };
        self.line(when, &who, &what);
    }

    pub(super) fn tell_packet(
        &mut self,
        names: &Names,
        when: (u64, Duration),
        packet: &Packet,
        addresses: Option<(SocketAddr, SocketAddr)>,
        fate: Fate<'_>,
    ) {
        let (from, to) = (names.host(packet.from_host), names.host(packet.to_host));
        let packet = describe_packet(packet, addresses);
        let (who, what) = match fate {
            Fate::Leaves([None, None]) => (from, format!("sends {to} {packet}: lost on its way")),
            Fate::Leaves(times) => {
                let times: Vec<String> = times
                    .iter()
                    .flatten()
                    .map(|time| format!("{time:?}"))
                    .collect();
                let times = times.join(" and ");
                (from, format!("sends {to} {packet}, {times} on its way"))
            }
            Fate::Arrives => (to, format!("gets from {from} {packet}")),
            Fate::Lost(why) => (to, format!("does not get from {from} {packet}: {why}")),
            Fate::Held => (to, format!("is to get from {from} {packet}: held")),
            Fate::Again => (from, format!("sends {to} once more {packet}")),
        };
        self.line(when, &who, &what);
    }

    pub(super) fn tell_way(
        &mut self,
        names: &Names,
        when: (u64, Duration),
        (from, to): (usize, usize),
        what: &str,
    ) {
        let (from, to) = (names.host(from), names.host(to));
        self.line(when, "-", &format!("the way from {from} to {to} {what}"));
    }

    fn line(&mut self, (number, moment): (u64, Duration), who: &str, what: &str) {
        let (seconds, nanoseconds) = (moment.as_secs(), moment.subsec_nanos());
        // A disk that is full ends the trace and not the world.
        let _ = writeln!(
            self.file,
            "{number:>7} {seconds:>4}.{nanoseconds:09}  {who:<10} {what}"
        );
    }

    /// The last line.
    pub(super) fn end(&mut self, seed: u64, (count, moment): (u64, Duration), hash: u64) {
        let _ = writeln!(
            self.file,
            "# the end of seed {seed} at {moment:?}: {count} events, fingerprint {hash:016x}"
        );
    }
}

/// A new file in the place of one that may be there: whoever writes to that, such as a world on another thread, goes on doing so.
pub(super) fn make_anew(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create(path)
}

/// Its name and numbers, without addresses of memory.
fn describe(operation: &Operation) -> String {
    let debug = format!("{operation:?}");
    let (name, fields) = debug.split_once(" { ").unwrap_or((&debug, ""));
    let fields = fields.trim_end_matches(" }").split(", ");
    let mut told = name.to_owned();
    let whole = format!("{}", u64::MAX);
    for (field, value) in fields.filter_map(|field| field.split_once(": ")) {
        let is_address = value.starts_with("0x");
        // They say nothing about the program.
        let is_noise = match field {
            "flags" => name != "Open",
            "address_length" | "from_afar" => true,
            "protocol" => value == "0",
            _ => false,
        };
        if is_address || is_noise || value == whole {
            continue;
        }
        let _ = match (field, value.parse::<Descriptor>()) {
            ("fd", Ok(fd)) => write!(told, " {}", describe_descriptor(fd)),
            _ => write!(told, " {field}={value}"),
        };
    }
    told
}

fn describe_descriptor(fd: Descriptor) -> String {
    match in_any_world(fd).checked_sub(FIRST_SIMULATED) {
        Some(place @ 0..) => format!("#{place}"),
        _ => format!("fd={fd}"),
    }
}

/// What it names by address, if that is worth telling: paths, and whom it connects to. Only when it begins.
fn describe_memory(operation: &Operation) -> String {
    use Operation as O;
    let path = |address| String::from_utf8_lossy(&memory::c_string(address)).into_owned();
    match *operation {
        O::Open { path: name, .. }
        | O::Status { path: name, .. }
        | O::Remove { path: name, .. }
        | O::MakeDirectory { path: name, .. } => format!(" {:?}", path(name)),
        O::Rename { from, to } | O::HardLink { from, to } => {
            format!(" {:?} to {:?}", path(from), path(to))
        }
        O::SymbolicLink { target, link } => format!(" {:?} to {:?}", path(link), path(target)),
        O::Connect {
            address,
            address_length,
            ..
        }
        | O::Bind {
            address,
            address_length,
            ..
        } => describe_name(&memory::load(address, address_length as usize)),
        _ => String::new(),
    }
}

fn describe_name(raw: &[u8]) -> String {
    let domain = raw.get(..2).and_then(|family| family.try_into().ok());
    let domain = domain.map_or(0, u16::from_ne_bytes);
    match SocketName::read(raw, i32::from(domain)) {
        Ok(SocketName::Internet(address)) => format!(" {address}"),
        Ok(SocketName::Unix(path)) => format!(" {:?}", String::from_utf8_lossy(&path)),
        Ok(SocketName::Unnamed) | Err(_) => String::new(),
    }
}

fn describe_result(completion: Completion) -> String {
    let mut told = match completion.result {
        errno @ ..0 => errno_name(-errno).into_owned(),
        descriptor if is_simulated(descriptor) => describe_descriptor(descriptor),
        count => count.to_string(),
    };
    if completion.more {
        told.push_str(", and more will come");
    }
    told
}

fn describe_packet(packet: &Packet, addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let what = match &packet.body {
        Body::Open { .. } => "TCP SYN".to_owned(),
        Body::Opened { .. } => "TCP SYN ACK".to_owned(),
        Body::Segment { segment, .. } => match segment {
            Segment::Data(bytes) => format!("TCP {} bytes", bytes.len()),
            Segment::End => "TCP FIN".to_owned(),
            Segment::Reset => "TCP RST".to_owned(),
            Segment::Read(count) => format!("TCP ACK of {count} bytes"),
        },
        Body::Datagram { bytes, .. } => format!("UDP {} bytes", bytes.len()),
        Body::Unreachable { .. } => "ICMP unreachable".to_owned(),
    };
    match addresses {
        Some((from, to)) => format!("{what} ({from} > {to})"),
        None => what,
    }
}
