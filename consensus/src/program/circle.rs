//! The world of sockets: heroes as tasks on the executor, over links of its own.
//!
//! The harness bears the heroes and from then on only watches, ends those whom the faults
//! name, and stops when all is said or nothing goes on. It conducts nothing: there is
//! nothing a hero could ask it. What a hero is born with is the address board of the
//! circle, or his ends of the pipes.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::net::{TcpListener, UdpOptions, UnixListener};
use krug::runtime::{self, Runtime};
use krug::sync::Notify;
use krug::task::JoinHandle;
use krug::time::timeout_at;
use tempfile::TempDir;

use super::arguments::{Arguments, Driver, Transport as Kind};
use super::chronicle::Chronicle;
use super::course::{Course, MessageCounts};
use super::draws::Draws;
use super::report::Narrator;
use super::seeds;
use crate::core::{Effect, Micros, Peer};
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
    let circle = Rc::new(Circle {
        driver: match runtime.driver() {
            runtime::Driver::Epoll => "epoll",
            _ => "uring",
        },
        chronicle: RefCell::new(Chronicle::new(arguments, narrator)),
        changed: Notify::new(),
        started: Instant::now(),
        linked: Cell::new(0),
        failure: RefCell::new(None),
        place: RefCell::new(None),
    });
    runtime.block_on(async {
        match arguments.transport() {
            Kind::Memory => unreachable!("memory is a world of its own"),
            Kind::Unix => over_unix(arguments, seed, circle).await,
            Kind::Tcp => over_tcp(arguments, seed, circle).await,
            Kind::Udp => over_udp(arguments, seed, circle).await,
            Kind::Pipe => over_pipes(arguments, seed, circle).await,
        }
    })
}

async fn over_unix(arguments: &Arguments, seed: u64, circle: Rc<Circle>) -> io::Result<Course> {
    let place = tempfile::Builder::new().prefix("krug-").tempdir()?;
    let directory = place.path().to_owned();
    circle.place.replace(Some(place));
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

/// What all tasks of a run share.
struct Circle {
    /// What the executor runs on.
    driver: &'static str,
    chronicle: RefCell<Chronicle>,
    /// There is something new in the chronicle, or a hero could not be born.
    changed: Notify,
    started: Instant,
    /// How many heroes have their links, or have given up on the rest of them.
    linked: Cell<usize>,
    /// What kept a hero from being born.
    failure: RefCell<Option<io::Error>>,
    /// Where Unix sockets listen, until all heroes have their links: whoever breaks the
    /// program off later finds nothing left behind.
    place: RefCell<Option<TempDir>>,
}

impl Circle {
    fn now(&self) -> Duration {
        self.started.elapsed()
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
            let watcher = Watcher {
                hero,
                circle: Rc::clone(&circle),
                loss_per_million: arguments.fault.loss.per_million,
                losses: seeds::draws(seed, seeds::LOSSES + hero as u64),
            };
            let is_stillborn = arguments.fault.is_stillborn(hero + 1);
            let task = krug::spawn(live(prepare(hero), Rc::clone(&peer), watcher, is_stillborn));
            Hero { peer, task }
        })
        .collect();

    watch(arguments, &circle, &heroes).await;
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
    let transport = match prepared.await {
        Ok(transport) => transport,
        Err(error) => {
            circle.failure.borrow_mut().get_or_insert(error);
            circle.changed.notify_one();
            return;
        }
    };
    let links = transport.connect().await;
    circle.linked.set(circle.linked.get() + 1);
    circle.changed.notify_one();
    if !is_stillborn {
        let node = Node::new(peer, Ways::over(links), circle.started, None, watcher);
        node.run().await;
    }
}

/// Returns when nothing more is to be expected.
async fn watch(arguments: &Arguments, circle: &Circle, heroes: &[Hero]) {
    let mut all_linked = false;
    while let Some(next) = look(arguments, circle, heroes, &mut all_linked) {
        // In time or not: the next look finds what there is to do.
        let _ = timeout_at(circle.started + next, circle.changed.notified()).await;
    }
}

/// Ends those whose moment has come. Gives back when to look again at the latest, or
/// `None` if nothing more is to be expected.
fn look(
    arguments: &Arguments,
    circle: &Circle,
    heroes: &[Hero],
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
    for hero in chronicle.take_due_kills(now) {
        heroes[hero].task.abort();
    }
    if chronicle.is_over() || now >= last {
        return None;
    }
    Some(chronicle.next_kill().map_or(last, |kill| kill.min(last)))
}

fn close(
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
struct Watcher {
    hero: usize,
    circle: Rc<Circle>,
    loss_per_million: u32,
    losses: Draws,
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
