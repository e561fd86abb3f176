//! The world of sockets: heroes as tasks on the executor, over links of its own.
//!
//! The harness bears the heroes and from then on only watches, ends those whom the faults
//! name, and stops when all is said or nothing goes on. It conducts nothing: there is
//! nothing a hero could ask it. What a hero is born with is the address board of the
//! circle, or his ends of the pipes.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use krug::runtime::{self, Runtime};
use krug::time::{now, timeout_at};
use tempfile::TempDir;

use super::arguments::{Arguments, Driver, Durable, Transport as Kind};
use super::bell::Bell;
use super::chronicle::{Chronicle, Deed};
use super::course::{Course, MessageCounts};
use super::draws::Draws;
use super::lives::Told;
use super::report::Narrator;
use super::seeds;
use super::venue::{self, Places};
use crate::core::{Effect, LogRecord, Message, Peer, Port};
use crate::node::Observer;
use crate::oracle::{self, Oracle};

/// What the heroes that `arguments` ask for will run on.
///
/// # Errors
///
/// `InvalidInput` if the environment names a driver that does not exist; else why there is no runtime.
pub fn runtime(arguments: &Arguments, seed: u64) -> io::Result<Runtime> {
    let driver = match arguments.driver {
        Driver::Auto => runtime::Driver::Auto,
        Driver::Uring => runtime::Driver::Uring,
        Driver::Epoll => runtime::Driver::Epoll,
        Driver::Sim => runtime::Driver::Sim,
    };
    // What the heroes still had to say when all is said is nobody's loss.
    let linger = Duration::from_millis(100);
    let runtime = Runtime::builder()
        .driver(driver)
        .cores(arguments.cores())
        .seed(seed)
        .linger(linger)
        .build()?;
    if let Some(reason) = runtime.fallback_reason() {
        eprintln!("{reason}. Going on with epoll.");
    }
    Ok(runtime)
}

/// Runs the heroes that `arguments` ask for, to the end.
///
/// # Errors
///
/// If there is no place to listen.
pub fn run(
    runtime: &Runtime,
    arguments: &Arguments,
    seed: u64,
    narrator: Narrator,
) -> io::Result<Course> {
    let driver = match runtime.driver() {
        runtime::Driver::Epoll => "epoll",
        _ => "uring",
    };
    let cores = runtime.handles();
    let circle = Arc::new(Circle::new(arguments, narrator, driver, cores.len()));
    let temporary = |is_needed: bool| {
        let place = || tempfile::Builder::new().prefix("krug-").tempdir();
        is_needed.then(place).transpose()
    };
    let sockets = temporary(arguments.transport() == Kind::Unix)?;
    let logs = temporary(arguments.durable == Durable::Sync)?;
    let places = Places {
        sockets: sockets.as_ref().map(|place| place.path().to_owned()),
        logs: logs.as_ref().map(|place| place.path().to_owned()),
        cores: if cores.len() > 1 { cores } else { Vec::new() },
    };
    *lock(&circle.place) = sockets;
    runtime.block_on(venue::meet(
        &Arc::new(arguments.clone()),
        seed,
        circle,
        places,
    ))
}

/// What all heroes of a run share with the harness, on whichever cores they are.
pub(super) struct Circle {
    /// What the executor runs on.
    driver: &'static str,
    /// How many cores they share.
    cores: usize,
    chronicle: Mutex<Chronicle>,
    /// There is something new in the chronicle, or a hero could not be born.
    changed: Bell,
    /// When somebody looked at the clock first.
    started: OnceLock<Instant>,
    /// How many heroes have their links, or have given up on the rest of them.
    linked: AtomicUsize,
    /// What kept a hero from being born.
    failure: Mutex<Option<io::Error>>,
    /// Where Unix sockets listen, until all heroes have their links: whoever breaks the
    /// program off later finds nothing left behind.
    place: Mutex<Option<TempDir>>,
    /// Where the heroes have their logs, if they have any.
    logs: OnceLock<PathBuf>,
    /// On which side each hero sits, if messages between the sides are to be lost.
    sides: Vec<AtomicUsize>,
    /// Sees whether all is true that must be, in a simulated world.
    oracle: Option<Mutex<Oracle>>,
}

