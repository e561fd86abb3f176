//! Where the heroes meet: what each is born with on every transport, his address board or his ends of the pipes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use krug::cores::CoreHandle;
use krug::net::{TcpListener, UdpOptions, UdpSocket, UnixListener};

use super::arguments::{Arguments, Transport as Kind};
use super::circle::Circle;
use super::course::Course;
use super::draws::Draws;
use super::lives::hold;
use super::seeds;
use crate::node::Ways;
use crate::transport::{
    Greet, Lasting, PipeEnds, PipeLink, Pipes, Socket, Sockets, Tcp, Transport, Udp, Unix,
};

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

/// A hero's way to the others, in each of his lives. It stays on his core.
pub(super) struct Door {
    /// Who sits at the other end of each port, where the harness can know it.
    neighbours: Rc<[usize]>,
    open: Box<dyn FnMut(u64) -> Opening>,
}

type Opening = Pin<Box<dyn Future<Output = Ways>>>;

impl Door {
    /// For one life, with links in whatever order they come up.
    fn once(transport: impl Transport) -> Door {
        Door::known(transport, Vec::new())
    }

    /// For one life, with links to these neighbours.
    fn known(transport: impl Transport, neighbours: Vec<usize>) -> Door {
        let mut transport = Some(transport);
        let open = move |_| -> Opening {
            let transport = transport.take();
            let transport = transport.expect("who may come back has a door for several lives");
            Box::pin(async { Ways::over(transport.connect().await) })
        };
        Door {
            neighbours: neighbours.into(),
            open: Box::new(open),
        }
    }

    /// For several lives: the listener stays, and links are made anew when they break.
    fn lasting<S: Socket>(listener: S::Listener, own: S::Address, all: Numbered<S::Address>) -> Door
    where
        S::Address: Greet,
    {
        let listener = Rc::new(listener);
        let neighbours = neighbours(&own, &all);
        let addresses = without_numbers(all);
        let open = move |life| -> Opening {
            let lasting = Lasting::<S> {
                listener: Rc::clone(&listener),
                own: own.clone(),
                addresses: addresses.clone(),
            };
            Box::pin(async move { lasting.keep(life) })
        };
        Door {
            neighbours,
            open: Box::new(open),
        }
    }

    /// For several lives: the socket stays.
    fn datagrams(socket: UdpSocket, own: SocketAddr, all: Numbered<SocketAddr>) -> Door {
        let socket = Rc::new(socket);
        let neighbours = neighbours(&own, &all);
        let addresses = without_numbers(all);
        let open = move |_| -> Opening {
            let udp = Udp {
                socket: Rc::clone(&socket),
                own,
                addresses: addresses.clone(),
            };
            Box::pin(async { Ways::over(udp.connect().await) })
        };
        Door {
            neighbours,
            open: Box::new(open),
        }
    }

    /// Who sits at the other end of each port; empty where the harness cannot know it.
    pub(super) fn neighbours(&self) -> Rc<[usize]> {
        Rc::clone(&self.neighbours)
    }

    /// The links to the others, for the life of this number.
    pub(super) async fn open(&mut self, life: u64) -> Ways {
        (self.open)(life).await
    }
}

/// Addresses, and whose they are.
type Numbered<A> = Vec<(usize, A)>;

fn neighbours<A: PartialEq>(own: &A, all: &Numbered<A>) -> Rc<[usize]> {
    let others = all.iter().filter(|(_, address)| address != own);
    others.map(|(hero, _)| *hero).collect()
}

fn without_numbers<A>(all: Numbered<A>) -> Vec<A> {
    all.into_iter().map(|(_, address)| address).collect()
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
    let must_last = meeting.arguments.fault.needs_lasting_links();
    let prepare = |hero| {
        let path = directory.join(format!("{:016x}", names.draw()));
        let board = Arc::clone(&board);
        move || async move {
            let listener = UnixListener::bind(&path).await?;
            let all = board.exchange(hero, path.clone()).await;
            Ok(match must_last {
                true => Door::lasting::<Unix>(listener, path, all),
                false => Door::once(Sockets::<Unix> {
                    listener,
                    own: path,
                    addresses: without_numbers(all),
                }),
            })
        }
    };
    hold(meeting, prepare).await
}

async fn over_tcp(meeting: Meeting) -> io::Result<Course> {
    let board = Arc::new(Board::new(&meeting));
    let must_last = meeting.arguments.fault.needs_lasting_links();
    let prepare = |hero| {
        let board = Arc::clone(&board);
        move || async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let own = listener.local_addr()?;
            let all = board.exchange(hero, own).await;
            Ok(match must_last {
                true => Door::lasting::<Tcp>(listener, own, all),
                false => Door::once(Sockets::<Tcp> {
                    listener,
                    own,
                    addresses: without_numbers(all),
                }),
            })
        }
    };
    hold(meeting, prepare).await
}

async fn over_udp(meeting: Meeting) -> io::Result<Course> {
    let board = Arc::new(Board::new(&meeting));
    let prepare = |hero| {
        let board = Arc::clone(&board);
        move || async move {
            let options = UdpOptions::new().receive_ahead(true);
            let socket = options.bind("127.0.0.1:0").await?;
            let own = socket.local_addr()?;
            let all = board.exchange(hero, own).await;
            Ok(Door::datagrams(socket, own, all))
        }
    };
    hold(meeting, prepare).await
}

async fn over_pipes(meeting: Meeting) -> io::Result<Course> {
    let mut ends = no_ends::<PipeLink>(&meeting);
    for (one, other) in pairs(&meeting) {
        let (here, there) = PipeLink::pair().await?;
        ends[one].push((other, here));
        ends[other].push((one, there));
    }
    let mut tables = seeds::draws(meeting.seed, seeds::TABLES);
    let prepare = |hero: usize| {
        let mut links = std::mem::take(&mut ends[hero]);
        tables.shuffle(&mut links);
        move || async {
            let (neighbours, links) = links.into_iter().unzip();
            Ok(Door::known(Pipes(links), neighbours))
        }
    };
    hold(meeting, prepare).await
}

/// A pipe of the executor belongs to one core: here each hero takes his ends over on his own.
async fn over_pipes_between_cores(meeting: Meeting) -> io::Result<Course> {
    let mut ends = no_ends::<PipeEnds>(&meeting);
    for (one, other) in pairs(&meeting) {
        let (here, there) = PipeEnds::pair()?;
        ends[one].push((other, here));
        ends[other].push((one, there));
    }
    let mut tables = seeds::draws(meeting.seed, seeds::TABLES);
    let prepare = |hero: usize| {
        let mut ends = std::mem::take(&mut ends[hero]);
        tables.shuffle(&mut ends);
        move || async {
            let (neighbours, ends): (_, Vec<PipeEnds>) = ends.into_iter().unzip();
            let links = ends.into_iter().map(PipeLink::over);
            let links = Pipes(links.collect::<io::Result<_>>()?);
            Ok(Door::known(links, neighbours))
        }
    };
    hold(meeting, prepare).await
}

fn no_ends<E>(meeting: &Meeting) -> Vec<Vec<(usize, E)>> {
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
    /// Whose it is, which is for the harness alone, and the address.
    addresses: Vec<(usize, A)>,
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

    async fn exchange(&self, hero: usize, own: A) -> Numbered<A> {
        self.post(hero, own);
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

    fn post(&self, hero: usize, own: A) {
        let mut posted = self.lock();
        posted.addresses.push((hero, own));
        if posted.addresses.len() == self.expected {
            let waiting = std::mem::take(&mut posted.waiting);
            drop(posted);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Posted<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
