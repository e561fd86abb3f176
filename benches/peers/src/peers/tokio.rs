//! tokio: a runtime of the current thread, as <https://docs.rs/tokio/1.54.1/tokio/runtime/index.html#current-thread-scheduler>
//! describes it; reads of files by `spawn_blocking`, as
//! <https://docs.rs/tokio/1.54.1/tokio/fs/index.html#tuning-your-file-io> advises for many small ones.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ::tokio::net::unix::pipe;
use ::tokio::net::{TcpListener, UnixStream};
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::sync::mpsc;
use ::tokio::task::{spawn, spawn_blocking, yield_now};
use ::tokio::time::sleep;
use krug_benches::harness::{Job, Served};

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

pub(super) fn echo(job: &Job) -> io::Result<Served> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(spawn(echo_on(stream, job.bytes)));
        }
        for task in tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(Served::default())
    })
}

async fn echo_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
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
    let file = Arc::new(File::open(&reads.path)?);
    work::reads(reads, |blocks| {
        let file = file.clone();
        let task = spawn(async move {
            let mut buffer = vec![0; work::BLOCK];
            for offset in blocks {
                let file = file.clone();
                let block = spawn_blocking(move || {
                    file.read_exact_at(&mut buffer, offset).map(|()| buffer)
                });
                buffer = block.await.map_err(io::Error::other)??;
                work::check_block(&buffer, offset)?;
            }
            Ok(())
        });
        async { task.await.map_err(io::Error::other)? }
    })
    .await
}

async fn pipes(trips: Trips) -> Outcome {
    let (mut asking, asked) = pipe::pipe()?;
    let (answering, mut answered) = pipe::pipe()?;
    spawn(echo_on(::tokio::io::join(asked, answering), trips.bytes));
    work::ask(trips, async |mut message| {
        asking.write_all(&message).await?;
        answered.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (mut here, there) = UnixStream::pair()?;
    spawn(echo_on(there, trips.bytes));
    work::ask(trips, async |mut message| {
        here.write_all(&message).await?;
        here.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}
