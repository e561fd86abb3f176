//! monoio on io_uring, with the settings of
//! <https://docs.rs/monoio/0.2.4/monoio/struct.RuntimeBuilder.html>; once as it comes, and once with the flags that
//! suit a ring of one thread, by `uring_builder`.

use std::io;
use std::os::fd::OwnedFd;

use ::monoio::fs::File;
use ::monoio::io::{AsyncReadRent, AsyncReadRentExt, AsyncWriteRent, AsyncWriteRentExt};
use ::monoio::net::{TcpListener, UnixStream};
use ::monoio::time::{TimeDriver, sleep};
use ::monoio::{IoUringDriver, Runtime, RuntimeBuilder, spawn};
use krug_benches::harness::{Job, Served};
use local_sync::mpsc::bounded;
use smol::future::yield_now;

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

/// The flags of the ring.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ring {
    /// Those that monoio sets by itself.
    AsItComes,
    /// `SINGLE_ISSUER` and `DEFER_TASKRUN`.
    Defer,
}

fn runtime(ring: Ring) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    let builder = RuntimeBuilder::<IoUringDriver>::new();
    match ring {
        Ring::AsItComes => builder.enable_timer().build(),
        Ring::Defer => {
            let mut flags = io_uring::IoUring::builder();
            flags.setup_single_issuer().setup_defer_taskrun();
            builder.uring_builder(flags).enable_timer().build()
        }
    }
}

pub(super) fn echo(ring: Ring, job: &Job) -> io::Result<Served> {
    runtime(ring)?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(spawn(echo_on(stream, job.bytes)));
        }
        for task in tasks {
            task.await?;
        }
        Ok(Served::default())
    })
}

async fn echo_on(mut stream: impl AsyncReadRent + AsyncWriteRent, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = stream.write_all(data).await;
        sent?;
        buffer = data;
    }
}

/// Between pipes, whose ends are files to monoio: it has a type for pipes, which can only be spliced. Offsets mean nothing there.
async fn echo_between(reader: File, writer: File, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = reader.read_at(buffer, 0).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = writer.write_all_at(data, 0).await;
        sent?;
        buffer = data;
    }
}

fn pipe() -> io::Result<(File, File)> {
    let (reader, writer) = io::pipe()?;
    let file = |end: OwnedFd| File::from_std(end.into());
    Ok((file(reader.into())?, file(writer.into())?))
}

pub(super) fn run(ring: Ring, work: &Work) -> Outcome {
    runtime(ring)?.block_on(async {
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
    let (asking, mut asked) = bounded::channel(1);
    let (answering, mut answered) = bounded::channel(1);
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
        spawn(async move {
            let file = File::open(path).await?;
            let mut buffer = Vec::with_capacity(work::BLOCK);
            for offset in blocks {
                let (result, block) = file.read_at(buffer, offset).await;
                result?;
                work::check_block(&block, offset)?;
                buffer = block;
            }
            Ok(())
        })
    })
    .await
}

async fn pipes(trips: Trips) -> Outcome {
    let (asked, asking) = pipe()?;
    let (answered, answering) = pipe()?;
    spawn(echo_between(asked, answering, trips.bytes));
    work::ask(trips, async |message| {
        let (sent, message) = asking.write_all_at(message, 0).await;
        sent?;
        let (received, message) = answered.read_exact_at(message, 0).await;
        received.map(|_| message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (mut here, there) = UnixStream::pair()?;
    spawn(echo_on(there, trips.bytes));
    work::ask(trips, async |message| {
        let (sent, message) = here.write_all(message).await;
        sent?;
        let (received, message) = here.read_exact(message).await;
        received.map(|_| message)
    })
    .await
}
