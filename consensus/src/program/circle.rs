//! The world of sockets: heroes as tasks on the executor, over links of its own.
//!
//! The harness bears the heroes and from then on only watches, ends those whom the faults
//! name, and stops when all is said or nothing goes on. It conducts nothing: there is
//! nothing a hero could ask it. What a hero is born with is the address board of the
//! circle, or his ends of the pipes.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::net::{TcpListener, UdpOptions, UnixListener};
use krug::runtime::{self, Runtime};
use krug::sync::Notify;
use krug::task::JoinHandle;
use krug::time::{now, timeout_at};
use tempfile::TempDir;

use super::arguments::{Arguments, Driver, Durable, Transport as Kind};
use super::chronicle::Chronicle;
use super::course::{Course, MessageCounts};
use super::draws::Draws;
use super::report::Narrator;
use super::seeds;
use crate::core::{Effect, Micros, Peer};
use crate::log::{Life, Log, Opened};
use crate::node::{Node, Observer, Ways};
use crate::transport::{PipeLink, Pipes, Sockets, Tcp, Transport, Udp, Unix};

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
    let circle = Rc::new(Circle::new(arguments, narrator, driver));
    let temporary = |is_needed: bool| {
        let place = || tempfile::Builder::new().prefix("krug-").tempdir();
        is_needed.then(place).transpose()
    };
    let sockets = temporary(arguments.transport() == Kind::Unix)?;
    let logs = temporary(arguments.durable == Durable::Sync)?;
    let places = Places {
        sockets: sockets.as_ref().map(|place| place.path().to_owned()),
        logs: logs.as_ref().map(|place| place.path().to_owned()),
    };
    circle.place.replace(sockets);
    runtime.block_on(meet(arguments, seed, circle, places))
}

/// Where heroes put what has a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Where Unix sockets listen.
    pub(super) sockets: Option<PathBuf>,
    /// Where each hero has his log, if they have any.
    pub(super) logs: Option<PathBuf>,
}

/// All heroes on one host, which is this one.
///
/// # Errors
///
/// If there is no place to listen.
pub(super) async fn meet(
    arguments: &Arguments,
    seed: u64,
    circle: Rc<Circle>,
    places: Places,
) -> io::Result<Course> {
    circle.logs.replace(places.logs);
    match arguments.transport() {
        Kind::Memory => unreachable!("memory is a world of its own"),
        Kind::Unix => {
            let directory = places.sockets.unwrap_or_else(std::env::temp_dir);
            over_unix(arguments, seed, circle, directory).await
        }
        Kind::Tcp => over_tcp(arguments, seed, circle).await,
        Kind::Udp => over_udp(arguments, seed, circle).await,
        Kind::Pipe => over_pipes(arguments, seed, circle).await,
    }
}

async fn over_unix(
    arguments: &Arguments,
    seed: u64,
    circle: Rc<Circle>,
    directory: PathBuf,
) -> io::Result<Course> {
    let board = Rc::new(Board::new(arguments, seed));
    let mut names = seeds::draws(seed, seeds::PATHS);
    let prepare = |_| {
        let path = directory.join(format!("{:016x}", names.draw()));
        let board = Rc::clone(&board);
        async move {
            let listener = UnixListener::bind(&path).await?;
            let addresses = board.exchange(path.clone()).await;
            Ok(Sockets::<Unix> {
                listener,
                own: path,
                addresses,
            })
        }
    };
    hold(arguments, seed, circle, prepare).await
}

async fn over_tcp(arguments: &Arguments, seed: u64, circle: Rc<Circle>) -> io::Result<Course> {
    let board = Rc::new(Board::new(arguments, seed));
    let prepare = |_| {
        let board = Rc::clone(&board);
        async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let own = listener.local_addr()?;
            let addresses = board.exchange(own).await;
            Ok(Sockets::<Tcp> {
                listener,
                own,
                addresses,
            })
        }
    };
    hold(arguments, seed, circle, prepare).await
}

async fn over_udp(arguments: &Arguments, seed: u64, circle: Rc<Circle>) -> io::Result<Course> {
    let board = Rc::new(Board::new(arguments, seed));
    let prepare = |_| {
        let board = Rc::clone(&board);
        async move {
            let options = UdpOptions::new().receive_ahead(true);
            let socket = options.bind("127.0.0.1:0").await?;
            let own = socket.local_addr()?;
            let addresses = board.exchange(own).await;
            Ok(Udp {
                socket,
                own,
                addresses,
            })
        }
    };
    hold(arguments, seed, circle, prepare).await
}

