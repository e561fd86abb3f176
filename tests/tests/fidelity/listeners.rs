//! Listeners and their clients.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use krug::net::{TcpListener, TcpStream, UnixDatagram, UnixListener, UnixStream};
use krug_tests::Random;

use crate::{Kind, at_once, digest, failed, in_time, said_at_once};

/// How many listeners, and how many connections of each side, a program has.
const LISTENERS: usize = 2;
const STREAMS: usize = 3;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Listen {
        listener: usize,
    },
    Connect {
        client: usize,
        to: usize,
    },
    /// A client that is dropped before it is through.
    DropConnect {
        to: usize,
    },
    Accept {
        listener: usize,
        server: usize,
    },
    Close {
        listener: usize,
    },
    Greet {
        client: usize,
    },
    Hear {
        server: usize,
    },
    CloseClient {
        client: usize,
    },
    CloseServer {
        server: usize,
    },
}

fn draw(random: &Random) -> Step {
    let (listener, client, server) = (
        random.below(LISTENERS),
        random.below(STREAMS),
        random.below(STREAMS),
    );
    let to = random.below(LISTENERS + 2);
    match random.below(20) {
        0..=3 => Step::Listen { listener },
        4..=8 => Step::Connect { client, to },
        9 => Step::DropConnect { to },
        10..=13 => Step::Accept { listener, server },
        14 => Step::Close { listener },
        15 | 16 => Step::Greet { client },
        17 => Step::Hear { server },
        18 => Step::CloseClient { client },
        _ => Step::CloseServer { server },
    }
}

/// What both kinds of listeners need.
trait Side {
    type Listener;
    type Stream;

    async fn listen(&mut self, number: usize) -> io::Result<Self::Listener>;
    /// Connects to where a listener is or was; with higher numbers to where none has ever been.
    async fn connect(&self, to: usize) -> io::Result<Self::Stream>;
    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;
    async fn close(listener: Self::Listener) -> io::Result<usize>;
    fn write(stream: &Self::Stream) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>>;
    fn read(stream: &Self::Stream) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + '_>>;
    async fn close_stream(stream: Self::Stream) -> io::Result<()>;
}

struct Program<S: Side> {
    side: S,
    listeners: [Option<S::Listener>; LISTENERS],
    clients: [Option<S::Stream>; STREAMS],
    servers: [Option<S::Stream>; STREAMS],
}

impl<S: Side> Program<S> {
    async fn run(side: S, steps: &[Step]) -> Vec<String> {
        let mut program: Program<S> = Program {
            side,
            listeners: Default::default(),
            clients: Default::default(),
            servers: Default::default(),
        };
        let mut said = Vec::new();
        for step in steps {
            said.push(program.step(step).await);
        }
        said
    }

    async fn step(&mut self, step: &Step) -> String {
        // Nothing is dropped for something new: when it would be closed, is up to the driver.
        let is_in_use = match *step {
            Step::Listen { listener } => self.listeners[listener].is_some(),
            Step::Connect { client, .. } => self.clients[client].is_some(),
            Step::Accept { server, .. } => self.servers[server].is_some(),
            _ => false,
        };
        if is_in_use {
            return "is in use".to_owned();
        }
        match *step {
            Step::Listen { listener } => {
                let made = self.side.listen(listener).await;
                keep(&mut self.listeners[listener], Some(made))
            }
            Step::Connect { client, to } => {
                let made = at_once(self.side.connect(to)).await;
                keep(&mut self.clients[client], made)
            }
            Step::DropConnect { to } => {
                let mut connecting = Box::pin(self.side.connect(to));
                let is_begun = krug_tests::poll_once(connecting.as_mut())
                    .await
                    .is_pending();
                drop(connecting);
                format!("{is_begun}")
            }
            Step::Accept { listener, server } => match &self.listeners[listener] {
                None => "is closed".to_owned(),
                Some(it) => {
                    let made = in_time(S::accept(it)).await;
                    keep(&mut self.servers[server], made)
                }
            },
            Step::Close { listener } => match self.listeners[listener].take() {
                None => "is closed".to_owned(),
                Some(it) => said_at_once(S::close(it)).await,
            },
            Step::Greet { client } => match &self.clients[client] {
                None => "is closed".to_owned(),
                Some(it) => said_at_once(S::write(it)).await,
            },
            Step::Hear { server } => match &self.servers[server] {
                None => "is closed".to_owned(),
                Some(it) => match in_time(S::read(it)).await {
                    None => "waits".to_owned(),
                    Some(Err(error)) => failed(&error),
                    Some(Ok(bytes)) => digest(&bytes),
                },
            },
            Step::CloseClient { client } => close(&mut self.clients[client], S::close_stream).await,
            Step::CloseServer { server } => close(&mut self.servers[server], S::close_stream).await,
        }
    }
}

