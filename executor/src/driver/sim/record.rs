//! [`Recorder`]: what is kept or written down of everything that happens, if somebody wants it.
//!
//! Without one, a world pays for it with one comparison at each event.

use std::net::SocketAddr;
use std::time::Duration;

use super::capture::Capture;
use super::network::Packet;
use super::objects::ObjectId;
use super::telling::{Kept, Names, Text};
use super::trace::Happening;
use super::world::World;
use crate::driver::{Key, Operation};

/// Where a run is written down.
const TRACE: &str = "KRUG_SIM_TRACE";
/// So many events are kept of a run that is to be compared: some 200 MB.
const RECORDS_MAX: usize = 2_000_000;

/// One event of a run that is to be compared with another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// How many events there were before it and with it, as [`Trace`](super::trace::Trace) counts them.
    pub(crate) number: u64,
    pub(crate) moment: Duration,
    pub(super) kept: Kept,
}

/// What was kept of a run.
#[derive(Debug, Default)]
pub(crate) struct Records {
    names: Names,
    list: Vec<Record>,
    /// The fingerprint and the number of all events, also of those that were too many to keep.
    pub(crate) whole: (u64, u64),
}

impl Records {
    pub(crate) fn list(&self) -> &[Record] {
        &self.list
    }

    /// Whether the same has happened at this place of two runs. Addresses of memory differ from run to run.
    pub(crate) fn is_same(&self, other: &Records, place: usize) -> bool {
        match (self.list.get(place), other.list.get(place)) {
            (Some(one), Some(other)) => {
                (one.number, one.moment) == (other.number, other.moment)
                    && one.kept.is_same(&other.kept)
            }
            (None, None) => true,
            _ => false,
        }
    }

    /// What has happened at this place, in words.
    pub(crate) fn describe(&self, place: usize) -> String {
        let Some(record) = self.list.get(place) else {
            return "the run is over".to_owned();
        };
        let operation = record.kept.completes().and_then(|(core, key)| {
            let before = self.list[..place].iter().rev();
            before.into_iter().find_map(|record| match record.kept {
                Kept::Begun {
                    core: of,
                    key: its,
                    operation,
                } if (of, its) == (core, key) => Some(operation),
                _ => None,
            })
        });
        let (who, what) = record.kept.describe(&self.names, operation.as_ref());
        format!("at {:?}, {who}: {what}", record.moment)
    }
}

/// See the [module docs](self).
#[derive(Debug, Default)]
pub(super) struct Recorder {
    names: Names,
    /// Those that are kept, if any are to be.
    records: Option<Vec<Record>>,
    text: Option<Text>,
    capture: Option<Capture>,
}

