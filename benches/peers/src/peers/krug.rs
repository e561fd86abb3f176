//! krug on one thread and io_uring, pinned as it is recommended for a core with a processor for itself: see `krug::runtime::Builder`.

use std::io;

use ::krug::fs::File;
use ::krug::io::{AsyncReadOwned, AsyncWriteOwned};
use ::krug::net::{TcpListener, TcpStream, UnixStream};
use ::krug::runtime::{Builder, Driver, Runtime};
use ::krug::sync::mpsc;
use ::krug::task::yield_now;
use ::krug::time::sleep;
use ::krug::{pipe, spawn};
use krug_benches::harness::{Job, Served};

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

fn runtime() -> io::Result<Runtime> {
    Builder::new().driver(Driver::Uring).pin(true).build()
}

pub(super) fn echo(job: &Job) -> io::Result<Served> {
    let bytes = job.bytes;
    serve(job, |stream| async move {
        echo_between(&stream, &stream, bytes).await
    })
}

/// Without a buffer of its own: received bytes are sent from where the runtime has put them.
pub(super) fn echo_by_recv(job: &Job) -> io::Result<Served> {
    serve(job, echo_chunks)
}

fn serve<F>(job: &Job, echo: impl Fn(TcpStream) -> F) -> io::Result<Served>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let runtime = runtime()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(spawn(echo(stream)));
        }
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    })?;
    Ok(Served {
        enters: Some(runtime.metrics().enters),
        detail: None,
    })
}

async fn echo_between(
    mut reader: impl AsyncReadOwned,
    mut writer: impl AsyncWriteOwned,
    bytes: usize,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (received, data) = reader.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, data) = writer.write_all(data).await;
        sent?;
        buffer = data;
    }
}

async fn echo_chunks(stream: TcpStream) -> io::Result<()> {
    loop {
        let chunk = stream.recv().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (sent, _) = stream.write_all(chunk).await;
        sent?;
    }
}

pub(super) fn run(work: &Work) -> Outcome {
    runtime()?.block_on(async {
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
            Ok(())
        });
        async { task.await.map_err(io::Error::other)? }
    })
    .await
}

async fn pipes(trips: Trips) -> Outcome {
    let (asking, asked) = pipe::pipe().await?;
    let (answering, answered) = pipe::pipe().await?;
    spawn(echo_between(asked, answering, trips.bytes));
    work::ask(trips, async |message| {
        let (sent, message) = asking.write_all(message).await;
        sent?;
        let (received, message) = answered.read_exact(message).await;
        received.map(|()| message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (here, there) = UnixStream::pair()?;
    spawn(async move { echo_between(&there, &there, trips.bytes).await });
    work::ask(trips, async |message| {
        let (sent, message) = here.write_all(message).await;
        sent?;
        let (received, message) = here.read_exact(message).await;
        received.map(|()| message)
    })
    .await
}
