//! compio on io_uring, with the settings of
//! <https://docs.rs/compio/0.19.2/compio/driver/struct.ProactorBuilder.html>; once with the flags that it calls
//! best for most cases, and once with those that suit a ring of one thread.

use std::io;

use ::compio::buf::BufResult;
use ::compio::driver::{DriverType, ProactorBuilder};
use ::compio::fs::{File, pipe};
use ::compio::io::{AsyncRead, AsyncReadAt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ::compio::net::{TcpListener, UnixStream};
use ::compio::runtime::{Runtime, RuntimeBuilder, spawn};
use ::compio::time::sleep;
use krug_benches::harness::{Job, Served};
use local_sync::mpsc::bounded;
use smol::future::yield_now;

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

/// The flags of the ring.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ring {
    /// `COOP_TASKRUN` and `TASKRUN_FLAG`.
    Coop,
    /// `SINGLE_ISSUER` and `DEFER_TASKRUN`.
    Defer,
}

fn runtime(ring: Ring) -> io::Result<Runtime> {
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(DriverType::IoUring);
    match ring {
        Ring::Coop => proactor.coop_taskrun(true).taskrun_flag(true),
        Ring::Defer => proactor.single_issuer(true).defer_taskrun(true),
    };
    RuntimeBuilder::new().with_proactor(proactor).build()
}

pub(super) fn echo(ring: Ring, job: &Job) -> io::Result<Served> {
    runtime(ring)?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let bytes = job.bytes;
            tasks.push(spawn(
                async move { echo_between(&stream, &stream, bytes).await },
            ));
        }
        for task in tasks {
            task.await
                .map_err(|_| io::Error::other("a task panicked"))??;
        }
        Ok(Served::default())
    })
}

async fn echo_between(
    mut reader: impl AsyncRead,
    mut writer: impl AsyncWrite,
    bytes: usize,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        buffer.clear();
        let BufResult(received, data) = reader.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let BufResult(sent, data) = writer.write_all(data).await;
        sent?;
        buffer = data;
    }
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
    let other = spawn(async move {
        while let Some(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    other.detach();
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
                buffer.clear();
                let BufResult(result, block) = file.read_at(buffer, offset).await;
                result?;
                work::check_block(&block, offset)?;
                buffer = block;
            }
            Ok(())
        });
        async {
            task.await
                .map_err(|_| io::Error::other("a task panicked"))?
        }
    })
    .await
}

async fn pipes(trips: Trips) -> Outcome {
    let (asked, mut asking) = pipe::anonymous().await?;
    let (mut answered, answering) = pipe::anonymous().await?;
    spawn(echo_between(asked, answering, trips.bytes)).detach();
    work::ask(trips, async |message| {
        let BufResult(sent, mut message) = asking.write_all(message).await;
        sent?;
        message.clear();
        let BufResult(received, message) = answered.read_exact(message).await;
        received.map(|_| message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (here, there) = std::os::unix::net::UnixStream::pair()?;
    let (mut here, there) = (UnixStream::from_std(here)?, UnixStream::from_std(there)?);
    spawn(async move { echo_between(&there, &there, trips.bytes).await }).detach();
    work::ask(trips, async |message| {
        let BufResult(sent, mut message) = here.write_all(message).await;
        sent?;
        message.clear();
        let BufResult(received, message) = here.read_exact(message).await;
        received.map(|_| message)
    })
    .await
}
