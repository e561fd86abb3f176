//! The operations on streams and pipes, each a row of a table, and the actors that choose among them.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;

use krug::buf::{BufResult, Chunk, IoBuf};
use krug::io::Canceller;
use krug::net::{
    OwnedReadHalf, OwnedUnixReadHalf, OwnedUnixWriteHalf, OwnedWriteHalf, TcpListener, TcpStream,
    UnixStream,
};
use krug::pipe::{Receiver, Sender};
use krug_tests::Tracked;

use crate::model::{Direction, Sent};
use crate::ways::{Outcome, World};

type Buffer = Tracked;
type Pair = [Tracked; 2];

/// The end of a connection that bytes come out of.
pub(crate) trait Reads: 'static {
    async fn read(&self, buf: Buffer) -> BufResult<usize, Buffer>;
    async fn read_exact(&self, buf: Buffer) -> BufResult<(), Buffer>;
    async fn read_vectored(&self, bufs: Pair) -> BufResult<usize, Pair>;
    async fn recv(&self) -> io::Result<Chunk>;
    /// `None` if this kind of connection cannot be looked into.
    async fn peek(&self, buf: Buffer) -> Option<BufResult<usize, Buffer>>;
}

/// The end that bytes go into.
pub(crate) trait Writes: 'static {
    async fn write(&self, buf: Buffer) -> BufResult<usize, Buffer>;
    async fn write_all(&self, buf: Buffer) -> BufResult<(), Buffer>;
    async fn write_vectored(&self, bufs: Pair) -> BufResult<usize, Pair>;
    async fn write_all_vectored(&self, bufs: Pair) -> BufResult<(), Pair>;
    async fn flush(&self) -> io::Result<()>;
    /// The last thing done to it; dropping it would send the end, too, if there is no other handle.
    async fn end(&self) -> io::Result<()>;
}

macro_rules! reads {
    ($type:ty, |$self:ident, $buf:ident| $peek:expr) => {
        impl Reads for $type {
            async fn read(&self, buf: Buffer) -> BufResult<usize, Buffer> {
                <$type>::read(self, buf).await
            }
            async fn read_exact(&self, buf: Buffer) -> BufResult<(), Buffer> {
                <$type>::read_exact(self, buf).await
            }
            async fn read_vectored(&self, bufs: Pair) -> BufResult<usize, Pair> {
                <$type>::read_vectored(self, bufs).await
            }
            async fn recv(&self) -> io::Result<Chunk> {
                <$type>::recv(self).await
            }
            async fn peek(&$self, $buf: Buffer) -> Option<BufResult<usize, Buffer>> {
                $peek
            }
        }
    };
}

macro_rules! writes {
    ($type:ty, |$self:ident| $end:expr) => {
        impl Writes for $type {
            async fn write(&self, buf: Buffer) -> BufResult<usize, Buffer> {
                <$type>::write(self, buf).await
            }
            async fn write_all(&self, buf: Buffer) -> BufResult<(), Buffer> {
                <$type>::write_all(self, buf).await
            }
            async fn write_vectored(&self, bufs: Pair) -> BufResult<usize, Pair> {
                <$type>::write_vectored(self, bufs).await
            }
            async fn write_all_vectored(&self, bufs: Pair) -> BufResult<(), Pair> {
                <$type>::write_all_vectored(self, bufs).await
            }
            async fn flush(&self) -> io::Result<()> {
                <$type>::flush(self).await
            }
            async fn end(&$self) -> io::Result<()> {
                $end
            }
        }
    };
}

reads!(TcpStream, |self, buf| Some(self.peek(buf).await));
reads!(UnixStream, |self, buf| Some(self.peek(buf).await));
reads!(OwnedReadHalf, |self, buf| Some(self.peek(buf).await));
reads!(OwnedUnixReadHalf, |self, buf| Some(self.peek(buf).await));
reads!(Receiver, |self, _buf| None);
writes!(TcpStream, |self| self.shutdown(Shutdown::Write).await);
writes!(UnixStream, |self| self.shutdown(Shutdown::Write).await);
// These are dropped by their last user, which sends the end.
writes!(OwnedWriteHalf, |self| Ok(()));
writes!(OwnedUnixWriteHalf, |self| Ok(()));
writes!(Sender, |self| Ok(()));

/// What came of one operation of a reader.
enum Came {
    /// These bytes, as the next ones of the stream.
    Bytes(Vec<u8>),
    Peeked(Vec<u8>),
    End,
    /// Nothing, because it was cancelled, or there was nothing to do.
    Nothing,
    Error(io::Error),
}

/// An operation of a reader, on a stream of type `R`.
type Reading<R> = fn(Rc<R>, Rc<World>) -> Pin<Box<dyn Future<Output = Came>>>;