async fn over_pipes(arguments: &Arguments, seed: u64, circle: Rc<Circle>) -> io::Result<Course> {
    let mut ends: Vec<Vec<PipeLink>> = (0..arguments.peers).map(|_| Vec::new()).collect();
    for one in 0..arguments.peers {
        for other in 0..one {
            let (here, there) = PipeLink::pair().await?;
            ends[one].push(here);
            ends[other].push(there);
        }
    }
    let mut tables = seeds::draws(seed, seeds::TABLES);
    let prepare = |hero: usize| {
        let mut links = std::mem::take(&mut ends[hero]);
        tables.shuffle(&mut links);
        async { Ok(Pipes(links)) }
    };
    hold(arguments, seed, circle, prepare).await
}

/// Where the heroes post the addresses they listen on, before they know anybody. Each
/// takes home the list of all, in an order of its own.
struct Board<A> {
    expected: usize,
    posted: RefCell<Vec<A>>,
    full: Notify,
    draws: RefCell<Draws>,
}

impl<A: Clone> Board<A> {
    fn new(arguments: &Arguments, seed: u64) -> Board<A> {
        Board {
            expected: arguments.peers,
            posted: RefCell::new(Vec::new()),
            full: Notify::new(),
            draws: RefCell::new(seeds::draws(seed, seeds::TABLES)),
        }
    }

    async fn exchange(&self, own: A) -> Vec<A> {
        self.posted.borrow_mut().push(own);
        while self.posted.borrow().len() < self.expected {
            self.full.notified().await;
        }
        self.full.notify_waiters();
        let mut all = self.posted.borrow().clone();
        self.draws.borrow_mut().shuffle(&mut all);
        all
    }
}

/// What all heroes of a run share with the harness.
pub(super) struct Circle {
    /// What the executor runs on.
    driver: &'static str,
    chronicle: RefCell<Chronicle>,
    /// There is something new in the chronicle, or a hero could not be born.
    pub(super) changed: Notify,
    /// When somebody looked at the clock first.
    started: OnceCell<Instant>,
    /// How many heroes have their links, or have given up on the rest of them.
    linked: Cell<usize>,
    /// What kept a hero from being born.
    pub(super) failure: RefCell<Option<io::Error>>,
    /// Where Unix sockets listen, until all heroes have their links: whoever breaks the
    /// program off later finds nothing left behind.
    place: RefCell<Option<TempDir>>,
    /// Where the heroes have their logs, if they have any.
    logs: RefCell<Option<PathBuf>>,
}

impl Circle {
    pub(super) fn new(arguments: &Arguments, narrator: Narrator, driver: &'static str) -> Circle {
        Circle {
            driver,
            chronicle: RefCell::new(Chronicle::new(arguments, narrator)),
            changed: Notify::new(),
            started: OnceCell::new(),
            linked: Cell::new(0),
            failure: RefCell::new(None),
            place: RefCell::new(None),
            logs: RefCell::new(None),
        }
    }

    /// Inside of a runtime, whose clock it is.
    pub(super) fn started(&self) -> Instant {
        *self.started.get_or_init(now)
    }

    pub(super) fn now(&self) -> Duration {
        now().saturating_duration_since(self.started())
    }

    /// One more hero has what he needs to reach the others.
    pub(super) fn has_linked(&self) {
        self.linked.set(self.linked.get() + 1);
        self.changed.notify_one();
    }

    /// Something went wrong that was not asked for: the run is over.
    pub(super) fn fail(&self, error: io::Error) {
        self.failure.borrow_mut().get_or_insert(error);
        self.changed.notify_one();
    }

    /// A hero's log has failed, and so has he.
    pub(super) fn fell(&self, hero: usize, error: &io::Error) {
        eprintln!("hero {} stops: {error}", hero + 1);
        self.chronicle.borrow_mut().fell(hero, self.now());
        self.changed.notify_one();
    }
}

/// A hero, as the harness holds him.
struct Hero {
    peer: Rc<RefCell<Peer>>,
    task: JoinHandle<()>,
}

