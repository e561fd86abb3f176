//! [`World`]: what all simulated cores share: time, chance, and what is on its way.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::agenda::Agenda;
use super::attempt::Outcome;
use super::delivery::Stalled;
use super::disk::Disk;
use super::files::Pace;
use super::network::{Network, Packet};
use super::objects::{Direction, ObjectId, Objects};
use super::trace::{Happening, Trace};
use crate::driver::groups::Groups;
use crate::driver::{Completion, Key, Operation, Work};
use crate::random::Random;

/// What draws numbers. Each purpose has a stream of its own, so that one more draw for the one shifts no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// How long the kernel of a host takes for an operation that waits for nothing.
const KERNEL_TIME: std::ops::Range<Duration> = Duration::from_nanos(200)..Duration::from_micros(20);
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

/// An operation that was begun and is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) core: usize,
    pub(super) key: Key,
    pub(super) operation: Operation,
    /// It has had an effect already, such as the beginning of a connection.
    pub(super) is_under_way: bool,
    /// When its last completion comes, if it has several: the next one does not come before.
    pub(super) last: Duration,
}

/// What a world knows of a core.
#[derive(Default)]
pub(super) struct Core {
    pub(super) host: usize,
    /// Its host has crashed: nothing that it does has an effect any more.
    is_dead: bool,
    completed: Vec<(Key, Completion)>,
    work: Vec<Work>,
    pub(super) groups: Groups,
    /// Where the operations of this core wait, by the indices of their keys.
    pub(super) waiting: Vec<Option<(u32, ObjectId, Direction)>>,
}