/// Every way to read.
fn readings<R: Reads>() -> [Reading<R>; 5] {
    [
        |stream, _| {
            Box::pin(async move {
                match stream.recv().await {
                    Ok(chunk) if chunk.is_empty() => Came::End,
                    Ok(chunk) => Came::Bytes(chunk.to_vec()),
                    Err(error) => came(Err(error), &[], 1),
                }
            })
        },
        |stream, world| {
            Box::pin(async move {
                let room = world.room();
                let len = room.capacity();
                let (result, buf) = stream.read(room).await;
                came(result, buf.bytes(), len)
            })
        },
        |stream, world| {
            Box::pin(async move {
                let room = world.room();
                let len = room.capacity();
                let (result, buf) = stream.read_exact(room).await;
                match result {
                    // What came before the end, or before it was cancelled, is in the buffer.
                    _ if !buf.bytes().is_empty() => Came::Bytes(buf.bytes().to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Came::End,
                    result => came(result.map(|()| 0), &[], len),
                }
            })
        },
        |stream, world| {
            Box::pin(async move {
                let room = [world.room(), world.room()];
                let len = room[0].capacity() + room[1].capacity();
                let (result, bufs) = stream.read_vectored(room).await;
                came(result, &[bufs[0].bytes(), bufs[1].bytes()].concat(), len)
            })
        },
        |stream, world| {
            Box::pin(async move {
                let room = world.room();
                let len = room.capacity();
                match stream.peek(room).await {
                    Some((Ok(1..), buf)) => Came::Peeked(buf.bytes().to_vec()),
                    Some((result, _)) => came(result, &[], len),
                    None => Came::Nothing,
                }
            })
        },
    ]
}

/// What a result means if there was room for `len` bytes.
fn came(result: io::Result<usize>, bytes: &[u8], len: usize) -> Came {
    match result {
        Ok(0) if len == 0 => Came::Nothing,
        Ok(0) => Came::End,
        Ok(_) => Came::Bytes(bytes.to_vec()),
        Err(error) if Canceller::was_cancelled(&error) => Came::Nothing,
        Err(error) => Came::Error(error),
    }
}

/// Reads in every way until the end has come, or for some steps if it is doomed.
async fn reader<R: Reads>(world: Rc<World>, stream: Rc<R>, direction: Rc<Direction>, steps: usize) {
    let readings = readings::<R>();
    for _ in 0..steps {
        let reading = readings[world.random.below(readings.len())](stream.clone(), world.clone());
        // Taken down in the poll in which it came: what is dropped afterwards has been seen.
        let noted = {
            let direction = direction.clone();
            async move {
                let came = reading.await;
                match &came {
                    Came::Bytes(bytes) => direction.received(bytes),
                    Came::Peeked(bytes) => direction.peeked(bytes),
                    Came::End | Came::Nothing | Came::Error(_) => {}
                }
                came
            }
        };
        match world.end(noted).await {
            Outcome::Done(Came::End) => return direction.ended(),
            Outcome::Done(Came::Error(error)) => {
                if !direction.is_doomed.get() {
                    world.complain(format!("a read failed: {error}"));
                }
                return;
            }
            Outcome::Done(_) | Outcome::Dropped | Outcome::NeverPolled => {}
        }
    }
}

/// An operation of a writer; what it tells of its message.
type Writing<W> = fn(Rc<W>, Rc<World>, Vec<u8>) -> Pin<Box<dyn Future<Output = io::Result<Sent>>>>;

/// Every way to write.
fn writings<W: Writes>() -> [Writing<W>; 4] {
    [
        |stream, world, message| {
            Box::pin(async move { stream.write(world.buffer(message)).await.0.map(Sent::First) })
        },
        |stream, world, message| {
            Box::pin(async move {
                let result = stream.write_all(world.buffer(message)).await.0;
                result.map(|()| Sent::Whole)
            })
        },
        |stream, world, message| {
            Box::pin(async move {
                let bufs = halves(&world, &message);
                stream.write_vectored(bufs).await.0.map(Sent::First)
            })
        },
        |stream, world, message| {
            Box::pin(async move {
                let bufs = halves(&world, &message);
                let result = stream.write_all_vectored(bufs).await.0;
                result.map(|()| Sent::Whole)
            })
        },
    ]
}

fn halves(world: &World, message: &[u8]) -> Pair {
    let (first, second) = message.split_at(world.random.below(message.len() + 1));
    [world.buffer(first.to_vec()), world.buffer(second.to_vec())]
}

/// Sends messages in every way, then the end.
async fn writer<W: Writes>(world: Rc<World>, stream: Rc<W>, direction: Rc<Direction>) {
    let writings = writings::<W>();
    for number in 0..world.steps {
        let message = message(number, world.message_length());
        let writing = writings[world.random.below(writings.len())];
        direction.begins(message.clone());
        let outcome = world
            .end(writing(stream.clone(), world.clone(), message))
            .await;
        let sent = match outcome {
            Outcome::NeverPolled => {
                direction.never_sent();
                continue;
            }
            Outcome::Dropped => Sent::WholeOrNothing,
            Outcome::Done(Ok(sent)) => sent,
            Outcome::Done(Err(error)) => {
                if Canceller::was_cancelled(&error) {
                    continue;
                }
                if !direction.is_doomed.get() {
                    world.complain(format!("a write failed: {error}"));
                }
                break;
            }
        };
        direction.sent(sent);
        if world.random.below(16) == 0 {
            let (stream, flushes) = (stream.clone(), world.clone());
            drop(
                world
                    .end(async move {
                        flushes.pause().await;
                        stream.flush().await
                    })
                    .await,
            );
        }
    }
    if let Err(error) = stream.end().await
        && !direction.is_doomed.get()
    {
        world.complain(format!("the end could not be sent: {error}"));
    }
}

/// Begins with its number, so that it is mistaken for no other.
fn message(number: usize, length: usize) -> Vec<u8> {
    let seed = (number as u32).wrapping_mul(0x9e37_79b9);
    let mut message: Vec<u8> = (0..length as u32)
        .map(|index| (seed.rotate_left(index % 31) ^ index.wrapping_mul(0x85eb_ca6b)) as u8)
        .collect();
    let number = (number as u32).to_le_bytes();
    let common = length.min(4);
    message[..common].copy_from_slice(&number[..common]);
    message
}

/// Both ends of one direction, until the end has come out.
async fn one_way<W: Writes, R: Reads>(world: &Rc<World>, into: Rc<W>, out: Rc<R>, what: &str) {
    let direction = Rc::new(Direction::default());
    let writer = krug::spawn(writer(world.clone(), into, direction.clone()));
    let reader = krug::spawn(reader(world.clone(), out, direction.clone(), usize::MAX));
    writer.await.expect("a writer");
    reader.await.expect("a reader");
    if let Err(complaint) = direction.check() {
        world.complain(format!("{what}: {complaint}"));
    }
}

/// Talks both ways; `close` ends both streams.
macro_rules! both_ways {
    ($world:expr, $one:expr, $other:expr, $what:expr) => {{
        let (world, what) = ($world, $what);
        match world.random.below(3) {
            0 => {
                let (one, other) = (Rc::new($one), Rc::new($other));
                let there = one_way(world, one.clone(), other.clone(), what);
                let back = one_way(world, other.clone(), one.clone(), what);
                krug::join!(there, back);
                let one = Rc::into_inner(one).expect("the futures on it are gone");
                if let Err(error) = one.close().await {
                    world.complain(format!("{what}: close failed: {error}"));
                }
            }
            1 => {
                let (one_reads, one_writes) = $one.into_split();
                let (other_reads, other_writes) = $other.into_split();
                let there = one_way(world, Rc::new(one_writes), Rc::new(other_reads), what);
                let back = one_way(world, Rc::new(other_writes), Rc::new(one_reads), what);
                krug::join!(there, back);
            }
            _ => {
                // One way at a time, through halves that come together again.
                let (one_reads, one_writes) = $one.into_split();
                let one = one_reads.reunite(one_writes).expect("they belong together");
                let (one, other) = (Rc::new(one), Rc::new($other));
                one_way(world, one.clone(), other.clone(), what).await;
                one_way(world, other, one, what).await;
            }
        }
    }};
}

pub(crate) async fn unix(world: Rc<World>) {
    let (one, other) = UnixStream::pair().expect("a pair");
    both_ways!(&world, one, other, "a Unix stream");
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    let client = TcpStream::connect(address).await.expect("a connection");
    (client, listener.accept().await.expect("its other end"))
}

pub(crate) async fn tcp(world: Rc<World>) {
    let (one, other) = tcp_pair().await;
    both_ways!(&world, one, other, "a TCP stream");
}

pub(crate) async fn pipe(world: Rc<World>) {
    // Made in any way, too: a pipe whose future was dropped leaves nothing.
    let made = world.end(krug::pipe::pipe()).await;
    let made = match made {
        Outcome::Done(Ok(ends)) => Ok(ends),
        _ => krug::pipe::pipe().await,
    };
    let (into, out) = made.expect("a pipe");
    one_way(&world, Rc::new(into), Rc::new(out), "a pipe").await;
}

/// One end goes away in the middle: what has arrived is a beginning.
pub(crate) async fn doomed(world: Rc<World>) {
    let direction = Rc::new(Direction::default());
    direction.is_doomed.set(true);
    let steps = world.random.below(world.steps);
    let (writing, reading) = match world.random.below(2) {
        0 => {
            let (one, other) = tcp_pair().await;
            let writing = krug::spawn(writer(world.clone(), Rc::new(one), direction.clone()));
            let reading = krug::spawn(reader(
                world.clone(),
                Rc::new(other),
                direction.clone(),
                steps,
            ));
            (writing, reading)
        }
        _ => {
            let (one, other) = UnixStream::pair().expect("a pair");
            let writing = krug::spawn(writer(world.clone(), Rc::new(one), direction.clone()));
            let reading = krug::spawn(reader(
                world.clone(),
                Rc::new(other),
                direction.clone(),
                steps,
            ));
            (writing, reading)
        }
    };
    world.pause().await;
    if world.random.below(4) == 0 {
        // The whole actor is aborted, whatever it waits for.
        writing.abort();
    }
    drop(writing.await);
    reading.await.expect("a reader");
    if let Err(complaint) = direction.check() {
        world.complain(format!("a connection that ended early: {complaint}"));
    }
}
