//! Receives that are given up as soon as they are started, again and again, on connections on which nothing comes; and after all of it a message
//! comes on each, and must arrive. On a stream of ours a read that was dropped stays in flight, and the next one takes it over: a cancel is
//! sent only when the stream is closed, which is the last of the courses.

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use krug::runtime::{Driver, Metrics, Runtime};
use tokio::io::AsyncReadExt;

use super::course::{Contestant, Course, Done, compare};
use crate::floor;
use crate::harness::machine::Machine;
use crate::options::Options;

/// How many connections there are.
const CONNECTIONS: usize = 64;
const MESSAGE: &[u8] = b"what comes in the end";
const RESOLUTION: f64 = 0.04;
/// What was cancelled has come to its end by then.
const SETTLE: Duration = Duration::from_secs(5);

static COURSES: [Course; 3] = [
    Course {
        scenario: "cancels",
        what: "reads into a buffer, started and dropped",
        wanted: "one read in flight for each of 64 connections afterwards, at most",
        count: |operations| operations / 2,
        resolution: RESOLUTION,
        contestants: &[
            Contestant {
                name: "krug-uring",
                run: |operations| krug_drops(Driver::Uring, operations, read_and_drop),
            },
            Contestant {
                name: "krug-epoll",
                run: |operations| krug_drops(Driver::Epoll, operations, read_and_drop),
            },
            Contestant {
                name: "tokio",
                run: |operations| tokio_drops(operations, true),
            },
            Contestant {
                name: "floor",
                run: floor_drops,
            },
        ],
    },
    Course {
        scenario: "cancels",
        what: "recv without a buffer, started and dropped",
        wanted: "the same",
        count: |operations| operations / 2,
        resolution: RESOLUTION,
        contestants: &[
            Contestant {
                name: "krug-uring",
                run: |operations| krug_drops(Driver::Uring, operations, recv_and_drop),
            },
            Contestant {
                name: "krug-epoll",
                run: |operations| krug_drops(Driver::Epoll, operations, recv_and_drop),
            },
            Contestant {
                name: "tokio",
                run: |operations| tokio_drops(operations, false),
            },
        ],
    },
    Course {
        scenario: "cancels",
        what: "a pair of Unix sockets made, a read started on one, both dropped",
        wanted: "nothing in flight afterwards",
        count: |operations| operations / 20,
        resolution: RESOLUTION,
        contestants: &[
            Contestant {
                name: "krug-uring",
                run: |operations| krug_closes(Driver::Uring, operations),
            },
            Contestant {
                name: "krug-epoll",
                run: |operations| krug_closes(Driver::Epoll, operations),
            },
            Contestant {
                name: "tokio",
                run: tokio_closes,
            },
        ],
    },
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    COURSES
        .iter()
        .try_for_each(|course| compare(options, machine, course))
}

/// Connections: our ends, and those of whoever is silent until the end.
fn connections() -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut streams = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        streams.1.push(TcpStream::connect(listener.local_addr()?)?);
        streams.0.push(listener.accept()?.0);
    }
    Ok(streams)
}

/// How often each connection does it.
fn each(operations: u64) -> u64 {
    operations.div_ceil(CONNECTIONS as u64)
}

fn came_unasked() -> io::Error {
    io::Error::other("something has come that nobody sent")
}

fn check(message: &[u8]) -> io::Result<()> {
    if message == MESSAGE {
        Ok(())
    } else {
        Err(io::Error::other("something else has come"))
    }
}

async fn read_and_drop(stream: &krug::net::TcpStream) -> io::Result<()> {
    krug::select! {
        biased;
        _ = stream.read(Vec::with_capacity(MESSAGE.len())) => Err(came_unasked()),
        () = krug::task::yield_now() => Ok(()),
    }
}

async fn recv_and_drop(stream: &krug::net::TcpStream) -> io::Result<()> {
    krug::select! {
        biased;
        _ = stream.recv() => Err(came_unasked()),
        () = krug::task::yield_now() => Ok(()),
    }
}