/// What a world knows of a host.
pub(super) struct Machine {
    pub(super) is_up: bool,
    pub(super) disk: Disk,
    pub(super) pace: Pace,
    /// The port that is tried next for a socket that wants any.
    pub(super) next_port: u16,
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
    pub(super) network: Network,
    /// What was lost between two ends, and what has come behind it.
    pub(super) stalled: BTreeMap<(ObjectId, ObjectId), Stalled>,
    /// Who has bound a name of a Unix socket; `None`: the name is there, its socket is not.
    pub(super) unix_names: BTreeMap<(usize, Vec<u8>), Option<ObjectId>>,
    /// Where something has changed for those who wait.
    pub(super) stirred: VecDeque<(ObjectId, Direction)>,
    schedule: Random,
    pub(super) kernel: Random,
    pub(super) net: Random,
    pub(super) disk_chance: Random,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let beginning = Instant::now();
        World {
            seed,
            beginning,
            elapsed: Duration::ZERO,
            clock: Rc::new(Cell::new(beginning)),
            agenda: Agenda::new(),
            cores: Vec::new(),
            machines: Vec::new(),
            objects: Objects::default(),
            network: Network::default(),
            stalled: BTreeMap::new(),
            unix_names: BTreeMap::new(),
            stirred: VecDeque::new(),
            net: Random::of_stream(seed, Purpose::Network as u64, 0),
            disk_chance: Random::of_stream(seed, Purpose::Disk as u64, 0),
            schedule: Random::of_stream(seed, Purpose::Schedule as u64, 0),
            kernel: Random::of_stream(seed, Purpose::Kernel as u64, 0),
            trace: Trace::new(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator of a purpose that has several.
    pub(crate) fn stream(&self, purpose: Purpose, index: u64) -> Random {
        Random::of_stream(self.seed, purpose as u64, index)
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
        self.trace.note(self.elapsed, happening);
    }

    /// A new host, and its number.
    pub(crate) fn add_host(&mut self) -> usize {
        self.machines.push(Machine {
            is_up: true,
            disk: Disk::new(),
            pace: Pace::default(),
            next_port: FIRST_PORT,
        });
        self.machines.len() - 1
    }

    pub(crate) fn start_host(&mut self, host: usize) {
        self.machines[host].is_up = true;
        self.note(Happening::HostStarted { host });
    }

    /// Everything that a host has open is gone, and nobody hears of it.
    pub(crate) fn crash_host(&mut self, host: usize) {
        self.note(Happening::HostCrashed { host });
        self.machines[host].is_up = false;
        self.objects.remove_all_of(host);
        self.machines[host].disk.crash(&self.disk_chance);
        self.unix_names.retain(|(of, _), _| *of != host);
        for core in &mut self.cores {
            if core.host == host {
                core.die();
            }
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

    /// A new core of a host, and its number.
    pub(crate) fn add_core(&mut self, host: usize) -> usize {
        self.cores.push(Core {
            host,
            ..Core::default()
        });
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
            } => {
                if !self.cores[core].is_dead {
                    self.cores[core].completed.push((key, completion));
                }
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
        !core.completed.is_empty() || !core.work.is_empty()
    }

    /// What a core is to learn.
    pub(super) fn take_completed(&mut self, core: usize, taken: &mut Vec<(Key, Completion)>) {
        let mut completed = std::mem::take(&mut self.cores[core].completed);
        for (key, completion) in completed.drain(..) {
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

    /// Begins an operation of a core.
    pub(super) fn begin(&mut self, core: usize, key: Key, operation: Operation) {
        if self.cores[core].is_dead {
            return;
        }
        let begun = Begun {
            core,
            key,
            operation,
            is_under_way: false,
            last: Duration::ZERO,
        };
        if self.is_on_disk(&operation) {
            let moment = self.elapsed + self.time_on_disk(core, &operation);
            return self.plan(moment, Event::Disk(begun));
        }
        self.drive(begun);
        self.settle();
    }

    /// Tries an operation until it is over or has to wait.
    fn drive(&mut self, mut begun: Begun) {
        if let Some((id, direction)) = self.is_behind_others(&begun) {
            return self.wait(begun, id, direction);
        }
        loop {
            match self.attempt(&mut begun) {
                Outcome::Completed(completion) => {
                    self.complete(&mut begun, completion);
                    if !completion.more {
                        return;
                    }
                }
                Outcome::Waits(id, direction) => return self.wait(begun, id, direction),
            }
        }
    }

    fn wait(&mut self, begun: Begun, id: ObjectId, direction: Direction) {
        let waiting = &mut self.cores[begun.core].waiting;
        let index = begun.key.index as usize;
        if index >= waiting.len() {
            waiting.resize(index + 1, None);
        }
        waiting[index] = Some((begun.key.generation, id, direction));
        if let Some(object) = self.objects.get_mut(id) {
            object.queue(direction).push_back(begun);
        }
    }

    /// Hands out a completion, after the time that the kernel takes for it.
    pub(super) fn complete(&mut self, begun: &mut Begun, completion: Completion) {
        let (core, key) = (begun.core, begun.key);
        let moment = self.elapsed + self.kernel.within(&KERNEL_TIME);
        begun.last = moment.max(begun.last);
        if let Some(waiting) = self.cores[core].waiting.get_mut(key.index as usize) {
            *waiting = None;
        }
        self.plan(
            begun.last,
            Event::Complete {
                core,
                key,
                completion,
            },
        );
    }

    /// Cancels an operation of a core; false if it is over, or cannot be stopped any more.
    pub(super) fn cancel(&mut self, core: usize, key: Key) -> bool {
        let waiting = self.cores[core].waiting.get(key.index as usize);
        let Some(Some((generation, id, direction))) = waiting.copied() else {
            return false;
        };
        let Some(object) = self
            .objects
            .get_mut(id)
            .filter(|_| generation == key.generation)
        else {
            return false;
        };
        let queue = object.queue(direction);
        let is_it = |begun: &Begun| (begun.core, begun.key) == (core, key);
        let Some(mut begun) = queue.iter().position(is_it).and_then(|at| queue.remove(at)) else {
            return false;
        };
        self.complete(&mut begun, Completion::last(-libc::ECANCELED));
        true
    }

    /// Tries again what waits where something has changed, until nothing changes any more.
    pub(super) fn settle(&mut self) {
        while let Some((id, direction)) = self.stirred.pop_front() {
            let Some(object) = self.objects.get_mut(id) else {
                continue;
            };
            let mut queue = std::mem::take(object.queue(direction));
            let mut is_blocked = false;
            while let Some(mut begun) = queue.pop_front() {
                // Whoever polls takes nothing from those behind him.
                let is_poll = matches!(begun.operation, Operation::Poll { .. });
                let outcome = match is_blocked && !is_poll {
                    true => Outcome::Waits(id, direction),
                    false => self.attempt(&mut begun),
                };
                match outcome {
                    Outcome::Completed(completion) => {
                        self.complete(&mut begun, completion);
                        if completion.more {
                            queue.push_front(begun);
                        }
                    }
                    Outcome::Waits(id, direction) => {
                        is_blocked |= !is_poll;
                        self.wait(begun, id, direction);
                    }
                }
            }
        }
    }

    pub(super) fn stir(&mut self, id: ObjectId) {
        self.stirred.push_back((id, Direction::Receiving));
        self.stirred.push_back((id, Direction::Sending));
    }
}

impl Core {
    fn die(&mut self) {
        self.is_dead = true;
        self.completed.clear();
        self.work.clear();
        self.waiting.clear();
    }
}