impl Circle {
    pub(super) fn new(
        arguments: &Arguments,
        narrator: Narrator,
        driver: &'static str,
        cores: usize,
    ) -> Circle {
        Circle {
            driver,
            cores,
            chronicle: Mutex::new(Chronicle::new(arguments, narrator)),
            changed: Bell::new(),
            started: OnceLock::new(),
            linked: AtomicUsize::new(0),
            failure: Mutex::new(None),
            place: Mutex::new(None),
            logs: OnceLock::new(),
            sides: (0..arguments.peers).map(|_| AtomicUsize::new(0)).collect(),
            oracle: None,
        }
    }

    /// With an [oracle](Oracle) that is told everything, and panics if something must not be.
    pub(super) fn with_oracle(mut self, arguments: &Arguments) -> Circle {
        let is_small = arguments.peers <= oracle::HEROES_MAX;
        self.oracle = is_small.then(|| Mutex::new(Oracle::new(seeds::config(arguments))));
        self
    }

    pub(super) fn tell_oracle(&self, tell: impl FnOnce(&mut Oracle)) {
        if let Some(oracle) = &self.oracle {
            tell(&mut lock(oracle));
        }
    }

    /// From now on messages get lost between heroes for whom `sides` differs.
    pub(super) fn split(&self, sides: &[usize]) {
        for (here, side) in self.sides.iter().zip(sides) {
            here.store(*side, Ordering::Relaxed);
        }
    }

    pub(super) fn heal(&self) {
        self.split(&vec![0; self.sides.len()]);
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        let side = |hero: usize| self.sides[hero].load(Ordering::Relaxed);
        side(one) != side(other)
    }

    /// A hero has begun another life, in which he knows this much.
    pub(super) fn returned(&self, hero: usize, peer: &Peer) {
        self.tell_oracle(|oracle| oracle.restarts(hero, peer));
        lock(&self.chronicle).returned(hero, peer, self.now());
        self.changed.ring();
    }

    /// Inside of a runtime, whose clock it is.
    pub(super) fn started(&self) -> Instant {
        *self.started.get_or_init(now)
    }

    pub(super) fn now(&self) -> Duration {
        let started = self.started();
        now().saturating_duration_since(started)
    }

    pub(super) fn keep_logs_in(&self, place: Option<PathBuf>) {
        place.into_iter().for_each(|place| _ = self.logs.set(place));
    }

    pub(super) fn logs(&self) -> Option<PathBuf> {
        self.logs.get().cloned()
    }

    /// One more hero has what he needs to reach the others.
    pub(super) fn has_linked(&self) {
        self.linked.fetch_add(1, Ordering::Relaxed);
        self.changed.ring();
    }

    /// Something went wrong that was not asked for: the run is over.
    pub(super) fn fail(&self, error: io::Error) {
        lock(&self.failure).get_or_insert(error);
        self.changed.ring();
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        lock(&self.failure).take()
    }

    /// A hero's log has failed, and so has he.
    pub(super) fn fell(&self, hero: usize, error: &io::Error) {
        eprintln!("hero {} stops: {error}", hero + 1);
        lock(&self.chronicle).fell(hero, self.now());
        self.changed.ring();
    }
}

/// Whoever panicked with it in his hands: the run ends with that panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns when nothing more is to be expected. `act` does what the faults want.
pub(super) async fn watch(arguments: &Arguments, circle: &Circle, act: impl Fn(Deed)) {
    let mut all_linked = false;
    while let Some(next) = look(arguments, circle, &act, &mut all_linked) {
        // In time or not: the next look finds what there is to do.
        let _ = timeout_at(circle.started() + next, circle.changed.rung()).await;
    }
}

