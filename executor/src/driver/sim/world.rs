//! [`World`]: what all simulated cores share: time, chance, and what is on its way.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agenda::Agenda;
use super::delivery::Stalled;
use super::departure::Leaving;
use super::disk::Disk;
use super::files::Pace;
use super::luck::{Faults, Luck};
use super::multicast::Memberships;
use super::network::{Network, Packet};
use super::objects::{Direction, ObjectId, Objects};
use super::progress::{Begun, Core};
use super::record::Recorder;
use super::ring::Habits;
use super::signals::Arrived;
use super::trace::{Happening, Trace};
use super::watch::Late;
use crate::driver::bell::Doorbell;
use crate::driver::{Completion, Key, Operation, Work};
use crate::random::Random;
use crate::sys::simulated::Numbers;

/// What draws numbers. Each purpose has a stream of its own, so that one more draw for the one shifts no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Which core takes its turn, and how long that is.
    Schedule = 1,
    /// Which task of a core is polled: one stream for each core.
    Tasks = 4,
    /// What the cores' own generators begin with: what `select!` looks at first, and the like.
    Seeds = 5,
    /// How long a kernel takes.
    Kernel = 2,
    /// What becomes of packets.
    Network = 6,
    /// What disks do, and how long they take.
    Disk = 7,
    /// What programs draw for themselves: one stream for each host.
    Application = 3,
    /// What rings may do at any time and seldom do.
    Faults = 8,
    /// What a test plans draws nothing, but is counted among what goes wrong.
    Plan = 9,
}

/// The first port that sockets get which want any, as Linux has it.
pub(super) const FIRST_PORT: u16 = 32_768;
/// How long a thread takes for work that blocks.
const WORK_TIME: std::ops::Range<Duration> = Duration::from_micros(10)..Duration::from_millis(2);
/// How long one turn of a core takes.
const TURN_TIME: std::ops::Range<Duration> = Duration::from_nanos(100)..Duration::from_micros(3);

/// What happens by itself when its moment has come.
pub(super) enum Event {
    Complete {
        core: usize,
        key: Key,
        completion: Completion,
        late: Option<(Operation, Box<Late>)>,
    },
    /// A cancel finds what it is for, or comes too late.
    Cancel {
        core: usize,
        key: Key,
    },
    Work {
        core: usize,
        work: Work,
    },
    Arrive(Packet),
    /// Something that was lost on its way between two ends is sent again.
    Resend {
        from: ObjectId,
        to: ObjectId,
    },
    /// A client asks for its connection again.
    Reconnect {
        client: ObjectId,
    },
    /// A disk does what was asked of it.
    Disk(Begun),
}

/// What a world knows of a host.
pub(super) struct Machine {
    pub(super) is_up: bool,
    pub(super) disk: Disk,
    pub(super) pace: Pace,
    pub(super) habits: Habits,
    /// The last that was opened before a crash: its system knows nothing of that and of all before.
    pub(super) forgotten: Option<ObjectId>,
    /// The port that is tried next for a socket that wants any.
    pub(super) next_port: u16,
    pub(super) signals: Arrived,
}