impl Recorder {
    /// What the environment asks for. A file that cannot be written is said to be, and the world goes on without it.
    pub(super) fn of_environment(seed: u64) -> Option<Box<Recorder>> {
        let path = std::path::PathBuf::from(std::env::var_os(TRACE).filter(|it| !it.is_empty())?);
        let mut recorder = Recorder::default();
        let is_capture = path.extension().is_some_and(|ending| ending == "pcapng");
        let made = match is_capture {
            true => Capture::new(&path).map(|capture| recorder.capture = Some(capture)),
            false => Text::new(&path, seed).map(|text| recorder.text = Some(text)),
        };
        if let Err(error) = made {
            eprintln!("{TRACE}={}: it cannot be written: {error}", path.display());
            return None;
        }
        Some(Box::new(recorder))
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate<'a> {
    /// It has left, and arrives after these times; without any, it gets lost.
    Leaves(&'a [Option<Duration>; 2]),
    Arrives,
    /// It does not arrive, and why.
    Lost(&'static str),
    /// It waits on a way that is held.
    Held,
    /// What was lost is sent again.
    Again,
}

impl World {
    /// Every event is kept from now on, as far as there is room.
    pub(crate) fn keep_records(&mut self) {
        let recorder = self.recorder.get_or_insert_default();
        recorder.records = Some(Vec::new());
    }

    /// What was kept.
    pub(crate) fn take_records(&mut self) -> Records {
        let whole = (self.trace().hash(), self.trace().count());
        let Some(recorder) = &mut self.recorder else {
            return Records::default();
        };
        Records {
            names: recorder.names.clone(),
            list: recorder.records.take().unwrap_or_default(),
            whole,
        }
    }

    /// What happens from now on is of no interest.
    pub(crate) fn end_record(&mut self) {
        let (hash, count) = (self.trace().hash(), self.trace().count());
        let (seed, moment) = (self.seed(), self.elapsed());
        let recorder = self.recorder.take();
        if let Some(mut text) = recorder.and_then(|recorder| recorder.text) {
            text.end(seed, (count, moment), hash);
        }
    }

    pub(super) fn record_host(&mut self, name: &str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.names.add_host(name);
        }
    }

    pub(super) fn record_core(&mut self, host: usize) {
        if let Some(recorder) = &mut self.recorder {
            recorder.names.add_core(host);
        }
    }

    #[inline]
    pub(super) fn record_happening(&mut self, happening: Happening) {
        if self.recorder.is_some() {
            self.record(Kept::Happened(happening));
        }
    }

    #[inline]
    pub(super) fn record_begin(&mut self, core: usize, key: Key, operation: Operation) {
        if self.recorder.is_some() {
            self.record(Kept::Begun {
                core,
                key,
                operation,
            });
        }
    }

    pub(super) fn record_cancel(&mut self, core: usize, key: Key, is_found: bool) {
        if self.recorder.is_some() {
            self.record(Kept::Cancelled {
                core,
                key,
                is_found,
            });
        }
    }

    #[cold]
    fn record(&mut self, kept: Kept) {
        // What a crash leaves behind is dropped without any effect.
        if kept.asker().is_some_and(|core| self.is_dead(core)) {
            return;
        }
        let (number, moment) = (self.trace().count(), self.elapsed());
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        if let Some(records) = &mut recorder.records
            && records.len() < RECORDS_MAX
        {
            records.push(Record {
                number,
                moment,
                kept,
            });
        }
        if let Some(text) = &mut recorder.text {
            text.tell(&recorder.names, (number, moment), kept);
        }
    }

    #[inline]
    pub(super) fn record_packet(&mut self, packet: &Packet, fate: Fate<'_>) {
        if self.recorder.is_some() {
            self.tell_packet(packet, fate);
        }
    }

    #[cold]
    fn tell_packet(&mut self, packet: &Packet, fate: Fate<'_>) {
        let (number, moment) = (self.trace().count(), self.elapsed());
        let addresses = self.addresses_of(packet);
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        if let Some(text) = &mut recorder.text {
            text.tell_packet(&recorder.names, (number, moment), packet, addresses, fate);
        }
        if let (Some(capture), Some(addresses)) = (&mut recorder.capture, addresses) {
            capture.take(moment, packet, addresses, fate);
        }
    }

    /// A test does something to a way between two hosts.
    pub(super) fn record_way(&mut self, from: usize, to: usize, what: &'static str) {
        let (number, moment) = (self.trace().count(), self.elapsed());
        if let Some(recorder) = &mut self.recorder
            && let Some(text) = &mut recorder.text
        {
            text.tell_way(&recorder.names, (number, moment), (from, to), what);
        }
    }

    /// By which addresses a packet goes, as far as there is still somebody who knows.
    pub(crate) fn addresses_of(&mut self, packet: &Packet) -> Option<(SocketAddr, SocketAddr)> {
        use super::network::Body;
        let (from, to) = match &packet.body {
            Body::Open { from, to, .. } | Body::Datagram { from, to, .. } => {
                return from.internet().zip(to.internet());
            }
            // A listener's answer, or that of nobody: the client knows whom it has asked.
            Body::Opened { client, .. } => return self.addresses_at(*client).map(swapped),
            Body::Segment { from, to, .. } if from == to => {
                return self.addresses_at(*to).map(swapped);
            }
            Body::Segment { from, to, .. } => (*from, *to),
            Body::Unreachable { sender } => return self.addresses_at(*sender).map(swapped),
        };
        let sender = self.addresses_at(from);
        sender.or_else(|| self.addresses_at(to).map(swapped))
    }

    /// The addresses of a socket: its own, and that of the other side.
    fn addresses_at(&mut self, id: ObjectId) -> Option<(SocketAddr, SocketAddr)> {
        if let Some(datagrams) = self.objects.datagrams(id) {
            let local = datagrams.local.as_ref()?.internet()?;
            return Some((local, datagrams.remote.as_ref()?.internet()?));
        }
        let stream = self.objects.stream(id)?;
        let local = stream.local.as_ref()?.internet()?;
        Some((local, stream.remote.as_ref()?.internet()?))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_record();
    }
}

fn swapped((one, other): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    (other, one)
}
