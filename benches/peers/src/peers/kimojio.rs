//! kimojio: a runtime of the calling thread, as <https://docs.rs/kimojio/0.19.0/kimojio/fn.run_with_configuration.html> starts
//! it. Of its settings, <https://docs.rs/kimojio/0.19.0/kimojio/configuration/struct.Configuration.html>, one is for speed: how
//! it waits, <https://docs.rs/kimojio/0.19.0/kimojio/configuration/enum.BusyPoll.html>; once as it comes, and once with
//! `BusyPoll::Until`.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use ::kimojio::configuration::{BusyPoll, Configuration};
use ::kimojio::operations::{accept, pread, read, sleep, spawn_task, write, yield_io};
use ::kimojio::{Errno, async_channel, run_with_configuration};
use krug_benches::harness::{Job, Served};

use super::{LONGEST_LOOK, Waiting};
use crate::work::{self, Cannot, Outcome, Reads, Trips, Work, on_runtime};

/// It numbers its tasks with 16 bits.
const TASKS_MAX: u64 = u16::MAX as u64;

/// Until the future is done, which is not the end of other tasks.
fn block_on<T, E>(
    waiting: Waiting,
    future: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E>
where
    E: From<io::Error>,
{
    let settings = Configuration::new().set_busy_poll(match waiting {
        Waiting::Asleep => BusyPoll::Never,
        Waiting::LookingOn => BusyPoll::Until(LONGEST_LOOK),
    });
    match run_with_configuration(0, future, settings) {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(io::Error::other("it panicked").into()),
        None => Err(io::Error::other("it was shut down").into()),
    }
}

pub(super) fn echo(waiting: Waiting, job: &Job) -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    job.listening(listener.local_addr()?);
    let (connections, bytes) = (job.connections, job.bytes);
    block_on(waiting, async move {
        let mut tasks = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = Rc::new(accept(&listener).await.map_err(error)?);
            rustix::net::sockopt::set_tcp_nodelay(&*stream, true)?;
            tasks.push(spawn_task(echo_between(stream.clone(), stream, bytes)));
        }
        for task in tasks {
            task.await.map_err(|_| io::Error::other("a task ended"))??;
        }
        Ok(Served::default())
    })
}

async fn echo_between(reader: Rc<OwnedFd>, writer: Rc<OwnedFd>, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = read(&*reader, &mut buffer).await.map_err(error)?;
        if count == 0 {
            return Ok(());
        }
        write_all(&*writer, &buffer[..count]).await?;
    }
}

async fn write_all(writer: &impl AsFd, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        let count = write(writer, rest).await.map_err(error)?;
        rest = &rest[count..];
    }
    Ok(())
}

async fn read_exact(reader: &impl AsFd, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(reader, &mut buffer[filled..]).await.map_err(error)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(())
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

pub(super) fn run(waiting: Waiting, work: &Work) -> Outcome {
    if let Work::Sleep(count) = work
        && *count > TASKS_MAX
    {
        return Err(Cannot::NotOffered(
            "not so many tasks at a time: it has numbers for 65535",
        ));
    }
    let work = work.clone();
    block_on(waiting, async move {
        on_runtime!(
            &work,
            spawn: [spawn_task],
            yield_now: [yield_io],
            sleep: [sleep],
            channel: channel,
            read: read_blocks,
            pipes: pipes,
            unix: unix,
        )
    })
}

async fn channel(count: u64) -> Outcome {
    let (asking, asked) = async_channel();
    let (answering, answered) = async_channel();
    spawn_task(async move {
        while let Ok(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    work::ask_in_numbers(count, async |number| {
        asking.send(number).await.ok()?;
        answered.recv().await.ok()
    })
    .await
}

async fn read_blocks(reads: &Reads) -> Outcome {
    let file = Rc::new(File::open(&reads.path)?);
    work::reads(reads, |blocks| {
        let file = file.clone();
        let task = spawn_task(async move {
            let mut buffer = vec![0; work::BLOCK];
            for offset in blocks {
                let count = pread(&*file, &mut buffer, offset).await.map_err(error)?;
                work::check_block(&buffer[..count], offset)?;
            }
            Ok(())
        });
        async { task.await.map_err(|_| io::Error::other("a task ended"))? }
    })
    .await
}

async fn pipes(trips: Trips) -> Outcome {
    let (asked, asking) = io::pipe()?;
    let (answered, answering) = io::pipe()?;
    let (asked, answering) = (Rc::new(asked.into()), Rc::new(answering.into()));
    spawn_task(echo_between(asked, answering, trips.bytes));
    work::ask(trips, async |mut message| {
        write_all(&asking, &message).await?;
        read_exact(&answered, &mut message).await?;
        Ok(message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (here, there) = UnixStream::pair()?;
    let there = Rc::new(OwnedFd::from(there));
    spawn_task(echo_between(there.clone(), there, trips.bytes));
    work::ask(trips, async |mut message| {
        write_all(&here, &message).await?;
        read_exact(&here, &mut message).await?;
        Ok(message)
    })
    .await
}

/// So many pauses of this length, one after the other.
#[cfg(test)]
pub(super) fn pause(waiting: Waiting, times: u64, time: std::time::Duration) -> io::Result<()> {
    block_on(waiting, async move {
        for _ in 0..times {
            sleep(time).await.map_err(error)?;
        }
        Ok(())
    })
}
