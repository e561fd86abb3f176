//! [`World`]: what all simulated cores share: time, chance, and what is on its way.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::agenda::Agenda;
use super::trace::{Happening, Trace};
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
    /// What programs draw for themselves: one stream for each host.
    Application = 3,
}

/// How long the kernel of a host takes for an operation that waits for nothing.
const KERNEL_TIME: std::ops::Range<Duration> = Duration::from_nanos(200)..Duration::from_micros(20);
/// How long a thread takes for work that blocks.
const WORK_TIME: std::ops::Range<Duration> = Duration::from_micros(10)..Duration::from_millis(2);
/// How long one turn of a core takes.
const TURN_TIME: std::ops::Range<Duration> = Duration::from_nanos(100)..Duration::from_micros(3);

/// What happens by itself when its moment has come.
enum Event {
    Complete {
        core: usize,
        key: Key,
        completion: Completion,
    },
    Work {
        core: usize,
        work: Work,
    },
}

/// What a world knows of a core.
#[derive(Default)]
struct Core {
    /// Its host has crashed: nothing that it does has an effect any more.
    is_dead: bool,
    completed: Vec<(Key, Completion)>,
    work: Vec<Work>,
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
    cores: Vec<Core>,
    schedule: Random,
    kernel: Random,
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

    /// A new core, and its number.
    pub(crate) fn add_core(&mut self) -> usize {
        self.cores.push(Core::default());
        self.cores.len() - 1
    }

    /// Nothing that this core has begun or will begin has an effect any more.
    pub(crate) fn kill_core(&mut self, core: usize) {
        let core = &mut self.cores[core];
        core.is_dead = true;
        core.completed.clear();
        core.work.clear();
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
        match self.agenda.take_due(self.elapsed) {
            None => false,
            Some(Event::Complete {
                core,
                key,
                completion,
            }) => {
                self.complete(core, key, completion);
                true
            }
            Some(Event::Work { core, work }) => {
                if !self.cores[core].is_dead {
                    self.cores[core].work.push(work);
                }
                true
            }
        }
    }

    /// Cancels an operation of a core; false if nothing of it can be stopped any more.
    pub(super) fn cancel(&mut self, _: usize, _: Key) -> bool {
        // Whatever has begun is on its way to its end.
        false
    }

    fn complete(&mut self, core: usize, key: Key, completion: Completion) {
        if !self.cores[core].is_dead {
            self.cores[core].completed.push((key, completion));
        }
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
        let completion = Completion::last(perform(operation));
        let moment = self.elapsed + self.kernel.within(&KERNEL_TIME);
        self.agenda.plan(
            moment,
            Event::Complete {
                core,
                key,
                completion,
            },
        );
    }
}

/// What a kernel answers that has neither a network nor a disk.
fn perform(operation: Operation) -> i32 {
    use Operation as O;
    match operation {
        O::Nop => 0,
        O::Socket { .. } => -libc::EAFNOSUPPORT,
        O::Pipe { .. } => -libc::ENFILE,
        O::Open { .. } | O::Status { .. } | O::Rename { .. } | O::Remove { .. } => -libc::ENOENT,
        O::MakeDirectory { .. } | O::HardLink { .. } | O::SymbolicLink { .. } => -libc::EROFS,
        // Nothing is open.
        _ => -libc::EBADF,
    }
}
