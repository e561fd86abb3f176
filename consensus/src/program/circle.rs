//! The world of sockets: heroes as tasks on the executor, over links of its own.
//!
//! The harness bears the heroes and from then on only watches, ends those whom the faults
//! name, and stops when all is said or nothing goes on. It conducts nothing: there is
//! nothing a hero could ask it. What a hero is born with is the address board of the
//! circle, or his ends of the pipes.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use krug::runtime::{self, Runtime};
use krug::time::{now, timeout_at};
use tempfile::TempDir;

use super::arguments::{Arguments, Driver, Durable, Transport as Kind};
use super::bell::Bell;
use super::chronicle::Chronicle;
use super::course::{Course, MessageCounts};
use super::draws::Draws;
use super::lives::Told;
use super::report::Narrator;
use super::seeds;
use super::venue::{self, Places};
use crate::core::{Effect, Peer};
use crate::node::Observer;

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
        }
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

/// Returns when nothing more is to be expected.
/// `end` ends a hero.
pub(super) async fn watch(arguments: &Arguments, circle: &Circle, end: impl Fn(usize)) {
    let mut all_linked = false;
    while let Some(next) = look(arguments, circle, &end, &mut all_linked) {
        // In time or not: the next look finds what there is to do.
        let _ = timeout_at(circle.started() + next, circle.changed.rung()).await;
    }
}

/// Ends those whose moment has come. Gives back when to look again at the latest, or
/// `None` if nothing more is to be expected.
fn look(
    arguments: &Arguments,
    circle: &Circle,
    end: &impl Fn(usize),
    all_linked: &mut bool,
) -> Option<Duration> {
    let now = circle.now();
    let mut chronicle = lock(&circle.chronicle);
    if !*all_linked && circle.linked.load(Ordering::Relaxed) == arguments.peers {
        *all_linked = true;
        drop(lock(&circle.place).take());
        chronicle.linked(arguments.peers * (arguments.peers - 1) / 2, now);
    }
    let last = chronicle.progress() + arguments.limit;
    if !*all_linked {
        // Nobody dies on the way to his place: the others would only wait for him there.
        return (now < last && lock(&circle.failure).is_none()).then_some(last);
    }
    chronicle.take_due_kills(now).into_iter().for_each(end);
    if chronicle.is_over() || now >= last {
        return None;
    }
    Some(chronicle.next_kill().map_or(last, |kill| kill.min(last)))
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

/// The harness's eye on one hero, and the fault that takes his messages.
pub(super) struct Watcher {
    hero: usize,
    circle: Arc<Circle>,
    loss_per_million: u32,
    losses: Draws,
}

impl Watcher {
    pub(super) fn new(
        arguments: &Arguments,
        seed: u64,
        circle: &Arc<Circle>,
        hero: usize,
    ) -> Watcher {
        Watcher {
            hero,
            circle: Arc::clone(circle),
            loss_per_million: arguments.fault.loss.per_million,
            losses: seeds::draws(seed, seeds::LOSSES + hero as u64),
        }
    }

    pub(super) fn circle(&self) -> Arc<Circle> {
        Arc::clone(&self.circle)
    }

    pub(super) fn hero(&self) -> usize {
        self.hero
    }
}

impl Observer for Watcher {
    fn loses_next(&mut self) -> bool {
        self.losses.happens(self.loss_per_million)
    }

    fn stepped(&mut self, peer: &Peer, learned: &[Effect]) {
        let mut chronicle = lock(&self.circle.chronicle);
        if let Some(claim) = peer.claim() {
            chronicle.named(self.hero, claim.name);
        }
        let now = self.circle.now();
        learned
            .iter()
            .for_each(|effect| chronicle.learned(self.hero, effect, now));
        if !learned.is_empty() {
            self.circle.changed.ring();
        }
    }
}