fn krug_drops(
    driver: Driver,
    operations: u64,
    start_and_drop: impl AsyncFn(&krug::net::TcpStream) -> io::Result<()> + Copy + 'static,
) -> io::Result<Done> {
    let (streams, mut peers) = connections()?;
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.block_on(async {
        let before = runtime.metrics();
        let begin = Instant::now();
        let mut tasks = Vec::with_capacity(CONNECTIONS);
        for stream in streams {
            let stream = krug::net::TcpStream::from_std(stream)?;
            tasks.push(krug::spawn(async move {
                for _ in 0..each(operations) {
                    start_and_drop(&stream).await?;
                }
                io::Result::Ok(stream)
            }));
        }
        let mut idle = Vec::with_capacity(CONNECTIONS);
        for task in tasks {
            idle.push(task.await.map_err(io::Error::other)??);
        }
        let took = begin.elapsed();
        let right_after = runtime.metrics();
        let later = settled(&runtime, CONNECTIONS).await;
        for (stream, peer) in idle.iter().zip(&mut peers) {
            peer.write_all(MESSAGE)?;
            let (read, message) = stream.read_exact(vec![0; MESSAGE.len()]).await;
            read?;
            check(&message)?;
        }
        let operations = each(operations) * CONNECTIONS as u64;
        Ok(done(operations, took, [&before, &right_after], later))
    })
}

fn krug_closes(driver: Driver, operations: u64) -> io::Result<Done> {
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.block_on(async {
        let before = runtime.metrics();
        let begin = Instant::now();
        let close_each = || async move {
            for _ in 0..each(operations) {
                let (stream, _silent) = krug::net::UnixStream::pair()?;
                krug::select! {
                    biased;
                    _ = stream.read(Vec::with_capacity(MESSAGE.len())) => return Err(came_unasked()),
                    () = krug::task::yield_now() => {}
                }
            }
            Ok(())
        };
        let tasks: Vec<_> = (0..CONNECTIONS).map(|_| krug::spawn(close_each())).collect();
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        let took = begin.elapsed();
        let right_after = runtime.metrics();
        let later = settled(&runtime, 0).await;
        let operations = each(operations) * CONNECTIONS as u64;
        Ok(done(operations, took, [&before, &right_after], later))
    })
}

/// How many operations are in flight when no more than so many are, or when enough time has passed for that.
async fn settled(runtime: &Runtime, wanted: usize) -> usize {
    let end = Instant::now() + SETTLE;
    loop {
        let alive = runtime.metrics().operations_alive;
        if alive <= wanted || Instant::now() > end {
            return alive;
        }
        krug::time::sleep(Duration::from_millis(1)).await;
    }
}

fn done(operations: u64, took: Duration, [before, after]: [&Metrics; 2], later: usize) -> Done {
    let share = |count: u64| count as f64 / operations as f64;
    Done {
        operations,
        took,
        details: vec![
            (
                "operations_each",
                share(after.operations - before.operations),
            ),
            ("cancels_each", share(after.cancels - before.cancels)),
            ("enters_each", share(after.enters - before.enters)),
            ("in_flight_right_after", after.operations_alive as f64),
            (LATER, later as f64),
        ],
    }
}

const LATER: &str = "in_flight_later";

/// Started: it waits, and somebody would wake the task.
async fn is_waiting<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

async fn tokio_read_and_drop(stream: &mut tokio::net::TcpStream) -> io::Result<()> {
    let mut buffer = [0; MESSAGE.len()];
    let mut read = pin!(stream.read(&mut buffer));
    // As often as it is polled beside another future that takes a turn.
    let waits = is_waiting(read.as_mut()).await;
    tokio::task::yield_now().await;
    match waits && is_waiting(read.as_mut()).await {
        true => Ok(()),
        false => Err(came_unasked()),
    }
}

