//! Datagrams.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use krug::net::{UdpSocket, UnixDatagram};
use krug_tests::Random;

use crate::{Kind, at_once, digest, failed, in_time, said, said_at_once};

/// How many sockets a program has.
const SOCKETS: usize = 3;
/// How many datagrams may wait at one of them, so that a send never has to.
const WAITING_MAX: usize = 6;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bind {
        socket: usize,
    },
    Connect {
        socket: usize,
        to: usize,
    },
    Send {
        socket: usize,
        len: usize,
    },
    SendTo {
        socket: usize,
        to: usize,
        len: usize,
    },
    Receive {
        socket: usize,
        room: usize,
    },
    ReceiveFrom {
        socket: usize,
        room: usize,
    },
    ReceiveMessage {
        socket: usize,
        room: usize,
    },
    Peek {
        socket: usize,
        room: usize,
    },
    TakeError {
        socket: usize,
    },
    Names {
        socket: usize,
    },
    Close {
        socket: usize,
    },
}

fn draw(random: &Random) -> Step {
    let (socket, to) = (random.below(SOCKETS), random.below(SOCKETS + 1));
    let len = [0, 1, 30, 1000, 9000][random.below(5)];
    let room = [0, 1, 29, 100, 2000, 10_000][random.below(6)];
    match random.below(22) {
        0..=3 => Step::Bind { socket },
        4 | 5 => Step::Connect { socket, to },
        6..=8 => Step::Send { socket, len },
        9..=12 => Step::SendTo { socket, to, len },
        13 | 14 => Step::Receive { socket, room },
        15 | 16 => Step::ReceiveFrom { socket, room },
        17 => Step::ReceiveMessage { socket, room },
        18 => Step::Peek { socket, room },
        19 => Step::TakeError { socket },
        20 => Step::Names { socket },
        _ => Step::Close { socket },
    }
}

/// What is the same for both kinds of sockets. `$names` says where a socket is, `$whose` whose an address is.
macro_rules! steps {
    ($this:ident, $step:ident) => {
        match *$step {
            Step::Bind { socket } => $this.bind(socket).await,
            Step::Close { socket } => match $this.sockets[socket].take() {
                Some(it) => said_at_once(it.close()).await,
                None => "is closed".to_owned(),
            },
            Step::Names { socket } => $this.names(socket),
            Step::Connect { socket, to } => {
                let address = $this.address(to);
                match (&$this.sockets[socket], address) {
                    (Some(it), Some(address)) => said_at_once(it.connect(address)).await,
                    _ => "is closed".to_owned(),
                }
            }
            Step::SendTo { socket, to, len } => {
                let (bytes, address) = ($this.written.bytes(len), $this.address(to));
                match (&$this.sockets[socket], address) {
                    (Some(it), Some(address)) if $this.sent < WAITING_MAX => {
                        let sent = at_once(it.send_to(bytes, address)).await;
                        $this.sent += 1;
                        sent.map_or("waits".to_owned(), |sent| said(sent.0))
                    }
                    (Some(_), Some(_)) => "is too much".to_owned(),
                    _ => "is closed".to_owned(),
                }
            }
            Step::Send { socket, len } => {
                let bytes = $this.written.bytes(len);
                match &$this.sockets[socket] {
                    Some(it) if $this.sent < WAITING_MAX => {
                        $this.sent += 1;
                        let sent = at_once(it.send(bytes)).await;
                        sent.map_or("waits".to_owned(), |sent| said(sent.0))
                    }
                    Some(_) => "is too much".to_owned(),
                    None => "is closed".to_owned(),
                }
            }
            Step::Receive { socket, room } => {
                let Some(it) = &$this.sockets[socket] else {
                    return "is closed".to_owned();
                };
                match in_time(it.recv(Vec::with_capacity(room))).await {
                    None => "waits".to_owned(),
                    Some((Err(error), _)) => failed(&error),
                    Some((Ok(count), bytes)) => {
                        $this.sent = $this.sent.saturating_sub(1);
                        format!("{count}: {}", digest(&bytes))
                    }
                }
            }
            Step::ReceiveFrom { socket, room } => {
                let Some(it) = &$this.sockets[socket] else {
                    return "is closed".to_owned();
                };
                match in_time(it.recv_from(Vec::with_capacity(room))).await {
                    None => "waits".to_owned(),
                    Some((Err(error), _)) => failed(&error),
                    Some((Ok((count, from)), bytes)) => {
                        $this.sent = $this.sent.saturating_sub(1);
                        format!("{count}: {} from {}", digest(&bytes), $this.whose(&from))
                    }
                }
            }
            Step::ReceiveMessage { socket, room } => {
                let Some(it) = &$this.sockets[socket] else {
                    return "is closed".to_owned();
                };
                match in_time(it.recv_message(Vec::with_capacity(room))).await {
                    None => "waits".to_owned(),
                    Some((Err(error), _)) => failed(&error),
                    Some((Ok(message), bytes)) => {
                        $this.sent = $this.sent.saturating_sub(1);
                        let (count, length) = (message.count, message.length);
                        format!("{count} of {length}: {}", digest(&bytes))
                    }
                }
            }
            Step::Peek { socket, room } => {
                let Some(it) = &$this.sockets[socket] else {
                    return "is closed".to_owned();
                };
                match in_time(it.peek(Vec::with_capacity(room))).await {
                    None => "waits".to_owned(),
                    Some((Err(error), _)) => failed(&error),
                    Some((Ok(count), bytes)) => format!("{count}: {}", digest(&bytes)),
                }
            }
            Step::TakeError { socket } => match &$this.sockets[socket] {
                None => "is closed".to_owned(),
                Some(it) => said(it.take_error().map(|it| it.map(|error| failed(&error)))),
            },
        }
    };
}

