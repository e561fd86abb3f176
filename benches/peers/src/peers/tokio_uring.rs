//! tokio-uring: tokio's runtime of the current thread with a ring beside it, with the settings of
//! <https://docs.rs/tokio-uring/0.5.0/tokio_uring/struct.Builder.html>. Channels and timers are tokio's own.

use std::io;
use std::os::fd::OwnedFd;

use ::tokio::sync::mpsc;
use ::tokio::task::yield_now;
use ::tokio::time::sleep;
use ::tokio_uring::buf::BoundedBuf;
use ::tokio_uring::fs::File;
use ::tokio_uring::net::{TcpListener, TcpStream, UnixStream};
use ::tokio_uring::{Builder, builder, spawn, uring_builder};
use krug_benches::harness::{Job, Served};

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

/// Entries of the ring that submits; as in the example of its documentation, there are many more of the one that completes.
const ENTRIES: u32 = 256;

fn settings() -> Builder {
    let mut settings = builder();
    settings
        .entries(ENTRIES)
        .uring_builder(uring_builder().setup_cqsize(ENTRIES * 16));
    settings
}

pub(super) fn echo(job: &Job) -> io::Result<Served> {
    settings().start(async {
        let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(spawn(echo_over_tcp(stream, job.bytes)));
        }
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(Served::default())
    })
}

async fn echo_over_tcp(stream: TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data.slice(..count)).await;
        sent?;
        buffer = data.into_inner();
    }
}

async fn echo_over_unix(stream: UnixStream, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data.slice(..count)).await;
        sent?;
        buffer = data.into_inner();
    }
}

pub(super) fn run(work: &Work) -> Outcome {
    settings().start(async {
        on_runtime!(
            work,
            spawn: [spawn],
            yield_now: [yield_now],
            sleep: [sleep],
            channel: channel,
            read: read,
            pipes: pipes,
            unix: unix,
        )
    })
}

async fn channel(count: u64) -> Outcome {
    let (asking, mut asked) = mpsc::channel(1);
    let (answering, mut answered) = mpsc::channel(1);
    spawn(async move {
        while let Some(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    work::ask_in_numbers(count, async |number| {
        asking.send(number).await.ok()?;
        answered.recv().await
    })
    .await
}

async fn read(reads: &Reads) -> Outcome {
    work::reads(reads, |blocks| {
        let path = reads.path.clone();
        let task = spawn(async move {
            let file = File::open(path).await?;
            let mut buffer = Vec::with_capacity(work::BLOCK);
            for offset in blocks {
                let (result, block) = file.read_at(buffer, offset).await;
                result?;
                work::check_block(&block, offset)?;
                buffer = block;
            }
            file.close().await
        });
        async { task.await.map_err(io::Error::other)? }
    })
    .await
}

/// Between pipes, whose ends are files to tokio-uring. Offsets mean nothing there.
async fn echo_between(reader: File, writer: File, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = reader.read_at(buffer, 0).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, data) = writer.write_all_at(data.slice(..count), 0).await;
        sent?;
        buffer = data.into_inner();
    }
}

fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    let file = |end: OwnedFd| File::from_std(end.into());
    Ok((file(reader.into()), file(writer.into())))
}

async fn pipes(trips: Trips) -> Outcome {
    let (asked, asking) = pipe()?;
    let (answered, answering) = pipe()?;
    spawn(echo_between(asked, answering, trips.bytes));
    work::ask(trips, async |message| {
        let (sent, message) = asking.write_all_at(message, 0).await;
        sent?;
        let (received, message) = answered.read_exact_at(message, 0).await;
        received.map(|()| message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (here, there) = std::os::unix::net::UnixStream::pair()?;
    let (here, there) = (UnixStream::from_std(here), UnixStream::from_std(there));
    spawn(echo_over_unix(there, trips.bytes));
    work::ask(trips, async |message| {
        let (sent, mut message) = here.write_all(message).await;
        sent?;
        let mut filled = 0;
        while filled < trips.bytes {
            let (received, part) = here.read(message.slice(filled..)).await;
            match received? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
            message = part.into_inner();
        }
        Ok(message)
    })
    .await
}
