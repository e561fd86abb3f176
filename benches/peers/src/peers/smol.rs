//! smol: a `LocalExecutor` driven by `block_on`, which polls for I/O on the same thread, as
//! <https://docs.rs/smol/2.0.2/smol/index.html> and <https://docs.rs/async-io/latest/async_io/index.html#implementation>
//! have it; reads of files by `unblock`, which is what `smol::fs` is made of.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::smol::future::yield_now;
use ::smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ::smol::net::TcpListener;
use ::smol::net::unix::UnixStream;
use ::smol::{Async, LocalExecutor, Timer, block_on, channel, unblock};
use krug_benches::harness::{Job, Served};

use crate::work::{self, Outcome, Reads, Trips, Work, on_runtime};

pub(super) fn echo(job: &Job) -> io::Result<Served> {
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(executor.spawn(echo_between(stream.clone(), stream, job.bytes)));
        }
        for task in tasks {
            task.await?;
        }
        Ok(Served::default())
    }))
}

async fn echo_between(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    bytes: usize,
) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        writer.write_all(&buffer[..count]).await?;
    }
}

pub(super) fn run(work: &Work) -> Outcome {
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        on_runtime!(
            work,
            spawn: [executor.spawn],
            yield_now: [yield_now],
            sleep: [Timer::after],
            channel: |count| channel_of(&executor, count),
            read: |reads| read(&executor, reads),
            pipes: |trips| pipes(&executor, trips),
            unix: |trips| unix(&executor, trips),
        )
    }))
}

async fn channel_of(executor: &LocalExecutor<'_>, count: u64) -> Outcome {
    let (asking, asked) = channel::bounded(1);
    let (answering, answered) = channel::bounded(1);
    let other = executor.spawn(async move {
        while let Ok(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    other.detach();
    work::ask_in_numbers(count, async |number| {
        asking.send(number).await.ok()?;
        answered.recv().await.ok()
    })
    .await
}

async fn read(executor: &LocalExecutor<'_>, reads: &Reads) -> Outcome {
    let file = Arc::new(File::open(&reads.path)?);
    work::reads(reads, |blocks| {
        let file = file.clone();
        executor.spawn(async move {
            let mut buffer = vec![0; work::BLOCK];
            for offset in blocks {
                let file = file.clone();
                let block =
                    unblock(move || file.read_exact_at(&mut buffer, offset).map(|()| buffer));
                buffer = block.await?;
                work::check_block(&buffer, offset)?;
            }
            Ok(())
        })
    })
    .await
}

async fn pipes(executor: &LocalExecutor<'_>, trips: Trips) -> Outcome {
    let (asked, asking) = io::pipe()?;
    let (answered, answering) = io::pipe()?;
    let (asked, mut asking) = (Async::new(asked)?, Async::new(asking)?);
    let (mut answered, answering) = (Async::new(answered)?, Async::new(answering)?);
    executor
        .spawn(echo_between(asked, answering, trips.bytes))
        .detach();
    work::ask(trips, async |mut message| {
        asking.write_all(&message).await?;
        answered.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}

async fn unix(executor: &LocalExecutor<'_>, trips: Trips) -> Outcome {
    let (mut here, there) = UnixStream::pair()?;
    executor
        .spawn(echo_between(there.clone(), there, trips.bytes))
        .detach();
    work::ask(trips, async |mut message| {
        here.write_all(&message).await?;
        here.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}