struct UdpProgram {
    sockets: [Option<UdpSocket>; SOCKETS],
    /// Where each was last.
    addresses: [Option<SocketAddr>; SOCKETS],
    written: Random,
    /// Datagrams that may be waiting somewhere.
    sent: usize,
}

impl UdpProgram {
    async fn step(&mut self, step: &Step) -> String {
        steps!(self, step)
    }

    /// At the port where it was before, if it was closed in between.
    async fn bind(&mut self, socket: usize) -> String {
        let wanted = self.addresses[socket];
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        match UdpSocket::bind(wanted.unwrap_or(any)).await {
            Err(error) => failed(&error),
            Ok(bound) => {
                self.addresses[socket] = bound.local_addr().ok();
                self.sockets[socket] = Some(bound);
                "bound".to_owned()
            }
        }
    }

    /// Of a socket, also of one that is closed by now. Behind the last one: where no route leads.
    fn address(&self, to: usize) -> Option<SocketAddr> {
        match self.addresses.get(to) {
            Some(address) => *address,
            None => Some(SocketAddr::from(([255, 255, 255, 255], 9))),
        }
    }

    fn whose(&self, address: &SocketAddr) -> String {
        let owner = self
            .addresses
            .iter()
            .position(|known| *known == Some(*address));
        format!("{owner:?}")
    }

    fn names(&self, socket: usize) -> String {
        let Some(it) = &self.sockets[socket] else {
            return "is closed".to_owned();
        };
        let own = it.local_addr().map(|address| self.whose(&address));
        let peer = it.peer_addr().map(|address| self.whose(&address));
        format!("{}, {}", said(own), said(peer))
    }
}

struct UnixProgram {
    folder: PathBuf,
    sockets: [Option<UnixDatagram>; SOCKETS],
    written: Random,
    sent: usize,
}

impl UnixProgram {
    async fn step(&mut self, step: &Step) -> String {
        steps!(self, step)
    }

    fn path(&self, socket: usize) -> PathBuf {
        self.folder.join(socket.to_string())
    }

    async fn bind(&mut self, socket: usize) -> String {
        // The last one has no name.
        let made = match socket == SOCKETS - 1 {
            true => UnixDatagram::unbound().await,
            false => UnixDatagram::bind(self.path(socket)).await,
        };
        match made {
            Err(error) => failed(&error),
            Ok(bound) => {
                self.sockets[socket] = Some(bound);
                "bound".to_owned()
            }
        }
    }

    fn address(&self, to: usize) -> Option<PathBuf> {
        Some(self.path(to))
    }

    fn whose(&self, path: &Option<Box<Path>>) -> String {
        let name = path.as_ref().and_then(|path| path.file_name());
        format!("{name:?}")
    }

    fn names(&self, socket: usize) -> String {
        let Some(it) = &self.sockets[socket] else {
            return "is closed".to_owned();
        };
        let own = it.local_path().map(|path| self.whose(&path));
        let peer = it.peer_path().map(|path| self.whose(&path));
        format!("{}, {}", said(own), said(peer))
    }
}

pub(crate) struct Udp;

impl Kind for Udp {
    const NAME: &'static str = "UDP socket";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], _: &Path) -> Vec<String> {
        let mut program = UdpProgram {
            sockets: Default::default(),
            addresses: Default::default(),
            written: Random::of(1),
            sent: 0,
        };
        let mut said = Vec::new();
        for step in steps {
            said.push(program.step(step).await);
        }
        said
    }
}

pub(crate) struct Unix;

impl Kind for Unix {
    const NAME: &'static str = "Unix datagrams";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], folder: &Path) -> Vec<String> {
        let mut program = UnixProgram {
            folder: folder.to_owned(),
            sockets: Default::default(),
            written: Random::of(1),
            sent: 0,
        };
        let mut said = Vec::new();
        for step in steps {
            said.push(program.step(step).await);
        }
        said
    }
}