/// Bears all heroes, each with what `prepare` gives him, and watches them to the end.
async fn hold<T: Transport, P>(
    arguments: &Arguments,
    seed: u64,
    circle: Rc<Circle>,
    mut prepare: impl FnMut(usize) -> P,
) -> io::Result<Course>
where
    P: Future<Output = io::Result<T>> + 'static,
{
    let config = seeds::config(arguments);
    let heroes: Vec<Hero> = (0..arguments.peers)
        .map(|hero| {
            let random = seeds::of_hero(seed, hero, arguments.peers);
            let peer = Rc::new(RefCell::new(Peer::new(config.clone(), random)));
            let watcher = Watcher::new(arguments, seed, &circle, hero);
            let is_stillborn = arguments.fault.is_stillborn(hero + 1);
            let task = krug::spawn(live(prepare(hero), Rc::clone(&peer), watcher, is_stillborn));
            Hero { peer, task }
        })
        .collect();

    let end = |hero: usize| heroes[hero].task.abort();
    watch(arguments, &circle, end).await;
    let elapsed = circle.now();
    for hero in &heroes {
        hero.task.abort();
    }
    let peers: Vec<Rc<RefCell<Peer>>> = heroes.iter().map(|hero| Rc::clone(&hero.peer)).collect();
    for hero in heroes {
        if let Err(error) = hero.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    match circle.failure.take() {
        Some(error) => Err(error),
        None => Ok(close(arguments, &circle, &peers, elapsed)),
    }
}

/// A hero's life: he finds the others, and then talks to them until he is ended.
async fn live<T: Transport>(
    prepared: impl Future<Output = io::Result<T>>,
    peer: Rc<RefCell<Peer>>,
    watcher: Watcher,
    is_stillborn: bool,
) {
    let circle = Rc::clone(&watcher.circle);
    let folder = circle.logs.borrow().clone();
    let folder = folder.map(|place| place.join((watcher.hero + 1).to_string()));
    let peers = watcher.peers;
    let born = async {
        let transport = prepared.await?;
        let log = match folder {
            Some(folder) => Some(first_log(&folder, peers).await?),
            None => None,
        };
        Ok((transport, log))
    };
    let (transport, log) = match born.await {
        Ok(born) => born,
        Err(error) => return circle.fail(error),
    };
    let links = transport.connect().await;
    circle.has_linked();
    if !is_stillborn {
        speak(peer, Ways::over(links), log, watcher).await;
    }
}

/// A log in `folder`, where none was before.
///
/// # Errors
///
/// What the system says, or that there was one.
pub(super) async fn first_log(folder: &Path, peers: usize) -> io::Result<Log> {
    match Log::open(folder, peers, Life::First).await? {
        Opened::Whole { log, .. } => Ok(log),
        Opened::Damaged(why) => Err(io::Error::other(why)),
    }
}

/// The rest of a hero's life: it ends if his log fails.
pub(super) async fn speak(peer: Rc<RefCell<Peer>>, ways: Ways, log: Option<Log>, watcher: Watcher) {
    let (circle, hero) = (Rc::clone(&watcher.circle), watcher.hero);
    let node = Node::new(peer, ways, circle.started(), log, watcher);
    let error = node.run().await;
    circle.fell(hero, &error);
}

/// Returns when nothing more is to be expected.
/// `end` ends a hero.
pub(super) async fn watch(arguments: &Arguments, circle: &Circle, end: impl Fn(usize)) {
    let mut all_linked = false;
    while let Some(next) = look(arguments, circle, &end, &mut all_linked) {
        // In time or not: the next look finds what there is to do.
        let _ = timeout_at(circle.started() + next, circle.changed.notified()).await;
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
    let mut chronicle = circle.chronicle.borrow_mut();
    if !*all_linked && circle.linked.get() == arguments.peers {
        *all_linked = true;
        drop(circle.place.take());
        chronicle.linked(arguments.peers * (arguments.peers - 1) / 2, now);
    }
    let last = chronicle.progress() + arguments.limit;
    if !*all_linked {
        // Nobody dies on the way to his place: the others would only wait for him there.
        return (now < last && circle.failure.borrow().is_none()).then_some(last);
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
    peers: &[Rc<RefCell<Peer>>],
    elapsed: Duration,
) -> Course {
    let empty = Chronicle::new(arguments, Narrator::silent());
    let chronicle = circle.chronicle.replace(empty);
    let mut messages = MessageCounts::default();
    let mut waiting = Vec::new();
    for (hero, peer) in peers.iter().enumerate() {
        let peer = peer.borrow();
        messages.add(&peer.counters().sent);
        if chronicle.is_alive(hero) {
            waiting.push(peer.waiting(elapsed.as_micros() as Micros));
        }
    }
    chronicle.close(&waiting, arguments.limit, messages, elapsed, circle.driver)
}

/// The harness's eye on one hero, and the fault that takes his messages.
pub(super) struct Watcher {
    hero: usize,
    peers: usize,
    circle: Rc<Circle>,
    loss_per_million: u32,
    losses: Draws,
}

impl Watcher {
    pub(super) fn new(
        arguments: &Arguments,
        seed: u64,
        circle: &Rc<Circle>,
        hero: usize,
    ) -> Watcher {
        Watcher {
            hero,
            peers: arguments.peers,
            circle: Rc::clone(circle),
            loss_per_million: arguments.fault.loss.per_million,
            losses: seeds::draws(seed, seeds::LOSSES + hero as u64),
        }
    }
}

impl Observer for Watcher {
    fn loses_next(&mut self) -> bool {
        self.losses.happens(self.loss_per_million)
    }

    fn stepped(&mut self, peer: &Peer, learned: &[Effect]) {
        let mut chronicle = self.circle.chronicle.borrow_mut();
        if let Some(claim) = peer.claim() {
            chronicle.named(self.hero, claim.name);
        }
        let now = self.circle.now();
        learned
            .iter()
            .for_each(|effect| chronicle.learned(self.hero, effect, now));
        if !learned.is_empty() {
            self.circle.changed.notify_one();
        }
    }
}