fn keep<T>(place: &mut Option<T>, made: Option<io::Result<T>>) -> String {
    match made {
        None => "waits".to_owned(),
        Some(Err(error)) => failed(&error),
        Some(Ok(made)) => {
            *place = Some(made);
            "is there".to_owned()
        }
    }
}

async fn close<T, F: Future<Output = io::Result<()>>>(
    place: &mut Option<T>,
    close: impl Fn(T) -> F,
) -> String {
    match place.take() {
        None => "is closed".to_owned(),
        Some(it) => said_at_once(close(it)).await,
    }
}

/// A port that nobody else on the machine gets: a socket has it that does not listen. Where it is shared (`SO_REUSEADDR`), as
/// listeners do, there may be one beside it; the kernel gives it neither to who wants any port nor to who connects.
struct Port {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Port {
    fn hold() -> Port {
        // SAFETY: makes a descriptor, which is new and ours.
        let held = unsafe {
            let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
            let number = libc::socket(libc::AF_INET, kind, 0);
            assert!(number >= 0, "a socket");
            OwnedFd::from_raw_fd(number)
        };
        let (yes, length) = (1, size_of::<i32>() as libc::socklen_t);
        let mut name = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be(),
            },
            sin_zero: [0; 8],
        };
        let mut size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        // SAFETY: all pointers are to locals of the sizes that are named.
        let done = unsafe {
            let (fd, level) = (held.as_raw_fd(), libc::SOL_SOCKET);
            let yes = (&raw const yes).cast();
            [
                libc::setsockopt(fd, level, libc::SO_REUSEADDR, yes, length),
                libc::bind(fd, (&raw const name).cast(), size),
                libc::getsockname(fd, (&raw mut name).cast(), &raw mut size),
            ]
        };
        assert_eq!(done, [0; 3], "a port");
        Port {
            address: (Ipv4Addr::LOCALHOST, u16::from_be(name.sin_port)).into(),
            _held: held,
        }
    }
}

/// Where the listeners of a program are, and, last, where none ever is. A simulation has the same ports.
struct TcpSide {
    ports: [Port; LISTENERS + 1],
}

impl Side for TcpSide {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn listen(&mut self, number: usize) -> io::Result<TcpListener> {
        TcpListener::bind(self.ports[number].address).await
    }

    async fn connect(&self, to: usize) -> io::Result<TcpStream> {
        TcpStream::connect(self.ports[to.min(LISTENERS)].address).await
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        listener.accept().await
    }

    async fn close(listener: TcpListener) -> io::Result<usize> {
        let left = listener.close().await?;
        let count = left.len();
        for stream in left {
            stream.close().await?;
        }
        Ok(count)
    }

    fn write(stream: &TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>> {
        Box::pin(async { stream.write_all("hello").await.0 })
    }

    fn read(stream: &TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + '_>> {
        Box::pin(async {
            let (result, bytes) = stream.read(Vec::with_capacity(5)).await;
            result.map(|_| bytes)
        })
    }

    async fn close_stream(stream: TcpStream) -> io::Result<()> {
        stream.close().await
    }
}

struct UnixSide {
    folder: PathBuf,
    /// Has a path, and is no listener.
    _other: UnixDatagram,
}

impl Side for UnixSide {
    type Listener = UnixListener;
    type Stream = UnixStream;

    async fn listen(&mut self, number: usize) -> io::Result<UnixListener> {
        UnixListener::bind(self.folder.join(number.to_string())).await
    }

    async fn connect(&self, to: usize) -> io::Result<UnixStream> {
        UnixStream::connect(self.folder.join(to.to_string())).await
    }

    async fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
        listener.accept().await
    }

    async fn close(listener: UnixListener) -> io::Result<usize> {
        let left = listener.close().await?;
        let count = left.len();
        for stream in left {
            stream.close().await?;
        }
        Ok(count)
    }

    fn write(stream: &UnixStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>> {
        Box::pin(async { stream.write_all("hello").await.0 })
    }

    fn read(stream: &UnixStream) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + '_>> {
        Box::pin(async {
            let (result, bytes) = stream.read(Vec::with_capacity(5)).await;
            result.map(|_| bytes)
        })
    }

    async fn close_stream(stream: UnixStream) -> io::Result<()> {
        stream.close().await
    }
}

pub(crate) struct Tcp;

impl Kind for Tcp {
    const NAME: &'static str = "TCP listener";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], _: &Path) -> Vec<String> {
        let ports = std::array::from_fn(|_| Port::hold());
        Program::run(TcpSide { ports }, steps).await
    }
}

pub(crate) struct Unix;

impl Kind for Unix {
    const NAME: &'static str = "Unix listener";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], folder: &Path) -> Vec<String> {
        let other = UnixDatagram::bind(folder.join(LISTENERS.to_string())).await;
        let side = UnixSide {
            folder: folder.to_owned(),
            _other: other.expect("a socket"),
        };
        Program::run(side, steps).await
    }
}
