//! Connections and pipes.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::path::Path;

use krug::buf::IoBuf;
use krug::io::Canceller;
use krug::net::{TcpListener, TcpStream, UnixStream};
use krug::pipe;
use krug_tests::Random;

use crate::{Kind, at_once, digest, failed, in_time, said, said_at_once};

/// How many bytes may be on their way, so that a write never has to wait.
const UNDER_WAY_MAX: usize = 12_000;
/// More than fits on the way: its writer waits for its reader.
const MORE_THAN_FITS: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write {
        end: usize,
        len: usize,
        way: WriteWay,
    },
    /// Reads until there is so much, nothing is under way any more, or the end.
    Read {
        end: usize,
        len: usize,
        way: ReadWay,
    },
    ReadExact {
        end: usize,
        len: usize,
    },
    Peek {
        end: usize,
        len: usize,
    },
    /// A read that is dropped while it waits.
    DropRead {
        end: usize,
    },
    /// A read that is cancelled while it waits.
    CancelRead {
        end: usize,
    },
    /// One side writes much, the other reads it.
    Transfer {
        end: usize,
    },
    Shutdown {
        end: usize,
        how: Shutdown,
    },
    Close {
        end: usize,
    },
    Names {
        end: usize,
    },
    TakeError {
        end: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum WriteWay {
    Once,
    All,
    Vectored,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadWay {
    Plain,
    Vectored,
    Receive,
}

fn draw(random: &Random) -> Step {
    let end = random.below(2);
    let len = [0, 1, 7, 100, 1460, 4096, 5000][random.below(7)];
    match random.below(24) {
        0..=6 => Step::Write {
            end,
            len,
            way: [WriteWay::Once, WriteWay::All, WriteWay::Vectored][random.below(3)],
        },
        7..=12 => Step::Read {
            end,
            len: len.max(1),
            way: [ReadWay::Plain, ReadWay::Vectored, ReadWay::Receive][random.below(3)],
        },
        13 => Step::ReadExact { end, len },
        14 => Step::Peek { end, len },
        15 => Step::DropRead { end },
        16 => Step::CancelRead { end },
        17 => Step::Transfer { end },
        18..=20 => Step::Shutdown {
            end,
            how: [
                Shutdown::Write,
                Shutdown::Write,
                Shutdown::Read,
                Shutdown::Both,
            ][random.below(4)],
        },
        21 | 22 => Step::Close { end },
        _ => match random.below(2) {
            0 => Step::Names { end },
            _ => Step::TakeError { end },
        },
    }
}

/// One end of what is tested.
enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
    Reader(pipe::Receiver),
    Writer(pipe::Sender),
}

/// Calls a method that sockets and one end of a pipe have.
macro_rules! each {
    ($end:expr, $pipe:ident, $stream:ident => $call:expr) => {
        match $end {
            End::Tcp($stream) => $call,
            End::Unix($stream) => $call,
            End::$pipe($stream) => $call,
            _ => return "has no such direction".to_owned(),
        }
    };
}

/// Calls a method that only sockets have.
macro_rules! socket {
    ($end:expr, $stream:ident => $call:expr) => {
        match $end {
            End::Tcp($stream) => $call,
            End::Unix($stream) => $call,
            _ => return "is no socket".to_owned(),
        }
    };
}

/// Both ends, and how many bytes are on their way to each of them.
struct Pair {
    ends: [Option<End>; 2],
    coming: [usize; 2],
    /// Which ends receive ahead: what waits there may be in the kernel or not, which makes a difference when they are closed.
    is_ahead: [bool; 2],
    /// Some direction has ended.
    is_shut: bool,
    written: Random,
}

impl Pair {
    fn new(one: End, other: End) -> Pair {
        Pair {
            ends: [Some(one), Some(other)],
            coming: [0, 0],
            is_ahead: [false, false],
            is_shut: false,
            written: Random::of(1),
        }
    }

    async fn step(&mut self, step: &Step) -> String {
        match *step {
            Step::Write { end, len, way } => self.write(end, len, way).await,
            Step::Read { end, len, way } => self.read(end, len, way).await,
            Step::ReadExact { end, len } => self.read_exact(end, len).await,
            Step::Peek { end, len } => self.peek(end, len).await,
            Step::DropRead { end } => self.drop_read(end).await,
            Step::CancelRead { end } => self.cancel_read(end).await,
            Step::Transfer { end } => self.transfer(end).await,
            Step::Shutdown { end, how } => self.shut_down(end, how).await,
            Step::Close { end } => self.close(end).await,
            Step::Names { end } => self.names(end),
            Step::TakeError { end } => self.take_error(end),
        }
    }

    async fn write(&mut self, end: usize, len: usize, way: WriteWay) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        if self.coming[1 - end] + len > UNDER_WAY_MAX {
            return "is too much".to_owned();
        }
        let bytes = self.written.bytes(len);
        let written = each!(stream, Writer, stream => match way {
            WriteWay::Once => at_once(stream.write(bytes)).await.map(|it| it.0),
            WriteWay::All => at_once(stream.write_all(bytes)).await.map(|it| it.0.map(|()| len)),
            WriteWay::Vectored => {
                let second = bytes[len / 2..].to_vec();
                let parts = [bytes.slice(..len / 2), second.slice(..)];
                at_once(stream.write_all_vectored(parts)).await.map(|it| it.0.map(|()| len))
            }
        });
        let Some(result) = written else {
            return "waits".to_owned();
        };
        if let Ok(count) = result {
            self.coming[1 - end] += count;
        }
        said(result)
    }

    async fn read(&mut self, end: usize, len: usize, way: ReadWay) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        let wanted = match self.coming[end] {
            0 => len,
            coming => len.min(coming),
        };
        self.is_ahead[end] |= matches!(way, ReadWay::Receive);
        let mut got = Vec::new();
        let end_of_it = loop {
            let room = wanted - got.len();
            if room == 0 {
                break "that was wanted".to_owned();
            }
            let read = each!(stream, Reader, stream => match way {
                ReadWay::Plain => in_time(stream.read(Vec::with_capacity(room))).await,
                ReadWay::Vectored => {
                    let parts = [Vec::with_capacity(room / 2), Vec::with_capacity(room - room / 2)];
                    let read = in_time(stream.read_vectored(parts)).await;
                    read.map(|(result, parts)| (result, parts.concat()))
                }
                ReadWay::Receive => in_time(stream.recv()).await.map(|received| match received {
                    Ok(chunk) => (Ok(chunk.len()), chunk.to_vec()),
                    Err(error) => (Err(error), Vec::new()),
                }),
            });
            match read {
                None => break "waits".to_owned(),
                Some((Err(error), _)) => break failed(&error),
                Some((Ok(0), _)) => break "the end".to_owned(),
                Some((Ok(_), bytes)) => got.extend(bytes),
            }
            // A chunk may be longer than what was wanted.
            if matches!(way, ReadWay::Receive) && got.len() >= wanted {
                return self.received_all(end, got).await;
            }
        };
        self.coming[end] = self.coming[end].saturating_sub(got.len());
        format!("{}, {end_of_it}", digest(&got))
    }

    /// How much one receive brings is open: all that is under way is the same everywhere.
    async fn received_all(&mut self, end: usize, mut got: Vec<u8>) -> String {
        while got.len() < self.coming[end] {
            let Some(stream) = &self.ends[end] else {
                break;
            };
            let received = each!(stream, Reader, stream => in_time(stream.recv()).await);
            match received {
                Some(Ok(chunk)) if !chunk.is_empty() => got.extend_from_slice(&chunk),
                _ => break,
            }
        }
        self.coming[end] = self.coming[end].saturating_sub(got.len());
        format!("{}, all of it", digest(&got))
    }

    async fn read_exact(&mut self, end: usize, len: usize) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        let read = each!(stream, Reader, stream => in_time(stream.read_exact(Vec::with_capacity(len))).await);
        let Some((result, bytes)) = read else {
            // What it had read comes again.
            return "waits".to_owned();
        };
        self.coming[end] = self.coming[end].saturating_sub(bytes.len());
        format!("{}, {}", digest(&bytes), said(result))
    }

    async fn peek(&mut self, end: usize, len: usize) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        let peeked = socket!(stream, stream => in_time(stream.peek(Vec::with_capacity(len))).await);
        match peeked {
            None => "waits".to_owned(),
            Some((Err(error), _)) => failed(&error),
            // The first byte is there if any is.
            Some((Ok(count), bytes)) => format!("{} {:?}", count > 0, bytes.first()),
        }
    }

    async fn drop_read(&mut self, end: usize) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        if self.coming[end] > 0 {
            return "has something to read".to_owned();
        }
        let read = each!(stream, Reader, stream => in_time(stream.read(vec![0; 9])).await);
        read.map_or("waits".to_owned(), |read| said(read.0))
    }

    async fn cancel_read(&mut self, end: usize) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        if self.coming[end] > 0 {
            return "has something to read".to_owned();
        }
        let canceller = Canceller::new();
        let read = each!(stream, Reader, stream => {
            let mut read = Box::pin(canceller.scope(stream.read(vec![0; 9])));
            match in_time(read.as_mut()).await {
                Some(read) => read.0,
                None => {
                    canceller.cancel();
                    read.await.0
                }
            }
        });
        match read {
            Err(error) if Canceller::was_cancelled(&error) => "was cancelled".to_owned(),
            read => said(read),
        }
    }

    async fn transfer(&mut self, end: usize) -> String {
        let (Some(from), Some(to)) = (&self.ends[end], &self.ends[1 - end]) else {
            return "is closed".to_owned();
        };
        if self.coming[1 - end] > 0 || self.is_shut {
            return "has something to read, or has ended".to_owned();
        }
        let bytes = self.written.bytes(MORE_THAN_FITS);
        let expected = digest(&bytes);
        let write = async { each!(from, Writer, from => said(from.write_all(bytes).await.0)) };
        let read = async {
            each!(to, Reader, to => {
                let (result, got) = to.read_exact(Vec::with_capacity(MORE_THAN_FITS)).await;
                match result {
                    Ok(()) => format!("{}", digest(&got) == expected),
                    Err(error) => failed(&error),
                }
            })
        };
        match at_once(async { krug::join!(write, read) }).await {
            Some((written, read)) => format!("{written}, {read}"),
            None => "waits".to_owned(),
        }
    }

    async fn shut_down(&mut self, end: usize, how: Shutdown) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        self.is_shut = true;
        socket!(stream, stream => said_at_once(stream.shutdown(how)).await)
    }

    async fn close(&mut self, end: usize) -> String {
        if self.is_ahead[end] && self.coming[end] > 0 {
            return "may have something to read".to_owned();
        }
        let closing: std::pin::Pin<Box<dyn Future<Output = io::Result<()>>>> =
            match self.ends[end].take() {
                None => return "is closed".to_owned(),
                Some(End::Tcp(stream)) => Box::pin(stream.close()),
                Some(End::Unix(stream)) => Box::pin(stream.close()),
                Some(End::Reader(stream)) => Box::pin(stream.close()),
                Some(End::Writer(stream)) => Box::pin(stream.close()),
            };
        said_at_once(closing).await
    }

    fn names(&self, end: usize) -> String {
        match (&self.ends[end], &self.ends[1 - end]) {
            (Some(End::Tcp(stream)), Some(End::Tcp(other))) => {
                let own = stream.local_addr().map(|address| address.ip());
                let peer = stream
                    .peer_addr()
                    .map(|peer| other.local_addr().ok() == Some(peer));
                format!("{}, {}", said(own), said(peer))
            }
            (Some(End::Tcp(stream)), None) => said(stream.peer_addr().map(drop)),
            (Some(End::Unix(stream)), _) => said(stream.peer_path()),
            _ => "has no name".to_owned(),
        }
    }

    fn take_error(&self, end: usize) -> String {
        let Some(stream) = &self.ends[end] else {
            return "is closed".to_owned();
        };
        let error = socket!(stream, stream => stream.take_error());
        said(error.map(|error| error.map(|error| failed(&error))))
    }
}