async fn tokio_readable_and_drop(stream: &mut tokio::net::TcpStream) -> io::Result<()> {
    let mut readable = pin!(stream.readable());
    // Once after it was made, a socket passes for readable until a read has found nothing.
    if !is_waiting(readable.as_mut()).await && stream.try_read(&mut [0]).is_ok() {
        return Err(came_unasked());
    }
    tokio::task::yield_now().await;
    Ok(())
}

fn tokio_drops(operations: u64, into_buffer: bool) -> io::Result<Done> {
    let (streams, mut peers) = connections()?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().build()?.block_on(async {
        let begin = Instant::now();
        let mut tasks = Vec::with_capacity(CONNECTIONS);
        for stream in streams {
            stream.set_nonblocking(true)?;
            let mut stream = tokio::net::TcpStream::from_std(stream)?;
            tasks.push(tokio::spawn(async move {
                for _ in 0..each(operations) {
                    if into_buffer {
                        tokio_read_and_drop(&mut stream).await?;
                    } else {
                        tokio_readable_and_drop(&mut stream).await?;
                    }
                }
                io::Result::Ok(stream)
            }));
        }
        let mut idle = Vec::with_capacity(CONNECTIONS);
        for task in tasks {
            idle.push(task.await.map_err(io::Error::other)??);
        }
        let took = begin.elapsed();
        for (stream, peer) in idle.iter_mut().zip(&mut peers) {
            peer.write_all(MESSAGE)?;
            let mut message = [0; MESSAGE.len()];
            stream.read_exact(&mut message).await?;
            check(&message)?;
        }
        Ok(Done {
            operations: each(operations) * CONNECTIONS as u64,
            took,
            details: Vec::new(),
        })
    })
}

fn tokio_closes(operations: u64) -> io::Result<Done> {
    async fn close_each(times: u64) -> io::Result<()> {
        for _ in 0..times {
            let (mut stream, _silent) = tokio::net::UnixStream::pair()?;
            let mut buffer = [0; MESSAGE.len()];
            let mut read = pin!(stream.read(&mut buffer));
            let waits = is_waiting(read.as_mut()).await;
            tokio::task::yield_now().await;
            if !(waits && is_waiting(read.as_mut()).await) {
                return Err(came_unasked());
            }
        }
        Ok(())
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().build()?.block_on(async {
        let begin = Instant::now();
        let times = each(operations);
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(close_each(times)))
            .collect();
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(Done {
            operations: times * CONNECTIONS as u64,
            took: begin.elapsed(),
            details: Vec::new(),
        })
    })
}

fn floor_drops(operations: u64) -> io::Result<Done> {
    let (streams, peers) = connections()?;
    let begin = Instant::now();
    let operations = floor::cancels::run(streams, peers, MESSAGE, operations)?;
    Ok(Done {
        operations,
        took: begin.elapsed(),
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::course::ends_for_all;

    #[test]
    fn what_is_started_and_dropped_takes_nothing_of_what_comes_later() {
        for course in &COURSES {
            for operations in [1, 300] {
                ends_for_all(course, operations);
            }
        }
    }

    #[test]
    fn a_stream_has_one_read_in_flight_at_most_and_none_when_it_is_closed() {
        for driver in [Driver::Uring, Driver::Epoll] {
            let later = |done: io::Result<Done>| {
                let details = done.unwrap().details;
                let later = details.iter().find(|(name, _)| *name == LATER);
                later.unwrap().1 as usize
            };
            let reads = later(krug_drops(driver, 1000, read_and_drop));
            assert!(reads <= CONNECTIONS, "{driver:?}: {reads}");
            let chunks = later(krug_drops(driver, 1000, recv_and_drop));
            assert!(chunks <= CONNECTIONS, "{driver:?}: {chunks}");
            assert_eq!(later(krug_closes(driver, 1000)), 0, "{driver:?}");
        }
    }
}
