//! Where the heroes meet: what each is born with on every transport, his address board or his ends of the pipes.

use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use krug::cores::CoreHandle;
use krug::net::{TcpListener, UdpOptions, UnixListener};

use super::arguments::{Arguments, Transport as Kind};
use super::circle::Circle;
use super::course::Course;
use super::draws::Draws;
use super::lives::hold;
use super::seeds;
use crate::node::Ways;
use crate::transport::{PipeEnds, PipeLink, Pipes, Sockets, Tcp, Transport, Udp, Unix};

/// Where heroes put what has a name, and where they live.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Where Unix sockets listen.
    pub(super) sockets: Option<PathBuf>,
    /// Where each hero has his log, if they have any.
    pub(super) logs: Option<PathBuf>,
    /// The cores over which they are dealt out; none: they all live on this one.
    pub(super) cores: Vec<CoreHandle>,
}

/// A hero's way to the others. It stays on his core.
pub(super) struct Door {
    open: Box<dyn FnOnce() -> Opening>,
}

type Opening = Pin<Box<dyn Future<Output = Ways>>>;

impl Door {
    /// For one life.
    fn once(transport: impl Transport) -> Door {
        let open = async { Ways::over(transport.connect().await) };
        Door {
            open: Box::new(|| Box::pin(open)),
        }
    }

    /// The links to the others.
    pub(super) async fn open(self) -> Ways {
        (self.open)().await
    }
}

/// All heroes on one host, which is this one.
///
/// # Errors
///
/// If there is no place to listen.
pub(super) async fn meet(
    arguments: &Arc<Arguments>,
    seed: u64,
    circle: Arc<Circle>,
    places: Places,
) -> io::Result<Course> {
    circle.keep_logs_in(places.logs);
    let meeting = Meeting {
        arguments: Arc::clone(arguments),
        seed,
        circle,
        cores: places.cores,
    };
    match arguments.transport() {
        Kind::Memory => unreachable!("memory is a world of its own"),
        Kind::Unix => {
            let directory = places.sockets.unwrap_or_else(std::env::temp_dir);
            over_unix(meeting, directory).await
        }
        Kind::Tcp => over_tcp(meeting).await,
        Kind::Udp => over_udp(meeting).await,
        Kind::Pipe if meeting.cores.is_empty() => over_pipes(meeting).await,
        Kind::Pipe => over_pipes_between_cores(meeting).await,
    }
}

/// What is settled before anybody is born.
pub(super) struct Meeting {
    pub(super) arguments: Arc<Arguments>,
    pub(super) seed: u64,
    pub(super) circle: Arc<Circle>,
    pub(super) cores: Vec<CoreHandle>,
}

async fn over_unix(meeting: Meeting, directory: PathBuf) -> io::Result<Course> {
    let board = Arc::new(Board::new(&meeting));
    let mut names = seeds::draws(meeting.seed, seeds::PATHS);
    let prepare = |_| {
        let path = directory.join(format!("{:016x}", names.draw()));
        let board = Arc::clone(&board);
        move || async move {
            let listener = UnixListener::bind(&path).await?;
            let addresses = board.exchange(path.clone()).await;
            Ok(Door::once(Sockets::<Unix> {
                listener,
                own: path,
                addresses,
            }))
        }
    };
    hold(meeting, prepare).await
}

async fn over_tcp(meeting: Meeting) -> io::Result<Course> {
    let board = Arc::new(Board::new(&meeting));
    let prepare = |_| {
        let board = Arc::clone(&board);
        move || async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let own = listener.local_addr()?;
            let addresses = board.exchange(own).await;
            Ok(Door::once(Sockets::<Tcp> {
                listener,
                own,
                addresses,
            }))
        }
    };
    hold(meeting, prepare).await
}

async fn over_udp(meeting: Meeting) -> io::Result<Course> {
    let board = Arc::new(Board::new(&meeting));
    let prepare = |_| {
        let board = Arc::clone(&board);
        move || async move {
            let options = UdpOptions::new().receive_ahead(true);
            let socket = options.bind("127.0.0.1:0").await?;
            let own = socket.local_addr()?;
            let addresses = board.exchange(own).await;
            Ok(Door::once(Udp {
                socket,
                own,
                addresses,
            }))
        }
    };
    hold(meeting, prepare).await
}

async fn over_pipes(meeting: Meeting) -> io::Result<Course> {
    let mut ends = no_ends::<PipeLink>(&meeting);
    for (one, other) in pairs(&meeting) {
        let (here, there) = PipeLink::pair().await?;
        ends[one].push(here);
        ends[other].push(there);
    }
    let mut tables = seeds::draws(meeting.seed, seeds::TABLES);
    let prepare = |hero: usize| {
        let mut links = std::mem::take(&mut ends[hero]);
        tables.shuffle(&mut links);
        move || async { Ok(Door::once(Pipes(links))) }
    };
    hold(meeting, prepare).await
}

/// A pipe of the executor belongs to one core: here each hero takes his ends over on his own.
async fn over_pipes_between_cores(meeting: Meeting) -> io::Result<Course> {
    let mut ends = no_ends::<PipeEnds>(&meeting);
    for (one, other) in pairs(&meeting) {
        let (here, there) = PipeEnds::pair()?;
        ends[one].push(here);
        ends[other].push(there);
    }
    let mut tables = seeds::draws(meeting.seed, seeds::TABLES);
    let prepare = |hero: usize| {
        let mut ends = std::mem::take(&mut ends[hero]);
        tables.shuffle(&mut ends);
        move || async {
            let links = ends.into_iter().map(PipeLink::over);
            Ok(Door::once(Pipes(links.collect::<io::Result<_>>()?)))
        }
    };
    hold(meeting, prepare).await
}

fn no_ends<E>(meeting: &Meeting) -> Vec<Vec<E>> {
    (0..meeting.arguments.peers).map(|_| Vec::new()).collect()
}

fn pairs(meeting: &Meeting) -> impl Iterator<Item = (usize, usize)> {
    let all = 0..meeting.arguments.peers;
    all.flat_map(|one| (0..one).map(move |other| (one, other)))
}

/// Where the heroes post the addresses they listen on, before they know anybody. Each
/// takes home the list of all, in an order of its own.
struct Board<A> {
    expected: usize,
    state: Mutex<Posted<A>>,
}

struct Posted<A> {
    addresses: Vec<A>,
    waiting: Vec<Waker>,
    draws: Draws,
}

impl<A: Clone> Board<A> {
    fn new(meeting: &Meeting) -> Board<A> {
        let posted = Posted {
            addresses: Vec::new(),
            waiting: Vec::new(),
            draws: seeds::draws(meeting.seed, seeds::TABLES),
        };
        Board {
            expected: meeting.arguments.peers,
            state: Mutex::new(posted),
        }
    }

    async fn exchange(&self, own: A) -> Vec<A> {
        let mut posted = self.lock();
        posted.addresses.push(own);
        let is_full = posted.addresses.len() == self.expected;
        let waiting = match is_full {
            true => std::mem::take(&mut posted.waiting),
            false => Vec::new(),
        };
        drop(posted);
        waiting.into_iter().for_each(Waker::wake);
        poll_fn(|context| {
            let mut posted = self.lock();
            if posted.addresses.len() < self.expected {
                posted.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            let mut all = posted.addresses.clone();
            posted.draws.shuffle(&mut all);
            Poll::Ready(all)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Posted<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