async fn run(mut pair: Pair, steps: &[Step]) -> Vec<String> {
    let mut said = Vec::new();
    for step in steps {
        said.push(pair.step(step).await);
        // A driver that has to look takes in what has come: a read that was given up may have it before the stream is closed.
        krug_tests::turns(1).await;
    }
    said
}

pub(crate) struct Tcp;

impl Kind for Tcp {
    const NAME: &'static str = "TCP stream";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], _: &Path) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let (one, other) = krug::join!(TcpStream::connect(address), listener.accept());
        let (one, other) = (one.expect("a client"), other.expect("a server"));
        // What is written is on its way at once.
        for end in [&one, &other] {
            end.set_nodelay(true).expect("an option");
        }
        run(Pair::new(End::Tcp(one), End::Tcp(other)), steps).await
    }
}

pub(crate) struct Unix;

impl Kind for Unix {
    const NAME: &'static str = "Unix stream";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], _: &Path) -> Vec<String> {
        let (one, other) = UnixStream::pair().expect("a pair");
        run(Pair::new(End::Unix(one), End::Unix(other)), steps).await
    }
}

pub(crate) struct Pipe;

impl Kind for Pipe {
    const NAME: &'static str = "pipe";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], _: &Path) -> Vec<String> {
        let (sender, receiver) = pipe::pipe().await.expect("a pipe");
        run(Pair::new(End::Writer(sender), End::Reader(receiver)), steps).await
    }
}