/// See the [module docs](self).
pub(crate) struct World {
    seed: u64,
    /// What the clocks of programs show at the beginning.
    beginning: Instant,
    elapsed: Duration,
    /// What they show now.
    clock: Rc<Cell<Instant>>,
    agenda: Agenda<Event>,
    pub(super) cores: Vec<Core>,
    pub(super) machines: Vec<Machine>,
    pub(super) objects: Objects,
    /// Those of the descriptors that name them.
    numbers: Numbers,
    pub(super) network: Network,
    /// What was lost between two ends, and what has come behind it.
    pub(super) stalled: BTreeMap<(ObjectId, ObjectId), Stalled>,
    /// Who has bound a name of a Unix socket: see [`World::unix_key`].
    pub(super) unix_names: BTreeMap<(usize, Vec<u8>), ObjectId>,
    pub(super) memberships: Memberships,
    /// Where something has changed for those who wait.
    pub(super) stirred: VecDeque<(ObjectId, Direction)>,
    schedule: Random,
    pub(super) kernel: Luck,
    pub(super) net: Luck,
    pub(super) disk_luck: Luck,
    pub(super) ring_luck: Luck,
    faults: Rc<Faults>,
    trace: Trace,
    pub(super) recorder: Option<Box<Recorder>>,
    /// Rung by other threads for any of its cores.
    doorbell: Arc<Doorbell>,
    /// It is a quiet machine, on which tasks are polled in the order in which they were woken.
    pub(super) is_prompt: bool,
    /// A test's rules are asked about every packet.
    pub(super) is_judged: bool,
    /// Packets that wait for that.
    pub(super) leaving: VecDeque<Leaving>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let beginning = Instant::now();
        let numbers = Numbers::lease();
        let faults = Faults::of_thread();
        let recorder = match faults.is_rehearsal() {
            true => None,
            false => Recorder::of_environment(seed),
        };
        World {
            seed,
            beginning,
            elapsed: Duration::ZERO,
            clock: Rc::new(Cell::new(beginning)),
            agenda: Agenda::new(),
            cores: Vec::new(),
            machines: Vec::new(),
            objects: Objects::new(numbers.first()),
            numbers,
            network: Network::default(),
            stalled: BTreeMap::new(),
            unix_names: BTreeMap::new(),
            memberships: Memberships::new(),
            stirred: VecDeque::new(),
            net: Luck::new(seed, Purpose::Network, &faults),
            disk_luck: Luck::new(seed, Purpose::Disk, &faults),
            ring_luck: Luck::new(seed, Purpose::Faults, &faults),
            schedule: Random::of_stream(seed, Purpose::Schedule as u64, 0),
            kernel: Luck::new(seed, Purpose::Kernel, &faults),
            faults,
            trace: Trace::new(),
            recorder,
            doorbell: Arc::default(),
            is_prompt: false,
            is_judged: false,
            leaving: VecDeque::new(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator of a purpose that has several.
    pub(crate) fn stream(&self, purpose: Purpose, index: u64) -> Random {
        Random::of_stream(self.seed, purpose as u64, index)
    }

    /// What has gone wrong so far.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.doorbell)
    }

    pub(crate) fn schedule(&self) -> &Random {
        &self.schedule
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    pub(super) fn clock(&self) -> Rc<Cell<Instant>> {
        Rc::clone(&self.clock)
    }

    /// The moment that clocks of programs show as `instant`.
    pub(crate) fn moment(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.beginning)
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn note(&mut self, happening: Happening) {
        let happening = happening.in_any_world();
        self.trace.note(self.elapsed, happening);
        self.record_happening(happening);
    }

    /// A new host, and its number.
    pub(crate) fn add_host(&mut self, name: &str) -> usize {
        self.record_host(name);
        self.machines.push(Machine {
            is_up: true,
            disk: Disk::new(),
            pace: Pace::default(),
            habits: Habits::default(),
            forgotten: None,
            next_port: FIRST_PORT,
            signals: Arrived::new(),
        });
        self.machines.len() - 1
    }

    pub(crate) fn start_host(&mut self, host: usize) {
        self.machines[host].is_up = true;
        // A new program: whatever the one before has listened for does again what it does by itself.
        self.machines[host].signals.clear();
        self.note(Happening::HostStarted { host });
    }

    /// Everything that a host has open is gone, and nobody hears of it.
    pub(crate) fn crash_host(&mut self, host: usize) {
        self.note(Happening::HostCrashed { host });
        self.machines[host].is_up = false;
        self.machines[host].forgotten = Some(self.objects.last_made());
        self.objects.remove_all_of(host);
        self.machines[host].disk.crash(&self.disk_luck);
        self.unix_names.retain(|(of, _), _| *of != host);
        for core in &mut self.cores {
            if core.host == host {
                core.die();
            }
        }
    }

    /// Closes descriptors whose owners were dropped without an operation.
    pub(super) fn close_all_dropped(&mut self) {
        for fd in self.numbers.take_closed() {
            self.close_dropped(fd);
        }
    }

    /// The programs of a host have ended: what they had open is closed.
    pub(crate) fn end_host(&mut self, host: usize) {
        self.note(Happening::HostEnded { host });
        for id in self.objects.of_host(host).to_vec() {
            self.close_object(id);
        }
        self.settle();
    }

    /// Nothing happens any more, and nothing is left but what is on the disks. What programs have left to do is to be dropped when
    /// the world is not borrowed.
    pub(super) fn end(&mut self) -> (Agenda<Event>, Vec<Work>) {
        let agenda = std::mem::replace(&mut self.agenda, Agenda::new());
        let works = self.cores.iter_mut();
        let works = works.flat_map(|core| std::mem::take(&mut core.work));
        let works = works.collect();
        self.cores.iter_mut().for_each(Core::die);
        self.objects = Objects::new(self.numbers.first());
        self.stalled.clear();
        self.unix_names.clear();
        self.memberships.clear();
        (agenda, works)
    }

    /// A new core of a host, and its number.
    pub(crate) fn add_core(&mut self, host: usize) -> usize {
        let queue = self.draw_queue(host);
        self.record_core(host);
        self.cores.push(Core::new(host, queue));
        self.cores.len() - 1
    }

    pub(super) fn is_dead(&self, core: usize) -> bool {
        self.cores[core].is_dead
    }

    /// Time passes while a core takes a turn.
    pub(crate) fn take_turn(&mut self, core: usize) {
        self.note(Happening::Turn { core });
        self.advance_to(self.elapsed + self.schedule.within(&TURN_TIME));
    }

    /// When something happens by itself next.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        self.agenda.next()
    }

    /// Lets time pass until `moment`; going back is ignored.
    pub(crate) fn advance_to(&mut self, moment: Duration) {
        self.elapsed = self.elapsed.max(moment);
        self.faults.advance_to(self.elapsed);
        self.clock.set(self.beginning + self.elapsed);
    }

    /// Lets the next thing happen whose moment has come; false if there is none.
    pub(crate) fn happen(&mut self) -> bool {
        let Some(event) = self.agenda.take_due(self.elapsed) else {
            return false;
        };
        match event {
            Event::Complete {
                core,
                key,
                completion,
                late,
            } => {
                if !self.cores[core].is_dead {
                    if let Some((operation, late)) = late {
                        late.arrive(&operation);
                    }
                    self.cores[core].learn(key, completion);
                }
            }
            Event::Cancel { core, key } => {
                self.cancel_now(core, key);
            }
            Event::Work { core, work } => {
                if !self.cores[core].is_dead {
                    self.cores[core].work.push(work);
                }
            }
            Event::Arrive(packet) => self.arrive(packet),
            Event::Resend { from, to } => self.resend(from, to),
            Event::Reconnect { client } => self.reconnect(client),
            Event::Disk(begun) => self.do_on_disk(begun),
        }
        self.settle();
        true
    }

    pub(super) fn plan(&mut self, moment: Duration, event: Event) {
        self.agenda.plan(moment, event);
    }

    /// True if a core has something to learn.
    pub(crate) fn has_news(&self, core: usize) -> bool {
        let core = &self.cores[core];
        !core.completed.is_empty() || !core.work.is_empty() || core.has_backlog
    }

    /// What a core is to learn, as much as its queue holds.
    pub(super) fn take_completed(&mut self, core: usize, taken: &mut Vec<(Key, Completion)>) {
        let mut completed = std::mem::take(&mut self.cores[core].completed);
        let count = completed.len().min(self.cores[core].queue.entries);
        self.cores[core].queue.has_overflown &= count < completed.len();
        for (key, completion) in completed.drain(..count) {
            self.note(Happening::Completed {
                core,
                key,
                completion,
            });
            taken.push((key, completion));
        }
        self.cores[core].completed = completed;
    }

    /// Work of a core that is to be done now.
    pub(super) fn take_work(&mut self, core: usize) -> Option<Work> {
        let works = &mut self.cores[core].work;
        if works.is_empty() {
            return None;
        }
        let work = works.remove(0);
        self.note(Happening::Worked { core });
        Some(work)
    }

    pub(super) fn work(&mut self, core: usize, work: Work) {
        let moment = self.elapsed + self.kernel.within(&WORK_TIME);
        self.agenda.plan(moment, Event::Work { core, work });
    }
}