/// Does what is due. Gives back when to look again at the latest, or
/// `None` if nothing more is to be expected.
fn look(
    arguments: &Arguments,
    circle: &Circle,
    act: &impl Fn(Deed),
    all_linked: &mut bool,
) -> Option<Duration> {
    let now = circle.now();
    let mut chronicle = lock(&circle.chronicle);
    if !*all_linked && circle.linked.load(Ordering::Relaxed) == arguments.peers {
        *all_linked = true;
        // Who comes back is dialled again.
        if !arguments.fault.needs_lasting_links() {
            drop(lock(&circle.place).take());
        }
        chronicle.linked(arguments.peers * (arguments.peers - 1) / 2, now);
    }
    if !*all_linked {
        // Nobody dies on the way to his place: the others would only wait for him there.
        let last = chronicle.deadline(arguments.limit);
        return (now < last && lock(&circle.failure).is_none()).then_some(last);
    }
    let deeds = chronicle.take_due(now);
    drop(chronicle);
    deeds.into_iter().for_each(act);
    let chronicle = lock(&circle.chronicle);
    let last = chronicle.deadline(arguments.limit);
    let is_broken_off = lock(&circle.failure).is_some();
    if chronicle.is_over() || now >= last || is_broken_off {
        return None;
    }
    Some(chronicle.next_deed().map_or(last, |next| next.min(last)))
}

pub(super) fn close(
    arguments: &Arguments,
    circle: &Circle,
    told: &[Told],
    elapsed: Duration,
) -> Course {
    let empty = Chronicle::new(arguments, Narrator::silent());
    let chronicle = std::mem::replace(&mut *lock(&circle.chronicle), empty);
    let mut messages = MessageCounts::default();
    let mut waiting = Vec::new();
    for (hero, told) in told.iter().enumerate() {
        messages += told.sent;
        if chronicle.is_alive(hero) {
            waiting.extend(told.waiting.clone());
        }
    }
    let mut course = chronicle.close(&waiting, arguments.limit, messages, elapsed, circle.driver);
    course.cores = circle.cores;
    course
}

/// The harness's eye on one hero, and the faults that take his messages.
pub(super) struct Watcher {
    hero: usize,
    circle: Arc<Circle>,
    /// Who sits at the other end of each port, where that is known.
    neighbours: Rc<[usize]>,
    loss_per_million: u32,
    losses: Draws,
}

impl Watcher {
    pub(super) fn new(
        arguments: &Arguments,
        seed: u64,
        circle: &Arc<Circle>,
        hero: usize,
        neighbours: Rc<[usize]>,
    ) -> Watcher {
        Watcher {
            hero,
            circle: Arc::clone(circle),
            neighbours,
            loss_per_million: arguments.fault.loss.per_million,
            losses: seeds::draws(seed, seeds::LOSSES + hero as u64),
        }
    }
}

impl Observer for Watcher {
    fn loses_next(&mut self, port: Port) -> bool {
        let other = self.neighbours.get(port.0);
        let is_cut = other.is_some_and(|other| self.circle.are_apart(self.hero, *other));
        self.losses.happens(self.loss_per_million) || is_cut
    }

    fn stepped(&mut self, peer: &Peer, learned: &[Effect]) {
        self.circle.tell_oracle(|oracle| {
            learned
                .iter()
                .for_each(|effect| oracle.learned(self.hero, effect));
            oracle.looks_at(self.hero, peer);
        });
        let mut chronicle = lock(&self.circle.chronicle);
        if let Some(claim) = peer.claim() {
            chronicle.named(self.hero, claim.name);
        }
        let now = self.circle.now();
        learned
            .iter()
            .for_each(|effect| chronicle.learned(self.hero, effect, now));
        drop(chronicle);
        if !learned.is_empty() {
            self.circle.changed.ring();
        }
    }

    fn persisted(&mut self, records: &[LogRecord]) {
        self.circle
            .tell_oracle(|oracle| oracle.persists(self.hero, records));
    }

    fn says(&mut self, message: &Message) {
        self.circle
            .tell_oracle(|oracle| oracle.says(self.hero, message));
    }
}
